# Size and power of DeLIVR's two tests.
#
#   Rscript bench/delivr.R   writes bench/delivr.csv and .md
#
# Ten variants that explain a quarter of the exposure, 5000 people; options as in
# bench/study_tools.R; groups: null (no effect), linear, quadratic (two sizes), two (no effect and
# linear, exposure and outcome from different people), 400 data sets each. About a quarter of an
# hour on one thread.
source(file.path("bench", "contextual_tools.R"))

list_delivr <- function(trial) {
  cells <- function(group, effect, two) {
    data.frame(group, effect, two, n = if (trial) 1000 else 5000,
      seed = if (trial) 1:3 else 100 + seq_len(400))
  }
  rbind(
    cells("null", "none", FALSE), cells("linear", "linear", FALSE),
    cells("quadratic", "small quadratic", FALSE), cells("quadratic", "quadratic", FALSE),
    cells("two", "none", TRUE), cells("two", "linear", TRUE)
  )
}

delivr_effects <- list(
  none = function(x) 0, linear = function(x) 0.1 * x,
  "small quadratic" = function(x) 0.05 * x^2, quadratic = function(x) 0.1 * x^2
)

draw_delivr <- function(n, effect) {
  g <- matrix(stats::rbinom(10 * n, 2, 0.3), n)
  u <- stats::rnorm(n)
  x <- drop(g %*% rep(0.4, 10)) - 2.4 + u + stats::rnorm(n)
  data <- data.frame(x, y = delivr_effects[[effect]](x) + u + stats::rnorm(n))
  data$g <- g
  data
}

run_delivr <- function(cell) {
  set.seed(cell$seed)
  first <- draw_delivr(cell$n, cell$effect)
  second <- if (cell$two) draw_delivr(cell$n, cell$effect)
  p <- function(kind) {
    iv_delivr(y ~ x | g, first, stage2_data = second, nonlinearity = kind,
      seed = cell$seed)$tests$p.value
  }
  partial <- p("partial")
  c(global = partial[1], nonlinearity = partial[2], published = p("published")[2])
}

delivr_rate <- function(p) {
  rate <- mean(p < 0.05)
  sprintf("%.3f (%.3f)", rate, sqrt(rate * (1 - rate) / length(p)))
}

delivr_line <- function(rows) {
  data.frame(
    effect = rows$effect[1], samples = if (rows$two[1]) "two" else "one", "data sets" = nrow(rows),
    global = delivr_rate(rows$global), nonlinearity = delivr_rate(rows$nonlinearity),
    published = delivr_rate(rows$published), seconds = short(stats::median(rows$cell_seconds) / 2),
    check.names = FALSE
  )
}

report_delivr <- function(rows) {
  rows <- rows[!is.na(rows$global), ]
  parts <- split(rows, list(factor(rows$effect, names(delivr_effects)), rows$two), drop = TRUE)
  c(
    "# DeLIVR: how often its tests reject at 5 %", "",
    paste0("Written by `bench/delivr.R` from `bench/delivr.csv`: n = ", rows$n[1],
      ", ten variants, five splits, the"),
    "published network, confounded exposure. In brackets: Monte Carlo standard errors. Size: the",
    "global test where there is no effect, the nonlinearity tests where there is none or a linear",
    "one; elsewhere power. \"published\" regresses the residuals of y on the prediction on h,",
    "without taking the prediction out of h. Seeds from 101 on served for nothing else.", "",
    md_table(do.call(rbind, lapply(parts, delivr_line))), "", notes_of(rows)
  )
}

delivr_study <- list(name = "delivr", cells = list_delivr, run = run_delivr, report = report_delivr)
if (is_script()) {
  finish_study(delivr_study)
}
