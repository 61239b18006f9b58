# The bridge to the compiled LASSO of the first stage: plain vectors and matrices in, a list of
# numbers out. Objective and return values are described in src/core/lasso.h.

# x (n), z (n, L) or a list of columns and matrices, w (n, kw) or NULL, weights (n) or NULL, foldid
# (n) in 1..K or NULL. A lambda that is given is sorted, its duplicates dropped.
# moments: of streamed instruments (fold_moments()), instead of z.
# scaling: "fold" standardises within each training fold, "all" once on all rows.
lasso_fit <- function(x, z, w = NULL, weights = NULL, foldid = NULL, intercept = TRUE,
                      lambda = NULL, nlambda = 100L, lambda_min_ratio = NULL,
                      scaling = c("fold", "all"), tolerance = 1e-10, max_iter = 1000L,
                      n_threads = mrl_threads(), moments = NULL) {
  scaling <- check_choice(scaling, c("fold", "all"))
  if (is.null(lambda_min_ratio)) {
    n_z <- if (is.null(moments)) n_columns(z) else moments$l
    lambda_min_ratio <- if (length(x) > n_z) 1e-4 else 1e-2
  }
  settings <- list(
    intercept = intercept,
    lambda = if (!is.null(lambda)) sort(unique(as.double(lambda)), decreasing = TRUE),
    nlambda = as.integer(nlambda),
    lambda_min_ratio = as.double(lambda_min_ratio),
    scale_all = scaling == "all",
    tolerance = as.double(tolerance),
    max_iter = as.integer(max_iter),
    nfolds = if (is.null(foldid)) 0L else max(foldid),
    moments = moments,
    n_threads = n_threads,
    isa = isa_setting()
  )
  out <- .Call(C_lasso_fit, x, w, z, weights, foldid, settings)
  check_status(out$status, "fitting the LASSO of the exposure on the instruments")
  fit <- out$value
  worst <- max(fit$kkt, fit$cv_kkt)
  if (worst > lasso_kkt_bound) {
    warn_mrl(
      "no_converge", "The LASSO path did not converge: the optimality conditions hold to ",
      format(worst, digits = 2), " of the largest penalty only. Raise `lambda_min_ratio`."
    )
  }
  fit
}

n_columns <- function(z) {
  if (is.list(z)) sum(vapply(z, NCOL, 1L)) else NCOL(z)
}

# Relative to the largest penalty; solutions are accurate to about this.
lasso_kkt_bound <- 1e-7

# Fold numbers 1..nfolds of n rows: random, as balanced as can be, or contiguous blocks of which
# the first n %% nfolds have one row more (the rule of scikit-learn's unshuffled KFold).
lasso_folds <- function(n, nfolds, folds = c("random", "contiguous"), seed = NULL) {
  folds <- check_choice(folds, c("random", "contiguous"))
  if (folds == "contiguous") {
    sizes <- rep(n %/% nfolds, nfolds) + (seq_len(nfolds) <= n %% nfolds)
    return(rep(seq_len(nfolds), sizes))
  }
  settings <- list(n = as.integer(n), nfolds = as.integer(nfolds), seed = resolve_seed(seed))
  .Call(C_lasso_folds, settings)
}
