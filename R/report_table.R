# A table of what a report of a Mendelian randomization analysis should state.

#' Table for a report, after STROBE-MR
#'
#' What the results part of the STROBE-MR checklist asks for, from any result of the package: data,
#' instruments and their strength, estimates with intervals, heterogeneity, pleiotropy, direction.
#' In R Markdown it knits as a table.
#'
#' @param x A result of [mr_estimate()] or [mv_estimate()], or a fit of an `iv_*()` function.
#' @param dat For summary data: the data that `x` is from, which instruments, their strength and
#'   (of one exposure) direction are computed from. Without it there are estimates only.
#' @param conf_level Level of the intervals of an `iv_*()` fit; those of `x` are used as they are.
#' @param digits Significant digits of the numbers in `text`.
#' @param ... Nothing else may be given.
#' @return A data.frame of class `report_table` with a row per statement: `analysis` (exposure and
#'   outcome), `section` (`"Data"`, `"Instruments"`, `"Estimates"`, `"Heterogeneity"`,
#'   `"Pleiotropy"`, `"Direction"`), `item`, `method` (of estimates), `value`, `conf.low`,
#'   `conf.high`, `statistic`, `df`, `p.value` (`NA` where an item does not have them) and `text`,
#'   the statement as it is printed.
#' @references Skrivankova et al. (2021), JAMA 326:1614 (STROBE-MR).
#' @examples
#' ldl <- subset(lipid_chd, exposure == "LDL")
#' report_table(mr_estimate(ldl, c("mr_ivw", "MR Egger", "Weighted median"), seed = 1), ldl)
#' report_table(mv_estimate(lipid_chd, "mv_ivw"), lipid_chd)
#' sim <- sim_contextual(n = 500, L = 3, seed = 1)
#' report_table(iv_2sls(Y ~ X | G0 + G1 + G2, data = sim))
#' @export
report_table <- function(x, ...) {
  UseMethod("report_table")
}

#' @export
report_table.default <- function(x, ...) {
  stop_argument("x",
    "must be a result of mr_estimate(), of mv_estimate() or a fit of an iv_*() function",
    describe(x))
}

#' @rdname report_table
#' @export
report_table.data.frame <- function(x, dat = NULL, digits = 3, ...) {
  check_no_dots(...)
  check_mr_columns(x, c("id.exposure", "id.outcome", "exposure", "outcome", "method", "nsnp", "b",
    "se", "pval", "ci_low", "ci_high"), "x")
  digits <- check_count(digits, max = 15)
  if (is_multivariable(x)) {
    return(report_multivariable(x, dat, digits))
  }
  known <- if (!is.null(dat)) mr_diagnose(dat)
  key <- function(d) paste(d$id.exposure, d$id.outcome, sep = "\r")
  pairs <- unique(key(x))
  if (!is.null(known) && !all(pairs %in% key(known))) {
    lost <- x[!key(x) %in% key(known), ][1, ]
    stop_argument("dat", "must have all exposures and outcomes of `x`",
      paste("nothing on", lost$exposure, "and", lost$outcome), what = "data")
  }
  rows <- lapply(pairs, function(at) {
    d <- if (!is.null(known)) known[key(known) == at, ]
    report_pair(x[key(x) == at, ], d, dat[if (!is.null(dat)) key(dat) == at, , drop = FALSE],
      digits)
  })
  new_report(do.call(rbind, rows))
}

#' @rdname report_table
#' @export
report_table.iv_fit <- function(x, conf_level = 0.95, digits = 3, ...) {
  check_no_dots(...)
  digits <- check_count(digits, max = 15)
  conf_level <- check_conf_level(conf_level)
  row <- report_rows(paste(paste(x$exposures, collapse = ", "), "on", x$outcome), digits)
  strength <- diagnostics(x)
  heading <- function(d) {
    ifelse(grepl("^(Weak|Conditional|Effective)", d), "Instruments",
      ifelse(grepl("^(Sargan|Hansen)", d), "Pleiotropy", "Direction"))
  }
  # The exogeneity test says whether the exposure is confounded, not which way effects go.
  section <- replace(heading(strength$diagnostic), strength$diagnostic == "Wu-Hausman", "Estimates")
  new_report(rbind(
    row("Data", "Rows", value = x$nobs),
    row("Data", "Covariates", value = length(x$covariates)),
    if (!is.null(x$n_instruments)) row("Instruments", "Instruments", value = x$n_instruments),
    do.call(rbind, lapply(which(section == "Instruments"), function(i) {
      report_test(row, "Instruments", strength[i, ])
    })),
    report_coefficients(row, x, conf_level),
    do.call(rbind, lapply(which(section != "Instruments"), function(i) {
      report_test(row, section[i], strength[i, ])
    }))
  ))
}

report_test <- function(row, section, test) {
  row(section, test$diagnostic, statistic = test$statistic, df = test$df1, p = test$p.value)
}

