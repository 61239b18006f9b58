# Genotypes with missing values, a monomorphic variant and one that nobody has, from a fixed seed;
# data-raw/plink.R records what plink1.9 says of them.
made_genotypes <- function(n = 97, p = 60) {
  set.seed(20)
  g <- matrix(stats::rbinom(n * p, 2, rep(seq(0.02, 0.6, length.out = p), each = n)), n)
  g[stats::runif(n * p) < 0.04] <- NA
  g[, 5] <- 0
  g[, 6] <- NA
  dimnames(g) <- list(sprintf("p%03d", seq_len(n)), sprintf("v%02d", seq_len(p)))
  g
}

# People and phenotypes for made genotypes: an effect of 0.5, confounded, rows in another order.
made_phenotypes <- function(g) {
  set.seed(21)
  n <- nrow(g)
  full <- apply(g, 2, function(v) replace(v, is.na(v), mean(v, na.rm = TRUE)))
  full[is.nan(full)] <- 0
  u <- stats::rnorm(n)
  data <- data.frame(iid = rownames(g), w = stats::rnorm(n), family = rep_len(1:40, n),
    weight = stats::runif(n, 0.5, 2))
  data$x <- drop(full %*% stats::rnorm(ncol(g), 0, 0.3)) + u + 0.3 * data$w + stats::rnorm(n)
  data$x2 <- drop(full %*% stats::rnorm(ncol(g), 0, 0.3)) + u + stats::rnorm(n)
  data$y <- 0.5 * data$x + u + data$w + stats::rnorm(n)
  data[sample(n), ]
}

# Quietly: what is joined, imputed and collinear is told.
hush <- function(expr) {
  suppressMessages(expr, classes = "mrlearn_message")
}
