#' DeLIVR: tests of a nonlinear effect by a network of the predicted exposure
#'
#' Tests whether an exposure has an effect at all, and whether the effect is nonlinear, by a network
#' of the exposure *predicted* from the instruments. What its curve estimates is
#' \eqn{E[h(X) | \hat X]}, the mean of the effect over the exposures that people with a predicted
#' exposure have. It is not \eqn{E[Y | do(X = x)]}: the two agree only where \eqn{h} is linear, and
#' a bend of \eqn{h} is flattened the more, the less the instruments explain. For effects of setting
#' the exposure use [iv_quantile()], [iv_deep()] or [iv_control_function()]. The tests assume what
#' [iv_2sls()] assumes of the instruments; they are blind to what the predicted exposure does not
#' show, and a rejected nonlinearity may also come from an instrument that reaches the outcome by
#' itself.
#'
#' @section Method:
#' Stage 1 regresses the exposure on the instruments and a constant (least squares). The rows of
#' stage 2 are split at random, by cluster where there are clusters, into training, validation and
#' test rows. The network has a linear skip connection, \eqn{h(u) = c_0 + c_1 u + c_2 m(u)} with
#' \eqn{u} the standardised prediction: the line is fitted by least squares, \eqn{m} is trained on
#' what it leaves (early stopping on the validation rows), and the three coefficients are solved
#' once more on the training rows. On the test rows, which none of this has seen,
#' * the global test is the t test of the slope in the regression of y on h;
#' * the nonlinearity test is the t test of \eqn{m} in the regression of y on the prediction and
#'   \eqn{m}. With `nonlinearity = "published"` the residuals of y on the prediction are regressed
#'   on h, as in the paper; that leaves the prediction in h and rejects far too rarely
#'   (`bench/delivr.md`).
#'
#' P-values of the splits are combined by Cauchy's: \eqn{T} is the mean of \eqn{tan((.5 - p) \pi)}
#' and \eqn{P = .5 - atan(T) / \pi}. A split whose network adds nothing to the line counts as 0.
#'
#' @section Two samples:
#' With `stage2_data` the exposure is read from `data` and the outcome from `stage2_data`; both need
#' the instruments.
#'
#' @inheritSection iv_2sls Formulas
#' @inheritSection iv_2sls Missing values
#' @inheritParams iv_2sls
#' @param formula As for [iv_2sls()], with one exposure and no covariates: take them out of exposure
#'   and outcome first.
#' @param vcov Covariance in the regressions of the tests; `cluster` overrides it.
#' @param y,x,z Instead of a formula: outcome (n), exposure and instruments.
#' @param n_splits Number of random splits, at least 1.
#' @param test Share of the rows that is kept for the tests, above 0 and below 1; of the others
#'   `control$validation` is held out for early stopping.
#' @param nonlinearity Which nonlinearity test, see below.
#' @param stage2_data NULL, or a data.frame with instruments and outcome of another sample.
#' @param control Settings of the network made by [nn_control()]; the outcome network's are used.
#'   The default is the published network.
#' @param seed NULL draws one from R's generator; a whole number is used as it is.
#' @return A list of class `c("iv_delivr", "iv_fit")` with `tests` (data.frame `test, statistic,
#'   p.value, n.splits`), `splits` (data.frame `split, test, estimate, statistic, df, p.value`),
#'   `x_hat` (predictions of stage 2's rows), `fitted.values` (h, the mean over the splits),
#'   `diagnostics`, `first_stage_coef` and `network`. `tidy()` gives `tests`; [effect_curve()] the
#'   curve, without intervals, its estimand named; [ate()], [cate()] and [average_derivative()]
#'   raise an error of class `mrlearn_error_estimand`.
#' @references He, R., Liu, M., Lin, Z., Zhuang, Z., Shen, X. & Pan, W. (2024). DeLIVR: a deep
#'   learning approach to IV regression for testing nonlinear causal effects in transcriptome-wide
#'   association studies. Biostatistics 25:468.
#' @examples
#' sim <- sim_nonlinear(n = 1000, n_variants = 4, seed = 1)
#' g <- as.matrix(sim[truth(sim)$instruments])
#' fit <- iv_delivr(Y ~ X | g, data = sim, n_splits = 2, seed = 1,
#'   control = nn_control(hidden = c(8, 8), activation = "relu", epochs = 20))
#' fit
#' effect_curve(fit, x = c(-0.5, 0, 0.5))
#' @export
iv_delivr <- function(formula = NULL, data = NULL, subset = NULL, weights = NULL,
                      na.action = NULL, cluster = NULL,
                      vcov = c("iid", "HC0", "HC1", "HC2", "HC3"),
                      na_genotype = c("impute", "drop", "error"), y = NULL, x = NULL, z = NULL,
                      n_splits = 5, test = 0.3, nonlinearity = c("partial", "published"),
                      stage2_data = NULL,
                      control = nn_control(hidden = c(32, 16, 8, 8, 8), activation = "relu",
                        batch_norm = FALSE, optimizer = "adam", learning_rate = 3.3e-4,
                        weight_decay = 0, schedule = "constant", batch_size = 64, patience = 20,
                        clip = 0),
                      seed = NULL, model = TRUE, n_threads = mrl_threads()) {
  call <- match.call()
  how <- list(
    vcov = check_choice(vcov, c("iid", "HC0", "HC1", "HC2", "HC3")),
    n_splits = check_count(n_splits, max = 1000),
    test = check_number(test, min = 0, max = 1, open = TRUE),
    nonlinearity = check_choice(nonlinearity, c("partial", "published")),
    control = check_control(control), seed = resolve_seed(seed), model = check_flag(model),
    n_threads = check_threads(n_threads)
  )
  samples <- neural_samples(call, parent.frame(), list(y = y, x = x, z = z, w = NULL),
    if (missing(na_genotype)) "impute" else na_genotype, stage2_data, "iv_delivr")
  check_delivr(samples$first)
  fit_delivr(samples, how, call)
}

