# Slopes that do differ between people: what iv_contextual() finds, against the truth and against
# grf::instrumental_forest().
#
#   Rscript bench/contextual_truth.R   writes bench/contextual_truth.csv and .md, and tables for the
#                                      vignette
#
# People of sim_contextual(), 30 SNPs, pi_scale 0.3; slopes of mean 0.3 that are linear in BMI,
# curved in age, or two by sex; the same defaults everywhere. Options as in bench/study_tools.R;
# groups:
#   slopes     n = 20,000, SD 0.2: correlation and mean squared error of the slopes
#   forest     the same by the forest, whose one instrument is the allele score that the first stage
#              estimates (needs grf)
#   coverage   n = 5000, SD 0.2 and 0: 95 % intervals of the average slope and of slopes
#   test       n = 5000: p-values of the test of heterogeneity, SD 0 with and without main effects
#              of the context, and SD 0.15; n = 20,000 for the power as well
# Two simulations are fitted at a time, on one thread each.
source(file.path("bench", "contextual_tools.R"))

shapes <- names(slope_shapes)[1:3]
has_grf <- requireNamespace("grf", quietly = TRUE)
if (!has_grf) {
  cat("grf is not installed: no forests\n")
}

list_truth <- function(trial) {
  seeds <- function(n, few) if (trial) seq_len(few) else 100 + seq_len(n)
  cells <- function(group, n, shape, sd, seed, main = TRUE) {
    expand.grid(group = group, n = if (trial) n / 10 else n, shape = shape, sd = sd, main = main,
      seed = seed, stringsAsFactors = FALSE)
  }
  rbind(
    cells("slopes", 20000, shapes, 0.2, seeds(10, 2)),
    if (has_grf) cells("forest", 20000, shapes, 0.2, seeds(3, 1)),
    cells("coverage", 5000, shapes, 0.2, seeds(200, 3)),
    cells("coverage", 5000, "constant", 0, seeds(200, 3)),
    cells("test", 5000, "constant", 0, seeds(500, 3), main = c(TRUE, FALSE)),
    cells("test", 5000, shapes, 0.15, seeds(100, 2)),
    cells("test", 20000, shapes, 0.15, seeds(20, 1))
  )
}

run_truth <- function(cell) {
  sim <- draw_people(cell$n, cell$shape, cell$sd, cell$seed, cell$main)
  switch(cell$group,
    slopes = look_at_slopes(fit_timed(sim, cell$seed), sim),
    forest = look_at_forest(sim, cell$seed),
    coverage = look_at_cover(fit_timed(sim, cell$seed), sim),
    test = look_at_test(fit_timed(sim, cell$seed))
  )
}

fit_timed <- function(sim, seed) {
  timed(fit_contextual(Y ~ X | g, sim, seed = seed))
}

slope_errors <- function(estimate, true, seconds) {
  cor <- if (stats::sd(true) == 0) NA else if (stats::sd(estimate) == 0) 0 else
    stats::cor(estimate, true)
  c(cor = cor,
    mse = mean((estimate - true)^2), sd_slopes = stats::sd(estimate), seconds = seconds)
}

look_at_slopes <- function(fit, sim) {
  slope_errors(context_effects(fit$value)$estimate, true_slopes(sim), fit$seconds)
}

# The forest sees the same context; its predictions for its own people are out of bag.
look_at_forest <- function(sim, seed) {
  score <- stats::lm.fit(cbind(1, sim$g), sim$X)$fitted.values
  context <- stats::model.matrix(context_formula, sim)[, -1]
  forest <- timed({
    fit <- grf::instrumental_forest(context, sim$Y, sim$X, score, num.threads = mrl_threads(),
      seed = seed)
    stats::predict(fit)$predictions
  })
  slope_errors(forest$value, true_slopes(sim), forest$seconds)
}

look_at_cover <- function(fit, sim) {
  true <- true_slopes(sim)
  mean <- average_derivative(fit$value)
  each <- context_effects(fit$value)
  inside <- each$conf.low <= true & true <= each$conf.high
  c(
    slope_errors(each$estimate, true, fit$seconds),
    mean_error = mean$estimate - base::mean(true), mean_se = mean$std.error,
    mean_covers = mean$conf.low <= base::mean(true) & base::mean(true) <= mean$conf.high,
    each_covers = base::mean(inside), each_width = base::mean(each$conf.high - each$conf.low)
  )
}

look_at_test <- function(fit) {
  c(p = heterogeneity_test(fit$value)$p.value[1], seconds = fit$seconds)
}

slopes_table <- function(rows) {
  parts <- split(rows, factor(rows$shape, shapes), drop = TRUE)
  do.call(rbind, lapply(parts, function(d) {
    ours <- d[d$group == "slopes", ]
    forest <- d[d$group == "forest", ]
    both <- ours[match(forest$seed, ours$seed), ]
    data.frame(
      slopes = d$shape[1], correlation = median_range(ours$cor), MSE = median_range(ours$mse),
      seconds = median_range(ours$seconds),
      "correlation, forest" = median_range(forest$cor), "MSE, forest" = median_range(forest$mse),
      "seconds, forest" = median_range(forest$seconds),
      "MSE, ours / forest" = median_range(both$mse / forest$mse), check.names = FALSE
    )
  }))
}

