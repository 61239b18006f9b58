# Pictures of contextual slopes.

#' Plots of contextual slopes
#'
#' `"slopes"` draws the slope against each context variable, with its interval and a rug (or points
#' and bars for levels); the dashed line is the average slope. `"heatmap"` draws it over two
#' variables; `"ranked"` the slopes of people from the lowest to the highest with their intervals.
#' `"effect"`, `"coefficients"` and `"first_stage"` are those of [plot.iv_fit()].
#'
#' @param x,object A fit of [iv_contextual()].
#' @param type What to draw.
#' @param variables Context variables: any number for `"slopes"` (at most 12 are drawn by default),
#'   two for `"heatmap"` (by default those whose tests have the smallest p-values).
#' @param conf_level Level of the intervals.
#' @param ... For `plot()`: graphical parameters passed to [graphics::plot.default()] or
#'   [graphics::image()].
#' @return `plot()`: the data.frame drawn, invisibly. `autoplot()`: a ggplot.
#' @examples
#' sim <- sim_contextual(n = 2000, L = 10, pi_scale = 0.3, seed = 1,
#'   beta = function(context) 0.3 + 0.2 * context$bmi)
#' z <- as.matrix(sim[truth(sim)$instruments])
#' fit <- iv_contextual(Y ~ X | z, data = sim, context = ~ age + sex + bmi, seed = 1)
#' plot(fit)
#' plot(fit, "heatmap", variables = c("age", "bmi"))
#' plot(fit, "ranked")
#' @export
plot.iv_contextual <- function(x, type = c("slopes", "heatmap", "ranked", "effect"),
                               variables = NULL, conf_level = 0.95, ...) {
  drawn <- contextual_plot_data(x, type, variables, conf_level)
  switch(drawn$type,
    slopes = draw_slopes(drawn, ...), heatmap = draw_heatmap(drawn, ...),
    ranked = draw_ranked(drawn, ...), effect = draw_band(drawn, ...)
  )
  invisible(drawn$data)
}

#' @rdname plot.iv_contextual
#' @exportS3Method ggplot2::autoplot
autoplot.iv_contextual <- function(object, type = c("slopes", "heatmap", "ranked", "effect"),
                                   variables = NULL, conf_level = 0.95, ...) {
  check_no_dots(...)
  drawn <- contextual_plot_data(object, type, variables, conf_level)
  switch(drawn$type,
    slopes = ggplot_slopes(drawn), heatmap = ggplot_heatmap(drawn), ranked = ggplot_ranked(drawn),
    effect = ggplot_band(drawn)
  )
}

contextual_plot_data <- function(fit, type, variables, conf_level) {
  type <- check_choice(type, c("slopes", "heatmap", "ranked", "effect"), "type")
  ylab <- paste("slope of", fit$outcome, "on", fit$exposures)
  base <- list(type = type, ylab = ylab, average = unname(fit$coefficients),
    title = paste0(fit$estimator, " (", fit$encoder, ")"))
  if (type == "effect") {
    return(c(base[c("type", "title")], list(data = effect_curve(fit, conf_level = conf_level),
      xlab = fit$exposures, ylab = paste0("E[", fit$outcome, " | do(", fit$exposures, ")]"),
      rug = thin_rug(fit$model[[fit$exposures]]))))
  }
  if (type == "ranked") {
    effects <- context_effects(fit, conf_level = conf_level)
    effects <- effects[order(effects$estimate), ]
    effects$rank <- seq_len(nrow(effects))
    return(c(base, list(data = effects[evenly(nrow(effects), 1000L), ])))
  }
  all_variables <- all.vars(fit$context$formula)
  if (is.null(variables)) {
    ordered <- ordered_variables(fit)
    variables <- if (type == "heatmap") utils::head(ordered, 2L) else utils::head(ordered, 12L)
  }
  if (type == "heatmap") {
    if (length(variables) != 2L) {
      stop_argument("variables", "must be two for a heat map", describe_names(variables))
    }
    data <- effect_of_context(fit, variables, conf_level = conf_level)
    return(c(base, list(data = data, variables = variables)))
  }
  if (!is.character(variables) || !all(variables %in% all_variables)) {
    stop_argument("variables", paste("must be among", shorten(all_variables, 20L)),
      describe_names(variables))
  }
  parts <- lapply(variables, function(v) {
    part <- effect_of_context(fit, v, conf_level = conf_level)
    is_number <- is.numeric(part[[1]])
    data.frame(variable = v, value = if (is_number) part[[1]] else NA_real_,
      level = if (is_number) NA_character_ else as.character(part[[1]]), part[-1])
  })
  rugs <- lapply(stats::setNames(variables, variables), function(v) {
    values <- fit$context$data[[v]]
    if (is.numeric(values)) thin_rug(values)
  })
  c(base, list(data = do.call(rbind, parts), variables = variables, rugs = rugs))
}

