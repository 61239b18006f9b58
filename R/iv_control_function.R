#' Control functions: nonlinear, binary and survival outcomes
#'
#' Estimates the effect of one exposure by adding the residual of its first stage to the outcome's
#' regression, where it stands for what confounds exposure and outcome. Beyond what [iv_2sls()]
#' assumes of the instruments, it assumes (1) that the first stage is right: exposure less its mean
#' given instruments and covariates is independent of the instruments; (2) that, given this residual
#' and the covariates, the exposure is unconfounded; (3) that the residual enters in the form given
#' by `residual`. It fails where the first stage is wrong (a binary or otherwise discrete exposure,
#' a spread that depends on the instruments) unless everything is linear, and where instruments are
#' weak: look at [diagnostics()]. If outcome, exposure and residual enter linearly, the estimate is
#' that of [iv_2sls()], and (1) to (3) are not needed. In 450 to 500 simulations of 5000 people
#' (bench/control_function.R) 95 % intervals held 94 % of linear effects and risk differences, and
#' 92 to 93 % of contrasts of a quadratic, a little less than they say. A binary exposure is
#' allowed; its first stage is the linear regression too, so that (1) cannot hold exactly.
#'
#' @section Model:
#' With first-stage residual \eqn{r = x - E[x | z, w]} (least squares), the second stage is
#' \deqn{link(E[y | x, w, r]) = a + w'c + g(x) + k(r),}
#' where \eqn{g} and \eqn{k} are linear, polynomials, natural cubic splines or cubic splines (the
#' span of B-splines); spline knots lie at quantiles. What is reported is the average structural
#' function: the mean of the model over the sample's residuals and covariates with the exposure set
#' to \eqn{x} (Blundell & Powell 2003; Newey, Powell & Vella 1999).
#'
#' * `family = "gaussian"`: means and their differences.
#' * `family = "binomial"`: logistic regression with the residual (two-stage residual inclusion,
#'   Terza, Basu & Rathouz 2008). [effect_curve()] gives risks, [ate()] risk differences, risk
#'   ratios or marginal odds ratios, all of them averaged over residual and covariates. The
#'   coefficients, in `tidy()`, are log-odds *conditional* on the residual: they are not
#'   collapsible, so that they differ from the marginal ones, and from one study to another, even
#'   without any confounding.
#' * `family = "cox"`: proportional hazards (package survival) with a `Surv()` outcome. The hazard
#'   ratio is conditional on residual and covariates and not collapsible either; [effect_curve()]
#'   and [ate()] give log hazard ratios.
#'
#' @section Standard errors:
#' With everything linear they are those of two-stage least squares (`vcov`, `cluster`). Otherwise,
#' or with `n_boot`, both stages are repeated on `n_boot` samples of rows (or of whole clusters)
#' drawn with replacement; knots and `df` stay those of the fit. Intervals are normal, of ratios on
#' the scale of their logarithm.
#'
#' @inheritSection iv_2sls Formulas
#' @inheritSection iv_2sls Missing values
#' @inheritParams iv_2sls
#' @param formula As for [iv_2sls()], with one exposure. For `family = "cox"` the outcome is
#'   `Surv(time, event)`.
#' @param family Kind of outcome: a number, 0 or 1, or a right-censored time.
#' @param shape How the exposure enters.
#' @param df Columns of its basis: the degree of the polynomial, or the degrees of freedom of the
#'   spline (`"bspline"`: at least 3). NULL takes what has the least AIC: up to degree 4, up to 6
#'   columns for splines. Not used where the shape is linear.
#' @param residual How the residual enters; NULL: linear where `shape` is, else a natural spline.
#' @param residual_df Columns of its basis; NULL: 3.
#' @param vcov Covariance of the linear model's coefficients; see [iv_2sls()].
#' @param y,x,z,w Instead of a formula: outcome (n; for `"cox"` a `Surv` object), exposure,
#'   instruments and covariates.
#' @param n_boot Bootstrap replicates: 0 or at least 10; NULL: none where all is linear, else 200.
#' @param workers For `"cox"`: where replicates run, see [iv_quantile()]. Others run on threads.
#' @param seed NULL draws one from R's generator; a whole number is used as it is.
#' @return A list of class `c("iv_control_function", "iv_fit")`: as [iv_2sls()], with
#'   `residual_terms` (data.frame `term, estimate, std.error`: coefficients of the residual; their
#'   standard errors hold where the exposure is exogenous, which is what they test), `family`,
#'   `shape`, `df`, `first_stage_residuals` and `replicates`. [diagnostics()] has the joint test of
#'   the residual's terms (`Endogeneity`; with one term the square of its t).
#' @section Errors:
#' `mrlearn_error_separated` where the outcome is separated (some combination of exposure,
#' covariates and residual tells zeros from ones), `mrlearn_error_collinear` where the exposure has
#' too few values for its basis, and those of [iv_2sls()].
#' @references
#' Newey, Powell & Vella (1999), Econometrica 67:565. Blundell & Powell (2003), in Advances in
#' Economics and Econometrics, vol. 2. Terza, Basu & Rathouz (2008), J. Health Econ. 27:531.
#' @seealso [iv_2sls()]; [control_function_effects] for what can be asked of the fit.
#' @examples
#' sim <- sim_nonlinear(n = 2000, n_variants = 4, seed = 1)
#' g <- as.matrix(sim[truth(sim)$instruments])
#' fit <- iv_control_function(Y ~ X | g, data = sim, shape = "polynomial", df = 2, seed = 1)
#' fit
#' effect_curve(fit, x = c(-1, 0, 1))
#' average_derivative(fit)
#' @export
iv_control_function <- function(formula = NULL, data = NULL, subset = NULL, weights = NULL,
                                na.action = NULL, cluster = NULL,
                                family = c("gaussian", "binomial", "cox"),
                                shape = c("linear", "polynomial", "natural", "bspline"), df = NULL,
                                residual = NULL, residual_df = NULL,
                                vcov = c("iid", "HC0", "HC1", "HC2", "HC3"),
                                na_genotype = c("impute", "drop", "error"),
                                y = NULL, x = NULL, z = NULL, w = NULL, n_boot = NULL,
                                workers = c("auto", "threads", "future"), seed = NULL,
                                model = TRUE, n_threads = mrl_threads()) {
  call <- match.call()
  env <- parent.frame()
  spec <- cf_spec(family, shape, df, residual, residual_df)
  how <- list(
    n_boot = cf_replicates(n_boot, spec), workers = check_workers(workers),
    vcov = check_choice(vcov, c("iid", "HC0", "HC1", "HC2", "HC3")),
    model = check_flag(model), n_threads = check_threads(n_threads), seed = seed
  )
  how$seed <- if (how$n_boot > 0L) resolve_seed(seed) else NA_real_
  outcome <- cf_outcome(call, env, y, spec$family)
  frame <- iv_frame(outcome$call, env, list(y = outcome$y, x = x, z = z, w = w), "required",
    na_genotype = if (missing(na_genotype)) "impute" else na_genotype
  )
  frame$outcome <- if (is.null(outcome$name)) frame$outcome else outcome$name
  check_exposure(frame$design$exposure_terms, "iv_control_function")
  check_cf_frame(frame, spec)
  fit_control_function(frame, spec, how, call)
}

