#' Contextual slopes: effects that vary with age, sex, BMI ...
#'
#' Estimates how the causal effect of an exposure depends on measured characteristics of people,
#' \deqn{y = \mu(c) + \beta(c) x + e,}
#' with instruments for the exposure. Slopes are causal if, among people of the same context,
#' (1) the instruments shift the exposure, (2) nothing confounds instruments and outcome and (3) the
#' instruments reach the outcome only through the exposure, and if (4) neither exposure nor
#' instruments cause the context; it may be confounded with the outcome. They are wrong where one
#' of these fails, and where the effect of the exposure bends: contexts with much and with little
#' of it then differ in slope without changing the effect. Where instruments are weak, slopes lean
#' to the confounded association. A slope by context says on whom the effect is larger, not that
#' changing the context would change it.
#'
#' Of each person's slope, of the average slope and of whether there is but one slope the fit says
#' how sure one can be. The slope is constant unless the data say otherwise.
#'
#' @section Instruments of a slope:
#' Let \eqn{s} be what the instruments explain of the exposure, without covariates and context. The
#' slopes \eqn{b_0 + f(c)'b} solve \eqn{\sum s_i r_i = 0} and \eqn{\sum s_i f(c_i) r_i = 0}, where
#' \eqn{r} is the residual and \eqn{f} are features of the context; constant, covariates, context
#' and what networks make of it are main effects. An exposure that was shrunk is thus an instrument
#' and not a regressor, and its scale does not matter. Against the bias of many or weak
#' instruments, \eqn{s} is that of Fuller's limited-information estimator, which is near two-stage
#' least squares where instruments are strong; `fuller = 0` is two-stage least squares. Fuller's
#' estimator is by far the more sensitive of the two to direct effects of variants on the outcome:
#' those that average to zero leave two-stage least squares near the truth and can lead Fuller's
#' far from it. So where the over-identifying restrictions are rejected at the 5 % level (Anderson
#' and Rubin's test), two-stage least squares is used whatever `fuller` says (`kappa` is then 1).
#'
#' With `stage1 = "lasso"` the instruments are those that a LASSO selects (`refit = FALSE`: its
#' shrunken fit is the only one); `"contextual"` lets the instruments' strength vary with the
#' context, by a common factor, in the same way as slopes; `"none"` is the regression without
#' instruments.
#'
#' @section Encoders:
#' `"linear"`: \eqn{f(c) = c}. `"mlp"`: \eqn{c}, its squares and what a network of all context
#' variables adds; `"additive"`: \eqn{c}, its squares and what networks of single columns, trained
#' together, add; `"archetypes"`: a network's shares in `archetypes`
#' kinds of people, each with a slope of its own. Networks are trained on the residuals of the fit
#' without them, one on the rows outside each of `n_folds` folds, so that what it says of the rows
#' of its fold can be weighed honestly: it is one more feature in \eqn{f}. New people get the mean
#' over the networks.
#'
#' @section How much heterogeneity:
#' The features' coefficients have normal priors of mean 0, with a variance for each term of the
#' context and for each network, chosen by marginal likelihood: a term enters only if twice the log
#' likelihood grows by more than log(n). So the slope is exactly constant where there is no
#' evidence, and coefficients are shrunk where there is little. `shrink = FALSE` leaves all
#' features in without priors; with the linear encoder that is two-stage least squares with all
#' interactions.
#'
#' @section Inference:
#' The average slope (`coef()`, `tidy()`) has a standard error that is robust to unequal variances
#' and, with `cluster`, to correlation within groups, and that counts the spread of slopes among
#' people drawn. Where the variance of \eqn{s} depends on the context, its moment is divided by it,
#' so that errors in the slopes' shape do not enter (Neyman orthogonality). Slopes of people
#' ([context_effects()]) have standard errors from the posterior of the closed form, the features
#' taken as given; for them no evidence is asked of a term, so that heterogeneity too small to be
#' found widens them. Their intervals are conservative where slopes are constant or differ clearly:
#' averaged over people, 95 % intervals held 96 to 100 % of the slopes in simulations, and 92 to
#' 96 % where differences were hardly to be found. With `n_boot` both come from bootstrap replicates
#' of all steps; `cluster` is drawn as a whole.
#'
#' [heterogeneity_test()] is a score test: the residuals at a constant slope against \eqn{s} times
#' the context and its squares, the same functions being main effects. It has its size whatever the
#' main effects (permuting rows of the context would not), and rejects too seldom where rows are few
#' for its degrees of freedom.
#'
#' @section Logit link:
#' With a binary outcome and `link = "logit"` slopes are log odds ratios per unit of the exposure
#' that the instruments predict (two-stage predictor substitution). They are smaller than those of
#' the exposure itself where unmeasured causes of the outcome are strong.
#'
#' @inheritParams iv_2sls
#' @inheritSection iv_2sls Formulas
#' @inheritSection iv_2sls Missing values
#' @param context Effect modifiers: a one-sided formula (factors, splines, interactions are
#'   possible) with variables of `data`, or a matrix or data.frame. No value may be missing.
#' @param y,x,z,w Instead of a formula: outcome (n), one exposure, instruments and covariates (n
#'   rows each; vector, matrix or data.frame).
#' @param stage1 What predicts the exposure, see below.
#' @param stage2 `"contextual"`, or `"constant"` for one slope (with the context as main effects).
#' @param encoder What is learnt from the context, see below.
#' @param link `"identity"`, or `"logit"` for an outcome that is 0 or 1.
#' @param archetypes Their number.
#' @param shrink Choose how much heterogeneity enters (see below), or take it all?
#' @param fuller Fuller's constant: 4 aims at a small mean squared error, 1 at little bias, 0 is
#'   two-stage least squares, which direct effects of variants harm less and which is taken anyway
#'   where instruments contradict each other (see below).
#' @param refit After a LASSO, estimate with the selected instruments (`TRUE`) or with the shrunken
#'   fit as the only one?
#' @param n_folds Number of folds for which networks are trained.
#' @param penalty Penalties on what networks say: numbers named `slope_l1`, `slope_l2`,
#'   `offset_l1`, `offset_l2`; by default 0.
#' @param control Settings of the networks, from `context_control()`: [nn_control()] with other
#'   defaults. Networks have the layers of the outcome network.
#' @param n_boot Number of bootstrap replicates, at least 10; 0 for intervals in closed form.
#' @param seed Of folds, initial weights, order of rows and replicates: NULL draws one from R's
#'   generator, a whole number is used as it is.
#' @param model Keep exposure, covariates and context?
#' @param hidden Units of the hidden layers, `c(8, 8, 8)` for the small network of the study.
#' @param ... Other settings of [nn_control()].
#' @return A list of class `c("iv_contextual", "iv_fit")` of plain numbers: `coefficients`, the
#'   average slope under the exposure's name; `slopes`, one per row; `slope_coefficients`
#'   (data.frame `feature, term, estimate, std.error, prior.sd`; features are standardised, a
#'   prior.sd of 0 left them out); `tests`, see [heterogeneity_test()]; `constant`, estimate and
#'   standard error of a constant slope; `archetypes` (data.frame `archetype, slope, share`),
#'   `kappa` of Fuller's estimator; `diagnostics` (those of two-stage least squares with the
#'   context as covariates, robust, and the test of heterogeneity); `context`, how columns were
#'   made; `estimate`, coefficients and networks; with `n_boot` `boot`. Read it with
#'   [context_effects()], [effect_of_context()], [heterogeneity_test()], `plot()`,
#'   [effect_curve()], [ate()], [cate()], [average_derivative()], `predict()`, `tidy()`,
#'   `glance()`, `augment()`, [training_history()].
#' @references
#' Talluri, N. (2025). contextualized-mr. <https://github.com/ntalluri/contextualized-mr>
#' Fuller, W. A. (1977), Econometrica 45:939. Morris, C. N. (1983), J. Am. Stat. Assoc. 78:47
#' (empirical Bayes). Chernozhukov et al. (2018), Econom. J. 21:C1 (orthogonal moments).
#' @examples
#' sim <- sim_contextual(n = 2000, L = 10, pi_scale = 0.3, seed = 1,
#'   beta = function(context) 0.3 + 0.2 * context$bmi)
#' z <- as.matrix(sim[truth(sim)$instruments])
#' fit <- iv_contextual(Y ~ X | z, data = sim, context = ~ age + sex + bmi, seed = 1)
#' fit
#' head(context_effects(fit))
#' plot(fit, variables = "bmi")
#' @export
iv_contextual <- function(formula = NULL, data = NULL, context = NULL, subset = NULL,
                          weights = NULL, na.action = NULL, cluster = NULL,
                          na_genotype = c("impute", "drop", "error"), y = NULL, x = NULL, z = NULL,
                          w = NULL, id = NULL,
                          stage1 = c("ols", "lasso", "contextual", "none"),
                          stage2 = c("contextual", "constant"),
                          encoder = c("mlp", "linear", "additive", "archetypes"),
                          link = c("identity", "logit"), archetypes = 3, shrink = TRUE,
                          fuller = 4, refit = TRUE, n_folds = 3, penalty = NULL,
                          control = context_control(), n_boot = 0, seed = NULL, model = TRUE,
                          n_threads = mrl_threads()) {
  call <- match.call()
  how <- list(
    stage1 = check_choice(stage1, c("ols", "lasso", "contextual", "none")),
    stage2 = check_choice(stage2, c("contextual", "constant")),
    encoder = check_choice(encoder, c("mlp", "linear", "additive", "archetypes")),
    link = check_choice(link, c("identity", "logit")),
    archetypes = check_count(archetypes, min = 2, max = 100), shrink = check_flag(shrink),
    fuller = check_number(fuller, min = 0), refit = check_flag(refit),
    n_folds = check_count(n_folds, min = 2, max = 50), penalty = check_context_penalty(penalty),
    control = check_control(control), n_boot = check_n_boot(n_boot),
    seed = resolve_seed(seed), n_threads = check_threads(n_threads)
  )
  check_flag(model)
  frame <- iv_frame(call, parent.frame(), list(y = y, x = x, z = z, w = w),
    if (how$stage1 == "none") "none" else "required",
    na_genotype = if (missing(na_genotype)) "impute" else na_genotype
  )
  check_contextual_frame(frame, how)
  design <- read_context(call, parent.frame(), context, frame)
  design$bends <- find_bends(design)
  if (how$stage1 != "none") {
    check_context_instruments(design, frame, how$n_threads)
  }
  problem <- contextual_problem(frame, design, how)
  estimate <- contextual_estimate(problem)
  new_contextual_fit(estimate, problem, frame, design, call, model)
}

