# iv_lasso() against glmnet::cv.glmnet() at the same penalties and folds, n = 1e5, L = 100, and
# coverage of the intervals of iv_lasso(). Timings alternate, median of five. Writes bench/lasso.md.
# Usage: Rscript bench/lasso.R [n] [L] [rounds] [data sets for coverage]
library(mrlearn)

given <- suppressWarnings(as.numeric(commandArgs(TRUE)))
size <- ifelse(is.na(given[1:4]), c(1e5, 100, 5, 500), given[1:4])

seconds <- function(expr) {
  gc()
  started <- proc.time()[["elapsed"]]
  force(expr)
  proc.time()[["elapsed"]] - started
}

# Both sides give the curve of cross-validation; ours the second stage and its diagnostics besides.
time_lasso <- function(n, l, rounds) {
  sim <- sim_contextual(n, l, pi_scale = 0.03, seed = 1)
  data <- data.frame(y = sim$Y, x = sim$X)
  data$z <- as.matrix(sim[truth(sim)$instruments])
  foldid <- rep(1:10, length.out = n)[order(truth(sim)$U)] # U is a random order
  lambda <- glmnet::glmnet(data$z, data$x)$lambda
  ours <- function(n_threads = 1L) {
    iv_lasso(y ~ x | z, data, lambda_path = lambda, foldid = foldid, n_threads = n_threads)
  }
  theirs <- function() glmnet::cv.glmnet(data$z, data$x, lambda = lambda, foldid = foldid)
  gap <- max(abs(ours()$cv$cvm / theirs()$cvm - 1))
  taken <- replicate(rounds, c(
    one = seconds(ours()), two = seconds(ours(2L)), glmnet = seconds(theirs())
  ))
  c(apply(taken, 1, stats::median), penalties = length(lambda), gap = gap)
}

# Estimate, does the interval cover 0.3, instruments, shrinkage ratio: one data set, all estimators.
cover_once <- function(seed, pi_scale) {
  sim <- sim_contextual(5000, 30, pi_scale = pi_scale, seed = seed)
  data <- data.frame(y = sim$Y, x = sim$X)
  data$z <- as.matrix(sim[truth(sim)$instruments])
  lasso <- function(lambda, refit) {
    suppressWarnings(
      iv_lasso(y ~ x | z, data, lambda = lambda, refit = refit, seed = seed, n_threads = 1),
      classes = "mrlearn_warning_nothing_selected"
    )
  }
  fits <- list(
    "iv_ols()" = iv_ols(y ~ x, data, n_threads = 1),
    "iv_2sls(), all instruments" = iv_2sls(y ~ x | z, data, n_threads = 1),
    "lambda.min, no refit" = lasso("lambda.min", FALSE),
    "lambda.min, refit" = lasso("lambda.min", TRUE),
    "lambda.1se, no refit" = lasso("lambda.1se", FALSE),
    "lambda.1se, refit" = lasso("lambda.1se", TRUE)
  )
  vapply(fits, function(fit) {
    ci <- confint(fit)["x", ]
    c(
      estimate = coef(fit)[["x"]], covers = ci[[1]] < 0.3 && 0.3 < ci[[2]],
      instruments = if (is.null(fit$n_instruments)) 0 else fit$n_instruments,
      ratio = if (is.null(fit$shrinkage_ratio)) 1 else fit$shrinkage_ratio
    )
  }, numeric(4))
}

cover <- function(pi_scale, n_sets) {
  all <- vapply(seq_len(n_sets), cover_once, matrix(0, 4, 6), pi_scale = pi_scale)
  mean <- apply(all, 1:2, mean, na.rm = TRUE)
  sprintf("| %g | %s | %.3f | %.3f | %.3f | %.1f | %.2f | %d |", pi_scale, colnames(mean),
    mean["estimate", ], apply(all["estimate", , ], 1, stats::sd, na.rm = TRUE), mean["covers", ],
    mean["instruments", ], mean["ratio", ], rowSums(is.na(all["estimate", , ])))
}

taken <- time_lasso(size[1], size[2], size[3])
ratio <- taken[["glmnet"]] / taken[c("one", "two")]
text <- c(
  "# LASSO first stage", "",
  "Written by `bench/lasso.R`.", "",
  sprintf("n = %g, L = %g, %g penalties, 10 random folds, %s, median of %g: cv.glmnet() of glmnet",
    size[1], size[2], taken[["penalties"]], mrlearn:::isa_used(), size[3]),
  sprintf("%s %.3f s; iv_lasso() with second stage and diagnostics %.3f s on one thread, **ratio",
    utils::packageVersion("glmnet"), taken[["glmnet"]], taken[["one"]]),
  sprintf("%.1f** (wanted: at least 10), %.3f s on two, ratio %.1f. The curves differ by %.0e of",
    ratio[["one"]], taken[["two"]], ratio[["two"]], taken[["gap"]]),
  "themselves.",
  "",
  sprintf("Coverage of 95 %% intervals, %g data sets of sim_contextual() with n = 5000, L = 30 and",
    size[4]),
  "an effect of 0.3; pi_scale is the standard deviation of the effects of the SNPs.", "",
  "| pi_scale | estimator | mean | SD | coverage | instruments | shrinkage ratio | none selected |",
  "| ---: | :--- | ---: | ---: | ---: | ---: | ---: | ---: |",
  unlist(lapply(c(0.1, 0.3), cover, n_sets = size[4]))
)
writeLines(text)
writeLines(text, file.path("bench", "lasso.md"))
stopifnot(ratio[["one"]] >= 10)
