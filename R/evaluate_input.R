# What evaluate() is given: truths, domains, estimates, quantiles; checked.

# The curve of whatever stands for the truth.
check_truth_curve <- function(truth) {
  if (is.function(truth)) {
    return(truth)
  }
  if (inherits(truth, "mr_sim")) {
    truth <- truth(truth)
  }
  if (!is.list(truth) || !is.function(truth$curve)) {
    stop_argument("truth", paste("must be simulated data, truth() of them, or a function of",
      "exposures"), describe(truth))
  }
  truth$curve
}

# A word or two finite numbers in ascending order.
check_domain <- function(domain) {
  if (is.numeric(domain)) {
    if (length(domain) != 2L || any(!is.finite(domain)) || domain[1] >= domain[2]) {
      stop_argument("domain", "must be two finite exposures in ascending order",
        describe_values(domain))
    }
    return(as.double(domain))
  }
  words <- c("range", "95%")
  if (!identical(domain, words) && !(is.character(domain) && length(domain) == 1L &&
    domain %in% words)) {
    stop_argument("domain", "must be \"range\", \"95%\" or two exposures", describe(domain))
  }
  domain[1]
}

# The two ends, from the exposures that the fit was made from.
fit_domain <- function(fit, domain, exposure) {
  if (is.numeric(domain)) {
    return(domain)
  }
  name <- exposure_variable(fit, exposure)
  at <- fit$model[[name]]
  if (is.null(fit$model) || !is.numeric(at)) {
    stop_argument("domain", paste0("must be two exposures where the fit kept no numeric `", name,
      "`"), describe(domain))
  }
  ends <- if (domain == "range") range(at) else stats::quantile(at, c(0.025, 0.975), names = FALSE)
  check_domain(as.double(ends))
}

frame_domain <- function(estimates, domain) {
  if (is.null(estimates$x)) {
    if (!identical(domain, "range")) {
      stop_argument("domain", "must be \"range\" where there is no column `x`", describe(domain))
    }
    return(c(NA_real_, NA_real_))
  }
  if (identical(domain, "95%")) {
    stop_argument("domain", "must be \"range\" or two exposures for a data.frame", describe(domain))
  }
  if (is.numeric(domain)) domain else range(estimates$x)
}

rows_within <- function(estimates, domain) {
  if (is.null(estimates$x)) {
    return(seq_len(nrow(estimates)))
  }
  rows <- which(estimates$x >= domain[1] & estimates$x <= domain[2])
  if (!length(rows)) {
    stop_argument("domain", "must hold at least one row of `x`",
      paste0("[", format(domain[1]), ", ", format(domain[2]), "]"))
  }
  rows
}

# The part of the exposures that all the fits know.
shared_domain <- function(fits, domain, exposure) {
  if (is.numeric(domain)) {
    return(domain)
  }
  ends <- lapply(fits, function(fit) {
    if (is.data.frame(fit)) {
      frame_domain(check_estimates(fit), domain)
    } else {
      fit_domain(fit, domain, exposure)
    }
  })
  low <- max(-Inf, vapply(ends, `[`, 0, 1L), na.rm = TRUE)
  high <- min(Inf, vapply(ends, `[`, 0, 2L), na.rm = TRUE)
  if (low >= high && low > -Inf) {
    stop_mrl("argument", "The fits have no range of exposures in common: give `domain`.")
  }
  c(low, high)
}

frame_truth <- function(truth, estimates) {
  if (is.numeric(truth)) {
    return(check_doubles(truth, "truth", n = nrow(estimates)))
  }
  curve <- check_truth_curve(truth)
  if (is.null(estimates$x)) {
    stop_argument("truth", "must be a number per row where there is no column `x`",
      describe(truth))
  }
  curve_values(curve, estimates$x, "truth")
}

estimate_limits <- c("conf.low", "conf.high", "band.low", "band.high")

# Without the limits of fits that have no intervals.
drop_empty_limits <- function(x) {
  limits <- intersect(estimate_limits, names(x))
  x[limits[vapply(x[limits], function(v) all(is.na(v)), NA)]] <- NULL
  x
}

# A data.frame of estimates whose numbers can be compared.
check_estimates <- function(x) {
  if (!"estimate" %in% names(x)) {
    stop_argument("x", "must have the column `estimate`", shorten(names(x)))
  }
  if (nrow(x) == 0L) {
    stop_argument("x", "must have at least one row", "none")
  }
  for (name in intersect(c("x", "estimate"), names(x))) {
    check_doubles(x[[name]], paste0("x$", name))
  }
  check_limits(x, "conf.low", "conf.high")
  check_limits(x, "band.low", "band.high")
  x
}

# Both limits or none; infinite ones may be outermost.
check_limits <- function(x, low, high) {
  given <- intersect(c(low, high), names(x))
  if (!length(given)) {
    return(invisible())
  }
  if (length(given) == 1L) {
    stop_argument("x", paste0("must have both `", low, "` and `", high, "` or neither"), given)
  }
  limits <- list(
    check_doubles(x[[low]], paste0("x$", low), finite = FALSE),
    check_doubles(x[[high]], paste0("x$", high), finite = FALSE)
  )
  if (anyNA(unlist(limits))) {
    stop_argument(paste0("x$", low), paste0("and x$", high, " must not be missing"),
      paste(sum(is.na(unlist(limits))), "NA or NaN"), what = "data")
  }
  wrong <- limits[[1]] > limits[[2]] | limits[[1]] == Inf | limits[[2]] == -Inf
  if (any(wrong)) {
    stop_argument(paste0("x$", low), paste0("must be at most x$", high),
      paste(sum(wrong), "rows where it is not"), what = "data")
  }
}

# A double matrix (n, number of levels), or NULL.
check_quantiles <- function(quantiles, levels, n) {
  if (is.null(quantiles) && is.null(levels)) {
    return(NULL)
  }
  levels <- check_doubles(levels)
  if (!length(levels) || any(levels <= 0 | levels >= 1)) {
    stop_argument("levels", "must be between 0 and 1", describe(levels))
  }
  if (is.data.frame(quantiles)) {
    quantiles <- as.matrix(quantiles)
  }
  if (!is.matrix(quantiles) || !is.numeric(quantiles) || nrow(quantiles) != n ||
    ncol(quantiles) != length(levels)) {
    stop_argument("quantiles", paste("must be a numeric matrix with", n, "rows and",
      length(levels), "columns"), describe(quantiles))
  }
  if (anyNA(quantiles)) {
    stop_argument("quantiles", "must not be missing", count_not_finite(quantiles), what = "data")
  }
  quantiles
}
