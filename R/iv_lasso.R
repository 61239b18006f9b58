#' Instrumental variables with a LASSO first stage
#'
#' Selects instruments of one exposure by the LASSO, with the penalty chosen by cross-validation,
#' and estimates the effect from them. **By default (`refit = FALSE`) the outcome is regressed on
#' the LASSO fit of the exposure, as the contextualized-MR study did. Shrinkage makes this fit too
#' small, so that the slope is inflated away from zero, by the factor
#' \eqn{\langle\hat x, x\rangle / \langle\hat x, \hat x\rangle} (products after partialling out
#' the covariates), which [diagnostics()] and `glance()` report as the shrinkage ratio. Take
#' intervals from `refit = TRUE`, which is two-stage least squares on the selected instruments.**
#' Neither interval counts the choice of instruments on the same data, which leans to the confounded
#' association where many candidates do nothing: with 4 of 40 instruments at work and 500 people the
#' two held the effect in 83 and 80 % (bench/reliability.md of the sources), not 95 %.
#'
#' @section What to expect:
#' 500 data sets of [sim_contextual()] with 5000 people, 30 instruments and an effect of 0.3. Weak:
#' effects of the SNPs of standard deviation 0.1, where least squares without instruments gives
#' 0.78; strong: 0.3, where it gives 0.65. Coverage is that of 95 per cent intervals (Monte Carlo
#' error 0.01 to 0.02):
#'
#' | estimator | weak: mean | coverage | strong: mean | coverage |
#' | :--- | ---: | ---: | ---: | ---: |
#' | `lambda.min`, no refit | 0.382 | 0.868 | 0.308 | 0.970 |
#' | `lambda.min`, `refit = TRUE` | 0.350 | 0.856 | 0.305 | 0.958 |
#' | `lambda.1se`, no refit | 0.781 | 0.328 | 0.364 | 0.456 |
#' | `lambda.1se`, `refit = TRUE` | 0.347 | 0.866 | 0.305 | 0.956 |
#' | [iv_2sls()], all instruments | 0.350 | 0.856 | 0.305 | 0.958 |
#'
#' So selection does not cure weak instruments: with them no interval of this table covers as it
#' should, and a refit does as well as two-stage least squares on all. Where the intervals without
#' refit at `lambda.min` look as good, it is because they are wide (their residuals contain the
#' first stage's), not because they are in the right place. `lambda.1se` without refit is badly off:
#' its mean shrinkage ratio is 2.3 (weak) and 1.2 (strong), and in 21 of the weak sets nothing was
#' selected.
#'
#' Dividing the estimate and its standard error without refit by the shrinkage ratio gives the
#' estimate with the LASSO fit as the only instrument. Instruments were chosen and their strength is
#' tested on the same data: the F statistics of the selected set are too large, and after a refit
#' the bias of weak instruments remains, as of two-stage least squares on all of them.
#'
#' @section The LASSO:
#' The exposure is regressed on the instruments, minimising
#' \deqn{\frac{1}{2\sum w_i}\sum_i w_i (x_i - a_0 - w_i'a - z_i'b)^2 + \lambda \sum_j sd_j |b_j|}
#' with unpenalised constant and covariates; \eqn{sd_j} is the standard deviation (divisor n) of
#' instrument j. This is the objective of glmnet, whose `penalty.factor` of 0 for k covariates next
#' to L instruments would however multiply its penalties by L / (L + k). Solutions satisfy the
#' optimality conditions to 1e-10 of the largest penalty. The curve of cross-validation is the mean
#' squared error of held-out rows, pooled over folds by their weight, with its standard error from
#' the spread between folds. With `cluster`, random folds keep clusters together. Memory: about 8
#' (`nfolds` + 1) (L + k)^2 bytes beside the data.
#'
#' The study's rule is `folds = "contiguous", nfolds = 5, scaling = "all", lambda_min_ratio = 1e-3`.
#'
#' @inheritParams iv_2sls
#' @inheritSection iv_2sls Formulas
#' @inheritSection iv_2sls Missing values
#' @inheritSection iv_2sls Genotypes in files
#' @param lambda Which penalty to use: `"lambda.min"` (least cross-validated error), `"lambda.1se"`
#'   (the largest within one standard error of it), or a number (then nothing is cross-validated).
#' @param refit Two-stage least squares on the selected instruments (`TRUE`), or regression on the
#'   shrunken fit (`FALSE`)?
#' @param nfolds Number of folds, at least 3 (2 is possible for `foldid`).
#' @param foldid Fold of each row (after `subset`): whole numbers from 1 on. Overrides `nfolds` and
#'   `folds`.
#' @param folds `"random"` folds by `seed`, or `"contiguous"` blocks of rows.
#' @param nlambda,lambda_min_ratio The penalties: how many, on a log scale from the smallest that
#'   selects nothing down to this part of it (by default 1e-4, or 1e-2 where there are at least as
#'   many instruments as rows).
#' @param lambda_path Penalties to use instead.
#' @param scaling Is \eqn{sd_j} that of the rows of each training `"fold"`, or of `"all"` rows?
#' @param seed Of the random folds: NULL draws one from R's generator, a whole number is used as is.
#' @return As [iv_2sls()], of class `c("iv_lasso", "iv_fit")`, with besides: `instruments` (the
#'   selected ones), `n_candidates`, `lambda`, `lambda.min`, `lambda.1se`, `shrinkage_ratio`,
#'   `refit`, `path` (list of `lambda`, `beta` (instruments x penalties), `df`, `dev.ratio`), `cv`
#'   (data.frame `lambda, cvm, cvsd, nzero`, NULL if nothing was cross-validated) and `foldid`.
#'   `glance()` has besides `lambda`, `n.candidates` and `shrinkage.ratio`. The diagnostics are
#'   those of two-stage least squares on the selected set. Without refit, `sigma` and the standard
#'   errors are those of the regression on the LASSO fit; residuals are those of the structural
#'   equation. If nothing is selected there is a warning of class `mrlearn_warning_nothing_selected`
#'   and the estimates are NA.
#' @references
#' Belloni, Chen, Chernozhukov & Hansen (2012), Econometrica 80:2369 (LASSO for instruments).
#' Friedman, Hastie & Tibshirani (2010), J. Stat. Softw. 33(1) (glmnet).
#' Talluri, N. (2025). contextualized-mr. <https://github.com/ntalluri/contextualized-mr>
#' @examples
#' sim <- sim_contextual(n = 2000, L = 20, seed = 1)
#' z <- as.matrix(sim[truth(sim)$instruments])
#' fit <- iv_lasso(Y ~ X | z, data = sim, refit = TRUE, seed = 1)
#' fit
#' glance(fit)
#' plot(fit, "cv")
#' @export
iv_lasso <- function(formula = NULL, data = NULL, subset = NULL, weights = NULL, na.action = NULL,
                     cluster = NULL, vcov = c("iid", "HC0", "HC1", "HC2", "HC3"),
                     na_genotype = c("impute", "drop", "error"),
                     y = NULL, x = NULL, z = NULL, w = NULL, id = NULL, lambda = "lambda.min",
                     refit = FALSE, nfolds = 10, foldid = NULL,
                     folds = c("random", "contiguous"), nlambda = 100, lambda_min_ratio = NULL,
                     lambda_path = NULL, scaling = c("fold", "all"), seed = NULL, model = TRUE,
                     n_threads = mrl_threads()) {
  call <- match.call()
  lambda <- check_lambda(lambda)
  check_flag(refit)
  scaling <- check_choice(scaling, c("fold", "all"))
  check_flag(model)
  frame <- iv_frame(call, parent.frame(), list(y = y, x = x, z = z, w = w), "required",
    na_genotype = if (missing(na_genotype)) "impute" else na_genotype, stream = TRUE
  )
  vcov <- check_vcov(vcov, frame)
  check_lasso_frame(frame)
  threads <- check_threads(n_threads)
  foldid <- if (is.character(lambda)) {
    resolve_folds(foldid, nfolds, check_choice(folds, c("random", "contiguous")), seed, frame)
  }
  moments <- if (!is.null(frame$beds)) fold_moments(frame, foldid, threads)
  frame$crossprod <- moments$crossprod
  first <- lasso_fit(frame$x[, 1], frame$z, frame$w, frame$weights, foldid, frame$intercept,
    lambda = if (is.numeric(lambda)) lambda else check_lambda_path(lambda_path),
    nlambda = check_count(nlambda, min = 2),
    lambda_min_ratio = check_ratio(lambda_min_ratio), scaling = scaling, n_threads = threads,
    moments = moments[c("mean", "gram", "l")]
  )
  check_first(first, frame)
  chosen <- switch(as.character(lambda), lambda.min = first$i_min, lambda.1se = first$i_1se, 1L)
  second <- if (any(first$beta[, chosen] != 0)) {
    lasso_second_stage(first, chosen, frame, vcov, refit, call, model, threads)
  } else {
    nothing_selected(first, chosen, frame, vcov, call, model)
  }
  new_lasso_fit(second, first, chosen, frame, foldid, refit)
}

