# Pictures of single-variant and leave-one-out tables: intervals by row, funnels.

# Rows of mr_single_snp() or mr_leave_one_out() that have an estimate, with intervals: pairs in
# order, in each the rows of all variants, then the variants by their estimates. `from`, `to` and
# `at` are what of interval and estimate lies in the window of the pair, see pair_windows().
interval_rows <- function(x, conf_level) {
  half <- stats::qnorm((1 + check_conf_level(conf_level)) / 2)
  check_mr_columns(x, c("exposure", "outcome", "id.exposure", "id.outcome", "SNP", "b", "se"), "x")
  label <- pair_label(x)
  d <- data.frame(
    pair = factor(label, unique(label)), SNP = x$SNP, b = x$b, se = x$se, summary = is_of_all(x),
    conf.low = x$b - half * x$se, conf.high = x$b + half * x$se
  )
  d <- d[!is.na(d$b) & !is.na(d$se), , drop = FALSE]
  if (!nrow(d)) {
    stop_argument("x", "must have estimates", "none", what = "data")
  }
  d$pair <- droplevels(d$pair)
  d <- d[order(d$pair, !d$summary, d$b), , drop = FALSE]
  window <- pair_windows(d)
  d$from <- pmin(pmax(d$conf.low, window$low), window$high)
  d$to <- pmin(pmax(d$conf.high, window$low), window$high)
  d$at <- pmin(pmax(d$b, window$low), window$high)
  d
}

# The part of the axis that each row's pair is drawn on: the intervals that are at most five times
# as wide as the median one, so that one weak variant does not push all others together.
pair_windows <- function(d) {
  sets <- d$se <= 5 * stats::ave(d$se, d$pair, FUN = stats::median) | d$summary
  low <- tapply(pmin(d$conf.low, 0)[sets], d$pair[sets], min)
  high <- tapply(pmax(d$conf.high, 0)[sets], d$pair[sets], max)
  list(low = low[as.character(d$pair)], high = high[as.character(d$pair)])
}

# Which rows are estimates from all variants.
is_of_all <- function(x) {
  x$SNP %in% if (inherits(x, "mr_leave_one_out")) "All" else paste("All -", mr_method_table()$label)
}

# Rows come one by one, but those of all variants, which are first, have at least a thirtieth of the
# panel each.
row_places <- function(summary) {
  step <- max(1, length(summary) / 30)
  places <- cumsum(ifelse(summary, step, 1))
  ifelse(summary, places - step / 2, places)
}

# What lines and points of variants are multiplied with where there are many.
row_thinness <- function(n) {
  max(0.25, min(1, 100 / n))
}

interval_rows_picture <- function(x, conf_level) {
  d <- interval_rows(x, conf_level)
  places <- lapply(split(d$summary, d$pair), row_places)
  # Pairs follow each other, so that each place has one name.
  before <- cumsum(c(0, vapply(places, max, 0) + 2))[seq_along(places)]
  place <- -unlist(Map(`+`, places, before), use.names = FALSE)
  pair <- factor(d$pair, levels(d$pair))
  inks_of <- function(rows, colour, size) {
    list(
      ink("interval", y = place[rows], low = d$conf.low[rows], high = d$conf.high[rows],
        along = "x", panel = pair[rows], colour = colour, width = 2 * size),
      ink("point", x = d$b[rows & d$at == d$b], y = place[rows & d$at == d$b],
        panel = pair[rows & d$at == d$b], colour = colour, size = 0.8 * size)
    )
  }
  picture(d, c(
    list(ink("rule", value = 0, along = "x", colour = plot_colour[["zero"]], lty = 2)),
    inks_of(!d$summary, plot_colour[["line"]], row_thinness(max(table(d$pair)))),
    inks_of(d$summary, plot_colour[["all"]], 1)
  ), "effect on the outcome per unit of exposure", panels = levels(d$pair), free = "xy",
  window = pair_windows(d)[c("low", "high")], ticks = list(y = data.frame(at = place,
    label = sub("^All - ", "", d$SNP), keep = d$summary)))
}

#' @rdname mr_plots
#' @export
plot.mr_single_snp <- function(x, type = c("forest", "funnel"), conf_level = 0.95, ...) {
  draw_picture(single_snp_picture(x, type, conf_level), ...)
}

#' @rdname mr_plots
#' @exportS3Method ggplot2::autoplot
autoplot.mr_single_snp <- function(object, type = c("forest", "funnel"), conf_level = 0.95, ...) {
  check_no_dots(...)
  ggplot_picture(single_snp_picture(object, type, conf_level))
}

single_snp_picture <- function(x, type, conf_level) {
  if (check_choice(type, c("forest", "funnel")) == "forest") {
    interval_rows_picture(x, conf_level)
  } else {
    funnel_picture(x, conf_level)
  }
}

#' @rdname mr_plots
#' @export
plot.mr_leave_one_out <- function(x, conf_level = 0.95, ...) {
  draw_picture(interval_rows_picture(x, conf_level), ...)
}

#' @rdname mr_plots
#' @exportS3Method ggplot2::autoplot
autoplot.mr_leave_one_out <- function(object, conf_level = 0.95, ...) {
  check_no_dots(...)
  ggplot_picture(interval_rows_picture(object, conf_level))
}

# Triangles: estimates beyond the window.
funnel_picture <- function(x, conf_level) {
  d <- interval_rows(x, conf_level)
  single <- d[!d$summary, ]
  all <- d[d$summary, ]
  method <- sub("^All - ", "", all$SNP)
  picture(d, list(
    ink("rule", value = all$b, along = "x", panel = all$pair, width = 4,
      by = factor(method, unique(method))),
    ink("point", x = single$b, y = 1 / single$se, panel = single$pair, size = 0.8,
      colour = plot_colour[["point"]])
  ), "effect on the outcome per unit of exposure, of a single variant", "1 / standard error",
  panels = levels(d$pair), free = "xy", include = list(y = 0), window = funnel_windows(d))
}

funnel_windows <- function(d) {
  list(low = c(tapply(d$at, d$pair, min)), high = c(tapply(d$at, d$pair, max)))
}
