test_that("statistics equal those of kernlab, dHSIC and FNN", {
  # Sums of at most 300^2 terms in another order: far below 1e-10 of the value.
  recorded <- utils::read.csv(test_path("fixtures", "kernel_recorded.csv"))
  samples <- kernel_samples()
  for (name in names(samples)) {
    s <- samples[[name]]
    h <- kernel_bandwidths
    paired <- s$y[rep_len(seq_len(nrow(s$y)), nrow(s$x)), , drop = FALSE]
    ours <- c(
      mmd_poly = mmd(s$x, s$y, "poly"),
      mmd_gaussian = mmd(s$x, s$y, bandwidth = h[1]),
      hsic_gaussian = hsic(s$x, paired, bandwidth = h),
      hsic_poly = hsic(s$x, paired, "poly"),
      entropy_1 = entropy(s$x, k = 1), entropy_5 = entropy(s$x)
    )
    of <- recorded[recorded$sample == name, ]
    expect_equal(ours, stats::setNames(of$value, of$quantity), tolerance = 1e-10)
  }
})

test_that("scales and default bandwidths are what the page says", {
  s <- kernel_samples()$small
  at <- function(h) mmd(s$x, s$y, bandwidth = h)
  expect_equal(mmd(s$x, s$y, bandwidth = 2, scales = c(0.5, 1, 3)), at(1) + at(2) + at(6))
  expect_equal(mmd(s$x, s$y), at(stats::median(stats::dist(rbind(s$x, s$y)))))
  x <- s$x[, 1]
  y <- s$x[, 2]
  each <- c(stats::median(stats::dist(x)), stats::median(stats::dist(y)))
  expect_equal(hsic(x, y), hsic(x, y, bandwidth = each))
  # Means and covariances of one column: the squared differences of mean and variance.
  expect_equal(mmd(x, y, "moments"), (mean(x) - mean(y))^2 + (stats::var(x) - stats::var(y))^2)
})

test_that("entropies are those of known laws", {
  # The SD of the estimates is about 1 / sqrt(n); 5 of them.
  set.seed(2)
  x <- matrix(stats::rnorm(4000), 2000) %*% chol(matrix(c(1, 0.5, 0.5, 1), 2))
  exact <- 0.5 * log((2 * pi * exp(1))^2 * 0.75)
  expect_equal(entropy(x), 2.682721, tolerance = 1e-6) # FNN::entropy of these draws
  expect_equal(entropy(x, "gaussian"),
    0.5 * log(det(2 * pi * exp(1) * stats::cov(x))), tolerance = 1e-12)
  expect_lt(abs(entropy(x, "gaussian") - exact), 5 / sqrt(2000))
  expect_equal(entropy(x, "squashed"), entropy(stats::pnorm(x)), tolerance = 1e-12)
  # A change of units moves it by the logarithm of the determinant.
  expect_equal(entropy(x %*% diag(c(3, 3))), entropy(x) + log(9), tolerance = 1e-12)
})

test_that("permutation tests see what there is", {
  set.seed(3)
  x <- matrix(stats::rnorm(240), 120)
  group <- rep(c("a", "b", "c"), 40)
  test <- kernel_test(x, group = group, seed = 1)
  expect_named(test, c("test", "statistic", "p.value", "n_perm"))
  pairs <- utils::combn(c("a", "b", "c"), 2, function(g) {
    mmd(x[group == g[1], ], x[group == g[2], ], bandwidth = 1.5)
  })
  expect_equal(kernel_test(x, group = group, bandwidth = 1.5, seed = 1)$statistic, mean(pairs))
  shifted <- x + (group == "c")
  expect_identical(kernel_test(shifted, group = group, n_perm = 99, seed = 1)$p.value, 0.01)
  y <- x[, 1]^2 + stats::rnorm(120) / 2
  expect_identical(kernel_test(x, y, n_perm = 99, seed = 1)$p.value, 0.01)
  expect_equal(kernel_test(x, y, bandwidth = 1, seed = 1)$statistic, hsic(x, y, bandwidth = 1))
  # A dependence by the groups' means alone is none within groups.
  level <- rep(c(0, 3), each = 60)
  between <- kernel_test(x + level, stats::rnorm(120) + level, rep(1:2, each = 60), seed = 1)
  expect_gt(between$p.value, 0.01)
  expect_identical(kernel_test(x + level, level + x[, 2], n_perm = 99, seed = 1)$p.value, 0.01)
})

test_that("order of rows and threads do not matter", {
  set.seed(4)
  x <- matrix(stats::rnorm(90), 45)
  y <- stats::rnorm(45)
  group <- rep(1:3, 15)
  one <- kernel_test(x, y, group, seed = 5, bandwidth = 1, n_threads = 1)
  expect_identical(kernel_test(x, y, group, seed = 5, bandwidth = 1, n_threads = 2), one)
  order <- sample(45)
  expect_equal(kernel_test(x[order, ], y[order], group[order], seed = 5, bandwidth = 1)$statistic,
    one$statistic, tolerance = 1e-12)
})

test_that("bad input", {
  x <- matrix(1:20 / 7, 10)
  expect_snapshot(error = TRUE, {
    mmd(x, 1:10)
    mmd(x, x, bandwidth = -1)
    mmd(x, replace(x, 3, NA))
    hsic(x, 1:9)
    hsic(x, 1:10, scales = 0)
    entropy(matrix(1, 10, 2))
    entropy(1:4)
    kernel_test(x)
    kernel_test(x, group = c(1, rep(2, 9)))
  })
})
