# Averages of a curve with the first-order effect of its estimation taken out: cross-fitted doubly
# robust scores with a Riesz representer in the space of the instruments.

#' Orthogonal average derivatives and contrasts
#'
#' Estimates the average derivative of an instrumental-variable curve, or the mean contrast of two
#' exposure levels, with an analytic standard error, beside the bootstrap's. The plug-in average of
#' an estimated curve inherits the curve's bias; here the curve's errors enter only through their
#' product with those of a second function, of the instruments. Assumed is what the fit assumes
#' (valid instruments, confounding that adds up) and that the functional can be told from the
#' instruments: the average derivative can where they move the exposure along its whole range. It
#' fails with weak instruments, whose `relevance` is near 0, where the target is a contrast between
#' levels that hardly anybody has, and where the curve has features that the dictionary lacks and
#' the network missed: a contrast at two points (`"ate"`) has no root-n estimate in general, and its
#' interval is right only up to what polynomials of `degree` cannot tell.
#'
#' @section Method:
#' The curve solves \eqn{E[Y - g(X, W) | Z, W] = 0}; the target is \eqn{\theta = E[m(g)]} with
#' \eqn{m(g) = \partial g / \partial x} or \eqn{g(b, W) - g(a, W)}. If \eqn{a(Z, W)} has \eqn{E[a
#' \phi(X, W)] = E[m(\phi)]} for all \eqn{\phi}, then
#' \deqn{\psi = m(g) + a(Z, W) (Y - g(X, W))}
#' has the mean \eqn{\theta}, and for estimates \eqn{\hat g}, \eqn{\hat a} that do not depend on the
#' row its mean is wrong by \eqn{E[(\hat a - a)(g - \hat g)]} alone, a product of two errors. As
#' \eqn{E[\hat a (Y - g)] = 0} for every function of the instruments, \eqn{\hat a} need not be
#' consistent where \eqn{\hat g} is right.
#'
#' Rows are cut into `folds`; the fit's own call is repeated without each fold (whole clusters), and
#' \eqn{\psi} is taken on the fold. \eqn{\hat a} is linear in polynomials of `degree` of the
#' first-stage mean \eqn{\mu(Z, W)} (the fit's own first stage for [iv_quantile()] and [iv_deep()],
#' else least squares on instruments and covariates), the covariates and their products with
#' \eqn{\mu}; the dictionary of \eqn{\phi} has the same functions of the exposure. The coefficients
#' minimise the largest \eqn{|E[a \phi] - E[m(\phi)]|^2} over functions of the dictionary with
#' \eqn{E[\phi^2] = 1} plus `ridge` times \eqn{E[a^2]}: the minimax form of Bennett et al. (2022) on
#' a finite dictionary. With normal exposures and a linear first stage \eqn{a = (\mu - E\mu) / Var
#' \mu} for the average derivative, by Stein's identity.
#'
#' The default ridge, \eqn{\log(n) / n}, is of the size of squared correlations that arise by
#' chance: directions of the dictionary that the instruments tell less about are damped instead of
#' inverted. `relevance` is the least squared canonical correlation of the dictionary with the
#' instruments' functions, `imbalance` the part of the functional that is left unbalanced (both
#' averaged over the folds); above 0.1 there is a warning of class `mrlearn_warning_imbalance`. For
#' a curve that is linear in the exposure `degree = 1` suffices.
#'
#' The standard error is that of the mean of \eqn{\psi}, summed within clusters where the fit has
#' any; the people are a sample (unlike in [average_derivative()], where those averaged over are
#' fixed), so the target is the population's.
#'
#' @param fit A fit of an `iv_*()` function with instruments, of one exposure, made from a formula
#'   and one sample.
#' @param estimand `"average_derivative"`, or `"ate"` for the contrast of `to` against `from`.
#' @param from,to Exposure levels, for `"ate"`.
#' @param data The data.frame that the fit was made from; by default its call's. `weights` and
#'   `cluster` of the call must be in it.
#' @param folds Number of folds, at least 2.
#' @param degree Degree of the polynomials, 1 to 6.
#' @param ridge Weight of \eqn{E[a^2]}, above 0.
#' @param conf_level Level of the interval.
#' @param seed Of the folds: NULL draws one from R's generator. Fits are repeated with their own.
#' @param n_threads Number of threads.
#' @return One row `estimate, std.error, statistic, p.value, conf.low, conf.high, estimand`, then
#'   `plug.in` (the mean of \eqn{m(\hat g)} over the folds), `relevance`, `imbalance` and `folds`.
#' @references Chernozhukov, V., Newey, W. K. & Singh, R. (2022). Automatic debiased machine
#'   learning of causal and structural effects. Econometrica 90:967-1027.
#'
#'   Bennett, A. et al. (2022). Inference on strongly identified functionals of weakly identified
#'   functions. arXiv:2208.08291.
#' @seealso [average_derivative()], [ate()].
#' @examples
#' sim <- sim_nonlinear(n = 1000, n_variants = 4, seed = 1)
#' sim$g <- as.matrix(sim[truth(sim)$instruments])
#' fit <- iv_quantile(Y ~ X | g, sim, seed = 1, control = nn_control(epochs = 20))
#' orthogonal(fit, folds = 2, degree = 2, seed = 1)
#' orthogonal(fit, "ate", from = 0, to = 1, folds = 2, degree = 2, seed = 1)
#' @export
orthogonal <- function(fit, estimand = c("average_derivative", "ate"), from = NULL, to = NULL,
                       data = NULL, folds = 3, degree = 3, ridge = NULL, conf_level = 0.95,
                       seed = NULL, n_threads = mrl_threads()) {
  estimand <- check_choice(estimand, c("average_derivative", "ate"))
  check_conf_level(conf_level)
  target <- orthogonal_target(fit, estimand, from, to)
  how <- list(
    folds = check_count(folds, min = 2, max = 50), degree = check_count(degree, max = 6),
    ridge = if (!is.null(ridge)) check_number(ridge, min = 0, open = TRUE),
    n_threads = check_threads(n_threads)
  )
  problem <- orthogonal_problem(fit, data, parent.frame(), how, resolve_seed(seed))
  if (on_futures("auto")) {
    how$n_threads <- 1L
  }
  parts <- lapply_jobs(seq_len(how$folds), function(k) fold_scores(problem, target, how, k),
    doing = "refitting folds")
  whole <- function(name) unlist(lapply(parts, `[[`, name))
  rows <- whole("rows")
  out <- score_table(whole("score"), problem$weights[rows], problem$frame$cluster[rows],
    conf_level, target$label)
  out$plug.in <- stats::weighted.mean(whole("plug_in"), problem$weights[rows])
  out$relevance <- mean(whole("relevance"))
  out$imbalance <- mean(whole("imbalance"))
  out$folds <- how$folds
  if (out$imbalance > 0.1) {
    warn_mrl("imbalance", "The instruments balance only ",
      format(100 * (1 - out$imbalance), digits = 2), " % of the functional over polynomials of ",
      "degree ", how$degree, ": the estimate leans on the curve. Take a lower `degree`.")
  }
  new_estimates(out)
}

