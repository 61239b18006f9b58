#' Simulate a causal effect that another variable modifies
#'
#' The exposure is drawn as in [sim_nonlinear()]; its effect on the outcome is linear, with a slope
#' that depends on a measured modifier \eqn{M \sim N(0, 1)}, independent of everything else:
#' \deqn{Y_i = s(M_i) X_i + \beta_{UY} U_i + e_i, \quad s(m) = .1 + 1.1 \Phi(1.5 m).}
#' Over the middle 98 % of \eqn{M} the slope rises from .1 to 1.2, as in the ml-mr study (Legault et
#' al. 2023), which shows this relation in a figure only; the formula is ours.
#'
#' @inheritParams sim_nonlinear
#' @return A data.frame of class `mr_sim` with the double columns `Y`, `X`, `M` and the genotypes
#'   `G0`, `G1`, ... [truth()] of it is a list with
#'   * `slope(m)`: the causal effect of a unit of X at modifier m; `beta`: that of each person (n);
#'   * `cate(m, from = 0, to = 1)`: the mean difference of the outcomes at two exposures given m;
#'   * `curve(x)`: the mean outcome had everybody in the data the exposure x, mean(beta) x;
#'   * what [sim_nonlinear()] has besides.
#' @references Legault, M.-A. et al. (2023). ml-mr: machine learning for Mendelian randomization,
#'   GLBIO; source code <https://github.com/legaultmarc/ml-mr>.
#' @examples
#' sim <- sim_effect_modifier(n = 5000, seed = 1)
#' sim
#' at <- stats::qnorm(c(0.01, 0.5, 0.99))
#' truth(sim)$cate(at)
#'
#' z <- as.matrix(sim[truth(sim)$instruments])
#' fit <- iv_2sls(Y ~ X * M | z * M, data = sim)
#' cate(fit, 0, 1, newdata = data.frame(M = at))
#' @export
sim_effect_modifier <- function(n = 1e4, n_variants = 20, h2 = 0.5, beta_ux = 0.35,
                                beta_uy = -0.7, maf = c(0.2, 0.45), seed = NULL,
                                n_threads = mrl_threads()) {
  settings <- nonlinear_settings(n, n_variants, h2, beta_ux, beta_uy, maf, seed, n_threads)
  out <- .Call(C_sim_effect_modifier, settings)
  check_status(out$status, "simulating X and Y")
  parts <- out$value
  genotype <- genotype_columns(parts$genotype)
  beta <- modifier_slope(parts$modifier)
  truth <- c(
    list(
      beta = beta, curve = linear_curve(mean(beta), 0), slope = modifier_slope,
      cate = modifier_cate
    ),
    nonlinear_truth(parts, names(genotype), settings)
  )
  about <- c(
    paste0("Simulated by sim_effect_modifier(): ", nonlinear_size(truth)),
    paste0("Causal effect of X on Y rises with M, ", format(modifier_slope(stats::qnorm(0.01)),
      digits = 2), " to ", format(modifier_slope(stats::qnorm(0.99)), digits = 2),
    " over its middle 98 %")
  )
  columns <- list(Y = beta * parts$x + parts$rest, X = parts$x, M = parts$modifier)
  new_mr_sim(c(columns, genotype), truth, about)
}

modifier_slope <- function(m) {
  0.1 + 1.1 * stats::pnorm(1.5 * m)
}

modifier_cate <- function(m, from = 0, to = 1) {
  (to - from) * modifier_slope(m)
}
