#' DeepIV: nonlinear effects by networks, from a density of the exposure
#'
#' Estimates how the mean outcome depends on an exposure that is set, whatever the shape, under the
#' assumptions of [iv_quantile()]: instruments that shift the exposure, are not confounded with the
#' outcome given the covariates and reach it only through the exposure, and confounding that adds up
#' with the exposure's effect. It fails where they fail, where the instruments bring no exposures
#' about (column `overlap` of [effect_curve()]), and besides where the density has the wrong form:
#' `"gaussian"` and `"ridge"` represent a skewed or bimodal exposure by a normal law, which bends
#' the curve. Weak instruments bend it towards the confounded regression. Intervals need `n_boot`;
#' those of effects that differ with a covariate ([cate()]) need half-samples, as [iv_quantile()]
#' says.
#'
#' The first stage is a density of the exposure given instruments and covariates:
#' * `"gaussian"`: a network gives mean and standard deviation;
#' * `"mixture"`: a network gives weights, means and standard deviations of `n_components` normal
#'   laws;
#' * `"ridge"`: ridge regression of the exposure, with normal noise of the residuals' standard
#'   deviation; no network, and no standard deviation that differs between people.
#'
#' @section Method:
#' The outcome network \eqn{g} minimises the mean of the squared difference between \eqn{y_i} and
#' the expectation of \eqn{g(x, w_i)} over the first stage's density of \eqn{x}. It is trained on
#' draws: in each epoch every row gets two independent sets of `n_draws` exposures, and the loss is
#' the product of \eqn{y_i} less the mean over the one and less the mean over the other, whose
#' gradient is that of the squared difference without bias (Hartford et al. 2017). Each draw has its
#' own component and its own noise. With `binary = TRUE`, \eqn{g} is a probability, and the loss the
#' cross-entropy of the probabilities averaged over all draws of the row. The first stage is not
#' trained further.
#'
#' With `refit = TRUE` in [nn_control()] the last layer is solved in closed form, over Gauss-Hermite
#' or matched normal nodes instead of draws.
#'
#' @inheritSection iv_quantile Closed forms
#' @inheritSection iv_quantile Intervals
#' @inheritSection iv_quantile Two samples
#' @inheritSection iv_quantile Instrument strength
#' @inheritSection iv_quantile Training
#' @inheritParams iv_quantile
#' @inheritSection iv_2sls Formulas
#' @inheritSection iv_2sls Missing values
#' @param first_stage Form of the density.
#' @param n_components Normal laws of the mixture, 1 to 50.
#' @param n_draws Draws in each of the two sets of a row, 1 to 100.
#' @param ridge Penalty of the ridge regression (on the sum of squares of the coefficients of
#'   standardised columns, next to the mean squared error), at least 0; NULL chooses it by
#'   generalised cross-validation. Constant term and exposure's scale are not penalised.
#' @return As [iv_quantile()], of class `c("iv_deep", "iv_neural", "iv_fit")`; besides
#'   `first_stage_kind`, `n_components` and `n_draws`.
#' @references Hartford, J., Lewis, G., Leyton-Brown, K. & Taddy, M. (2017). Deep IV: a flexible
#'   approach for counterfactual prediction. ICML, PMLR 70:1414-1423.
#' @seealso [iv_quantile()]; [neural_effects] for the intervals.
#' @examples
#' sim <- sim_nonlinear(n = 2000, n_variants = 4, seed = 1)
#' g <- as.matrix(sim[truth(sim)$instruments])
#' fit <- iv_deep(Y ~ X | g, data = sim, seed = 1, control = nn_control(epochs = 20))
#' fit
#' effect_curve(fit, x = c(-1, 0, 1))
#' @export
iv_deep <- function(formula = NULL, data = NULL, subset = NULL, weights = NULL,
                    na.action = NULL, cluster = NULL,
                    na_genotype = c("impute", "drop", "error"),
                    y = NULL, x = NULL, z = NULL, w = NULL, id = NULL, binary = FALSE,
                    first_stage = c("gaussian", "mixture", "ridge"), n_components = 5,
                    n_draws = 1, ridge = NULL, stage2_data = NULL, cross_fit = 1, n_boot = 0,
                    workers = c("auto", "threads", "future"), control = nn_control(),
                    seed = NULL, checkpoint = NULL, checkpoint_every = 10,
                    progress = interactive(), model = TRUE, n_threads = mrl_threads()) {
  call <- match.call()
  kind <- check_choice(first_stage, c("gaussian", "mixture", "ridge"))
  n_components <- check_count(n_components, max = 50)
  n_draws <- check_count(n_draws, max = 100)
  penalty <- if (is.null(ridge)) NA_real_ else check_number(ridge, "ridge", min = 0)
  first <- list(
    settings = first_stage_settings(kind,
      n_components = n_components, n_draws = n_draws, ridge = penalty
    ),
    estimator = "DeepIV", class = "iv_deep",
    label = switch(kind,
      gaussian = "normal first stage", ridge = "ridge first stage",
      mixture = paste0("mixture of ", n_components, " normal law", if (n_components != 1L) "s")
    ),
    extra = list(
      n_components = if (kind == "mixture") n_components, n_draws = n_draws,
      ridge = if (kind == "ridge") penalty
    )
  )
  how <- neural_arguments(binary, cross_fit, n_boot, workers, control, seed, checkpoint,
    checkpoint_every, progress, model, n_threads, "iv_deep")
  fit_neural(call, parent.frame(), list(y = y, x = x, z = z, w = w), na_genotype, stage2_data,
    first, how)
}
