# Every picture that plot() and autoplot() draw, from small fits: for the tests, and for
# dev/pictures.R, which renders them to be looked at.

# A named list of list(object, arguments), a picture each.
picture_cases <- function() {
  c(fit_pictures(), latent_pictures(), curve_pictures(), summary_pictures(), table_pictures(),
    sequence_pictures(), other_pictures())
}

cases_of <- function(prefix, object, ...) {
  types <- list(...)
  names(types) <- paste(prefix, vapply(types, function(t) {
    paste(unlist(Filter(is.character, t)), collapse = "_")
  }, ""), sep = ".")
  lapply(types, function(type) list(object = object, arguments = as.list(type)))
}

# Least squares with one exposure, with two and long names; one row; many rows.
fit_pictures <- function() {
  set.seed(4)
  d <- data.frame(w = stats::rnorm(300))
  d$g <- matrix(stats::rbinom(900, 2, 0.3), 300, dimnames = list(NULL, paste0("rs", 1:3)))
  d$x <- rowSums(d$g) + stats::rnorm(300)
  d$y <- d$x + stats::rnorm(300)
  long <- d
  long$`a covariate whose name is much longer than any page has room for` <- d$w
  many <- data.frame(y = d$y)
  many$w <- matrix(stats::rnorm(300 * 200), 300, dimnames = list(NULL, paste0("variable", 1:200)))
  z <- matrix(stats::rbinom(300 * 12, 2, 0.3), 300, dimnames = list(NULL, paste0("rs", 1:12)))
  d$v <- drop(z %*% c(rep(0.4, 4), rep(0, 8))) + stats::rnorm(300)
  d$z <- z
  lasso <- iv_lasso(y ~ v | z, d, seed = 1)
  refit <- iv_lasso(y ~ v | z, d, seed = 1, refit = TRUE)
  types <- list("effect", "coefficients", "first_stage")
  c(
    do.call(cases_of, c(list("iv_2sls", iv_2sls(y ~ x + w | g + w, d)), types)),
    cases_of("iv_2sls_two", iv_2sls(y ~ x + w | g, d), list("effect", exposure = "x"),
      "first_stage"),
    cases_of("iv_ols_long_name", iv_ols(y ~ ., long[c("y", "x", names(long)[5])]), "coefficients"),
    cases_of("iv_ols_one_row", iv_ols(y ~ x, d), "coefficients"),
    cases_of("iv_ols_200_rows", iv_ols(y ~ w, many), "coefficients"),
    cases_of("iv_lasso", lasso, "path", "cv", "effect"),
    cases_of("iv_lasso_given", iv_lasso(y ~ v | z, d, lambda = 0.1), "path"),
    cases_of("iv_lasso_refit", refit, "first_stage")
  )
}

latent_pictures <- function() {
  sim <- sim_environments(n = 600, seed = 1)
  z <- as.matrix(as.data.frame(sim)[truth(sim)$instruments])
  fit <- iv_latent(Y ~ X | z, data = sim, environment = ~environment, latent_dim = c(2, 2),
    method = "ssa", seed = 1)
  cases_of("iv_latent", fit, "scree", "estimators", "effect", "coefficients", "first_stage")
}

curve_pictures <- function() {
  sim <- sim_nonlinear(n = 800, n_variants = 4, seed = 1)
  g <- as.matrix(sim[truth(sim)$instruments])
  control <- nn_control(epochs = 6, hidden = 4)
  folds <- iv_deep(Y ~ X | g, sim, seed = 1, control = control)
  quantile <- iv_quantile(Y ~ X | g, sim, seed = 1, control = control, n_boot = 10)
  delivr <- iv_delivr(Y ~ X | g, data = sim, n_splits = 2, seed = 1, control = control)
  ranked <- iv_doubly_ranked(Y ~ X | Z, sim_tian2023(n = 2000, scenario = "C", outcome = 2,
    seed = 1), seed = 1)
  people <- sim_contextual(n = 1000, L = 6, pi_scale = 1.5, seed = 1,
    beta = function(context) 0.3 + 0.2 * context$bmi)
  people$centre <- factor(rep(c("Aarhus", "Basel", "Cambridge, Massachusetts", "Delft"), 250))
  z <- as.matrix(as.data.frame(people)[truth(people)$instruments])
  context <- iv_contextual(Y ~ X | z, data = people, context = ~ age + sex + bmi + centre, seed = 1)
  strata <- mr_contextual(stratum_associations(z, people$X, people$Y, people$bmi))
  net <- iv_contextual(Y ~ X | z, data = people, context = ~ age + bmi, encoder = "mlp", seed = 1,
    control = context_control(epochs = 4))
  c(
    cases_of("iv_deep", folds, "effect", "history"),
    cases_of("iv_quantile", quantile, "effect", "history"),
    cases_of("iv_delivr", delivr, list()),
    cases_of("iv_doubly_ranked", ranked, "curve", "lace"),
    cases_of("iv_contextual", context, "slopes", list("slopes", variables = "bmi"), "heatmap",
      list("heatmap", variables = c("sex", "centre")), "ranked", "effect"),
    cases_of("iv_contextual_mlp", net, "history"),
    cases_of("mr_contextual", strata, list())
  )
}

