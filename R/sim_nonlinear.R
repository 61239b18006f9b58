# Causal curves by name: f and its derivative.
nonlinear_curves <- list(
  quadratic = list(
    curve = function(x) 0.3 * x^2 + 0.3 * x + 0.4,
    slope = function(x) 0.6 * x + 0.3
  ),
  linear = list(
    curve = function(x) 0.3 * x,
    slope = function(x) rep(0.3, length(x))
  ),
  sine = list(
    curve = function(x) sin(x),
    slope = function(x) cos(x)
  ),
  threshold = list(
    curve = function(x) pmax(x - 0.6, 0),
    slope = function(x) as.double(x > 0.6)
  ),
  J = list(
    curve = function(x) exp((x + 0.5) / 2) - (x + 0.5) / 2 - 1,
    slope = function(x) (exp((x + 0.5) / 2) - 1) / 2
  )
)

#' Simulate a nonlinear causal effect
#'
#' The design on which Quantile IV was presented (Legault et al. 2023, poster and notebook of
#' ml-mr): independent variants move an exposure, an unmeasured confounder moves exposure and
#' outcome, and the outcome depends on the exposure through a curve \eqn{f}. For person \eqn{i} and
#' variant \eqn{j},
#' \deqn{X_i = \sum_j g_j \frac{G_{ij} - 2 p_j}{\sqrt{2 p_j (1 - p_j)}} + \beta_{UX} U_i + v_i}
#' \deqn{Y_i = f(X_i) + \beta_{UY} U_i + e_i}
#' where \eqn{G_{ij}} is binomial(2, \eqn{p_j}) with \eqn{p_j} uniform on `maf`, \eqn{g_j =
#' \sqrt{d_j h^2}} with \eqn{d} Dirichlet(1, ..., 1), \eqn{U} and \eqn{e} standard normal and
#' \eqn{v} normal with the variance \eqn{1 - h^2 - \beta_{UX}^2}. So Var X = 1, the variants explain
#' the share `h2` of it, and the mean outcome had everybody the exposure \eqn{x} is \eqn{f(x)}, all
#' constants included.
#'
#' Genotypes are standardised by the moments of their law, not by those of the sample, so that Var X
#' is 1 in the population and one person does not depend on the others: the same seed gives the same
#' first people in larger data, on any number of threads. The columns have the allele counts.
#'
#' Curves by name: `"quadratic"` \eqn{.3 x^2 + .3 x + .4}, the poster's; `"linear"` \eqn{.3 x}, the
#' notebook's; `"sine"` \eqn{\sin x}; `"threshold"` \eqn{(x - .6) 1(x > .6)}, the kink of Tian et
#' al. (2023) with slope 1; `"J"` \eqn{e^t - t - 1} with \eqn{t = (x + .5) / 2}, lowest at
#' \eqn{-.5}, nearly straight below and ever steeper above.
#'
#' The poster varies one thing at a time about `n = 1e5, h2 = 0.5, beta_ux = 0.35` (the defaults but
#' for n): n in 1e4, 1e5, 1e6; h2 in .2, .5, .8; beta_ux in -.5, -.25, .25, .5; five data sets each.
#' The notebook has `beta_ux = 0.25`, `maf = c(0.2, 0.4)` and the linear curve.
#'
#' @param n Number of people.
#' @param n_variants Number of variants.
#' @param h2 Share of the exposure's variance that the variants explain, 0 to 1.
#' @param beta_ux,beta_uy Effects of the confounder on exposure and outcome. `h2 + beta_ux^2` must
#'   be below 1.
#' @param f The causal curve: a name from Details, or a function that takes a numeric vector of
#'   exposures and returns as many finite numbers.
#' @param maf Range of the allele frequencies, above 0 and at most 0.5.
#' @param seed One whole number, or NULL to draw one from R's generator.
#' @param n_threads Number of threads; the result does not depend on it.
#' @return A data.frame of class `mr_sim` with the double columns `Y`, `X` and the genotypes `G0`,
#'   `G1`, ... (0, 1 or 2). [truth()] of it is a list with
#'   * `curve(x)`: \eqn{f(x)}; `slope(x)`: its derivative (by central differences where `f` is a
#'     function); `beta`: the derivative at each person's exposure (n);
#'   * `pi`: effect of an allele of each variant on the exposure, `share` (\eqn{d} above), `mafs`;
#'   * `U`, `noise_x` (\eqn{v}), `noise_y` (\eqn{e}) (n each);
#'   * `instruments`, the names of the genotype columns, and `f`, `n`, `n_variants`, `h2`,
#'     `beta_ux`, `beta_uy`, `seed`.
#' @references Legault, M.-A. et al. (2023). ml-mr: machine learning for Mendelian randomization,
#'   GLBIO; source code <https://github.com/legaultmarc/ml-mr>.
#'
#'   Tian, H. et al. (2023). Relaxing parametric assumptions for non-linear Mendelian randomization
#'   using a doubly-ranked stratification method. PLoS Genetics 19:e1010823.
#' @seealso [sim_effect_modifier()], [evaluate()] to compare a fit with the curve.
#' @examples
#' sim <- sim_nonlinear(n = 2000, seed = 1)
#' sim
#' truth(sim)$curve(c(-1, 0, 1))
#'
#' # A curve of one's own
#' bump <- sim_nonlinear(n = 2000, f = function(x) exp(-x^2), seed = 1)
#' truth(bump)$slope(1)
#' @export
sim_nonlinear <- function(n = 1e4, n_variants = 20, h2 = 0.5, beta_ux = 0.35, beta_uy = -0.7,
                          f = c("quadratic", "linear", "sine", "threshold", "J"),
                          maf = c(0.2, 0.45), seed = NULL, n_threads = mrl_threads()) {
  shape <- check_curve(f)
  settings <- nonlinear_settings(n, n_variants, h2, beta_ux, beta_uy, maf, seed, n_threads)
  out <- .Call(C_sim_nonlinear, settings)
  check_status(out$status, "simulating X and Y")
  parts <- out$value
  genotype <- genotype_columns(parts$genotype)
  y <- curve_values(shape$curve, parts$x) + parts$rest
  if (!all(is.finite(range(y)))) {
    stop_argument("f", "must leave Y finite", describe(f))
  }
  truth <- c(
    list(beta = shape$slope(parts$x), curve = shape$curve, slope = shape$slope, f = shape$name),
    nonlinear_truth(parts, names(genotype), settings)
  )
  about <- c(
    paste0("Simulated by sim_nonlinear(): ", nonlinear_size(truth)),
    paste0("Causal curve of X on Y: ", shape$name, "; the variants explain ",
      format(100 * truth$h2, digits = 3), " % of X")
  )
  new_mr_sim(c(list(Y = y, X = parts$x), genotype), truth, about)
}

