# What tells a good curve from a bad one without knowing the truth: correlation, over random
# settings, of the curve's mean squared error with the loss of the second stage on rows held out and
# with the mean width of conformal intervals.
#
#   Rscript bench/model_selection.R   writes bench/model_selection.csv and .md
#
# The poster's default cell with n = 5000 (sim_nonlinear(5000)), 2000 further people to calibrate
# intervals of 90 % and 2000 to measure their width; 20 random settings per estimator and data set,
# the same for all estimators, three data sets. Groups: the estimators' names in iv_methods(),
# "quantile", "deep" and "dfiv" (two folds), with the preset "ml-mr", whose range of settings is
# that of the poster's sweep. Options as in bench/study_tools.R. 180 fits of a few seconds each.
source(file.path("bench", "contextual_tools.R"))

estimators <- c(deep = "DeepIV", dfiv = "DFIV", quantile = "Quantile IV")

list_selection <- function(trial) {
  known <- intersect(c("quantile", "deep", "dfiv"), iv_methods()$method)
  cells <- expand.grid(group = known, preset = "ml-mr", n = if (trial) 1000 else 5000,
    setting = seq_len(if (trial) 3 else 20), seed = if (trial) 1 else 101:103,
    stringsAsFactors = FALSE)
  cells[order(cells$seed, cells$setting), ]
}

# Settings from their number.
draw_control <- function(cell) {
  set.seed(1000 + cell$setting)
  one <- function(x) x[[sample.int(length(x), 1)]]
  log_uniform <- function(low, high) exp(stats::runif(1, log(low), log(high)))
  nn_control(cell$preset,
    hidden = one(list(c(128L, 64L), c(64L, 32L), c(32L, 16L), 32L, c(128L, 64L, 32L))),
    activation = one(c("gelu", "relu", "softplus", "tanh")), batch_norm = one(c(TRUE, FALSE)),
    dropout = one(c(0, 0, 0.1, 0.3)), learning_rate = log_uniform(1e-4, 2e-2),
    weight_decay = log_uniform(1e-6, 1e-1), batch_size = one(c(250L, 1000L, 4000L)),
    epochs = one(c(30L, 60L, 120L)), patience = 20)
}

# The lowest loss of the outcome's stage on rows held out.
validation_loss <- function(fit) {
  history <- training_history(fit)
  min(history$validation[history$stage == "outcome"], na.rm = TRUE)
}

mean_width <- function(fit, rows, new, method, seed) {
  ends <- quietly(predict(conformal(fit, rows, method, conf_level = 0.9, seed = seed), new))
  mean(ends$upper - ends$lower)
}

run_selection <- function(cell) {
  sim <- with_instruments(sim_nonlinear(cell$n + 4000, seed = cell$seed))
  n <- cell$n
  rows <- sim[n + 1:2000, ]
  new <- sim[n + 2001:4000, ]
  people <- sim[seq_len(n), ]
  how <- list(Y ~ X | g, people, seed = cell$seed, control = draw_control(cell))
  if (cell$group == "dfiv") {
    how$cross_fit <- 2
  }
  fit <- timed(do.call(iv_fit, c(list(cell$group), how), quote = TRUE))
  at <- seq(min(people$X), max(people$X), length.out = 2000)
  error <- quietly(effect_curve(fit$value, at, simultaneous = FALSE))$estimate -
    truth(sim)$curve(at)
  c(
    mse = mean(error^2), inner = mean(error[abs(at) <= 2]^2),
    validation = validation_loss(fit$value),
    split = mean_width(fit$value, rows, new, "split", cell$seed),
    cqr = mean_width(fit$value, rows, new, "cqr", cell$seed), seconds = fit$seconds
  )
}

# Correlation of the logarithm of the error (which a few bad fits do not rule) over the settings,
# averaged over data sets; its standard error by drawing settings anew.
correlation <- function(rows, by, error = "mse") {
  settings <- unique(rows$setting)
  mean_r <- function(drawn) {
    mean(vapply(split(rows, rows$seed), function(one) {
      at <- match(drawn, one$setting)
      suppressWarnings(stats::cor(log(one[[error]][at]), one[[by]][at], use = "complete.obs"))
    }, 0), na.rm = TRUE)
  }
  set.seed(1)
  drawn <- replicate(500, mean_r(sample(settings, replace = TRUE)))
  c(r = mean_r(settings), se = stats::sd(drawn, na.rm = TRUE))
}

