# Effects of variants within strata of a context, from individual data.

#' Associations of variants within strata of a context
#'
#' Cuts people into strata of a context variable (age, BMI, ...) and regresses exposure and outcome
#' on each variant within each: the table that [mr_contextual()] takes, and that studies can share
#' where they may not share people.
#'
#' Each regression has one variant, the covariates `w` and, unless `adjust = FALSE`, the context
#' itself, whose spread within a stratum would else be noise. Variants in linkage disequilibrium
#' are each other's proxies: choose independent ones, as for any method from summary data.
#'
#' The context must not be caused by exposure, outcome or variants: within strata of what they
#' cause, variants and confounders are associated (for strata of the exposure itself there are
#' doubly-ranked methods). A context that is a linear function of the variants is an error; one that
#' they predict (p < 1e-6 by the F test) gives a warning of class
#' `mrlearn_warning_context_instruments`.
#'
#' @section One sample or two:
#' Both regressions of a variant see the same people, so their errors are correlated: by `psi`, the
#' correlation of what each leaves of exposure and outcome. [mr_contextual()] allows for it. For two
#' samples, call the function in each with the same `breaks`, and put the outcome's columns of one
#' beside the exposure's columns of the other with `psi` 0 (see the examples).
#'
#' @param genotypes Variants (n people, p variants; matrix or data.frame, or a vector for one).
#'   Missing ones are set to the mean of their variant, and told.
#' @param exposure,outcome,context Numbers, one per person, none missing.
#' @param n_strata Number of strata, at least 2, cut at quantiles of the context. A context with
#'   fewer values gets a stratum for each; people with equal context are never parted.
#' @param breaks Cut points instead: strata are the intervals between them, closed on the right.
#' @param w Covariates of both regressions (n rows; vector, matrix or data.frame of numbers).
#' @param adjust Is the context a covariate too, within strata?
#' @return A data.frame with a row for each variant and stratum: `snp`, `stratum` (1, 2, ... by
#'   rising context), `context` (its mean in the stratum), `beta.exposure`, `se.exposure`,
#'   `beta.outcome`, `se.outcome`, `psi`, `n` (people in the stratum). Variants that do not vary in
#'   a stratum have no row there. The cut points are its attribute `breaks`.
#' @examples
#' sim <- sim_contextual(n = 5000, L = 10, pi_scale = 0.3, seed = 1,
#'   beta = function(context) 0.3 + 0.2 * context$bmi)
#' genotypes <- as.matrix(sim[truth(sim)$instruments])
#' strata <- stratum_associations(genotypes, sim$X, sim$Y, sim$bmi, n_strata = 5)
#' head(strata, 3)
#'
#' # Exposure and outcome from different people
#' half <- seq_len(nrow(sim)) <= 2500
#' of_half <- function(rows) {
#'   stratum_associations(genotypes[rows, ], sim$X[rows], sim$Y[rows], sim$bmi[rows],
#'     breaks = c(22, 24, 26, 28))
#' }
#' two <- merge(of_half(half)[c("snp", "stratum", "beta.exposure", "se.exposure")],
#'   of_half(!half)[c("snp", "stratum", "context", "beta.outcome", "se.outcome")])
#' mr_contextual(two)
#' @export
stratum_associations <- function(genotypes, exposure, outcome, context, n_strata = 10,
                                 breaks = NULL, w = NULL, adjust = TRUE) {
  exposure <- check_doubles(exposure, "exposure")
  n <- length(exposure)
  outcome <- check_doubles(outcome, "outcome", n)
  context <- check_doubles(context, "context", n)
  g <- number_matrix(genotypes, "genotypes", "snp", n)
  w <- if (is.null(w)) matrix(0, n, 0L) else check_finite_matrix(number_matrix(w, "w", "w", n), "w")
  breaks <- context_breaks(context, n_strata, breaks)
  g <- impute_means(g)
  check_context_free(context, g)
  w <- if (check_flag(adjust)) cbind(w, context) else w
  stratum <- findInterval(context, breaks, left.open = TRUE) + 1L
  rows <- split(seq_len(n), stratum)
  check_stratum_sizes(lengths(rows), ncol(w))
  out <- lapply(rows, function(i) {
    cbind(
      stratum = stratum[i[1]], context = mean(context[i]),
      marginal_associations(g[i, , drop = FALSE], exposure[i], outcome[i], w[i, , drop = FALSE])
    )
  })
  out <- do.call(rbind, c(out, make.row.names = FALSE))
  structure(out[c("snp", setdiff(names(out), "snp"))], breaks = breaks)
}

# A vector, matrix or data.frame of numbers, n rows, as a double matrix with column names.
number_matrix <- function(x, arg, prefix, n) {
  columns <- if (is.data.frame(x)) as.list(x) else list(x)
  numbers <- vapply(columns, function(v) is.numeric(v) || is.logical(v), NA)
  if (!length(columns) || !all(numbers)) {
    stop_argument(arg, "must be a numeric matrix, data.frame or vector", describe(x))
  }
  m <- as.matrix(x)
  storage.mode(m) <- "double"
  if (nrow(m) != n || ncol(m) == 0L) {
    stop_argument(arg, paste("must have columns, and a row for each person,", n), describe(m))
  }
  dimnames(m) <- list(NULL, column_names(x, prefix))
  m
}

