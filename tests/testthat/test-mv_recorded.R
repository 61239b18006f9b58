# What MendelianRandomization 0.10.0 gives on its lipid data (data-raw/mv_oracle.R).

recorded_values <- function(case, quantity) {
  rows <- mv_recorded()
  rows$value[rows$case == case & rows$quantity == quantity]
}
expect_recorded <- function(fit, case, quantities, tolerance) {
  for (q in quantities) {
    theirs <- recorded_values(case, q)
    expect_gt(length(theirs), 0)
    expect_relative(fit[[q]][seq_along(theirs)], theirs, tolerance, paste(case, q))
  }
}
neighbours <- 0.4^abs(outer(1:28, 1:28, "-"))
errors <- matrix(c(1, -0.1, 0.2, 0.05, -0.1, 1, -0.3, 0, 0.2, -0.3, 1, 0.1, 0.05, 0, 0.1, 1), 4)

test_that("IVW and Egger are theirs, with correlated variants too", {
  # Closed forms, well conditioned: rounding, some 1e-14, more in small p-values.
  d <- mv_lipids()
  all <- c("b", "se", "pval", "sigma", "Q", "Q_pval")
  expect_recorded(mv_estimate(d, "mv_ivw"), "ivw", all, 1e-11)
  expect_recorded(mv_estimate(d, "mv_ivw", distribution = "t-dist"), "ivw t", all, 1e-11)
  expect_recorded(mv_estimate(d, "mv_ivw_fe"), "ivw fixed", all, 1e-11)
  expect_recorded(mv_estimate(d, "mv_ivw", ld = neighbours), "ivw ld", all, 1e-11)
  expect_recorded(mv_estimate(d, "mv_ivw_fe", ld = neighbours), "ivw fixed ld", all, 1e-11)
  all <- c(all, "intercept", "intercept_se", "intercept_pval")
  expect_recorded(mv_estimate(d, "mv_egger"), "egger", all, 1e-11)
  expect_recorded(mv_estimate(d, "mv_egger", orientate = "HDL"), "egger HDL", all, 1e-11)
  expect_recorded(mv_estimate(d, "mv_egger", ld = neighbours), "egger ld", all, 1e-11)
})

test_that("LASSO chooses their penalty and their variants", {
  d <- mv_lipids()
  all <- c("b", "se", "pval", "lambda", "n_valid")
  expect_recorded(mv_estimate(d, "mv_lasso"), "lasso", all, 1e-11)
  expect_recorded(mv_estimate(d, "mv_lasso", orientate = 3), "lasso TG", all, 1e-11)
  expect_recorded(mv_estimate(d, "mv_lasso", lambda = 0.2), "lasso 0.2", all, 1e-11)
})

test_that("the median is theirs, its errors but for the draws", {
  fit <- mv_estimate(mv_lipids(), "mv_median", n_boot = 10000, seed = 1)
  expect_recorded(fit, "median", "b", 1e-11)
  # The spread of 10,000 draws of nearly normal numbers is known to 0.7 %, each side; 5 % is five
  # times that of the difference.
  expect_recorded(fit, "median", "se", 0.05)
})

test_that("cML goes to their maxima", {
  # Theirs by an iteration that is stopped at steps of 1e-13, ours by Newton.
  d <- mv_lipids()
  cases <- c("cml", paste("cml K", 0:5))
  for (case in cases) {
    choices <- if (case == "cml") NULL else as.integer(sub("cml K ", "", case))
    fit <- mv_estimate(d, "mv_cml", n = 17723, K_vec = choices, seed = 1)
    expect_recorded(fit, case, c("b", "n_valid"), 1e-9)
    # numDeriv's Hessian; its step is poorly chosen where an effect is nearly zero (K = 4: -0.003).
    expect_recorded(fit, case, "se", if (case == "cml K 4") 1e-4 else 1e-6)
    expect_recorded(fit, case, "Q", 1e-9)
  }
  fit <- mv_estimate(d, "mv_cml", n = 17723, gencov = errors, seed = 1)
  expect_recorded(fit, "cml rho", c("b", "se", "n_valid", "Q"), 1e-6)
})

test_that("cML with perturbed data is theirs but for the draws", {
  fit <- mv_estimate(mv_lipids(), "mv_cml_dp", n = 17723, num_pert = 1000, seed = 1)
  expect_identical(fit$n_draws[1], 1000L)
  se <- recorded_values("cml dp", "se")
  # Means of 1000 draws each: a standard error of se sqrt(2 / 1000), five of them.
  expect_true(all(abs(fit$b - recorded_values("cml dp", "b")) < 5 * se * sqrt(2 / 1000)))
  # The draws have heavy tails (kurtosis about 10): the spread of 1000 is known to about 5 %.
  expect_recorded(fit, "cml dp", "se", 0.3)
})

test_that("measurement error: a likelihood above theirs, which stops early, and their errors", {
  d <- mv_lipids()
  fit <- mv_estimate(d, "mv_ivw_me")
  cov <- slow_mv_covariances(d)
  theirs <- recorded_values("me", "b")
  expect_lt(slow_q(fit$b, d, cov), slow_q(theirs, d, cov))
  expect_recorded(fit, "me", "b", 5e-3)
  # At their estimates the formula of the errors is theirs.
  left <- d$outcome_beta - drop(d$exposure_beta %*% theirs)
  sigma <- sqrt(sum(left^2 / d$outcome_se^2) / 25)
  # Numerical derivatives.
  expect_equal(slow_q_sandwich(theirs, d, cov) * sigma, recorded_values("me", "se"),
    tolerance = 1e-6)
})
