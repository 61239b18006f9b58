# Pictures (plot_picture.R) in base graphics.

# Draws a picture; ...: graphical parameters of the user, which come first. Returns its value.
draw_picture <- function(pic, ...) {
  given <- list(...)
  if (nrow(pic$limits) == 1L) draw_alone(pic, given) else draw_panels(pic, given)
  invisible(pic$value)
}

draw_alone <- function(pic, given) {
  title <- if (nzchar(pic$title) || is.null(pic$panels)) pic$title else panel_title(pic$panels)
  legend <- legend_layout(pic, graphics::par("fin"))
  need <- panel_margins(pic, pic$limits, title)
  # The margins stay: lines(), abline() and legend() of the user must meet these axes. So they have
  # room for the titles of a plain plot as well, which may come next.
  plain <- pmin(c(4.1, 4.1, 2.1, 1.1) * graphics::par("csi"), graphics::par("fin")[2:1] / 4)
  graphics::par(mai = pmax(need, plain) + c(legend$inches, 0, 0, 0))
  draw_names(draw_panel(pic, pic$limits, title, given), need)
  draw_legend(pic$series, legend, "nfc")
}

# Panels share the titles of axes and the legend, which stand in the outer margin, and names of
# rows if these are the same.
draw_panels <- function(pic, given) {
  n <- length(pic$panels)
  line <- graphics::par("cin")[2]
  old <- graphics::par(c("mfrow", "mai", "omi"))
  on.exit(graphics::par(old))
  legend <- legend_layout(pic, graphics::par("din"))
  graphics::par(mfrow = c(ceiling(n / panel_columns(n)), panel_columns(n)))
  names <- if (rows_are_shared(pic)) names_width(pic, pic$limits[1, ], graphics::par("din")[1] / 3)
  graphics::par(omi = c(legend$inches + 1.6 * line, 1.5 * line * nzchar(pic$ylab) + sum(names),
    1.6 * line * nzchar(pic$title), 0))
  title <- vapply(pic$panels, panel_title, "")
  for (i in seq_len(n)) {
    limits <- pic$limits[i, ]
    graphics::par(mai = panel_margins(pic, limits, title))
    settings <- draw_panel(pic, limits, title[[i]], given, first = i %% panel_columns(n) == 1L)
    draw_main(settings)
  }
  draw_outer(utils::modifyList(pic[c("title", "xlab", "ylab")], given), legend$inches)
  draw_legend(pic$series, legend, "ndc")
}

draw_outer <- function(text, below) {
  line <- graphics::par("csi")
  omi <- graphics::par("omi") / line
  din <- graphics::par("din")
  # Text is centred between the outer margins.
  inner <- din - line * c(omi[2], 0)
  title_axis(text$xlab, 1, omi[1] - below / line - 1.4, 0.85, inner[1], outer = TRUE)
  title_axis(text$ylab, 2, omi[2] - 1.4, 0.85, inner[2] - line * sum(omi[c(1, 3)]), outer = TRUE)
  title_axis(text$title, 3, 0.2, 1.05, din[1], outer = TRUE, font = 2)
}

# A text in a margin, smaller where it is longer than its room; none where the user has none.
title_axis <- function(text, side, line, cex, room, ...) {
  if (length(text)) {
    graphics::mtext(text, side, line = line, cex = cex * fitting(text, room / cex), las = 0, ...)
  }
}

# How large a text can be in a room of so many inches, at most 1.
fitting <- function(text, room) {
  if (!is.character(text)) {
    return(1)
  }
  wide <- max(graphics::strwidth(text, "inches", cex = 1 / graphics::par("cex")), 1e-3)
  min(1, max(0.45, 0.96 * room / wide))
}

rows_are_shared <- function(pic) {
  length(pic$panels) > 1L && !is.null(pic$ticks$y) && !grepl("y", pic$free)
}

# Up to three panels side by side, more in a near-square grid.
panel_columns <- function(n) {
  if (n <= 3L) n else ceiling(sqrt(n))
}