check_finite_matrix <- function(m, arg) {
  if (!all_finite(m)) {
    stop_argument(arg, "must be finite", count_not_finite(m), what = "data")
  }
  m
}

# Cut points between strata: those given, or quantiles, fewer where people are tied.
context_breaks <- function(context, n_strata, breaks) {
  range <- range(context)
  if (range[1] == range[2]) {
    stop_argument("context", "must vary", paste("only", format(range[1])), what = "data")
  }
  if (is.null(breaks)) {
    n_strata <- check_count(n_strata, min = 2, max = 1000)
    values <- sort(unique(context))
    if (length(values) <= n_strata) {
      return((values[-1] + values[-length(values)]) / 2)
    }
    share <- seq_len(n_strata - 1) / n_strata
    breaks <- stats::quantile(context, share, type = 1, names = FALSE)
    return(unique(breaks[breaks < range[2]]))
  }
  breaks <- check_doubles(breaks, "breaks")
  inside <- breaks > range[1] & breaks < range[2]
  if (!length(breaks) || is.unsorted(breaks, strictly = TRUE) || !all(inside)) {
    stop_argument("breaks",
      paste("must be rising numbers inside the context's range,", format(range[1]), "to",
        format(range[2])),
      describe(breaks))
  }
  breaks
}

# Missing genotypes at the mean of their column.
impute_means <- function(g) {
  if (any(is.infinite(g))) {
    stop_argument("genotypes", "must be finite or NA", count_not_finite(g), what = "data")
  }
  holes <- which(is.na(g), arr.ind = TRUE)
  if (!nrow(holes)) {
    return(g)
  }
  means <- colMeans(g, na.rm = TRUE)
  if (anyNA(means)) {
    stop_mrl("data", "Variant `", colnames(g)[is.na(means)][1], "` has no value.")
  }
  g[holes] <- means[holes[, 2]]
  inform_mrl("imputed", nrow(holes), " missing genotypes in ", length(unique(holes[, 2])),
    " variants are set to the mean of their variant.")
  g
}

# Strata of what the variants cause would make colliders.
check_context_free <- function(context, g) {
  fit <- qr(cbind(1, g))
  total <- sum((context - mean(context))^2)
  if (!is.finite(total)) {
    stop_argument("context", "must have squares that a double holds", "greater values",
      what = "data")
  }
  left <- sum(qr.resid(fit, context)^2)
  df <- c(fit$rank - 1L, length(context) - fit$rank)
  if (df[2] < 1L || left < 1e-10 * total) {
    stop_argument("context", "must not be a linear function of the genotypes",
      if (df[2] < 1L) paste(ncol(g), "variants for", nrow(g), "people") else "one", what = "data")
  }
  f <- (total - left) / df[1] / (left / df[2])
  if (df[1] > 0L && stats::pf(f, df[1], df[2], lower.tail = FALSE) < 1e-6) {
    warn_mrl("context_instruments", "The variants predict the context (F ", format(f, digits = 3),
      " on ", df[1], " and ", df[2], "): within strata of what variants cause, they are ",
      "associated with its other causes, and slopes are biased if these act on the outcome.")
  }
}

# A regression has a constant, a variant and the covariates; three more people tell its error.
check_stratum_sizes <- function(sizes, n_w) {
  needed <- n_w + 5L
  if (any(sizes < needed)) {
    k <- which(sizes < needed)[1]
    stop_mrl("data", "Stratum ", names(sizes)[k], " has ", sizes[[k]], " people; at least ", needed,
      " are needed: take fewer strata.")
  }
}

# Exposure x and outcome y on each column of g by itself, given w. psi: the correlation of what the
# two regressions leave, which is that of the errors of their slopes.
marginal_associations <- function(g, x, y, w) {
  given <- qr(cbind(1, w))
  r <- qr.resid(given, cbind(x, y, g))
  x <- r[, 1]
  y <- r[, 2]
  size <- colSums(g^2)
  g <- r[, -(1:2), drop = FALSE]
  gg <- colSums(g^2)
  if (!all(is.finite(c(gg, size)))) {
    stop_mrl("numeric", "While regressing on genotypes: a result is not finite; rescale them.")
  }
  varies <- gg > 1e-10 * size
  if (!any(varies)) {
    stop_argument("genotypes", "must have a variant that varies within each stratum", "none",
      what = "data")
  }
  g <- g[, varies, drop = FALSE]
  gg <- gg[varies]
  gx <- drop(crossprod(g, x))
  gy <- drop(crossprod(g, y))
  rxx <- pmax(sum(x^2) - gx^2 / gg, 0)
  ryy <- pmax(sum(y^2) - gy^2 / gg, 0)
  df <- nrow(g) - given$rank - 1L
  data.frame(
    snp = colnames(g), beta.exposure = gx / gg, se.exposure = sqrt(rxx / gg / df),
    beta.outcome = gy / gg, se.outcome = sqrt(ryy / gg / df),
    psi = (sum(x * y) - gx * gy / gg) / sqrt(rxx * ryy), n = nrow(g)
  )
}