summary_pictures <- function() {
  methods <- c("mr_ivw", "mr_egger_regression", "mr_weighted_median")
  one <- lipid_chd[lipid_chd$exposure == "LDL", ]
  many <- as.data.frame(sim_summary(n_snps = 400, seed = 1))
  pairs <- as.data.frame(sim_summary(n_snps = 5, n_pairs = 7, seed = 1))
  named <- one
  named$exposure <- paste("low-density lipoprotein cholesterol, inverse-normal transformed, of",
    "all participants (field 30780)")
  all_methods <- mr_methods()$label
  scatter <- function(d, m = methods) mr_scatter(d, mr_estimate(d, m, n_boot = 20, seed = 1))
  c(
    cases_of("mr_scatter", scatter(one), list()),
    cases_of("mr_scatter_three", scatter(lipid_chd), list()),
    cases_of("mr_scatter_methods", scatter(one, all_methods), list()),
    cases_of("mr_scatter_long_name", scatter(named), list()),
    cases_of("mr_scatter_seven", scatter(pairs), list()),
    cases_of("mr_single_snp", mr_single_snp(one), "forest", "funnel"),
    cases_of("mr_single_snp_three", mr_single_snp(lipid_chd), "forest", "funnel"),
    cases_of("mr_single_snp_400", mr_single_snp(many), "forest", "funnel"),
    cases_of("mr_leave_one_out", mr_leave_one_out(one), list()),
    cases_of("mr_leave_one_out_seven", mr_leave_one_out(pairs), list()),
    cases_of("mr_radial", mr_radial(one), list()),
    cases_of("mr_radial_egger", mr_radial(lipid_chd, "egger"), list()),
    cases_of("mr_presso", mr_presso_test(one, seed = 1), list())
  )
}

table_pictures <- function() {
  one <- lipid_chd[lipid_chd$exposure == "LDL", ]
  weak <- sim_contextual(n = 100, L = 3, pi_scale = 0.05, seed = 2)
  strong <- sim_contextual(n = 500, L = 3, pi_scale = 2, seed = 1)
  effects <- data.frame(b = c(0.1, 0.4, 0.2, 0.8, 0.5, 0.1), se = 0.1, of = c("a", "b"))
  sim <- sim_nonlinear(n = 600, f = "linear", n_variants = 5, seed = 1)
  z <- as.matrix(sim[truth(sim)$instruments])
  fits <- compare_fits(`two-stage least squares` = iv_2sls(Y ~ X | z, sim),
    ols = iv_ols(Y ~ X, sim), truth = sim)
  dose <- c(1, 3, 2, 0, 4, 2)
  c(
    cases_of("mr_estimate", mr_forest(mr_estimate(one, seed = 1)), list()),
    cases_of("mr_estimate_all", mr_forest(mr_estimate(lipid_chd, mr_methods()$label, n_boot = 20,
      seed = 1)), list()),
    cases_of("mr_estimate_one", mr_forest(mr_estimate(one, "mr_ivw")), list()),
    cases_of("mr_odds_ratios", mr_forest(mr_odds_ratios(mr_estimate(one, seed = 1))),
      list()),
    cases_of("mv_estimate", mr_forest(mv_estimate(lipid_chd, seed = 1)), list()),
    cases_of("meta_random", meta_random(b, se, group = of, data = effects), list()),
    cases_of("ar_set", ar_set(iv_2sls(Y ~ X | G0 + G1 + G2, strong)), list()),
    cases_of("ar_set_unbounded", ar_set(iv_2sls(Y ~ X | G0 + G1 + G2, weak)), list()),
    cases_of("compare_fits", fits, list()),
    cases_of("meta_regression", meta_regression(effects$b, effects$se, ~dose), "bubble",
      "coefficients")
  )
}

