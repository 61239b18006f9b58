# The core's generator against R's distribution functions. Seeds are fixed; under the right law each
# test fails for one seed in 10,000, and a wrong law of visible size has p below 1e-10 at this n.
n <- 2e5
rare <- 1e-4

expect_law <- function(draws, cdf, ...) {
  testthat::expect_gt(suppressWarnings(stats::ks.test(draws, cdf, ...)$p.value), rare)
}

# Counts of 0, 1, ... against their probabilities.
expect_counts <- function(draws, probability) {
  counts <- tabulate(draws + 1, length(probability))
  testthat::expect_identical(sum(counts), length(draws))
  testthat::expect_gt(stats::chisq.test(counts, p = probability)$p.value, rare)
}

test_that("continuous draws follow R's distribution functions", {
  expect_law(rng_draw("uniform", n, seed = 1), "punif")
  expect_law(rng_draw("normal", n, seed = 2), "pnorm")
  expect_law(rng_draw("exponential", n, seed = 3), "pexp")
  for (shape in c(0.05, 0.3, 1, 1.7, 20)) {
    expect_law(rng_draw("gamma", n, seed = 4, parameter = shape), "pgamma", shape)
  }
})

test_that("uniform draws stay inside the open unit interval", {
  u <- rng_draw("uniform", 1e6, seed = 5)
  expect_gt(min(u), 0)
  expect_lt(max(u), 1)
})

test_that("normal draws have the moments and the tail of the normal law", {
  x <- rng_draw("normal", 1e6, seed = 6)
  # Standard errors of the means of x^k: sqrt(var(x^k) / n).
  moments <- c(0, 1, 0, 3, 0, 15)
  error <- sqrt((c(1, 3, 15, 105, 945, 10395) - moments^2) / 1e6)
  z <- (vapply(1:6, function(k) mean(x^k), 0) - moments) / error
  expect_lt(max(abs(z)), 4.2) # six normal z: p < 2e-4
  beyond <- abs(x[abs(x) > 3])
  expect_law(2 * stats::pnorm(-beyond) / (2 * stats::pnorm(-3)), "punif")
})

test_that("counts follow R's probabilities", {
  for (p in c(0.01, 0.05, 0.31, 0.5)) {
    expect_counts(rng_draw("genotype", n, seed = 7, parameter = p), stats::dbinom(0:2, 2, p))
  }
  expect_counts(rng_draw("below", n, seed = 8, parameter = 13), rep(1 / 13, 13))
  expect_identical(rng_draw("genotype", 10, seed = 9, parameter = 0), rep(0, 10))
  expect_identical(rng_draw("genotype", 10, seed = 9, parameter = 1), rep(2, 10))
})

test_that("a permutation has every value once and no memory of places", {
  order <- rng_draw("permutation", 1e4, seed = 10)
  expect_identical(sort(order), as.double(0:9999))
  # The rank correlation of a random permutation has SD 1/sqrt(n - 1).
  expect_lt(abs(stats::cor(order, 0:9999)), 4 / sqrt(9999))
})

test_that("streams and seeds are independent and repeatable", {
  base <- rng_draw("normal", n, seed = 11)
  others <- list(
    rng_draw("normal", n, seed = 11, stream = 1), rng_draw("normal", n, seed = 12),
    rng_draw("normal", n, seed = 11 + 2^32), rng_draw("normal", n, seed = -11)
  )
  for (other in others) {
    expect_lt(abs(stats::cor(base, other)), 4 / sqrt(n))
    expect_length(intersect(base, other), 0)
  }
  expect_identical(rng_draw("normal", n, seed = 11), base)
  expect_identical(rng_draw("normal", 10, seed = 11), base[1:10])
})

test_that("no seed draws one from R's generator, a seed leaves it alone", {
  set.seed(1)
  first <- rng_draw("uniform", 5)
  second <- rng_draw("uniform", 5)
  expect_false(identical(first, second))
  set.seed(1)
  expect_identical(rng_draw("uniform", 5), first)
  before <- .Random.seed
  rng_draw("uniform", 5, seed = 3)
  expect_identical(.Random.seed, before)
})

test_that("the first draws of a seed are those they have always been", {
  # From an independent Philox4x32-10 with key (42, 0) and counter (0, 0, 0, 2^24): each pair of
  # words, low one first, gives (the upper 53 bits | 1) / 2^53.
  expect_identical(
    sprintf("%a", rng_draw("uniform", 2, seed = 42)),
    c("0x1.d97529d52f20fp-1", "0x1.d9cc73d07dea8p-4")
  )
})
