#' Quantile IV: nonlinear effects by networks, from quantiles of the exposure
#'
#' Estimates how the mean outcome depends on an exposure that is set, whatever the shape, under
#' these assumptions: the instruments shift the exposure; nothing confounds instruments and outcome
#' given the covariates; the instruments reach the outcome only through the exposure; and what
#' confounds exposure and outcome adds up with the exposure's effect on the outcome. The data can
#' contradict them, never show them. The curve is reliable only where the instruments bring
#' exposures about (column `overlap` of [effect_curve()]): beyond it is extrapolated. Weak
#' instruments bend it towards the confounded regression and make intervals too narrow, which no
#' bootstrap cures: look at [diagnostics()]. Intervals need `n_boot`; those of effects that differ
#' with a covariate ([cate()]) are far too narrow unless replicates are half-samples,
#' `control = nn_control(boot_type = "half")` (see \emph{What to expect}).
#'
#' A first network learns quantiles of the exposure given instruments and covariates; a second one
#' learns the outcome as a function of exposure and covariates such that its average over the
#' quantiles meets the outcome.
#'
#' @section What to expect:
#' Of the poster's design ([sim_nonlinear()], quadratic effect, exposure of variance 1), five data
#' sets that served for nothing else, with the default settings: the median of the curve's mean
#' squared error over the whole range of exposures is 0.002 with 100,000 people and 0.009 with
#' 10,000 (the authors report 0.045 and 0.08). Curves that no quadratic continues err more at their
#' ends, where few people are. With 5,000 people and 100 replicates, 95 % intervals of the average
#' derivative and of the curve at the exposure's quartiles covered 94 to 96 % in 200 data sets each
#' (linear and quadratic effect; Monte Carlo error 1.5 %). Where a covariate bends the effect
#' ([sim_effect_modifier()], 20,000 people, 20 data sets), 95 % intervals of the effect at given
#' values of it held 65 % (Monte Carlo error 6 %) with the default replicates: between data sets
#' such estimates vary up to twice as much as these say, which go on from the fit's weights. With
#' half-samples the same held 90 % (Monte Carlo error 5 %; at the covariate's 1 % quantile 80 %,
#' where estimates are drawn to the middle). All numbers, with those of other designs, are in
#' `bench/neural.md` of the sources.
#'
#' @section Method:
#' With \eqn{\hat x_{i1}, ..., \hat x_{iq}} the quantiles of the exposure of row \eqn{i} at the
#' levels \eqn{\tau_k}, the second network \eqn{g} minimises the mean of
#' \deqn{(y_i - \frac{1}{q} \sum_k g(\hat x_{ik}, w_i))^2}
#' while the first one stays as it is. With `binary = TRUE`, \eqn{g} is a probability and the loss
#' the cross-entropy of the averaged probabilities; effects are then risk differences.
#'
#' The published levels are the midpoints \eqn{(2k - 1) / 2q}. They understate the variance of the
#' exposure given the instruments (a normal one by a quarter with q = 5), which shifts a curved
#' \eqn{g}, and bends it where that variance differs between people. `nodes = "matched"` moves the
#' levels outwards until mean and variance of a normal law are met exactly. A skewed law is still
#' approximated: take more quantiles.
#'
#' With `non_crossing = TRUE` the first network gives one quantile and distances that cannot be
#' negative, so that its quantiles never cross; otherwise each quantile is an output of its own.
#'
#' @section Closed forms:
#' With `refit = TRUE` in [nn_control()] both networks are used as features of regressions that have
#' a closed form. The first stage's quantiles of a row are moved so that their mean is a
#' least-squares fit of the exposure on instruments, covariates and the last hidden layer, and
#' stretched by a factor, quadratic in that mean, so that second moments of the exposure are met
#' too. The outcome function is a quadratic in the exposure, covariates and their products with the
#' exposure, and the last hidden layer of the outcome network; its roughness in the exposure is
#' penalised, and how much is chosen by the Bayesian information criterion. With
#' `hidden = integer(0)` this is two-stage least squares.
#'
#' @section Intervals:
#' Each of `n_boot` replicates draws the rows again (whole clusters, if there are any; each sample
#' by itself with `stage2_data`), goes on training both networks from the fit's weights for
#' `boot_epochs` epochs on what it drew, and solves the closed forms anew, with the penalty of the
#' fit. With `boot_type = "half"` in [nn_control()] each is instead a fit of half the rows
#' (clusters) by itself, from fresh weights: slower, and for effects that differ between people.
#' Replicates run in parallel, and are the same on any number of threads and workers.
#' [effect_curve()], [ate()], [cate()], [average_derivative()], `predict()`, `confint()` and
#' `tidy()` read intervals off them. They account for sampling, not for the bias of a curve that is
#' too smooth.
#'
#' @section Two samples:
#' With `stage2_data` the exposure is learnt from `data` and the outcome from `stage2_data`. The
#' variables that the formula, `weights` and `cluster` name must be in both, but for the outcome in
#' the first and the exposure in the second; `subset` is of the first. Fitted values and averages
#' are over the people of the first sample; residuals are NA, as nobody has both exposure and
#' outcome.
#'
#' @section Instrument strength:
#' [diagnostics()] has the F test of the linear first stage (`Weak instruments`; with clusters also
#' the effective F), and, from rows that the first stage has not seen, `Out-of-sample R2` of the
#' first stage's mean exposure (1 less the squared error as a share of that of the training rows'
#' mean) and `Out-of-sample F`, of that mean exposure next to the covariates. An exposure that does
#' not vary given the instruments gives a warning of class `mrlearn_warning_no_variation`.
#'
#' @section Training:
#' See [nn_control()]. Both stages hold out the same rows, whole clusters together. Where a training
#' diverges there is a warning of class `mrlearn_warning_diverged` and the last finite weights are
#' used; where no epoch was better than the initial weights, one of class
#' `mrlearn_warning_not_trained`.
#'
#' A run that is given a `checkpoint` and killed goes on from that file, to the same numbers, when
#' the same call is made again (without `seed` it takes that of the file). The file is removed at
#' the end. One of other data or settings, or of another instruction set, is refused with an error
#' of class `mrlearn_error_checkpoint`.
#'
#' @inheritParams iv_2sls
#' @inheritSection iv_2sls Formulas
#' @inheritSection iv_2sls Missing values
#' @param subset,weights As in [stats::lm()]; weights say how much a row counts in both losses.
#' @param cluster Groups of rows that belong together (families): `~ family`, or a variable. They
#'   are held out, cross-fitted and drawn again as wholes.
#' @param y,x,z,w Instead of a formula: outcome (n), one exposure, instruments and covariates (n
#'   rows each; vector, matrix or data.frame).
#' @param binary Is the outcome 0 or 1, and its probability to be learnt?
#' @param n_quantiles Number of quantiles, 1 to 200. Time and memory of the second stage grow with
#'   it.
#' @param nodes Levels of the quantiles, `"matched"` or `"midpoints"`.
#' @param non_crossing Make it impossible that quantiles cross?
#' @param stage2_data Data.frame with outcome, instruments and covariates of another sample; see
#'   below.
#' @param cross_fit Folds of the first stage: with 2 or more, each row's quantiles come from a
#'   network that has not seen it. 1: one network for all.
#' @param n_boot Bootstrap replicates: 0 for none, or at least 10.
#' @param workers Where replicates run: on `"threads"` of this process, on `"future"` workers, or
#'   (`"auto"`) on those where a plan other than sequential is set, see [future::plan()].
#' @param control Settings of the networks, from [nn_control()].
#' @param seed Of the rows held out, initial weights, order of rows, dropout and replicates: NULL
#'   draws one from R's generator, a whole number is used as it is.
#' @param checkpoint File to keep the run in while it lasts, or NULL. It is R's own (RDS), which can
#'   hold code: never go on from a stranger's.
#' @param checkpoint_every Epochs between two writings of the file.
#' @param progress Show a progress bar (never inside knitr)? Or a function that is called with the
#'   phase (`"training"`, `"bootstrap"`), how much is done and the most there will be.
#' @param model Keep exposure and covariates, which [effect_curve()] averages over?
#' @return A list of class `c("iv_quantile", "iv_neural", "iv_fit")` of plain numbers (`saveRDS()`
#'   works): `coefficients`, the average derivative under the exposure's name, and `vcov`, its
#'   variance over the replicates; `fitted.values` \eqn{g(x_i, w_i)} and `residuals`; `diagnostics`;
#'   `history`; `network`, the weights of both stages and how columns were standardised;
#'   `replicates`, those of the outcome network; `head`, what the closed form chose (order of the
#'   roughness, penalties, degrees of freedom); `x_hat`, the mean exposure by the first stage;
#'   `held_out`, the rows held out; `tau`, the levels; `control`, `seed`. Read it with
#'   [effect_curve()], [ate()], [cate()], [average_derivative()], `predict()`, `tidy()`, `glance()`,
#'   [training_history()], [`plot()`][plot.iv_neural].
#' @references Legault, M.-A. et al. (2023). ml-mr: machine learning for Mendelian randomization,
#'   GLBIO; source code <https://github.com/legaultmarc/ml-mr>.
#' @seealso [iv_deep()] for a first stage that is a density; [neural_effects] for the intervals.
#' @examples
#' sim <- sim_nonlinear(n = 2000, n_variants = 4, seed = 1)
#' g <- as.matrix(sim[truth(sim)$instruments])
#' fit <- iv_quantile(Y ~ X | g, data = sim, n_boot = 20, seed = 1,
#'   control = nn_control(epochs = 20))
#' fit
#' effect_curve(fit, x = c(-1, 0, 1))
#' ate(fit, from = 0, to = 1)
#' @export
iv_quantile <- function(formula = NULL, data = NULL, subset = NULL, weights = NULL,
                        na.action = NULL, cluster = NULL,
                        na_genotype = c("impute", "drop", "error"),
                        y = NULL, x = NULL, z = NULL, w = NULL, id = NULL, binary = FALSE,
                        n_quantiles = 5,
                        nodes = c("matched", "midpoints"), non_crossing = TRUE,
                        stage2_data = NULL, cross_fit = 1, n_boot = 0,
                        workers = c("auto", "threads", "future"), control = nn_control(),
                        seed = NULL, checkpoint = NULL, checkpoint_every = 10,
                        progress = interactive(), model = TRUE, n_threads = mrl_threads()) {
  call <- match.call()
  nodes <- check_choice(nodes, c("matched", "midpoints"))
  n_quantiles <- check_count(n_quantiles, max = 200)
  settings <- first_stage_settings("quantile",
    n_quantiles = n_quantiles, matched = nodes == "matched",
    non_crossing = check_flag(non_crossing)
  )
  first <- list(
    settings = settings, estimator = "Quantile IV", class = "iv_quantile",
    label = paste0(n_quantiles, " ", nodes, " quantile", if (n_quantiles != 1L) "s"),
    extra = list(n_quantiles = n_quantiles, nodes = nodes, non_crossing = non_crossing)
  )
  how <- neural_arguments(binary, cross_fit, n_boot, workers, control, seed, checkpoint,
    checkpoint_every, progress, model, n_threads, "iv_quantile")
  fit_neural(call, parent.frame(), list(y = y, x = x, z = z, w = w), na_genotype, stage2_data,
    first, how)
}

# All that the core wants to know of a first stage; what its kind does not use has any value.
first_stage_settings <- function(kind, n_quantiles = 1L, matched = TRUE, non_crossing = FALSE,
                                 n_components = 1L, n_draws = 1L, ridge = NA_real_) {
  list(
    first = match(kind, neural_first_stages) - 1L, n_quantiles = n_quantiles, matched = matched,
    non_crossing = non_crossing, n_components = n_components, n_draws = n_draws, ridge = ridge
  )
}
