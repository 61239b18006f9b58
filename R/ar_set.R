#' Tests and confidence sets that hold with weak instruments
#'
#' Confidence sets for the effect of one exposure whose coverage does not depend on how strong the
#' instruments are: the effects that a test does not reject. They assume that instruments are not
#' confounded with the outcome and act through the exposure only; where they do not, the set can be
#' empty, which says so. A set can be the whole line, or the line less an interval: then the data
#' do not bound the effect.
#'
#' `AR` (Anderson and Rubin 1949) tests the effect and the instruments' validity at once; it is
#' exact with normal errors, and the best there is with one instrument, where all three are the
#' same. `CLR` (Moreira's conditional likelihood ratio) loses no power with many instruments and is
#' never empty: take it unless variances are unequal. `K` (Kleibergen's score test) has little power
#' far from the truth and its set can have a spurious part there.
#'
#' With a fit of robust covariance (of whatever kind), `AR` allows for unequal variances, with a
#' clustered one for correlation within clusters: it tests whether the scores, instrument times `y -
#' beta x` with both clear of the covariates, have mean zero by Hotelling's statistic of their rows
#' (or sums within clusters). In samples its level is nearer to the nominal one than that of the
#' Wald test of the regression of `y - beta x`, which rejects too often with 500 rows and 10
#' instruments. `K` and `CLR` need errors of equal variance.
#'
#' @param fit A fit of [iv_2sls()], [iv_liml()], [iv_kclass()] or [iv_jive()] with one exposure.
#'   It carries the moments that are needed without robust covariance; with it the data are read
#'   again by evaluating the fit's call, as `update()` does: they must still be there, and
#'   instruments opened by [bed()] must fit into memory.
#' @param type The test: `"AR"`, `"K"` or `"CLR"`.
#' @param conf_level Level of the set.
#' @param n_threads Number of threads.
#' @param ... Nothing else may be given.
#' @return `ar_set()`: data.frame `term, conf.low, conf.high, type, conf.level`, a row per interval,
#'   ascending, limits `-Inf` and `Inf` where it has none, no row where every effect is rejected.
#'   `ar_test()`: data.frame `beta0, statistic, df1, df2, p.value, type`, a row per `beta0`; AR is
#'   compared with an F law, K with chi-squared, CLR with its law given the rest. Errors:
#'   `mrlearn_error_argument` for a fit with several exposures or robust K and CLR,
#'   `mrlearn_error_data` where the data are gone or are others, `mrlearn_error_collinear`.
#' @references Anderson & Rubin (1949), Ann. Math. Stat. 20:46. Kleibergen (2002), Econometrica
#'   70:1781. Moreira (2003), Econometrica 71:1027. Andrews, Moreira & Stock (2007), J. Econometrics
#'   139:116. Stock & Wright (2000), Econometrica 68:1055. Mikusheva (2010), J. Econometrics
#'   157:236.
#' @examples
#' sim <- sim_contextual(n = 500, L = 5)
#' fit <- iv_2sls(Y ~ X | G0 + G1 + G2 + G3 + G4, data = sim)
#' ar_set(fit)
#' ar_set(fit, "CLR", conf_level = 0.9)
#' ar_test(fit, beta0 = c(0, 1))
#' @export
ar_set <- function(fit, type = c("AR", "K", "CLR"), conf_level = 0.95, n_threads = mrl_threads(),
                   ...) {
  check_no_dots(...)
  type <- check_choice(type, weak_types)
  conf_level <- check_conf_level(conf_level)
  problem <- weak_problem(fit, type, parent.frame())
  rows <- if (is.null(problem$frame)) {
    weak_interval(problem$reduced, type, conf_level)
  } else {
    robust_ar(problem$frame, problem$vcov, 0, conf_level, n_threads)
  }
  n <- length(rows$low)
  new_estimates(data.frame(
    term = rep(fit$exposures, n), conf.low = rows$low, conf.high = rows$high, type = rep(type, n),
    conf.level = rep(conf_level, n)
  ))
}

