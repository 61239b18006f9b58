# From models to effects: links, pairs, bad input, printing, plots.

# Binding sites are letters: "A" of the exposure, "C" of the outcome; three members whose slopes
# differ by a tenth.
toy_model <- function(slopes = c(1.4, 1.5, 1.6)) {
  count <- function(s, letter) nchar(gsub(paste0("[^", letter, "]"), "", s))
  seq_predictor(function(s) {
    a <- count(s, "A") + 0.1 * count(s, "G")
    out <- array(0, c(length(s), 3, length(slopes)), list(NULL, c("x", "y", "other"), NULL))
    for (k in seq_along(slopes)) {
      out[, , k] <- cbind(a, 2 + slopes[k] * a, count(s, "C"))
    }
    out
  })
}

toy_sequences <- c(
  one = "ACGTACGTAA", two = "CCGTTTGGAA", three = "AAAACCGGTT", four = "GATTACAGAT"
)

test_that("a model's slopes are found, with the members' variation", {
  fit <- deep_mr(toy_model(), toy_sequences, "x", "y", instruments = "none",
    interval = "member_plain")
  expect_s3_class(fit, "deep_mr")
  expect_identical(fit$local$sequence, names(toy_sequences))
  expect_equal(fit$local$estimate, rep(1.5, 4), tolerance = 1e-12)
  # Members are exactly proportional, so that each one's influence is its slope less the mean.
  expect_equal(fit$local$std.error, rep(0.1, 4), tolerance = 1e-9)
  expect_equal(fit$local$conf.high, rep(1.5 + qt(0.975, 2) * 0.1, 4), tolerance = 1e-9)
  expect_equal(fit$global$std.error[fit$global$method == "members"], 0.1 * sqrt(4 / 3),
    tolerance = 1e-9)
  expect_identical(fit$n_members, 3L)
  part <- deep_mr(toy_model(), toy_sequences, "x", "y", instruments = "none", positions = 1:4)
  expect_identical(part$local$n_variants, rep(12L, 4))
})

test_that("an ensemble of networks goes through", {
  sim <- sim_sequences(n = 200, length = 60, seed = 1)
  model <- seq_model(list(
    seq_layer("conv", units = 3, taps = 9), seq_layer("activation", activation = "relu"),
    seq_layer("global_max"), seq_layer("dropout", rate = 0.1), seq_layer("dense", units = 2)
  ), length = 60, output_names = c("exposure", "outcome"))
  labels <- cbind(exposure = sim$exposure, outcome = sim$outcome)
  ensemble <- seq_ensemble(model, sim$sequence, labels, n = 2, bootstrap = TRUE, seed = 1,
    loss = "poisson", control = seq_control(epochs = 3, learning_rate = 0.01))
  sequences <- stats::setNames(sim$sequence[1:5], paste0("s", 1:5))
  ask <- function(model, ...) deep_mr(model, sequences, "exposure", "outcome", ...)
  fit <- ask(ensemble)
  effects <- mutagenize(ensemble, sequences)
  expect_identical(fit$local, deep_mr_effects(effects, "exposure", "outcome")$local)
  expect_identical(ask(ensemble, n_threads = 2), fit)
  # On counts: exp() of the prediction, mutant less sequence.
  counts <- ask(ensemble, type = "response")
  one <- counts$effects[1, ]
  mutant <- sequences[[1]]
  substr(mutant, one$position, one$position) <- one$alt
  level <- predict(ensemble, c(sequences[1], m = mutant), members = TRUE)$members
  expect_equal(one$beta.outcome, mean(exp(level[2, 2, ]) - exp(level[1, 2, ])), tolerance = 1e-4)
  expect_warning(one <- ask(ensemble$members[[1]]), "ensemble of one",
    class = "mrlearn_warning_no_interval")
  expect_true(all(is.na(one$local$conf.low)))
  masks <- ask(ensemble$members[[1]], n_dropout = 4, seed = 1)
  expect_identical(masks$n_members, 4L)
  expect_identical(ask(ensemble$members[[1]], n_dropout = 4, seed = 1), masks)
})