cf_shapes <- c("linear", "polynomial", "natural", "bspline")

cf_spec <- function(family, shape, df, residual, residual_df) {
  family <- check_choice(family, c("gaussian", "binomial", "cox"), "family")
  shape <- check_choice(shape, cf_shapes, "shape")
  residual <- if (is.null(residual)) {
    if (shape == "linear") "linear" else "natural"
  } else {
    check_choice(residual, cf_shapes, "residual")
  }
  if (family == "cox" && !requireNamespace("survival", quietly = TRUE)) {
    stop_argument("family", "\"cox\" needs the package survival", "none installed")
  }
  list(
    family = family, shape = shape, df = check_cf_df(df, shape, "df"), residual = residual,
    residual_df = check_cf_df(if (is.null(residual_df)) 3 else residual_df, residual,
      "residual_df")
  )
}

check_cf_df <- function(df, shape, arg) {
  if (shape == "linear") {
    return(1L)
  }
  if (is.null(df)) {
    return(NULL)
  }
  check_count(df, arg, min = if (shape == "bspline") 3 else 1, max = 20)
}

cf_is_linear <- function(spec) {
  spec$family == "gaussian" && spec$shape == "linear" && spec$residual == "linear"
}

cf_replicates <- function(n_boot, spec) {
  if (is.null(n_boot)) {
    return(if (cf_is_linear(spec)) 0L else 200L)
  }
  n_boot <- check_count(n_boot, min = 0)
  if (n_boot > 0L && n_boot < 10L) {
    stop_argument("n_boot", "must be 0 or at least 10", n_boot)
  }
  n_boot
}

