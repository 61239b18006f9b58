# Instruments that are confounded with the outcome, in several environments.

latent_laws <- c("normal", "uniform", "laplace", "t5", "exponential")
mixings <- c("poly", "linear", "mlp", "discrete", "identity")

#' Simulate confounded instruments from several environments
#'
#' The design of Huang, Robinson & Locatello (2026). In environment \eqn{e = 0, 1, ...} a confounder
#' \eqn{H \sim N(s e 1, I)}, whose law differs between environments, shifts the invalid part
#' \eqn{V} of the instruments; their valid part \eqn{W} has one law everywhere and is independent of
#' \eqn{(H, V)}:
#' \deqn{V = a + H \eta_e, \quad X = \beta_V' V + \beta_W' W + \alpha_X' H + N(0, 1), \quad
#'   Y = \theta X + \alpha_Y' H + N(0, 1), \quad Z = g(V, W)}
#' where \eqn{a} and \eqn{W} have the covariance \eqn{(d - |i - j|) / d}, and
#' \eqn{\eta_e = I + c D_e}: \eqn{D_0 = 0}; with two environments \eqn{D_1 = I}; with more of them
#' \eqn{D_1} has a one at the first diagonal place, \eqn{D_2} at the second, and so on from the
#' start again with twos. Only the mixture \eqn{Z} is observed. All coefficients are 1; in the
#' `hard` variant \eqn{\beta_V = (1, .3, 1, ...)} and \eqn{\alpha_Y = (1, 0, ...)}, so that no
#' contrast within \eqn{V} is harmless, as \eqn{V_1 - V_2} is by default.
#'
#' @section Mixings:
#' * `"poly"`: \eqn{Z = A m}, \eqn{m} all monomials of degree 0 to `degree` of the latents, \eqn{A}
#'   square of standard normal numbers, its singular values raised to at least a fifth of the
#'   largest;
#' * `"linear"`: \eqn{Z = (V, W, 1) B}, \eqn{B} standard normal with `dim_z` columns;
#' * `"mlp"`: invertible, two square layers without constants, weights uniform on (-1, 1) with
#'   columns of length 1, a leaky rectifier of slope .2 between;
#' * `"discrete"`: `dim_z` genotypes 0, 1, 2, the places of the greatest of three outputs each of a
#'   network with 2 `dim_z` hidden units, weights and constants uniform on
#'   \eqn{\pm 1 / \sqrt{inputs}};
#' * `"identity"`: \eqn{Z = (V, W)}.
#'
#' @param n People in each environment: one number, or one for each.
#' @param n_env Number of environments.
#' @param dim_v,dim_w,dim_h Dimensions of \eqn{V}, \eqn{W} and \eqn{H}, at most 16 each.
#' @param mixing Name of \eqn{g}, see below.
#' @param degree Degree of `"poly"`.
#' @param dim_z Columns of \eqn{Z} where the mixing leaves it free (`"linear"`, `"discrete"`); by
#'   default the number of latents.
#' @param law Law of the components of \eqn{a} and \eqn{W}: `"normal"`, `"uniform"`, `"laplace"`,
#'   `"t5"` (Student's t, 5 degrees of freedom) or `"exponential"`, all with mean 0 and variance 1.
#' @param shift,scale \eqn{s} and \eqn{c}: how much environments differ. With 0 and 0 they do not.
#' @param theta The causal effect of X on Y.
#' @param hard Use the hard variant?
#' @param noise SD of a normal error of measurement of each column of Z, in units of the column's
#'   SD.
#' @param condition For `"poly"` and `"mlp"` (its first layer): NULL, or the ratio of the largest to
#'   the least singular value of the matrix, which the least is set to; large makes the mixing
#'   nearly singular.
#' @param mixing_seed Seed of the mixing: the same \eqn{g} for every `seed`.
#' @param seed One whole number, or NULL to draw one from R's generator.
#' @param n_threads Number of threads; the result does not depend on it.
#' @return A data.frame of class `mr_sim` with the double columns `Y`, `X`, the factor
#'   `environment` (levels 1, 2, ...) and the instruments `Z1`, `Z2`, ...; environment after
#'   environment. [truth()] of it is a list with
#'   * `theta` and `beta` (the same), `curve(x)`: the mean outcome of the simulated people's
#'     environments had everybody the exposure x;
#'   * `V`, `W`, `H` (matrices with a row per person): the oracle's latents; `noise_x`, `noise_y`;
#'   * `beta_v`, `beta_w`, `alpha_x`, `alpha_y`, `shift`, `eta` (array dim_h, dim_v, n_env);
#'   * `mixing`: list `name, degree, weights, bias, condition` (the greatest ratio of largest to
#'     least singular value of its matrices, NA where there is none); `instruments`: names of the
#'     columns of Z;
#'   * `law`, `hard`, `noise`, `n`, `n_env`, `seed`, `mixing_seed`.
#' @references Huang, Robinson & Locatello (2026). arXiv:2602.19782.
#' @seealso [iv_latent()], which estimates from such data; [sim_populations()] for real genotypes.
#' @examples
#' sim <- sim_environments(n = 500, mixing = "poly", degree = 2, seed = 1)
#' sim
#' str(truth(sim)$W)
#' @export
sim_environments <- function(n = 10000, n_env = 2, dim_v = 2, dim_w = 2, dim_h = dim_v,
                             mixing = c("poly", "linear", "mlp", "discrete", "identity"),
                             degree = 1, dim_z = NULL,
                             law = c("normal", "uniform", "laplace", "t5", "exponential"),
                             shift = 2, scale = 1, theta = 1, hard = FALSE, noise = 0,
                             condition = NULL, mixing_seed = 100, seed = NULL,
                             n_threads = mrl_threads()) {
  n_env <- check_count(n_env, max = 4095)
  d <- c(
    v = check_count(dim_v, max = 16), w = check_count(dim_w, max = 16),
    h = check_count(dim_h, max = 16)
  )
  design <- environment_design(d, n_env, check_number(shift), check_number(scale),
    check_flag(hard))
  settings <- c(list(
    n = people_by_environment(n, n_env), dim_v = d[["v"]], dim_w = d[["w"]], dim_h = d[["h"]],
    theta = check_number(theta), law = match(check_choice(law, latent_laws), latent_laws) - 1L,
    seed = resolve_seed(seed), n_threads = check_threads(n_threads)
  ), design)
  g <- draw_mixing(check_choice(mixing, mixings), check_count(degree, max = 6), dim_z,
    d[["v"]] + d[["w"]], condition, resolve_seed(mixing_seed, "mixing_seed"))
  g$noise <- check_number(noise, min = 0)
  parts <- .Call(C_sim_environment, settings)
  check_status(parts$status, "simulating X and Y")
  z <- mix_latents(cbind(parts$value$v, parts$value$w), g, settings)
  new_environments(parts$value, z, g, settings, n_env, latent_laws[settings$law + 1L], hard,
    mixing_seed)
}

