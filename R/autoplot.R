# Pictures (plot_picture.R) as ggplots; ggplot2 is only suggested.

# ggplot2's word for the data of a layer.
utils::globalVariables(".data")

# The ggplot of a picture: its data are the picture's, each ink is a layer.
ggplot_picture <- function(pic) {
  p <- ggplot2::ggplot(pic$data)
  for (i in pic$inks) {
    if (!is.null(pic$panels) && !is.null(i$data$panel)) {
      i$data$panel <- factor(i$data$panel, pic$panels)
    }
    p <- p + ggplot_ink(i, pic)
  }
  p + ggplot_panels(pic) +
    ggplot_axis(pic, "x") + ggplot_axis(pic, "y") +
    ggplot_series(pic) +
    ggplot2::labs(x = wrapped(pic$xlab, 70), y = wrapped(pic$ylab, 50),
      title = wrapped(pic$title, 60)) +
    ggplot_look(pic)
}

wrapped <- function(text, width) {
  if (is.character(text) && nzchar(text)) paste(strwrap(text, width), collapse = "\n")
}

# Panels, and corners that make axes reach as far as base graphics do.
ggplot_panels <- function(pic) {
  l <- pic$limits
  corners <- data.frame(panel = l$panel, x = c(l$x0, l$x1), y = c(l$y0, l$y1))
  if (!is.null(pic$panels)) {
    corners$panel <- factor(corners$panel, pic$panels)
  }
  list(
    ggplot2::geom_blank(ggplot2::aes(x = .data$x, y = .data$y), corners),
    if (!is.null(pic$panels)) {
      ggplot2::facet_wrap(~panel, ncol = panel_columns(length(pic$panels)),
        scales = c("fixed", "free_x", "free_y", "free")[1 + grepl("x", pic$free) +
          2 * grepl("y", pic$free)],
        labeller = ggplot2::as_labeller(function(v) short_label(v, 110L),
          ggplot2::label_wrap_gen(40)))
    }
  )
}

ggplot_axis <- function(pic, axis) {
  ticks <- pic$ticks[[axis]]
  is_log <- grepl(axis, pic$log, fixed = TRUE)
  scale <- list(x = list(ggplot2::scale_x_continuous, ggplot2::scale_x_log10),
    y = list(ggplot2::scale_y_continuous, ggplot2::scale_y_log10))[[axis]][[1L + is_log]]
  if (is.null(ticks)) {
    return(scale(guide = ggplot2::guide_axis(check.overlap = TRUE)))
  }
  if (axis == "y" && row_text_size(pic) < 3) {
    ticks <- ticks[ticks$keep, , drop = FALSE]
  }
  # Names beside each of several panels leave these little room.
  columns <- if (grepl(axis, pic$free)) panel_columns(max(1L, length(pic$panels))) else 1L
  most <- c(44L, 30L, 20L)[min(columns, 3L)]
  scale(
    breaks = function(limits) {
      at <- ticks$at[ticks$at >= limits[1] & ticks$at <= limits[2]]
      named <- any(pic$ticks[[axis]]$at >= limits[1] & pic$ticks[[axis]]$at <= limits[2])
      if (named) at else pretty(limits)
    },
    labels = function(at) {
      known <- match(at, ticks$at)
      ifelse(is.na(known), tick_text(at), short_label(ticks$label, most)[known])
    },
    minor_breaks = NULL
  )
}

# Points of text that rows leave to their names on a page of usual height.
row_text_size <- function(pic) {
  down <- if (is.null(pic$panels)) 1 else
    ceiling(length(pic$panels) / panel_columns(length(pic$panels)))
  min(9, 450 / max(pic$limits$y1 - pic$limits$y0) / down)
}

ggplot_series <- function(pic) {
  series <- pic$series
  of <- function(column) stats::setNames(series[[column]], series$label)
  list(
    if (nrow(series)) {
      list(
        ggplot2::scale_colour_manual(NULL, values = of("colour"), breaks = series$label),
        ggplot2::scale_fill_manual(NULL, values = of("colour"), breaks = series$label),
        ggplot2::scale_linetype_manual(NULL, values = of("lty"), breaks = series$label),
        ggplot2::scale_shape_manual(NULL, values = of("pch"), breaks = series$label)
      )
    },
    if (!is.null(pic$scale)) {
      ggplot2::scale_fill_gradientn(paste(strwrap(pic$scale$name, 20), collapse = "\n"),
        colours = tile_palette(64L), limits = pic$scale$limits, na.value = empty_tile)
    }
  )
}

# One look for all.
ggplot_look <- function(pic) {
  rows <- !is.null(pic$ticks$y)
  list(
    ggplot2::theme_minimal(),
    ggplot2::theme(
      legend.position = if (is.null(pic$scale)) "bottom" else "right",
      plot.title.position = "plot", panel.spacing = ggplot2::unit(1.2, "lines"),
      panel.grid.minor = ggplot2::element_blank(), strip.clip = "off"
    ),
    if (nrow(pic$series) > 1L) ggplot_guide(pic$series$label),
    if (rows) {
      ggplot2::theme(panel.grid.major.y = ggplot2::element_blank(),
        axis.text.y = ggplot2::element_text(size = if (row_text_size(pic) < 3) 7 else
          row_text_size(pic)))
    },
    if (!is.null(pic$ticks$x) && max(nchar(pic$ticks$x$label)) > 12L) {
      ggplot2::theme(axis.text.x = ggplot2::element_text(angle = 45, hjust = 1))
    }
  )
}

