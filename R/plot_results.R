# Pictures of single results: outliers, meta-regressions, prediction intervals, trainings, effects
# of substitutions, simulated data.

#' @rdname mr_radial
#' @param x,object What `mr_radial()` returned.
#' @param ... For `plot()`: graphical parameters passed to [graphics::plot.default()].
#' @section Plot:
#' `plot()` and `ggplot2::autoplot()` draw each variant's ratio times the root of its weight against
#' that root, outliers apart, and the line of the first model, in a panel for each pair: the slope
#' of a ray to a variant is its ratio, the distance from the line the root of its part of Q.
#' `plot()` returns `x$snps`, `autoplot()` a ggplot of it.
#' @export
plot.mr_radial <- function(x, ...) {
  draw_picture(radial_picture(x), ...)
}

#' @rdname mr_radial
#' @exportS3Method ggplot2::autoplot
autoplot.mr_radial <- function(object, ...) {
  check_no_dots(...)
  ggplot_picture(radial_picture(object))
}

radial_picture <- function(x) {
  d <- x$snps[is.finite(x$snps$Wj) & is.finite(x$snps$BetaWj), , drop = FALSE]
  if (!nrow(d)) {
    stop_argument("x", "must have variants that could be used", "none", what = "data")
  }
  pairs <- unique(pair_label(d))
  panel <- factor(pair_label(d), pairs)
  kind <- factor(ifelse(d$outlier, "outlier", "variant"), c("variant", "outlier"))
  lines <- x$coef[!duplicated(pair_key(x$coef)), ]
  lines <- lines[is.finite(lines$b) & pair_label(lines) %in% pairs, , drop = FALSE]
  intercept <- if (is.null(lines$intercept)) rep(0, nrow(lines)) else lines$intercept
  picture(d, list(
    ink("rule", value = 0, colour = plot_colour[["zero"]], lty = 3),
    ink("slope", intercept = intercept, slope = lines$b, panel = factor(pair_label(lines), pairs),
      colour = plot_colour[["point"]]),
    ink("point", x = d$Wj, y = d$BetaWj, by = kind, panel = panel, size = 0.9)
  ), "root of the weight (1 / standard error of the ratio)", "ratio x root of the weight",
  panels = pairs, free = "xy", include = list(x = 0, y = 0), value = x$snps)
}

#' @rdname mr_presso_test
#' @param x,object What `mr_presso_test()` returned.
#' @param ... For `plot()`: graphical parameters passed to [graphics::plot.default()].
#' @section Plot:
#' `plot()` and `ggplot2::autoplot()` draw the estimates from all variants and without outliers with
#' intervals of 95 %, in a panel for each pair.
#' @export
plot.mr_presso <- function(x, ...) {
  draw_picture(estimates_table_picture(presso_estimates(x)), ...)
}

#' @rdname mr_presso_test
#' @exportS3Method ggplot2::autoplot
autoplot.mr_presso <- function(object, ...) {
  check_no_dots(...)
  ggplot_picture(estimates_table_picture(presso_estimates(object)))
}

presso_estimates <- function(x) {
  d <- x$main
  half <- mr_quantile(d$nsnp - 1L, 0.95) * d$sd
  data.frame(d[c("id.exposure", "id.outcome", "exposure", "outcome")], method = d$analysis,
    b = d$b, ci_low = d$b - half, ci_high = d$b + half)
}

#' @rdname meta_regression
#' @param type `"bubble"`: estimates with their intervals against the moderator, if it is one column
#'   of numbers, with the fitted mean and its interval; `"coefficients"`.
#' @export
plot.meta_regression <- function(x, type = c("bubble", "coefficients"), ...) {
  draw_picture(meta_picture(x, type), ...)
}

#' @rdname meta_regression
#' @exportS3Method ggplot2::autoplot
autoplot.meta_regression <- function(object, type = c("bubble", "coefficients"), ...) {
  check_no_dots(...)
  ggplot_picture(meta_picture(object, type))
}

meta_picture <- function(fit, type) {
  x <- fit$design$x[, setdiff(colnames(fit$design$x), "(Intercept)"), drop = FALSE]
  if (check_choice(type, c("bubble", "coefficients")) == "coefficients") {
    return(rows_picture(tidy(fit), "coefficient", "Meta-regression"))
  }
  if (ncol(x) != 1L) {
    stop_argument("type", "\"bubble\" needs one moderator", paste(ncol(x), "columns"))
  }
  at <- seq(min(x), max(x), length.out = 101L)
  rows <- cbind(rep(1, 101L), at)[, c(if (fit$constant) 1L, 2L), drop = FALSE]
  mean <- drop(rows %*% fit$coefficients)
  reach <- meta_quantile(fit$conf_level, meta_df(fit)) * sqrt(rowSums((rows %*% fit$vcov) * rows))
  half <- stats::qnorm((1 + fit$conf_level) / 2) * fit$se
  d <- data.frame(moderator = x[, 1], estimate = fit$estimate, conf.low = fit$estimate - half,
    conf.high = fit$estimate + half)
  picture(d, list(
    ink("rule", value = 0, colour = plot_colour[["zero"]], lty = 3),
    ink("band", x = at, low = mean - reach, high = mean + reach),
    ink("interval", x = d$moderator, low = d$conf.low, high = d$conf.high,
      colour = plot_colour[["bar"]]),
    ink("point", x = d$moderator, y = d$estimate, colour = plot_colour[["point"]]),
    ink("line", x = at, y = mean)
  ), colnames(x), "effect", "Meta-regression")
}