# What is averaged: of rows of variables (mean of a fit), and of a polynomial of the exposure.
orthogonal_target <- function(fit, estimand, from, to) {
  refused <- c("iv_ols", "iv_delivr", "iv_doubly_ranked")
  if (!inherits(fit, "iv_fit") || inherits(fit, refused)) {
    stop_argument("fit", "must be a fit with instruments that gives E[Y|do(X=x)]",
      if (is.list(fit)) class(fit)[1] else describe(fit))
  }
  if (isTRUE(fit$two_sample)) {
    stop_argument("fit", "must be of one sample: nobody has both exposure and outcome",
      "one of two samples")
  }
  exposure <- exposure_variable(fit, NULL)
  if (estimand == "average_derivative") {
    if (!is.null(from) || !is.null(to)) {
      stop_argument("from", "and `to` are for \"ate\"", "them with \"average_derivative\"")
    }
    return(list(exposure = exposure, levels = NULL,
      label = paste0("mean d E[", fit$outcome, "]/d ", exposure)))
  }
  levels <- c(check_number(from, "from"), check_number(to, "to"))
  list(exposure = exposure, levels = levels,
    label = mean_change(fit$outcome, exposure, levels[1], levels[2]))
}

# The rows that the fit was made from, and the call that makes it again.
orthogonal_problem <- function(fit, data, env, how, seed) {
  call <- named_call(fit$call)
  if (is.null(call$formula)) {
    stop_argument("fit", "must be made from a formula", "one made from matrices")
  }
  data <- if (is.null(data)) eval(call$data, env) else data
  if (!is.data.frame(data)) {
    stop_argument("data", "must be the data.frame that the fit was made from", describe(data))
  }
  if (!is.null(call$subset)) {
    rows <- eval(call$subset, data, env)
    data <- data[if (is.logical(rows)) which(rows) else rows, , drop = FALSE]
  }
  call$subset <- NULL
  call$formula <- fit$formula
  call$data <- data
  frame <- suppressMessages(classes = "mrlearn_message", iv_frame(call, env, list(), "required",
    na_genotype = if (is.null(call$na_genotype)) "impute" else eval(call$na_genotype, env)))
  if (length(frame$y) != fit$nobs) {
    stop_argument("data", "must be the data.frame that the fit was made from",
      paste(length(frame$y), "rows, not", fit$nobs))
  }
  kept <- setdiff(seq_len(nrow(data)), frame$dropped$rows)
  list(
    data = data[kept, , drop = FALSE], frame = frame, fold = folds_of(frame, how$folds, seed),
    call = quiet_call(call, fit), env = env,
    weights = if (is.null(frame$weights)) rep(1, length(frame$y)) else frame$weights
  )
}

