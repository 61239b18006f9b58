#' Jackknife instrumental variables: many weak instruments
#'
#' Two-stage least squares whose first stage predicts each person's exposure from everybody else,
#' under the assumptions of [iv_2sls()]. The own error has then no part in the prediction, so that
#' many instruments, weak each, do not draw the estimate to the confounded regression, also where
#' variances are unequal (LIML is then biased). Together they must be strong enough: where the
#' first-stage F is near 1, the estimate has heavy tails and its interval is too narrow; then see
#' [ar_set()].
#'
#' @section Types:
#' With \eqn{P_C} and \eqn{P_W} the projections on covariates and instruments, and on covariates
#' (with the constant), and \eqn{h_i} and \eqn{g_i} their diagonals, the prediction is
#' * `"JIVE1"`: \eqn{((P_C x)_i - h_i x_i) / (1 - h_i)} (Angrist, Imbens and Krueger 1999),
#' * `"JIVE2"`: \eqn{((P_C x)_i - h_i x_i) / (1 - 1/n)} (the same), of the centred exposure,
#' * `"UJIVE"`: that of JIVE1 less \eqn{((P_W x)_i - g_i x_i) / (1 - g_i)} (Kolesar 2013), good with
#'   many covariates,
#' * `"IJIVE"`: JIVE1 after covariates are partialled out of all (Ackerberg and Devereux 2009).
#'
#' Predictions are the instruments of a second stage with the covariates in it, so that an outcome
#' plus any function of the covariates gives the same effect. (Kolesar's UJIVE leaves them out of
#' its ratio, and moves with the outcome's origin.)
#'
#' @inheritParams iv_2sls
#' @param type See below.
#' @param vcov The covariance of the estimates, see [iv_2sls()]; robust by default.
#' @return As [iv_2sls()]; `diagnostics` and `first_stage` are those of two-stage least squares.
#'   Errors: `mrlearn_error_data` where a row is the only one to determine a coefficient
#'   (leverage 1); else as [iv_2sls()].
#' @references Angrist, Imbens & Krueger (1999), J. Appl. Econometrics 14:57. Ackerberg & Devereux
#'   (2009), Rev. Econ. Stat. 91:351. Kolesar (2013), Estimation in an instrumental variables model
#'   with treatment effect heterogeneity, working paper.
#' @seealso [iv_liml()], [ar_set()].
#' @examples
#' sim <- sim_contextual(n = 1000, L = 20)
#' z <- as.matrix(as.data.frame(sim)[paste0("G", 0:19)])
#' tidy(iv_jive(Y ~ X | z, data = sim, type = "UJIVE"))
#' @export
iv_jive <- function(formula = NULL, data = NULL, type = c("UJIVE", "JIVE1", "JIVE2", "IJIVE"),
                    subset = NULL, weights = NULL, na.action = NULL, cluster = NULL,
                    vcov = c("HC1", "iid", "HC0", "HC2", "HC3"),
                    na_genotype = c("impute", "drop", "error"),
                    y = NULL, x = NULL, z = NULL, w = NULL, model = TRUE,
                    n_threads = mrl_threads()) {
  call <- match.call()
  type <- check_choice(type, c("UJIVE", "JIVE1", "JIVE2", "IJIVE"), "type")
  vcov <- check_choice(vcov, c("HC1", "iid", "HC0", "HC2", "HC3"), "vcov")
  frame <- iv_frame(call, parent.frame(), list(y = y, x = x, z = z, w = w), "required",
    na_genotype = if (missing(na_genotype)) "impute" else na_genotype
  )
  vcov <- check_vcov(vcov, frame)
  first <- fit_linear(frame, vcov, "2SLS", "iv_2sls", call, model, n_threads)
  settings <- c(frame_settings(frame, vcov, n_threads),
    list(type = match(type, c("JIVE1", "JIVE2", "UJIVE", "IJIVE")) - 1L))
  out <- .Call(C_iv_jive, frame_data(frame), settings)
  if (out$status == "singular") {
    stop_mrl("data", "A row has leverage 1: it is the only one to determine a coefficient of an ",
      "instrument or a covariate, and nothing is left to predict it from.")
  }
  check_status(out$status, "predicting the exposures")
  frame$z <- list(out$value)
  frame$z_names <- paste0("predicted ", colnames(frame$x))
  fit <- suppress_collinear(fit_linear(frame, vcov, "2SLS", "iv_2sls", call, model, n_threads))
  keep <- c("diagnostics", "first_stage", "partial_r2", "n_instruments", "instruments", "reduced",
    "dropped")
  fit[keep] <- first[keep]
  fit$estimator <- type
  fit$type <- type
  class(fit) <- c("iv_jive", "iv_fit")
  fit
}

# Collinear covariates were told of with the first fit.
suppress_collinear <- function(expr) {
  withCallingHandlers(expr, mrlearn_message_collinear = function(m) {
    tryInvokeRestart("muffleMessage")
  })
}
