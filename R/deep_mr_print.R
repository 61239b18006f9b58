# What deep_mr() results say.

#' @export
print.deep_mr <- function(x, digits = 3L, ...) {
  digits <- check_digits(digits)
  print_deep_head(x)
  print_deep_global(x, digits)
  invisible(x)
}

print_deep_head <- function(x) {
  local <- x$local[x$local$method == x$local$method[1], ]
  known <- !is.na(local$estimate)
  cat("Deep MR: effect of ", x$exposure, " on ", x$outcome, "\n", sep = "")
  rule <- switch(x$instruments$rule,
    z = paste("|z| of the effect on the exposure at least", format(x$instruments$threshold)),
    f = paste("F at least", format(x$instruments$threshold)),
    none = "all variants"
  )
  cat(big(nrow(x$effects)), " variants of ", big(nrow(local)), " sequences; instruments: ", rule,
    "\n", sep = "")
  cat(big(sum(known)), " sequences with a local effect (", local$method[1], "); ",
    format(100 * x$too_few, digits = 2), " % have too few instruments\n", sep = "")
  if (any(known)) {
    five <- stats::quantile(local$estimate[known], c(0.25, 0.5, 0.75), names = FALSE)
    cat("Local effects: median ", format(five[2], digits = 3), ", quartiles ",
      format(five[1], digits = 3), " and ", format(five[3], digits = 3), "\n", sep = "")
  }
  cat("Intervals of local effects: ", deep_interval_words(x), "\n", sep = "")
}

deep_interval_words <- function(x) {
  words <- c(
    pairs = paste0("calibrated on measured pairs",
      if (isTRUE(x$calibration$by_level)) ", by predicted level"),
    pairs_plain = "calibrated on measured pairs, one error for all",
    pairs_half = "calibrated on measured pairs, half by the members",
    pairs_members = "calibrated on measured pairs and the members",
    designed_members = "calibrated on designed measurements and the members",
    designed = "calibrated on designed measurements",
    designed_half = "calibrated on designed measurements, half by the members",
    member = "by the variation of members",
    moderated = "by the variation of members, moderated over sequences",
    member_plain = "by the variation of members, each sequence's own", none = "none"
  )
  if (!"slope" %in% x$local$method) "as the methods have them" else words[[x$interval]]
}

print_deep_global <- function(x, digits) {
  if (!nrow(x$global)) {
    cat("No mean effect: fewer than two sequences have an effect.\n")
    return(invisible())
  }
  cat("\nMean effect over sequences (", format(100 * x$conf_level), " % intervals of the mean):\n",
    sep = "")
  table <- tidy(x, "global", conf.int = TRUE)[c("term", "estimate", "conf.low", "conf.high", "k")]
  table$term <- paste0(ifelse(x$global$main, "* ", "  "), format(table$term))
  print_table(table, digits)
  random <- x$global[x$global$method == "random effects", ]
  for (i in seq_len(nrow(random))) {
    cat("SD of effects between sequences (tau, ", random$local[i], "): ",
      format(random$tau[i], digits = digits), "; prediction interval for a new sequence: ",
      format(random$pred.low[i], digits = digits), " to ",
      format(random$pred.high[i], digits = digits), "\n", sep = "")
  }
}

#' Results of Deep MR as data.frames
#'
#' @param x,object What [deep_mr()] or [deep_mr_effects()] returned.
#' @param what `"global"`, mean effects, or `"local"`, those of sequences.
#' @param conf.int Add `conf.low` and `conf.high`?
#' @param ... Nothing else may be given.
#' @return `tidy()`: data.frame `term` (how a mean effect is estimated, or the sequence), `method`
#'   (of local effects), `estimate`, `std.error`, `statistic`, `p.value`, `k`. `glance()`: one row
#'   with `exposure, outcome, interval, estimate, std.error, conf.low, conf.high` (of the mean
#'   effect to use), `tau`, `n_sequences`, `n_local` (with an effect), `too_few` (share without),
#'   `n_members`, `delta` (mean error of slopes in measured pairs). `summary()`: a list that prints
#'   more than the result does: instruments, local effects, calibration.
#' @name deep_mr_tidy
#' @examples
#' effects <- data.frame(sequence = "a", position = 1:5, output = rep(c("x", "y"), each = 5),
#'   effect = c(1:5, c(2.1, 3.8, 6.2, 8, 9.9)), std.error = 0.1)
#' result <- deep_mr_effects(effects, "x", "y", instruments = "none")
#' tidy(result, "local")
#' glance(result)
NULL