#' @rdname iv_contextual
#' @export
context_control <- function(hidden = c(25, 25, 25), ...) {
  given <- list(hidden = hidden, ...)
  base <- list(activation = "softplus", batch_norm = FALSE, epochs = 60, batch_size = 250,
    learning_rate = 5e-3, weight_decay = 1e-3, patience = 15, validation = 0.2)
  do.call(nn_control, utils::modifyList(base, given))
}

check_context_penalty <- function(penalty) {
  names <- c("slope_l1", "slope_l2", "offset_l1", "offset_l2")
  out <- stats::setNames(rep(0, 4), names)
  if (is.null(penalty)) {
    return(out)
  }
  if (!is.numeric(penalty) || is.null(names(penalty)) || !all(names(penalty) %in% names) ||
    any(!is.finite(penalty)) || any(penalty < 0)) {
    stop_argument("penalty", paste("must be numbers, at least 0, named among", shorten(names)),
      describe(penalty))
  }
  out[names(penalty)] <- penalty
  out
}

check_contextual_frame <- function(frame, how) {
  if (ncol(frame$x) != 1L) {
    stop_mrl("argument", "iv_contextual() takes one exposure; got ", ncol(frame$x), ": ",
      shorten(colnames(frame$x)), ".")
  }
  if (!frame$intercept) {
    stop_mrl("formula", "iv_contextual() needs a constant: leave out + 0.")
  }
  if (max(frame$x) == min(frame$x)) {
    stop_mrl("collinear", "The exposure `", colnames(frame$x), "` is constant.")
  }
  if (how$link == "logit" && !all(frame$y %in% c(0, 1))) {
    stop_mrl("data", "With `link = \"logit\"` the outcome `", frame$outcome,
      "` must be 0 or 1; got ", format(frame$y[!frame$y %in% c(0, 1)][1]), ".")
  }
  if (how$link == "logit" && max(frame$y) == min(frame$y)) {
    stop_mrl("data", "The outcome `", frame$outcome, "` is ", format(frame$y[1]), " in all rows.")
  }
}