check_lambda <- function(lambda) {
  named <- is.character(lambda) && length(lambda) == 1L &&
    lambda %in% c("lambda.min", "lambda.1se")
  number <- is.numeric(lambda) && length(lambda) == 1L && is.finite(lambda) && lambda >= 0
  if (!named && !number) {
    stop_argument("lambda", "must be \"lambda.min\", \"lambda.1se\" or one number, at least 0",
      describe(lambda))
  }
  lambda
}

check_lambda_path <- function(path) {
  if (is.null(path)) {
    return(NULL)
  }
  path <- check_doubles(path, "lambda_path")
  if (!length(path) || any(path < 0)) {
    stop_argument("lambda_path", "must have penalties that are not negative",
      if (length(path)) min(path) else "none")
  }
  path
}

check_ratio <- function(ratio) {
  if (is.null(ratio)) NULL else check_number(ratio, "lambda_min_ratio", 0, 1, open = TRUE)
}

check_lasso_frame <- function(frame) {
  if (ncol(frame$x) != 1L) {
    stop_mrl("argument", "iv_lasso() takes one exposure; got ", ncol(frame$x), ": ",
      shorten(colnames(frame$x)), ".")
  }
  needed <- frame$intercept + ncol(frame$w) + 1L
  if (length(frame$y) <= needed) {
    stop_mrl("data", "There are ", length(frame$y), " rows for ", needed, " columns besides the ",
      "instruments.")
  }
}