# The legend in as many columns as texts leave room for.
ggplot_guide <- function(label) {
  many <- length(label) > 8L
  room <- if (many) 150L else 110L
  guide <- ggplot2::guide_legend(ncol = max(1, min(length(label),
    room %/% (max(nchar(label)) + 6))))
  list(
    ggplot2::guides(colour = guide, fill = guide, linetype = guide, shape = guide),
    if (many) {
      ggplot2::theme(legend.text = ggplot2::element_text(size = 6),
        legend.key.height = ggplot2::unit(0.5, "lines"))
    }
  )
}

# The layers of an ink: constants of the ink are settings, its series aesthetics.
ggplot_ink <- function(ink, pic) {
  d <- ink$data
  d$key <- series_key(d)
  series <- !is.null(d$by)
  # by: the aesthetics that tell series, fixed to the ink's own where there are none.
  layer <- function(geom, mapping, ..., by = "colour") {
    own <- list(colour = ink$colour, fill = ink$colour, linetype = ink$lty, shape = 19)[by]
    if (series) {
      mapping[by] <- ggplot2::aes(by = .data$by)
      own <- NULL
    }
    do.call(geom, c(list(mapping, d, ...), own))
  }
  wide <- ink$width * 0.45
  switch(ink$kind,
    band = layer(ggplot2::geom_ribbon, ggplot2::aes(x = .data$x, ymin = .data$low,
      ymax = .data$high, group = .data$key), alpha = 0.2, by = "fill"),
    line = layer(ggplot2::geom_line, ggplot2::aes(x = .data$x, y = .data$y, group = .data$key),
      linewidth = wide, by = c("colour", "linetype")),
    interval = ggplot_interval(layer, d, wide, ink$along == "y"),
    point = ggplot_points(layer, d, 2 * ink$size, series),
    rule = if (ink$along == "y") {
      layer(ggplot2::geom_hline, ggplot2::aes(yintercept = .data$value), linetype = ink$lty,
        linewidth = wide / 2)
    } else {
      layer(ggplot2::geom_vline, ggplot2::aes(xintercept = .data$value), linetype = ink$lty,
        linewidth = wide / 2)
    },
    slope = layer(ggplot2::geom_abline, ggplot2::aes(intercept = .data$intercept,
      slope = .data$slope), linewidth = wide, by = c("colour", "linetype")),
    rug = layer(ggplot2::geom_rug, ggplot2::aes(x = .data$x), sides = "b", alpha = 0.3,
      colour = "grey40", by = character()),
    rect = layer(ggplot2::geom_rect, ggplot2::aes(xmin = .data$x0, xmax = .data$x1,
      ymin = .data$y0, ymax = .data$y1), alpha = 0.2, by = "fill", linewidth = wide,
      colour = if (ink$width > 0) ink$colour else NA),
    tile = ggplot_tiles(d, pic$scale)
  )
}

# Lines, and a mark at each end that is cut off.
ggplot_interval <- function(layer, d, wide, upright) {
  lines <- if (upright) {
    layer(ggplot2::geom_linerange, ggplot2::aes(x = .data$x, ymin = .data$low, ymax = .data$high),
      linewidth = wide, na.rm = TRUE)
  } else {
    layer(ggplot2::geom_linerange, ggplot2::aes(y = .data$y, xmin = .data$low, xmax = .data$high),
      linewidth = wide, na.rm = TRUE)
  }
  marks <- lapply(c("below", "above"), function(end) {
    if (any(d[[end]])) {
      d$at <- d[[c(below = "low", above = "high")[[end]]]]
      d <- d[d[[end]], , drop = FALSE]
      mapping <- if (upright) ggplot2::aes(x = .data$x, y = .data$at) else
        ggplot2::aes(x = .data$at, y = .data$y)
      ggplot2::geom_text(mapping, d, label = cut_mark(end, upright))
    }
  })
  c(list(lines), marks)
}

ggplot_points <- function(layer, d, size, series) {
  mapping <- ggplot2::aes(x = .data$x, y = .data$y)
  if (any(d$beyond)) {
    return(layer(ggplot2::geom_point, mapping, size = size, shape = ifelse(d$beyond, 2, 19)))
  }
  layer(ggplot2::geom_point, mapping, size = size, by = c("colour", "shape"))
}

ggplot_tiles <- function(d, scale) {
  d$on <- text_on(d$value, scale$limits)
  list(
    ggplot2::geom_rect(ggplot2::aes(xmin = .data$x0, xmax = .data$x1, ymin = .data$y0,
      ymax = .data$y1, fill = .data$value), d,
    colour = if (is.null(d$label)) NA else "white"),
    if (!is.null(d$label)) {
      ggplot2::geom_text(ggplot2::aes(x = (.data$x0 + .data$x1) / 2, y = (.data$y0 + .data$y1) / 2,
        label = .data$label), d, colour = d$on)
    }
  )
}
