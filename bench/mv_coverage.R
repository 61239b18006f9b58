# Coverage and type I error of the multivariable methods, and what the conditional F statistic says,
# under six ways in which data can be:
#
#   Rscript bench/mv_coverage.R [replicates]   writes bench/mv_coverage.csv and mv_strength.csv
#
# Two exposures, 50 variants, direct effects 0.3 and 0: the coverage of the first, the type I error
# of the second (how often is its p-value below 0.05?). cML with data perturbation, the slowest,
# sees every fifth replicate. Finished cells lie in build/mv_coverage/<commit>/<replicates>/ and are
# not run again. The seed of a replicate is its number, whatever the cell.
suppressMessages(library(mrlearn))

given <- commandArgs(TRUE)
replicates <- if (length(given)) as.integer(given[1]) else 1000L
methods <- setdiff(mv_methods()$name, c("mv_cml", "mv_cml_dp"))
theta <- c(0.3, 0)
n_snps <- 50L

# sd: of the variants' own effects on the second exposure beside `alike` times those on the first;
# se: standard error of effects on exposures, `cor` the correlation of their errors.
plain <- list(sd = 0.06, alike = 0.3, se = 0.008, cor = 0, invalid = 0, mean = 0)
cells <- list(
  "no pleiotropy" = list(),
  "balanced 30 %" = list(invalid = 0.3),
  "directional 30 %" = list(invalid = 0.3, mean = 0.05),
  "weak given the other" = list(sd = 0.016, alike = 1),
  "weak, one sample" = list(sd = 0.016, alike = 1, cor = 0.5),
  # The second exposure is not predicted at all beyond the first: neither F should exceed 10.
  "none given the other" = list(sd = 0, alike = 1)
)

simulate <- function(cell, seed) {
  p <- utils::modifyList(plain, cells[[cell]])
  set.seed(seed)
  # Alleles count what raises the first exposure, which is what directional pleiotropy refers to.
  true <- abs(stats::rnorm(n_snps, 0, 0.06)) + 0.02
  true <- cbind(a = true, b = p$alike * true + stats::rnorm(n_snps, 0, p$sd))
  error <- matrix(stats::rnorm(2 * n_snps), n_snps) %*% chol(matrix(c(1, p$cor, p$cor, 1), 2))
  sy <- stats::runif(n_snps, 0.008, 0.015)
  direct <- stats::rbinom(n_snps, 1, p$invalid) * stats::rnorm(n_snps, p$mean, 0.05)
  mv_data(true + p$se * error, matrix(p$se, n_snps, 2), drop(true %*% theta) + direct +
    sy * stats::rnorm(n_snps), sy, gencov = matrix(c(1, p$cor, p$cor, 1), 2))
}

# Two rows per method: exposure a, then b.
one_fit <- function(cell, seed) {
  dat <- simulate(cell, seed)
  which <- c(methods, if (seed %% 5 == 0) "mv_cml_dp")
  fit <- mv_estimate(dat, which, n = 50000, n_boot = 200, num_pert = 100, seed = seed)
  strength <- mv_diagnose(dat)
  no_cov <- mv_diagnose(dat, gencov = 0)
  fit <- fit[c("exposure", "method", "b", "se", "pval", "ci_low", "ci_high")]
  strength <- data.frame(strength[c("exposure", "F_mean", "F_conditional", "F_least", "Q_pval",
    "Q_least_pval")], F_uncorrelated = no_cov$F_conditional)
  list(fit = fit, strength = strength)
}

share <- function(x) mean(x, na.rm = TRUE)
error_of <- function(x) sqrt(share(x) * (1 - share(x)) / sum(!is.na(x)))

summarise_fits <- function(cell, fits) {
  rows <- lapply(split(fits, factor(fits$method, unique(fits$method))), function(d) {
    a <- d[d$exposure == "a", ]
    b <- d[d$exposure == "b", ]
    cover <- a$ci_low <= theta[1] & theta[1] <= a$ci_high
    data.frame(
      cell, method = d$method[1], replicates = nrow(a), median_a = stats::median(a$b, na.rm = TRUE),
      rmse_a = sqrt(share((a$b - theta[1])^2)), coverage_a = share(cover),
      mcse = error_of(cover), median_b = stats::median(b$b, na.rm = TRUE),
      rmse_b = sqrt(share((b$b - theta[2])^2)), reject_b = share(b$pval < 0.05),
      reject_mcse = error_of(b$pval < 0.05)
    )
  })
  do.call(rbind, c(rows, make.row.names = FALSE))
}

# `strong`: how often the statistic passes 10; rejections of the two tests of heterogeneity.
summarise_strength <- function(cell, strength) {
  rows <- lapply(split(strength, strength$exposure), function(d) {
    data.frame(
      cell, exposure = d$exposure[1], F_mean = mean(d$F_mean),
      F_conditional = mean(d$F_conditional), F_least = share(d$F_least),
      F_uncorrelated = mean(d$F_uncorrelated), strong = mean(d$F_conditional > 10),
      Q_reject = mean(d$Q_pval < 0.05), Q_least_reject = share(d$Q_least_pval < 0.05)
    )
  })
  do.call(rbind, c(rows, make.row.names = FALSE))
}

commit <- system2("git", c("log", "-1", "--format=%h", "--abbrev=10", "--", "R", "src"),
  stdout = TRUE)
if (length(system2("git", c("status", "--porcelain", "--", "R", "src"), stdout = TRUE))) {
  commit <- paste0(commit, "+") # not only what was committed
}
folder <- file.path("build", "mv_coverage", commit, replicates)
dir.create(folder, showWarnings = FALSE, recursive = TRUE)

run_cell <- function(number) {
  cell <- names(cells)[number]
  path <- file.path(folder, sprintf("%02d.rds", number))
  if (!file.exists(path)) {
    started <- proc.time()[["elapsed"]]
    all <- lapply(seq_len(replicates), one_fit, cell = cell)
    saveRDS(list(
      fits = summarise_fits(cell, do.call(rbind, lapply(all, `[[`, "fit"))),
      strength = summarise_strength(cell, do.call(rbind, lapply(all, `[[`, "strength")))
    ), path)
    cat(sprintf("%s: %.1f s\n", cell, proc.time()[["elapsed"]] - started))
  }
  readRDS(path)
}

write_table <- function(tables, name) {
  table <- do.call(rbind, tables)
  numbers <- vapply(table, is.double, NA)
  table[numbers] <- lapply(table[numbers], signif, 4)
  table$commit <- commit
  utils::write.csv(table, file.path("bench", name), row.names = FALSE)
}

done <- lapply(seq_along(cells), run_cell)
write_table(lapply(done, `[[`, "fits"), "mv_coverage.csv")
write_table(lapply(done, `[[`, "strength"), "mv_strength.csv")
