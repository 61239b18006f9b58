# Tables for reports of several exposures: the rows of report_table() for mv_estimate().

# What mv_estimate() returns is known by columns that mr_estimate() does not have.
is_multivariable <- function(x) {
  all(c("lambda", "n_valid", "n_draws") %in% names(x))
}

# x: one outcome's result; dat: what it is from, or NULL.
report_multivariable <- function(x, dat, digits) {
  known <- if (!is.null(dat)) mv_diagnose(dat)
  lost <- setdiff(x$id.exposure, known$id.exposure)
  if (!is.null(known) && length(lost)) {
    stop_argument("dat", "must have all exposures of `x`", paste("nothing on", shorten(lost)),
      what = "data")
  }
  exposures <- unique(x$exposure)
  row <- report_rows(paste(paste(exposures, collapse = ", "), "on", x$outcome[1]), digits)
  # Heterogeneity and intercepts are a method's, and stand beside each of its exposures.
  once <- x[!duplicated(x$method), ]
  new_report(rbind(
    if (!is.null(known)) report_strength(row, known),
    report_direct_effects(row, x),
    report_heterogeneity(row, once),
    if (!is.null(known)) report_conditional(row, known),
    report_intercepts(row, once)
  ))
}

report_strength <- function(row, known) {
  one <- function(i) {
    d <- known[i, ]
    rbind(
      row("Instruments", paste0("Mean F, ", d$exposure), value = d$F_mean),
      row("Instruments", paste0("Conditional F, ", d$exposure), value = d$F_conditional),
      row("Instruments", paste0("Variants with F below 10, ", d$exposure), value = d$nsnp_weak)
    )
  }
  rbind(
    row("Instruments", "Variants", value = known$nsnp[1]),
    do.call(rbind, lapply(seq_len(nrow(known)), one)),
    row("Instruments", "Least F of any mix of exposures", value = known$F_least[1])
  )
}

report_direct_effects <- function(row, x) {
  do.call(rbind, lapply(seq_len(nrow(x)), function(i) {
    e <- x[i, ]
    row("Estimates", paste0("Direct effect of ", e$exposure), e$method, e$b, e$ci_low, e$ci_high,
      p = e$pval)
  }))
}

report_conditional <- function(row, known) {
  d <- known[1, ]
  rbind(
    row("Heterogeneity", "I2", value = d$I2),
    row("Heterogeneity", "Least Q", statistic = d$Q_least, df = d$Q_df, p = d$Q_least_pval)
  )
}
