# Random-effects meta-analysis: many groups at once, and one set of effects with moderators.

# In the order of mrl_meta_method and, for tests, what they do to standard errors.
meta_methods <- c("REML", "ML", "DL", "PM", "SJ", "EB", "HS", "HE", "FE")
meta_tests <- c("z", "t", "knha", "adhoc")

#' Random-effects meta-analysis of many groups
#'
#' Combines the estimates of each group (studies of one effect, genetic variants of one exposure,
#' sequences of one effect) in a model `estimate ~ N(mean, se^2 + tau2)`, where `tau2` is the
#' variance of the true effects. All groups are computed in one call, on threads. The test `"z"`
#' does not count the error of `tau2`: of 10 studies its 95 % intervals held the mean in 92 to 93 %
#' where effects vary about as much as errors, and in 97 % where they do not; those of `"knha"` in
#' 95 % (2000 simulations each, bench/reliability.md of the sources).
#'
#' @section Definitions:
#' They are those of the package metafor (Viechtbauer 2010). With `w = 1 / (se^2 + tau2)` the mean
#' is the weighted mean, with variance `1 / sum(w)`.
#'
#' `method` estimates `tau2`, never below 0: `"REML"` (restricted maximum likelihood), `"ML"`,
#' `"DL"` (DerSimonian-Laird), `"PM"` (Paule-Mandel), `"EB"` (empirical Bayes; the same estimate as
#' PM), `"SJ"` (Sidik-Jonkman), `"HS"` (Hunter-Schmidt), `"HE"` (Hedges); `"FE"` sets it to 0. Where
#' the likelihood has several maxima, REML and ML give the highest of them; PM, EB and REML always
#' converge.
#'
#' `test`: `"z"`, normal quantiles; `"t"`, Student's t with `k - 1` degrees of freedom; `"knha"`,
#' Knapp and Hartung's: the variance is multiplied with `sum(w * (estimate - mean)^2) / (k - 1)`,
#' and t is used; `"adhoc"`, the same with a factor of at least 1.
#'
#' `q` is Cochran's heterogeneity statistic; `h2` is `1 + tau2 / v` and `i2` is
#' `100 * tau2 / (tau2 + v)` percent, with `v` the typical sampling variance
#' `(k - 1) / (sum(u) - sum(u^2) / sum(u))`,
#' `u = 1 / se^2` (for `"FE"`: `q / q.df`, and `1 - q.df / q` where positive). `tau2.low`,
#' `tau2.high` bound `tau2` by the Q-profile: the values for which the generalised Q is an
#' unremarkable draw of chi-squared; an empty set gives 0 and 0. The prediction interval, for the
#' true effect of a new study, is `mean -+ quantile * sqrt(tau2 + std.error^2)`: `prediction =
#' "metafor"` takes the quantile of the test, `"higgins"` that of t with `k - 2` degrees of freedom,
#' at least 1 (`k - 1` for `"FE"`).
#'
#' A group of one estimate is its own mean, tested with `"z"`; as it says nothing of heterogeneity,
#' `tau2` and all that hangs on it are `NA` (for `"FE"`, `tau2` is 0 there too).
#'
#' @param estimate,se Estimates and their standard errors, finite, `se` above 0.
#' @param method Estimator of `tau2`.
#' @param test How the mean is tested.
#' @param group A vector that says which group each estimate is of; `NULL`: one group.
#' @param data A data.frame in which `estimate`, `se` and `group` are looked up first.
#' @param conf_level Level of all intervals.
#' @param prediction Quantile of the prediction interval.
#' @param tau2_ci Compute the interval of `tau2`?
#' @param n_threads Number of threads; results do not depend on it.
#' @return A data.frame with a row for each group, in order of appearance: `group` (if given),
#'   `estimate`, `std.error`, `statistic`, `p.value`, `conf.low`, `conf.high`, `tau2`, `se.tau2`,
#'   `i2`, `h2`, `q`, `q.df`, `q.p.value`, `pred.low`, `pred.high`, `k`, `tau2.low`, `tau2.high`,
#'   `method`, `test` (as used). It is of class `estimates`: `plot()` draws it, see [mr_forest()].
#' @references Viechtbauer (2010), Journal of Statistical Software 36(3). Viechtbauer (2007),
#'   Statistics in Medicine 26:37 (Q-profile). Knapp and Hartung (2003), Statistics in Medicine
#'   22:2693. Higgins, Thompson and Spiegelhalter (2009), JRSS A 172:137 (prediction).
#' @seealso [meta_regression()] for moderators.
#' @examples
#' estimate <- c(0.10, 0.32, 0.25, -0.05, 0.41, 0.18)
#' se <- c(0.12, 0.10, 0.15, 0.11, 0.20, 0.09)
#' meta_random(estimate, se)
#' meta_random(estimate, se, test = "knha", group = c("a", "a", "a", "b", "b", "b"))
#' @export
meta_random <- function(estimate, se,
                        method = c("REML", "ML", "DL", "PM", "SJ", "EB", "HS", "HE", "FE"),
                        test = c("z", "t", "knha", "adhoc"), group = NULL, data = NULL,
                        conf_level = 0.95, prediction = c("metafor", "higgins"), tau2_ci = TRUE,
                        n_threads = mrl_threads()) {
  if (!is.null(data)) {
    check_meta_data(data)
    estimate <- eval(substitute(estimate), data, parent.frame())
    se <- eval(substitute(se), data, parent.frame())
    group <- eval(substitute(group), data, parent.frame())
  }
  effects <- check_effects(estimate, se)
  groups <- meta_groups(group, length(effects$estimate))
  method <- check_choice(method, meta_methods)
  test <- check_choice(test, meta_tests)
  prediction <- check_choice(prediction, c("metafor", "higgins"))
  conf_level <- check_conf_level(conf_level)
  q <- if (check_flag(tau2_ci)) chisq_bounds(groups$k - 1, conf_level)
  settings <- c(
    meta_settings(method, test), n_threads = check_threads(n_threads)
  )
  out <- .Call(C_meta_random, effects$estimate[groups$order], effects$se[groups$order],
    groups$start, q$low, q$high, settings)
  check_meta(out, groups$label)
  meta_table(out$value, groups, method, test, prediction, conf_level)
}

