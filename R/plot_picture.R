# Pictures as data: what is drawn is said once, in inks of a few kinds. plot() draws them with base
# graphics (plot_base.R), autoplot() with ggplot2 (autoplot.R).

plot_colour <- c(line = "#1b5e8c", zero = "grey60", all = "#b3331d", bar = "grey75",
  point = "grey20")

# After Okabe and Ito: told apart by the colour-blind. Series beyond these differ in line and shape.
series_colours <- c(plot_colour[["line"]], "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")

# One kind of mark. Its data are columns: x, y of points and lines (a line per `group`), x, y, low,
# high of intervals (along `along`) and bands, x0, x1, y0, y1 of rectangles and tiles (with value
# and label), value of rules (at `along`), intercept and slope of slopes, x of rugs; `panel` is
# where (everywhere if NULL), `by` the series that colours and legend tell. `limits`: FALSE for what
# axes need not hold. Nothing to draw is NULL.
ink <- function(kind, ..., panel = NULL, by = NULL, group = NULL, along = "y",
                colour = plot_colour[["line"]], width = 2, lty = 1, size = 1, limits = TRUE) {
  columns <- list(...)
  if (!length(columns) || any(lengths(columns) == 0L)) {
    return(NULL)
  }
  data <- data.frame(columns)
  data$panel <- panel
  data$by <- by
  data$group <- group
  list(kind = kind, data = data, along = along, colour = colour, width = width, lty = lty,
    size = size, limits = limits)
}

# A whole picture. data: the data.frame that is drawn; panels: names, NULL for one panel; free: axes
# whose limits are each panel's own; log: logarithmic axes; include: list(x, y) of values that axes
# must hold; window: list(low, high) of x by panel, beyond which marks are cut off; ticks: list(x,
# y) of data.frames (at, label) of positions that have names; colours: of series, by name; scale:
# list(name, limits, text) of the values of tiles; value: what plot() returns.
picture <- function(data, inks, xlab, ylab = "", title = "", panels = NULL, free = "", log = "",
                    include = list(), window = NULL, ticks = list(), colours = NULL, scale = NULL,
                    value = data) {
  inks <- inks[!vapply(inks, is.null, NA)]
  if (is.null(panels)) {
    inks <- lapply(inks, function(i) {
      i$data$panel <- NULL
      i
    })
  }
  pic <- list(data = data, inks = inks, xlab = xlab, ylab = ylab, title = title, panels = panels,
    free = free, log = log, include = include, window = window, ticks = ticks, scale = scale,
    value = value)
  pic$series <- series_look(inks, colours)
  pic$limits <- picture_limits(pic)
  pic$inks <- lapply(inks, cut_ink, pic$limits)
  pic
}

# Colour, line and shape of each series: data.frame(label, colour, lty, pch), by order of levels.
series_look <- function(inks, colours = NULL) {
  label <- unique(unlist(lapply(inks, function(i) levels(i$data$by))))
  if (is.null(colours)) {
    colours <- series_colours
  }
  k <- seq_along(label) - 1L
  round <- k %/% length(colours)
  data.frame(label = as.character(label), colour = unname(colours)[k %% length(colours) + 1L],
    lty = c(1L, 2L, 4L, 3L, 5L, 6L)[round %% 6L + 1L],
    pch = c(19L, 17L, 15L, 4L, 3L, 8L)[round %% 6L + 1L])
}

# Limits of both axes by panel: data.frame(panel, x0, x1, y0, y1).
picture_limits <- function(pic) {
  panels <- if (is.null(pic$panels)) NA else pic$panels
  each <- lapply(panels, function(panel) {
    x <- axis_limits(pic, "x", panel)
    y <- axis_limits(pic, "y", panel)
    if (!is.null(pic$window)) {
      x <- widened(c(pic$window$low[[panel]], pic$window$high[[panel]]), FALSE)
    }
    data.frame(panel = panel, x0 = x[1], x1 = x[2], y0 = y[1], y1 = y[2])
  })
  do.call(rbind, each)
}

