# Plots of sweeps: errors by setting, criteria against errors, coverage.

#' Plots of a sweep
#'
#' `"error"` draws boxes of `value` over the runs that share the settings `by` (the replicates);
#' `"selection"` the criterion `by` (`"width"` or `"loss"`) against the error of each run, a colour
#' per method: a criterion that can be used to choose rises with the error; `"coverage"` the mean
#' coverage by setting, with an interval of two Monte Carlo standard errors (Wilson's where all runs
#' agree) and the level as a line.
#'
#' @param x,object What [run_sweep()] or [read_sweep()] returned.
#' @param type What to draw.
#' @param by For `"error"` and `"coverage"` names of one or more columns, by default the labels and
#'   the method of the design, else all that vary; for `"selection"` a criterion.
#' @param value The error, a column of numbers; drawn on a logarithmic scale if all are above 0.
#' @param conf_level Level of the intervals whose coverage is drawn.
#' @param ... For `plot()`: graphical parameters passed to [graphics::plot.default()].
#' @return `plot()`: the data.frame drawn, invisibly. `autoplot()`: a ggplot.
#' @examples
#' design <- sweep_design(method = c("ols", "2sls"), h2 = c(0.2, 0.8), data_seed = 1:4, seed = 1)
#' sweep <- run_sweep(design, data = function(h2, seed) {
#'   sim_nonlinear(500, h2 = h2, f = "linear", seed = seed)
#' })
#' plot(sweep, by = c("method", "h2"))
#' plot(sweep, "coverage", by = c("method", "h2"))
#' @export
plot.sweep <- function(x, type = c("error", "selection", "coverage"), by = NULL, value = "mse",
                       conf_level = 0.95, ...) {
  draw_picture(sweep_picture(x, type, by, value, conf_level), ...)
}

#' @rdname plot.sweep
#' @exportS3Method ggplot2::autoplot
autoplot.sweep <- function(object, type = c("error", "selection", "coverage"), by = NULL,
                           value = "mse", conf_level = 0.95, ...) {
  check_no_dots(...)
  ggplot_picture(sweep_picture(object, type, by, value, conf_level))
}

sweep_picture <- function(sweep, type, by, value, conf_level) {
  type <- check_choice(type, c("error", "selection", "coverage"), "type")
  check_conf_level(conf_level)
  rows <- drop_sweep(sweep)
  rows <- rows[rows$status == "ok", , drop = FALSE]
  if (type == "selection") {
    return(selection_picture(rows, if (is.null(by)) "width" else by, value))
  }
  value <- if (type == "coverage") "coverage" else value
  setting <- setting_text(rows, setting_columns(sweep, by))
  d <- data.frame(term = factor(setting, unique(setting)), value = sweep_numbers(rows, value))
  d <- d[!is.na(d$value), , drop = FALSE]
  if (type == "coverage") {
    return(rows_picture(coverage_table(d), paste0("coverage of ", format(100 * conf_level),
      " % intervals (dashed: the level)"), null = conf_level))
  }
  boxes_picture(d, value)
}

sweep_numbers <- function(rows, name) {
  v <- rows[[check_string(name, "value")]]
  if (!is.numeric(v) || all(is.na(v))) {
    numbers <- names(rows)[vapply(rows, function(v) is.double(v) && !all(is.na(v)), NA)]
    stop_argument("value", paste("must be a column of numbers:", shorten(numbers, 12L)),
      describe(name))
  }
  as.double(v)
}

# What tells settings from each other: labels and method, else all columns that vary but seeds.
setting_columns <- function(sweep, by) {
  before <- names(sweep)[seq_len(match("status", names(sweep)) - 1L)]
  before <- setdiff(before, c("run", "seed", "rung"))
  if (!is.null(by)) {
    if (!is.character(by) || !length(by) || !all(by %in% before)) {
      stop_argument("by", paste("must name columns of the design:", shorten(before, 12L)),
        describe_values(by))
    }
    return(by)
  }
  told <- intersect(c("method", attr(sweep, "labels")), before)
  if (length(told)) told else setdiff(before, "data_seed")
}

