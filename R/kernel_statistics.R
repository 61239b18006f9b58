# Differences, dependence and entropy of samples, by kernels and neighbours.

#' Differences, dependence and entropy of samples
#'
#' `mmd()` is the squared maximum mean discrepancy of two samples (Gretton et al. 2012), zero in
#' expectation where they have one law; `hsic()` the Hilbert-Schmidt independence criterion of
#' paired samples (Gretton et al. 2008), near zero where they are independent; `entropy()` the
#' differential entropy in nats. `kernel_test()` tests by permutation whether groups have one law,
#' or, with `y`, whether two samples are independent within groups. With the polynomial kernel both
#' see moments up to the second degree only (of products, for `hsic()`); the Gaussian kernel sees
#' every difference, with enough data.
#'
#' The kernel `"poly"` is \eqn{(x'y + 1)^2}, computed through its features without a matrix of
#' pairs; its MMD is the biased (V-)statistic. `"gaussian"` is
#' \eqn{\sum_s \exp(-|x - y|^2 / (2 (s b)^2))} over `scales`, \eqn{b} the bandwidth; its MMD is
#' unbiased and may be negative. `"moments"` is no kernel: the mean squared difference of the means
#' plus that of the entries of the covariances. HSIC is \eqn{tr(K H L H) / n^2},
#' \eqn{H = I - 11' / n}.
#'
#' `type = "nearest"` is the estimator of Kozachenko & Leonenko (1987) from the distances to the
#' k-th nearest neighbour, found in a k-d tree; `"squashed"` the same of the normal distribution
#' function of the columns, which is at most about 0; `"gaussian"` the entropy of the normal law
#' with the sample's covariance.
#'
#' @param x,y Samples: vectors, or matrices with a row for each observation. For `mmd()` with
#'   equally many columns, for `hsic()` and `kernel_test()` with equally many rows.
#' @param kernel The kernel, see below.
#' @param bandwidth Of the Gaussian kernel: NULL for the median distance between rows (of at most
#'   1000 rows evenly taken; of `x` and `y` together for `mmd()`, of each for `hsic()`), or one
#'   number (for `hsic()` and `kernel_test()` one for `x` and one for `y`).
#' @param scales Factors of the bandwidth over which the Gaussian kernel is summed.
#' @param type,k Which entropy, and which neighbour.
#' @param group Groups of the rows; without `y` at least two, of at least 2 rows each.
#' @param n_perm Number of permutations.
#' @param seed One whole number, or NULL to draw one from R's generator.
#' @param n_threads Number of threads; the result does not depend on it.
#' @return `mmd()`, `hsic()` and `entropy()`: one number. `kernel_test()`: data.frame `test,
#'   statistic, p.value, n_perm` with one row; the statistic is the mean over pairs of groups
#'   (MMD) or over groups (HSIC), the p-value (1 + permutations with a statistic as large) /
#'   (1 + n_perm). It needs memory of the square of the number of rows, at most 10000.
#' @references Gretton et al. (2012), J. Mach. Learn. Res. 13:723. Gretton et al. (2008), NeurIPS
#'   20. Kozachenko & Leonenko (1987), Probl. Inf. Transm. 23:95.
#' @examples
#' set.seed(1)
#' x <- matrix(rnorm(200), 100)
#' y <- matrix(rnorm(160, sd = 2), 80)
#' mmd(x, y)
#' hsic(x[, 1], x[, 1]^2)
#' entropy(x)
#' kernel_test(rbind(x, y), group = rep(1:2, c(100, 80)), n_perm = 99, seed = 1)
#' @name kernel_statistics
NULL

kernel_words <- c("poly", "gaussian", "moments")

#' @rdname kernel_statistics
#' @export
mmd <- function(x, y, kernel = c("gaussian", "poly", "moments"), bandwidth = NULL, scales = 1) {
  kernel <- check_choice(kernel, c("gaussian", "poly", "moments"))
  x <- sample_matrix(x, "x")
  y <- sample_matrix(y, "y")
  if (ncol(x) != ncol(y)) {
    stop_argument("y", paste("must have as many columns as `x`,", ncol(x)), paste(ncol(y)))
  }
  b <- if (kernel == "gaussian") {
    check_scales(scales) * kernel_bandwidth(bandwidth, 1L, list(rbind(x, y)))
  } else {
    numeric()
  }
  kernel_statistic(x, y, 0L, kernel, b, b, "comparing the samples")
}

#' @rdname kernel_statistics
#' @export
hsic <- function(x, y, kernel = c("gaussian", "poly"), bandwidth = NULL, scales = 1) {
  kernel <- check_choice(kernel, c("gaussian", "poly"))
  x <- sample_matrix(x, "x")
  y <- sample_matrix(y, "y", nrow(x))
  b <- pair_bandwidths(kernel, bandwidth, scales, x, y)
  kernel_statistic(x, y, 1L, kernel, b[[1]], b[[2]], "measuring dependence")
}

kernel_statistic <- function(x, y, statistic, kernel, bandwidth_x, bandwidth_y, doing) {
  out <- .Call(C_kernel_statistic, x, y, list(
    statistic = statistic, kernel = match(kernel, kernel_words) - 1L,
    bandwidth_x = bandwidth_x, bandwidth_y = bandwidth_y
  ))
  check_status(out$status, doing)
  out$value
}