# The exposure must vary given the covariates, and so must some instrument.
check_first <- function(first, frame) {
  if (!all(is.finite(first$cvm))) {
    check_status("not_finite", "cross-validating the first stage")
  }
  x <- frame$x[, 1]
  explained <- first$dev.ratio[1] > 1 - 1e-11 && first$df[1] == 0
  if (max(x) == min(x) || explained) {
    stop_mrl("collinear", "The exposure `", colnames(frame$x),
      "` is constant or a linear function of the covariates.")
  }
  if (all(first$sd == 0)) {
    stop_mrl("underidentified", "No instrument varies given the covariates: each is constant or a ",
      "linear function of them.")
  }
}

# Fold of each row: given, or made.
resolve_folds <- function(foldid, nfolds, folds, seed, frame) {
  n <- length(frame$y)
  if (!is.null(foldid)) {
    return(check_foldid(foldid, n, frame$dropped))
  }
  units <- if (folds == "random" && !is.null(frame$cluster)) frame$n_cluster else n
  nfolds <- check_count(nfolds, min = 3, max = units)
  id <- lasso_folds(units, nfolds, folds, seed)
  if (units == n) id else id[frame$cluster]
}

check_foldid <- function(foldid, n, dropped) {
  if (length(dropped$rows) && length(foldid) == dropped$n_input) {
    foldid <- foldid[-dropped$rows]
  }
  foldid <- check_doubles(foldid, "foldid", n = n)
  k <- max(foldid)
  if (any(foldid != round(foldid)) || min(foldid) < 1 || k < 2 || k > n ||
    any(tabulate(foldid, k) == 0L)) {
    stop_argument("foldid", "must number at least 2 folds from 1 on, none of them empty",
      paste("values from", min(foldid), "to", k))
  }
  as.integer(foldid)
}

# The frame with only the instruments flagged; their columns stay where they are.
keep_instruments <- function(frame, keep) {
  frame$z_keep <- which(keep)
  frame$z_names <- frame$z_names[keep]
  frame
}

# Fitted exposure.
lasso_predict <- function(first, chosen, frame, n_threads) {
  b <- first$beta[, chosen]
  a <- first$unpenalised[, chosen]
  out <- a[1] + drop(frame$w %*% a[-1])
  at <- 0L
  for (v in frame$z) {
    mine <- b[at + seq_len(NCOL(v))]
    at <- at + NCOL(v)
    if (any(mine != 0)) {
      out <- out + if (is.null(dim(v))) v * mine else drop(v %*% mine)
    }
  }
  if (!is.null(frame$beds)) {
    out <- out + multiply_genotypes(file_order(frame), b, n_threads)
  }
  out
}

lasso_second_stage <- function(first, chosen, frame, vcov, refit, call, model, n_threads) {
  selected <- keep_instruments(frame, first$beta[, chosen] != 0)
  if (refit) {
    fit <- fit_linear(selected, vcov, "2SLS on LASSO-selected instruments", "iv_lasso", call,
      model, n_threads)
    fit$shrinkage_ratio <- 1
    return(fit)
  }
  fitted_x <- frame
  fitted_x$z_names <- character() # the regression has no instruments
  fitted_x$x[, 1] <- lasso_predict(first, chosen, frame, n_threads)
  fit <- fit_linear(fitted_x, vcov, "OLS", "iv_lasso", call, model, n_threads)
  name <- colnames(frame$x)
  fit$estimator <- "LASSO first stage"
  fit$shrinkage_ratio <- first$shrinkage[chosen]
  move <- fit$coefficients[[name]] * (frame$x[, 1] - fitted_x$x[, 1])
  fit$fitted.values <- fit$fitted.values + move
  fit$residuals <- fit$residuals - move
  fit$instruments <- selected$z_names
  fit$n_instruments <- length(selected$z_names)
  fit$first_stage <- shrunken_first_stage(first, chosen, frame)
  fit$diagnostics <- rbind(
    selected_diagnostics(selected, vcov, call, n_threads),
    data.frame(diagnostic = "Shrinkage ratio", df1 = NA_real_, df2 = NA_real_,
      statistic = fit$shrinkage_ratio, p.value = NA_real_, critical = NA_real_)
  )
  fit
}

