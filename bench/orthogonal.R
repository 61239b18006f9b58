# Coverage of orthogonal intervals of the average derivative, and how they compare with the plug-in
# average of the curve.
#
#   Rscript bench/orthogonal.R   writes bench/orthogonal.csv and .md
#
# sim_nonlinear(n = 5000) with the defaults of everything; options as in bench/study_tools.R;
# groups: linear, quadratic, threshold (iv_quantile(), 500 data sets each), ate (the contrast of 1
# against 0 by the same fits, quadratic, 200), tsls (iv_2sls() of a quadratic, 200). The first
# three take about 20 minutes on one thread; two simulations run at a time, each on one thread.
source(file.path("bench", "contextual_tools.R"))

list_orthogonal <- function(trial) {
  cells <- function(group, curve, estimand, estimator, many) {
    data.frame(group, curve, estimand, estimator, n = if (trial) 1000 else 5000,
      seed = if (trial) 1:3 else 100 + seq_len(many))
  }
  curves <- c("linear", "quadratic", "threshold")
  rbind(
    do.call(rbind, lapply(curves, function(curve) {
      cells(curve, curve, "average_derivative", "Quantile IV", 500)
    })),
    cells("ate", "quadratic", "ate", "Quantile IV", 200),
    cells("tsls", "quadratic", "average_derivative", "2SLS, quadratic", 200)
  )
}

# The population's value. Of the average derivative f' is linear but for the threshold, where it is
# P(X > .6): given the genotypes X is normal, and these are drawn for 100,000 people (to .001).
true_value <- function(cell, sim) {
  true <- truth(sim)
  if (cell$estimand == "ate") {
    return(diff(true$curve(c(0, 1))))
  }
  if (cell$curve != "threshold") {
    return(true$slope(0))
  }
  set.seed(cell$seed)
  score <- 0
  for (j in seq_along(true$pi)) {
    score <- score + true$pi[j] * (stats::rbinom(1e5, 2, true$mafs[j]) - 2 * true$mafs[j])
  }
  mean(stats::pnorm((score - 0.6) / sqrt(1 - true$h2)))
}

run_orthogonal <- function(cell) {
  sim <- with_instruments(sim_nonlinear(cell$n, f = cell$curve, seed = cell$seed))
  true <- true_value(cell, sim)
  fit <- if (cell$estimator == "Quantile IV") {
    iv_quantile(Y ~ X | g, sim, seed = cell$seed)
  } else {
    sim$score <- stats::lm.fit(cbind(1, sim$g), sim$X)$fitted.values
    iv_2sls(Y ~ X + I(X^2) | score + I(score^2), sim)
  }
  plug_in <- if (cell$estimand == "ate") ate(fit, 0, 1) else average_derivative(fit)
  ends <- if (cell$estimand == "ate") c(0, 1)
  found <- timed(orthogonal(fit, cell$estimand, from = ends[1], to = ends[2], data = sim,
    seed = cell$seed))
  out <- found$value
  c(
    truth = true, estimate = out$estimate, std.error = out$std.error,
    covers = out$conf.low <= true && true <= out$conf.high, plug_in = plug_in$estimate,
    relevance = out$relevance, imbalance = out$imbalance, seconds = found$seconds
  )
}

orthogonal_line <- function(rows) {
  error <- rows$estimate - rows$truth
  plain <- rows$plug_in - rows$truth
  n <- nrow(rows)
  rate <- mean(rows$covers)
  ratio <- mean(rows$std.error) / stats::sd(error)
  data.frame(
    estimator = rows$estimator[1], truth = rows$curve[1], estimand = rows$estimand[1],
    "data sets" = n, coverage = sprintf("%.3f (%+.1f)", rate,
      (rate - 0.95) / sqrt(0.95 * 0.05 / n)),
    bias = sprintf("%.4f (%.4f)", mean(error), stats::sd(error) / sqrt(n)),
    SD = short(stats::sd(error)), "SE / SD" = sprintf("%.2f (%.2f)", ratio, ratio / sqrt(2 * n)),
    "bias, plug-in" = sprintf("%.4f", mean(plain)), "SD, plug-in" = short(stats::sd(plain)),
    seconds = short(stats::median(rows$seconds)), check.names = FALSE
  )
}

report_orthogonal <- function(rows) {
  parts <- split(rows, factor(rows$group, unique(list_orthogonal(FALSE)$group)), drop = TRUE)
  main <- parts[intersect(names(parts), c("linear", "quadratic", "threshold"))]
  away <- vapply(main, function(part) {
    (mean(part$covers) - 0.95) / sqrt(0.95 * 0.05 / nrow(part))
  }, 0)
  whole <- length(main) == 3L && all(vapply(main, nrow, 0L) >= 500L)
  c(
    "# Orthogonal average derivatives", "",
    paste0("Written by `bench/orthogonal.R` from `bench/orthogonal.csv`: `sim_nonlinear(n = ",
      rows$n[1], ")`, `orthogonal()` with its defaults, nominal 95 %."),
    "In brackets: of a coverage its distance from 0.95 in Monte Carlo errors, sqrt(0.95 0.05 /",
    "data sets); of bias and of the mean standard error over the standard deviation of the",
    "estimates their own Monte Carlo errors. The plug-in is `average_derivative()` or `ate()` of",
    "the fit on all rows. Seeds from 101 on served for nothing else.", "",
    paste0("Target, coverage of the average derivative within 3 Monte Carlo errors for linear, ",
      "quadratic and threshold truth (500 data sets each): ",
      if (all(abs(away) <= 3)) "met" else "missed", if (!whole) " so far, not all are run", "."),
    "", md_table(do.call(rbind, lapply(parts, orthogonal_line))), "", notes_of(rows)
  )
}

orthogonal_study <- list(name = "orthogonal", cells = list_orthogonal, run = run_orthogonal,
  report = report_orthogonal, processes = 2L)
if (is_script()) {
  finish_study(orthogonal_study)
}