folds_of <- function(frame, folds, seed) {
  units <- if (is.null(frame$cluster)) length(frame$y) else frame$n_cluster
  if (units < 2L * folds) {
    stop_argument("folds", "must leave at least two rows (or clusters) in each",
      paste(folds, "folds of", units), what = "data")
  }
  fold <- lasso_folds(units, folds, seed = seed)
  if (is.null(frame$cluster)) fold else fold[frame$cluster]
}

# A fit's call with the function itself and the names of all arguments: iv_fit() leaves it as it was
# written.
named_call <- function(call) {
  name <- as.character(call[[1L]])
  fun <- get(name[length(name)], envir = topenv(), mode = "function")
  call[[1L]] <- fun
  match.call(fun, call)
}

# The call as it is repeated: with the fit's seed, without replicates, files and bars.
quiet_call <- function(call, fit) {
  fixed <- list(n_boot = 0L, progress = FALSE, checkpoint = NULL, seed = fit$seed, model = TRUE)
  fixed <- fixed[names(fixed) %in% names(formals(call[[1L]]))]
  call[names(fixed)] <- fixed
  call
}

# Scores of the rows of fold k, by all that was learnt from the other rows.
fold_scores <- function(problem, target, how, k) {
  inside <- problem$fold == k
  frame <- problem$frame
  problem$call$data <- problem$data[!inside, , drop = FALSE]
  fit <- suppressMessages(eval(problem$call, problem$env), classes = "mrlearn_message")
  x <- as.double(problem$data[[target$exposure]])
  mu <- first_stage_mean(fit, frame, x, !inside)
  a <- representer(x, mu, frame$w, !inside, problem$weights, target$levels, how)
  people <- problem$data[inside, , drop = FALSE]
  at <- function(level) {
    people[[target$exposure]] <- level
    as.vector(stats::predict(fit, newdata = people))
  }
  if (is.null(target$levels)) {
    # A network computes in single precision: a smaller step would lose digits.
    step <- 0.01 * stats::sd(x[!inside])
    plug_in <- (at(x[inside] + step) - at(x[inside] - step)) / (2 * step)
  } else {
    plug_in <- at(rep(target$levels[2], sum(inside))) - at(rep(target$levels[1], sum(inside)))
  }
  list(
    rows = which(inside), plug_in = plug_in, relevance = a$relevance, imbalance = a$imbalance,
    score = plug_in + a$value[inside] * (frame$y[inside] - at(x[inside]))
  )
}

