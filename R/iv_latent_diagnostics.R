# What can be said of the latents of iv_latent(): tests, recovery, pictures, printing.

#' Diagnostics of iv_latent()
#'
#' Beside the diagnostics of the regression (see [diagnostics()]; the instruments are the latents)
#' what can be said about the latents themselves, and where the truth is known, how much of it was
#' recovered. That a test does not reject shows nothing about directions in which environments do
#' not differ.
#'
#' @param fit A fit of [iv_latent()].
#' @param truth NULL, or the latents behind simulated data: a list with matrices `V` and `W`, such
#'   as [truth()] of [sim_environments()] gives, with a row for each row that was used.
#' @param n_perm Permutations of the two tests.
#' @param n_sub At most so many rows of each environment are used for tests (drawn at random), which
#'   cost their square.
#' @param seed One whole number, or NULL to draw one from R's generator.
#' @param n_threads Number of threads; the result does not depend on it.
#' @param ... Nothing else may be given.
#' @return A data.frame `diagnostic, df1, df2, statistic, p.value, critical`. Beside the usual rows,
#'   for each fold
#'   * `Stationarity`: the last eigenvalue that must be small; `critical`: the gate's threshold;
#'   * `Invariance of W (MMD)`: maximum mean discrepancy of W between environments (mean over pairs,
#'     Gaussian kernel, see [kernel_statistics]), p-value by permutation of environments;
#'   * `Independence of V and W (HSIC)`: within environments, p-value by permutation;
#'
#'   and with `truth`, averaged over folds, the share of variance (linear) of `W explained by latent
#'   W`, of `V explained by latent W` (the leak: what of the instrument is invalid) and of `V
#'   explained by latent V`. All are pooled over columns by the mean.
#' @examples
#' sim <- sim_environments(n = 1000, seed = 1)
#' z <- as.matrix(as.data.frame(sim)[truth(sim)$instruments])
#' fit <- iv_latent(Y ~ X | z, data = sim, environment = ~environment, latent_dim = c(2, 2),
#'   method = "ssa", seed = 1)
#' diagnostics(fit, truth = truth(sim), n_perm = 50, seed = 1)
#' @export
diagnostics.iv_latent <- function(fit, truth = NULL, n_perm = 199, n_sub = 500, seed = NULL,
                                  n_threads = mrl_threads(), ...) {
  check_no_dots(...)
  n_perm <- check_count(n_perm, min = 19)
  n_sub <- check_count(n_sub, min = 10)
  seed <- resolve_seed(seed)
  folds <- seq_along(fit$representations)
  tests <- lapply(folds, function(k) {
    latent_tests(fit, k, n_perm, n_sub, seed, check_threads(n_threads))
  })
  rbind(fit$diagnostics, do.call(rbind, tests),
    if (!is.null(truth)) recovery_rows(fit, check_latents(truth, fit)))
}

latent_row <- function(name, statistic, p = NA_real_, critical = NA_real_, df1 = NA_real_) {
  data.frame(diagnostic = name, df1 = df1, df2 = NA_real_, statistic = statistic, p.value = p,
    critical = critical)
}

latent_tests <- function(fit, k, n_perm, n_sub, seed, n_threads) {
  of <- if (length(fit$representations) > 1L) paste0(" (fold ", k, ")") else ""
  rows <- latent_sample(fit, k, n_sub, seed)
  environment <- as.integer(fit$latent$environment)[rows]
  w <- fit$latent$w[rows, , drop = FALSE]
  mmd <- kernel_test(w, group = environment, n_perm = n_perm, seed = seed, n_threads = n_threads)
  hsic <- kernel_test(fit$latent$v[rows, , drop = FALSE], w, group = environment, n_perm = n_perm,
    seed = seed, n_threads = n_threads)
  gate <- fit$representations[[k]]$gate
  rbind(
    latent_row(paste0("Stationarity", of), gate$statistic, critical = gate$threshold),
    latent_row(paste0("Invariance of W (MMD)", of), mmd$statistic, mmd$p.value),
    latent_row(paste0("Independence of V and W (HSIC)", of), hsic$statistic, hsic$p.value)
  )
}

# At most n_sub rows of each environment in a fold, ordered by environment.
latent_sample <- function(fit, k, n_sub, seed) {
  rows <- which(fit$latent$fold == k)
  rows[sample_environments(as.integer(fit$latent$environment)[rows], n_sub, seed)]
}

check_latents <- function(truth, fit) {
  known <- is.list(truth) && is.matrix(truth$V) && is.matrix(truth$W)
  n <- length(fit$latent$fold)
  if (!known || nrow(truth$V) != n || nrow(truth$W) != n) {
    stop_argument("truth", paste("must be a list with matrices `V` and `W` of", n, "rows"),
      describe(truth))
  }
  truth
}

# Mean share of the variance of the columns of y that a linear function of x explains.
linear_r2 <- function(y, x) {
  y <- center_columns(y)
  mean(1 - colSums(qr.resid(qr(center_columns(x)), y)^2) / colSums(y^2))
}

