# Heteroskedastic regression with skewed errors: the predicted sd is proportional to the true one,
# half as large, and the predicted law symmetric.
simulate <- function(n, seed) {
  set.seed(seed)
  x <- stats::runif(n, -1, 1)
  sd <- 0.2 + abs(x)
  list(y = sin(3 * x) + sd * (stats::rexp(n) - 1), law = predicted_law(sin(3 * x), sd / 2))
}

# Distance of numbers from uniform times the root of the harmonic n of them and of those that the
# map was learnt from: above 1.95 in one of 1,000 samples (Kolmogorov's law for two samples).
distance <- function(p, n_learnt) {
  p <- sort(p)
  n <- length(p)
  max(seq_len(n) / n - p, p - (seq_len(n) - 1) / n) * sqrt(n * n_learnt / (n + n_learnt))
}

test_that("isotonic regression is that of stats::isoreg", {
  set.seed(2)
  for (n in c(1, 2, 5, 100)) {
    y <- stats::rnorm(n) + seq_len(n) / n
    fit <- .Call(C_isotonic_fit, y, NULL)$value
    expect_equal(fit, stats::isoreg(y)$yf, tolerance = 1e-14)
    # a whole weight is as many equal numbers behind each other
    w <- sample(1:3, n, TRUE)
    long <- stats::isoreg(rep(y, w))$yf
    expect_equal(.Call(C_isotonic_fit, y, as.double(w))$value, long[cumsum(w)], tolerance = 1e-14)
  }
})

test_that("recalibrated quantiles are uniform on fresh data", {
  held <- simulate(2000, 1)
  fresh <- simulate(2000, 2)
  fit <- calibrate(held$law, held$y)
  before <- stats::pnorm((fresh$y - fresh$law$mean) / fresh$law$sd)
  after <- predict(fit, fresh$law, "cdf", y = fresh$y)$prob
  expect_gt(distance(before, 2000), 5)
  expect_lt(distance(after, 2000), 1.95)
  # of the quantiles themselves, in the same way
  q <- predict(fit, fresh$law, probs = c(0.05, 0.3, 0.9))
  share <- tapply(fresh$y[q$row] <= q$quantile, q$prob, mean)
  level <- c(0.05, 0.3, 0.9)
  expect_true(all(abs(share - level) < 3.5 * sqrt(2 * level * (1 - level) / 2000)))
  interval <- predict(fit, fresh$law, "interval", conf_level = 0.8)
  covered <- mean(fresh$y >= interval$conf.low & fresh$y <= interval$conf.high)
  expect_lt(abs(covered - 0.8), 3.5 * sqrt(2 * 0.8 * 0.2 / 2000))
})

test_that("quantiles and distribution functions are inverse to each other", {
  held <- simulate(300, 3)
  fit <- calibrate(held$law, held$y)
  law <- predicted_law(quantiles = rbind(c(1, 2, 4), c(-1, 0, 0.5)), levels = c(0.1, 0.5, 0.8))
  for (p in c(1e-4, 0.1, 0.4, 0.9, 0.9999)) {
    y <- predict(fit, law, probs = p)$quantile
    expect_equal(predict(fit, law, "cdf", y = y)$prob, c(p, p), tolerance = 1e-9)
  }
  normal <- predicted_law(c(1, 2), c(1, 2))
  y <- predict(fit, normal, probs = 0.99)$quantile
  expect_equal(predict(fit, normal, "cdf", y = y)$prob, c(0.99, 0.99), tolerance = 1e-9)
})

# Two published defects, as mutants. The first fits shares of central intervals and uses them as if
# they were of quantiles; the second mirrors shares. Both are harmless only where errors are
# symmetric.
test_that("maps of intervals, and mirrored ones, fail where errors are skewed", {
  held <- simulate(2000, 1)
  fresh <- simulate(2000, 2)
  score <- function(sim) drop((sim$y - sim$law$mean) / sim$law$sd)
  # share of outcomes within the central interval of level p, as R(p)
  level <- 2 * stats::pnorm(abs(score(held))) - 1
  of_intervals <- stats::ecdf(level)(stats::pnorm(score(fresh)))
  expect_gt(distance(of_intervals, 2000), 5)
  mirror_map <- calibration_map(-score(held))
  mirrored <- stats::pnorm(score_forward(mirror_map, score(fresh)))
  expect_gt(distance(mirrored, 2000), 5)
  right <- calibration_map(score(held))
  expect_lt(distance(stats::pnorm(score_forward(right, score(fresh))), 2000), 1.95)
})

