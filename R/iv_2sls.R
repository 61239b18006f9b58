#' Linear instrumental variables: two-stage least squares
#'
#' Estimates the linear causal effect of one or more exposures on an outcome with instruments.
#' It is the effect if (1) the instruments shift the exposure, (2) nothing confounds instruments and
#' outcome given the covariates, and (3) the instruments reach the outcome only through the
#' exposure.
#' With effects that differ between people it is an average weighted towards those whom the
#' instruments shift. Weak instruments pull it towards the confounded regression and make intervals
#' too narrow: look at [diagnostics()], which every fit carries; (2) and (3) can only be
#' contradicted
#' by data (over-identification), never shown.
#'
#' `iv_ols()` is the regression without instruments, for comparison: it is the causal effect only if
#' nothing unmeasured confounds exposure and outcome. It accepts the same formulas; instruments in
#' them are not used.
#'
#' @section Formulas:
#' `y ~ x + w | z + w`: terms on both sides of `|` are covariates, those on the left only are
#' exposures, those on the right only instruments. `y ~ w | x | z` says the same with one role per
#' part. Factors, interactions and functions work as in [stats::lm()]; a matrix in `data`
#' (genotypes,
#' say) is one term with many columns. The constant follows the first part (`+ 0` removes it).
#'
#' @section Missing values:
#' Rows with missing values are dropped by `na.action`, counted and told. Missing *genotypes* are
#' imputed to the mean of their variant by default, counted and told: a genotype is a column of a
#' matrix whose values are 0, 1 and 2 only, or an instrument variable with these values of which one
#' at least is a 2. Collinear instruments and covariates are dropped with a message. Rows of weight
#' 0
#' are left out.
#'
#' @section Genotypes in files:
#' Instruments may be genotypes opened by [bed()], as a variable of the formula (`y ~ x + w |
#' genotypes + w`) or as `z`; several files of the same people may stand there (`| chr1 + chr2`).
#' `id` says which column of the data has the people's IDs; how many were found is told. Genotypes
#' are then never in memory as a whole: their crossproducts are counted in blocks of people from the
#' packed bits (exactly; with weights in double), and robust standard errors read the file again.
#' Memory is O(L^2) for L instruments, besides n numbers for each other variable. Missing genotypes
#' are imputed to the mean of the people used. Nearly collinear variants cost digits (see
#' [iv_crossprod()], which gives the sums of shards).
#'
#' @section Inference:
#' `vcov = "iid"` assumes errors of equal variance; `"HC0"` to `"HC3"` are robust to unequal
#' variances (HC2 and HC3 use the leverage of the 2SLS hat matrix); with `cluster`, errors may be
#' correlated within groups (factor G/(G-1) (n-1)/(n-k)). Tests and intervals use Student's t with
#' n - k degrees of freedom, G - 1 with clusters. The arithmetic centres and scales all columns,
#' factors their crossproducts (a second time, orthogonalised, where columns are nearly collinear)
#' and refines the coefficients once with the residuals.
#'
#' @param formula A two- or three-part formula, see below. For `iv_ols()` one part will do. For
#'   `iv_2sls()`, `iv_liml()` and `iv_kclass()` also statistics of shards, made by
#'   [iv_crossprod()].
#' @param data A data.frame (or list, or environment) with the variables of `formula`.
#' @param subset,weights As in [stats::lm()]; weights say how much a row counts.
#' @param na.action `na.omit` (the default of R), `na.exclude` (residuals are padded) or `na.fail`.
#' @param cluster Groups whose errors may be correlated: `~ family`, or a variable.
#' @param vcov The covariance of the estimates, see below. `cluster` overrides it.
#' @param na_genotype What to do with missing genotypes: `"impute"`, `"drop"` the row, or `"error"`.
#' @param y,x,z,w Instead of a formula: outcome (n), exposures, instruments and covariates (n rows
#'   each; vector, matrix or data.frame). A constant is always included.
#' @param id Where instruments are genotypes opened by [bed()]: the column of `data` with the
#'   people's IDs (individual, or `family_individual`), or a vector of them; NULL: the rows are the
#'   people of the genotypes, in their order.
#' @param model Keep the variables of the structural equation, which [effect_curve()] averages over?
#'   Instruments are never kept.
#' @param n_threads Number of threads; results do not depend on it.
#' @return A list of class `c("iv_2sls", "iv_fit")` with `coefficients`, `vcov`, `residuals`,
#'   `fitted.values`, `diagnostics`, `first_stage` (data.frame `exposure, term, estimate,
#'   std.error`), `partial_r2`, `reduced` (the moments that [ar_set()] reads), `dropped` (what was
#'   left out), `imputed` and what describes the call. Read it with `tidy()`, `glance()`,
#'   `augment()`, [diagnostics()], [effect_curve()].
#' @references Wooldridge (2010), Econometric Analysis of Cross Section and Panel Data, ch. 5;
#'   the diagnostics' sources stand in [diagnostics()].
#' @seealso [iv_lasso()] for many instruments; [ar_set()] for confidence sets that hold with weak
#'   ones, [iv_liml()] and [iv_jive()] for estimators.
#' @examples
#' sim <- sim_contextual(n = 2000, L = 10)
#' instruments <- paste0("G", 0:9)
#' z <- as.matrix(as.data.frame(sim)[instruments])
#' fit <- iv_2sls(Y ~ X | z, data = sim, vcov = "HC1")
#' fit
#' tidy(fit, conf.int = TRUE)
#' diagnostics(fit)
#' @export
iv_2sls <- function(formula = NULL, data = NULL, subset = NULL, weights = NULL, na.action = NULL,
                    cluster = NULL, vcov = c("iid", "HC0", "HC1", "HC2", "HC3"),
                    na_genotype = c("impute", "drop", "error"),
                    y = NULL, x = NULL, z = NULL, w = NULL, id = NULL, model = TRUE,
                    n_threads = mrl_threads()) {
  call <- match.call()
  if (inherits(formula, "iv_crossprod")) {
    given <- setdiff(names(call)[-1L], c("", "formula", "vcov", "model", "n_threads"))
    return(fit_crossprod(formula, given, check_vcov(vcov, list()), call))
  }
  frame <- iv_frame(call, parent.frame(), list(y = y, x = x, z = z, w = w), "required",
    na_genotype = if (missing(na_genotype)) "impute" else na_genotype, stream = TRUE
  )
  fit_linear(frame, check_vcov(vcov, frame), "2SLS", "iv_2sls", call, model, n_threads)
}