sequence_pictures <- function() {
  set.seed(2)
  deep <- deep_mr_effects(toy_effects(n_seq = 50), "x", "y", pairs = toy_pairs(),
    method = c("slope", "mr_egger_regression"))
  effects <- expand.grid(output = c("Oct4", "Sox2", "Nanog"), variant = 1:30,
    sequence = paste0("s", 1:8))
  x <- rep(stats::rnorm(240), each = 3)
  effects$effect <- x * c(1, 0.5, -0.4) + stats::rnorm(720, sd = 0.1)
  effects$std.error <- 0.1
  near <- expand.grid(sequence = paste0("s", 1:8), exposure = c("Oct4", "Sox2", "Nanog"),
    outcome = c("Oct4", "Sox2", "Nanog"), stringsAsFactors = FALSE)
  near <- near[near$exposure != near$outcome, ]
  near$distance <- rep(c(10, 20, 30, 50, 60, 100, 120, 140), 6)
  net <- deep_mr_network(effects, distances = near)
  model <- seq_model(list(seq_layer("conv", units = 2, taps = 3), seq_layer("global_max")), 24,
    parameters = stats::rnorm(26))
  bases <- paste(sample(c("A", "C", "G", "T"), 24, TRUE), collapse = "")
  c(
    cases_of("deep_mr", deep, "forest", "scatter", "density", "global", "calibration"),
    cases_of("deep_mr_network", net, "effects", "distance"),
    cases_of("mutagenize", mutagenize(model, c(enhancer = bases)), list())
  )
}

other_pictures <- function() {
  set.seed(1)
  mean <- stats::rnorm(200)
  y <- mean + 2 * (stats::rexp(200) - 1)
  sim <- sim_nonlinear(n = 700, n_variants = 3, seed = 1)
  g <- as.matrix(sim[truth(sim)$instruments])
  linear <- iv_2sls(Y ~ X | G0 + G1 + G2, sim[1:500, ])
  quantiles <- quantile_regression(Y ~ X, sim, seed = 1, control = nn_control(epochs = 6))
  design <- sweep_design(method = c("ols", "2sls"), h2 = c(0.2, 0.8), data_seed = 1:4, seed = 1)
  sweep <- run_sweep(design, data = function(h2, seed) {
    sim_nonlinear(300, h2 = h2, f = "linear", seed = seed)
  })
  c(
    cases_of("calibration", calibrate(predicted_law(mean, sd = rep(1, 200)), y), list()),
    cases_of("conformal", conformal(linear, sim[501:600, ], conf_level = 0.9),
      list(newdata = sim[601:700, ])),
    cases_of("quantile_regression", quantiles, list()),
    cases_of("sweep", sweep, list("error", by = c("method", "h2")),
      list("coverage", by = "method"), list("coverage", by = c("method", "h2"))),
    cases_of("sweep_criterion", transform_sweep(sweep), list("selection", by = "width")),
    cases_of("mr_sim", sim, list())
  )
}

# Runs with a criterion, which only neural ones have.
transform_sweep <- function(sweep) {
  sweep$width <- sweep$curve_width
  sweep
}

# The texts that a plot writes, read off an uncompressed pdf.
drawn_text <- function(code) {
  file <- tempfile(fileext = ".pdf")
  on.exit(unlink(file))
  grDevices::pdf(file, compress = FALSE, useKerning = FALSE)
  tryCatch(force(code), finally = grDevices::dev.off())
  lines <- readLines(file, warn = FALSE, encoding = "latin1")
  texts <- regmatches(lines, regexpr("(?<=[(]).*(?=[)] Tj)", lines, perl = TRUE, useBytes = TRUE))
  gsub("\\\\([()])", "\\1", texts)
}

# The colours of a plot's pixels, "#rrggbb" by row from the bottom, by an uncompressed bitmap.
drawn_pixels <- function(code, width = 420L, height = 300L) {
  file <- tempfile(fileext = ".bmp")
  on.exit(unlink(file))
  grDevices::bmp(file, width, height, res = 60, type = "cairo")
  tryCatch(force(code), finally = grDevices::dev.off())
  bytes <- readBin(file, "raw", file.size(file))
  start <- sum(as.integer(bytes[11:14]) * 256^(0:3))
  depth <- as.integer(bytes[29]) %/% 8L
  stride <- 4L * ((width * depth + 3L) %/% 4L)
  data <- matrix(bytes[start + seq_len(stride * height)], stride)[seq_len(width * depth), ]
  text <- function(blue, green, red) paste0("#", red, green, blue)
  pixels <- if (depth == 1L) {
    # Few colours: numbers of a table of four bytes each, which ends where the pixels start.
    table <- matrix(bytes[55:start], 4L)
    text(table[1, ], table[2, ], table[3, ])[as.integer(data) + 1L]
  } else {
    at <- seq(1L, by = depth, length.out = width)
    text(data[at, ], data[at + 1L, ], data[at + 2L, ])
  }
  matrix(pixels, height, byrow = TRUE)
}