people_by_environment <- function(n, n_env) {
  if (!is.numeric(n) || !length(n) %in% c(1L, n_env) || any(!is.finite(n)) || any(n < 1) ||
    any(n != round(n))) {
    stop_argument("n", paste("must be one whole number or", n_env, "of them, at least 1"),
      describe(n))
  }
  n <- rep_len(n, n_env)
  if (sum(n) > .Machine$integer.max) {
    stop_argument("n", paste("must be at most", .Machine$integer.max, "people in all"),
      format(sum(n)))
  }
  as.integer(n)
}

environment_design <- function(d, n_env, shift, scale, hard) {
  spread <- function(e) {
    if (e == 1L) {
      return(numeric(d[["v"]]))
    }
    if (n_env == 2L) {
      return(rep(1, d[["v"]]))
    }
    out <- numeric(d[["v"]])
    out[(e - 2L) %% d[["v"]] + 1L] <- 1 + (e - 2L) %/% d[["v"]]
    out
  }
  eta <- vapply(seq_len(n_env), function(e) {
    diag(1, d[["h"]], d[["v"]]) %*% diag(1 + scale * spread(e), d[["v"]])
  }, matrix(0, d[["h"]], d[["v"]]))
  root <- function(size) {
    chol(stats::toeplitz(seq(size, 1) / size))
  }
  ones <- function(size) rep(1, size)
  list(
    shift = shift * (seq_len(n_env) - 1), eta = array(eta, c(d[["h"]], d[["v"]], n_env)),
    root_v = root(d[["v"]]), root_w = root(d[["w"]]),
    beta_v = if (hard) replace(ones(d[["v"]]), 2L, 0.3)[seq_len(d[["v"]])] else ones(d[["v"]]),
    beta_w = ones(d[["w"]]), alpha_x = ones(d[["h"]]),
    alpha_y = if (hard) c(1, numeric(d[["h"]] - 1L)) else ones(d[["h"]])
  )
}

# Numbers of a mixing: uniform on (-1, 1) or standard normal, a stream for each matrix.
mixing_numbers <- function(law, rows, columns, seed, stream) {
  x <- rng_draw(law, rows * columns, seed, stream)
  matrix(if (law == "uniform") 2 * x - 1 else x, rows, columns)
}

# A matrix with its small singular values raised to a fifth of the largest, or its least one set.
condition_matrix <- function(a, condition, clamp) {
  parts <- svd(a)
  values <- if (clamp) pmax(parts$d, parts$d[1] / 5) else parts$d
  if (!is.null(condition)) {
    values[length(values)] <- values[1] / condition
  }
  parts$u %*% (values * t(parts$v))
}

