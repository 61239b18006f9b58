#' MR-PRESSO
#'
#' Three tests of horizontal pleiotropy: is there any (global test), which variants are outliers,
#' and does the causal estimate change without these (distortion test)? What `mr_presso()` of the
#' package MRPRESSO and TwoSampleMR's `run_mr_presso()` give, some thousand times as fast.
#'
#' Each variant's outcome effect is compared with what the IVW estimate of the others predicts. The
#' distribution of these residuals without pleiotropy comes from `n_draws` draws of all effects
#' about those predictions. The estimates are weighted regressions through the origin with the
#' standard error of `lm()`, not bounded from below as in [mr_estimate()].
#'
#' @inheritParams mr_leave_one_out
#' @param n_draws Draws behind each p-value (`NbDistribution`), more than there are variants in any
#'   pair. An outlier test by Bonferroni has p-values that are multiples of `nsnp / n_draws`: with
#'   a warning if that is above `threshold`.
#' @param threshold Significance threshold of the global test, which the outlier test needs, and of
#'   the outlier test.
#' @param outlier_test,distortion_test Make these tests? The last needs the one before.
#' @param seed `NULL`: from R's generator; a whole number is used as it is. Results do not depend on
#'   `n_threads`.
#' @param n_threads Number of threads.
#' @return A list of class `mr_presso` of data.frames, each with `id.exposure, id.outcome, outcome,
#'   exposure` first:
#' * `main`: `analysis` (`"Raw"`, `"Outlier-corrected"`), `nsnp`, `b`, `sd`, `t`, `pval` (by `t`
#'   with `nsnp - 1` degrees of freedom);
#' * `global`: `nsnp`, `RSSobs`, `pval`, `n_outliers`;
#' * `outliers`: of all variants `SNP`, `RSSobs` (squared distance from the prediction), `pval` (by
#'   Bonferroni), `outlier`;
#' * `distortion`: `coefficient` (by how many per cent the raw estimate differs from the corrected
#'   one), `pval`.
#'
#' A p-value is the share of draws that are more extreme; 0 is printed as less than one of
#' `n_draws`. Tests that were not made are `NA`: the outlier test where the global one does not
#' reach `threshold`, the distortion test where there are no outliers, or nothing else; all for
#' pairs of fewer than four variants.
#' @references Verbanck, Chen, Neale & Do (2018), Nat. Genet. 50:693.
#' @examples
#' mr_presso_test(subset(lipid_chd, exposure == "LDL"), seed = 1)
#' @export
mr_presso_test <- function(dat, n_draws = 1000, threshold = 0.05, outlier_test = TRUE,
                           distortion_test = TRUE, seed = NULL, n_threads = mrl_threads()) {
  settings <- list(
    n_draws = check_count(n_draws, max = 2^24 - 1),
    threshold = check_number(threshold, min = 0, max = 1),
    outlier = check_flag(outlier_test), distortion = check_flag(distortion_test),
    seed = resolve_seed(seed), n_threads = check_threads(n_threads)
  )
  frame <- mr_frame(dat, "SNP")
  check_presso_draws(settings, diff(frame$start))
  out <- .Call(C_mr_presso, frame$effects, frame$start, settings)
  check_status(out$status, "MR-PRESSO")
  value <- lapply(out$value, no_nan)
  structure(class = "mr_presso", list(
    main = presso_main(value, frame), global = presso_global(value, frame),
    outliers = presso_outliers(value, frame, dat),
    distortion = data.frame(frame$pairs, coefficient = 100 * value$distortion,
      pval = value$p_distortion),
    n_draws = settings$n_draws, seed = settings$seed
  ))
}

check_presso_draws <- function(settings, n) {
  n <- max(n, 0L)
  if (n >= settings$n_draws) {
    stop_argument("n_draws", paste("must be above the number of variants of a pair,", n),
      settings$n_draws)
  }
  if (settings$outlier && n / settings$n_draws > settings$threshold) {
    warn_mrl("draws", "With ", settings$n_draws, " draws the smallest p-value of the outlier test ",
      "is ", format(n / settings$n_draws, digits = 3), ", above `threshold`; use more than ",
      format(ceiling(n / settings$threshold)), ".")
  }
}

presso_main <- function(value, frame) {
  k <- nrow(frame$pairs)
  pair <- rep(seq_len(k), each = 2L)
  raw <- function(all, without) as.vector(rbind(all, without))
  n <- diff(frame$start)
  known <- !is.na(value$without)
  df <- raw(n - 1, value$without_df)
  b <- raw(value$slope, value$without)
  sd <- raw(value$slope_se, value$without_se)
  data.frame(
    lapply(frame$pairs, `[`, pair), analysis = rep(c("Raw", "Outlier-corrected"), k),
    nsnp = as.integer(raw(n, ifelse(known, value$without_df + 1, NA))), b = b, sd = no_nan(sd),
    t = no_nan(b / sd), pval = no_nan(2 * stats::pt(-abs(b / sd), ifelse(is.na(b), NA, df)))
  )
}

presso_global <- function(value, frame) {
  k <- nrow(frame$pairs)
  pair <- rep(seq_len(k), diff(frame$start))
  data.frame(
    frame$pairs, nsnp = diff(frame$start), RSSobs = value$rss_total, pval = value$p_total,
    n_outliers = as.integer(sum_by(as.double(value$outlier), pair, k))
  )
}

# The core's distances are in outcome standard errors.
presso_outliers <- function(value, frame, dat) {
  pair <- rep(seq_len(nrow(frame$pairs)), diff(frame$start))
  data.frame(
    lapply(frame$pairs, `[`, pair), SNP = as.character(dat[["SNP"]])[frame$row],
    RSSobs = value$rss * frame$effects$sy^2, pval = value$p, outlier = as.logical(value$outlier)
  )
}

#' @export
print.mr_presso <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  digits <- check_digits(digits)
  shown <- function(p, least) {
    ifelse(is.na(p), "NA", ifelse(p == 0, paste0("<", format(least, digits = 3)),
      format(p, digits = digits)))
  }
  cat("MR-PRESSO, ", x$n_draws, " draws\n", sep = "")
  for (i in seq_len(nrow(x$global))) {
    global <- x$global[i, ]
    here <- function(table) {
      table[table$id.exposure == global$id.exposure & table$id.outcome == global$id.outcome, ]
    }
    cat("\n", global$exposure, " on ", global$outcome, "\n", sep = "")
    print(here(x$main)[-(1:4)], digits = digits, row.names = FALSE)
    cat("Global test: RSS ", format(global$RSSobs, digits = digits), ", p ",
      shown(global$pval, 1 / x$n_draws), "\n", sep = "")
    out <- here(x$outliers)
    out <- out[which(out$outlier), ]
    if (nrow(out)) {
      out$pval <- shown(out$pval, global$nsnp / x$n_draws)
      print(out[c("SNP", "RSSobs", "pval")], digits = digits, row.names = FALSE)
    }
    distortion <- here(x$distortion)
    if (!is.na(distortion$pval)) {
      cat("Distortion: ", format(distortion$coefficient, digits = digits), " %, p ",
        shown(distortion$pval, 1 / x$n_draws), "\n", sep = "")
    }
  }
  invisible(x)
}
