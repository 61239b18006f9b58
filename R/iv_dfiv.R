#' Deep feature instrumental variables
#'
#' Estimates how the mean outcome depends on an exposure that is set, whatever the shape and for
#' every value of the covariates, under the assumptions of [iv_quantile()]: instruments that shift
#' the exposure, are not confounded with the outcome given the covariates and reach it only through
#' the exposure, and confounding that adds up with the exposure's effect. It fails where they fail,
#' where the instruments bring no exposures about (column `overlap` of [effect_curve()]), and where
#' products of a few features of the exposure and of the covariates do not hold the outcome. Weak
#' instruments bend the curve towards the confounded regression: features of the exposure that they
#' do not predict are shrunk. Intervals need `n_boot`, and do not count this bias: with 1000
#' people, four instruments (F near 90) and a linear effect, 95 % intervals of the average
#' derivative held it in 89 % of 200 simulations (bench/reliability.md of the sources).
#'
#' Of the three estimators by networks it is the one for outcomes whose curve differs much between
#' values of the covariates; without covariates [iv_quantile()] is quicker and as good.
#'
#' @section Method:
#' The outcome is linear in products of learned features,
#' \eqn{g(x, w) = u'([1, x, x^2, \psi(x)] \otimes [1, w, \xi(w)])}, with networks \eqn{\psi} and
#' \eqn{\xi} (Xu et al. 2021; that \eqn{x}, \eqn{x^2}, \eqn{w} are features too is our addition, as
#' is all that follows but the two losses). \eqn{[x, x^2, \psi(x)]} is replaced by what a ridge
#' regression on \eqn{[1, z, w, \phi(z, w)]} predicts, \eqn{\phi} another network; then a ridge
#' regression of the outcome gives \eqn{u}. The rows lie in `cross_fit` folds, and each fold's
#' predictions come from a network and a ridge of the other folds: no row takes part in both
#' stages, and none is lost to one of them.
#'
#' What the first stage leaves of the exposure's features, times those of the covariates, has mean
#' zero given the instruments. Of one sample it is known, and is taken out of the outcome: a ridge
#' of the outcome on both says how much of it. This leaves \eqn{u} what it is and takes away most of
#' the noise where the effect differs much between values of the covariates (`bench/dfiv.md` of the
#' sources). Of two samples it is not possible.
#'
#' Networks are trained together: each batch takes a step of the instrument networks down the first
#' ridge's loss, with \eqn{\psi} frozen, then one of \eqn{\psi} and \eqn{\xi} down the second's,
#' with \eqn{\phi} and what was taken out frozen. A loss is what its ridge minimises, penalty and
#' all, on the same scale; the second's gradient passes through the first ridge's solution. Frozen
#' networks use the running statistics of batch norm. After each epoch the squared error of the
#' outcome (nothing taken out) in the rows held out is computed, all being solved on the training
#' rows alone; the networks of the best epoch are kept. Then that error chooses both penalties (1e-4
#' to 0.1 and 1e-7 to 10, by decades, next to the mean squared error of standardised columns; 0.001
#' while training and without held-out rows), of the second the largest that is worse than the best
#' by at most two standard errors of the difference; and the ridges are solved on all rows. Not
#' penalised are \eqn{1, z, w} in the first stage and \eqn{1, x, x^2, w} in the second. With
#' `hidden = integer(0)` there is no \eqn{x^2} either: with one fold this is two-stage least
#' squares. Of more than 30 covariates the exposure's features meet \eqn{\xi} only.
#'
#' @inheritSection iv_quantile Two samples
#' @inheritSection iv_quantile Instrument strength
#' @section Intervals:
#' As those of [iv_quantile()]: each replicate draws rows (whole clusters), trains all networks on
#' for `boot_epochs` and solves both ridges with the fit's penalties.
#'
#' @section Training:
#' [nn_control()] says how networks are built and trained. `hidden`: the first part is for
#' \eqn{\phi}, whose features are its last layer; the second for \eqn{\psi} and \eqn{\xi}, behind
#' which comes a layer of `n_features` units. By default a batch has a fifth of the rows, at least
#' 1000 and at most 5000, as a ridge is solved on each; there are at most 400 epochs, fewer above
#' 10,000 rows (4 million over their number), at least 40. As such epochs have few steps, `patience`
#' counts as many of them as make 40 steps for one. `refit` is not used. The history has the
#' losses of both stages by epoch; `validation` is of the second.
#'
#' @inheritParams iv_quantile
#' @inheritSection iv_2sls Formulas
#' @inheritSection iv_2sls Missing values
#' @param n_features Learned features of the exposure and of the covariates, 1 to 200 each.
#' @param ridge Penalties of both stages, at least 0, as above; NULL chooses them.
#' @param cross_fit Folds, see above; 1: both stages learn from the same rows. Not used with
#'   `stage2_data`.
#' @return As [iv_quantile()], of class `c("iv_dfiv", "iv_neural", "iv_fit")`; `head` has the
#'   penalties and the held-out error (part of the outcome's variance), besides `n_features`.
#' @references Xu, L., Chen, Y., Srinivasan, S., de Freitas, N., Doucet, A. & Gretton, A. (2021).
#'   Learning deep features in instrumental variable regression. ICLR.
#' @seealso [iv_quantile()], [iv_deep()]; [neural_effects] for the intervals.
#' @examples
#' sim <- sim_demand(n = 300, seed = 1)
#' fit <- iv_dfiv(Y ~ price + time + s | cost + time + s, data = sim, seed = 1, cross_fit = 2,
#'   control = nn_control(hidden = c(16, 8), epochs = 20))
#' fit
#' cate(fit, from = 15, to = 20, newdata = sim[1:3, ])
#' @export
iv_dfiv <- function(formula = NULL, data = NULL, subset = NULL, weights = NULL,
                    na.action = NULL, cluster = NULL,
                    na_genotype = c("impute", "drop", "error"),
                    y = NULL, x = NULL, z = NULL, w = NULL, n_features = c(2, 16), ridge = NULL,
                    stage2_data = NULL, cross_fit = 5, n_boot = 0,
                    workers = c("auto", "threads", "future"), control = nn_control(),
                    seed = NULL, checkpoint = NULL, checkpoint_every = 10,
                    progress = interactive(), model = TRUE, n_threads = mrl_threads()) {
  call <- match.call()
  n_features <- check_features(n_features)
  if (missing(cross_fit) && !is.null(stage2_data)) {
    cross_fit <- 1
  }
  first <- list(
    settings = c(
      first_stage_settings("features"),
      list(n_features = n_features, ridge2 = check_ridges(ridge))
    ),
    estimator = "Deep feature IV", class = "iv_dfiv",
    label = paste0("features: ", n_features[1], " of the exposure, ", n_features[2],
      " of the covariates"),
    extra = list(n_features = n_features)
  )
  how <- neural_arguments(FALSE, cross_fit, n_boot, workers, control, seed, checkpoint,
    checkpoint_every, progress, model, n_threads, "iv_dfiv")
  fit_neural(call, parent.frame(), list(y = y, x = x, z = z, w = w), na_genotype, stage2_data,
    first, how)
}