# Variables by the evidence that the slope depends on them.
ordered_variables <- function(fit) {
  tests <- fit$tests[-1, ]
  tests <- tests[order(-tests$statistic / tests$df), ]
  by_term <- unlist(lapply(tests$term, function(term) all.vars(str2lang(term))))
  unique(c(by_term, all.vars(fit$context$formula)))
}

draw_slopes <- function(drawn, ...) {
  k <- length(drawn$variables)
  columns <- min(ceiling(sqrt(k)), 4L)
  old <- graphics::par(mfrow = c(ceiling(k / columns), columns), mar = c(4, 4.2, 1.5, 0.8))
  on.exit(graphics::par(old))
  limits <- range(drawn$data$estimate, drawn$data$conf.low, drawn$data$conf.high, drawn$average)
  for (v in drawn$variables) {
    d <- drawn$data[drawn$data$variable == v, ]
    few <- !all(is.na(d$level)) || nrow(d) <= 6L
    d$x <- if (few) seq_len(nrow(d)) else d$value
    settings <- utils::modifyList(
      list(x = if (few) c(0.5, nrow(d) + 0.5) else range(d$x), y = limits, type = "n", xlab = v,
        ylab = drawn$ylab, las = 1, bty = "l", xaxt = if (few) "n" else "s"),
      list(...)
    )
    do.call(graphics::plot.default, settings)
    graphics::abline(h = drawn$average, col = plot_colour["zero"], lty = 2)
    if (few) {
      labels <- ifelse(is.na(d$level), format(d$value), d$level)
      graphics::axis(1, at = d$x, labels = labels)
      graphics::segments(d$x, d$conf.low, d$x, d$conf.high, col = plot_colour["line"], lwd = 2)
      graphics::points(d$x, d$estimate, pch = 19, col = plot_colour["line"])
    } else {
      graphics::polygon(c(d$x, rev(d$x)), c(d$conf.low, rev(d$conf.high)),
        col = plot_colour["band"], border = NA)
      graphics::lines(d$x, d$estimate, col = plot_colour["line"], lwd = 2)
      graphics::rug(drawn$rugs[[v]], ticksize = 0.02, col = "grey40")
    }
  }
}

slope_colours <- function(n) {
  grDevices::hcl.colors(n, "Blue-Red 3")
}

# The grid as numbers: levels of factors count from 1.
heatmap_axis <- function(v) {
  values <- unique(v)
  list(at = if (is.numeric(values)) values else seq_along(values),
    labels = if (is.numeric(values)) NULL else as.character(values))
}

draw_heatmap <- function(drawn, ...) {
  d <- drawn$data
  axes <- lapply(drawn$variables, function(v) heatmap_axis(d[[v]]))
  z <- matrix(d$estimate, length(axes[[1]]$at))
  far <- max(abs(range(z) - drawn$average), 1e-8 * abs(drawn$average), 1e-12)
  levels <- drawn$average + seq(-far, far, length.out = 65)
  old <- graphics::par(no.readonly = TRUE)[c("mar", "fig")]
  on.exit({
    graphics::layout(1)
    graphics::par(old["mar"])
  })
  graphics::layout(matrix(1:2, 1), widths = c(5, 1.1))
  graphics::par(mar = c(4.2, 4.2, 2.5, 0.5))
  settings <- utils::modifyList(list(x = axes[[1]]$at, y = axes[[2]]$at, z = z, breaks = levels,
    col = slope_colours(64), xlab = drawn$variables[1], ylab = drawn$variables[2], las = 1,
    main = drawn$ylab, xaxt = if (is.null(axes[[1]]$labels)) "s" else "n",
    yaxt = if (is.null(axes[[2]]$labels)) "s" else "n"), list(...))
  do.call(graphics::image, settings)
  for (side in 1:2) {
    if (!is.null(axes[[side]]$labels)) {
      graphics::axis(side, at = axes[[side]]$at, labels = axes[[side]]$labels, las = 1)
    }
  }
  graphics::par(mar = c(4.2, 0.5, 2.5, 3))
  graphics::image(1, levels, matrix(levels[-1], 1), breaks = levels, col = slope_colours(64),
    xaxt = "n", yaxt = "n", xlab = "", ylab = "")
  graphics::axis(4, las = 1)
}