# Long titles on several lines.
panel_title <- function(panel) {
  width <- graphics::par("fin")[1] / graphics::strwidth("n", "inches", cex = 1.1) - 8
  lines <- strwrap(short_label(panel, 2 * max(16, floor(width))), max(16, width))
  paste(utils::head(lines, 3L), collapse = "\n")
}

# Inches of margin that names and ticks, the longest of titles, and the scale need.
panel_margins <- function(pic, limits, title) {
  line <- graphics::par("csi")
  fin <- graphics::par("fin")
  alone <- nrow(pic$limits) == 1L
  left <- (if (rows_are_shared(pic)) 0 else names_width(pic, limits)) + 0.5 * line +
    1.5 * line * (alone && nzchar(pic$ylab))
  right <- line * if (is.null(pic$scale)) 0.8 else 5.6
  title_lines <- max(lengths(strsplit(title, "\n")))
  below <- names_height(pic, limits, fin[1] - left - right) + 1.6 * line * alone
  c(min(below, 0.4 * fin[2]), left, min((0.8 + 1.3 * title_lines) * line, 0.3 * fin[2]), right)
}

# Inches that the names beside the rows take, at most half of the figure.
names_width <- function(pic, limits, most = graphics::par("fin")[1] / 2) {
  wide <- max(graphics::strwidth(side_labels(pic, limits, "y"), "inches", cex = 0.9), 0)
  min(wide + 0.5 * graphics::par("csi"), most)
}

# Inches of what stands below an axis of some width: names are turned where they would touch.
names_height <- function(pic, limits, width) {
  line <- graphics::par("csi")
  named <- named_ticks(pic, "x", c(limits$x0, limits$x1))
  if (is.null(named)) {
    return(1.5 * line)
  }
  label <- graphics::strwidth(short_label(named$label), "inches", cex = 0.9)
  room <- width * min(diff(c(named$at, limits$x1 + 0.5))) / (limits$x1 - limits$x0)
  if (max(label) > 0.95 * room) 0.8 * max(label) + 0.8 * line else 1.5 * line
}

# What stands beside an axis of a panel.
side_labels <- function(pic, limits, axis) {
  ends <- unlist(limits[paste0(axis, 0:1)])
  named <- named_ticks(pic, axis, ends)
  if (!is.null(named)) {
    return(short_label(named$label))
  }
  tick_text(numeric_ticks(ends, grepl(axis, pic$log, fixed = TRUE)))
}

# The named positions of an axis that lie between two ends, NULL if there are none.
named_ticks <- function(pic, axis, ends) {
  ticks <- pic$ticks[[axis]]
  ticks <- ticks[ticks$at >= ends[1] & ticks$at <= ends[2], , drop = FALSE]
  if (NROW(ticks)) ticks
}

numeric_ticks <- function(ends, is_log) {
  if (is_log) {
    return(grDevices::axisTicks(log10(ends), TRUE, nint = 5))
  }
  grDevices::axisTicks(ends, FALSE, nint = 5)
}

tick_text <- function(at) {
  formatC(at, digits = 6, format = "fg", width = 1, big.mark = "")
}

# One panel without titles; returns its settings. first: does it stand first in its row?
draw_panel <- function(pic, limits, title, given, first = TRUE) {
  rows <- !is.null(named_ticks(pic, "y", c(limits$y0, limits$y1)))
  settings <- utils::modifyList(
    list(x = c(limits$x0, limits$x1), y = c(limits$y0, limits$y1), type = "n", log = pic$log,
      xlab = pic$xlab, ylab = pic$ylab, main = title, xaxt = "s", yaxt = "s", las = 1,
      bty = if (rows) "n" else "l"), given
  )
  bare <- settings
  bare[c("xlab", "ylab", "main")] <- ""
  bare[c("xaxt", "yaxt")] <- "n"
  do.call(graphics::plot.default, bare)
  for (i in pic$inks) {
    if (!is.null(i$data$panel)) {
      i$data <- i$data[i$data$panel == limits$panel, , drop = FALSE]
    }
    if (nrow(i$data)) draw_ink(i, pic)
  }
  if (settings$xaxt != "n") draw_axis(pic, 1, settings)
  if (settings$yaxt != "n" && (first || !rows_are_shared(pic))) draw_axis(pic, 2, settings)
  if (!is.null(pic$scale)) draw_scale(pic$scale)
  settings
}