# Of two-stage least squares on the selected set; none if that has no degree of freedom left.
selected_diagnostics <- function(selected, vcov, call, n_threads) {
  tryCatch(
    suppressMessages(
      fit_linear(selected, vcov, "2SLS", "iv_lasso", call, FALSE, n_threads)$diagnostics,
      classes = "mrlearn_message_collinear"
    ),
    mrlearn_error = function(e) empty_diagnostics()
  )
}

# Standard errors of shrunken coefficients are not known.
shrunken_first_stage <- function(first, chosen, frame) {
  b <- first$beta[, chosen]
  a <- first$unpenalised[, chosen]
  constant <- if (frame$intercept) "(Intercept)"
  data.frame(
    exposure = colnames(frame$x), term = c(constant, colnames(frame$w), frame$z_names[b != 0]),
    estimate = c(if (frame$intercept) a[1], a[-1], b[b != 0]), std.error = NA_real_
  )
}

# A fit without estimates.
nothing_selected <- function(first, chosen, frame, vcov, call, model) {
  warn_mrl("nothing_selected", "The LASSO selected none of ", length(frame$z_names),
    " instruments at penalty ", format(first$lambda[chosen], digits = 3),
    ": the estimates are NA. The instruments may be too weak, or the penalty too large.")
  n <- length(frame$y)
  value <- list(
    coef = rep(0, frame$intercept + ncol(frame$w) + 1L), residuals = rep(NA_real_, n),
    aliased = integer(frame$intercept + ncol(frame$w) + 1L), sigma2 = NA_real_,
    df_residual = n - frame$intercept - ncol(frame$w) - 1
  )
  value$vcov <- matrix(NA_real_, length(value$coef), length(value$coef))
  fit <- new_linear_fit(value, frame, vcov, "OLS", "iv_lasso", call, model)
  fit$coefficients[] <- NA_real_
  fit$estimator <- "LASSO first stage"
  fit$shrinkage_ratio <- NA_real_
  fit$instruments <- character()
  fit$n_instruments <- 0L
  fit$first_stage <- shrunken_first_stage(first, chosen, frame)
  fit
}

new_lasso_fit <- function(fit, first, chosen, frame, foldid, refit) {
  fit$n_candidates <- length(frame$z_names)
  fit$refit <- refit
  fit$lambda <- first$lambda[chosen]
  rownames(first$beta) <- frame$z_names
  fit$path <- first[c("lambda", "beta", "df", "dev.ratio")]
  if (!is.null(foldid)) {
    fit$lambda.min <- first$lambda[first$i_min]
    fit$lambda.1se <- first$lambda[first$i_1se]
    fit$cv <- data.frame(lambda = first$lambda, cvm = first$cvm, cvsd = first$cvsd,
      nzero = first$df)
    fit$foldid <- foldid
  }
  fit
}

#' @export
glance.iv_lasso <- function(x, ...) {
  cbind(glance.iv_fit(x, ...),
    lambda = x$lambda, n.candidates = x$n_candidates, shrinkage.ratio = x$shrinkage_ratio
  )
}

#' @export
print.iv_lasso <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  digits <- check_digits(digits)
  NextMethod()
  print_lasso_notes(x, digits)
  invisible(x)
}

#' @export
print.summary.iv_lasso <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  digits <- check_digits(digits)
  NextMethod()
  print_lasso_notes(x$fit, digits)
  invisible(x)
}

#' @export
summary.iv_lasso <- function(object, ...) {
  out <- NextMethod()
  class(out) <- c("summary.iv_lasso", class(out))
  out
}

print_lasso_notes <- function(x, digits) {
  how <- if (is.null(x$cv)) {
    "given"
  } else {
    paste0(if (x$lambda == x$lambda.min) "lambda.min" else "lambda.1se", " of ",
      max(x$foldid), "-fold cross-validation")
  }
  cat("\n", x$n_instruments, " of ", x$n_candidates, " instruments selected at penalty ",
    format(x$lambda, digits = digits), " (", how, ").\n",
    sep = "")
  if (x$n_instruments > 0L && x$n_instruments < x$n_candidates) {
    cat("They were selected on these data: their F statistics are too large.\n")
  }
  if (!x$refit && x$n_instruments > 0L) {
    cat("Without refit the estimate is inflated by the shrinkage ratio, ",
      format(x$shrinkage_ratio, digits = digits),
      ";\ntake intervals from refit = TRUE.\n",
      sep = "")
  }
}
