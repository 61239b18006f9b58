# All estimators by name.

#' The instrumental-variable estimators by name
#'
#' `iv_methods()` lists them; `iv_fit()` calls one by its name, which is handy in loops over
#' methods.
#'
#' @param method A name in the `method` column of `iv_methods()`.
#' @param ... Arguments of that method's function, named or in its order.
#' @return `iv_methods()`: data.frame `method, fun, label, first_stage, controls`. `iv_fit()`: what
#'   that function returns.
#' @examples
#' iv_methods()
#' sim <- sim_contextual(n = 1000, L = 5)
#' iv_fit("2sls", Y ~ X | G0 + G1 + G2 + G3 + G4, data = sim)
#' @export
iv_methods <- function() {
  data.frame(
    method = c("ols", "2sls", "liml", "kclass", "jive",
      "lasso", "control_function", "contextual", "quantile", "deep",
      "delivr", "dfiv",
      "doubly_ranked", "latent"),
    fun = c("iv_ols", "iv_2sls", "iv_liml", "iv_kclass", "iv_jive",
      "iv_lasso", "iv_control_function", "iv_contextual",
      "iv_quantile", "iv_deep", "iv_delivr", "iv_dfiv",
      "iv_doubly_ranked", "iv_latent"),
    label = c("OLS (no instruments)", "two-stage least squares",
      "limited-information maximum likelihood, Fuller", "k-class", "jackknife IV",
      "2SLS with a lasso first stage",
      "control function", "contextual slopes", "Quantile IV", "DeepIV",
      "tests by a network of the predicted exposure", "deep feature IV",
      "effects by strata of the exposure", "2SLS with the valid part of confounded instruments"),
    first_stage = c("none", "least squares", "least squares", "least squares",
      "least squares, leaving each row out", "lasso, cross-validated",
      "least squares", "least squares, lasso or by context",
      "network of conditional quantiles",
      "network of a conditional density, or ridge", "least squares",
      "networks of features, ridge",
      "least squares within strata", "representation from several environments"),
    controls = c("vcov", "vcov", "fuller, vcov", "k, vcov", "type, vcov",
      "vcov, nfolds, foldid, lambda, refit",
      "family, shape, df, residual, residual_df, vcov, n_boot",
      "context, stage1, encoder, shrink, control, n_boot",
      "control, n_quantiles, nodes, non_crossing, cross_fit, n_boot",
      "control, first_stage, n_components, n_draws, ridge, cross_fit, n_boot",
      "control, n_splits, test, nonlinearity, vcov",
      "control, n_features, ridge, cross_fit, n_boot",
      "family, strata, n_strata, pre_size, score_weights, se, n_repeats, smooth",
      "environment, latent_dim, partial_out, cross_fit, n_boot, control, vcov")
  )
}

#' @rdname iv_methods
#' @export
iv_fit <- function(method, ...) {
  known <- iv_methods()
  method <- check_choice(method, known$method, "method")
  name <- known$fun[known$method == method]
  call <- match.call(expand.dots = TRUE)
  call$method <- NULL
  call[[1L]] <- as.name(name)
  check_argument_names(call, name)
  fit <- call
  fit[[1L]] <- get(name, envir = topenv(), mode = "function")
  out <- eval(fit, parent.frame())
  out$call <- call
  out
}

# A misspelt argument is an error that names it and what there is.
check_argument_names <- function(call, name) {
  given <- setdiff(names(call), "")
  known <- names(formals(get(name, envir = topenv(), mode = "function")))
  unknown <- setdiff(given, known)
  if (length(unknown)) {
    stop_mrl("argument", name, "() has no argument ", shorten(unknown), "; it has ",
      shorten(known, 30L), ".")
  }
}