#' @rdname ar_set
#' @param beta0 Effects to test, one or more numbers.
#' @export
ar_test <- function(fit, beta0 = 0, type = c("AR", "K", "CLR"), n_threads = mrl_threads(), ...) {
  check_no_dots(...)
  type <- check_choice(type, weak_types)
  beta0 <- check_doubles(beta0)
  problem <- weak_problem(fit, type, parent.frame())
  if (!is.null(problem$frame)) {
    out <- robust_ar(problem$frame, problem$vcov, beta0, 0.95, n_threads)
    df <- out$df
    p <- stats::pf(out$statistic, df[1], df[2], lower.tail = FALSE)
  } else {
    reduced <- problem$reduced
    test <- effective_type(type, reduced)
    out <- .Call(C_weak_test, beta0, weak_settings(reduced, test))
    check_weak_status(out$status)
    out <- out$value
    df <- switch(test, AR = c(reduced$n_inst, reduced$df_within), K = c(1, NA), CLR = c(NA, NA))
    if (test == "AR") {
      out$statistic <- out$statistic / reduced$n_inst
    }
    p <- switch(test,
      AR = stats::pf(out$statistic, df[1], df[2], lower.tail = FALSE),
      K = stats::pchisq(out$statistic, 1, lower.tail = FALSE),
      CLR = out$p_value
    )
  }
  data.frame(
    beta0 = beta0, statistic = out$statistic, df1 = rep(df[1], length(beta0)),
    df2 = rep(df[2], length(beta0)), p.value = p, type = rep(type, length(beta0))
  )
}

weak_types <- c("AR", "K", "CLR")
weak_set_classes <- c("iv_2sls", "iv_liml", "iv_kclass", "iv_jive")

# With one instrument all three are the AR test.
effective_type <- function(type, reduced) {
  if (reduced$n_inst > 1) type else "AR"
}

weak_settings <- function(reduced, type, critical = 0) {
  c(reduced, list(type = match(type, weak_types) - 1L, critical = critical))
}

weak_interval <- function(reduced, type, conf_level) {
  type <- effective_type(type, reduced)
  critical <- switch(type,
    AR = reduced$n_inst * stats::qf(conf_level, reduced$n_inst, reduced$df_within),
    K = stats::qchisq(conf_level, 1),
    CLR = 1 - conf_level
  )
  out <- .Call(C_weak_set, weak_settings(reduced, type, critical))
  check_weak_status(out$status)
  out$value
}

check_weak_status <- function(status) {
  if (status == "singular") {
    stop_mrl("collinear", "Exposure and outcome are collinear given instruments and covariates, ",
      "or there are no more clusters than instruments.")
  }
  check_status(status, "testing effects")
}

robust_ar <- function(frame, vcov, beta0, conf_level, n_threads) {
  settings <- c(frame_settings(frame, vcov, n_threads), list(conf_level = conf_level))
  out <- .Call(C_iv_ar, frame_data(frame), as.double(beta0), settings)
  check_weak_status(out$status)
  out$value
}

# What the tests need of a fit: `reduced` moments, or the frame of a robust one.
weak_problem <- function(fit, type, env) {
  check_weak_fit(fit, type)
  if (fit$vcov_type %in% c("iid", "bekker")) {
    list(reduced = fit$reduced)
  } else {
    list(frame = refit_frame(fit, env), vcov = fit$vcov_type)
  }
}

check_weak_fit <- function(fit, type) {
  if (!inherits(fit, weak_set_classes) || is.null(fit$n_instruments)) {
    stop_argument("fit", paste0("must come from ", paste0(weak_set_classes, "()",
      collapse = ", ")),
      if (inherits(fit, "iv_fit")) paste0("a fit of ", class(fit)[1], "()") else describe(fit))
  }
  if (length(fit$exposures) != 1L) {
    stop_argument("fit", "must have one exposure", paste(length(fit$exposures), "of them"))
  }
  if (type != "AR" && !fit$vcov_type %in% c("iid", "bekker")) {
    stop_argument("type", "must be \"AR\" where the fit's covariance is robust or clustered",
      paste0("\"", type, "\""))
  }
}

# The numbers that a fit was made of, read again through its call.
refit_frame <- function(fit, env) {
  call <- fit$call
  roles <- c("y", "x", "z", "w")
  given <- stats::setNames(vector("list", 4L), roles)
  frame <- read_again({
    for (role in intersect(roles, names(call))) {
      given[[role]] <- eval(call[[role]], env)
    }
    imputation <- if (is.null(call$na_genotype)) "impute" else eval(call$na_genotype, env)
    iv_frame(call, env, given, "required", na_genotype = imputation)
  })
  same <- length(frame$y) == fit$nobs &&
    isTRUE(all.equal(frame$y, unname(fit$fitted.values + fit$residuals), tolerance = 1e-8))
  if (!same) {
    stop_mrl("data", "The data are not those that the fit was made from: evaluating its call ",
      "gives ", length(frame$y), " rows; the fit has ", fit$nobs,
      if (length(frame$y) == fit$nobs) ", of other outcomes", ".")
  }
  frame
}

# What was told with the fit is not told again.
read_again <- function(expr) {
  withCallingHandlers(
    tryCatch(expr, error = function(e) {
      stop_mrl("data", "The data of the fit cannot be read again by evaluating its call: ",
        conditionMessage(e))
    }),
    mrlearn_message = function(m) tryInvokeRestart("muffleMessage")
  )
}
