# Coverage of weak-instrument inference: Rscript bench/weak.R [--trial] [--minutes=20] [--fresh]
# [--only=ar,cis]. Batches of simulations, one row each, in bench/weak.csv; bench/weak.md says what
# they come to. A killed run goes on where it was. Some 15 minutes on one thread.
#
# ar: individual-level data, effect 0.3, 10 instruments, 500 rows, errors of correlation 0.8,
# coefficients such that the expected first-stage F is 2 (and 1.2, 10). Robust AR: the error's
# spread grows with the first instrument.
# cis: a region of 200 variants in 2 x 10,000 people (samples apart, or one of 10,000 with both
# traits: overlap), correlations decaying from the neighbour's r2 = 0.95, of 4 causal variants that
# explain 4 % of the exposure, effect 0.3, confounded; LD from the exposure's own sample.
source(file.path("bench", "study_tools.R"))

strength_data <- function(f, robust, n = 500, l = 10) {
  z <- matrix(rnorm(n * l), n)
  v <- rnorm(n)
  u <- 0.8 * v + 0.6 * rnorm(n)
  if (robust) {
    u <- u * (1 + abs(z[, 1])) / 1.8
  }
  x <- drop(z %*% rep(sqrt((f - 1) / n), l)) + v
  list(y = 0.3 * x + u, x = x, z = z)
}

holds <- function(set, truth) any(set$conf.low <= truth & set$conf.high >= truth)

run_ar <- function(cell) {
  hits <- replicate(cell$n_sim, {
    d <- strength_data(cell$strength, cell$kind == "robust")
    fit <- iv_2sls(y = d$y, x = d$x, z = d$z, n_threads = 1,
      vcov = if (cell$kind == "robust") "HC1" else "iid")
    liml <- iv_liml(y = d$y, x = d$x, z = d$z, n_threads = 1, vcov = "bekker")
    wald <- tidy(fit, conf.int = TRUE, exposures_only = TRUE)
    bekker <- tidy(liml, conf.int = TRUE, exposures_only = TRUE)
    iid <- cell$kind != "robust"
    c(AR = holds(ar_set(fit, n_threads = 1), 0.3),
      K = if (iid) holds(ar_set(liml, "K"), 0.3) else NA,
      CLR = if (iid) holds(ar_set(liml, "CLR"), 0.3) else NA,
      Wald = holds(wald, 0.3), LIML = if (iid) holds(bekker, 0.3) else NA)
  })
  rowSums(hits)
}

# Genotypes by thresholds of an autoregressive normal: two haplotypes. The latent correlation is
# such that neighbours have an r2 near 0.95.
region <- function(n, l) {
  haplotype <- function() {
    x <- matrix(0, n, l)
    x[, 1] <- rnorm(n)
    for (j in 2:l) {
      x[, j] <- 0.9988 * x[, j - 1] + sqrt(1 - 0.9988^2) * rnorm(n)
    }
    x > stats::qnorm(0.7)
  }
  scale(haplotype() + haplotype())
}

associations <- function(g, v) {
  b <- drop(crossprod(g, v - mean(v))) / (nrow(g) - 1)
  list(b = b, se = sqrt((stats::var(v) - b^2) / (nrow(g) - 2)))
}

run_cis <- function(cell) {
  n <- 10000
  gx <- region(n, 200)
  gy <- if (cell$kind == "overlap") gx else region(n, 200)
  rho <- crossprod(gx) / (n - 1)
  causal <- c(20, 70, 120, 180)
  traits <- function(g) {
    u <- rnorm(n)
    x <- drop(g[, causal] %*% c(0.1, -0.1, 0.1, 0.1)) + 0.6 * u + 0.75 * rnorm(n)
    list(x = x, y = 0.3 * x + 0.6 * u + 0.7 * rnorm(n))
  }
  hits <- replicate(cell$n_sim, {
    one <- traits(gx)
    two <- if (cell$kind == "overlap") one else traits(gy)
    ex <- associations(gx, one$x)
    out <- associations(gy, two$y)
    psi <- if (cell$kind == "overlap") stats::cor(one$x, one$y) else 0
    dat <- mr_data(ex$b, ex$se, out$b, out$se)
    r <- mr_correlated(dat, rho, psi = psi)
    stats::setNames(r$ci_low < 0.3 & r$ci_high > 0.3, ld_names)
  })
  c(rowSums(hits), r2 = max((rho - diag(200))^2))
}

ld_names <- c("IVW", "Egger", "PCA", "Corrected")

weak_cells <- function(trial) {
  batches <- if (trial) 101 else 101:108
  n_sim <- if (trial) 10 else 125
  ar <- expand.grid(kind = c("iid", "robust"), strength = c(2, 1.2, 10), seed = batches,
    stringsAsFactors = FALSE)
  cis <- expand.grid(kind = c("apart", "overlap"), strength = NA, seed = batches,
    stringsAsFactors = FALSE)
  cells <- rbind(cbind(group = "ar", ar, n_sim = n_sim), cbind(group = "cis", cis, n_sim = n_sim))
  cells[order(cells$seed), ]
}

weak_report <- function(rows) {
  methods <- c("AR", "K", "CLR", "Wald", "LIML", ld_names)
  key <- paste(rows$group, rows$kind, rows$strength)
  table <- do.call(rbind, lapply(unique(key), function(k) {
    r <- rows[key == k, ]
    total <- sum(r$n_sim)
    share <- vapply(methods, function(m) sum(r[[m]]) / total, 0)
    error <- sqrt(share * (1 - share) / total)
    text <- ifelse(is.na(share), "", sprintf("%.1f +- %.1f", 100 * share, 100 * error))
    strength <- if (is.na(r$strength[1])) "" else format(r$strength[1])
    data.frame(group = r$group[1], kind = r$kind[1], F = strength, simulations = total, t(text))
  }))
  c("# Coverage with weak instruments and correlated variants", "",
    "Coverage of 95 % intervals and sets, in per cent, with its Monte Carlo error; written by",
    "`Rscript bench/weak.R`, which says what is simulated.",
    paste0("Largest r2 of two variants of the region: ",
      format(max(rows$r2, na.rm = TRUE), digits = 3), ". Commit ",
      paste(unique(rows$commit), collapse = ", "), "."), "",
    md_table(table[table$group == "ar", c(1:4, 5:9)]), "",
    md_table(table[table$group == "cis", c(1:2, 4, 10:13)]))
}

weak_study <- function() {
  how <- study_options()
  folder <- if (how$trial) file.path("build", "weak_trial") else "bench"
  dir.create(folder, showWarnings = FALSE, recursive = TRUE)
  path <- file.path(folder, "weak.csv")
  rows <- read_rows(path)
  cells <- weak_cells(how$trial)
  cells <- if (is.null(how$only)) cells else cells[cells$group %in% how$only, ]
  rows <- if (how$fresh) rows[!rows$group %in% cells$group, ] else rows
  if (NROW(rows)) {
    cells <- cells[!cell_key(cells) %in% cell_key(rows[names(cells)]), ]
  }
  study <- list(run = function(cell) {
    set.seed(cell$seed)
    if (cell$group == "ar") run_ar(cell) else run_cis(cell)
  })
  started <- proc.time()[["elapsed"]]
  commit <- measured_commit()
  for (i in seq_len(nrow(cells))) {
    if ((proc.time()[["elapsed"]] - started) / 60 > how$minutes) {
      break
    }
    rows <- bind_rows(rows, run_cell(study, cells[i, ], commit))
    write_rows(rows, path)
  }
  writeLines(weak_report(rows), file.path(folder, "weak.md"))
}

if (is_script()) {
  weak_study()
}
