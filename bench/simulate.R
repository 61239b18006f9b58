# Simulators at n = 1e6 against the same simulations in vectorised R: equal columns, laws and truth
# (effects per person, confounder, noises). Alternating, medians of five. Prints the table and
# writes bench/simulate.md. Usage: Rscript bench/simulate.R [n] [L] [rounds]; L: variants of
# sim_contextual(); sim_nonlinear() and sim_effect_modifier() have 20.
library(mrlearn)

given <- suppressWarnings(as.numeric(commandArgs(TRUE)))
size <- ifelse(is.na(given[1:3]), c(1e6, 50, 5), given[1:3])
n <- size[1]
n_snp <- size[2]

# One vector call per column, no copies that can be avoided, sums accumulated column by column.
contextual_in_r <- function(n, n_snp) {
  maf <- runif(n_snp, 0.05, 0.5)
  pi <- rnorm(n_snp, 0, 0.1)
  gamma <- c(0.03, 0.05, 0.14, 0.16, 0, 0, 0.08, 0.02, 0.12, -0.06)
  zeta <- c(0.02, 0.03, 0.10, 0.05, 0, 0, 0.12, 0.15, 0.18, 0.04)
  context <- list(
    age = sample(12:49, n, TRUE), sex = sample(0:1, n, TRUE), bmi = rnorm(n, 25, 4),
    smoker = sample(0:1, n, TRUE), height = rnorm(n, 170, 10), weight = rnorm(n, 70, 15),
    bp_sys = rnorm(n, 120, 15), cholesterol = rnorm(n, 200, 40), glucose = rnorm(n, 90, 15),
    sleep = rnorm(n, 7, 1.5)
  )
  u <- rnorm(n)
  v <- rnorm(n)
  e <- rnorm(n)
  x <- u + v
  rest <- u + e
  context_std <- matrix(0, n, 10)
  for (k in seq_along(context)) {
    centred <- context[[k]] - mean(context[[k]])
    scaled <- centred / sqrt(mean(centred^2))
    context_std[, k] <- scaled
    x <- x + gamma[k] * scaled
    rest <- rest + zeta[k] * scaled
  }
  genotype <- vector("list", n_snp)
  for (j in seq_len(n_snp)) {
    genotype[[j]] <- rbinom(n, 2L, maf[j])
    x <- x + pi[j] * genotype[[j]]
  }
  names(genotype) <- paste0("G", seq_len(n_snp) - 1L)
  out <- list2DF(c(list(Y = 0.3 * x + rest, X = x), context, genotype))
  attr(out, "truth") <- list(maf, pi, gamma, zeta, u, v, e, context_std)
  out
}

# noise: rnorm or rlogis; cutoff: NULL for a continuous outcome.
burgess_in_r <- function(n, noise = rnorm, cutoff = NULL) {
  g <- rbinom(n, 2L, 0.3)
  u <- runif(n)
  v <- rexp(n)
  e <- noise(n)
  x <- 0.25 * g + u + v
  y <- 0.2 * (x - 1)^2 + 0.8 * u + e
  if (!is.null(cutoff)) {
    y <- as.double(y > cutoff)
  }
  structure(list2DF(list(Y = y, X = x, g = g)), truth = list(0.4 * (x - 1), u, v, e))
}

tian_in_r <- function(n, scenario, noise = rnorm, cutoff = NULL) {
  z <- rnorm(n, 0, 0.5)
  u1 <- rnorm(n)
  u2 <- rnorm(n)
  u3 <- noise(n)
  x <- switch(scenario,
    A = 0.5 * z + u2 + u1,
    B = {
      below <- which(z < -1)
      x <- 0.5 * z + u2 + u1
      x[below] <- x[below] + 2 * z[below]^3 + 2
      x
    },
    C = -10 + (1.5 + 0.4 * u2) * (z + 5) + u2 + u1,
    D = 0.5 * z + u2 + u1
  )
  exact <- x
  if (scenario == "D") {
    x <- round(x)
  }
  y <- 0.1 * x^2 + u2 + u3
  if (!is.null(cutoff)) {
    y <- as.double(y > cutoff)
  }
  structure(list2DF(list(Y = y, X = x, Z = z)), truth = list(0.2 * x, exact, u1, u2, u3))
}

# The exposure of sim_nonlinear() and sim_effect_modifier(), and the rest of the outcome.
variants_in_r <- function(n, n_variants = 20) {
  maf <- runif(n_variants, 0.2, 0.45)
  share <- rexp(n_variants)
  share <- share / sum(share)
  effect <- sqrt(share * 0.5 / (2 * maf * (1 - maf)))
  u <- rnorm(n)
  v <- rnorm(n, 0, sqrt(1 - 0.5 - 0.35^2))
  e <- rnorm(n)
  x <- 0.35 * u + v - sum(2 * maf * effect)
  genotype <- vector("list", n_variants)
  for (j in seq_len(n_variants)) {
    genotype[[j]] <- rbinom(n, 2L, maf[j])
    x <- x + effect[j] * genotype[[j]]
  }
  names(genotype) <- paste0("G", seq_len(n_variants) - 1L)
  list(x = x, rest = -0.7 * u + e, genotype = genotype, truth = list(maf, share, effect, u, v, e))
}