coverage_table <- function(rows) {
  rows <- rows[rows$group == "coverage", ]
  do.call(rbind, lapply(split(rows, factor(rows$shape, names(slope_shapes)), drop = TRUE),
    function(d) {
      covers <- d$mean_covers[!is.na(d$mean_covers)]
      error <- sqrt(0.95 * 0.05 / length(covers))
      data.frame(
        slopes = d$shape[1], runs = length(covers), "covers average" = share_text(covers),
        "(c - 95) / MC error" = sprintf("%.1f", (mean(covers) - 0.95) / error),
        "mean error" = sprintf("%.4f", mean(d$mean_error, na.rm = TRUE)),
        "SD" = sprintf("%.4f", stats::sd(d$mean_error, na.rm = TRUE)),
        "mean std. error" = sprintf("%.4f", mean(d$mean_se, na.rm = TRUE)),
        "covers slopes" = sprintf("%.1f (%.1f)", 100 * mean(d$each_covers, na.rm = TRUE),
          100 * stats::sd(d$each_covers, na.rm = TRUE) / sqrt(length(covers))),
        "mean width" = sprintf("%.3f", mean(d$each_width, na.rm = TRUE)),
        "correlation" = if (all(is.na(d$cor))) "" else median_range(d$cor), check.names = FALSE
      )
    }))
}

test_table <- function(rows) {
  rows <- rows[rows$group == "test", ]
  parts <- split(rows, list(rows$main, factor(rows$shape, names(slope_shapes)), rows$n),
    drop = TRUE)
  do.call(rbind, lapply(unname(parts), function(d) {
    data.frame(
      slopes = d$shape[1], n = whole(d$n[1]), SD = d$sd[1],
      "main effects" = if (d$main[1]) "yes" else "no", runs = nrow(d),
      "p < 0.05" = share_text(d$p < 0.05), seconds = short(stats::median(d$seconds)),
      check.names = FALSE
    )
  }))
}

# One number for each demand.
verdicts <- function(rows) {
  slopes <- rows[rows$group == "slopes", ]
  least <- suppressWarnings(min(tapply(slopes$cor, slopes$shape, stats::median)))
  at_least <- function(value, limit) {
    paste0("at least ", short(limit), ": ", if (!is.finite(value)) "not run" else if (
      value >= limit) paste("met,", short(value)) else paste("missed,", short(value)))
  }
  test <- rows[rows$group == "test", ]
  reject <- function(d) if (nrow(d)) mean(d$p < 0.05, na.rm = TRUE) else NA
  size <- c(reject(test[test$sd == 0 & test$main, ]), reject(test[test$sd == 0 & !test$main, ]))
  power <- tapply(test$p < 0.05, paste(test$n, test$shape), mean)[unique(paste(test$n,
    test$shape)[test$sd > 0])]
  c(
    paste0("- correlation, least of the three medians, ", at_least(least, 0.9)),
    paste0("- size of the test, wanted 3 to 7 %: ", short(100 * size[1]), " % with and ",
      short(100 * size[2]), " % without main effects"),
    paste0("- power at SD 0.15, least of all rows, ", at_least(min(power), 0.8))
  )
}

report_truth <- function(rows) {
  table <- slopes_table(rows)
  cover <- coverage_table(rows)
  test <- test_table(rows)
  write_for_vignette(table, "contextual_truth")
  write_for_vignette(cover, "contextual_coverage")
  write_for_vignette(test, "contextual_test")
  c(
    "# Slopes that differ between people", "",
    "Written by `bench/contextual_truth.R`: people of `sim_contextual()`, 30 SNPs, pi_scale 0.3,",
    "ten context variables that also shift exposure and outcome; `iv_contextual()` with its",
    "defaults. Slopes have the mean 0.3.", "", verdicts(rows), "",
    "## Slopes of people: n = 20,000, SD 0.2", "",
    "Medians over simulations (range). A constant slope has the MSE 0.04. Forest: `grf`",
    paste0("`instrumental_forest()`", if (has_grf) paste0(" ", utils::packageVersion("grf")) else
      " (not installed)", ", its defaults, one thread, allele score of the first stage as its"),
    "instrument.", "", md_table(table), "",
    "## Intervals: n = 5000, SD 0.2", "",
    "95 % intervals of the average slope and of people's slopes, in per cent with Monte Carlo",
    "standard error.", "", md_table(cover), "",
    "## Test of heterogeneity", "", md_table(test), "", notes_of(rows)
  )
}

if (is_script()) {
  finish_study(list(name = "contextual_truth", cells = list_truth, run = run_truth,
    report = report_truth, processes = 2L))
}
