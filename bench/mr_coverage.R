# Type I error and coverage of all summary-data methods under twelve ways in which data can be:
#
#   Rscript bench/mr_coverage.R   writes bench/mr_coverage.csv and vignettes/mr_coverage.csv
#
# Every cell is simulated with a causal effect of 0 (how often is a p-value below 0.05?) and of 0.2
# (how often does the 95 % interval hold it?), `replicates` pairs each. Methods run with their
# defaults, bootstraps with 1000 draws. Finished cells lie in build/mr_coverage/<commit>/ and are
# not run again. Seeds are fixed: that of a cell's data is its number, and 100 more with an effect;
# bootstraps take the same.
suppressMessages(library(mrlearn))

replicates <- 1000L
effects <- c(0, 0.2)
# Not the one for one variant. Perturbed data are drawn for the first pairs only, and once: the two
# forms differ in what they make of the same draws.
perturbed <- "mr_cML"
methods <- setdiff(mr_methods()$name, c("mr_wald_ratio", "mr_cML_BIC_DP", perturbed))
replicates_perturbed <- 100L

# What differs from sim_summary()'s defaults: 50 variants with p < 5e-8 in another sample, two
# studies of 100,000 without overlap. `weak`: mean F of about 4.3, no selection.
weak <- list(n_exposure = 1e4, p_threshold = 1)
cells <- list(
  "no pleiotropy" = list(),
  "balanced 30 %" = list(invalid = 0.3),
  "balanced 50 %" = list(invalid = 0.5),
  "directional 30 %" = list(invalid = 0.3, pleiotropy = "directional"),
  "directional 50 %" = list(invalid = 0.5, pleiotropy = "directional"),
  "InSIDE violated 30 %" = list(invalid = 0.3, inside = FALSE),
  "InSIDE violated 50 %" = list(invalid = 0.5, inside = FALSE),
  "weak instruments" = weak,
  "overlap, strong instruments" = list(overlap = 1),
  "overlap, weak instruments" = c(weak, n_outcome = 1e4, overlap = 1),
  "winner's curse" = list(n_exposure = 2e4, winners_curse = TRUE),
  "few variants" = list(n_snps = 10)
)

# The last commit of what is measured.
commit <- system2("git", c("log", "-1", "--format=%h", "--abbrev=10", "--", "R", "src"),
  stdout = TRUE)
if (length(system2("git", c("status", "--porcelain", "--", "R", "src"), stdout = TRUE))) {
  commit <- paste0(commit, "+") # not only what was committed
}
folder <- file.path("build", "mr_coverage", commit)
dir.create(folder, showWarnings = FALSE, recursive = TRUE)

share <- function(x) {
  x <- x[!is.na(x)]
  c(mean(x), sqrt(mean(x) * (1 - mean(x)) / length(x)))
}

# One row per method.
summarise <- function(fits, cell, effect, seed) {
  rows <- lapply(split(fits, factor(fits$method, unique(fits$method))), function(d) {
    reject <- share(d$pval < 0.05)
    cover <- share(d$ci_low <= effect & effect <= d$ci_high)
    data.frame(
      cell, effect, method = d$method[1], replicates = nrow(d), estimates = sum(!is.na(d$b)),
      mean = mean(d$b, na.rm = TRUE), median = stats::median(d$b, na.rm = TRUE),
      sd = stats::sd(d$b, na.rm = TRUE), median_se = stats::median(d$se, na.rm = TRUE),
      reject = reject[1], reject_mcse = reject[2], coverage = cover[1], coverage_mcse = cover[2],
      seed, commit
    )
  })
  do.call(rbind, c(rows, make.row.names = FALSE))
}

# The estimate without outliers, where there are any, else the one from all, as MR-PRESSO's users
# do.
corrected_presso <- function(dat, seed) {
  main <- suppressWarnings(mr_presso_test(dat, 1000, seed = seed))$main
  raw <- main[main$analysis == "Raw", ]
  without <- main[main$analysis == "Outlier-corrected", ]
  use <- !is.na(without$b)
  raw[use, ] <- without[use, ]
  half <- stats::qt(0.975, raw$nsnp - 1) * raw$sd
  data.frame(method = "MR-PRESSO (outlier-corrected)", b = raw$b, se = raw$sd, pval = raw$pval,
    ci_low = raw$b - half, ci_high = raw$b + half)
}

fit_all <- function(dat, seed) {
  columns <- c("method", "b", "se", "pval", "ci_low", "ci_high")
  first <- dat[dat$id.exposure %in% unique(dat$id.exposure)[seq_len(replicates_perturbed)], ]
  rbind(
    mr_estimate(dat, methods, seed = seed)[columns],
    mr_estimate(first, perturbed, seed = seed)[columns],
    corrected_presso(dat, seed)
  )
}

run_cell <- function(number, effect) {
  cell <- names(cells)[number]
  seed <- number + 100 * (effect != 0)
  path <- file.path(folder, sprintf("%02d_%g.rds", number, effect))
  if (!file.exists(path)) {
    started <- proc.time()[["elapsed"]]
    dat <- do.call(sim_summary, c(cells[[number]],
      list(theta = effect, n_pairs = replicates, seed = seed)))
    rows <- summarise(fit_all(as.data.frame(dat), seed), cell, effect, seed)
    # MR-HetPen is for at most 20 variants.
    rows <- rows[rows$estimates > 0, ]
    saveRDS(rows, path)
    took <- proc.time()[["elapsed"]] - started
    cat(sprintf("%s, effect %g: %.1f s\n", cell, effect, took))
  }
  readRDS(path)
}

started <- proc.time()[["elapsed"]]
plan <- expand.grid(effect = effects, number = seq_along(cells))
table <- do.call(rbind, Map(run_cell, plan$number, plan$effect))
cat(sprintf("%.1f minutes on %d threads\n", (proc.time()[["elapsed"]] - started) / 60,
  mrl_threads()))

numbers <- vapply(table, is.double, NA)
table[numbers] <- lapply(table[numbers], signif, 6)
write.csv(table, file.path("bench", "mr_coverage.csv"), row.names = FALSE)

source(file.path("dev", "vignettes", "summary_data.R")) # what the vignette shows