nonlinear_in_r <- function(n) {
  d <- variants_in_r(n)
  y <- 0.3 * (d$x + 2) * (d$x - 1) + 1 + d$rest
  structure(list2DF(c(list(Y = y, X = d$x), d$genotype)), truth = c(d$truth, list(0.6 * d$x + 0.3)))
}

modifier_in_r <- function(n) {
  d <- variants_in_r(n)
  m <- rnorm(n)
  beta <- 0.1 + 1.1 * pnorm(1.5 * m)
  structure(list2DF(c(list(Y = beta * d$x + d$rest, X = d$x, M = m), d$genotype)),
    truth = c(d$truth, list(beta)))
}

demand_in_r <- function(n) {
  type <- sample(7L, n, TRUE)
  time <- runif(n, 0, 10)
  cost <- rnorm(n)
  v <- rnorm(n)
  e <- 0.5 * v + sqrt(0.75) * rnorm(n)
  centred <- (time - 5)^2
  psi <- 2 * (centred^2 / 600 + exp(-4 * centred) + time / 10 - 2)
  price <- 25 + (cost + 3) * psi + v
  slope <- type * psi
  structure(list2DF(list(Y = 100 + (10 + price) * slope - 2 * price + e, price = price, time = time,
    s = type, cost = cost)), truth = list(slope - 2, v, e))
}

# Each: R's version and ours by the number of threads.
cases <- list(
  "sim_contextual()" = list(
    function() contextual_in_r(n, n_snp), function(k) sim_contextual(n, n_snp, n_threads = k)
  ),
  "sim_burgess2014(shape = \"J\")" = list(
    function() burgess_in_r(n), function(k) sim_burgess2014(n, "J", n_threads = k)
  ),
  "sim_burgess2014(type = \"liability\")" = list(
    function() burgess_in_r(n, rnorm, 1),
    function(k) sim_burgess2014(n, "J", type = "liability", n_threads = k)
  ),
  "sim_burgess2014(type = \"logistic\")" = list(
    function() burgess_in_r(n, rlogis, 1),
    function(k) sim_burgess2014(n, "J", type = "logistic", n_threads = k)
  ),
  "sim_tian2023(\"A\")" = list(
    function() tian_in_r(n, "A"), function(k) sim_tian2023(n, "A", 2, n_threads = k)
  ),
  "sim_tian2023(\"B\")" = list(
    function() tian_in_r(n, "B"), function(k) sim_tian2023(n, "B", 2, n_threads = k)
  ),
  "sim_tian2023(\"C\")" = list(
    function() tian_in_r(n, "C"), function(k) sim_tian2023(n, "C", 2, n_threads = k)
  ),
  "sim_tian2023(\"D\")" = list(
    function() tian_in_r(n, "D"), function(k) sim_tian2023(n, "D", 2, n_threads = k)
  ),
  "sim_tian2023(type = \"logistic\")" = list(
    function() tian_in_r(n, "A", rlogis, 0),
    function(k) sim_tian2023(n, "A", 2, type = "logistic", n_threads = k)
  ),
  "sim_nonlinear()" = list(
    function() nonlinear_in_r(n), function(k) sim_nonlinear(n, n_threads = k)
  ),
  "sim_effect_modifier()" = list(
    function() modifier_in_r(n), function(k) sim_effect_modifier(n, n_threads = k)
  ),
  "sim_demand()" = list(
    function() demand_in_r(n), function(k) sim_demand(n, rho = 0.5, n_threads = k)
  )
)

seconds <- function(run) {
  gc()
  started <- proc.time()[["elapsed"]]
  run()
  proc.time()[["elapsed"]] - started
}

# A row: medians of R, one thread, two threads.
measure <- function(case) {
  taken <- replicate(size[3], c(
    seconds(case[[1]]), seconds(function() case[[2]](1L)), seconds(function() case[[2]](2L))
  ))
  apply(taken, 1, median)
}
median_time <- t(vapply(cases, measure, double(3)))

cpu <- tryCatch(
  sub(".*: *", "", grep("model name", readLines("/proc/cpuinfo"), value = TRUE)[1]),
  error = function(e) Sys.info()[["machine"]], warning = function(w) Sys.info()[["machine"]]
)
commit <- tryCatch(
  system2("git", c("rev-parse", "--short", "HEAD"), stdout = TRUE, stderr = FALSE),
  error = function(e) "unknown", warning = function(w) "unknown"
)
ratio <- median_time[, 1] / median_time[, 2:3]
report <- c(
  "# Simulating individual-level data", "",
  sprintf(
    "n = %s, L = %d for sim_contextual(), 20 for the other two with variants; medians of %d",
    format(n, big.mark = ",", scientific = FALSE), n_snp, size[3]
  ),
  sprintf("alternating rounds. %s, %d processors, %s, commit %s.", cpu, parallel::detectCores(),
    R.version.string, commit),
  "No BLAS is called. The R versions make integer genotypes, ours double ones.", "",
  "| | R, seconds | 1 thread | 2 threads | times faster, 1 thread | 2 threads |",
  "| --- | ---: | ---: | ---: | ---: | ---: |",
  sprintf(
    "| %s | %.3f | %.3f | %.3f | %.1f | %.1f |", rownames(median_time), median_time[, 1],
    median_time[, 2], median_time[, 3], ratio[, 1], ratio[, 2]
  ), "",
  sprintf("Least: %.1f on one thread, %.1f on two.", min(ratio[, 1]), min(ratio[, 2]))
)
writeLines(report)
writeLines(report, file.path("bench", "simulate.md"))