test_that("a model's levels are those that it predicts, scale and letters alike", {
  set.seed(3)
  model <- seq_model(list(
    seq_layer("conv", units = 2, taps = 3), seq_layer("activation", activation = "relu"),
    seq_layer("global_max"), seq_layer("dense", units = 2)
  ), 10, output_names = c("x", "y"), parameters = sin(1:32))
  model$training <- list(loss = "poisson") # as if trained on counts
  sequences <- stats::setNames(toy_sequences, paste0("s", 1:4))
  pairs <- toy_pairs()
  fit <- deep_mr(model, sequences, "x", "y", pairs = pairs, instruments = "none",
    type = "response")
  level <- predict(model, sequences, type = "response")
  want <- deep_mr_effects(mutagenize(model, sequences, type = "response"), "x", "y",
    instruments = "none", pairs = pairs, levels = level)
  expect_identical(fit, want)
  expect_true(fit$calibration$by_level)
  expect_error(deep_mr(model, sequences, "x", "y", pairs = pairs, levels = level),
    class = "mrlearn_error_argument")
  # The calibration is of what a function predicts, too.
  toy <- deep_mr(toy_model(), sequences, "x", "y", pairs = pairs, instruments = "none")
  expect_true(toy$calibration$by_level)
})

test_that("pairs hold predicted and measured differences", {
  sequences <- c(a = "ACGT", b = "CCCC", a1 = "CCGT", b1 = "CCCA")
  labels <- cbind(x = c(1, 0, 0.2, 1.5), y = c(5, 3, 3.1, 4))
  pairs <- deep_mr_pairs(toy_model(), sequences, labels, c(NA, NA, "a", "b"),
    keep = c(FALSE, FALSE, TRUE, FALSE), n_measured = c(4, 4, 1, 1))
  expect_identical(pairs$sequence, c("a", "a", "b", "b"))
  expect_identical(pairs$mutant, c("a1", "a1", "b1", "b1"))
  expect_equal(pairs$effect, c(-1, -1.5, 1, 1.5))
  expect_equal(pairs$observed, c(-0.8, -1.9, 1.5, 1))
  expect_equal(pairs$level, c(1.1, 2 + 1.5 * 1.1, 0, 2))
  expect_equal(pairs$level_mutant, pairs$level + pairs$effect)
  expect_identical(pairs$keep, c(TRUE, TRUE, FALSE, FALSE))
  expect_identical(pairs$n_measured, rep(4, 4))
  expect_identical(pairs$n_measured_mutant, rep(1, 4))
})

test_that("bad input is refused with its class", {
  model <- toy_model()
  s <- toy_sequences
  labels <- cbind(x = 1:4, y = 1:4)
  expect_snapshot(error = TRUE, {
    deep_mr(model, s, "x", "z")
    deep_mr(model, s, "x", "y", thresold = 2)
    deep_mr(model, c(a = "ACGT", a = "TTTT"), "x", "y")
    deep_mr(model, s, "x", "y", type = "response")
    deep_mr(model, s, "x", "y", interval = "pairs")
    deep_mr_pairs(model, s, labels, c(NA, NA, NA, "five"))
    deep_mr_pairs(model, s, labels, rep(NA, 4))
    deep_mr_pairs(model, unname(s), labels, c(NA, "one", NA, NA))
    deep_mr_pairs(model, c(s[1:3], one = "AAAAAAAAAA"), labels, c(NA, "one", NA, NA))
    deep_mr_pairs(model, s, labels[1:3, ], c(NA, "one", NA, NA))
    deep_mr_pairs(model, s, unname(labels), c(NA, "one", NA, NA))
    deep_mr_pairs(model, s, cbind(u = 1:4), c(NA, "one", NA, NA))
    deep_mr_pairs(model, s, labels, c(NA, "one", NA, NA), keep = 1)
    deep_mr_pairs(model, s, labels, c(NA, "one", NA, NA), n_measured = 0)
    deep_mr_control(null_below = -1)
  })
})

test_that("results print, tidy and glance", {
  set.seed(1)
  effects <- toy_effects(n_seq = 12)
  fit <- deep_mr_effects(effects, "x", "y", pairs = toy_pairs(),
    method = c("slope", "mr_ivw"))
  expect_snapshot(print(fit))
  expect_snapshot(print(summary(fit)))
  local <- tidy(fit, "local", conf.int = TRUE)
  expect_identical(nrow(local), 24L)
  expect_identical(local$conf.low, fit$local$conf.low)
  expect_identical(tidy(fit)$estimate, fit$global$estimate)
  expect_identical(tidy(fit)$term[fit$global$main], "pair-IV")
  expect_identical(glance(fit)$estimate, fit$global$estimate[1])
  expect_identical(glance(fit)$delta, fit$calibration$delta)
  file <- withr::local_tempfile()
  saveRDS(fit, file)
  expect_identical(readRDS(file), fit)
})

