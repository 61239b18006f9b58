# The study's coefficients of the standardised context: gamma on the exposure, zeta on the outcome.
# Their laws are in src/core/sim_contextual.c, in the same order.
contextual_coefficients <- data.frame(
  gamma = c(0.03, 0.05, 0.14, 0.16, 0, 0, 0.08, 0.02, 0.12, -0.06),
  zeta = c(0.02, 0.03, 0.10, 0.05, 0, 0, 0.12, 0.15, 0.18, 0.04),
  row.names = c(
    "age", "sex", "bmi", "smoker", "height", "weight", "bp_sys", "cholesterol", "glucose", "sleep"
  )
)

#' Simulate Mendelian randomization with context
#'
#' Individual-level data of the contextualized-MR study (Talluri 2025): genotypes as instruments, an
#' exposure and an outcome that share an unmeasured confounder, and ten measured context variables
#' that shift both. In the study the causal effect is 0.3 for everybody; here it may depend on the
#' context, genotypes may reach the outcome directly, and neighbouring loci may be linked.
#'
#' For person \eqn{i} and SNP \eqn{j},
#' \deqn{X_i = \sum_j \pi_j G_{ij} + [\sum_k \gamma_k C_{ik}] + c U_i + v_i}
#' \deqn{Y_i = \beta_i X_i + \sum_j \alpha_j G_{ij} + [\sum_k \zeta_k C_{ik}] + c U_i + u_i}
#' with the brackets only if `use_context`, \eqn{c} = `confounding`, and \eqn{U}, \eqn{v}, \eqn{u}
#' independent standard normal. \eqn{G_{ij}} is binomial(2, \eqn{maf_j}) with \eqn{maf_j} uniform on
#' `maf`, \eqn{\pi_j \sim N(0, pi\_scale^2)}, and \eqn{\alpha_j} normal as `pleiotropy` says.
#' \eqn{C} is the context, each column less its mean and divided by its population standard
#' deviation (divisor n); a column that is constant in the sample counts as 0.
#'
#' Laws of the context: `age` whole numbers 12 to 49 and `sex`, `smoker` 0 or 1, each equally
#' likely; `bmi` N(25, 4), `height` N(170, 10), `weight` N(70, 15), `bp_sys` N(120, 15),
#' `cholesterol` N(200, 40), `glucose` N(90, 15), `sleep` N(7, 1.5) (mean, standard deviation); all
#' independent.
#'
#' With `ld` above 0 the alleles along each haplotype are a Markov chain: neighbours have the
#' correlation `ld` or, where their two frequencies do not allow it, the largest that they allow
#' (the rarer allele then never comes without the other). Genotypes have the same correlations, and
#' two loci further apart the product of the steps between them. `truth(sim)$ld` has the
#' correlations attained. `ld = 0` draws independent loci.
#'
#' Every column and every 4096 rows have a stream of random numbers of their own: the same seed
#' gives the same data on any number of threads, and the same first people and SNPs in larger data
#' (though the standardised context, and X and Y with it, depends on who is in the sample).
#'
#' @section How the study used it:
#' n in 1000, 3000, 5000, 10000, 20000 times L in 5, 10, 15, 30, 50, with and without context, one
#' data set each, all from one seed. One data set does not represent its design: the mean squared
#' error of two-stage least squares over many seeds, with context, is .27, .06, .05 at n = 1000 and
#' L = 5, 15, 50, and .0084, .0015, .0008 at n = 20000. Use many seeds. The random numbers of the
#' study's own script are not reproduced here, only their laws.
#'
#' @param n Number of people, at least 2.
#' @param L Number of SNPs, at least 1.
#' @param use_context Does the context shift exposure and outcome? Its columns are returned either
#'   way.
#' @param beta Causal effect of the exposure: one number, or a function that takes a data.frame of
#'   the standardised context (n rows; columns `age` to `sleep`) and returns n numbers.
#' @param pi_scale Standard deviation of the effects of the SNPs on the exposure.
#' @param pleiotropy `c(mean = , sd = )` of the direct effects of the SNPs on the outcome, drawn
#'   once for each SNP.
#' @param confounding Effect of the confounder U on both exposure and outcome.
#' @param maf Range of the allele frequencies, above 0 and at most 0.5.
#' @param ld Correlation of neighbouring loci, from 0 to 1; see Details.
#' @param seed One whole number, or NULL to draw one from R's generator, so that [set.seed()]
#'   rules. A number leaves R's generator alone.
#' @param n_threads Number of threads; the result does not depend on it.
#'
#' @return A data.frame of class `mr_sim` with the double columns `Y`, `X`, the context in its own
#' units (`age`, `sex`, `bmi`, `smoker`, `height`, `weight`, `bp_sys`, `cholesterol`, `glucose`,
#' `sleep`) and the genotypes `G0`, `G1`, ... (0, 1 or 2). [truth()] of it is a list with
#' * `beta`: the causal effect, one number or n of them; `curve(x)`: the mean outcome had everybody
#'   the exposure x, mean(beta) x + sum(2 mafs alpha);
#' * `pi`, `alpha`, `mafs` (L each), `ld` (L - 1), `gamma`, `zeta` (10 each);
#' * `U`, `noise_x` (v above), `noise_y` (u above) (n each), `context_std` (n x 10);
#' * `instruments`, the names of the genotype columns, and `n`, `L`, `use_context`, `confounding`,
#'   `pi_scale`, `pleiotropy`, `seed`.
#'
#' It takes 8 (L + 25) bytes a person.
#' @references
#' Talluri, N. (2025). contextualized-mr, source code and results.
#' <https://github.com/ntalluri/contextualized-mr>
#' @examples
#' sim <- sim_contextual(n = 500, L = 5)
#' sim
#' truth(sim)$pi
#'
#' # An effect that grows with BMI; the same people otherwise
#' varying <- sim_contextual(n = 500, L = 5, beta = function(context) 0.3 + 0.2 * context$bmi)
#' summary(truth(varying)$beta)
#'
#' # The instruments as a matrix
#' g <- as.matrix(sim[truth(sim)$instruments])
#' dim(g)
#' @export
sim_contextual <- function(n = 1000, L = 10, use_context = TRUE, beta = 0.3, pi_scale = 0.1,
                           pleiotropy = c(mean = 0, sd = 0), confounding = 1, maf = c(0.05, 0.5),
                           ld = 0, seed = 7L, n_threads = mrl_threads()) {
  n <- check_count(n, min = 2)
  L <- check_count(L, max = 1e6)
  beta <- check_beta(beta)
  pleiotropy <- check_pleiotropy(pleiotropy)
  maf <- check_maf_range(maf)
  settings <- list(
    n = n, n_snp = L, use_context = check_flag(use_context),
    pi_sd = check_number(pi_scale, min = 0),
    alpha_mean = pleiotropy[["mean"]], alpha_sd = pleiotropy[["sd"]],
    confounding = check_number(confounding), maf_low = maf[1], maf_high = maf[2],
    linkage = check_number(ld, min = 0, max = 1),
    gamma = contextual_coefficients$gamma, zeta = contextual_coefficients$zeta,
    n_threads = check_threads(n_threads), seed = resolve_seed(seed)
  )
  out <- .Call(C_sim_contextual, settings)
  check_status(out$status, "simulating X and Y")
  colnames(out$value$context_std) <- rownames(contextual_coefficients)
  beta <- contextual_slopes(beta, out$value$context_std)
  contextual_data(out$value, beta, settings, pleiotropy)
}

