# Settings of the robust methods for summary data.

#' Settings of robust methods for summary data
#'
#' Under the names and with the defaults of MendelianRandomization 0.10. `n`, `k_vec`, `num_pert`,
#' `random_start`, `random_start_pert` and `maxit` are MR-cML's.
#'
#' @param n Sample size, one number for all pairs. `NULL`: from the data's columns
#'   `samplesize.exposure` and `samplesize.outcome`, of which the least counts.
#' @param k_vec Numbers of invalid variants to try. `NULL`: from 0 to two less than there are
#'   variants; larger ones are left out.
#' @param num_pert Perturbed data sets.
#' @param random_start,random_start_pert Random starts beside that at zero, for the data and for
#'   each perturbed set; the best one counts.
#' @param maxit Most iterations from each start.
#' @param conmix_psi Contamination mixture: standard deviation of the ratios of invalid variants; 0:
#'   1.5 times that of all ratios (the argument `psi` of `mr_conmix()`).
#' @param lambda MR-LASSO: the penalty. `NULL`: the one before the residual standard error of the
#'   valid variants grows by more than chance would make it.
#' @param prior MR-HetPen: prior probability of each variant to be valid.
#' @return A list for the argument `control` of [mr_estimate()].
#' @examples
#' ldl <- subset(lipid_chd, exposure == "LDL")
#' mr_estimate(ldl, "mr_cML", control = mr_control(n = 17723, num_pert = 50), seed = 1)
#' @export
mr_control <- function(n = NULL, k_vec = NULL, num_pert = 200, random_start = 0,
                       random_start_pert = 0, maxit = 100, conmix_psi = 0, lambda = NULL,
                       prior = 0.5) {
  structure(class = "mr_control", list(
    n = if (!is.null(n)) check_number(n, min = 1, open = TRUE),
    k = check_k_vec(k_vec),
    n_pert = check_count(num_pert, "num_pert", min = 3, max = 2^24 - 2),
    n_starts = check_count(random_start, "random_start", min = 0),
    n_starts_pert = check_count(random_start_pert, "random_start_pert", min = 0),
    max_iter = check_count(maxit, "maxit"),
    conmix_sd = check_number(conmix_psi, "conmix_psi", min = 0),
    lambda = if (is.null(lambda)) -1 else check_number(lambda, min = 0),
    prior = check_number(prior, min = 0, max = 1, open = TRUE)
  ))
}

check_k_vec <- function(k_vec) {
  if (is.null(k_vec)) {
    return(NULL)
  }
  k <- check_doubles(k_vec, "k_vec")
  if (!length(k) || any(k != round(k) | k < 0 | k > .Machine$integer.max)) {
    stop_argument("k_vec", "must be whole numbers, at least 0", describe(k_vec))
  }
  sort(unique(as.integer(k)))
}

check_mr_control <- function(control) {
  if (!inherits(control, "mr_control")) {
    stop_argument("control", "must come from mr_control()", describe(control))
  }
  unclass(control)
}

# The sample size of each pair, where a method needs it: that of the settings, else the least of the
# used rows on each side, of these the smaller one; NA if unknown.
add_sample_size <- function(settings, dat, frame) {
  if (!settings$needs_size) {
    return(settings)
  }
  k <- nrow(frame$pairs)
  if (!is.null(settings$n)) {
    settings$sample_size <- rep(settings$n, k)
    return(settings)
  }
  pair <- rep(seq_len(k), diff(frame$start))
  settings$sample_size <- do.call(pmin, c(na.rm = TRUE, lapply(
    c("samplesize.exposure", "samplesize.outcome"), function(name) {
      least <- rep(NA_real_, k)
      if (!is.null(dat[[name]])) {
        size <- mr_numbers(dat, name, "dat")[frame$row]
        known <- which(is.finite(size) & size > 0)
        by_pair <- vapply(split(size[known], pair[known]), min, 0)
        least[as.integer(names(by_pair))] <- by_pair
      }
      least
    }
  )))
  settings
}
