# Checks: each value by its definition, verdicts that turn where something is wrong.

value_of <- function(checks, what, of = "") {
  checks$value[checks$check == what & checks$of == of]
}

verdict_of <- function(checks, what, of = "") {
  checks$verdict[checks$check == what & checks$of == of]
}

test_that("a sound result is fine, and what cannot be looked at is said", {
  set.seed(1)
  effects <- toy_effects(n_members = 5, slope = rep(1, 6), error = 0.05)
  result <- deep_mr_effects(effects, "x", "y")
  checks <- deep_mr_check(result, effects)
  expect_s3_class(checks, "deep_mr_check")
  for (what in c("members", "instruments", "strength", "proportionality", "linearity",
    "heterogeneity", "Egger intercepts")) {
    expect_equal(verdict_of(checks, what), "fine", info = what)
  }
  expect_equal(verdict_of(checks, "accuracy"), "not checked")
  expect_equal(verdict_of(checks, "error of slopes"), "not checked")
  used <- result$effects[result$effects$instrument, ]
  expect_equal(value_of(checks, "strength"),
    stats::median((used$beta.exposure / used$se.exposure)^2))
  expect_equal(value_of(checks, "instruments"),
    stats::median(tabulate(factor(used$sequence))))
  expect_snapshot(print(checks[1:6, ], digits = 2))
})

test_that("the error that instruments share is an intraclass correlation", {
  set.seed(2)
  n_seq <- 40
  n <- 12
  group <- rep(seq_len(n_seq), each = n)
  make <- function(share) {
    vapply(1:5, function(k) {
      sqrt(share) * stats::rnorm(n_seq)[group] + sqrt(1 - share) * stats::rnorm(n * n_seq)
    }, numeric(n * n_seq))
  }
  # Of one-way analysis of variance, balanced: the standard error of the correlation with 160 groups
  # of 12 is at most .03.
  for (share in c(0, 0.5, 0.85)) {
    found <- member_correlation(make(share), group)
    expect_lt(abs(found$icc - share), 0.1)
  }
  x <- make(0.5)
  off <- x - rowMeans(x)
  mean_of <- apply(off, 2, function(v) tapply(v, group, mean))
  between <- n * sum(mean_of^2) / n_seq
  within <- sum((off - mean_of[group, ])^2) / (n_seq * (n - 1))
  expect_equal(member_correlation(x, group)$icc, (between - within) / (between + (n - 1) * within))
})

test_that("curved, shifted and scattered effects are doubtful", {
  set.seed(3)
  effects <- toy_effects(n_seq = 8, slope = rep(1, 8), error = 0.02)
  y <- which(effects$output == "y")
  x <- effects$effect[y - 1]
  changed <- function(value) {
    out <- effects
    out$members[y, ] <- out$members[y, ] - out$effect[y] + value
    out$effect[y] <- value
    deep_mr_check(deep_mr_effects(out, "x", "y", instruments = "none"))
  }
  expect_equal(verdict_of(changed(x), "linearity"), "fine")
  expect_equal(verdict_of(changed(abs(x) * x + 0), "linearity"), "doubtful")
  expect_equal(verdict_of(changed(x + 2 * sign(x)), "Egger intercepts"), "doubtful")
  expect_equal(verdict_of(changed(x + stats::rnorm(length(x), sd = 4)), "proportionality"),
    "doubtful")
  slope <- rep(c(0.2, 2, 0.4, 1.5), each = 40)
  expect_equal(verdict_of(changed(slope * x), "heterogeneity"), "doubtful")
})

test_that("models and measured pairs are looked at where they are given", {
  sim <- sim_sequences(n = 60, length = 60, mutants = 0, seed = 1)
  sequences <- stats::setNames(sim$sequence, sim$id)
  oracle <- truth(sim)$oracle
  model <- seq_predictor(function(s) {
    mean <- as.matrix(oracle(s))
    array(c(mean, 1.02 * mean, 0.98 * mean), c(length(s), 2, 3),
      list(NULL, c("exposure", "outcome"), NULL))
  })
  effects <- mutagenize(model, sequences[1:15])
  result <- deep_mr_effects(effects, "exposure", "outcome")
  labels <- cbind(exposure = sim$exposure, outcome = sim$outcome)
  checks <- deep_mr_check(result, effects, model, sequences, labels)
  mean <- as.matrix(predict(model, sequences)[-1])
  expect_equal(value_of(checks, "accuracy", "outcome"),
    stats::cor(mean[, "outcome"], sim$outcome, method = "spearman"))
  expect_match(checks$note[checks$check == "members"], "^few; ")
  # Counts of 100 vary by 10, members by 2: most are outside.
  expect_equal(verdict_of(checks, "calibration", "outcome"), "doubtful")
  set.seed(4)
  pairs <- toy_pairs()
  toy <- toy_effects(n_seq = 20, slope = rep(1.3, 20))
  fit <- deep_mr_effects(toy, "x", "y", pairs = pairs)
  checks <- deep_mr_check(fit, toy, pairs = pairs)
  x <- pairs[pairs$output == "x" & pairs$keep, ]
  expect_equal(value_of(checks, "calibration of effects", "x"),
    sum(x$effect * x$observed) / sum(x$effect^2))
  expect_equal(verdict_of(checks, "accuracy of effects", "y"), "fine")
  expect_equal(value_of(checks, "error of slopes"),
    fit$calibration$delta / mean(abs(fit$calibration$errors$slope)))
})

test_that("what does not belong together is refused", {
  set.seed(5)
  effects <- toy_effects()
  result <- deep_mr_effects(effects, "x", "y")
  expect_error(deep_mr_check(1), class = "mrlearn_error_argument")
  expect_error(deep_mr_check(result, toy_effects()), class = "mrlearn_error_data")
  model <- seq_predictor(function(s) cbind(x = nchar(s), y = 1))
  expect_error(deep_mr_check(result, model = model, sequences = c(a = "ACGT"),
    labels = cbind(z = 1)), class = "mrlearn_error_argument")
})
