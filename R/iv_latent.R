# Instruments that are confounded, from several environments: their exogenous part, then 2SLS.

#' Instrumental variables whose instruments are confounded, from several environments
#'
#' Estimates the effect of an exposure where the instruments (genotypes, say) are themselves
#' confounded with the outcome, by population structure or assortative mating, and come from
#' several environments (populations, ancestries, cohorts) that differ in that confounding. The
#' instruments are taken for a mixture \eqn{Z = g(V, W)} of an invalid part \eqn{V}, whose law
#' differs between environments, and a valid part \eqn{W}, which has the same law in all of them and
#' is independent of \eqn{V} and the confounder (Huang, Robinson & Locatello 2026). A
#' representation finds \eqn{W} up to an invertible map, and two-stage least squares uses it as
#' instrument. It is the causal effect if \eqn{W} exists, shifts the exposure, reaches the outcome
#' through the exposure only, and everything about the instruments that is confounded differs
#' between the environments. What differs in none of them (two environments alike, a
#' confounded direction with the same moments everywhere) is taken for valid: that no data can show.
#' It fails, and refuses, where no such \eqn{W} can be told apart from \eqn{V}: real genotypes of
#' four populations were refused in all of ten simulations, and no estimator beside it was of use
#' there either (biases of .5 to .8 for an effect of .5, populations as covariates or not). With
#' fewer environments than \eqn{V} has dimensions, and one more, a mixture of unknown form is not
#' identified: the autoencoder with an MLP as decoder refuses there, and its published split of the
#' latent (`split = "learned"` in [latent_control()]) lets through some of \eqn{V}, with biases of
#' up to .1 for cubic mixtures in two environments. Where a method has the form of the mixture, 95 %
#' intervals held the effect in 92 to 98 % of 60 to 200 simulations with two environments, and in 97
#' to 100 % with three (bench/latent.md of the sources).
#'
#' @section Methods:
#' * `"ssa"`: linear mixing, closed form: the linear functions of the instruments whose mean and
#'   covariance differ least between environments (stationary subspace analysis).
#' * `"closure"`: polynomial mixing without noise: the directions whose square is again linear in
#'   the instruments span the latents; then SSA on them.
#' * `"flow"`: invertible mixing by a piecewise-linear network: a flow by maximum likelihood with
#'   normal latents whose law differs between environments; then SSA.
#' * `"autoencoder"`: the published method: an encoder and a decoder, with penalties for differences
#'   of \eqn{W} between environments and for dependence of the two parts.
#' * `"auto"` tries them in this order and takes the first whose gate is passed in every fold. What
#'   was tried, and why it was refused, is in `fit$tried`.
#'
#' A gate is a rule without knowledge of the truth: the last eigenvalue that must be stationary is
#' as small as estimation error makes it, the next one is not, and the method's own assumption
#' (reconstruction, say) holds; with `"flow"` and `"autoencoder"` a permutation test of the
#' independence of \eqn{V} and \eqn{W} within environments must not reject. Where no gate is
#' passed, a warning of class `mrlearn_warning_unidentified` says so. A method that was asked for by
#' name still gives its estimate with its own standard errors; `"auto"` gives the estimate of the
#' method nearest to its gate with an infinite standard error and an interval of all numbers, since
#' nothing in the data then bounds the bias. The estimators side by side, `fit$estimators`, show how
#' far they are apart.
#'
#' With two environments a nonlinear mixture is identified through the form of the model only;
#' without such a form about as many environments as \eqn{V} has dimensions, and one more, are
#' needed. If `latent_dim` gives \eqn{W} fewer dimensions than it has, a part of it is found, which
#' is still valid (partial identification); the gate refuses it where it sees further directions
#' that are stationary, as it refuses a \eqn{V} that is too small. If it gives \eqn{W} more, a
#' linear mixture is refused. Where the mixture is polynomial the autoencoder may pass: the further
#' latents are then products of those of \eqn{W}, and as valid.
#'
#' @section Inference:
#' With `cross_fit = 2` people are split in two halves within each environment; the representation
#' is learned on one half and used on the other, both ways. The latents of each half, centred, are
#' instruments of their own (those of the other half are zero), and one regression uses all rows: so
#' both halves count by their information, standard errors are the usual ones (robust by default),
#' and given the representation of the other half each half's instruments are functions of its own
#' rows alone. What is left out is that an estimated \eqn{W} contains a trace of \eqn{V} of order
#' \eqn{1 / \sqrt{n}}, common to the rows of a half. It makes a bias of order \eqn{1 / n}: with
#' 10000 people per environment in the simulated design it is a tenth to two fifths of a standard
#' error. There 95 % intervals of `"ssa"` held in .96 to 1 of 200 data sets, but in .92 in the hard
#' variant with two environments, where standard errors are a fifteenth too small (Monte Carlo error
#' .015); those of `"closure"` and `"flow"`, of polynomial mixtures and networks, in .97 to 1 of 60,
#' in the same hard variant .93 (.028). With 3000 people the bias is up to two thirds of a standard
#' error and intervals held in .90 to .93, with 1000 in .88 to .90; the bootstrap does not change
#' that. With `partial_out` the standard errors are too small by up to a third (intervals held in
#' .82 to .95): bootstrap the whole, whose intervals held in 1 and .95 of 60 data sets of two
#' environments. `n_boot` does that: rows (or clusters) are drawn within environments,
#' representation and regression repeated; the covariance of the replicates (`fit$boot$estimates`)
#' then replaces the other. With closed forms that takes seconds.
#'
#' @inheritParams iv_2sls
#' @param environment The environments: `~ pop`, or a vector with a value for each row of the data.
#'   At least two, of at least 10 (V + W) rows each.
#' @param latent_dim `c(V, W)`: dimensions of the invalid and the valid part, at least 1 each;
#'   together at most the number of instruments.
#' @param method See below. Where this argument cannot be named, as in `iv_fit("latent", ...)`, it
#'   is `control = latent_control(method = )`.
#' @param vcov The covariance of the estimates, as in [iv_2sls()]. `cluster` overrides it.
#' @param partial_out Take \eqn{V} as covariates (its estimate is removed linearly from outcome,
#'   exposure and \eqn{W}): narrower intervals, but it needs that the estimated \eqn{V} has no part
#'   of \eqn{W}.
#' @param cross_fit Folds of cross-fitting: 2 or more, or 1 to learn and estimate on the same rows
#'   (intervals are then too narrow).
#' @param n_boot Replicates of the bootstrap of the whole; 0: none, else at least 10.
#' @param compare Fit the other estimators beside it?
#' @param control Settings of the methods: [latent_control()], or a list of some of them.
#' @param seed One whole number, or NULL to draw one from R's generator.
#' @return As [iv_2sls()], of class `c("iv_latent", "iv_fit")`, the instruments being the latents of
#'   each fold, with
#'   * `method`, `latent_dim`, `identified` (was the gate passed in all folds?), `representations`
#'     (a list by fold, without data), `tried` (data.frame `method, fold, passed, statistic,
#'     threshold, reason, seconds`), `eigenvalues` (matrix with a column per fold);
#'   * `latent`: list `v`, `w` (matrices, a row per person, each row by the representation that has
#'     not seen it), `fold`, `environment`;
#'   * `estimators`: data.frame `estimator, estimate, std.error, conf.low, conf.high,
#'     n.instruments`: `2SLS(W)`, `PO(V)-2SLS(W)`, `2SLS(Z)`, `PO(environment)-2SLS(Z)` (indicators
#'     of environments as covariates), `2SLS(Z) + PCs` (V leading principal components of Z as
#'     covariates), `LIML(Z)`, `Egger(Z)` and `PO(environment)-Egger(Z)` (individual-level MR-Egger
#'     of the associations of each instrument; without standard errors, as the associations are
#'     correlated) and `OLS`; NA where one cannot be computed;
#'   * `boot`, or NULL.
#'
#'   [diagnostics()] of it adds tests of the latents. Errors: `mrlearn_error_data` where
#'   environments are too few or too small, or the instruments have fewer independent columns than
#'   `latent_dim` asks for.
#' @references Huang, Robinson & Locatello (2026). arXiv:2602.19782. Hara et al. (2012), Neural
#'   Networks 33:7.
#' @seealso [sim_environments()], [kernel_statistics].
#' @examples
#' sim <- sim_environments(n = 2000, seed = 1)
#' z <- as.matrix(as.data.frame(sim)[truth(sim)$instruments])
#' fit <- iv_latent(Y ~ X | z, data = sim, environment = ~environment, latent_dim = c(2, 2),
#'   method = "ssa", seed = 1)
#' fit
#' fit$estimators
#' diagnostics(fit, truth = truth(sim))
#' @export
iv_latent <- function(formula = NULL, data = NULL, environment = NULL, latent_dim = NULL,
                      method = c("auto", "ssa", "closure", "flow", "autoencoder"),
                      subset = NULL, weights = NULL, na.action = NULL, cluster = NULL,
                      vcov = c("HC1", "iid", "HC0", "HC2", "HC3"),
                      na_genotype = c("impute", "drop", "error"),
                      y = NULL, x = NULL, z = NULL, w = NULL, id = NULL, partial_out = FALSE,
                      cross_fit = 2, n_boot = 0, compare = TRUE, control = latent_control(),
                      seed = NULL, model = TRUE, n_threads = mrl_threads()) {
  call <- match.call()
  control <- read_latent_control(control)
  method <- latent_method(if (!missing(method)) method, control$method)
  vcov <- check_choice(vcov, c("HC1", "iid", "HC0", "HC2", "HC3"))
  how <- list(
    method = method, latent_dim = check_latent_dim(latent_dim),
    partial_out = check_flag(partial_out), cross_fit = check_count(cross_fit, max = 20),
    n_boot = check_n_boot(n_boot), compare = check_flag(compare),
    control = control, seed = resolve_seed(seed),
    n_threads = check_threads(n_threads)
  )
  check_flag(model)
  frame <- iv_frame(call, parent.frame(), list(y = y, x = x, z = z, w = w), "required",
    na_genotype = if (missing(na_genotype)) "impute" else na_genotype
  )
  how$vcov <- check_vcov(vcov, frame)
  check_latent_frame(frame)
  problem <- latent_problem(frame, read_environment(call, parent.frame(), environment, frame), how)
  fit_latent(problem, how, call, model)
}

