# Simulated environments as a plain data.frame with the instruments as one matrix.
environments_data <- function(...) {
  sim <- sim_environments(...)
  data <- as.data.frame(sim)
  data$z <- as.matrix(data[truth(sim)$instruments])
  data[truth(sim)$instruments] <- NULL
  list(data = data, truth = truth(sim))
}

# iv_latent() on them with the closed forms, quick.
fit_environments <- function(data, ..., method = "ssa", seed = 1) {
  iv_latent(Y ~ X | z, data = data, environment = ~environment, latent_dim = c(2, 2),
    method = method, seed = seed, ...)
}

# Stationary directions by their definition: slow, in R. Columns V | W.
ssa_slow <- function(x, environment, d) {
  x <- scale(x)
  x <- x[, colSums(is.na(x)) == 0, drop = FALSE]
  scores <- x %*% eigen(crossprod(x) / nrow(x), symmetric = TRUE)$vectors[, seq_len(d)]
  parts <- split(seq_len(nrow(x)), environment)
  share <- lengths(parts) / nrow(x)
  moments <- lapply(parts, function(rows) {
    centred <- scale(scores[rows, ], scale = FALSE)
    list(mean = colMeans(scores[rows, ]), cov = crossprod(centred) / length(rows))
  })
  within <- Reduce(`+`, Map(function(m, q) q * m$cov, moments, share))
  root <- solve(chol(within))
  s <- Reduce(`+`, Map(function(m, q) {
    mean <- drop(m$mean %*% root)
    gap <- t(root) %*% m$cov %*% root - diag(d)
    q * (outer(mean, mean) + 2 * gap %*% gap)
  }, moments, share))
  parts <- eigen(s, symmetric = TRUE)
  list(latent = scores %*% root %*% parts$vectors, values = rev(parts$values))
}
