# How contextual fits print, and their tables.

#' @export
print.iv_contextual <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  digits <- check_digits(digits)
  print_head(x)
  cat("average slope", if (x$link == "logit") " (log odds ratio)", "\n", sep = "")
  print_table(tidy(x, conf.int = TRUE), digits)
  print_heterogeneity(x, digits)
  if (!is.null(x$archetypes)) {
    print_table(x$archetypes, digits)
  }
  print_diagnostics(x, digits)
  if (!is.null(x$history)) {
    print_nets(x)
  }
  print_direct_effects(x)
  print_notes(x)
  invisible(x)
}

print_direct_effects <- function(x) {
  overid <- find_diagnostic(x$diagnostics, c("Sargan", "Hansen J"))
  if (isTRUE(overid$p.value < 0.05)) {
    cat("\nNote: over-identification is rejected: instruments may affect the outcome directly.",
      if (x$how$fuller > 0 && isTRUE(x$kappa == 1)) {
        "\nTwo-stage least squares stands in for Fuller's estimator."
      }, "\n", sep = "")
  }
}

print_heterogeneity <- function(x, digits) {
  shown <- x$slope_coefficients$prior.sd > 0
  terms <- unique(x$slope_coefficients$feature[shown])
  if (!is.null(x$boot)) {
    cat(length(x$boot$estimates), " bootstrap replicates",
      if (!is.null(x$cluster)) paste(" of whole clusters of", x$cluster), "\n", sep = "")
  }
  cat("\nSlopes: ")
  if (x$stage2 == "constant") {
    cat("constant, as stage2 = \"constant\" makes them\n")
  } else if (!length(terms) || stats::sd(x$slopes) == 0) {
    cat("constant; no heterogeneity was found",
      if (x$tests$p.value[1] < 0.05) " by the encoder, though the test rejects a constant slope",
      "\n", sep = "")
  } else {
    range <- format(stats::quantile(x$slopes, c(0.05, 0.95), names = FALSE), digits = digits)
    cat("SD ", format(stats::sd(x$slopes), digits = digits), " over people, 90 % from ",
      range[1], " to ", range[2], "; by ", shorten(terms), "\n", sep = "")
  }
}

print_nets <- function(x) {
  epochs <- table(factor(x$history$stage, unique(x$history$stage)))
  cat("\nEncoder ", x$encoder, ": ", length(epochs), " networks, ", paste(epochs, collapse = ", "),
    " epochs; seed ", format(x$seed, digits = 16), "\n",
    sep = "")
}

#' @export
summary.iv_contextual <- function(object, conf_level = 0.95, ...) {
  check_no_dots(...)
  structure(
    list(fit = object, conf_level = check_conf_level(conf_level),
      coefficients = tidy(object, conf.int = TRUE, conf.level = conf_level),
      slopes = stats::quantile(object$slopes, c(0.05, 0.25, 0.5, 0.75, 0.95)),
      slope_coefficients = object$slope_coefficients, tests = object$tests,
      diagnostics = object$diagnostics),
    class = "summary.iv_contextual"
  )
}

#' @export
print.summary.iv_contextual <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  digits <- check_digits(digits)
  print.iv_contextual(x$fit, digits)
  cat("\nSlopes of people:\n")
  print(x$slopes, digits = digits)
  cat("\nOn standardised features:\n")
  print_table(x$slope_coefficients, digits)
  cat("\nIs the slope constant? Score tests:\n")
  print_table(x$tests, digits)
  invisible(x)
}

#' @export
glance.iv_contextual <- function(x, ...) {
  cbind(glance.iv_fit(x, ...),
    encoder = x$encoder, stage1 = x$stage1, link = x$link, slope = unname(x$coefficients),
    std.error = sqrt(x$vcov[1, 1]), sd.slope = stats::sd(x$slopes),
    statistic.heterogeneity = x$tests$statistic[1], df.heterogeneity = x$tests$df[1],
    p.value.heterogeneity = x$tests$p.value[1], n.boot = length(x$boot$estimates)
  )
}

#' @export
augment.iv_contextual <- function(x, data = NULL, ...) {
  out <- augment.iv_fit(x, data, ...)
  if (is.null(data) && !is.null(x$context$data)) {
    more <- setdiff(names(x$context$data), names(out))
    out <- cbind(x$context$data[more], out)
  }
  cbind(out, .slope = x$slopes)
}