axis_limits <- function(pic, axis, panel) {
  shared <- is.na(panel) || !grepl(axis, pic$free, fixed = TRUE)
  values <- lapply(pic$inks, function(i) {
    if (!i$limits) {
      return(NULL)
    }
    d <- i$data
    if (!shared && !is.null(d$panel)) {
      d <- d[d$panel == panel, , drop = FALSE]
    }
    unlist(d[intersect(names(d), c(axis, paste0(axis, 0:1),
      if (i$along == axis) c("low", "high")))], use.names = FALSE)
  })
  values <- c(unlist(values), pic$include[[axis]])
  is_log <- grepl(axis, pic$log, fixed = TRUE)
  values <- values[is.finite(values) & (!is_log | values > 0)]
  if (!length(values)) {
    return(if (is_log) c(0.1, 10) else c(-1, 1))
  }
  limits <- widened(range(values), is_log)
  at <- pic$ticks[[axis]]$at
  tiles <- any(vapply(pic$inks, function(i) i$kind == "tile", NA))
  # Named positions have room on both sides.
  if (!tiles && any(at >= limits[1] & at <= limits[2])) limits + c(-0.5, 0.5) else limits
}

# Limits that are equal are moved apart.
widened <- function(limits, is_log) {
  if (limits[1] < limits[2]) {
    limits
  } else if (is_log) {
    limits * c(0.5, 2)
  } else {
    limits + c(-1, 1) * if (limits[1] == 0) 1 else 0.1 * abs(limits[1])
  }
}

# Points and intervals within the limits of their panel: x, low and high are where they are drawn,
# `below` and `above` say what is cut off.
cut_ink <- function(ink, limits) {
  d <- ink$data
  at <- if (is.null(d$panel)) rep(1L, nrow(d)) else match(d$panel, limits$panel)
  within <- function(v, axis) {
    pmin(pmax(v, limits[[paste0(axis, 0)]][at]), limits[[paste0(axis, 1)]][at])
  }
  if (ink$kind == "interval") {
    ends <- list(low = within(d$low, ink$along), high = within(d$high, ink$along))
    ink$data$below <- !is.na(d$low) & d$low < ends$low
    ink$data$above <- !is.na(d$high) & d$high > ends$high
    ink$data[names(ends)] <- ends
  } else if (ink$kind == "point") {
    ink$data$x <- within(d$x, "x")
    ink$data$beyond <- !is.na(d$x) & d$x != ink$data$x
  }
  ink
}

# At most 500 ticks, at quantiles, so that a million people do not fill the page.
thin_rug <- function(x) {
  if (length(x) <= 500L) x else stats::quantile(x, seq(0, 1, length.out = 500L), names = FALSE)
}

# Names that fit beside an axis: the middle of long ones is left out.
short_label <- function(label, most = 44L) {
  long <- nchar(label) > most
  half <- (most - 3L) %/% 2L
  ifelse(long, paste0(substr(label, 1L, half), "...", substring(label, nchar(label) - half + 1L)),
    label)
}

# A curve x, estimate, conf.low, conf.high (band.low, band.high dashed) with a rug.
band_picture <- function(data, xlab, ylab, title = "", rug = NULL, ...) {
  known <- !is.na(data$conf.low) & !is.na(data$conf.high)
  beyond <- beyond_overlap(data)
  if (!is.null(beyond)) {
    xlab <- paste(xlab, "(grey: exposures that the instruments do not bring)")
  }
  picture(data, list(
    ink("rect", x0 = beyond$low, x1 = beyond$high, y0 = rep(-Inf, NROW(beyond)),
      y1 = rep(Inf, NROW(beyond)), colour = plot_colour[["zero"]], width = 0),
    ink("band", x = data$x[known], low = data$conf.low[known], high = data$conf.high[known]),
    ink("line", x = data$x, y = data$estimate),
    dashed(data$x, data$band.low), dashed(data$x, data$band.high), ink("rug", x = rug)
  ), xlab, ylab, title, ...)
}