#' @rdname kernel_statistics
#' @export
entropy <- function(x, type = c("nearest", "squashed", "gaussian"), k = 5) {
  types <- c("nearest", "squashed", "gaussian")
  type <- check_choice(type, types)
  x <- sample_matrix(x, "x")
  if (ncol(x) > 32L) {
    stop_argument("x", "must have at most 32 columns", ncol(x))
  }
  k <- check_count(k, max = nrow(x) - 1L)
  out <- .Call(C_kernel_entropy, x, list(type = match(type, types) - 1L, k = k))
  far <- type == "nearest" && max(abs(x)) > 1e150 # squares overflow
  if (out$status == "not_finite" && type != "gaussian" && !far) {
    stop_mrl("data", "Some rows of `x` occur more than ", k, " times: the distance to neighbour ",
      k, " is 0.")
  }
  check_status(out$status, "estimating the entropy")
  out$value
}

#' @rdname kernel_statistics
#' @export
kernel_test <- function(x, y = NULL, group = NULL, kernel = c("gaussian", "poly"),
                        bandwidth = NULL, scales = 1, n_perm = 199, seed = NULL,
                        n_threads = mrl_threads()) {
  kernel <- check_choice(kernel, c("gaussian", "poly"))
  x <- sample_matrix(x, "x")
  n <- nrow(x)
  if (n > 10000L) {
    stop_argument("x", "must have at most 10000 rows (draw some)", n)
  }
  group <- kernel_groups(group, n, is.null(y))
  order <- order(group)
  x <- x[order, , drop = FALSE]
  if (!is.null(y)) {
    y <- sample_matrix(y, "y", n)[order, , drop = FALSE]
  }
  b <- pair_bandwidths(kernel, bandwidth, scales, x, if (is.null(y)) x else y)
  settings <- list(
    n_group = max(group), bandwidth_x = b[[1]], bandwidth_y = b[[2]],
    n_perm = check_count(n_perm, min = 19), seed = resolve_seed(seed),
    n_threads = check_threads(n_threads)
  )
  out <- .Call(C_kernel_test, x, y, group[order] - 1L, settings)
  check_status(out$status, "testing by permutation")
  data.frame(test = if (is.null(y)) "MMD" else "HSIC", out$value, n_perm = settings$n_perm)
}

# A finite numeric sample as a matrix of doubles.
sample_matrix <- function(x, arg, n = NULL) {
  if (!is.numeric(x) && !is.data.frame(x)) {
    stop_argument(arg, "must be a numeric vector or matrix", describe(x))
  }
  out <- do.call(cbind, numeric_columns(x, arg, NROW(x)))
  check_finite_sample(out, arg)
  if (!is.null(n) && nrow(out) != n) {
    stop_argument(arg, paste("must have as many rows as `x`,", n), paste(nrow(out), "rows"))
  }
  if (nrow(out) < 2L) {
    stop_argument(arg, "must have at least 2 rows", nrow(out))
  }
  out
}

check_finite_sample <- function(x, arg) {
  if (!all_finite(x)) {
    stop_argument(arg, "must be finite", count_not_finite(x), what = "data")
  }
}

check_scales <- function(scales) {
  scales <- check_doubles(scales, "scales")
  if (!length(scales) || any(scales <= 0)) {
    stop_argument("scales", "must be positive numbers", describe(scales))
  }
  scales
}

# `count` bandwidths: those given, or the median distance in each sample.
kernel_bandwidth <- function(bandwidth, count, samples) {
  if (is.null(bandwidth)) {
    return(vapply(samples, median_distance, 0))
  }
  bandwidth <- check_doubles(bandwidth, "bandwidth")
  if (!length(bandwidth) %in% c(1L, count) || any(bandwidth <= 0)) {
    stop_argument("bandwidth", paste("must be NULL or", paste(unique(c(1L, count)),
      collapse = " or "), "positive numbers"), describe(bandwidth))
  }
  rep_len(bandwidth, count)
}

median_distance <- function(x) {
  if (nrow(x) > 1000L) {
    x <- x[round(seq(1, nrow(x), length.out = 1000)), , drop = FALSE]
  }
  out <- stats::median(stats::dist(x))
  if (out > 0) out else 1
}

# Bandwidths of x and y over the scales; none for the polynomial kernel.
pair_bandwidths <- function(kernel, bandwidth, scales, x, y) {
  if (kernel == "poly") {
    return(list(numeric(), numeric()))
  }
  b <- kernel_bandwidth(bandwidth, 2L, list(x, y))
  lapply(b, function(one) check_scales(scales) * one)
}

kernel_groups <- function(group, n, is_mmd) {
  if (is.null(group) && !is_mmd) {
    return(rep(1L, n))
  }
  if (is.null(group) || length(group) != n || anyNA(group)) {
    stop_argument("group", paste("must have a value, not NA, for each of the", n, "rows"),
      describe(group))
  }
  group <- match(group, unique(group))
  sizes <- tabulate(group)
  if (min(sizes) < 2L || is_mmd && length(sizes) < 2L) {
    stop_argument("group", paste0("must have ", if (is_mmd) "at least 2 groups, ",
      "each of at least 2 rows"), paste("sizes", paste(sizes, collapse = ", ")))
  }
  group
}