check_meta_data <- function(data) {
  if (!is.data.frame(data) && !is.list(data)) {
    stop_argument("data", "must be a data.frame", describe(data))
  }
}

meta_settings <- function(method, test) {
  adjust <- c(z = 0L, t = 0L, knha = 1L, adhoc = 2L)
  list(method = match(method, meta_methods) - 1L, adjust = adjust[[test]])
}

# Effects and standard errors as doubles; what is wrong is told with its rows.
check_effects <- function(estimate, se) {
  estimate <- check_doubles(estimate, "estimate", finite = FALSE)
  se <- check_doubles(se, "se", n = length(estimate), finite = FALSE)
  if (!length(estimate)) {
    stop_argument("estimate", "must have at least one value", "none", what = "data")
  }
  stop_rows("estimate", "must be finite", estimate, !is.finite(estimate))
  stop_rows("se", "must be finite and above 0", se, !is.finite(se) | se <= 0)
  list(estimate = estimate, se = se)
}

# An error that names the rows which break a rule, if there are any.
stop_rows <- function(arg, rule, x, bad, most = 5L) {
  bad <- which(bad)
  if (!length(bad)) {
    return(invisible())
  }
  shown <- utils::head(bad, most)
  more <- length(bad) - length(shown)
  got <- paste0(
    paste(format(x[shown], trim = TRUE, digits = 6), collapse = ", "), " in row",
    if (length(bad) > 1L) "s", " ", paste(format(shown, scientific = FALSE, trim = TRUE),
      collapse = ", "
    ),
    if (more > 0L) paste0(" and ", more, " more")
  )
  stop_argument(arg, rule, got, what = "data")
}

# Groups by first appearance: label, sizes k, order of the rows, where each starts (from 0).
meta_groups <- function(group, n) {
  if (is.null(group)) {
    return(list(label = NULL, k = n, order = seq_len(n), start = c(0L, n)))
  }
  if (!is.atomic(group) || !is.null(dim(group)) || length(group) != n) {
    stop_argument("group", paste("must be a vector of length", n), describe(group))
  }
  stop_rows("group", "must not be missing", group, is.na(group))
  label <- unique(group)
  id <- match(group, label)
  k <- tabulate(id, length(label))
  list(label = label, k = k, order = order(id), start = c(0L, cumsum(k)))
}

# Quantiles of chi-squared that bound the generalised Q, for each df; NaN where that is 0.
chisq_bounds <- function(df, conf_level) {
  each <- unique(df)
  at <- match(df, each)
  tail <- (1 - conf_level) / 2
  quantile <- function(lower) {
    ifelse(each > 0, stats::qchisq(tail, each, lower.tail = lower), NaN)[at]
  }
  list(low = quantile(TRUE), high = quantile(FALSE))
}

check_meta <- function(out, label) {
  if (out$status == "not_finite" && !is.null(label)) {
    bad <- which(is.na(out$value[, 1L]))
    stop_mrl("numeric", "While combining estimates: the estimates and standard errors of ",
      if (length(bad) > 1L) "some groups" else "a group",
      " differ by too many orders of magnitude: ", shorten(format(label[bad], trim = TRUE)), ".")
  }
  check_status(out$status, "combining estimates")
}

# Student's t with df degrees of freedom; the normal distribution where df is Inf.
meta_p <- function(statistic, df) {
  2 * stats::pt(abs(statistic), df, lower.tail = FALSE)
}

meta_quantile <- function(conf_level, df) {
  each <- unique(df)
  stats::qt((1 + conf_level) / 2, each)[match(df, each)]
}

meta_table <- function(value, groups, method, test, prediction, conf_level) {
  value[is.nan(value)] <- NA_real_
  column <- function(j) value[, j]
  k <- groups$k
  test <- ifelse(k == 1L, "z", test)
  df <- ifelse(test == "z", Inf, k - 1)
  estimate <- column(1L)
  std_error <- column(2L)
  tau2 <- column(3L)
  margin <- meta_quantile(conf_level, df) * std_error
  reach <- meta_quantile(conf_level, prediction_df(prediction, df, k - 1, method)) *
    sqrt(tau2 + std_error^2)
  q <- column(9L)
  out <- data.frame(
    estimate = estimate, std.error = std_error, statistic = estimate / std_error,
    p.value = meta_p(estimate / std_error, df),
    conf.low = estimate - margin, conf.high = estimate + margin,
    tau2 = tau2, se.tau2 = column(4L), i2 = column(7L), h2 = column(8L),
    q = q, q.df = k - 1L, q.p.value = q_p(q, k - 1),
    pred.low = estimate - reach, pred.high = estimate + reach, k = k,
    tau2.low = column(5L), tau2.high = column(6L), method = method, test = test
  )
  new_estimates(if (is.null(groups$label)) out else data.frame(group = groups$label, out))
}

q_p <- function(q, df) {
  ifelse(df > 0, stats::pchisq(q, pmax(df, 1), lower.tail = FALSE), NA_real_)
}

# df_test: that of the test, Inf for z; df: effects less coefficients.
prediction_df <- function(prediction, df_test, df, method) {
  if (prediction == "metafor") {
    return(df_test)
  }
  pmax(df - (method != "FE"), 1)
}