# Where a curve is not supported: data.frame(low, high), from point to point; NULL where it is.
beyond_overlap <- function(data) {
  off <- !(data$overlap %in% c(TRUE, NA))
  if (is.null(data$overlap) || !any(off)) {
    return(NULL)
  }
  runs <- rle(off)
  end <- cumsum(runs$lengths)
  start <- end - runs$lengths + 1L
  data.frame(low = data$x[start[runs$values]], high = data$x[end[runs$values]])
}

dashed <- function(x, y) {
  known <- !is.na(y)
  ink("line", x = x[known], y = y[known], lty = 2, width = 1)
}

# Estimates in rows with their intervals: data has term, estimate, conf.low, conf.high, the first
# row on top.
rows_picture <- function(data, xlab, title = "", null = 0, value = data, ...) {
  place <- rev(seq_len(nrow(data)))
  known <- is.finite(data$estimate)
  thin <- row_thinness(nrow(data))
  picture(data, list(
    ink("rule", value = null, along = "x", colour = plot_colour[["zero"]], lty = 2),
    ink("interval", y = place, low = data$conf.low, high = data$conf.high, along = "x",
      width = 2 * thin),
    ink("point", x = data$estimate[known], y = place[known], size = thin)
  ), xlab, title = title, include = list(x = null), ticks = list(y = data.frame(at = place,
    label = as.character(data$term), keep = FALSE)), value = value, ...)
}

# Estimates at places of an axis, with vertical intervals and a line at 0: data has x, estimate,
# conf.low, conf.high.
points_picture <- function(data, xlab, ylab, title = "", ...) {
  picture(data, list(
    ink("rule", value = 0, colour = plot_colour[["zero"]], lty = 2),
    ink("interval", x = data$x, low = data$conf.low, high = data$conf.high),
    ink("point", x = data$x, y = data$estimate)
  ), xlab, ylab, title, include = list(y = 0), ...)
}

# Losses of training and validation rows by epoch, in a panel for each training.
history_picture <- function(history, panel = NULL) {
  rows <- c("training", "validation")
  long <- data.frame(epoch = rep(history$epoch, 2), loss = c(history$train, history$validation),
    rows = factor(rep(rows, each = nrow(history)), rows))
  long$panel <- rep(panel, 2)
  long <- long[is.finite(long$loss), , drop = FALSE]
  # A line needs two epochs.
  one <- if (length(unique(long$epoch)) == 1L) long
  picture(long, list(
    ink("line", x = long$epoch, y = long$loss, by = long$rows, panel = long$panel),
    ink("point", x = one$epoch, y = one$loss, by = one$rows, panel = one$panel)
  ), "epoch", "mean loss (of standardised columns)", panels = if (!is.null(panel)) levels(panel),
  free = "xy", colours = plot_colour[c("zero", "line")], value = history)
}

# Effects on an outcome against effects on an exposure, with what each is uncertain by, and lines.
# points: x, y, half.x, half.y, panel; lines: slope, intercept, panel and, if told apart, by.
scatter_picture <- function(points, lines, xlab, ylab, title = "", data = points, value = data) {
  for (half in c("half.x", "half.y")) {
    points[[half]][is.na(points[[half]])] <- 0
  }
  grey <- plot_colour[["zero"]]
  bar <- plot_colour[["bar"]]
  panels <- levels(droplevels(points$panel))
  picture(data, list(
    ink("rule", value = 0, colour = grey, lty = 3),
    ink("rule", value = 0, colour = grey, lty = 3, along = "x"),
    ink("interval", y = points$y, low = points$x - points$half.x, high = points$x + points$half.x,
      along = "x", panel = points$panel, colour = bar, width = 1),
    ink("interval", x = points$x, low = points$y - points$half.y, high = points$y + points$half.y,
      panel = points$panel, colour = bar, width = 1),
    ink("point", x = points$x, y = points$y, panel = points$panel, size = 0.7,
      colour = plot_colour[["point"]]),
    ink("slope", intercept = lines$intercept, slope = lines$slope, panel = lines$panel,
      by = lines$by)
  ), xlab, ylab, title, panels = panels, free = "xy", include = list(x = 0, y = 0), value = value)
}
