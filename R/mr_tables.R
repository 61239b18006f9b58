# Tables of one variant at a time: single-variant estimates, leave-one-out; odds ratios of results.

#' Estimates by single variants, and without each of them
#'
#' `mr_single_snp()` gives the Wald ratio of every variant, and under them estimates from all
#' variants.
#' `mr_leave_one_out()` gives an estimate without each variant in turn, and one from all. A variant
#' whose estimate stands apart, or without which the estimate changes, deserves a look.
#'
#' @param dat A harmonised data.frame, as for [mr_estimate()], with `SNP`.
#' @param methods Names or labels of [mr_methods()] for the rows of all variants.
#' @param method One of them, applied without each variant.
#' @param ... Settings of the methods, as in [mr_estimate()]: `n_boot`, `phi`, `seed`, ...
#' @return A data.frame with TwoSampleMR's columns `exposure, outcome, id.exposure, id.outcome,
#'   samplesize, SNP, b, se, p` (class `mr_single_snp` or `mr_leave_one_out`, for [plot()]; the
#'   attribute `summary` flags the rows of all variants). In `mr_single_snp()` these are called
#'   `"All - <label>"`, in `mr_leave_one_out()` `"All"`. Pairs with fewer than three variants have
#'   only
#'   the row of all in `mr_leave_one_out()`. `samplesize` is that of the outcome, if known.
#' @seealso [mr_plots]
#' @examples
#' ldl <- subset(lipid_chd, exposure == "LDL")
#' tail(mr_single_snp(ldl), 3)
#' head(mr_leave_one_out(ldl))
#' @export
mr_single_snp <- function(dat, methods = c("mr_ivw", "mr_egger_regression"), ...) {
  all <- mr_estimate(dat, methods, ...)
  frame <- mr_frame_quietly(dat)
  pair <- rep(seq_along(frame$pairs$exposure), diff(frame$start))
  e <- frame$effects
  single <- snp_rows(frame, pair, dat$SNP[frame$row], e$by / e$bx, e$sy / abs(e$bx), dat)
  single$p <- 2 * stats::pnorm(-abs(single$b / single$se))
  of_all <- match(pair_key(all), pair_key(frame$pairs))
  summary <- snp_rows(frame, of_all, paste("All -", all$method), all$b, all$se, dat)
  summary$p <- all$pval
  new_snp_table(single, summary, pair, of_all, "mr_single_snp")
}

#' @rdname mr_single_snp
#' @export
mr_leave_one_out <- function(dat, method = "mr_ivw", ...) {
  method <- check_string(method)
  all <- mr_estimate(dat, method, ...)
  frame <- mr_frame_quietly(dat)
  sizes <- diff(frame$start)
  with_rows <- which(sizes > 2L)
  left_out <- left_out_effects(frame, with_rows)
  estimates <- mr_run_groups(left_out, method, ...)
  pair <- rep(with_rows, sizes[with_rows])
  rows <- unlist(lapply(with_rows, function(g) seq(frame$start[g] + 1L, frame$start[g + 1L])))
  single <- snp_rows(frame, pair, dat$SNP[frame$row][rows], estimates$b, estimates$se, dat)
  single$p <- estimates$pval
  of_all <- match(pair_key(all), pair_key(frame$pairs))
  summary <- snp_rows(frame, of_all, rep("All", nrow(all)), all$b, all$se, dat)
  summary$p <- all$pval
  new_snp_table(single, summary, pair, of_all, "mr_leave_one_out")
}

# What was dropped has been said by mr_estimate() already.
mr_frame_quietly <- function(dat) {
  withCallingHandlers(mr_frame(dat, "SNP"),
    mrlearn_message_dropped = function(m) invokeRestart("muffleMessage"),
    mrlearn_warning_duplicates = function(w) invokeRestart("muffleWarning")
  )
}

pair_key <- function(d) {
  paste(d$id.exposure, d$id.outcome, sep = "\r")
}

snp_rows <- function(frame, pair, snp, b, se, dat) {
  samplesize <- NA
  if (!is.null(dat[["samplesize.outcome"]])) {
    samplesize <- dat[["samplesize.outcome"]][frame$row[frame$start[pair] + 1L]]
  }
  p <- frame$pairs
  data.frame(
    exposure = p$exposure[pair], outcome = p$outcome[pair], id.exposure = p$id.exposure[pair],
    id.outcome = p$id.outcome[pair], samplesize = rep_len(samplesize, length(pair)),
    SNP = as.character(snp), b = b, se = se, p = rep(NA_real_, length(pair))
  )
}

