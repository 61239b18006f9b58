# Medians, modes and bootstrap Egger: published points, slow versions, the bootstrap's normals.

ratio_methods <- setdiff(names(slow_boot_methods()), "MR Egger (bootstrap)")

estimates <- function(dat, methods = names(slow_boot_methods()), seed = 1, ...) {
  out <- mr_estimate(dat, methods, seed = seed, ...)
  out[match(methods, out$method), ]
}

test_that("points of the lipid data are those of MendelianRandomization and TwoSampleMR", {
  b <- function(...) estimates(lipid_ldl(), ratio_methods, n_boot = 2, ...)$b
  # To the digits printed: half a unit of the last one.
  expect_lt(max(abs(b() - c(
    1.7551383, 2.6772443, 2.6769070, 2.4055511, 2.9463006, 2.4055511, 2.9463006
  ))), 5.1e-8)
  medians <- b(median_weights = "simple")[1:3]
  expect_lt(max(abs(medians - c(1.7551383, 2.6828835, 2.6809294))), 5.1e-8)
  expect_lt(max(abs(b(phi = 0.5)[4:7] - 2.6664821)), 5.1e-8)
})

test_that("points equal slow versions", {
  for (dat in list(lipid_ldl(), lipid_ldl(27), lipid_ldl(3))) {
    for (phi in c(0.25, 1)) {
      fast <- estimates(dat, ratio_methods, n_boot = 2, phi = phi)$b
      slow <- slow_boot_methods(phi)[ratio_methods]
      slow <- vapply(slow, function(m) m$point(boot_effects(dat)), 0)
      # Sums in another order: a few ulp.
      expect_lt(max(abs(fast / slow - 1)), 1e-13)
    }
  }
})

test_that("density_mode() finds the grid point of stats::density()", {
  set.seed(20170612)
  shapes <- list(
    stats::rnorm, function(n) stats::rt(n, 1), function(n) c(stats::rnorm(n - 1), 50),
    function(n) round(stats::rnorm(n), 1), function(n) 5 + 1e-3 * stats::rnorm(n),
    function(n) stats::rnorm(n) + rep_len(c(0, 4), n)
  )
  # Values within rounding (R's come from an FFT) of each other let either win. That has a chance of
  # about 1e-12 a sample, or needs symmetry, which random weights exclude.
  one <- function(i) {
    x <- shapes[[1 + i %% 6]](sample(c(3, 4, 10, 28, 79, 300), 1))
    w <- exp(sample(c(0.3, 1, 3), 1) * stats::rnorm(length(x)))
    bw <- slow_bandwidth(x, sample(c(0.25, 0.5, 1, 2), 1))
    fast <- density_mode(x, w / sum(w), bw)
    slow <- slow_density_mode(x, w / sum(w), bw)
    step <- (diff(range(x)) + 6 * bw) / 511
    abs(fast - slow) <= max(1e-9 * step, 4 * .Machine$double.eps * max(abs(x)))
  }
  expect_identical(sum(!vapply(1:10000, one, NA)), 0L)
})

test_that("the exact mode is the maximum of the sum of densities", {
  set.seed(4)
  for (i in 1:20) {
    x <- sort(stats::rnorm(15) + rep_len(c(0, 0, 4), 15))
    w <- stats::rexp(15)
    bw <- stats::runif(1, 0.1, 1)
    height <- function(u) sum(w * stats::dnorm(u, x, bw))
    from <- seq(-4, 8, by = bw / 20)
    near <- from[which.max(vapply(from, height, 0))]
    best <- stats::optimize(height, near + c(-1, 1) * bw / 10, maximum = TRUE, tol = 1e-10)
    # optimize() places a maximum to the square root of rounding at best.
    expect_lt(abs(density_mode(x, w, bw, exact = TRUE) - best$maximum), 1e-6 * bw)
  }
})

test_that("standard errors equal slow ones made of the same normals", {
  dat <- rbind(lipid_ldl(11), transform(lipid_ldl(), id.exposure = "other"))
  n_boot <- 100
  for (first_order in c(FALSE, TRUE)) {
    phi <- if (first_order) 0.5 else 1
    weights <- if (first_order) "simple" else "delta"
    slow <- slow_boot_methods(phi, first_order)
    fast <- mr_estimate(dat, names(slow), n_boot = n_boot, phi = phi, median_weights = weights,
      seed = 42)
    for (group in 0:1) {
      d <- boot_effects(dat[dat$id.exposure == unique(dat$id.exposure)[group + 1], ])
      se <- vapply(slow, function(m) m$spread(slow_boot(d, m, n_boot, core_normals(42, group))), 0)
      mine <- fast[fast$id.exposure == unique(dat$id.exposure)[group + 1], ]
      expect_lt(max(abs(mine$se[match(names(slow), mine$method)] / se - 1)), 1e-10)
    }
  }
})