# Ticks: names where positions have them, else numbers.
draw_axis <- function(pic, side, settings) {
  axis <- c("x", "y")[side]
  usr <- graphics::par("usr")[2 * side - 1:0]
  is_log <- graphics::par(c("xlog", "ylog"))[[side]]
  ends <- if (is_log) 10^usr else usr
  named <- named_ticks(pic, axis, ends)
  if (is.null(named)) {
    at <- numeric_ticks(ends, is_log)
    graphics::axis(side, at, tick_text(at), las = settings$las, tcl = -0.3,
      mgp = c(3, 0.5, 0), cex.axis = if (is.null(settings$cex.axis)) 0.9 else settings$cex.axis)
  } else if (side == 2L) {
    draw_row_labels(named)
  } else {
    graphics::axis(1, named$at, FALSE, tcl = -0.3)
    room <- min(diff(c(named$at, usr[2] + 0.5))) * graphics::par("pin")[1] / diff(usr)
    label <- short_label(named$label)
    turned <- max(graphics::strwidth(label, "inches", cex = 0.9)) > 0.95 * room
    size <- if (turned) min(0.72, (graphics::par("mai")[1] - 0.5 * graphics::par("csi")) /
      max(graphics::strwidth(label, "inches"))) else 0.9
    graphics::mtext(label, 1, 0.45, at = named$at, las = if (turned) 2 else 1,
      cex = size * graphics::par("cex"))
  }
}

# Every row's label, small enough that rows do not touch (axis() would leave out those that do) and
# that the longest stays in the margin. Where none could be read only those to be kept remain.
draw_row_labels <- function(named) {
  inch <- graphics::par("pin")[2] / diff(graphics::par("usr")[3:4])
  apart <- if (nrow(named) > 1L) min(abs(diff(named$at))) else 1
  size <- min(0.9, 0.95 * apart * inch / graphics::par("cin")[2])
  if (size < 0.3) {
    named <- named[named$keep, , drop = FALSE]
    size <- 0.7
  }
  if (!nrow(named)) {
    return()
  }
  label <- short_label(named$label)
  room <- graphics::par("mai")[2] + graphics::par("omi")[2] - 0.5 * graphics::par("csi")
  size <- min(size, room / max(graphics::strwidth(label, "inches")))
  old <- graphics::par(xpd = NA)
  on.exit(graphics::par(old))
  graphics::mtext(label, 2, 0.3, at = named$at, las = 1, cex = graphics::par("cex") * size)
}

# Titles of axes and panel, smaller where they are longer than the figure. need: inches of margin
# that end with them.
draw_names <- function(settings, need) {
  line <- graphics::par("csi")
  mai <- graphics::par("mai")
  cex <- graphics::par("cex")
  # Text is centred on the axis, so that the narrower margin counts.
  room <- graphics::par("pin") + 2 * c(min(mai[c(2, 4)]), min(mai[c(1, 3)]))
  title_axis(settings$xlab, 1, need[1] / line - 1.4, cex, room[1])
  title_axis(settings$ylab, 2, need[2] / line - 1.3, cex, room[2])
  draw_main(settings)
}

