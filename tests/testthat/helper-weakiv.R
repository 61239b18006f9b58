# Designs and slow oracles of weak-instrument inference.

weak_card <- function(name) {
  card <- iv_card()
  z <- switch(name,
    both = cbind(card$nearc2, card$nearc4),
    one = cbind(card$nearc4),
    many = cbind(card$nearc2, card$nearc4, card$nearc2 * card$nearc4, card$nearc2 * card$exper,
      card$nearc4 * card$exper),
    weak = cbind(card$nearc2, card$nearc2 * card$black)
  )
  w <- cbind(exper = card$exper, expersq = card$exper^2, black = card$black, smsa = card$smsa,
    south = card$south)
  if (name == "weak") {
    w <- w[, 1:3]
  }
  colnames(z) <- paste0("z", seq_len(ncol(z)))
  list(y = log(card$wage), x = card$educ, z = z, w = w, region = card$region)
}

# Residuals of every column of x on w and a constant.
weak_left <- function(x, w) qr.resid(qr(cbind(rep(1, NROW(x)), w)), as.matrix(x))

# The k-class by its definition, one dense projection matrix: coefficients of exposures, constant,
# covariates.
oracle_kclass <- function(y, x, z, w, k) {
  d <- cbind(x, 1, w)
  c_all <- qr(cbind(1, w, z))
  tilde <- d - k * qr.resid(c_all, d)
  a <- crossprod(tilde, d)
  coef <- solve(a, crossprod(tilde, y))
  list(coef = drop(coef), u = drop(y - d %*% coef), tilde = tilde, bread = solve(a), d = d,
    left = function(v) qr.resid(c_all, v))
}

# Robust Anderson-Rubin: Hotelling's T2 of the scores, by their mean and covariance.
oracle_robust_ar <- function(beta, y, x, z, w, cluster = NULL) {
  score <- weak_left(z, w) * drop(weak_left(y - beta * x, w))
  score <- if (is.null(cluster)) score else rowsum(score, cluster)
  n <- nrow(score)
  l <- ncol(z)
  t2 <- n * drop(colMeans(score) %*% solve(cov(score), colMeans(score)))
  df2 <- if (is.null(cluster)) n - l - 1 - NCOL(w) else n - l
  t2 / (n - 1) * df2 / l
}