# A survival outcome goes through the frame as one number: the time, negative where censored. So
# rows that are dropped take their event along.
cf_outcome <- function(call, env, y, family) {
  if (is.null(call$formula)) {
    return(list(call = call, y = if (family == "cox") signed_time(y) else not_survival(y)))
  }
  formula <- eval(call$formula, env)
  if (!inherits(formula, "formula") || length(formula) != 3L) {
    return(list(call = call, y = y)) # iv_frame() says what is wrong with it
  }
  lhs <- formula[[2]]
  is_surv <- is.call(lhs) && deparse1(lhs[[1]]) %in% c("Surv", "survival::Surv")
  value <- if (is_surv || family == "cox") surv_value(lhs, is_surv, call, env, formula)
  if (family != "cox") {
    not_survival(value)
    return(list(call = call, y = y))
  }
  signed_time(value)
  name <- deparse1(lhs)
  if (is_surv) {
    lhs[[1]] <- quote(survival::Surv)
  }
  formula[[2]] <- call("signed_time", lhs)
  environment(formula) <- list2env(list(signed_time = signed_time), parent = environment(formula))
  call$formula <- formula
  list(call = call, y = y, name = name)
}

surv_value <- function(lhs, is_surv, call, env, formula) {
  if (is_surv) {
    lhs[[1]] <- quote(survival::Surv)
  }
  tryCatch(eval(lhs, eval(call$data, env), environment(formula)), error = function(e) {
    stop_mrl("formula", "The outcome of `formula` cannot be made: ", conditionMessage(e), ".")
  })
}

not_survival <- function(y) {
  if (inherits(y, "Surv")) {
    stop_mrl("data", "A survival outcome needs `family = \"cox\"`.")
  }
  y
}

signed_time <- function(y) {
  if (!inherits(y, "Surv") || !identical(attr(y, "type"), "right")) {
    stop_mrl("data", "With `family = \"cox\"` the outcome must be right-censored, ",
      "Surv(time, event); got ", if (inherits(y, "Surv")) attr(y, "type") else describe(y), ".")
  }
  time <- unclass(y)[, "time"]
  if (any(time <= 0, na.rm = TRUE)) {
    stop_mrl("data", "Survival times must be above 0; got ", format(min(time, na.rm = TRUE)), ".")
  }
  unname(time * (2 * unclass(y)[, "status"] - 1))
}

check_cf_frame <- function(frame, spec) {
  if (!frame$intercept) {
    stop_mrl("formula", "iv_control_function() needs the constant: leave `+ 0` out of `formula`.")
  }
  if (max(frame$x) == min(frame$x)) {
    stop_mrl("collinear", "The exposure `", colnames(frame$x), "` is constant.")
  }
  if (spec$family == "binomial") {
    other <- frame$y[!frame$y %in% c(0, 1)]
    if (length(other)) {
      stop_mrl("data", "With `family = \"binomial\"` the outcome `", frame$outcome,
        "` must be 0 or 1; got ", format(other[1]), ".")
    }
  }
  if (spec$family == "cox" && !any(frame$y > 0)) {
    stop_mrl("data", "No event was seen: every time is censored.")
  }
}