test_that("replicates stand for quantiles, and many of them for the distribution", {
  set.seed(4)
  n <- 1500
  mean <- stats::rnorm(n)
  replicates <- mean + matrix(stats::rnorm(n * 20), n) # too wide by 2
  y <- mean + stats::rnorm(n) / 2
  fit <- calibrate(predicted_law(replicates = replicates[1:1000, ]), y[1:1000])
  law <- predicted_law(replicates = replicates[1001:n, ])
  after <- predict(fit, law, "cdf", y = y[1001:n])$prob
  expect_lt(distance(after, 1000), 1.95)
  # the order of members does not matter
  expect_identical(predicted_law(replicates = replicates[1:9, 20:1]), predicted_law(replicates =
    replicates[1:9, ]))
})

test_that("an ensemble's law is that of its members' mean and standard deviation", {
  member <- function(slope) {
    seq_model(list(seq_layer("dense", units = 1, name = "u")), 4, parameters = slope * (1:17))
  }
  ensemble <- function(...) {
    structure(list(members = lapply(c(...), member)), class = "seq_ensemble")
  }
  set.seed(6)
  sequences <- replicate(60, paste(sample(c("A", "C", "G", "T"), 4, TRUE), collapse = ""))
  mean <- predict(member(1), sequences)$u
  y <- mean + stats::rnorm(60)
  fit <- calibrate(ensemble(0.9, 1, 1.1), sequences, y)
  expect_identical(fit$outputs, "u")
  expect_equal(fit$maps$u$score, sort((y - mean) / (0.1 * mean)), tolerance = 1e-4) # in float
  expect_error(calibrate(ensemble(1), sequences, y), "ensemble of one",
    class = "mrlearn_error_data")
  expect_error(calibrate(ensemble(1, 1), sequences, y), "no variation",
    class = "mrlearn_error_data")
})

test_that("several outputs have maps of their own", {
  one <- simulate(100, 5)
  two <- simulate(100, 6)
  both <- predicted_law(cbind(a = one$law$mean, b = two$law$mean)[, 1:2],
    cbind(one$law$sd, two$law$sd))
  both$outputs <- c("a", "b")
  fit <- calibrate(both, cbind(one$y, two$y))
  expect_identical(fit$maps$a, calibrate(one$law, one$y)$maps$y)
  expect_identical(fit$maps$b, calibrate(two$law, two$y)$maps$y)
  sd <- predict(fit, both, "sd")
  expect_identical(sd$output, rep(c("a", "b"), each = 100))
  # the predicted sd is half the true one; that of a law with mass at one side is near it
  expect_lt(abs(mean(sd$sd / c(one$law$sd, two$law$sd)) - 2), 0.6)
})

test_that("the table of reliability says before and after", {
  held <- simulate(1000, 7)
  fit <- calibrate(held$law, held$y)
  table <- reliability(fit)
  p <- stats::pnorm((held$y - held$law$mean) / held$law$sd)
  expect_equal(table$before, vapply(table$level, function(l) mean(p <= l), 0))
  # cross-fitted: errors of two samples, one nine times as large
  expect_true(all(abs(table$after - table$level) < 4 * table$std.error * sqrt(1 + 1 / 9)))
  expect_gt(max(abs(table$before - table$level)), 0.15)
  fresh <- simulate(1000, 8)
  new <- reliability(fit, fresh$law, fresh$y)
  expect_true(all(abs(new$after - new$level) < 4 * new$std.error * sqrt(2)))
  withr::local_pdf(NULL)
  expect_identical(plot(fit), table)
  expect_s3_class(ggplot2::autoplot(fit, fresh$law, fresh$y), "ggplot")
  expect_snapshot(calibrate(predicted_law(rep(0, 40), rep(1, 40)), seq(-1, 3, length.out = 40)))
})

test_that("what cannot be calibrated is refused", {
  law <- predicted_law(1:30, rep(1, 30))
  expect_snapshot(error = TRUE, {
    predicted_law(1:3)
    predicted_law(1:3, 1:2)
    predicted_law(1:3, c(1, 0, 1))
    predicted_law(1:3, rep(1, 3), replicates = 1)
    predicted_law(replicates = matrix(1:3))
    predicted_law(replicates = matrix(1, 3, 4))
    predicted_law(quantiles = cbind(2, 1), levels = c(0.1, 0.9))
    predicted_law(quantiles = cbind(1, 2), levels = c(0.9, 0.1))
    calibrate(law, 1:29)
    calibrate(law, c(1:29, NA))
    calibrate(predicted_law(1:5, rep(1, 5)), 1:5)
    calibrate(law, 1:30)
    calibrate("model", "ACGT", 1)
    predict(calibrate(law, 30:1), predicted_law(cbind(1, 2), cbind(1, 2)))
    predict(calibrate(law, 30:1), law, probs = 1)
    predict(calibrate(law, 30:1), law, level = 0.9)
    reliability(law)
  })
})
