# Pictures of contextual slopes.

#' Plots of contextual slopes
#'
#' `"slopes"` draws the slope against each context variable, with its interval and a rug (or points
#' and bars for levels); the dashed line is the average slope. `"heatmap"` draws it over two
#' variables, the average white; differences within two standard errors stay pale. `"ranked"`: the
#' slopes of people from the lowest to the highest with their intervals; `"history"`: the losses of
#' a trained encoder by epoch; `"effect"`: as of [plot.iv_fit()].
#'
#' @param x,object A fit of [iv_contextual()].
#' @param type What to draw.
#' @param variables Context variables: any number for `"slopes"` (at most 12 are drawn by default),
#'   two for `"heatmap"` (by default those whose tests have the smallest p-values).
#' @param conf_level Level of the intervals.
#' @param ... For `plot()`: graphical parameters passed to [graphics::plot.default()].
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
plot.iv_contextual <- function(x, type = c("slopes", "heatmap", "ranked", "effect", "history"),
                               variables = NULL, conf_level = 0.95, ...) {
  draw_picture(contextual_picture(x, type, variables, conf_level), ...)
}

#' @rdname plot.iv_contextual
#' @exportS3Method ggplot2::autoplot
autoplot.iv_contextual <- function(object, type = c("slopes", "heatmap", "ranked", "effect",
                                     "history"),
                                   variables = NULL, conf_level = 0.95, ...) {
  check_no_dots(...)
  ggplot_picture(contextual_picture(object, type, variables, conf_level))
}

contextual_picture <- function(fit, type, variables, conf_level) {
  type <- check_choice(type, contextual_types, "type")
  ylab <- paste("effect on", fit$outcome, "per unit of", fit$exposures)
  title <- paste0(fit$estimator, " (", fit$encoder, ")")
  average <- unname(fit$coefficients)
  switch(type,
    effect = {
      data <- effect_curve(fit, conf_level = conf_level)
      band_picture(data, fit$exposures, curve_name(data), title,
        thin_rug(fit$model[[fit$exposures]]))
    },
    ranked = ranked_picture(fit, conf_level, average, ylab, title),
    heatmap = heatmap_picture(fit, variables, conf_level, average, ylab, title),
    slopes = slopes_picture(fit, variables, conf_level, average, ylab, title),
    history = {
      history <- training_history(fit)
      history_picture(history, factor(history$stage, unique(history$stage)))
    }
  )
}

contextual_types <- c("slopes", "heatmap", "ranked", "effect", "history")

average_line <- function(average) {
  ink("rule", value = average, colour = plot_colour[["zero"]], lty = 2)
}

ranked_picture <- function(fit, conf_level, average, ylab, title) {
  effects <- context_effects(fit, conf_level = conf_level)
  effects <- effects[order(effects$estimate), ]
  effects$rank <- seq_len(nrow(effects))
  d <- effects[evenly(nrow(effects), 1000L), ]
  picture(d, list(
    ink("band", x = d$rank, low = d$conf.low, high = d$conf.high),
    ink("rule", value = 0, colour = plot_colour[["zero"]]), average_line(average),
    ink("line", x = d$rank, y = d$estimate)
  ), "people, by their effect (dashed: the average effect)", ylab, title, include = list(y = 0))
}

heatmap_picture <- function(fit, variables, conf_level, average, ylab, title) {
  if (is.null(variables)) {
    variables <- utils::head(ordered_variables(fit), 2L)
  }
  if (length(variables) != 2L) {
    stop_argument("variables", "must be two for a heat map", describe_names(variables))
  }
  d <- effect_of_context(fit, variables, conf_level = conf_level)
  x <- cell_ends(d[[variables[1]]])
  y <- cell_ends(d[[variables[2]]])
  # Differences within the error stay pale.
  far <- max(abs(range(d$estimate) - average), 2 * stats::median(d$std.error), 1e-12)
  picture(d, list(ink("tile", x0 = x$low, x1 = x$high, y0 = y$low, y1 = y$high,
    value = d$estimate)), variables[1], variables[2], title,
  ticks = list(x = x$ticks, y = y$ticks),
  scale = list(name = paste(ylab, "(white: the average)"), limits = average + c(-far, far)))
}

# Where the cells of a grid end, and names of those of levels, which count from 1.
cell_ends <- function(v) {
  at <- if (is.numeric(v)) v else match(v, unique(v))
  centres <- sort(unique(at))
  half <- if (length(centres) > 1L) diff(centres) / 2 else 0.5
  place <- match(at, centres)
  list(low = at - c(half[1], half)[place], high = at + c(half, half[length(half)])[place],
    ticks = if (length(centres) <= 6L || !is.numeric(v)) {
      data.frame(at = centres, label = as.character(unique(v))[order(unique(at))], keep = TRUE)
    })
}

slopes_picture <- function(fit, variables, conf_level, average, ylab, title) {
  all_variables <- all.vars(fit$context$formula)
  if (is.null(variables)) {
    variables <- utils::head(ordered_variables(fit), 12L)
  }
  if (!is.character(variables) || !length(variables) || !all(variables %in% all_variables)) {
    stop_argument("variables", paste("must be among", shorten(all_variables, 20L)),
      describe_names(variables))
  }
  d <- do.call(rbind, lapply(variables, rows_of_context, fit = fit, conf_level = conf_level))
  panel <- factor(d$variable, variables)
  few <- !is.na(d$level) | d$variable %in% names(which(table(d$variable) <= 6))
  # Few values stand at places beyond all numbers, each with its name, three between variables.
  far <- 10 * max(abs(d$value), 1, na.rm = TRUE)
  place <- ifelse(few, far + seq_len(nrow(d)) + 3 * as.integer(panel), d$value)
  rugs <- lapply(variables, function(v) {
    values <- fit$context$data[[v]]
    if (is.numeric(values) && !all(few[d$variable == v])) {
      data.frame(x = thin_rug(values), panel = factor(v, variables))
    }
  })
  rugs <- do.call(rbind, rugs)
  picture(d, list(
    average_line(average),
    ink("band", x = place[!few], low = d$conf.low[!few], high = d$conf.high[!few],
      panel = panel[!few]),
    ink("line", x = place[!few], y = d$estimate[!few], panel = panel[!few]),
    ink("interval", x = place[few], low = d$conf.low[few], high = d$conf.high[few],
      panel = panel[few]),
    ink("point", x = place[few], y = d$estimate[few], panel = panel[few]),
    ink("rug", x = rugs$x, panel = rugs$panel)
  ), "value of the context variable (dashed: the average effect)", ylab, title, panels = variables,
  free = "x", include = list(y = average), ticks = if (any(few)) {
    list(x = data.frame(at = place[few], keep = TRUE, label = ifelse(is.na(d$level[few]),
      format(d$value[few], trim = TRUE, drop0trailing = TRUE), d$level[few])))
  } else {
    list()
  })
}

# The effect along one variable: value of a number, level of a factor.
rows_of_context <- function(variable, fit, conf_level) {
  part <- effect_of_context(fit, variable, conf_level = conf_level)
  is_number <- is.numeric(part[[1]])
  data.frame(variable = variable, value = if (is_number) part[[1]] else NA_real_,
    level = if (is_number) NA_character_ else as.character(part[[1]]), part[-1])
}

# Variables by the evidence that the slope depends on them.
ordered_variables <- function(fit) {
  tests <- fit$tests[-1, ]
  tests <- tests[order(-tests$statistic / tests$df), ]
  by_term <- unlist(lapply(tests$term, function(term) all.vars(str2lang(term))))
  unique(c(by_term, all.vars(fit$context$formula)))
}
