# Small fits of deep feature IV.

dfiv_quick <- function(...) nn_control(hidden = c(8, 6), epochs = 15, ...)

dfiv_sim <- function(n = 300, seed = 1) sim_demand(n, rho = 0.5, seed = seed)

dfiv_formula <- Y ~ price + time + s | cost + time + s

dfiv_fit <- function(..., data = dfiv_sim(), control = dfiv_quick(), cross_fit = 2, seed = 1) {
  suppressWarnings(
    iv_dfiv(dfiv_formula, data, ..., control = control, cross_fit = cross_fit, seed = seed),
    classes = "mrlearn_warning"
  )
}

# The structural function of a fit by its parts, in plain R: standardise, networks, features, terms.
dfiv_slow <- function(fit, x, w) {
  o <- fit$network$outcome
  take <- function(at, n) o$params[at + seq_len(n)]
  pad <- function(n) 16 * ceiling(n / 16) # pieces of a net start at multiples of 16 numbers
  features <- function(input, hidden, at) {
    sizes <- c(ncol(input), hidden)
    pieces <- list()
    for (l in seq_along(hidden)) {
      pieces[[l]] <- list(weights = matrix(take(at, sizes[l] * sizes[l + 1]), sizes[l]))
      at <- at + pad(sizes[l] * sizes[l + 1])
      for (name in c("scale", "shift")) {
        pieces[[l]][[name]] <- take(at, sizes[l + 1])
        at <- at + pad(sizes[l + 1])
      }
    }
    for (l in seq_along(hidden)) {
      for (name in c("mean", "var")) {
        pieces[[l]][[name]] <- take(at, sizes[l + 1])
        at <- at + pad(sizes[l + 1])
      }
    }
    for (p in pieces) {
      u <- sweep(input %*% p$weights, 2, p$mean)
      u <- sweep(sweep(u, 2, p$scale / sqrt(p$var + 1e-5), `*`), 2, p$shift, `+`)
      input <- log1p(exp(-abs(u))) + pmax(u, 0)
    }
    list(value = input, at = at)
  }
  x <- (x - o$scale_x[1]) / o$scale_x[2]
  w <- sweep(sweep(w, 2, o$scale_w[1, ]), 2, o$scale_w[2, ], `/`)
  psi <- features(cbind(x), o$hidden_exposure, 0)
  xi <- features(w, o$hidden_covariate, psi$at)
  e <- cbind(1, x, x^2, psi$value)
  covariates <- cbind(1, w, xi$value)
  terms <- do.call(cbind, lapply(seq_len(ncol(e)), function(j) e[, j] * covariates))
  o$scale_y[1] + o$scale_y[2] * drop(terms %*% o$theta)
}