check_delivr <- function(frame) {
  if (ncol(frame$w)) {
    stop_mrl("formula", "iv_delivr() takes no covariates; got ", shorten(colnames(frame$w)),
      ". Regress exposure and outcome on them first and give it what is left.")
  }
  if (!frame$intercept) {
    stop_mrl("formula", "iv_delivr() needs the constant: leave `+ 0` out of `formula`.")
  }
  check_rows(frame)
}

# Constant and slopes of the exposure on the instruments; 0 for those that are collinear.
delivr_first <- function(frame, how) {
  out <- linear_core(frame$x[, 1], do.call(cbind, frame$z), NULL, NULL, frame$weights,
    n_threads = how$n_threads)
  check_status(out$status, "fitting the first stage")
  replace(out$value$coef, is.nan(out$value$coef), 0)
}

predicted_exposure <- function(coef, z) {
  coef[1] + drop(do.call(cbind, z) %*% coef[-1L])
}

fit_delivr <- function(samples, how, call) {
  first <- samples$first
  second <- if (is.null(samples$second)) first else samples$second
  coef <- delivr_first(first, how)
  mu <- predicted_exposure(coef, second$z)
  if (!(max(mu) > min(mu))) {
    stop_mrl("collinear", "The instruments do not vary among the rows with the outcome.")
  }
  part <- delivr_parts(second, how)
  settings <- c(nn_settings(how$control, length(second$y)), list(
    n_threads = how$n_threads, isa = isa_setting(), seed = how$seed
  ))
  out <- .Call(C_delivr_fit, as.double(mu), second$y, second$weights, part, settings)
  check_status(out$status, "training the networks")
  good <- out$value$status == 0L
  if (!all(good)) {
    text <- paste(sum(!good), "of", how$n_splits, "networks could not be trained")
    if (!any(good)) {
      stop_mrl("numeric", text, "; lower `learning_rate` in nn_control(), or give more rows.")
    }
    warn_mrl("splits", text, " and their splits are left out.")
  }
  value <- lapply(out$value[c("params", "statistics", "fitted", "scale", "coef")],
    function(m) m[, good, drop = FALSE])
  splits <- do.call(rbind, lapply(seq_len(sum(good)), function(s) {
    test_split(s, value, part[, which(good)[s]] == 2L, mu, second, how)
  }))
  new_delivr(value, splits, mu, coef, samples, how, call)
}

# A column for each split: 0 training, 1 validation, 2 test.
delivr_parts <- function(frame, how) {
  n <- length(frame$y)
  group <- if (is.null(frame$cluster)) seq_len(n) else frame$cluster
  groups <- max(group)
  n_test <- round(how$test * groups)
  n_valid <- round(how$control$validation * (groups - n_test))
  if (n_test < 5 || groups - n_test - n_valid < 3) {
    stop_mrl("data", "Of ", groups, if (is.null(frame$cluster)) " rows" else " clusters", ", ",
      n_test, " are for tests and ", groups - n_test - n_valid, " for training: at least 5 and 3 ",
      "are needed.")
  }
  kind <- rep(c(2L, 1L, 0L), c(n_test, n_valid, groups - n_test - n_valid))
  vapply(seq_len(how$n_splits), function(s) {
    order <- rng_draw("permutation", groups, how$seed, s - 1)
    out <- integer(groups)
    out[order + 1] <- kind
    out[group]
  }, integer(n))
}