#' @rdname conformal_intervals
#' @section Plot:
#' `plot()` and `ggplot2::autoplot()` draw predictions of rows with their intervals against one
#' variable of theirs, and where the rows have the outcome, the outcomes, those outside apart.
#' @param variable Name of the column to be drawn against; by default that of the exposure, where
#'   the object knows it, else the prediction itself.
#' @export
plot.conformal <- function(x, newdata, variable = NULL, ...) {
  draw_picture(prediction_picture(x, newdata, variable), ...)
}

#' @rdname conformal_intervals
#' @exportS3Method ggplot2::autoplot
autoplot.conformal <- function(object, newdata, variable = NULL, ...) {
  check_no_dots(...)
  ggplot_picture(prediction_picture(object, newdata, variable))
}

prediction_picture <- function(band, newdata, variable) {
  d <- predict.conformal(band, newdata)
  variable <- if (is.null(variable)) band$object[["exposures"]][1] else check_string(variable)
  at <- if (is.null(variable)) d$estimate else newdata[[variable]]
  if (!is.numeric(at) || length(at) != nrow(d)) {
    stop_argument("variable", "must name a column of numbers of `newdata`", describe(variable))
  }
  d <- cbind(data.frame(x = as.double(at)), d)
  y <- newdata[[band$outcome]]
  d$outcome <- if (is.numeric(y)) as.double(y) else rep(NA_real_, nrow(d))
  d <- d[order(d$x), , drop = FALSE]
  seen <- d[!is.na(d$outcome), , drop = FALSE]
  inside <- seen$outcome >= seen$lower & seen$outcome <= seen$upper
  picture(d, list(
    ink("interval", x = d$x, low = d$lower, high = d$upper, colour = plot_colour[["bar"]],
      width = 1),
    ink("point", x = d$x, y = d$estimate, size = 0.6),
    ink("point", x = seen$x, y = seen$outcome, size = 0.7, by = factor(ifelse(inside,
      "outcome inside", "outcome outside"), c("outcome inside", "outcome outside")))
  ), if (is.null(variable)) "prediction" else variable, paste(band$outcome, "of a person"),
  paste0(format(100 * band$conf_level), " % prediction intervals (not of E[", band$outcome,
    "|do])"), colours = c(plot_colour[["point"]], series_colours[2]))
}

#' Plots of trainings
#'
#' The mean losses of training and validation rows by epoch, of what [training_history()] knows:
#' networks on sequences, ensembles of them (a panel for each member), quantile regressions. Fits of
#' the neural `iv_*()` functions draw it as `type = "history"`.
#'
#' @param x,object A fit of a [seq_model()], a [seq_ensemble()], a [quantile_regression()].
#' @param ... For `plot()`: graphical parameters passed to [graphics::plot.default()].
#' @return `plot()`: the training history, invisibly. `autoplot()`: a ggplot; its data have a row
#'   for each loss.
#' @examples
#' sim <- sim_nonlinear(n = 500, n_variants = 3, seed = 1)
#' plot(quantile_regression(Y ~ X, sim, seed = 1, control = nn_control(epochs = 5)))
#' @name plot_training
NULL

training_picture <- function(fit) {
  history <- training_history(fit)
  panel <- if (!is.null(history$member)) {
    factor(paste("member", history$member), unique(paste("member", history$member)))
  }
  history_picture(history, panel)
}

#' @rdname plot_training
#' @export
plot.seq_fit <- function(x, ...) {
  draw_picture(training_picture(x), ...)
}

#' @rdname plot_training
#' @exportS3Method ggplot2::autoplot
autoplot.seq_fit <- function(object, ...) {
  check_no_dots(...)
  ggplot_picture(training_picture(object))
}

#' @rdname plot_training
#' @export
plot.seq_ensemble <- plot.seq_fit

#' @rdname plot_training
#' @exportS3Method ggplot2::autoplot
autoplot.seq_ensemble <- autoplot.seq_fit

#' @rdname plot_training
#' @export
plot.quantile_regression <- plot.seq_fit

#' @rdname plot_training
#' @exportS3Method ggplot2::autoplot
autoplot.quantile_regression <- autoplot.seq_fit

