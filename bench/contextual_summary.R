# Contextual MR from summary statistics against the truth: do the intervals of mr_contextual()
# cover, does its test hold its level?
#
#   Rscript bench/contextual_summary.R   writes bench/contextual_summary.csv and .md
#
# People of sim_contextual(), 30 SNPs, main effects of the context; slopes constant, linear in BMI
# or curved in age. Ten strata of the context that matters (BMI where none does), made by
# stratum_associations() of all people ("one sample") or of two halves ("two samples"). Options as
# in bench/study_tools.R; groups are the two. Two cells run at a time, on one thread each.
source(file.path("bench", "contextual_tools.R"))

summary_methods <- c("maximum likelihood" = "mr_two_sample_ml_mre", "debiased IVW" = "mr_divw",
  IVW = "mr_ivw")

list_summary <- function(trial) {
  design <- data.frame(n = c(1e4, 1e4, 5e4), pi_scale = c(0.3, 0.1, 0.1))
  if (trial) {
    design <- design[1:2, ]
  }
  cells <- merge(design, expand.grid(
    shape = c("constant", "linear in BMI", "curved in age"), seed = if (trial) 1:5 else 100 + 1:200,
    group = c("one sample", "two samples"), stringsAsFactors = FALSE))
  cells[c("group", "shape", "n", "pi_scale", "seed")]
}

# The table of strata, of all people or with exposure and outcome of different halves.
strata_of <- function(sim, name, two) {
  of <- function(rows, ...) {
    d <- as.data.frame(sim)[rows, ]
    z <- truth(sim)$context_std[rows, name]
    stratum_associations(sim$g[rows, ], d$X, d$Y, z, ...)
  }
  n <- nrow(sim)
  if (!two) {
    return(of(seq_len(n)))
  }
  outcome <- of(seq_len(n) > n / 2)
  exposure <- of(seq_len(n) <= n / 2, breaks = attr(outcome, "breaks"))
  merge(exposure[c("snp", "stratum", "beta.exposure", "se.exposure")],
    outcome[c("snp", "stratum", "context", "beta.outcome", "se.outcome")])
}

run_summary <- function(cell) {
  sim <- draw_people(cell$n, cell$shape, 0.2, cell$seed, pi_scale = cell$pi_scale)
  name <- if (cell$shape == "curved in age") "age" else "bmi"
  strata <- strata_of(sim, name, cell$group == "two samples")
  shape <- if (name == "age") "spline" else "linear"
  slope <- slope_shapes[[cell$shape]](0.2)
  at <- data.frame(bmi = c(-1, 0, 1), age = c(-1, 0, 1))
  slope_at <- rep_len(if (is.function(slope)) slope(at) else slope, 3)
  unlist(lapply(names(summary_methods), function(method) {
    fit <- mr_contextual(strata, shape = shape, method = summary_methods[[method]])
    g <- glance(fit)
    half <- stats::qt(0.975, g$df.residual) * g$std.error
    curve <- predict(fit, c(-1, 0, 1))
    out <- c(
      error = g$estimate - mean(true_slopes(sim)),
      covers_mean = abs(g$estimate - mean(true_slopes(sim))) < half,
      covers_curve = mean(curve$conf.low < slope_at & slope_at < curve$conf.high),
      trend = if (shape == "linear") tidy(fit)$estimate[2] else NA,
      p = g$p.value.context, p_residual = g$p.value.residual, f = mean(fit$strata$f)
    )
    stats::setNames(out, paste(summary_methods[[method]], names(out), sep = "."))
  }))
}

# A row per design, truth and method.
summarise_summary <- function(rows) {
  parts <- split(rows, rows[c("pi_scale", "n", "shape", "group")], drop = TRUE)
  do.call(bind_rows, unlist(lapply(unname(parts), function(d) {
    lapply(names(summary_methods), function(method) {
      value <- function(name) d[[paste(summary_methods[[method]], name, sep = ".")]]
      data.frame(
        samples = d$group[1], n = d$n[1], "mean F" = short(mean(value("f"), na.rm = TRUE)),
        slopes = d$shape[1], method, "mean error" = sprintf("%.3f", mean(value("error"),
          na.rm = TRUE)),
        trend = if (all(is.na(value("trend")))) "" else sprintf("%.3f",
          mean(value("trend"), na.rm = TRUE)),
        "covers average" = share_text(value("covers_mean")),
        "covers curve" = sprintf("%.1f", 100 * mean(value("covers_curve"), na.rm = TRUE)),
        "p < 0.05" = share_text(value("p") < 0.05),
        "residual p < 0.05" = share_text(value("p_residual") < 0.05), check.names = FALSE
      )
    })
  }), recursive = FALSE))
}

report_summary <- function(rows) {
  table <- summarise_summary(rows)
  write_for_vignette(table, "contextual_summary")
  table$n <- whole(table$n)
  c(
    "# Contextual MR from summary statistics", "",
    "Written by `bench/contextual_summary.R`. Ten strata; 95 % intervals; shares in per cent, with",
    "their Monte Carlo standard error. *Mean error*: average slope over strata less that of the",
    "people; *trend*: mean slope of the line, of which 0 (constant) and 0.2 are true; *covers",
    "curve*: at one standard deviation below, at and above the mean of the context; *p*: of the",
    "test that the slope does not depend on the context (wanted 5 where it is constant); *residual",
    "p*: of the heterogeneity that the context leaves (wanted 5). The true slopes have the mean",
    "0.3 and, unless constant, the standard deviation 0.2.", "",
    md_table(table), "", notes_of(rows)
  )
}

if (is_script()) {
  finish_study(list(name = "contextual_summary", cells = list_summary, run = run_summary,
    report = report_summary, processes = 2L))
}
