# Plots of deep_mr() results. plot() draws with base graphics, ggplot2::autoplot() gives a ggplot.

#' Plots of Deep MR
#'
#' `"scatter"`: effects on the outcome against those on the exposure, with both standard errors, and
#' the slope, one panel per sequence; `"forest"`: local effects with intervals, sorted; `"density"`:
#' how local effects are distributed, with the mean effect and its interval; `"global"`: mean
#' effects by every way; `"calibration"`: errors of slopes in measured pairs against their noise,
#' with the mean error and, dotted, the spread beyond the noise.
#'
#' @param x,object What [deep_mr()] or [deep_mr_effects()] returned.
#' @param type What to draw, see above.
#' @param sequences For `"scatter"` and `"forest"`: names of sequences; `NULL`: for `"scatter"` the
#'   four with most instruments, for `"forest"` at most 40, evenly along the order of estimates.
#' @param method Which local effects; `NULL`: the first method of the result.
#' @param ... For `plot()`: graphical parameters passed to [graphics::plot.default()].
#' @return `plot()`: the data.frame drawn, invisibly. `autoplot()`: a ggplot of the same. Raises
#'   `mrlearn_error_argument` where the result does not have what is to be drawn.
#' @examples
#' set.seed(1)
#' effects <- expand.grid(position = 1:30, sequence = c("a", "b"))
#' effects <- rbind(cbind(effects, output = "x"), cbind(effects, output = "y"))
#' effects$effect <- rnorm(120)
#' y <- effects$output == "y"
#' effects$effect[y] <- 0.5 * effects$effect[!y] + rnorm(60, sd = 0.1)
#' effects$std.error <- 0.1
#' result <- deep_mr_effects(effects, "x", "y")
#' plot(result, "scatter")
#' plot(result, "global")
#' @export
plot.deep_mr <- function(x, type = c("forest", "scatter", "density", "global", "calibration"),
                         sequences = NULL, method = NULL, ...) {
  draw_picture(deep_picture(x, type, sequences, method), ...)
}

#' @rdname plot.deep_mr
#' @exportS3Method ggplot2::autoplot
autoplot.deep_mr <- function(object, type = c("forest", "scatter", "density", "global",
                               "calibration"),
                             sequences = NULL, method = NULL, ...) {
  check_no_dots(...)
  ggplot_picture(deep_picture(object, type, sequences, method))
}

deep_picture <- function(x, type, sequences, method) {
  type <- check_choice(type, c("forest", "scatter", "density", "global", "calibration"), "type")
  local <- deep_plot_local(x, method)
  title <- paste("Effect of", x$exposure, "on", x$outcome)
  unit <- paste("effect on", x$outcome, "per unit of", x$exposure)
  switch(type,
    forest = rows_picture(forest_rows(local, sequences), paste("local", unit), title),
    density = density_picture(local, x$global[x$global$main, ], paste("local", unit), title),
    global = rows_picture(global_intervals(x), paste("mean", unit), title),
    scatter = sequences_picture(x, local, sequences, title),
    calibration = slope_errors_picture(x, title)
  )
}

deep_plot_local <- function(x, method) {
  known <- unique(x$local$method)
  method <- if (is.null(method)) known[1] else check_choice(method, known, "method")
  local <- x$local[x$local$method == method & !is.na(x$local$estimate), ]
  if (!nrow(local)) {
    stop_argument("x", "must have a sequence with an effect", "none", what = "data")
  }
  local
}

check_plot_sequences <- function(sequences, local) {
  if (!is.character(sequences) || !length(sequences)) {
    stop_argument("sequences", "must be names of sequences with an effect", describe(sequences))
  }
  if (!all(sequences %in% local$sequence)) {
    stop_argument("sequences", "must be names of sequences with an effect",
      describe(setdiff(sequences, local$sequence)[1]))
  }
  sequences
}

forest_rows <- function(local, sequences) {
  if (is.null(sequences)) {
    sorted <- local$sequence[order(local$estimate)]
    sequences <- sorted[unique(round(seq(1, length(sorted), length.out = 40)))]
  }
  check_plot_sequences(sequences, local)
  rows <- local[match(sequences, local$sequence), ]
  rows <- rows[order(-rows$estimate), ]
  data.frame(term = rows$sequence, rows[c("estimate", "conf.low", "conf.high")])
}

global_intervals <- function(x) {
  d <- tidy(x, conf.int = TRUE)
  if (!nrow(d)) {
    stop_argument("type", "\"global\" needs a mean effect", "none", what = "data")
  }
  d[c("term", "estimate", "conf.low", "conf.high")]
}

sequences_picture <- function(x, local, sequences, title) {
  if (is.null(sequences)) {
    sequences <- utils::head(local$sequence[order(-local$n_instruments)], 4)
  }
  check_plot_sequences(sequences, local)
  d <- x$effects[x$effects$sequence %in% sequences & x$effects$instrument, ]
  d$sequence <- factor(d$sequence, sequences)
  at <- match(sequences, local$sequence)
  intercept <- local$intercept[at]
  scatter_picture(
    data.frame(x = d$beta.exposure, y = d$beta.outcome, half.x = d$se.exposure,
      half.y = d$se.outcome, panel = d$sequence),
    data.frame(slope = local$estimate[at], intercept = ifelse(is.na(intercept), 0, intercept),
      panel = factor(sequences, sequences)),
    paste("effect of a mutation on", x$exposure, "(bars: standard errors)"),
    paste("effect of a mutation on", x$outcome), title, data = d
  )
}

slope_errors_picture <- function(x, title) {
  if (is.null(x$calibration)) {
    stop_argument("type", "\"calibration\" needs intervals by measured pairs", x$interval)
  }
  d <- x$calibration$errors
  delta <- x$calibration$delta
  picture(d, list(
    ink("rule", value = 0, colour = plot_colour[["zero"]], lty = 2),
    ink("rule", value = delta), ink("rule", lty = 3,
      value = delta + c(-1, 1) * sqrt(x$calibration$psi)),
    ink("point", x = d$noise.sd, y = d$error, colour = plot_colour[["point"]], size = 0.8)
  ), "standard deviation of the noise", "measured error of the slope (line: mean, dotted: spread)",
  title, include = list(x = 0, y = c(0, delta + c(-1, 1) * sqrt(x$calibration$psi))))
}

# The density of one value is a spike.
effect_density <- function(estimate) {
  if (length(estimate) < 2L) {
    data.frame(x = rep(estimate, 2), y = c(0, 1))
  } else {
    as.data.frame(stats::density(estimate)[c("x", "y")])
  }
}

# How estimates are distributed, with the mean effect (dashed) and its interval.
density_picture <- function(local, main, xlab, title) {
  line <- effect_density(local$estimate)
  picture(local, list(
    ink("rect", x0 = main$conf.low, x1 = main$conf.high, y0 = rep(-Inf, nrow(main)), width = 0,
      y1 = rep(Inf, nrow(main))),
    ink("rule", value = main$estimate, along = "x", lty = 2),
    ink("line", x = line$x, y = line$y), ink("rug", x = thin_rug(local$estimate))
  ), paste(c(xlab, sprintf("(dashed: mean effect by %s)", main$method)), collapse = " "), "density",
  title, include = list(y = 0))
}