#' @rdname iv_2sls
#' @export
iv_ols <- function(formula = NULL, data = NULL, subset = NULL, weights = NULL, na.action = NULL,
                   cluster = NULL, vcov = c("iid", "HC0", "HC1", "HC2", "HC3"),
                   y = NULL, x = NULL, w = NULL, model = TRUE, n_threads = mrl_threads()) {
  call <- match.call()
  frame <- iv_frame(call, parent.frame(), list(y = y, x = x, z = NULL, w = w), "none")
  fit_linear(frame, check_vcov(vcov, frame), "OLS", "iv_ols", call, model, n_threads)
}

check_vcov <- function(vcov, frame) {
  vcov <- check_choice(vcov, c("iid", "HC0", "HC1", "HC2", "HC3"), "vcov")
  if (is.null(frame$cluster)) vcov else "cluster"
}

# Frame -> core -> fitted object.
fit_linear <- function(frame, vcov, estimator, class, call, model = TRUE,
                       n_threads = mrl_threads()) {
  ols <- estimator == "OLS"
  check_flag(model, "model")
  check_rows(frame)
  n_threads <- check_threads(n_threads)
  out <- if (!ols && !is.null(frame$beds)) {
    linear_stream(frame, vcov, n_threads)
  } else {
    linear_core(frame$y, frame$x, frame$w, if (!ols) frame$z, frame$weights, frame$cluster,
      frame$n_cluster, vcov, frame$intercept, frame$z_keep, n_threads)
  }
  check_linear(out, frame, ols)
  new_linear_fit(out$value, frame, vcov, estimator, class, call, model)
}

# Least squares of y on the columns of x and w, or with instruments z two-stage least squares: the
# core's status and value. x, w and z are columns: a matrix, or a list of vectors and matrices.
# moments: of streamed instruments or of shards (see crossprod_moments()), instead of z.
linear_core <- function(y, x, w = NULL, z = NULL, weights = NULL, cluster = NULL, n_cluster = 0L,
                        vcov = "iid", intercept = TRUE, z_keep = NULL, n_threads = 1L,
                        moments = NULL) {
  settings <- list(
    vcov = vcov, n_cluster = n_cluster, ols = is.null(z) && is.null(moments),
    intercept = intercept, z_keep = z_keep, moments = moments, n_threads = n_threads,
    isa = isa_setting()
  )
  .Call(C_iv_linear, y, x, w, z, weights, cluster, settings)
}

check_rows <- function(frame) {
  n <- frame_rows(frame)
  needed <- frame$intercept + ncol(frame$w) + max(ncol(frame$x), length(frame$z_names))
  if (n <= needed) {
    stop_mrl("data", "There are ", n, " rows for ", needed, " columns",
      if (length(frame$z_names) > ncol(frame$x)) " (iv_lasso() copes with many instruments)", ".")
  }
}

# Rows of a frame, or of the statistics that stand for them.
frame_rows <- function(frame) {
  if (is.null(frame[["n"]])) length(frame$y) else frame[["n"]]
}

# Failures that have to do with the columns, named.
check_linear <- function(out, frame, ols) {
  if (out$status == "ok") {
    return(invisible())
  }
  value <- out$value
  if (value$exposure_aliased > 0L) {
    stop_mrl("collinear", "The exposure `", colnames(frame$x)[value$exposure_aliased],
      "` is constant or a linear function of the covariates.")
  }
  if (out$status == "too_few" && !ols) {
    gone <- dropped_columns(value$aliased, frame, ols)$instruments
    left <- length(frame$z_names) - length(gone)
    if (left < ncol(frame$x)) {
      stop_mrl("underidentified", "There are fewer instruments (", left, ") than exposures (",
        ncol(frame$x), ")",
        if (length(gone)) c("; collinear and dropped: ", shorten(gone)), ".")
    }
  }
  if (out$status == "singular") {
    stop_mrl("collinear", "The exposures ", shorten(colnames(frame$x)),
      " are collinear, or the instruments do not tell them apart.")
  }
  check_status(out$status, "fitting the regression")
}

# Names of the columns that were dropped as collinear.
dropped_columns <- function(aliased, frame, ols) {
  flags <- as.logical(aliased)
  if (frame$intercept) {
    flags <- flags[-1L]
  }
  kw <- ncol(frame$w)
  names <- c(colnames(frame$w), if (ols) colnames(frame$x) else frame$z_names)
  is_covariate <- ols | seq_along(names) <= kw
  list(covariates = names[flags & is_covariate], instruments = names[flags & !is_covariate])
}

shorten <- function(names, most = 5L) {
  shown <- paste0("`", utils::head(names, most), "`", collapse = ", ")
  more <- length(names) - most
  if (more > 0L) paste0(shown, " and ", more, " more") else shown
}
