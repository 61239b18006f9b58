# Coverage and size of what the other studies leave out: Rscript bench/reliability.R [--trial]
# [--minutes=20] [--fresh] [--only=linear,meta]. Batches of simulations, one row each, in
# bench/reliability.csv; bench/reliability.md says what they come to. A killed run goes on where it
# was. Some 10 minutes on one thread.
#
# Intervals: how often those of 95 % hold the truth. Their p-values are of the same law, so that a
# test of the truth rejects in the rest. Tests: how often p < 0.05 where the null is true.
#
# linear    300 people, 4 normal instruments of joint F near 30, effect 0.3, confounder; OLS without
# robust    the same, the errors' spread grows with the first instrument
# cluster   60 clusters of 6; errors and one instrument share a part within clusters
# lasso     500 people, 40 instruments of which 4 matter
# tests     of the linear design: Sargan, and Wu-Hausman without a confounder
# snp       10 variants of 400 people, no effect; binary trait of 30 % cases; families of 4
# meta      10 studies, effect 0.3, heterogeneity of variance 0.02 (or none), known errors
# meta_reg  20 studies, slope 0.3 on a moderator, heterogeneity of variance 0.02
# summary   20 variants, no pleiotropy: Cochran's Q, Egger's intercept, MR-PRESSO, radial Q; three
#           exposures: Q
# kernel    60 rows: MMD of two groups of one law, HSIC of two independent columns
# dfiv      deep feature IV, 1000 people, 50 bootstrap replicates, linear effect 0.3: the average
#           derivative
source(file.path("bench", "study_tools.R"))

people_of <- function(n = 300, kind = "linear", endogenous = TRUE, effect = 0.3) {
  l <- 4
  unit <- if (kind == "cluster") rep(seq_len(n / 6), each = 6) else seq_len(n)
  shared <- function() stats::rnorm(max(unit))[unit]
  z <- matrix(stats::rnorm(n * l), n)
  u <- stats::rnorm(n)
  e <- stats::rnorm(n)
  if (kind == "cluster") {
    z[, 1] <- sqrt(0.5) * z[, 1] + sqrt(0.5) * shared()
    e <- e + shared()
  }
  if (kind == "robust") {
    e <- e * (0.3 + abs(z[, 1]))
  }
  x <- drop(z %*% rep(0.35, l)) + stats::rnorm(n) + (if (endogenous) 0.6 * u else 0)
  list(x = x, y = effect * x + 0.6 * u + e, z = z, unit = unit)
}

# Does the interval of the exposure hold the truth?
held <- function(fit, truth = 0.3) {
  row <- tidy(fit, conf.int = TRUE, exposures_only = TRUE)
  row$conf.low <= truth && row$conf.high >= truth
}

run_linear <- function() {
  d <- people_of()
  o <- people_of(endogenous = FALSE)
  two <- function(f, ...) f(y = d$y, x = d$x, z = d$z, ...)
  c("iv_ols, iid" = held(iv_ols(y = o$y, x = o$x)), "iv_2sls, iid" = held(two(iv_2sls)),
    "iv_liml, iid" = held(two(iv_liml)), "iv_liml, bekker" = held(two(iv_liml, vcov = "bekker")),
    "iv_liml(fuller = 1), iid" = held(two(iv_liml, fuller = 1)),
    "iv_jive (UJIVE), HC1" = held(two(iv_jive)),
    "iv_jive (JIVE1), HC1" = held(two(iv_jive, type = "JIVE1")),
    "iv_jive (IJIVE), HC1" = held(two(iv_jive, type = "IJIVE")))
}

run_robust <- function() {
  d <- people_of(kind = "robust")
  o <- people_of(kind = "robust", endogenous = FALSE)
  kinds <- c("HC0", "HC1", "HC2", "HC3")
  two <- vapply(kinds, function(v) held(iv_2sls(y = d$y, x = d$x, z = d$z, vcov = v)), NA)
  ols <- vapply(kinds, function(v) held(iv_ols(y = o$y, x = o$x, vcov = v)), NA)
  c(stats::setNames(two, paste("iv_2sls,", kinds)), stats::setNames(ols, paste("iv_ols,", kinds)),
    "iv_liml, HC3" = held(iv_liml(y = d$y, x = d$x, z = d$z, vcov = "HC3")))
}

run_cluster <- function() {
  d <- people_of(n = 360, kind = "cluster")
  c("iv_2sls, clusters" = held(iv_2sls(y = d$y, x = d$x, z = d$z, cluster = d$unit)),
    "iv_liml, clusters" = held(iv_liml(y = d$y, x = d$x, z = d$z, cluster = d$unit)),
    "iv_jive, clusters" = held(iv_jive(y = d$y, x = d$x, z = d$z, cluster = d$unit)))
}