check_features <- function(n_features) {
  ok <- is.numeric(n_features) && length(n_features) == 2L && all(is.finite(n_features)) &&
    all(n_features == round(n_features)) && all(n_features >= 1 & n_features <= 200)
  if (!ok) {
    stop_argument("n_features", paste("must be two whole numbers from 1 to 200, of the exposure",
      "and of the covariates"), describe(n_features))
  }
  as.integer(n_features)
}

# NULL or both penalties.
check_ridges <- function(ridge) {
  if (is.null(ridge)) {
    return(NULL)
  }
  ridge <- check_doubles(ridge, "ridge", n = 2)
  if (any(ridge < 0)) {
    stop_argument("ridge", "must be at least 0", format(min(ridge)))
  }
  ridge
}

# Steps of an epoch of other networks by default (nn_control()): what patience counts.
dfiv_steps <- 40

# Penalties of training where none are given.
dfiv_ridge <- c(1e-3, 1e-3)

is_dfiv <- function(settings) {
  settings$first == match("features", neural_first_stages) - 1L
}

# What the core reads beside what all networks need. A ridge is solved on each batch, so batches are
# larger than elsewhere. n: rows.
dfiv_settings <- function(settings, control, n) {
  hidden <- control$hidden[[2]]
  behind <- function(units) if (length(hidden)) c(hidden, units) else hidden
  settings$hidden_exposure <- behind(settings$n_features[1])
  settings$hidden_covariate <- behind(settings$n_features[2])
  given <- settings$ridge2
  settings$choose <- is.null(given) && settings$n_valid > 0L
  settings$ridge <- if (is.null(given)) dfiv_ridge else given
  settings$ridge2 <- NULL
  if (is.null(control$batch_size)) {
    settings$batch_size <- as.integer(max(1000, min(5000, round(n / 5))))
  }
  if (is.null(control$epochs)) {
    settings$epochs <- as.integer(max(40, min(400, round(4e6 / n))))
  }
  steps <- ceiling((n - settings$n_valid) / settings$batch_size)
  settings$patience <- as.integer(min(1e9, settings$patience * ceiling(dfiv_steps / steps)))
  settings
}

# Networks as the core reads them back.
dfiv_networks <- function(value, frame, settings, control) {
  n_z <- length(frame$z_names)
  n_w <- ncol(frame$w)
  layers <- settings[c("activation", "batch_norm", "dropout")]
  weights <- if (is.null(frame$weights)) rep(1, length(value$x_hat)) else frame$weights
  sigma <- sqrt(sum(weights * (frame$x[, 1] - value$x_hat)^2) / sum(weights))
  n_p <- 1L + n_z + n_w + if (length(settings$hidden_first)) {
    settings$hidden_first[length(settings$hidden_first)]
  } else {
    0L
  }
  list(
    exposure = lapply(value$first, function(stage) {
      c(list(hidden = settings$hidden_first), layers, list(
        state = stage$state, coef = stage$coef[seq_len(n_p)], sigma = sigma,
        scale = value$scale[, seq_len(n_z + n_w + 1L), drop = FALSE]
      ))
    }),
    outcome = c(settings[c("hidden_exposure", "hidden_covariate")], layers, list(
      params = value$second$state, statistics = numeric(), theta = value$second$theta,
      scale_w = value$scale[, n_z + seq_len(n_w), drop = FALSE],
      scale_x = value$scale[, n_z + n_w + 1L], scale_y = value$scale[, n_z + n_w + 2L]
    ))
  )
}

# Features leave no distribution of the exposure: a normal one around its mean by the first stage
# (averaged over the folds), with the residuals' standard deviation, in 20 points of equal weight.
dfiv_nodes <- function(fit, z, w, n) {
  settings <- list(n = as.integer(n), n_threads = mrl_threads(), isa = isa_setting())
  found <- lapply(fit$network$exposure, function(network) {
    out <- .Call(C_dfiv_exposure, network, z, w, settings)
    check_status(out$status, "evaluating the first stage")
    out$value
  })
  mean_exposure <- Reduce(`+`, found) / length(found)
  at <- stats::qnorm((seq_len(20) - 0.5) / 20)
  list(
    nodes = outer(mean_exposure, fit$network$exposure[[1]]$sigma * at, `+`),
    weights = matrix(1 / 20, n, 20)
  )
}