# As R2 with the sign of the correlation, which the slides have.
signed_r2 <- function(rows, by) {
  found <- correlation(rows, by)
  sprintf("%+.2f (r %+.2f, MCSE %.2f)", sign(found[["r"]]) * found[["r"]]^2, found[["r"]],
    found[["se"]])
}

plain_r2 <- function(rows, by) {
  r <- vapply(split(rows, rows$seed), function(one) {
    suppressWarnings(stats::cor(one$mse, one[[by]], use = "complete.obs"))
  }, 0)
  if (all(is.na(r))) "" else sprintf("%.2f", stats::median(r^2, na.rm = TRUE))
}

# The error of the settings that a criterion chooses, over the least there is: medians.
regret <- function(rows, by) {
  ratio <- vapply(split(rows, rows$seed), function(one) {
    one$mse[which.min(one[[by]])] / min(one$mse)
  }, 0)
  short(stats::median(ratio))
}

# R2 read off the slides: with validation loss, with interval width.
published <- list(deep = c(0.01, 0.43), dfiv = c(0.00, 0.59), quantile = c(0.69, 0.24))

selection_line <- function(rows) {
  old <- published[[rows$group[1]]]
  data.frame(
    estimator = estimators[[rows$group[1]]], fits = nrow(rows),
    "MSE, range" = paste(short(range(rows$mse)), collapse = " - "),
    "validation: slides" = short(old[1]), R2 = plain_r2(rows, "validation"),
    "R2 of log MSE" = signed_r2(rows, "validation"), "width: slides" = short(old[2]),
    "R2, split" = plain_r2(rows, "split"), "of log MSE, split" = signed_r2(rows, "split"),
    "of log MSE, cqr" = signed_r2(rows, "cqr"),
    "regret: validation" = regret(rows, "validation"), "split width" = regret(rows, "split"),
    "cqr width" = regret(rows, "cqr"), check.names = FALSE
  )
}

# In words: whether a criterion tells good curves from bad ones (r beyond two standard errors of 0,
# the right way round), against whether it did on the slides (R2 above 0.1).
in_words <- function(rows) {
  group <- rows$group[1]
  one <- function(by, name, old) {
    found <- correlation(rows, by)
    tells <- found[["r"]] > 2 * found[["se"]]
    wrong <- found[["r"]] < -2 * found[["se"]]
    # The slides' width of Quantile IV has a negative slope: narrow where the curve is bad.
    before <- if (old > 0.1) "tells" else "none"
    if (group == "quantile" && by != "validation") {
      before <- "wrong"
    }
    now <- if (wrong) "wrong" else if (tells) "tells" else "none"
    words <- c(tells = "tells good curves from bad", none = "tells nothing that can be seen",
      wrong = "points the wrong way")
    paste0(name, " ", words[[now]], " (slides: ", words[[before]], "; ",
      if (now == before) "confirmed" else "not confirmed", ")")
  }
  old <- published[[group]]
  paste0("- ", estimators[[group]], ": ", one("validation", "validation loss", old[1]), "; ",
    one("split", "interval width", old[2]), ".")
}

report_selection <- function(rows) {
  fine <- rows[is.finite(rows$mse) & is.finite(rows$split), ]
  parts <- split(fine, fine$group)
  c(
    "# Choosing among settings without the truth", "",
    paste0("Written by `bench/model_selection.R` from `bench/model_selection.csv`: ",
      "`sim_nonlinear(", format(rows$n[1], scientific = FALSE), ")`, ",
      length(unique(rows$setting)), " random settings with the preset of ml-mr, ",
      length(unique(rows$seed)), " data sets."),
    "R2 is the median over the data sets of the squared correlation over the settings; of log MSE",
    "that of the mean correlation, with its sign, and with the Monte Carlo standard error of the",
    "correlation (settings drawn anew). Regret is the error of the settings with the lowest loss",
    "or the narrowest intervals over the least error of all (median).", "",
    "The poster's finding in words:", "", vapply(parts, in_words, ""), "",
    md_table(do.call(rbind, lapply(parts, selection_line))), "", notes_of(rows)
  )
}

selection <- list(name = "model_selection", cells = list_selection, run = run_selection,
  report = report_selection)
if (is_script()) {
  finish_study(selection)
}
