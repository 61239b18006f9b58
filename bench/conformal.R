# Coverage and width of conformal intervals against those of an oracle that knows the outcome's law.
#
#   Rscript bench/conformal.R   writes bench/conformal.csv and .md
#
# Options as in bench/study_tools.R. 8000 rows to fit, 2000 to calibrate, 20,000 new ones, nominal
# 90 %, 50 data sets; the oracle's interval has the 5 % and 95 % quantiles of the outcome's law, so
# it is the narrowest where that is symmetric. Groups:
#   spread   X uniform on -2 .. 2, Y = sin 2X + (.3 + .3 X^2) e, e normal: a design without
#            confounding whose spread depends on X
#   skewed   the same with e exponential (rate 1) less its mean
#   iv       sim_nonlinear(), around iv_quantile(): Y given X is normal there, with the confounder's
#            share of the mean that the causal curve leaves out, so that the oracle's interval lies
#            around another line
#   few      "spread" with 1000 rows to fit, 15 to calibrate and 100 new ones, 300 data sets: the
#            exact level, 14.4 of 16 rounded up to 15 of 16 = .9375
source(file.path("bench", "contextual_tools.R"))

level <- 0.9
methods <- c("split", "normalised", "cqr", "cqr, asymmetric", "cqr, all levels")

list_conformal <- function(trial) {
  cells <- function(group, method, many, n = 8000) {
    expand.grid(group = group, method = method, n = if (trial) 1000 else n,
      seed = if (trial) 1:2 else 100 + seq_len(many), stringsAsFactors = FALSE)
  }
  rbind(
    cells(c("spread", "skewed"), methods, 50), cells("iv", methods[1:4], 50),
    cells("few", methods[c(1, 3)], 300, 1000)
  )
}

# Rows with the oracle's interval (low, high).
draw_spread <- function(n, skewed) {
  x <- stats::runif(n, -2, 2)
  s <- 0.3 + 0.3 * x^2
  e <- if (skewed) stats::rexp(n) - 1 else stats::rnorm(n)
  q <- c(1 - level, 1 + level) / 2
  q <- if (skewed) stats::qexp(q) - 1 else stats::qnorm(q)
  data.frame(X = x, Y = sin(2 * x) + s * e, low = sin(2 * x) + q[1] * s,
    high = sin(2 * x) + q[2] * s)
}

# Given X the confounder has mean beta_ux X and variance 1 - beta_ux^2 (X being nearly normal).
draw_iv <- function(n, seed) {
  sim <- with_instruments(sim_nonlinear(n, seed = seed))
  true <- truth(sim)
  mean <- true$curve(sim$X) + true$beta_uy * true$beta_ux * sim$X
  sd <- sqrt(1 + true$beta_uy^2 * (1 - true$beta_ux^2))
  half <- stats::qnorm((1 + level) / 2) * sd
  data.frame(X = sim$X, Y = sim$Y, g = I(sim$g), low = mean - half, high = mean + half)
}

# list(fit, calibrate, new): rows of each.
draw_rows <- function(cell) {
  n <- c(cell$n, if (cell$group == "few") c(15, 100) else c(cell$n / 4, 2e4))
  rows <- if (cell$group == "iv") {
    draw_iv(sum(n), cell$seed)
  } else {
    set.seed(cell$seed)
    draw_spread(sum(n), cell$group == "skewed")
  }
  split(rows, rep(c("fit", "calibrate", "new"), n))
}

# Without confounding the mean is a regression: OLS of a polynomial stands for it.
fit_band <- function(cell, rows) {
  asymmetric <- grepl("asymmetric", cell$method)
  if (cell$group != "iv" && startsWith(cell$method, "cqr")) {
    every <- grepl("all levels", cell$method)
    fit <- quantile_regression(Y ~ X, rows$fit, tau = c(1 - level, 1 + level) / 2,
      simultaneous = every, seed = cell$seed)
    return(conformal(fit, rows$calibrate, conf_level = level, asymmetric = asymmetric))
  }
  fit <- if (cell$group == "iv") {
    iv_quantile(Y ~ X | g, rows$fit, seed = cell$seed)
  } else {
    iv_ols(Y ~ X + I(X^2) + I(X^3) + I(X^4) + I(X^5), rows$fit)
  }
  conformal(fit, rows$calibrate, sub(",.*", "", cell$method), conf_level = level,
    asymmetric = asymmetric, seed = cell$seed)
}

run_conformal <- function(cell) {
  rows <- draw_rows(cell)
  band <- timed(fit_band(cell, rows))
  ends <- predict(band$value, rows$new)
  inside <- ends$lower <= rows$new$Y & rows$new$Y <= ends$upper
  # How far coverage is from the nominal one along X, in ten groups of equal size.
  group <- cut(rank(rows$new$X), 10)
  c(
    coverage = mean(inside), width = mean(ends$upper - ends$lower),
    oracle = mean(rows$new$high - rows$new$low), worst = min(tapply(inside, group, mean)),
    seconds = band$seconds
  )
}

conformal_line <- function(rows) {
  ratio <- rows$width / rows$oracle
  data.frame(
    data = rows$group[1], method = rows$method[1], "data sets" = nrow(rows),
    coverage = sprintf("%.4f (%.4f)", mean(rows$coverage),
      stats::sd(rows$coverage) / sqrt(nrow(rows))),
    "width / oracle's" = sprintf("%.3f (%.3f)", mean(ratio), stats::sd(ratio) / sqrt(nrow(rows))),
    "coverage in the worst tenth of X" = sprintf("%.3f", mean(rows$worst)),
    seconds = short(stats::median(rows$seconds)), check.names = FALSE
  )
}

report_conformal <- function(rows) {
  parts <- split(rows, list(rows$method, rows$group), drop = TRUE)
  first <- function(column) vapply(parts, function(p) p[[column]][1], "")
  order <- order(match(first("group"), unique(list_conformal(TRUE)$group)),
    match(first("method"), methods))
  spread <- rows[rows$group %in% c("spread", "skewed") & startsWith(rows$method, "cqr"), ]
  by_part <- split(spread, list(spread$group, spread$method), drop = TRUE)
  covers <- vapply(by_part, function(p) mean(p$coverage), 0)
  wide <- vapply(by_part, function(p) mean(p$width / p$oracle), 0)
  c(
    "# Conformal intervals", "",
    "Written by `bench/conformal.R` from `bench/conformal.csv`; nominal 90 %; the head of the",
    "script has the designs. In brackets Monte Carlo errors.", "",
    paste0("Target, for conformalised quantile regression where the spread differs: coverage at ",
      "least 0.88: ", if (all(covers >= level - 0.02)) "met" else "missed", ", lowest ",
      sprintf("%.3f", min(covers)), "; mean width at most 1.05 of the oracle's: ",
      if (all(wide <= 1.05)) "met" else "missed", ", largest ", sprintf("%.3f", max(wide)), "."),
    "", md_table(do.call(rbind, lapply(parts[order], conformal_line))), "", notes_of(rows)
  )
}

conformal_study <- list(name = "conformal", cells = list_conformal, run = run_conformal,
  report = report_conformal)
if (is_script()) {
  finish_study(conformal_study)
}