report_coefficients <- function(row, fit, conf_level) {
  table <- tryCatch(tidy(fit, conf.int = TRUE, conf.level = conf_level, exposures_only = TRUE),
    mrlearn_error = function(e) NULL)
  do.call(rbind, lapply(seq_len(NROW(table)), function(i) {
    row("Estimates", table$term[i], method = fit$estimator, value = table$estimate[i],
      low = table$conf.low[i], high = table$conf.high[i], statistic = table$statistic[i],
      p = table$p.value[i])
  }))
}

# A function that makes rows of one analysis.
report_rows <- function(analysis, digits) {
  number <- function(x) format(x, digits = digits)
  function(section, item, method = NA_character_, value = NA, low = NA, high = NA, statistic = NA,
           df = NA, p = NA) {
    interval <- if (!is.na(low) || !is.na(high)) paste0("(", number(low), " to ", number(high), ")")
    point <- paste(c(if (!is.na(value)) number(value), interval), collapse = " ")
    text <- c(
      if (nzchar(point)) point,
      if (!is.na(statistic)) {
        paste0("statistic ", number(statistic), if (!is.na(df)) paste0(" on ", number(df), " df"))
      },
      if (!is.na(p)) paste0("p = ", format.pval(p, digits = digits))
    )
    data.frame(
      analysis, section, item, method, value = as.double(value), conf.low = as.double(low),
      conf.high = as.double(high), statistic = as.double(statistic), df = as.double(df),
      p.value = as.double(p), text = if (length(text)) paste(text, collapse = ", ") else "NA"
    )
  }
}

# One pair. known: its row of mr_diagnose(), or NULL; dat: its rows.
report_pair <- function(estimates, known, dat, digits) {
  first <- estimates[1, ]
  row <- report_rows(paste(first$exposure, "on", first$outcome), digits)
  rbind(
    if (!is.null(known)) report_data(row, known, dat),
    do.call(rbind, lapply(seq_len(nrow(estimates)), function(i) {
      e <- estimates[i, ]
      row("Estimates", "Effect", e$method, e$b, e$ci_low, e$ci_high, p = e$pval)
    })),
    if ("Q" %in% names(estimates)) report_heterogeneity(row, estimates),
    if (!is.null(known)) row("Heterogeneity", "I2", value = known$I2),
    if ("intercept" %in% names(estimates)) report_intercepts(row, estimates),
    if (!is.null(known)) report_direction(row, known)
  )
}

report_data <- function(row, known, dat) {
  size <- function(name) {
    n <- if (is.null(dat[[name]])) NA else mr_numbers(dat, name, "dat")
    if (any(is.finite(n))) max(n, na.rm = TRUE) else NA
  }
  rbind(
    row("Data", "Sample size, exposure", value = size("samplesize.exposure")),
    row("Data", "Sample size, outcome", value = size("samplesize.outcome")),
    row("Data", "Variants not used", value = nrow(dat) - known$nsnp),
    row("Instruments", "Variants", value = known$nsnp),
    row("Instruments", "Mean F", value = known$F_mean),
    row("Instruments", "Least F", value = known$F_min),
    row("Instruments", "Variants with F below 10", value = known$nsnp_weak),
    row("Instruments", "Variance of the exposure explained", value = known$snp_r2.exposure),
    row("Instruments", "I2_GX (MR Egger)", value = known$I2_GX)
  )
}

report_heterogeneity <- function(row, estimates) {
  do.call(rbind, lapply(which(!is.na(estimates$Q)), function(i) {
    e <- estimates[i, ]
    row("Heterogeneity", "Q", e$method, statistic = e$Q, df = e$Q_df, p = e$Q_pval)
  }))
}

report_intercepts <- function(row, estimates) {
  do.call(rbind, lapply(which(!is.na(estimates$intercept)), function(i) {
    e <- estimates[i, ]
    # The interval that goes with the p-value is the effect's, in the intercept's standard errors.
    q <- (e$ci_high - e$b) / e$se
    row("Pleiotropy", "Intercept", e$method, e$intercept, e$intercept - q * e$intercept_se,
      e$intercept + q * e$intercept_se, p = e$intercept_pval)
  }))
}

report_direction <- function(row, known) {
  rbind(
    row("Direction", "Exposure explained better than outcome (Steiger)",
      value = known$correct_causal_direction, p = known$steiger_pval),
    row("Direction", "Variance of the outcome explained", value = known$snp_r2.outcome)
  )
}

new_report <- function(rows) {
  rownames(rows) <- NULL
  structure(rows, class = c("report_table", "data.frame"))
}

# A report of which columns were taken away is no report any more.
has_report_columns <- function(x) {
  all(c("analysis", "section", "item", "method", "text") %in% names(x))
}

report_items <- function(x) {
  ifelse(is.na(x$method), x$item, paste0(x$item, ", ", x$method))
}

#' @export
print.report_table <- function(x, ...) {
  if (!has_report_columns(x)) {
    return(NextMethod())
  }
  for (analysis in unique(x$analysis)) {
    cat(analysis, "\n", sep = "")
    here <- x[x$analysis == analysis, ]
    here$item <- format(report_items(here))
    for (section in unique(here$section)) {
      cat("  ", section, "\n", sep = "")
      rows <- here[here$section == section, ]
      cat(paste0("    ", rows$item, "  ", rows$text, "\n"), sep = "")
    }
  }
  invisible(x)
}
