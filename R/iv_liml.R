#' Limited-information maximum likelihood, Fuller's and other k-class estimators
#'
#' `iv_liml()` estimates the linear causal effect of exposures on an outcome under the same
#' assumptions as [iv_2sls()]: relevant instruments that are not confounded with the outcome and act
#' through the exposures only. It is nearly unbiased in the median where instruments are many or
#' weak and two-stage least squares leans towards the confounded regression. It has no moments:
#' with irrelevant instruments it can lie anywhere, and its interval is too narrow all the same.
#' `fuller = 1` gives it moments and little bias, `fuller = 4` a small mean squared error. With
#' effects that differ between people it can leave the range of the effects of single instruments.
#' [ar_set()] gives confidence sets that hold however weak the instruments are.
#'
#' `iv_kclass()` has any `k`: 0 is least squares, 1 two-stage least squares.
#'
#' Instruments opened by [bed()] are streamed where `vcov` is `"iid"` or `"bekker"`, and decoded
#' into memory otherwise; instead of a formula, statistics of shards made by [iv_crossprod()] can be
#' given, with these two kinds of covariance.
#'
#' @section Inference:
#' `vcov` as in [iv_2sls()]; `"bekker"` holds with equal variances also where the number of
#' instruments is not small beside the number of rows (Bekker 1994, in the form of Hansen, Hausman
#' and Newey 2008). Robust ones use the scores of \eqn{(I - k M) X}. The first stage and
#' diagnostics are those of two-stage least squares, with the likelihood-ratio test of
#' over-identification, `Anderson-Rubin`, \eqn{n \log k_{LIML}}, added.
#'
#' @inheritParams iv_2sls
#' @param fuller Fuller's constant, 0 or more: `k` is less by `fuller` over (rows - instruments -
#'   covariates - constant).
#' @param vcov The covariance of the estimates: as in [iv_2sls()], or `"bekker"`. `cluster`
#'   overrides all but the latter, which excludes it.
#' @param k The k of the class, a number of 0 or more.
#' @return As [iv_2sls()], with `kappa` (the k that was used) and `kappa_liml`. Errors:
#'   `mrlearn_error_collinear` where exposures and outcome are collinear, or `k` is so large that
#'   the moments are not positive definite; else as [iv_2sls()].
#' @references Anderson & Rubin (1949), Ann. Math. Stat. 20:46. Fuller (1977), Econometrica 45:939.
#'   Bekker (1994), Econometrica 62:657. Hansen, Hausman & Newey (2008), J. Bus. Econ. Stat. 26:398.
#' @seealso [iv_jive()], [ar_set()].
#' @examples
#' sim <- sim_contextual(n = 1000, L = 10)
#' z <- as.matrix(as.data.frame(sim)[paste0("G", 0:9)])
#' fit <- iv_liml(Y ~ X | z, data = sim, fuller = 1)
#' tidy(fit, conf.int = TRUE)
#' ar_set(fit)
#' @export
iv_liml <- function(formula = NULL, data = NULL, subset = NULL, weights = NULL, na.action = NULL,
                    cluster = NULL, fuller = 0,
                    vcov = c("iid", "HC0", "HC1", "HC2", "HC3", "bekker"),
                    na_genotype = c("impute", "drop", "error"),
                    y = NULL, x = NULL, z = NULL, w = NULL, id = NULL, model = TRUE,
                    n_threads = mrl_threads()) {
  call <- match.call()
  how <- list(liml = TRUE, k = 1, fuller = check_number(fuller, min = 0))
  estimator <- if (fuller > 0) paste0("Fuller(", format(fuller), ")") else "LIML"
  if (inherits(formula, "iv_crossprod")) {
    return(kclass_crossprod(formula, vcov, how, estimator, "iv_liml", call))
  }
  frame <- iv_frame(call, parent.frame(), list(y = y, x = x, z = z, w = w), "required",
    na_genotype = if (missing(na_genotype)) "impute" else na_genotype,
    stream = needs_no_rows(vcov) && is.null(call$cluster)
  )
  fit_kclass(frame, check_vcov_bekker(vcov, frame), how, estimator, "iv_liml", call, model,
    n_threads)
}

#' @rdname iv_liml
#' @export
iv_kclass <- function(formula = NULL, data = NULL, k = 1, subset = NULL, weights = NULL,
                      na.action = NULL, cluster = NULL,
                      vcov = c("iid", "HC0", "HC1", "HC2", "HC3", "bekker"),
                      na_genotype = c("impute", "drop", "error"),
                      y = NULL, x = NULL, z = NULL, w = NULL, id = NULL, model = TRUE,
                      n_threads = mrl_threads()) {
  call <- match.call()
  how <- list(liml = FALSE, k = check_number(k, min = 0), fuller = 0)
  estimator <- paste0("k-class(", format(k), ")")
  if (inherits(formula, "iv_crossprod")) {
    return(kclass_crossprod(formula, vcov, how, estimator, "iv_kclass", call))
  }
  frame <- iv_frame(call, parent.frame(), list(y = y, x = x, z = z, w = w), "required",
    na_genotype = if (missing(na_genotype)) "impute" else na_genotype,
    stream = needs_no_rows(vcov) && is.null(call$cluster)
  )
  fit_kclass(frame, check_vcov_bekker(vcov, frame), how, estimator, "iv_kclass", call, model,
    n_threads)
}

