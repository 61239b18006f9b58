# Slow oracles for simulated data.

# X and Y of sim_contextual() from nothing but truth() and the genotype columns.
oracle_contextual <- function(sim) {
  t <- truth(sim)
  g <- as.matrix(as.data.frame(sim)[t$instruments])
  context <- t$context_std * t$use_context
  x <- drop(g %*% t$pi + context %*% t$gamma) + t$confounding * t$U + t$noise_x
  y <- drop(t$beta * x + g %*% t$alpha + context %*% t$zeta) + t$confounding * t$U + t$noise_y
  list(X = x, Y = y)
}

# Columns less their mean, divided by their population standard deviation.
oracle_standardise <- function(x) {
  x <- as.matrix(x)
  centred <- sweep(x, 2, colMeans(x))
  sweep(centred, 2, sqrt(colMeans(centred^2)), "/")
}

# Two-stage least squares of Y on X by the genotypes, without covariates, as in the study.
oracle_two_stage <- function(sim) {
  z <- cbind(1, as.matrix(sim[truth(sim)$instruments]))
  x_hat <- stats::lm.fit(z, sim$X)$fitted.values
  unname(stats::lm.fit(cbind(1, x_hat), sim$Y)$coefficients[2])
}

oracle_slope <- function(sim) {
  unname(stats::lm.fit(cbind(1, sim$X), sim$Y)$coefficients[2])
}
