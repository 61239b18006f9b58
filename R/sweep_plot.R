# Plots of sweeps: errors by setting, criteria against errors, coverage.

#' Plots of a sweep
#'
#' `"error"` draws boxes of `value` over the runs that share the settings `by` (the replicates);
#' `"selection"` the criterion `by` (`"width"` or `"loss"`) against the error of each run, a colour
#' per method: a criterion that can be used to choose rises with the error; `"coverage"` the mean
#' coverage by setting, with an interval of two Monte Carlo standard errors and the level as a line.
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
  drawn <- sweep_plot_data(x, type, by, value, conf_level)
  switch(drawn$type,
    error = draw_boxes(drawn, ...),
    selection = draw_selection(drawn, ...),
    coverage = draw_intervals(drawn, ...)
  )
  invisible(drawn$data)
}

#' @rdname plot.sweep
#' @exportS3Method ggplot2::autoplot
autoplot.sweep <- function(object, type = c("error", "selection", "coverage"), by = NULL,
                           value = "mse", conf_level = 0.95, ...) {
  check_no_dots(...)
  drawn <- sweep_plot_data(object, type, by, value, conf_level)
  switch(drawn$type,
    error = ggplot_boxes(drawn),
    selection = ggplot_selection(drawn),
    coverage = ggplot_intervals(drawn) +
      ggplot2::geom_vline(xintercept = conf_level, linetype = 2, colour = plot_colour[["zero"]])
  )
}

sweep_plot_data <- function(sweep, type, by, value, conf_level) {
  type <- check_choice(type, c("error", "selection", "coverage"), "type")
  check_conf_level(conf_level)
  rows <- drop_sweep(sweep)
  rows <- rows[rows$status == "ok", , drop = FALSE]
  if (type == "selection") {
    return(selection_data(rows, if (is.null(by)) "width" else by, value))
  }
  value <- if (type == "coverage") "coverage" else value
  setting <- setting_text(rows, setting_columns(sweep, by))
  d <- data.frame(term = factor(setting, unique(setting)), value = sweep_numbers(rows, value))
  d <- d[!is.na(d$value), , drop = FALSE]
  if (type == "coverage") {
    d <- coverage_table(d)
  }
  list(type = type, data = d, title = "", ylab = value,
    xlab = if (type == "coverage") paste0("coverage of ", format(100 * conf_level), " % intervals"))
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

selection_data <- function(rows, by, value) {
  by <- check_choice(by, c("width", "loss"), "by")
  d <- data.frame(x = sweep_numbers(rows, by), y = sweep_numbers(rows, value),
    method = if (is.null(rows$method)) "all" else rows$method)
  d <- d[is.finite(d$x) & is.finite(d$y), , drop = FALSE]
  r <- vapply(split(d, d$method), function(one) {
    if (nrow(one) < 3L) NA_real_ else suppressWarnings(stats::cor(one$x, log_or_not(one$y)))
  }, 0)
  label <- paste0(names(r), ifelse(is.na(r), "", sprintf(" (R2 %.2f)", r^2)))
  d$method <- factor(label[match(d$method, names(r))], label)
  list(type = "selection", data = d, title = "", xlab = by, ylab = value)
}

log_or_not <- function(v) {
  if (all(v > 0)) log(v) else v
}

coverage_table <- function(d) {
  parts <- split(d$value, d$term, drop = TRUE)
  mean <- vapply(parts, base::mean, 0)
  half <- 2 * vapply(parts, function(v) {
    if (length(v) > 1L) stats::sd(v) / sqrt(length(v)) else 0
  }, 0)
  data.frame(term = names(parts), estimate = unname(mean), conf.low = unname(pmax(0, mean - half)),
    conf.high = unname(pmin(1, mean + half)))
}

draw_boxes <- function(drawn, ...) {
  d <- drawn$data
  margin <- label_margin(levels(d$term))
  old <- graphics::par(mar = c(4.5, margin, 1.5, 1))
  on.exit(graphics::par(old))
  settings <- utils::modifyList(
    list(log = if (all(d$value > 0)) "x" else "", xlab = drawn$ylab, main = drawn$title,
      col = plot_colour[["band"]], border = plot_colour[["line"]]),
    list(...)
  )
  d$term <- factor(d$term, rev(levels(d$term)))
  do.call(graphics::boxplot, c(
    list(value ~ term, data = d, horizontal = TRUE, las = 1, ylab = "", frame.plot = FALSE),
    settings
  ))
}

draw_selection <- function(drawn, ...) {
  d <- drawn$data
  settings <- utils::modifyList(
    list(x = d$x, y = d$y, xlab = drawn$xlab, ylab = drawn$ylab, pch = 19, las = 1, bty = "l",
      log = if (all(d$y > 0)) "y" else "", col = selection_colours(nlevels(d$method))[d$method]),
    list(...)
  )
  do.call(graphics::plot.default, settings)
  graphics::legend("topleft", levels(d$method), pch = 19, bty = "n",
    col = selection_colours(nlevels(d$method)))
}

selection_colours <- function(n) {
  c(plot_colour[["line"]], grDevices::hcl.colors(max(n, 2L), "Dark 3"))[seq_len(n)]
}

ggplot_boxes <- function(drawn) {
  d <- drawn$data
  d$term <- factor(d$term, rev(levels(d$term)))
  p <- ggplot2::ggplot(d, ggplot2::aes(x = .data$value, y = .data$term)) +
    ggplot2::geom_boxplot(fill = plot_colour[["line"]], alpha = 0.2,
      colour = plot_colour[["line"]]) +
    ggplot2::labs(x = drawn$ylab, y = NULL) +
    ggplot2::theme_minimal()
  if (all(d$value > 0)) p + ggplot2::scale_x_log10() else p
}

ggplot_selection <- function(drawn) {
  d <- drawn$data
  p <- ggplot2::ggplot(d, ggplot2::aes(x = .data$x, y = .data$y, colour = .data$method)) +
    ggplot2::geom_point(size = 2) +
    ggplot2::scale_colour_manual(NULL, values = selection_colours(nlevels(d$method))) +
    ggplot2::labs(x = drawn$xlab, y = drawn$ylab) +
    ggplot2::theme_minimal()
  if (all(d$y > 0)) p + ggplot2::scale_y_log10() else p
}