test_that("bootstrap Egger is TwoSampleMR's", {
  d <- boot_effects(lipid_ldl())
  normals <- core_normals(9)
  line <- vapply(1:200, function(b) {
    z <- normals(b, 56)
    x <- d$bx + d$sx * z[1:28]
    y <- (d$by + d$sy * z[29:56]) * sign(x)
    slope <- slow_boot_egger()$draw(d, z)
    c(slope, mean(y) - slope * mean(abs(x)))
  }, c(0, 0))
  fast <- estimates(lipid_ldl(), "MR Egger (bootstrap)", n_boot = 200, seed = 9)
  expect_equal(fast$b, mean(line[1, ]), tolerance = 1e-12)
  expect_equal(fast$se, stats::sd(line[1, ]), tolerance = 1e-12)
  expect_equal(fast$intercept, mean(line[2, ]), tolerance = 1e-12)
  expect_equal(fast$intercept_se, stats::sd(line[2, ]), tolerance = 1e-12)
  expect_identical(fast$pval, mean(line[1, ] * sign(fast$b) < 0))
  expect_identical(fast$intercept_pval, mean(line[2, ] * sign(fast$intercept) < 0))
})

# Standard errors of 40 seeds: their mean and how much one with n_boot draws varies.
monte_carlo <- function(dat, methods, n_boot, ...) {
  se <- vapply(1:40, function(seed) {
    estimates(dat, methods, seed = seed, n_boot = n_boot, ...)$se
  }, numeric(length(methods)))
  se <- matrix(se, length(methods))
  list(mean = rowMeans(se), sd = apply(se, 1, stats::sd), n_boot = n_boot)
}

# Is a standard error from n_boot draws what it should be? Its Monte Carlo variance falls as 1 over
# n_boot; t of 39 degrees of freedom exceeds 5.5 with probability 2e-6.
expect_drawn <- function(se, from, n_boot = from$n_boot) {
  away <- abs(se - from$mean) / (from$sd * sqrt(from$n_boot / n_boot + 1 / 40))
  testthat::expect_lt(max(away), 5.5)
}

test_that("standard errors are those of a plain loop with R's own normals", {
  set.seed(5)
  d <- boot_effects(lipid_ldl())
  slow <- slow_boot_methods()
  se <- vapply(slow, function(m) m$spread(slow_boot(d, m, 300, r_normals)), 0)
  expect_drawn(se, monte_carlo(lipid_ldl(), names(slow), 300))
})

test_that("recorded standard errors are within Monte Carlo error", {
  # MendelianRandomization, 10,000 draws: its printed SEs of the lipid data.
  drawn <- function(...) monte_carlo(lipid_ldl(), n_boot = 1000, ...)
  expect_drawn(c(0.73997605, 0.41890647, 0.42040725),
    drawn(ratio_methods[1:3], median_weights = "simple"), 10000)
  expect_drawn(c(1.2362321, 0.98373772, 0.6143997, 0.37357872), drawn(ratio_methods[4:7]), 10000)
  expect_drawn(c(1.2615551, 1.0495047, 0.65029345, 0.4115644),
    drawn(ratio_methods[4:7], phi = 0.5), 10000)
  # TwoSampleMR 0.7.9, 1000 draws.
  for (set in c("lipid", "bmi_chd")) {
    file <- function(what) shared_data("reference", "twosamplemr", paste0(set, "_", what, ".csv"))
    recorded <- utils::read.csv(file("mr"))
    recorded <- recorded[match(ratio_methods, recorded$method), ]
    dat <- utils::read.csv(file("harmonised"))
    ours <- estimates(dat, ratio_methods, n_boot = 2)
    expect_lt(max(abs(ours$b / recorded$b - 1)), 1e-10)
    expect_drawn(recorded$se, monte_carlo(dat, ratio_methods, 1000))
  }
})