run_lasso <- function() {
  n <- 500
  z <- matrix(stats::rnorm(n * 40), n)
  u <- stats::rnorm(n)
  x <- drop(z[, 1:4] %*% rep(0.4, 4)) + u + stats::rnorm(n)
  y <- 0.3 * x + u + stats::rnorm(n)
  c("iv_lasso" = held(iv_lasso(y = y, x = x, z = z, seed = 1)),
    "iv_lasso(refit = TRUE)" = held(iv_lasso(y = y, x = x, z = z, seed = 1, refit = TRUE)))
}

run_tests <- function() {
  d <- people_of()
  o <- people_of(endogenous = FALSE)
  p_of <- function(d, name) {
    table <- diagnostics(iv_2sls(y = d$y, x = d$x, z = d$z))
    table$p.value[table$diagnostic == name] < 0.05
  }
  c("diagnostics: Sargan" = p_of(d, "Sargan"), "diagnostics: Wu-Hausman" = p_of(o, "Wu-Hausman"))
}

run_snp <- function() {
  n <- 400
  family <- rep(seq_len(n / 4), each = 4)
  g <- matrix(stats::rbinom(n * 10, 2, 0.3), n, dimnames = list(NULL, paste0("rs", 1:10)))
  y <- stats::rnorm(n)
  alike <- g[4 * family - 3, ] # one genotype and one shared error a family
  share <- function(...) mean(snp_associations(...)$pval < 0.05)
  c("snp_associations, iid" = share(g, data.frame(y), "y"),
    "snp_associations, HC1" = share(g, data.frame(y), "y", vcov = "HC1"),
    "snp_associations, clusters" = share(alike, data.frame(y = y + stats::rnorm(n)[family], family),
      "y", cluster = "family"),
    "snp_associations, logistic" = share(g, data.frame(y = stats::rbinom(n, 1, 0.3)), "y",
      family = "logistic"))
}

run_meta <- function() {
  k <- 10
  se <- sqrt(stats::runif(k, 0.005, 0.03))
  draw <- function(tau2) 0.3 + stats::rnorm(k, 0, sqrt(se^2 + tau2))
  between <- draw(0.02)
  none <- draw(0)
  row <- function(y, ...) {
    m <- meta_random(y, se, ...)
    m$conf.low <= 0.3 && m$conf.high >= 0.3
  }
  m <- meta_random(none, se)
  t2 <- meta_random(between, se)
  c("meta_random, FE, none" = row(none, method = "FE"),
    "meta_random, REML, z, none" = row(none),
    "meta_random, REML, z" = row(between), "meta_random, DL, z" = row(between, method = "DL"),
    "meta_random, PM, z" = row(between, method = "PM"),
    "meta_random, REML, knha" = row(between, test = "knha"),
    "meta_random, REML, adhoc" = row(between, test = "adhoc"),
    "meta_random, tau2 by REML" = t2$tau2.low <= 0.02 && t2$tau2.high >= 0.02,
    "test: meta_random, Q" = m$q.p.value < 0.05)
}

run_meta_reg <- function() {
  k <- 20
  a <- seq(-1, 1, length.out = k)
  se <- sqrt(stats::runif(k, 0.005, 0.03))
  y <- 0.3 * a + stats::rnorm(k, 0, sqrt(se^2 + 0.02))
  slope <- function(test) {
    ci <- confint(meta_regression(y, se, ~a, data.frame(a), test = test))["a", ]
    ci[1] <= 0.3 && ci[2] >= 0.3
  }
  c("meta_regression, REML, z" = slope("z"), "meta_regression, REML, knha" = slope("knha"))
}

run_summary <- function() {
  l <- 20
  b <- stats::runif(l, 0.05, 0.15)
  dat <- mr_data(b + stats::rnorm(l, 0, 0.005), rep(0.005, l), 0.1 * b + stats::rnorm(l, 0, 0.01),
    rep(0.01, l))
  about <- mr_diagnose(dat)
  three <- matrix(stats::rnorm(30 * 3, 0, 0.1), 30)
  mv <- mv_data(three + stats::rnorm(90, 0, 0.005), matrix(0.005, 30, 3),
    drop(three %*% c(0.1, 0, -0.1)) + stats::rnorm(30, 0, 0.01), rep(0.01, 30))
  c("mr_diagnose: Q" = about$Q_pval < 0.05,
    "mr_diagnose: Egger intercept" = about$egger_intercept_pval < 0.05,
    "mr_presso_test: global" = mr_presso_test(dat, 500, outlier_test = FALSE,
      distortion_test = FALSE, seed = 1)$global$pval < 0.05,
    "mr_radial: Q" = mr_radial(dat)$coef$Q_pval[1] < 0.05,
    "mv_diagnose: Q" = mv_diagnose(mv)$Q_pval[1] < 0.05,
    "mv_diagnose: Q, errors of the exposures counted" = mv_diagnose(mv)$Q_least_pval[1] < 0.05)
}