#' Plot of effects of substitutions
#'
#' A heat map of what [mutagenize()] or [read_effects()] returned: each letter at each position of a
#' sequence, blue where it lowers the output and red where it raises it; the sequence's own letters
#' are grey.
#'
#' @param x,object What these functions returned, or rows of it.
#' @param sequence Name of the sequence; `NULL`: the first.
#' @param output Name of the output; `NULL`: the first.
#' @param ... For `plot()`: graphical parameters passed to [graphics::plot.default()].
#' @return `plot()`: the rows drawn, invisibly. `autoplot()`: a ggplot of the same. Raises
#'   `mrlearn_error_argument` for a sequence or output that is not there.
#' @examples
#' model <- seq_model(list(seq_layer("conv", units = 1, taps = 2), seq_layer("global_max")), 8,
#'   parameters = c(1, 0, 0, 0, 0, 1, 0, 0, 0)
#' )
#' plot(mutagenize(model, c(s = "GACGTTGA")))
#' @export
plot.variant_effects <- function(x, sequence = NULL, output = NULL, ...) {
  draw_picture(substitutions_picture(x, sequence, output), ...)
}

#' @rdname plot.variant_effects
#' @exportS3Method ggplot2::autoplot
autoplot.variant_effects <- function(object, sequence = NULL, output = NULL, ...) {
  check_no_dots(...)
  ggplot_picture(substitutions_picture(object, sequence, output))
}

substitutions_picture <- function(x, sequence, output) {
  lacking <- setdiff(c("sequence", "position", "ref", "alt", "output", "effect"), names(x))
  if (length(lacking)) {
    stop_argument("x", "must have the columns of mutagenize()", paste("no", shorten(lacking)),
      what = "data")
  }
  if (!nrow(x)) {
    stop_argument("x", "must have effects", "none", what = "data")
  }
  sequence <- check_choice(if (is.null(sequence)) x$sequence[1] else sequence, unique(x$sequence),
    "sequence")
  output <- check_choice(if (is.null(output)) x$output[1] else output, unique(x$output),
    "output")
  d <- x[x$sequence == sequence & x$output == output, , drop = FALSE]
  letters <- sort(unique(c(d$ref, d$alt)))
  own <- d[!duplicated(d$position), , drop = FALSE]
  at <- c(d$position, own$position)
  row <- length(letters) + 1L - match(c(d$alt, own$ref), letters)
  far <- max(abs(d$effect), 1e-12)
  picture(as_plain(d), list(ink("tile", x0 = at - 0.5, x1 = at + 0.5, y0 = row - 0.5,
    y1 = row + 0.5, value = c(d$effect, rep(NA_real_, nrow(own))))), "position",
  "letter put in its place", paste(sequence, output, sep = ", "),
  ticks = list(y = data.frame(at = rev(seq_along(letters)), label = letters, keep = TRUE)),
  scale = list(name = paste("effect on", output), limits = c(-far, far)))
}

as_plain <- function(d) {
  class(d) <- "data.frame"
  d
}

#' Plot of simulated people and the truth
#'
#' Outcomes against exposures of (at most 1000 of) the simulated people, and the true curve, the
#' mean outcome had everybody been given an exposure: what confounding makes of the cloud and what
#' is to be estimated.
#'
#' @param x,object What a simulator of people returned, with its truth.
#' @param exposure,outcome Names of columns.
#' @param ... For `plot()`: graphical parameters passed to [graphics::plot.default()].
#' @return `plot()`: data.frame `x, y` of the people drawn, invisibly. `autoplot()`: a ggplot of the
#'   same. Raises `mrlearn_error_argument` where the data have no such columns.
#' @examples
#' plot(sim_nonlinear(n = 1000, seed = 1))
#' @export
plot.mr_sim <- function(x, exposure = "X", outcome = "Y", ...) {
  draw_picture(simulated_picture(x, exposure, outcome), ...)
}

#' @rdname plot.mr_sim
#' @exportS3Method ggplot2::autoplot
autoplot.mr_sim <- function(object, exposure = "X", outcome = "Y", ...) {
  check_no_dots(...)
  ggplot_picture(simulated_picture(object, exposure, outcome))
}

simulated_picture <- function(sim, exposure, outcome) {
  curve <- truth(sim)$curve
  numbers <- names(sim)[vapply(sim, is.numeric, NA)]
  for (name in c("exposure", "outcome")) {
    if (!check_string(get(name), name) %in% numbers) {
      stop_argument(name, paste("must name a column of numbers:", shorten(numbers, 12L)),
        describe(get(name)))
    }
  }
  kept <- evenly(nrow(sim), 1000L)
  d <- data.frame(x = as.double(sim[[exposure]])[kept], y = as.double(sim[[outcome]])[kept])
  d <- d[is.finite(d$x) & is.finite(d$y), , drop = FALSE]
  at <- seq(min(d$x), max(d$x), length.out = 201L)
  picture(d, list(
    ink("point", x = d$x, y = d$y, colour = plot_colour[["bar"]], size = 0.5),
    ink("line", x = at, y = curve(at), by = factor(rep(paste0("E[", outcome, "|do(", exposure,
      "=x)]"), length(at))))
  ), exposure, outcome, "Simulated people and the truth")
}