# The checked settings that the core takes, of both simulators of this design.
nonlinear_settings <- function(n, n_variants, h2, beta_ux, beta_uy, maf, seed, n_threads) {
  maf <- check_maf_range(maf)
  h2 <- check_number(h2, min = 0, max = 1)
  beta_ux <- check_number(beta_ux)
  if (h2 + beta_ux^2 >= 1) {
    stop_argument("beta_ux", "must leave the exposure noise: h2 + beta_ux^2 below 1",
      format(h2 + beta_ux^2, digits = 6))
  }
  list(
    n = check_count(n), n_snp = check_count(n_variants, max = 1e6), seed = resolve_seed(seed),
    maf_low = maf[1], maf_high = maf[2], h2 = h2, beta_ux = beta_ux,
    beta_uy = check_number(beta_uy), n_threads = check_threads(n_threads)
  )
}

# What the truths of both have.
nonlinear_truth <- function(parts, instruments, settings) {
  list(
    pi = parts$effect, share = parts$share, mafs = parts$maf, U = parts$u, noise_x = parts$v,
    noise_y = parts$e, instruments = instruments, n = settings$n, n_variants = settings$n_snp,
    h2 = settings$h2, beta_ux = settings$beta_ux, beta_uy = settings$beta_uy, seed = settings$seed
  )
}

nonlinear_size <- function(truth) {
  paste0(big(truth$n), " people, ", big(truth$n_variants), " variant",
    if (truth$n_variants > 1L) "s", ", seed ", format(truth$seed, digits = 16))
}

genotype_columns <- function(columns) {
  stats::setNames(columns, paste0("G", seq_along(columns) - 1L))
}

# A list of name, curve and slope.
check_curve <- function(f) {
  if (is.function(f)) {
    return(list(name = "function", curve = f, slope = numeric_slope(f)))
  }
  known <- names(nonlinear_curves)
  if (!identical(f, known) && !(is.character(f) && length(f) == 1L && f %in% known)) {
    stop_argument("f", paste("must be a function or one of",
      paste0("\"", known, "\"", collapse = ", ")), describe(f))
  }
  c(list(name = f[1]), nonlinear_curves[[f[1]]])
}

# Central differences: errors of order step^2 and, from rounding, 1e-16 / step.
numeric_slope <- function(f) {
  force(f)
  function(x) {
    step <- 1e-5 * pmax(1, abs(x))
    (f(x + step) - f(x - step)) / (2 * step)
  }
}

# The user's curve at x, checked.
curve_values <- function(f, x, arg = "f") {
  value <- f(x)
  if (!is.numeric(value) || length(value) != length(x)) {
    stop_argument(arg, paste("must return", length(x), "numbers, one per exposure"),
      describe(value))
  }
  if (any(!is.finite(value))) {
    stop_argument(arg, "must return finite numbers", count_not_finite(value))
  }
  as.double(value)
}