# The core's pieces and the slopes as a mr_sim.
contextual_data <- function(parts, beta, settings, pleiotropy) {
  context <- stats::setNames(parts$context, rownames(contextual_coefficients))
  genotype <- stats::setNames(parts$genotype, paste0("G", seq_along(parts$genotype) - 1L))
  y <- beta * parts$x + parts$rest
  if (!all(is.finite(range(y)))) {
    stop_argument("beta", "must leave Y finite", describe(beta))
  }
  coefficient <- function(name) {
    stats::setNames(contextual_coefficients[[name]], rownames(contextual_coefficients))
  }
  truth <- list(
    beta = beta,
    curve = linear_curve(mean(beta), sum(2 * parts$maf * parts$alpha)),
    pi = parts$pi, alpha = parts$alpha, mafs = parts$maf, ld = parts$linkage,
    gamma = coefficient("gamma"), zeta = coefficient("zeta"),
    U = parts$u, noise_x = parts$v, noise_y = parts$e, context_std = parts$context_std,
    instruments = names(genotype), n = settings$n, L = settings$n_snp,
    use_context = settings$use_context, confounding = settings$confounding,
    pi_scale = settings$pi_sd, pleiotropy = pleiotropy, seed = settings$seed
  )
  new_mr_sim(c(list(Y = y, X = parts$x), context, genotype), truth, contextual_about(truth))
}