# Pairs in order, within each its variants and then the rows of all.
new_snp_table <- function(single, summary, pair, of_all, class) {
  out <- rbind(single, summary)
  is_summary <- rep(c(FALSE, TRUE), c(nrow(single), nrow(summary)))
  at <- order(c(pair, of_all), is_summary)
  out <- out[at, , drop = FALSE]
  row.names(out) <- NULL
  structure(out, summary = is_summary[at], class = c(class, "data.frame"))
}

#' @export
`[.mr_single_snp` <- function(x, ...) {
  plain_table(NextMethod())
}

#' @export
`[.mr_leave_one_out` <- function(x, ...) {
  plain_table(NextMethod())
}

# A part of a table is a plain data.frame: its flags would be those of other rows.
plain_table <- function(x) {
  attr(x, "summary") <- NULL
  class(x) <- setdiff(class(x), c("mr_single_snp", "mr_leave_one_out"))
  x
}

# The effects of every group without each of its variants: a list of chunks (effects, start) that
# mr_run() takes, so that memory stays bounded with thousands of variants.
left_out_effects <- function(frame, groups, most = 4e6) {
  chunks <- list()
  for (g in groups) {
    rows <- seq(frame$start[g] + 1L, frame$start[g + 1L])
    n <- length(rows)
    per_chunk <- max(1L, floor(most / n))
    for (first in seq(1L, n, by = per_chunk)) {
      without <- seq(first, min(n, first + per_chunk - 1L))
      kept <- unlist(lapply(without, function(i) rows[-i]))
      chunks[[length(chunks) + 1L]] <- list(
        effects = lapply(frame$effects, `[`, kept),
        start = as.integer((seq_along(c(0L, without)) - 1L) * (n - 1L))
      )
    }
  }
  merge_chunks(chunks, most)
}

# Small chunks joined, so that many pairs of few variants go in one call.
merge_chunks <- function(chunks, most) {
  size <- vapply(chunks, function(chunk) length(chunk$effects[[1]]), 1)
  bin <- cumsum(size) %/% most
  lapply(split(chunks, bin), function(together) {
    effects <- lapply(names(together[[1]]$effects), function(name) {
      unlist(lapply(together, function(chunk) chunk$effects[[name]]))
    })
    sizes <- unlist(lapply(together, function(chunk) diff(chunk$start)))
    list(effects = stats::setNames(effects, names(together[[1]]$effects)),
      start = as.integer(c(0, cumsum(sizes))))
  })
}

# One method over chunks of groups, with the settings of mr_estimate().
mr_run_groups <- function(chunks, method, ...) {
  settings <- mr_settings_from(method, ...)
  out <- lapply(chunks, function(chunk) {
    mr_run(chunk$effects, chunk$start, settings)[c("b", "se", "pval")]
  })
  lapply(c(b = "b", se = "se", pval = "pval"), function(name) {
    as.double(unlist(lapply(out, `[[`, name), use.names = FALSE))
  })
}

# Settings as mr_estimate() makes them of its arguments.
mr_settings_from <- function(method, n_boot = 1000, phi = 1, penk = 20, over_dispersion = TRUE,
                             loss = "huber", psi = 0, median_weights = "delta", conf_level = 0.95,
                             keep_failed = TRUE, seed = NULL, n_threads = mrl_threads()) {
  table <- mr_method_table()
  mr_settings(table, mr_method_code(method, table, "method"), n_boot, phi, penk, over_dispersion,
    loss, psi, median_weights, seed, n_threads)
}

#' Odds ratios of summary-data results
#'
#' For a binary outcome whose effects are log odds ratios: the columns that TwoSampleMR's
#' `generate_odds_ratios()` adds.
#'
#' @param results What [mr_estimate()] returned, or any data.frame with `b` and `se`.
#' @return `results` with `lo_ci`, `up_ci` (b -/+ 1.96 se), `or`, `or_lci95`, `or_uci95`.
#' @examples
#' mr_odds_ratios(mr_estimate(subset(lipid_chd, exposure == "LDL"), "mr_ivw"))
#' @export
mr_odds_ratios <- function(results) {
  if (!is.data.frame(results) || !all(c("b", "se") %in% names(results))) {
    stop_argument("results", "must be a data.frame with `b` and `se`", describe(results))
  }
  results$lo_ci <- results$b - 1.96 * results$se
  results$up_ci <- results$b + 1.96 * results$se
  results$or <- exp(results$b)
  results$or_lci95 <- exp(results$lo_ci)
  results$or_uci95 <- exp(results$up_ci)
  results
}