# The mean exposure of all rows given instruments and covariates, learnt on the rows `train`.
first_stage_mean <- function(fit, frame, x, train) {
  if (inherits(fit, c("iv_quantile", "iv_deep"))) {
    w <- structure(as.double(frame$w), dim = dim(frame$w))
    found <- first_stage_nodes(fit, frame$z, w, length(x))
    return(rowSums(found$nodes * found$weights))
  }
  columns <- do.call(cbind, c(list(1, frame$w), frame$z))
  root <- if (is.null(frame$weights)) 1 else sqrt(frame$weights[train])
  solved <- stats::lm.fit(columns[train, , drop = FALSE] * root, x[train] * root)$coefficients
  solved[is.na(solved)] <- 0
  drop(columns %*% solved)
}

# a (n) at all rows, and how well it balances, learnt on the rows `train`.
representer <- function(x, mu, w, train, weights, levels, how) {
  phi <- polynomials(x, w, train, how$degree)
  b <- polynomials(mu, w, train, how$degree)
  use <- independent(phi$value[train, , drop = FALSE])
  use_b <- independent(b$value[train, , drop = FALSE])
  total <- sum(weights[train])
  functional <- if (is.null(levels)) {
    phi$slope[train, use, drop = FALSE]
  } else {
    (phi$at(levels[2]) - phi$at(levels[1]))[train, use, drop = FALSE]
  }
  m <- colSums(functional * weights[train]) / total
  settings <- list(
    n = sum(train), total = total, n_threads = how$n_threads, isa = isa_setting(),
    ridge = if (is.null(how$ridge)) log(sum(train)) / sum(train) else how$ridge
  )
  out <- .Call(C_riesz_solve, b$value[train, use_b, drop = FALSE],
    phi$value[train, use, drop = FALSE], m, sqrt(weights[train]), settings)
  check_status(out$status, "solving for the Riesz representer")
  c(list(value = drop(b$value[, use_b, drop = FALSE] %*% out$value$rho)),
    out$value[c("relevance", "imbalance")])
}

# Columns that are not (nearly) combinations of those before them.
independent <- function(columns) {
  q <- qr(columns, tol = 1e-6)
  sort(q$pivot[seq_len(q$rank)])
}

# More covariates than these do not get products with the exposure.
crossed_most <- 10L

# 1, Hermite polynomials of u, covariates, products of u with these, standardised by the rows
# `train`: list(value (n, k), slope (n, k) with respect to u, at(level): value with u set to it).
polynomials <- function(u, w, train, degree) {
  center <- mean(u[train])
  spread <- max(stats::sd(u[train]), 1e-12 * (1 + abs(center)))
  w <- scale(w, colMeans(w[train, , drop = FALSE]), pmax(apply(w[train, , drop = FALSE], 2,
    stats::sd), 1e-12))
  crossed <- if (ncol(w) <= crossed_most) w else w[, 0L, drop = FALSE]
  build <- function(t) {
    h <- hermite(t, degree)
    cbind(h, w, t * crossed)
  }
  t <- (u - center) / spread
  slope_of <- cbind(0, sweep(hermite(t, degree - 1L), 2, seq_len(degree), "*"))
  list(
    value = build(t), slope = cbind(slope_of, 0 * w, crossed) / spread,
    at = function(level) build(rep((level - center) / spread, length(u)))
  )
}

# Probabilists' Hermite polynomials of degree 0 to `degree`, in columns; the derivative of that of
# degree d is d times that of degree d - 1.
hermite <- function(t, degree) {
  h <- cbind(rep(1, length(t)), t)
  for (d in seq_len(max(degree - 1L, 0L))) {
    h <- cbind(h, t * h[, d + 1L] - d * h[, d])
  }
  unname(h[, seq_len(degree + 1L), drop = FALSE])
}

# The weighted mean of scores with its standard error, within clusters if there are any.
score_table <- function(score, weights, cluster, conf_level, estimand) {
  estimate <- stats::weighted.mean(score, weights)
  part <- weights * (score - estimate) / sum(weights)
  if (!is.null(cluster)) {
    part <- rowsum(part, cluster)[, 1]
  }
  g <- length(part)
  se <- sqrt(sum(part^2) * g / (g - 1))
  df <- if (is.null(cluster)) Inf else g - 1
  half <- stats::qt((1 + conf_level) / 2, df) * se
  data.frame(
    estimate = estimate, std.error = se, statistic = estimate / se,
    p.value = 2 * stats::pt(abs(estimate / se), df, lower.tail = FALSE),
    conf.low = estimate - half, conf.high = estimate + half, estimand = estimand
  )
}