# A line that does not hold on to the data it came from.
linear_curve <- function(slope, intercept) {
  force(slope)
  force(intercept)
  function(x) intercept + slope * x
}

# The causal effect: the number, or what the user's function makes of the context.
contextual_slopes <- function(beta, context_std) {
  if (!is.function(beta)) {
    return(beta)
  }
  slopes <- beta(as.data.frame(context_std))
  if (!is.numeric(slopes) || length(slopes) != nrow(context_std)) {
    stop_argument("beta", paste("must return", nrow(context_std), "numbers, one per person"),
      describe(slopes))
  }
  if (any(!is.finite(slopes))) {
    stop_argument("beta", "must return finite numbers", count_not_finite(slopes))
  }
  as.double(slopes)
}

check_beta <- function(beta) {
  if (is.function(beta)) {
    return(beta)
  }
  if (!is.numeric(beta) || length(beta) != 1L || !is.finite(beta)) {
    stop_argument("beta", "must be one finite number or a function of the context", describe(beta))
  }
  as.double(beta)
}

check_pleiotropy <- function(pleiotropy) {
  if (!is.numeric(pleiotropy) || length(pleiotropy) != 2L || any(!is.finite(pleiotropy)) ||
    !setequal(names(pleiotropy), c("mean", "sd")) || pleiotropy[["sd"]] < 0) {
    stop_argument("pleiotropy", "must be c(mean = , sd = ), finite, with sd at least 0",
      describe_values(pleiotropy))
  }
  c(mean = pleiotropy[["mean"]], sd = pleiotropy[["sd"]])
}

check_maf_range <- function(maf) {
  if (!is.numeric(maf) || length(maf) != 2L || any(!is.finite(maf)) || maf[1] <= 0 ||
    maf[2] < maf[1] || maf[2] > 0.5) {
    stop_argument("maf", "must be two frequencies above 0, at most 0.5, in ascending order",
      describe_values(maf))
  }
  as.double(maf)
}

# A short numeric vector in full, anything else in words.
describe_values <- function(x) {
  if (is.numeric(x) && length(x) == 2L && is.null(dim(x))) deparse1(x) else describe(x)
}

contextual_about <- function(truth) {
  effect <- if (length(truth$beta) == 1L) {
    format(truth$beta)
  } else {
    paste0("of mean ", format(mean(truth$beta), digits = 3), ", SD ",
      format(stats::sd(truth$beta), digits = 3), " over people")
  }
  c(
    paste0("Simulated by sim_contextual(): ", big(truth$n), " people, ", big(truth$L),
      " SNP", if (truth$L > 1L) "s", ", seed ", format(truth$seed, digits = 16)),
    paste0("Causal effect of X on Y ", effect, "; context ",
      if (truth$use_context) "shifts both" else "shifts neither")
  )
}
