# Coverage of weak-instrument inference: Rscript bench/weak.R [--trial] [--minutes=20] [--fresh]
# [--only=ar,cis]. Batches of simulations, one row each, in bench/weak.csv; bench/weak.md says what
# they come to. A killed run goes on where it was. Some 10 minutes on one thread.
#
# ar: individual-level data, effect 0.3, 10 instruments, 500 rows, errors of correlation 0.8,
# coefficients such that the expected first-stage F is 2 (and 1.2, 10). Robust AR: the error's
# spread grows with the first instrument (its Wald interval is HC1's).
# cis: a region of 200 variants, neighbours correlated to r2 = 0.95 but at seven hotspots; LD from
# 10,000 people, known exactly. Effects are drawn from their law given the LD: normal, with its
# correlations, over the root of the study's size. Effect of the exposure 0.3.
#   strong: a protein. Six causal variants explain 30 % of it in 50,000 people, so that F is 107 per
#           variant; the outcome in 20,000 others.
#   weak:   four explain 4 % in 10,000 people, F = 2; the outcome in 10,000 others.
# overlap: both traits in the people of the exposure's study, errors of correlation 0.5.
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

# Correlations of genotypes by thresholds of an autoregressive normal: two haplotypes. The latent
# correlation is such that neighbours have an r2 near 0.95; every 25 variants it is 0.8.
region_ld <- function(n = 10000, l = 200) {
  haplotype <- function() {
    x <- matrix(0, n, l)
    x[, 1] <- rnorm(n)
    for (j in 2:l) {
      a <- if (j %% 25 == 1) 0.8 else 0.9988
      x[, j] <- a * x[, j - 1] + sqrt(1 - a^2) * rnorm(n)
    }
    x > stats::qnorm(0.7)
  }
  stats::cor(haplotype() + haplotype())
}

cis_designs <- list(
  strong = list(n_x = 50000, n_y = 20000, causal = c(10, 45, 85, 120, 150, 190), share = 0.3,
    effect = c(1, -1, 1.5, 1, 0.5, -1)),
  weak = list(n_x = 10000, n_y = 10000, causal = c(20, 70, 120, 180), share = 0.04,
    effect = c(1, -1, 1, 1))
)

run_cis <- function(cell) {
  overlap <- grepl("overlap", cell$kind)
  design <- cis_designs[[sub(",.*", "", cell$kind)]]
  n_y <- if (overlap) design$n_x else design$n_y
  psi <- if (overlap) 0.5 else 0
  rho <- region_ld()
  beta <- drop(rho[, design$causal] %*% design$effect)
  scale <- sqrt(design$share / sum(beta[design$causal] * design$effect))
  beta <- beta * scale
  root <- t(chol(rho))
  s_x <- sqrt((1 - design$share) / design$n_x)
  s_y <- 1 / sqrt(n_y)
  hits <- replicate(cell$n_sim, {
    first <- rnorm(200)
    second <- psi * first + sqrt(1 - psi^2) * rnorm(200)
    dat <- mr_data(beta + s_x * drop(root %*% first), rep(s_x, 200),
      0.3 * beta + s_y * drop(root %*% second), rep(s_y, 200))
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
  cis <- expand.grid(kind = c("strong", "strong, overlap", "weak", "weak, overlap"), strength = NA,
    seed = batches, stringsAsFactors = FALSE)
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