# t test of the last of the columns in the regression of y on them: estimate, statistic, df, p.
last_t <- function(y, columns, frame, rows, how) {
  cluster <- if (!is.null(frame$cluster)) match(frame$cluster[rows], unique(frame$cluster[rows]))
  out <- linear_core(y, columns, NULL, NULL, frame$weights[rows], cluster,
    if (is.null(cluster)) 0L else max(cluster), if (is.null(cluster)) how$vcov else "cluster",
    n_threads = how$n_threads)
  k <- 1L + ncol(columns)
  b <- if (out$status == "ok") out$value$coef[k] else NaN
  if (!is.finite(b)) {
    return(c(estimate = 0, statistic = 0, df = NA_real_, p.value = NA_real_))
  }
  t <- b / sqrt(out$value$vcov[k, k])
  df <- if (is.null(cluster)) out$value$df_residual else max(cluster) - 1
  c(estimate = b, statistic = t, df = df, p.value = 2 * stats::pt(-abs(t), df))
}

test_split <- function(s, value, test, mu, frame, how) {
  rows <- which(test)
  y <- frame$y[rows]
  h <- value$fitted[rows, s]
  at <- mu[rows]
  u <- (at - value$scale[1, s]) / value$scale[2, s]
  bend <- h - value$coef[1, s] - value$coef[2, s] * u
  global <- last_t(y, cbind(h), frame, rows, how)
  bent <- if (value$coef[3, s] == 0) {
    c(estimate = 0, statistic = 0, df = NA_real_, p.value = NA_real_)
  } else if (how$nonlinearity == "partial") {
    last_t(y, cbind(at, bend), frame, rows, how)
  } else {
    line <- stats::lm.wfit(cbind(1, at), y,
      if (is.null(frame$weights)) rep(1, length(y)) else frame$weights[rows])
    last_t(line$residuals, cbind(h), frame, rows, how)
  }
  data.frame(split = s, test = c("global", "nonlinearity"), rbind(global, bent), row.names = NULL)
}

# Splits without a p-value count as 0 (p = .5).
combine_cauchy <- function(p) {
  p <- ifelse(is.na(p), 0.5, pmin(p, 1 - 1e-12))
  # tan((.5 - p) pi) = 1 / tan(p pi), which keeps its digits at small p.
  statistic <- mean(ifelse(p == 0.5, 0, 1 / tan(p * pi)))
  # .5 - atan(T) / pi likewise.
  list(statistic = statistic, p.value = atan2(1, statistic) / pi)
}

new_delivr <- function(value, splits, mu, coef, samples, how, call) {
  first <- samples$first
  frame <- if (is.null(samples$second)) first else samples$second
  combined <- lapply(c("global", "nonlinearity"), function(test) {
    combine_cauchy(splits$p.value[splits$test == test])
  })
  exposure <- colnames(first$x)
  fitted <- rowMeans(value$fitted)
  structure(
    list(
      tests = data.frame(
        test = c("global", "nonlinearity"),
        statistic = vapply(combined, `[[`, 0, "statistic"),
        p.value = vapply(combined, `[[`, 0, "p.value"), n.splits = ncol(value$fitted)
      ),
      splits = splits, x_hat = mu, fitted.values = name_rows(fitted, frame$row_names),
      residuals = name_rows(frame$y - fitted, frame$row_names),
      coefficients = stats::setNames(numeric(), character()),
      vcov = matrix(0, 0, 0), diagnostics = linear_strength(first, call, how$n_threads),
      first_stage_coef = stats::setNames(coef, c("(Intercept)", first$z_names)),
      network = c(value[c("params", "statistics", "scale", "coef")], list(
        hidden = how$control$hidden[[2]],
        activation = match(how$control$activation, nn_activations) - 1L,
        batch_norm = how$control$batch_norm, dropout = how$control$dropout
      )),
      nonlinearity = how$nonlinearity, nobs = length(frame$y), nobs_exposure = length(first$y),
      two_sample = !is.null(samples$second), estimator = "DeLIVR", vcov_type = how$vcov,
      sigma = NA_real_, df.residual = NA_real_, df_test = NA_real_, outcome = frame$outcome,
      exposures = exposure, covariates = character(), instruments = first$z_names,
      n_instruments = length(first$z_names), intercept = TRUE, weights = frame$weights,
      cluster = frame$cluster_name, n_cluster = if (!is.null(frame$cluster)) frame$n_cluster,
      dropped = list(rows = frame$dropped$text), na.action = na_record(frame$dropped),
      imputed = frame$imputed, design = first$design, instrument_design = samples$instruments,
      model = if (how$model) frame$model, control = how$control, seed = how$seed,
      formula = frame$formula, call = call, isa = isa_used()
    ),
    class = c("iv_delivr", "iv_fit")
  )
}