check_latent_dim <- function(latent_dim) {
  good <- is.numeric(latent_dim) && length(latent_dim) == 2L && all(is.finite(latent_dim)) &&
    all(latent_dim >= 1) && all(latent_dim == round(latent_dim))
  if (!good) {
    stop_argument("latent_dim", "must be two whole numbers of at least 1, c(V, W)",
      describe(latent_dim))
  }
  given <- names(latent_dim)
  if (!is.null(given) && !identical(given, c("V", "W"))) {
    stop_argument("latent_dim", "must have the names V and W, in this order, or none",
      paste(given, collapse = ", "))
  }
  stats::setNames(as.integer(latent_dim), c("V", "W"))
}

# The method by its argument or by latent_control(), which may not contradict each other.
latent_method <- function(argument, setting) {
  known <- c("auto", latent_methods)
  if (is.null(argument)) {
    return(if (is.null(setting)) known[1] else setting)
  }
  method <- check_choice(argument, known, "method")
  if (!is.null(setting) && setting != method) {
    stop_argument("method", paste0("must be that of `control`, \"", setting, "\", or not be given"),
      describe(method))
  }
  method
}

check_latent_frame <- function(frame) {
  if (!frame$intercept) {
    stop_mrl("formula", "iv_latent() needs the constant: leave `+ 0` out of `formula`.")
  }
  check_rows(list(y = frame$y, x = frame$x, w = frame$w, z_names = colnames(frame$x),
    intercept = TRUE))
}
