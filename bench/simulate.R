# sim_contextual() at n = 1e6, L = 50 against the same simulation in vectorised R: equal columns,
# laws and truth. Alternating, median of five. Prints the table and writes bench/simulate.md.
# Usage: Rscript bench/simulate.R [n] [L] [rounds]
library(mrlearn)

given <- suppressWarnings(as.numeric(commandArgs(TRUE)))
size <- ifelse(is.na(given[1:3]), c(1e6, 50, 5), given[1:3])
n <- size[1]
n_snp <- size[2]

# One vector call per column, no copies that can be avoided, sums accumulated column by column.
simulate_in_r <- function(n, n_snp) {
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

seconds <- function(expr) {
  gc()
  started <- proc.time()[["elapsed"]]
  force(expr)
  proc.time()[["elapsed"]] - started
}

taken <- replicate(size[3], c(
  "R, 1 thread" = seconds(simulate_in_r(n, n_snp)),
  "sim_contextual(n_threads = 1)" = seconds(sim_contextual(n, n_snp, n_threads = 1)),
  "sim_contextual(n_threads = 2)" = seconds(sim_contextual(n, n_snp, n_threads = 2))
))
median_time <- apply(taken, 1, median)

cpu <- tryCatch(
  sub(".*: *", "", grep("model name", readLines("/proc/cpuinfo"), value = TRUE)[1]),
  error = function(e) Sys.info()[["machine"]], warning = function(w) Sys.info()[["machine"]]
)
commit <- tryCatch(
  system2("git", c("rev-parse", "--short", "HEAD"), stdout = TRUE, stderr = FALSE),
  error = function(e) "unknown", warning = function(w) "unknown"
)
report <- c(
  "# Simulating individual-level data", "",
  sprintf(
    "n = %s, L = %d; medians of %d alternating rounds. %s, %d processors, %s, commit %s.",
    format(n, big.mark = ",", scientific = FALSE), n_snp, size[3], cpu, parallel::detectCores(),
    R.version.string, commit
  ),
  "No BLAS is called. The R version makes integer genotypes, ours double ones.", "",
  "| | seconds | range | times faster |", "| --- | --- | --- | --- |",
  sprintf(
    "| %s | %.2f | %.2f-%.2f | %.1f |", names(median_time), median_time,
    apply(taken, 1, min), apply(taken, 1, max), median_time[1] / median_time
  )
)
writeLines(report)
writeLines(report, file.path("bench", "simulate.md"))
