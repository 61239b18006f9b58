# Predicted distributions of outcomes: normal, or by quantiles.

#' Predicted distributions
#'
#' What a model says of each outcome before it is seen, in one of three forms: mean and standard
#' deviation of a normal distribution; quantiles; or replicates (members of an ensemble, Monte
#' Carlo dropout), which stand for quantiles at k / (number + 1). Between quantiles, and beyond
#' them, distributions are interpolated on the normal scale, so that they have no end.
#'
#' @param mean,sd Vectors (n), or matrices (n, outputs); `sd` positive.
#' @param quantiles,replicates Matrix (n, K), or array (n, outputs, K), K at least 2. Quantiles do
#'   not decrease over their levels.
#' @param levels Levels (K) of `quantiles`, increasing, between 0 and 1.
#' @return A list of class `predicted_law`. Raises `mrlearn_error_argument` for wrong shapes and
#'   `mrlearn_error_data` for a distribution without variation: of an ensemble of one, say, or of
#'   members that agree.
#' @seealso [calibrate()]
#' @examples
#' predicted_law(mean = c(1, 2), sd = c(0.5, 1))
#' predicted_law(replicates = rbind(c(1, 2, 4), c(0, 3, 1)))
#' @export
predicted_law <- function(mean = NULL, sd = NULL, quantiles = NULL, levels = NULL,
                          replicates = NULL) {
  forms <- c(!is.null(mean) || !is.null(sd), !is.null(quantiles), !is.null(replicates))
  if (sum(forms) != 1L) {
    stop_mrl("argument", "Give `mean` and `sd`, or `quantiles` and `levels`, or `replicates`.")
  }
  if (forms[1]) {
    return(normal_law(mean, sd))
  }
  values <- if (forms[2]) law_values(quantiles, "quantiles") else law_values(replicates,
    "replicates")
  n_levels <- dim(values)[3]
  if (forms[3]) {
    values <- array(apply(values, 1:2, sort), dim(values)[c(3, 1, 2)])
    values <- aperm(values, c(2, 3, 1))
    levels <- seq_len(n_levels) / (n_levels + 1)
  }
  levels <- check_doubles(levels, "levels", n = n_levels)
  if (any(levels <= 0 | levels >= 1) || is.unsorted(levels, strictly = TRUE)) {
    stop_argument("levels", "must increase and be between 0 and 1", describe(levels))
  }
  steps <- values[, , -1, drop = FALSE] - values[, , -n_levels, drop = FALSE]
  if (any(steps < 0)) {
    stop_argument("quantiles", "must not decrease over `levels`", "some that do", what = "data")
  }
  flat <- values[, , n_levels] <= values[, , 1]
  if (any(flat)) {
    stop_mrl("data", "A predicted distribution has no variation: number ",
      (which(flat)[1] - 1L) %% dim(values)[1] + 1L, " has equal ",
      if (forms[2]) "quantiles." else "replicates.")
  }
  new_law(list(values = values, levels = levels), dim(values)[1:2],
    dimnames(if (forms[2]) quantiles else replicates), dim(values)[3])
}

new_law <- function(parts, dim, names, n_levels = NULL) {
  outputs <- if (length(names) == (if (is.null(n_levels)) 2L else 3L)) names[[2]]
  outputs <- if (is.null(outputs)) if (dim[2] == 1L) "y" else paste0("y", seq_len(dim[2])) else
    outputs
  structure(c(parts, list(n = dim[1], outputs = outputs)), class = "predicted_law")
}

normal_law <- function(mean, sd) {
  if (is.null(mean) || is.null(sd)) {
    stop_argument(if (is.null(mean)) "mean" else "sd", "must be given", "NULL")
  }
  as_columns <- function(x, arg) {
    if (is.data.frame(x)) {
      x <- as.matrix(x)
    }
    names <- dimnames(x)
    shape <- if (is.matrix(x)) dim(x) else c(length(x), 1L)
    x <- check_doubles(x, arg)
    array(x, shape, if (length(shape) == length(names)) names)
  }
  mean <- as_columns(mean, "mean")
  sd <- as_columns(sd, "sd")
  if (!identical(dim(mean), dim(sd)) || !length(mean)) {
    stop_argument("sd", "must have the shape of `mean`", describe(sd))
  }
  if (any(sd <= 0)) {
    stop_mrl("data", "A predicted distribution has no variation: `sd` must be positive; number ",
      (which(sd <= 0)[1] - 1L) %% nrow(sd) + 1L, " is ", format(sd[sd <= 0][1]), ".")
  }
  new_law(list(mean = mean, sd = sd), dim(mean), dimnames(mean))
}

# (n, outputs, K)
law_values <- function(x, arg) {
  rank <- length(dim(x))
  if (!is.numeric(x) || !rank %in% 2:3 || any(dim(x) < 1L)) {
    stop_argument(arg, "must be a matrix (n, K) or an array (n, outputs, K)", describe(x))
  }
  if (dim(x)[rank] < 2L) {
    stop_argument(arg, "must be at least 2 for each outcome: one has no variation", "1",
      what = "data")
  }
  check_doubles(x, arg)
  array(as.double(x), if (rank == 2L) c(dim(x)[1], 1L, dim(x)[2]) else dim(x))
}

# Normal scores of numbers y (n) under output j: qnorm(F(y)).
law_score <- function(law, y, j) {
  if (!is.null(law$mean)) {
    return((y - law$mean[, j]) / law$sd[, j])
  }
  u <- stats::qnorm(law$levels)
  vapply(seq_len(law$n), function(i) line_up(y[i], law$values[i, j, ], u), 0)
}

# Numbers (n, length(score)) of output j at normal scores.
law_number <- function(law, score, j) {
  if (!is.null(law$mean)) {
    return(law$mean[, j] + outer(law$sd[, j], score))
  }
  u <- stats::qnorm(law$levels)
  out <- vapply(seq_len(law$n), function(i) line_up(score, u, law$values[i, j, ]), score)
  if (is.matrix(out)) t(out) else matrix(out)
}

# The broken line through (x, y), x not decreasing, at `at`; beyond its ends straight on with the
# mean slope. Where x has ties, their mean y.
line_up <- function(at, x, y) {
  n <- length(x)
  slope <- (y[n] - y[1]) / (x[n] - x[1])
  out <- stats::approx(x, y, at, rule = 2, ties = list("ordered", mean))$y
  low <- at < x[1]
  high <- at > x[n]
  out[low] <- y[1] + slope * (at[low] - x[1])
  out[high] <- y[n] + slope * (at[high] - x[n])
  out
}