draw_mixing <- function(name, degree, dim_z, d, condition, seed) {
  if (!is.null(condition)) {
    condition <- check_number(condition, "condition", min = 1)
    if (!name %in% c("poly", "mlp")) {
      stop_argument("condition", "must be NULL but for the mixings \"poly\" and \"mlp\"",
        describe(condition))
    }
  }
  free <- name %in% c("linear", "discrete")
  if (!free && !is.null(dim_z)) {
    stop_argument("dim_z", "must be NULL but for the mixings \"linear\" and \"discrete\"",
      describe(dim_z))
  }
  size <- if (is.null(dim_z)) d else check_count(dim_z, "dim_z", max = 682)
  monomials <- choose(d + degree, degree)
  if (name == "poly" && monomials > 2048) {
    stop_argument("degree", "must give at most 2048 monomials of the latents", big(monomials))
  }
  g <- list(name = name, degree = 0L, weights = list(), bias = list())
  switch(name,
    poly = {
      g$degree <- degree
      a <- mixing_numbers("normal", monomials, monomials, seed, 0)
      g$weights <- list(t(condition_matrix(a, condition, clamp = TRUE)))
    },
    linear = {
      g$degree <- 1L
      b <- mixing_numbers("normal", d + 1, size, seed, 0)
      g$weights <- list(b[c(d + 1, seq_len(d)), , drop = FALSE]) # the constant comes first
    },
    mlp = {
      g$weights <- lapply(0:1, function(layer) {
        a <- mixing_numbers("uniform", d, d, seed, layer)
        sweep(a, 2L, sqrt(colSums(a^2)), "/")
      })
      g$weights[[1]] <- condition_matrix(g$weights[[1]], condition, clamp = FALSE)
    },
    discrete = {
      width <- c(d, 2 * size, 3 * size)
      g$weights <- lapply(1:2, function(layer) {
        mixing_numbers("uniform", width[layer], width[layer + 1L], seed, layer) / sqrt(width[layer])
      })
      g$bias <- lapply(1:2, function(layer) {
        mixing_numbers("uniform", 1, width[layer + 1L], seed, layer + 2)[1, ] / sqrt(width[layer])
      })
    }
  )
  g
}

mix_latents <- function(latent, g, settings) {
  n_layer <- length(g$weights)
  mixing <- list(
    degree = g$degree, width = vapply(g$weights, ncol, 1L), weights = g$weights,
    bias = if (length(g$bias)) g$bias else vector("list", n_layer), slope = 0.2,
    ternary = g$name == "discrete", noise = g$noise, seed = settings$seed,
    n_threads = settings$n_threads
  )
  out <- .Call(C_sim_mix, latent, mixing)
  check_status(out$status, "mixing the latents")
  out$value
}

new_environments <- function(parts, z, g, settings, n_env, law, hard, mixing_seed) {
  n <- settings$n
  colnames(z) <- paste0("Z", seq_len(ncol(z)))
  condition <- vapply(g$weights, function(a) {
    values <- svd(a, 0, 0)$d
    max(values) / min(values)
  }, 0)
  g$condition <- if (length(condition)) max(condition) else NA_real_
  constant <- sum(settings$alpha_y) * sum(settings$shift * n) / sum(n)
  truth <- c(
    list(
      theta = settings$theta, beta = settings$theta,
      curve = linear_curve(settings$theta, constant), V = parts$v, W = parts$w, H = parts$h
    ),
    parts[c("noise_x", "noise_y")],
    settings[c("beta_v", "beta_w", "alpha_x", "alpha_y", "shift", "eta")],
    list(
      mixing = g[c("name", "degree", "weights", "bias", "condition")],
      instruments = colnames(z), law = law, hard = hard, noise = g$noise, n = sum(n),
      n_env = n_env, seed = settings$seed, mixing_seed = mixing_seed
    )
  )
  environment <- factor(rep(seq_len(n_env), n), seq_len(n_env))
  columns <- c(list(Y = parts$y, X = parts$x, environment = environment),
    as.list(as.data.frame(z)))
  about <- c(
    paste0("Simulated by sim_environments(): ", big(truth$n), " people in ", n_env,
      " environments, seed ", format(truth$seed, digits = 16)),
    paste0("Causal effect of X on Y: ", format(truth$theta), "; ", length(truth$instruments),
      " instruments, a ", g$name, " mixture",
      if (g$name == "poly") paste0(" (degree ", g$degree, ")"), " of ", ncol(parts$v),
      " confounded and ", ncol(parts$w), " valid latents")
  )
  new_mr_sim(columns, truth, about)
}