setting_text <- function(rows, columns) {
  if (!length(columns)) {
    return(rep("all", nrow(rows)))
  }
  parts <- as.data.frame(listed_text(rows[columns]))
  do.call(paste, c(lapply(parts, function(v) trimws(format(v, digits = 4))), sep = ", "))
}

# A point for each run; R2 of the criterion and the error (its logarithm) by method.
selection_picture <- function(rows, by, value) {
  by <- check_choice(by, c("width", "loss"), "by")
  d <- data.frame(x = sweep_numbers(rows, by), y = sweep_numbers(rows, value),
    method = if (is.null(rows$method)) "all" else rows$method)
  d <- d[is.finite(d$x) & is.finite(d$y), , drop = FALSE]
  r <- vapply(split(d, d$method), function(one) {
    if (nrow(one) < 3L) NA_real_ else suppressWarnings(stats::cor(one$x, log_or_not(one$y)))
  }, 0)
  label <- paste0(names(r), ifelse(is.na(r), "", sprintf(" (R2 %.2f)", r^2)))
  d$method <- factor(label[match(d$method, names(r))], label)
  picture(d, list(ink("point", x = d$x, y = d$y, by = d$method)),
    c(width = "mean width of the curve's intervals", loss = "loss of rows held out")[[by]],
    value_name(value), log = if (all(d$y > 0)) "y" else "")
}

value_name <- function(value) {
  if (value == "mse") "mean squared error of the curve (mse)" else value
}

log_or_not <- function(v) {
  if (all(v > 0)) log(v) else v
}

coverage_table <- function(d) {
  parts <- split(d$value, d$term, drop = TRUE)
  ends <- vapply(parts, coverage_ends, c(0, 0), USE.NAMES = FALSE)
  data.frame(term = names(parts), estimate = vapply(parts, mean, 0, USE.NAMES = FALSE),
    conf.low = pmax(0, ends[1, ]), conf.high = pmin(1, ends[2, ]))
}

# Mean and two standard errors; runs that agree are no proof, so these have Wilson's interval.
coverage_ends <- function(v) {
  n <- length(v)
  m <- mean(v)
  if (n > 1L && stats::sd(v) > 0) {
    return(m + c(-2, 2) * stats::sd(v) / sqrt(n))
  }
  (m + 2 / n + c(-2, 2) * sqrt(m * (1 - m) / n + 1 / n^2)) / (1 + 4 / n)
}

# Boxes on the scale that is drawn: quartiles, median, whiskers to the last run within 1.5 times the
# quartiles' distance, points beyond.
boxes_picture <- function(d, value) {
  is_log <- all(d$value > 0)
  on_scale <- if (is_log) log else identity
  back <- if (is_log) exp else identity
  settings <- levels(droplevels(d$term))
  stats <- lapply(settings, function(setting) {
    grDevices::boxplot.stats(on_scale(d$value[d$term == setting]))
  })
  box <- as.data.frame(back(do.call(rbind, lapply(stats, `[[`, "stats"))))
  place <- rev(seq_along(settings))
  beyond <- lapply(stats, `[[`, "out")
  picture(d, list(
    ink("interval", y = place, low = box[[1]], high = box[[5]], along = "x", width = 1),
    ink("rect", x0 = box[[2]], x1 = box[[4]], y0 = place - 0.35, y1 = place + 0.35, width = 1,
      limits = FALSE),
    ink("point", x = back(unlist(beyond)), y = rep(place, lengths(beyond)), size = 0.7),
    ink("line", x = rep(box[[3]], 2), y = c(place - 0.35, place + 0.35), group = rep(settings, 2),
      width = 3, limits = FALSE)
  ), value_name(value), log = if (is_log) "x" else "", ticks = list(y = data.frame(at = place,
    label = settings, keep = FALSE)))
}