contextual_problem <- function(frame, design, how) {
  n <- length(frame$y)
  unit <- if (is.null(frame$cluster)) seq_len(n) else frame$cluster
  n_units <- max(unit)
  n_columns <- ncol(frame$w) + 2L * length(design$group) + length(design$bends) + 2L +
    length(frame$z_names)
  if (n_units < max(how$n_folds, 3L)) {
    stop_mrl("data", "There are too few ", if (is.null(frame$cluster)) "rows" else "clusters", " (",
      n_units, ") for ", how$n_folds, " folds.")
  }
  if (n <= n_columns) {
    stop_mrl("data", "There are too few rows (", n, ") for ", n_columns, " columns: covariates, ",
      "context, its squares, slopes and instruments.")
  }
  how$n_rows <- n
  fold <- lasso_folds(n_units, how$n_folds, seed = how$seed)
  list(
    y = frame$y, x = frame$x[, 1], w = structure(as.double(frame$w), dim = dim(frame$w)),
    z = if (how$stage1 == "none") list() else frame$z, n_instruments = length(frame$z_names),
    weights = frame$weights, cluster = frame$cluster, context = design$columns,
    group = design$group, term_names = design$term_names,
    dictionary = context_dictionary(design), bends = design$bends, unit = as.integer(unit),
    n_units = n_units,
    fold = as.integer(fold[unit]),
    lasso_fold = if (how$stage1 == "lasso") {
      as.integer(lasso_folds(n_units, min(10L, n_units), seed = how$seed)[unit])
    }, how = how
  )
}
