# Contextual MR from summary statistics: a slope in each stratum, and their regression on context.

#' Contextual Mendelian randomization from summary statistics
#'
#' How a causal effect depends on age, BMI or another context, from associations of variants within
#' strata of it, such as [stratum_associations()] makes or several studies share: a causal slope in
#' each stratum by a method of [mr_estimate()], and a random-effects regression of the slopes on the
#' context by [meta_regression()], linear or smooth.
#'
#' @section Model:
#' Stratum \eqn{k} with context \eqn{c_k} has the slope \eqn{b_k \sim N(f(c_k) + u_k, se_k^2)},
#' independent of the others, as strata share no people; \eqn{u_k \sim N(0, \tau^2)} is what the
#' context leaves of the heterogeneity. \eqn{f} is a line, or a natural cubic spline with `df`
#' coefficients beside the constant and knots at quantiles of the strata. Within a stratum the slope
#' is an average over its people (weighted by how much the variants move their exposure), so that a
#' curved \eqn{f} is off by half its second derivative times the variance of the context there: use
#' more strata where \eqn{f} bends, as long as each has enough people.
#'
#' Strata are small and their variants weaker than in all people together. Methods that ignore
#' this, such as `"mr_ivw"`, give slopes that lean to the confounded association (one sample) or
#' to zero (two samples), in every stratum and so on average, though less in how they change with
#' the context. The default is maximum likelihood, which allows for errors in both associations,
#' and for their correlation `psi` where they are of the same people. `"mr_divw"`, debiased IVW,
#' is for separate samples. In the regression, errors of slopes are those at the fitted slopes:
#' errors at a stratum's own slope are smallest where chance brought it near to zero (with `psi`,
#' to where the two errors cancel), and weights made of them pull there. A stratum with one
#' variant (an allele score, say) takes the ratio, with the variance of first order in both
#' errors. Strata whose variants have a mean F of at most 1 have no slope; they and those where
#' the method fails are left out, with a warning of class `mrlearn_warning_strata`. Variants must
#' not have been chosen by their associations in the same people.
#'
#' @section What to expect:
#' See `bench/contextual_summary.md` of the sources: coverage with people whose slope is linear in
#' BMI, in one sample and in two.
#'
#' @param dat A data.frame with a row for each variant and stratum, and the columns
#'   `beta.exposure`, `se.exposure`, `beta.outcome`, `se.outcome`, and if known `snp` and `psi`.
#' @param context,stratum Names of the columns with the context (one number per stratum, as the mean
#'   of its people) and the stratum.
#' @param shape `"linear"` or `"spline"`.
#' @param df Coefficients of the spline beside the constant, at least 2.
#' @param method Name or label of [mr_methods()], for the slopes of the strata.
#' @param psi Correlation of the errors of the two associations, one number; by default the mean of
#'   the column `psi` in each stratum, or 0 (separate samples) where there is none.
#' @param tau2,test Estimator of the residual variance and test, as `method` and `test` of
#'   [meta_regression()].
#' @param conf_level Level of the intervals.
#' @param x,object What `mr_contextual()` returned.
#' @param newdata A data.frame with a column of the context's name, or a vector of context values;
#'   `NULL`: those of the strata. Values outside the strata give a warning of class
#'   `mrlearn_warning_extrapolation`.
#' @param interval `"confidence"` for the mean slope, or `"prediction"` for the slope of a new
#'   stratum.
#' @param level,conf.level Level of the intervals; that of the fit by default.
#' @param conf.int Include intervals?
#' @param digits Digits to print.
#' @param ... For `mr_contextual()`: settings of the method by name, as in [mr_estimate()]. For
#'   `plot()`: graphical parameters. Else not used.
#' @return A list of class `mr_contextual` with `strata` (a data.frame `stratum, context, nsnp, f,
#'   estimate, std.error, conf.low, conf.high`, with `f` the mean F of the variants), `regression`
#'   (the [meta_regression()]) and settings.
#'
#'   `predict()`: a data.frame `row, context, estimate, std.error, conf.low, conf.high`;
#'   [context_effects()] has the same in the columns that it has for [iv_contextual()]. `tidy()`:
#'   the coefficients; those of a spline are `"<context>"`, how it rises at the lower end, and the
#'   bends. `glance()`: one row with the average slope over strata (`estimate`, `std.error`); the
#'   test that the slope does not depend on the context (`statistic.context`, `df.context`,
#'   `df2.context`, `p.value.context`) and, for a spline, that it is linear (`p.value.curve`); what
#'   heterogeneity is left (`tau2`, `i2`, `statistic.residual`, `df.residual`, `p.value.residual`);
#'   `n.strata`, `nsnp` (rows used), `shape`, `method`.
#' @references Thompson and Higgins (2002), Stat. Med. 21:1559 (regression of effects on
#'   what differs between studies); the slopes: column `reference` of [mr_methods()].
#' @seealso [iv_contextual()] where individual data are at hand.
#' @examples
#' sim <- sim_contextual(n = 10000, L = 20, pi_scale = 0.3, seed = 1,
#'   beta = function(context) 0.3 + 0.2 * context$bmi)
#' genotypes <- as.matrix(sim[truth(sim)$instruments])
#' fit <- mr_contextual(stratum_associations(genotypes, sim$X, sim$Y, sim$bmi))
#' fit
#' predict(fit, c(20, 25, 30))
#' plot(fit)
#' @export
mr_contextual <- function(dat, context = "context", stratum = "stratum",
                          shape = c("linear", "spline"), df = 3,
                          method = "mr_two_sample_ml_mre", psi = NULL,
                          tau2 = c("REML", "ML", "DL", "PM", "SJ", "EB", "HS", "HE", "FE"),
                          test = c("knha", "z", "t", "adhoc"), conf_level = 0.95, ...) {
  call <- match.call()
  shape <- check_choice(shape, c("linear", "spline"))
  df <- if (shape == "spline") check_count(df, min = 2, max = 20) else 1L
  tau2 <- check_choice(tau2, meta_methods)
  test <- check_choice(test, c("knha", "z", "t", "adhoc"))
  conf_level <- check_conf_level(conf_level)
  frame <- strata_frame(dat, context, stratum, psi)
  check_psi_is_used(check_string(method), frame$psi)
  slopes <- stratum_slopes(frame, method, ...)
  used <- usable_strata(slopes, df)
  basis <- context_basis(slopes$context[used], shape, df)
  design <- basis_columns(slopes$context[used], basis, context)
  regression <- regress_slopes(slopes, frame, used, design, tau2, test, conf_level)
  half <- stats::qnorm((1 + conf_level) / 2) * slopes$std.error
  slopes$conf.low <- slopes$estimate - half
  slopes$conf.high <- slopes$estimate + half
  structure(
    list(strata = slopes, regression = regression, basis = basis, context = context,
      shape = shape, method = method, psi = frame$psi, conf_level = conf_level, call = call),
    class = "mr_contextual"
  )
}