test_that("a bootstrap that draws from the wrong variant's distribution is found out", {
  set.seed(6)
  d <- boot_effects(lipid_ldl())
  from <- monte_carlo(lipid_ldl(), "Weighted mode", 300)
  se <- mutant_mode_se(d, 300)
  # Four times what the tests above allow, so they would have failed.
  expect_gt(abs(se - from$mean) / from$sd, 22)
})

test_that("results depend on the seed, not on threads or on the other methods and pairs", {
  dat <- lipid_ldl()
  methods <- names(slow_boot_methods())
  one <- mr_estimate(dat, methods, n_boot = 500, seed = 3, n_threads = 1)
  expect_identical(mr_estimate(dat, methods, n_boot = 500, seed = 3, n_threads = 3), one)
  last <- mr_estimate(dat, methods[8], n_boot = 500, seed = 3)
  expect_identical(last$se, one$se[one$method == methods[8]])
  # So many draws that threads share out one bootstrap.
  long <- function(n_threads) {
    estimates(dat, methods[c(2, 5, 8)], n_boot = 60000, n_threads = n_threads)
  }
  expect_identical(long(1), long(2))
  two <- mr_estimate(rbind(dat, transform(dat, id.exposure = "again")), "Weighted mode",
    n_boot = 500, seed = 3)
  expect_identical(two$se[1], one$se[one$method == "Weighted mode"])
  expect_false(two$se[1] == two$se[2])
  set.seed(8)
  a <- mr_estimate(dat, "Weighted mode", n_boot = 50)
  b <- mr_estimate(dat, "Weighted mode", n_boot = 50)
  set.seed(8)
  expect_identical(mr_estimate(dat, "Weighted mode", n_boot = 50), a)
  expect_false(a$se == b$se)
})

test_that("p-values are normal for medians and Student's t for modes", {
  fast <- estimates(lipid_ldl(), ratio_methods, n_boot = 100)
  z <- abs(fast$b / fast$se)
  expect_equal(fast$pval, c(2 * stats::pnorm(-z[1:3]), 2 * stats::pt(-z[4:7], 27)),
    tolerance = 1e-10)
})

test_that("modes and medians are equivariant under units of exposure and outcome", {
  dat <- lipid_ldl()
  scaled <- transform(dat,
    beta.exposure = 4 * beta.exposure, se.exposure = 4 * se.exposure,
    beta.outcome = beta.outcome / 8, se.outcome = se.outcome / 8
  )
  methods <- names(slow_boot_methods())
  # Powers of two: nothing is rounded but the 1e-8 least bandwidth, which is not reached.
  expect_equal(estimates(scaled, methods)$b * 32, estimates(dat, methods)$b, tolerance = 1e-14)
  expect_equal(estimates(scaled, methods)$se * 32, estimates(dat, methods)$se, tolerance = 1e-14)
})

test_that("too few variants, infinite ratios and equal ratios", {
  methods <- names(slow_boot_methods())
  few <- estimates(lipid_ldl(2), methods)
  expect_true(all(is.na(few$b)) && !anyNA(few$note))
  zero <- lipid_ldl()
  zero$beta.exposure[4] <- 0
  expect_true(all(is.na(estimates(zero, ratio_methods)$b)))
  equal <- transform(lipid_ldl(), beta.outcome = beta.exposure / 2)
  expect_lt(max(abs(estimates(equal, ratio_methods)$b - 0.5)), 1e-9)
})

test_that("the exact mode is the maximum of the density, near the grid's", {
  ldl <- subset(lipid_chd, exposure == "LDL")
  b <- function(mode, name) mr_estimate(ldl, name, n_boot = 10, mode = mode, seed = 1)$b
  ratio <- ldl$beta.outcome / ldl$beta.exposure
  h <- 0.9 * min(sd(ratio), mad(ratio)) / length(ratio)^0.2
  height <- function(x) mean(dnorm((x - ratio) / h))
  at <- b("exact", "mr_simple_mode")
  best <- optimize(height, at + c(-1, 1) * h / 10, maximum = TRUE, tol = 1e-10)$maximum
  expect_equal(at, best, tolerance = 1e-6)
  # The grid's points are (range + 6 h) / 511 apart; its maximiser is a neighbour of the maximum.
  step <- (diff(range(ratio)) + 6 * h) / 511
  expect_lt(abs(b("grid", "mr_simple_mode") - at), 2 * step)
  expect_false(b("grid", "mr_weighted_mode") == b("exact", "mr_weighted_mode"))
})