run_kernel <- function(seed) {
  x <- stats::rnorm(60)
  c("kernel_test: MMD" = kernel_test(x, group = rep(1:2, 30), seed = seed)$p.value <= 0.05,
    "kernel_test: HSIC" = kernel_test(x, stats::rnorm(60), seed = seed)$p.value <= 0.05)
}

run_dfiv <- function(seed) {
  d <- people_of(n = 1000)
  fit <- iv_dfiv(y = d$y, x = d$x, z = d$z, n_boot = 50, seed = seed)
  row <- average_derivative(fit)
  c("iv_dfiv, average derivative" = row$conf.low <= 0.3 && row$conf.high >= 0.3)
}

# Simulations in all; a batch is a tenth of them.
sizes <- c(linear = 2000, robust = 2000, cluster = 2000, lasso = 1000, tests = 2000, snp = 1000,
  meta = 2000, meta_reg = 2000, summary = 1000, kernel = 2000, dfiv = 200)

reliability_cells <- function(trial) {
  batches <- if (trial) 101 else 101:110
  cells <- expand.grid(group = names(sizes), seed = batches, stringsAsFactors = FALSE)
  cells$n_sim <- if (trial) 4 else unname(sizes[cells$group]) / 10
  cells
}

run_reliability <- function(cell) {
  set.seed(cell$seed)
  one <- list(linear = run_linear, robust = run_robust, cluster = run_cluster, lasso = run_lasso,
    tests = run_tests, snp = run_snp, meta = run_meta, meta_reg = run_meta_reg,
    summary = run_summary)
  hits <- lapply(seq_len(cell$n_sim), function(i) {
    switch(cell$group, kernel = run_kernel(1000 * cell$seed + i),
      dfiv = run_dfiv(1000 * cell$seed + i), one[[cell$group]]())
  })
  colSums(do.call(rbind, hits), na.rm = TRUE)
}

# How often each came true, against what is wanted; tests are of the groups named here.
reliability_table <- function(rows) {
  about <- c("group", "seed", "n_sim", "n_threads", "cell_seconds", "problem", "commit")
  out <- lapply(setdiff(names(rows), about), function(name) {
    r <- rows[!is.na(rows[[name]]), ]
    is_test <- r$group[1] %in% c("tests", "snp", "summary", "kernel") || grepl("^test: ", name)
    wanted <- if (is_test) 0.05 else 0.95
    # ten variants count in each simulation of associations, of different genotypes
    n <- sum(r$n_sim) * if (r$group[1] == "snp") 10 else 1
    share <- sum(r[[name]]) / sum(r$n_sim)
    data.frame(what = name, group = r$group[1], kind = if (is_test) "size" else "coverage", n,
      share, error = sqrt(share * (1 - share) / n),
      from = (share - wanted) / sqrt(wanted * (1 - wanted) / n))
  })
  do.call(rbind, out)
}

reliability_report <- function(rows) {
  table <- reliability_table(rows)
  shown <- data.frame(what = sub("^test: ", "", table$what), design = table$group,
    kind = table$kind, n = whole(table$n),
    share = sprintf("%.2f (%.2f)", 100 * table$share, 100 * table$error),
    from = sprintf("%+.1f", table$from))
  names(shown) <- c("what", "design", "kind", "simulations", "per cent (MC error)",
    "from nominal, MC errors")
  c("# Coverage and size of what the other studies leave out", "",
    "Written by `bench/reliability.R`, whose head has the designs: coverage of 95 % intervals",
    "(nominal 95) and how often tests at 5 % reject a true null (nominal 5).", "",
    md_table(shown), "", notes_of(rows))
}

reliability_study <- function() {
  how <- study_options()
  options(mrlearn.threads = 1)
  folder <- if (how$trial) file.path("build", "reliability_trial") else "bench"
  dir.create(folder, showWarnings = FALSE, recursive = TRUE)
  path <- file.path(folder, "reliability.csv")
  rows <- read_rows(path)
  if (NROW(rows)) {
    names(rows) <- names(utils::read.csv(path, check.names = FALSE)) # they are what was measured
  }
  cells <- reliability_cells(how$trial)
  cells <- if (is.null(how$only)) cells else cells[cells$group %in% how$only, ]
  rows <- if (how$fresh) rows[!rows$group %in% cells$group, ] else rows
  if (NROW(rows)) {
    cells <- cells[!cell_key(cells) %in% cell_key(rows[names(cells)]), ]
  }
  started <- proc.time()[["elapsed"]]
  commit <- measured_commit()
  for (i in seq_len(nrow(cells))) {
    if ((proc.time()[["elapsed"]] - started) / 60 > how$minutes) {
      break
    }
    rows <- bind_rows(rows, run_cell(list(run = run_reliability), cells[i, ], commit))
    write_rows(rows, path)
    cat(cell_key(cells[i, ]), "\n")
  }
  writeLines(reliability_report(rows), file.path(folder, "reliability.md"))
}

if (is_script()) {
  reliability_study()
}
