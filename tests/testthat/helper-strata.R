# Slow oracles for effects by strata.

# Strata as DRMR forms them: people in order of z in blocks of pre_size, in each sort(rep(1:k,
# length.out = size)) in order of the ranked variable; ties in the order of the rows and of z.
oracle_strata <- function(z, ranked, n_strata, pre_size = n_strata) {
  place <- order(order(z))
  block <- (place - 1) %/% pre_size
  within <- order(block, ranked, place)
  out <- integer(length(z))
  out[within] <- unlist(lapply(tabulate(block + 1), function(size) {
    sort(rep(seq_len(n_strata), length.out = size))
  }))
  out
}

# Strata as SUMnlmr forms them, of data without ties.
oracle_strata_sumnlmr <- function(z, ranked, q, prestrat = 1) {
  first <- floor((rank(z) - 1) / q / prestrat) + 1
  as.integer(ceiling(stats::ave(ranked, first, FUN = rank) / prestrat))
}

# Associations within a stratum by lm() and glm(): bx, bx.se, by, by.se.
oracle_in_stratum <- function(d, rows, family = "gaussian", covariates = character()) {
  right <- c("Z", covariates)
  d <- d[rows, ]
  of <- function(fit) unname(summary(fit)$coefficients["Z", 1:2])
  by <- stats::glm(stats::reformulate(right, "Y"), family, d, control = list(epsilon = 1e-12))
  c(of(stats::lm(stats::reformulate(right, "X"), d)), of(by))
}

# Gelman-Rubin statistics of the lowest and highest rank at the ends of each stratum, by table().
oracle_gr <- function(z, x, n_strata, pre_size = n_strata) {
  block <- (order(order(z)) - 1) %/% pre_size
  whole <- floor(length(z) / pre_size)
  whole <- whole - whole %% 2
  chains <- rep(1:2, each = whole / 2)
  statistic <- function(v) {
    n <- length(v) / 2
    w <- mean(tapply(v, chains, stats::var))
    between <- n * sum((tapply(v, chains, mean) - mean(v))^2)
    if (w == 0) 1 else sqrt(((n - 1) / n * w + between / n) / w)
  }
  stratum <- sort(rep(seq_len(n_strata), length.out = pre_size))
  sorted <- vapply(seq_len(whole) - 1, function(b) sort(x[block == b]), numeric(pre_size))
  lowest <- apply(sorted, 2, rank, ties.method = "min")
  highest <- apply(sorted, 2, rank, ties.method = "max")
  vapply(seq_len(n_strata), function(k) {
    at <- range(which(stratum == k))
    max(statistic(lowest[at[1], ]), statistic(highest[at[2], ]))
  }, 0)
}

# SUMnlmr's generator create_ind_data(), in its order of draws.
oracle_ind_data <- function(n, seed) {
  withr::with_seed(seed, {
    g <- stats::rbinom(n, 2, 0.3)
    u <- stats::runif(n, 0, 1)
    error_x <- stats::rexp(n, 1)
    error_y <- stats::rnorm(n)
  })
  x <- 2 + 0.25 * g + u + error_x
  data.frame(g = g, X = x, linear = x + 0.8 * u + error_y, log = log(x) + 0.8 * u + error_y)
}
