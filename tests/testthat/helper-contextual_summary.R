# Slow oracles of contextual MR from summary statistics.

# One stratum's associations by lm(), a regression for each variant and trait.
oracle_associations <- function(g, x, y, w) {
  rows <- lapply(colnames(g), function(name) {
    on <- function(v) summary(stats::lm(v ~ g[, name] + w))$coefficients[2, 1:2]
    left <- function(v) stats::residuals(stats::lm(v ~ g[, name] + w))
    data.frame(
      snp = name, beta.exposure = on(x)[[1]], se.exposure = on(x)[[2]],
      beta.outcome = on(y)[[1]], se.outcome = on(y)[[2]], psi = stats::cor(left(x), left(y)),
      n = length(x)
    )
  })
  do.call(rbind, rows)
}

# Associations of n_snp variants in strata at `context`, whose errors have the correlation psi;
# f is the mean F of the variants; slope (one per stratum) the causal one.
draw_strata <- function(seed, slope, context = seq_along(slope), n_snp = 20, f = 50, psi = 0) {
  k <- length(slope)
  withr::with_seed(seed, {
    effect <- stats::rnorm(n_snp, sd = sqrt(f - 1))
    d <- expand.grid(snp = paste0("rs", seq_len(n_snp)), stratum = seq_len(k))
    error <- stats::rnorm(nrow(d))
    d$context <- context[d$stratum]
    d$beta.exposure <- rep(effect, k) + error
    d$se.exposure <- 1
    d$beta.outcome <- slope[d$stratum] * rep(effect, k) +
      psi * error + sqrt(1 - psi^2) * stats::rnorm(nrow(d))
    d$se.outcome <- 1
    d$psi <- psi
    d
  })
}

contextual_people <- function(n, l = 20, seed = 1, beta = function(c) 0.3 + 0.2 * c$bmi) {
  sim <- sim_contextual(n, l, pi_scale = 0.3, seed = seed, beta = beta, n_threads = 1)
  list(x = sim$X, y = sim$Y, g = as.matrix(sim[truth(sim)$instruments]),
    z = truth(sim)$context_std[, "bmi"], age = sim$age, sex = sim$sex, truth = truth(sim))
}
