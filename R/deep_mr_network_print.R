# What deep_mr_network() results say, and their pictures.

#' @export
print.deep_mr_network <- function(x, digits = 3L, ...) {
  digits <- check_digits(digits)
  cat("Deep MR network: ", nrow(x$edges), " effects between ", length(x$outputs), " outputs\n",
    sep = "")
  cat("Called at a false discovery rate of ", format(100 * x$fdr), " %: ", sum(x$edges$called),
    "\n\nMean effects of rows on columns (* called):\n", sep = "")
  print(network_matrix(x, digits), quote = FALSE, right = TRUE)
  if (!is.null(x$direction) && any(x$direction$direction != "none")) {
    cat("\nDirections:\n")
    d <- x$direction[x$direction$direction != "none", ]
    print_table(d[c("a", "b", "effect.ab", "effect.ba", "direction", "asymmetry", "p.value")],
      digits)
  }
  if (!is.null(x$distance)) {
    cat("\nEffects by distance of the motifs (called edges):\n")
    print(distance_matrix(x, digits), quote = FALSE, right = TRUE)
  }
  invisible(x)
}

# Texts of effects, exposures in rows.
network_matrix <- function(x, digits) {
  e <- x$edges
  out <- matrix("", length(unique(e$exposure)), length(unique(e$outcome)),
    dimnames = list(unique(e$exposure), x$outputs[x$outputs %in% e$outcome]))
  out[cbind(e$exposure, e$outcome)] <- ifelse(is.na(e$estimate), "-",
    paste0(formatC(e$estimate, digits = digits, format = "fg", flag = "#"),
      ifelse(e$called, "*", " ")))
  out
}

distance_matrix <- function(x, digits) {
  d <- called_strata(x)
  edge <- paste(d$exposure, "on", d$outcome)
  out <- matrix("", length(unique(edge)), length(unique(d$stratum)),
    dimnames = list(unique(edge), unique(d$stratum)))
  out[cbind(edge, d$stratum)] <- ifelse(is.na(d$estimate), "-",
    formatC(d$estimate, digits = digits, format = "fg", flag = "#"))
  out
}

called_strata <- function(x) {
  key <- function(d) paste(d$exposure, d$outcome, sep = "\r")
  x$distance[key(x$distance) %in% key(x$edges[x$edges$called, ]), ]
}

#' Results of a Deep MR network
#'
#' `tidy()` gives data.frames. `plot()` in base graphics and `ggplot2::autoplot()` draw
#' `"effects"`, a heat map of all mean effects, called ones with a star, or `"distance"`, effects of
#' called edges by the distance of the motifs, with intervals.
#'
#' @param x,object What [deep_mr_network()] returned.
#' @param what `"edges"`, `"direction"`, `"distance"` or `"local"`.
#' @param conf.int Add `conf.low` and `conf.high` (to all but directions)?
#' @param type `"effects"` or `"distance"`.
#' @param ... For `plot()`: passed to [graphics::plot.default()]; else nothing.
#' @return `tidy()`: a data.frame with `term` (exposure -> outcome), `estimate`, `std.error`,
#'   `p.value` and what there is of each; of directions, the data.frame itself. `plot()`: the
#'   data.frame drawn, invisibly. `autoplot()`: a ggplot. Raises `mrlearn_error_argument` where
#'   there is nothing of what is asked.
#' @name deep_mr_network_results
#' @examples
#' effects <- expand.grid(output = c("a", "b", "c"), variant = 1:30, sequence = c("s", "t"))
#' set.seed(1)
#' x <- rep(rnorm(60), each = 3)
#' effects$effect <- x * c(1, 0.5, 0) + rnorm(180, sd = 0.1)
#' effects$std.error <- 0.1
#' net <- deep_mr_network(effects)
#' tidy(net, conf.int = TRUE)
#' plot(net)
NULL

#' @rdname deep_mr_network_results
#' @export
tidy.deep_mr_network <- function(x, what = c("edges", "direction", "distance", "local"),
                                 conf.int = FALSE, ...) {
  check_no_dots(...)
  what <- check_choice(what, c("edges", "direction", "distance", "local"))
  conf.int <- check_flag(conf.int)
  d <- x[[what]]
  if (is.null(d)) {
    stop_argument("what", paste0("\"", what, "\" is not there"), switch(what,
      distance = "a network without distances", "a network asked one way"))
  }
  if (what == "direction") {
    return(d)
  }
  first <- intersect(c("stratum", "sequence", "method", "distance", "estimate", "std.error",
    "statistic", "p.value", "q.value", "called", "n_sequences"), names(d))
  out <- cbind(term = paste(d$exposure, "->", d$outcome), d[first])
  if (conf.int) cbind(out, d[c("conf.low", "conf.high")]) else out
}

#' @rdname deep_mr_network_results
#' @export
plot.deep_mr_network <- function(x, type = c("effects", "distance"), ...) {
  draw_picture(network_picture(x, type), ...)
}

#' @rdname deep_mr_network_results
#' @exportS3Method ggplot2::autoplot
autoplot.deep_mr_network <- function(object, type = c("effects", "distance"), ...) {
  check_no_dots(...)
  ggplot_picture(network_picture(object, type))
}

network_picture <- function(x, type) {
  if (check_choice(type, c("effects", "distance"), "type") == "effects") {
    effects_picture(x)
  } else {
    distance_picture(x)
  }
}

effects_picture <- function(x) {
  d <- x$edges
  d$exposure <- factor(d$exposure, x$outputs[x$outputs %in% d$exposure])
  d$outcome <- factor(d$outcome, x$outputs[x$outputs %in% d$outcome])
  d$text <- ifelse(is.na(d$estimate), "", paste0(formatC(round(d$estimate, 2) + 0, digits = 2,
    format = "f"), ifelse(d$called, "*", "")))
  far <- max(abs(d$estimate), 1e-8, na.rm = TRUE)
  at <- list(x = as.integer(d$outcome), y = nlevels(d$exposure) + 1L - as.integer(d$exposure))
  names_of <- function(f, at) data.frame(at = at, label = levels(f), keep = TRUE)
  picture(d, list(ink("tile", x0 = at$x - 0.5, x1 = at$x + 0.5, y0 = at$y - 0.5, y1 = at$y + 0.5,
    value = d$estimate, label = d$text)), "outcome", "exposure",
  "Mean effects of exposures on outcomes (* called)",
  ticks = list(x = names_of(d$outcome, seq_len(nlevels(d$outcome))),
    y = names_of(d$exposure, rev(seq_len(nlevels(d$exposure))))),
  scale = list(name = "mean effect", limits = c(-far, far)))
}

distance_picture <- function(x) {
  d <- if (!is.null(x$distance)) called_strata(x)
  d <- d[!is.na(d$estimate), ]
  if (!NROW(d)) {
    stop_argument("type", "\"distance\" needs edges that are called and distances of motifs",
      "none")
  }
  edge <- paste(d$exposure, "->", d$outcome)
  edge <- factor(edge, unique(edge))
  grey <- plot_colour[["zero"]]
  picture(cbind(edge = edge, d), list(
    ink("rule", value = 0, colour = grey, lty = 2),
    ink("line", x = d$mean_distance, y = d$estimate, panel = edge, width = 1),
    ink("interval", x = d$mean_distance, low = d$conf.low, high = d$conf.high, panel = edge),
    ink("point", x = d$mean_distance, y = d$estimate, panel = edge)
  ), "distance of motifs (letters)", "mean effect", panels = levels(edge),
  include = list(x = c(x$distance$low, x$distance$high), y = 0))
}