# Rows sorted by stratum: effects (bx, sx, by, sy), snp, start (from 0); of strata: label, context,
# psi.
strata_frame <- function(dat, context, stratum, psi) {
  numbers <- c("beta.exposure", "se.exposure", "beta.outcome", "se.outcome")
  check_mr_columns(dat, c(check_string(context), check_string(stratum), numbers), "dat")
  label <- mr_names(dat, stratum, "dat")
  values <- lapply(stats::setNames(c(numbers, context), c("bx", "sx", "by", "sy", "context")),
    function(name) {
      v <- mr_numbers(dat, name, "dat")
      stop_rows(paste0("dat$", name), "must be finite", v, !is.finite(v))
      if (startsWith(name, "se.")) {
        stop_rows(paste0("dat$", name), "must be above 0", v, v <= 0)
      }
      v
    })
  strata <- unique(label)
  at <- order(match(label, strata))
  size <- tabulate(match(label, strata))
  first <- match(strata, label)
  moved <- values$context != values$context[first][match(label, strata)]
  if (any(moved)) {
    stop_mrl("data", "`dat$", context, "` must have one value in each stratum; got ",
      format(values$context[which(moved)[1]]), " and ",
      format(values$context[first][match(label, strata)][which(moved)[1]]), " in stratum ",
      label[which(moved)[1]], ".")
  }
  check_no_twins(dat, label)
  list(
    label = strata, context = values$context[first], size = size,
    start = as.integer(c(0L, cumsum(size))),
    effects = lapply(values[c("bx", "sx", "by", "sy")], `[`, at),
    psi = strata_psi(dat, psi, label, strata)
  )
}

# The same variant twice in a stratum would count twice.
check_no_twins <- function(dat, label) {
  snp <- dat[["snp"]]
  if (is.null(snp)) {
    snp <- dat[["SNP"]]
  }
  twice <- if (!is.null(snp)) which(duplicated(paste(label, snp, sep = "\r")))
  if (length(twice)) {
    stop_mrl("data", "`dat` has variant ", format(snp[twice[1]]), " more than once in stratum ",
      label[twice[1]], ".")
  }
}

# The correlation of errors in each stratum: given, or the mean of its rows, or none.
strata_psi <- function(dat, psi, label, strata) {
  if (!is.null(psi)) {
    return(rep(check_number(psi, min = -1, max = 1, open = TRUE), length(strata)))
  }
  if (is.null(dat[["psi"]])) {
    return(numeric(length(strata)))
  }
  psi <- mr_numbers(dat, "psi", "dat")
  stop_rows("dat$psi", "must be between -1 and 1", psi, !is.finite(psi) | abs(psi) >= 1)
  as.vector(tapply(psi, factor(label, strata), mean))
}

psi_methods <- c("mr_ivw_delta", "mr_two_sample_ml", "mr_two_sample_ml_mre")

check_psi_is_used <- function(method, psi) {
  table <- mr_method_table()
  name <- table$name[mr_method_code(method, table, "method")]
  if (any(abs(psi) > 0.05) && !name %in% psi_methods) {
    warn_mrl("overlap", "Method \"", method, "\" ignores that the errors of both associations are ",
      "correlated (psi up to ", format(psi[which.max(abs(psi))], digits = 2), "): slopes of weak ",
      "variants lean to the confounded association. \"mr_two_sample_ml_mre\" allows for it.")
  }
}