test_that("every type of plot draws what it says", {
  set.seed(2)
  fit <- deep_mr_effects(toy_effects(n_seq = 50), "x", "y", pairs = toy_pairs(),
    method = c("slope", "mr_egger_regression"))
  withr::local_pdf(NULL)
  forest <- plot(fit)
  expect_identical(nrow(forest), 40L)
  expect_false(is.unsorted(-forest$estimate))
  expect_identical(plot(fit, "global")$estimate, fit$global$estimate)
  expect_identical(nrow(plot(fit, "calibration")), fit$calibration$n)
  expect_identical(nrow(plot(fit, "density")),
    sum(fit$local$method == "slope" & !is.na(fit$local$estimate)))
  one <- plot(fit, "scatter", sequences = "s3", method = "MR Egger")
  expect_true(all(one$sequence == "s3" & one$instrument))
  expect_error(plot(fit, "scatter", sequences = "none"), class = "mrlearn_error_argument")
  expect_match(deep_picture(fit, "scatter", NULL, NULL)$xlab, "mutation on x")
  member <- deep_mr_effects(toy_effects(), "x", "y")
  expect_error(plot(member, "calibration"), class = "mrlearn_error_argument")
  skip_if_not_installed("ggplot2")
  for (type in c("forest", "scatter", "density", "global", "calibration")) {
    expect_s3_class(ggplot2::ggplot_build(ggplot2::autoplot(fit, type)), "ggplot_built")
  }
})

test_that("two factors cause what needs both, and not each other", {
  members <- lapply(paste0("member", 1:3), function(member) {
    tal1_model(shared_data("models", "tal1_gata_sim", "ensemble", member))
  })
  ensemble <- structure(list(members = members, bootstrap = FALSE, seed = 0),
    class = "seq_ensemble")
  sequences <- read_fasta(shared_data("models", "tal1_gata_sim", "all_test800.fa"))
  effects <- mutagenize(ensemble, sequences[seq(1, 800, by = 8)])
  mean_of <- function(x, y) {
    glance(deep_mr_effects(effects, paste0("logit_", x), paste0("logit_", y), strongest = 3))
  }
  for (x in c("GATA", "TAL1")) {
    expect_gt(mean_of(x, "both")$conf.low, 0)
  }
  for (edge in list(c("GATA", "TAL1"), c("TAL1", "GATA"))) {
    none <- mean_of(edge[1], edge[2])
    expect_true(none$conf.low < 0 && none$conf.high > 0)
  }
})

test_that("measured effects of elements go through the same steps", {
  element <- function(name) {
    d <- utils::read.csv(shared_data("satmut", paste0("pair_", name, ".csv.gz")))
    d <- d[d$alt != "-" & is.finite(d$se_x) & is.finite(d$se_y) & d$se_x > 0 & d$se_y > 0, ]
    one <- function(output, effect, se) {
      data.frame(sequence = name, position = d$pos, alt = d$alt, output, effect, std.error = se)
    }
    rbind(one("x", d$beta_x, d$se_x), one("y", d$beta_y, d$se_y))
  }
  effects <- rbind(element("LDLR__LDLR.2"), element("SORT1__SORT1.2"))
  fit <- deep_mr_effects(effects, "x", "y", instruments = "f", threshold = 20)
  ldlr <- fit$effects[fit$effects$sequence == "LDLR__LDLR.2" & fit$effects$instrument, ]
  slow <- stats::lm(beta.outcome ~ beta.exposure - 1, ldlr, weights = 1 / se.outcome^2)
  expect_equal(fit$local$estimate[1], unname(stats::coef(slow)), tolerance = 1e-12)
  expect_true(all(fit$local$n_instruments > 100))
  expect_true(all(abs(fit$local$estimate - 1) < 0.2)) # repeats of one experiment
  expect_identical(fit$global$k[fit$global$main], 2L)
})