# Over the middle of the axes, or as near to it as the figure has room.
draw_main <- function(settings) {
  if (!is.character(settings$main)) {
    return(if (length(settings$main)) graphics::mtext(settings$main, 3, line = 0.3, las = 0))
  }
  fin <- graphics::par("fin")[1]
  size <- if (is.null(settings$cex.main)) 1.05 else settings$cex.main
  wide <- max(graphics::strwidth(settings$main, "inches", cex = size, font = 2), 1e-3)
  size <- size * min(1, 0.97 * fin / wide)
  half <- min(0.485, wide / fin / 2)
  middle <- min(max(mean(graphics::par("plt")[1:2]), half + 0.01), 0.99 - half)
  graphics::mtext(settings$main, 3, line = 0.3, font = 2, cex = graphics::par("cex") * size,
    las = 0, at = graphics::grconvertX(middle, "nfc", "user"))
}

ink_colours <- function(ink, series) {
  if (is.null(ink$data$by)) ink$colour else series$colour[match(ink$data$by, series$label)]
}

draw_ink <- function(ink, pic) {
  d <- ink$data
  colour <- ink_colours(ink, pic$series)
  look <- pic$series[match(d$by, pic$series$label), ]
  upright <- ink$along == "y"
  switch(ink$kind,
    band = for (one in split(cbind(d, colour), series_key(d))) {
      one <- one[order(one$x), ]
      graphics::polygon(c(one$x, rev(one$x)), c(one$low, rev(one$high)), border = NA,
        col = grDevices::adjustcolor(one$colour[1], 0.2))
    },
    line = draw_lines(d, colour, look, ink),
    interval = draw_interval(d, colour, ink, upright),
    point = graphics::points(d$x, d$y, col = colour, cex = ink$size,
      pch = ifelse(d$beyond, 2L, if (nrow(look)) look$pch else 19L)),
    rule = graphics::abline(h = if (upright) d$value, v = if (!upright) d$value, col = colour,
      lty = ink$lty, lwd = ink$width / 2),
    slope = for (i in seq_len(nrow(d))) {
      graphics::abline(d$intercept[i], d$slope[i], col = rep_len(colour, nrow(d))[i],
        lwd = ink$width, lty = if (is.null(d$by)) ink$lty else look$lty[i])
    },
    rug = graphics::rug(d$x, ticksize = 0.02, col = "grey40", quiet = TRUE),
    rect = draw_rect(d, colour, ink),
    tile = draw_tiles(d, pic$scale)
  )
}

# Rows of one line or band have the same key.
series_key <- function(d) {
  paste(rep("", nrow(d)), d$by, d$group)
}

draw_lines <- function(d, colour, look, ink) {
  for (rows in split(seq_len(nrow(d)), series_key(d))) {
    rows <- rows[order(d$x[rows])]
    graphics::lines(d$x[rows], d$y[rows], col = rep_len(colour, nrow(d))[rows[1]], lwd = ink$width,
      lty = if (is.null(d$by)) ink$lty else look$lty[rows[1]])
  }
}

draw_interval <- function(d, colour, ink, upright) {
  x <- if (upright) d$x else NULL
  graphics::segments(if (upright) x else d$low, if (upright) d$low else d$y,
    if (upright) x else d$high, if (upright) d$high else d$y, col = colour, lwd = ink$width)
  colour <- rep_len(colour, nrow(d))
  for (end in c("below", "above")) {
    cut <- d[[end]]
    at <- d[[c(below = "low", above = "high")[[end]]]]
    graphics::points(if (upright) x[cut] else at[cut], if (upright) at[cut] else d$y[cut],
      pch = cut_mark(end, upright), col = colour[cut])
  }
}

# The mark at an end of an interval that goes on beyond the limits.
cut_mark <- function(end, upright) {
  if (upright) c(below = "v", above = "^")[[end]] else c(below = "<", above = ">")[[end]]
}

# Rectangles; infinite ends are the panel's.
draw_rect <- function(d, colour, ink) {
  usr <- graphics::par("usr")
  within <- function(v, at) pmin(pmax(v, usr[at]), usr[at + 1L])
  is_log <- graphics::par(c("xlog", "ylog"))
  x <- if (is_log$xlog) identity else function(v) within(v, 1L)
  y <- if (is_log$ylog) identity else function(v) within(v, 3L)
  graphics::rect(x(d$x0), y(d$y0), x(d$x1), y(d$y1), col = grDevices::adjustcolor(colour, 0.2),
    border = if (ink$width > 0) colour else NA, lwd = ink$width)
}