# A row for each stratum. Estimates are NA where the method fails, and where the variants move the
# exposure no more than noise does (mean F of 1), so that a slope is the confounded one or anything.
stratum_slopes <- function(frame, method, ...) {
  one <- function(k) {
    rows <- frame$start[k] + seq_len(frame$size[k])
    effects <- lapply(frame$effects, `[`, rows)
    f <- mean((effects$bx / effects$sx)^2)
    slope <- if (length(rows) == 1L) {
      ratio_slope(effects, frame$psi[k])
    } else {
      settings <- mr_plan(method, "method", ..., psi = frame$psi[k])$settings
      unlist(mr_run(effects, c(0L, length(rows)), settings)[c("b", "se")], use.names = FALSE)
    }
    c(length(rows), f, slope)
  }
  out <- vapply(seq_along(frame$label), one, numeric(4))
  slopes <- data.frame(
    stratum = frame$label, context = frame$context, nsnp = as.integer(out[1, ]), f = out[2, ],
    estimate = out[3, ], std.error = out[4, ]
  )
  failed <- !is.finite(slopes$estimate) | !is.finite(slopes$std.error) | slopes$std.error <= 0 |
    slopes$f <= 1
  slopes[failed, c("estimate", "std.error")] <- NA_real_
  slopes
}

# Ratio of one variant and its standard error, of first order in both errors.
ratio_slope <- function(effects, psi) {
  b <- effects$by / effects$bx
  v <- effects$sy^2 + b^2 * effects$sx^2 - 2 * b * psi * effects$sx * effects$sy
  c(b, sqrt(v) / abs(effects$bx))
}

# Numbers of the strata with an estimate; enough of them for df coefficients and a constant.
usable_strata <- function(slopes, df) {
  lost <- is.na(slopes$estimate)
  if (any(lost)) {
    warn_mrl("strata", "No slope could be estimated in ", if (sum(lost) > 1L) "strata " else
      "stratum ", shorten(slopes$stratum[lost]), ": left out. Fewer, larger strata may help.")
  }
  values <- length(unique(slopes$context[!lost]))
  if (sum(!lost) < df + 2L || values <= df) {
    stop_mrl("data", "A ", if (df > 1L) paste("spline with", df, "coefficients") else "line",
      " needs slopes of at least ", df + 2L, " strata with ", df + 1L,
      " values of the context; got ", sum(!lost), " with ", values, ".")
  }
  which(!lost)
}

# The meta-regression, with standard errors at the fitted slopes: at its own slope, that of a
# stratum which chance brought near to where the errors cancel is small, and would count too much.
regress_slopes <- function(slopes, frame, used, design, tau2, test, conf_level) {
  own <- error_variance(frame, slopes$estimate)
  fit_at <- function(slope) {
    scale <- sqrt(error_variance(frame, slope) / own)[used]
    meta_regression(slopes$estimate[used], slopes$std.error[used] * scale, design, method = tau2,
      test = test, conf_level = conf_level)
  }
  slope <- slopes$estimate
  fit <- fit_at(slope)
  for (round in seq_len(50L)) {
    move <- max(abs(fitted(fit) - slope[used]) / slopes$std.error[used])
    if (move < 1e-6) {
      break
    }
    slope[used] <- fitted(fit)
    fit <- suppressMessages(fit_at(slope), classes = "mrlearn_message_collinear")
  }
  fit
}

# Of by - slope bx, averaged over the variants of each stratum.
error_variance <- function(frame, slope) {
  k <- rep(seq_along(frame$size), frame$size)
  e <- frame$effects
  v <- e$sy^2 + slope[k]^2 * e$sx^2 - 2 * slope[k] * frame$psi[k] * e$sx * e$sy
  as.vector(rowsum(v, k)) / frame$size
}

# Knots of the natural cubic spline: df + 1 of them, the outermost at the ends; none for a line.
context_basis <- function(context, shape, df) {
  knots <- if (shape == "spline") {
    stats::quantile(unique(context), seq(0, 1, length.out = df + 1L), names = FALSE)
  }
  list(knots = knots, range = range(context))
}

# Columns of the regression: the context and, for a spline, df - 1 functions that are cubic between
# the knots and linear beyond them, in the context's own units.
basis_columns <- function(context, basis, name) {
  t <- basis$knots
  m <- length(t)
  cube <- function(knot) pmax(context - knot, 0)^3
  last <- function(knot) (cube(knot) - cube(t[m])) / (t[m] - knot)
  bends <- lapply(seq_len(max(m - 2L, 0L)), function(j) {
    (last(t[j]) - last(t[m - 1L])) / (t[m] - t[1])
  })
  out <- do.call(cbind, c(list(context), bends))
  colnames(out) <- c(name, if (length(bends)) paste(name, "bend", seq_along(bends)))
  out
}