recovery_rows <- function(fit, truth) {
  over_folds <- function(y, x) {
    mean(vapply(seq_along(fit$representations), function(k) {
      rows <- fit$latent$fold == k
      linear_r2(y[rows, , drop = FALSE], x[rows, , drop = FALSE])
    }, 0))
  }
  latent <- fit$latent
  rbind(
    latent_row("W explained by latent W", over_folds(truth$W, latent$w)),
    latent_row("V explained by latent W", over_folds(truth$V, latent$w)),
    latent_row("V explained by latent V", over_folds(truth$V, latent$v))
  )
}

#' Plot a fit of iv_latent()
#'
#' `"scree"`: the eigenvalues of stationary subspace analysis of each fold on a logarithmic scale,
#' with the threshold below which the first W of them must lie. `"estimators"`: the estimators side
#' by side with their intervals of 95 %. Other types as [plot.iv_fit()].
#'
#' @inheritParams plot.iv_fit
#' @param x,object A fit of [iv_latent()].
#' @return `plot()`: the data.frame drawn, invisibly. `autoplot()`: a ggplot of the same.
#' @examples
#' sim <- sim_environments(n = 1000, seed = 1)
#' z <- as.matrix(as.data.frame(sim)[truth(sim)$instruments])
#' fit <- iv_latent(Y ~ X | z, data = sim, environment = ~environment, latent_dim = c(2, 2),
#'   method = "ssa", seed = 1)
#' plot(fit)
#' @export
plot.iv_latent <- function(x, type = c("scree", "estimators", "effect", "coefficients",
                                       "first_stage"),
                           exposure = NULL, conf_level = 0.95, ...) {
  draw_picture(latent_picture(x, type, exposure, conf_level), ...)
}

#' @rdname plot.iv_latent
#' @exportS3Method ggplot2::autoplot
autoplot.iv_latent <- function(object, type = c("scree", "estimators", "effect", "coefficients",
                                                "first_stage"),
                               exposure = NULL, conf_level = 0.95, ...) {
  check_no_dots(...)
  ggplot_picture(latent_picture(object, type, exposure, conf_level))
}

latent_picture <- function(fit, type, exposure, conf_level) {
  type <- check_choice(type, c("scree", "estimators", "effect", "coefficients", "first_stage"))
  switch(type,
    scree = scree_picture(fit),
    estimators = estimators_picture(fit),
    fit_picture(fit, type, exposure, conf_level)
  )
}

scree_picture <- function(fit) {
  values <- fit$eigenvalues
  folds <- seq_len(ncol(values))
  data <- data.frame(fold = rep(folds, each = nrow(values)),
    place = rep(seq_len(nrow(values)), length(folds)), eigenvalue = as.vector(values))
  threshold <- unique(vapply(fit$representations, function(r) r$gate$threshold, 0))
  shown <- pmax(data$eigenvalue, 1e-16)
  fold <- factor(paste("fold", data$fold), paste("fold", folds))
  grey <- plot_colour[["zero"]]
  picture(data, list(
    ink("rule", value = threshold, colour = grey, lty = 2),
    ink("rule", value = fit$latent_dim[["W"]] + 0.5, along = "x", colour = grey, lty = 3),
    ink("line", x = data$place, y = shown, by = fold),
    ink("point", x = data$place, y = shown, by = fold)
  ), "eigenvalue, by size (dotted: those of W are left of it)",
  "difference between environments (dashed: the gate)", fit$estimator, log = "y",
  include = list(y = threshold), ticks = list(x = data.frame(at = seq_len(nrow(values)),
    label = as.character(seq_len(nrow(values))))))
}

estimators_picture <- function(fit) {
  if (is.null(fit$estimators)) {
    stop_argument("type", "\"estimators\" needs a fit with compare = TRUE", "compare = FALSE")
  }
  data <- fit$estimators
  data$term <- data$estimator
  rows_picture(data, paste("effect on", fit$outcome, "per unit of", fit$exposures[1]),
    fit$estimator, value = fit$estimators)
}

#' @export
print.iv_latent <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  NextMethod()
  sizes <- table(x$latent$environment)
  cat("\n", length(sizes), " environments (", min(sizes), " to ", max(sizes), " rows); latents V ",
    x$latent_dim[["V"]], ", W ", x$latent_dim[["W"]], " by ", x$method,
    if (x$cross_fit > 1L) paste0(", ", x$cross_fit, " folds"), "\n", sep = "")
  reasons <- unique(x$tried[c("method", "fold", "passed", "reason")])
  cat(paste0("  ", reasons$method, ", fold ", reasons$fold, ": ",
    ifelse(reasons$passed, "passed, ", "refused, "), reasons$reason, "\n"), sep = "")
  if (!x$identified) {
    cat("The effect is not identified by these environments.\n")
  }
  if (!is.null(x$estimators)) {
    cat("\n")
    print(x$estimators, digits = digits, row.names = FALSE)
  }
  invisible(x)
}