draw_ranked <- function(drawn, ...) {
  d <- drawn$data
  settings <- utils::modifyList(
    list(x = range(d$rank), y = range(d$conf.low, d$conf.high, d$estimate), type = "n",
      xlab = "people, by slope", ylab = drawn$ylab, main = drawn$title, las = 1, bty = "l"),
    list(...)
  )
  do.call(graphics::plot.default, settings)
  graphics::polygon(c(d$rank, rev(d$rank)), c(d$conf.low, rev(d$conf.high)),
    col = plot_colour["band"], border = NA)
  graphics::abline(h = 0, col = plot_colour["zero"])
  graphics::abline(h = drawn$average, col = plot_colour["zero"], lty = 2)
  graphics::lines(d$rank, d$estimate, col = plot_colour["line"], lwd = 2)
}

ggplot_slopes <- function(drawn) {
  d <- drawn$data
  few <- d$variable %in% names(which(table(d$variable) <= 6)) | !is.na(d$level)
  d$value <- ifelse(is.na(d$level), d$value,
    stats::ave(seq_along(d$level), d$variable, FUN = seq_along))
  d$label <- ifelse(is.na(d$level), "", d$level)
  d$variable <- factor(d$variable, drawn$variables)
  ggplot2::ggplot(d, ggplot2::aes(x = .data$value, y = .data$estimate)) +
    ggplot2::geom_hline(yintercept = drawn$average, linetype = 2,
      colour = plot_colour[["zero"]]) +
    ggplot2::geom_ribbon(data = d[!few, ],
      ggplot2::aes(ymin = .data$conf.low, ymax = .data$conf.high), fill = plot_colour[["line"]],
      alpha = 0.2) +
    ggplot2::geom_line(data = d[!few, ], colour = plot_colour[["line"]], linewidth = 0.9) +
    ggplot2::geom_pointrange(data = d[few, ],
      ggplot2::aes(ymin = .data$conf.low, ymax = .data$conf.high),
      colour = plot_colour[["line"]]) +
    ggplot2::geom_text(data = d[few, ], ggplot2::aes(label = .data$label), hjust = -0.3) +
    ggplot2::facet_wrap("variable", scales = "free_x") +
    ggplot2::scale_x_continuous(expand = ggplot2::expansion(mult = 0.12)) +
    ggplot2::labs(x = NULL, y = drawn$ylab, title = drawn$title) +
    ggplot2::theme_minimal()
}

ggplot_heatmap <- function(drawn) {
  v <- drawn$variables
  ggplot2::ggplot(drawn$data, ggplot2::aes(x = .data[[v[1]]], y = .data[[v[2]]],
    fill = .data$estimate)) +
    ggplot2::geom_tile() +
    ggplot2::scale_fill_gradient2(midpoint = drawn$average, low = "#2c5d9c", high = "#a03038") +
    ggplot2::labs(x = v[1], y = v[2], fill = "slope", title = drawn$ylab) +
    ggplot2::theme_minimal()
}

ggplot_ranked <- function(drawn) {
  ggplot2::ggplot(drawn$data, ggplot2::aes(x = .data$rank, y = .data$estimate)) +
    ggplot2::geom_ribbon(ggplot2::aes(ymin = .data$conf.low, ymax = .data$conf.high),
      fill = plot_colour[["line"]], alpha = 0.2) +
    ggplot2::geom_hline(yintercept = c(0, drawn$average), colour = plot_colour[["zero"]],
      linetype = c(1, 2)) +
    ggplot2::geom_line(colour = plot_colour[["line"]], linewidth = 0.9) +
    ggplot2::labs(x = "people, by slope", y = drawn$ylab, title = drawn$title) +
    ggplot2::theme_minimal()
}