draw_tiles <- function(d, scale) {
  graphics::rect(d$x0, d$y0, d$x1, d$y1, col = tile_colours(d$value, scale$limits),
    border = if (is.null(d$label)) NA else "white")
  if (!is.null(d$label)) {
    wide <- max(graphics::strwidth(d$label)) / min(d$x1 - d$x0)
    graphics::text((d$x0 + d$x1) / 2, (d$y0 + d$y1) / 2, d$label, cex = min(1, 0.9 / wide),
      col = text_on(d$value, scale$limits))
  }
}

# Blue below, red above the middle of the limits, grey for nothing (darker than the middle).
empty_tile <- "grey78"

tile_palette <- function(n) {
  grDevices::hcl.colors(n, "Blue-Red 3")
}

tile_colours <- function(value, limits, n = 64L) {
  at <- 1 + (n - 1) * (value - limits[1]) / diff(limits)
  ifelse(is.na(value), empty_tile, tile_palette(n)[pmin(pmax(round(at), 1), n)])
}

# White where the tile is dark.
text_on <- function(value, limits) {
  far <- abs(value - mean(limits)) > 0.3 * diff(limits)
  ifelse(far & !is.na(far), "white", "black")
}

# The scale of tiles, in the right margin.
draw_scale <- function(scale, n = 64L) {
  usr <- graphics::par("usr")
  line <- graphics::par("cxy")[1]
  x <- usr[2] + c(0.8, 2) * line
  y <- seq(usr[3], usr[4], length.out = n + 1L)
  graphics::rect(x[1], y[-(n + 1L)], x[2], y[-1], col = tile_palette(n), border = NA, xpd = NA)
  at <- numeric_ticks(scale$limits, FALSE)
  at <- at[at >= scale$limits[1] & at <= scale$limits[2]]
  place <- usr[3] + diff(usr[3:4]) * (at - scale$limits[1]) / diff(scale$limits)
  graphics::text(x[2], place, tick_text(at), pos = 4, cex = 0.8, offset = 0.25, xpd = NA)
  graphics::mtext(scale$name, 4, line = graphics::par("mar")[4] - 1.2, las = 0, cex = 0.9 *
    graphics::par("cex") * fitting(scale$name, graphics::par("fin")[2]))
}

# The legend under a picture of some size: columns, size of its text, inches that it takes, at most
# a third of the height.
legend_layout <- function(pic, size) {
  series <- pic$series
  if (!nrow(series)) {
    return(list(inches = 0))
  }
  line <- graphics::par("cin")[2]
  wide <- max(graphics::strwidth(series$label, "inches", cex = 1 / graphics::par("cex"))) +
    5 * graphics::par("cin")[1]
  for (cex in c(0.9, 0.75, 0.6, 0.45)) {
    columns <- max(1, min(nrow(series), floor(size[1] / (wide * cex))))
    inches <- (1.2 * ceiling(nrow(series) / columns) + 0.3) * cex * line
    if (inches < size[2] / 3) break
  }
  list(columns = columns, cex = cex, inches = inches,
    lines = any(vapply(pic$inks, function(i) {
      !is.null(i$data$by) && i$kind %in% c("line", "slope", "band", "rule")
    }, NA)))
}

# Below the axes, where it covers nothing. from: "nfc" the figure, "ndc" the page.
draw_legend <- function(series, layout, from) {
  if (nrow(series)) {
    graphics::legend(graphics::grconvertX(0.5, from, "user"), graphics::grconvertY(0, from, "user"),
      series$label, col = series$colour, lty = if (layout$lines) series$lty else NA, lwd = 2,
      pch = if (layout$lines) NA else series$pch, ncol = layout$columns, xjust = 0.5, yjust = 0,
      bty = "n", xpd = NA, cex = layout$cex / if (from == "ndc") graphics::par("cex") else 1)
  }
}