#' @rdname deep_mr_tidy
#' @export
tidy.deep_mr <- function(x, what = c("global", "local"), conf.int = FALSE, ...) {
  check_no_dots(...)
  what <- check_choice(what, c("global", "local"))
  d <- if (what == "global") x$global else x$local
  df <- if (what == "global") {
    d$df
  } else {
    by_members <- d$method == "slope" & d$interval %in% member_intervals
    ifelse(by_members, x$n_members + if (x$interval == "moderated") 3 else -1, Inf)
  }
  statistic <- d$estimate / d$std.error
  out <- data.frame(
    term = if (what == "global") {
      ifelse(d$method == "random effects", paste0("random effects (", d$local, ")"), d$method)
    } else {
      d$sequence
    },
    method = if (what == "global") d$local else d$method,
    estimate = d$estimate, std.error = d$std.error, statistic = statistic,
    p.value = meta_p(statistic, df), k = if (what == "global") d$k else d$n_instruments
  )
  if (check_flag(conf.int)) {
    out[c("conf.low", "conf.high")] <- d[c("conf.low", "conf.high")]
  }
  out
}

#' @rdname deep_mr_tidy
#' @export
glance.deep_mr <- function(x, ...) {
  check_no_dots(...)
  main <- x$global[x$global$main, ]
  tau <- x$global$tau[!is.na(x$global$tau)][1]
  first <- x$local[x$local$method == x$local$method[1], ]
  value <- function(name) if (nrow(main)) main[[name]] else NA_real_
  data.frame(
    exposure = x$exposure, outcome = x$outcome, interval = x$interval,
    method = if (nrow(main)) main$method else NA_character_,
    estimate = value("estimate"), std.error = value("std.error"), conf.low = value("conf.low"),
    conf.high = value("conf.high"), tau = tau, n_sequences = nrow(first),
    n_local = sum(!is.na(first$estimate)), too_few = x$too_few, n_members = x$n_members,
    delta = if (is.null(x$calibration)) NA_real_ else x$calibration$delta
  )
}

#' @rdname deep_mr_tidy
#' @export
summary.deep_mr <- function(object, ...) {
  check_no_dots(...)
  structure(list(result = object), class = "summary.deep_mr")
}

#' @export
print.summary.deep_mr <- function(x, digits = 3L, ...) {
  digits <- check_digits(digits)
  result <- x$result
  print(result, digits = digits)
  cat("\nLocal effects by method:\n")
  by <- split(result$local, factor(result$local$method, unique(result$local$method)))
  print(do.call(rbind, lapply(by, function(d) {
    data.frame(
      method = d$method[1], sequences = sum(!is.na(d$estimate)),
      median = stats::median(d$estimate, na.rm = TRUE),
      sd = stats::sd(d$estimate, na.rm = TRUE),
      `median width` = stats::median(d$conf.high - d$conf.low, na.rm = TRUE), check.names = FALSE
    )
  })), row.names = FALSE, digits = digits)
  reasons <- table(result$local$reason)
  if (length(reasons)) {
    cat("\nRows without an effect:\n")
    print(data.frame(reason = names(reasons), rows = as.vector(reasons)), row.names = FALSE)
  }
  if (!is.null(result$calibration)) {
    of <- result$calibration
    cat("\nCalibrated on ", of$n, " measured errors of slopes: mean error ",
      format(of$delta, digits = digits), " (standard error ", format(of$se_delta, digits = digits),
      "), SD ", format(sqrt(of$psi), digits = digits), "\n", sep = "")
  }
  invisible(x)
}