# Covariances that moments alone give; the default of `vcov` is one.
needs_no_rows <- function(vcov) identical(vcov[1], "iid") || identical(vcov[1], "bekker")

# From statistics of shards alone.
kclass_crossprod <- function(object, vcov, how, estimator, class, call) {
  vcov <- check_vcov_bekker(vcov, list())
  given <- setdiff(names(call)[-1L], c("", "formula", "vcov", "fuller", "k", "model", "n_threads"))
  problem <- crossprod_problem(object, given, vcov, c("iid", "bekker"))
  fit <- fit_crossprod(object, given, "iid", call)
  value <- kclass_core(list(), "iid", how, vcov == "bekker", moments = problem$moments)
  as_kclass(fit, value, problem$frame, vcov, estimator, class)
}

vcov_words <- c("iid", "HC0", "HC1", "HC2", "HC3", "cluster")

check_vcov_bekker <- function(vcov, frame) {
  vcov <- check_choice(vcov, c("iid", "HC0", "HC1", "HC2", "HC3", "bekker"), "vcov")
  if (vcov == "bekker" && !is.null(frame$cluster)) {
    stop_mrl("argument", "Bekker's standard errors do not allow for clusters.")
  }
  if (is.null(frame$cluster)) vcov else "cluster"
}

# The data of a frame and the settings that say how to read it, for the entries that take both.
frame_data <- function(frame) {
  frame[c("y", "x", "w", "z", "weights", "cluster")]
}

frame_settings <- function(frame, vcov, n_threads) {
  list(
    intercept = frame$intercept, vcov = match(vcov, vcov_words) - 1L, n_cluster = frame$n_cluster,
    n_threads = check_threads(n_threads), isa = isa_setting()
  )
}

# Frame -> two-stage least squares, for first stage and diagnostics -> k-class -> fitted object.
# Streamed instruments are summed over once, for both.
fit_kclass <- function(frame, vcov, how, estimator, class, call, model, n_threads) {
  bekker <- vcov == "bekker"
  base <- if (bekker) "iid" else vcov
  moments <- NULL
  if (!is.null(frame$beds)) {
    check_rows(frame)
    frame$crossprod <- crossprod_of(frame, file_order(frame), check_threads(n_threads))
    moments <- c(crossprod_moments(frame$crossprod), list(stream = NULL))
  }
  fit <- fit_linear(frame, base, "2SLS", "iv_2sls", call, model, n_threads)
  value <- kclass_core(frame, base, how, bekker, n_threads, moments)
  if (!is.null(moments)) {
    coef <- ifelse(is.na(value$coef), 0, value$coef)
    value$residuals <- frame$y - drop(cbind(1, frame$w, frame$x) %*% coef)
  }
  as_kclass(fit, value, frame, vcov, estimator, class)
}

# A fit of two-stage least squares with the numbers of a k-class estimator in place of its own.
as_kclass <- function(fit, value, frame, vcov, estimator, class) {
  kept <- names(fit$coefficients)
  from_core <- c(if (frame$intercept) "(Intercept)", colnames(frame$w), colnames(frame$x))
  at <- match(kept, from_core)
  fit$coefficients[] <- value$coef[at]
  fit$vcov[] <- value$vcov[at, at, drop = FALSE]
  if (!is.null(value$residuals)) {
    fit$residuals[] <- value$residuals
    fit$fitted.values[] <- frame$y - value$residuals
  }
  fit$sigma <- sqrt(value$sigma2)
  fit$estimator <- estimator
  fit$vcov_type <- vcov
  fit[c("kappa", "kappa_liml")] <- value[c("kappa", "kappa_liml")]
  fit$diagnostics <- add_overid(fit$diagnostics, value, fit$nobs, length(fit$exposures))
  class(fit) <- c(class, "iv_fit")
  fit
}

# moments: of streamed instruments or of shards, instead of the columns of the frame.
kclass_core <- function(frame, vcov, how, bekker = FALSE, n_threads = 1L, moments = NULL) {
  settings <- c(frame_settings(frame, vcov, n_threads), how,
    list(bekker = bekker, moments = moments))
  out <- .Call(C_iv_kclass, frame_data(frame), settings)
  if (out$status == "singular") {
    stop_mrl("collinear", if (how$liml) {
      "Exposures and outcome are collinear given the instruments and covariates."
    } else {
      paste0("k = ", format(how$k), " is too large: the moments are not positive definite; LIML's",
        " k is ", format(out$value$kappa_liml, digits = 6), ".")
    })
  }
  check_status(out$status, "fitting the k-class estimator")
  out$value
}

add_overid <- function(diagnostics, value, n, kx) {
  df <- value$n_inst - kx
  statistic <- if (df > 0 && is.finite(value$kappa_liml)) n * log(value$kappa_liml) else NA_real_
  rbind(diagnostics, data.frame(
    diagnostic = "Anderson-Rubin", df1 = df, df2 = NA_real_, statistic = statistic,
    p.value = stats::pchisq(statistic, df, lower.tail = FALSE), critical = NA_real_
  ))
}
