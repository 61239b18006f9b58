# Tables of one variant at a time: single-variant estimates, leave-one-out; odds ratios of results.

#' Estimates by single variants, and without each of them
#'
#' `mr_single_snp()` gives the Wald ratio of every variant, and under them estimates from all
#' variants. `mr_leave_one_out()` gives an estimate without each variant in turn, and one from all.
#' A variant whose estimate stands apart, or without which the estimate changes, deserves a look.
#'
#' @param dat A harmonised data.frame, as for [mr_estimate()], with `SNP`.
#' @param methods Names or labels of [mr_methods()] for the rows of all variants.
#' @param method One of them, applied without each variant.
#' @param ... Settings of the methods by name, as in [mr_estimate()]: `n_boot`, `phi`, `seed`, ...
#' @return A data.frame with TwoSampleMR's columns `exposure, outcome, id.exposure, id.outcome,
#'   samplesize, SNP, b, se, p`, of class `mr_single_snp` or `mr_leave_one_out`, for [plot()]. Pairs
#'   come in order of appearance, each with its variants and then the rows of all variants, which
#'   are called `"All - <label>"` in `mr_single_snp()` and `"All"` in `mr_leave_one_out()`; no
#'   variant may have such a name. A variant without effect on the exposure has no ratio: `NA`.
#'   Pairs with fewer than three usable variants have only the row of all in `mr_leave_one_out()`,
#'   pairs with none only rows of all, which are `NA`. `samplesize` is that of the outcome, if
#'   known.
#' @seealso [mr_plots]
#' @examples
#' ldl <- subset(lipid_chd, exposure == "LDL")
#' tail(mr_single_snp(ldl), 3)
#' head(mr_leave_one_out(ldl))
#' @export
mr_single_snp <- function(dat, methods = c("mr_ivw", "mr_egger_regression"), ...) {
  plan <- mr_plan(methods, "methods", ...)
  frame <- mr_frame(dat, "SNP")
  plan$settings <- add_sample_size(plan$settings, dat, frame)
  all <- mr_run(frame$effects, frame$start, plan$settings)
  pair_of_all <- rep(seq_len(nrow(frame$pairs)), each = nrow(plan$methods))
  labels <- rep(paste("All -", plan$methods$label), nrow(frame$pairs))
  pair <- rep(seq_len(nrow(frame$pairs)), diff(frame$start))
  ratio <- wald_ratios(frame$effects)
  new_snp_table(dat, frame, "mr_single_snp",
    list(pair = pair, snp = variant_names(dat, frame, labels), b = ratio$b, se = ratio$se,
      p = ratio$p),
    list(pair = pair_of_all, snp = labels, b = all$b, se = all$se, p = all$pval)
  )
}

#' @rdname mr_single_snp
#' @export
mr_leave_one_out <- function(dat, method = "mr_ivw", ...) {
  method <- check_string(method)
  plan <- mr_plan(method, "method", ...)
  frame <- mr_frame(dat, "SNP")
  plan$settings <- add_sample_size(plan$settings, dat, frame)
  all <- mr_run(frame$effects, frame$start, plan$settings)
  n_pairs <- nrow(frame$pairs)
  without <- leave_one_out(frame, plan$settings)
  new_snp_table(dat, frame, "mr_leave_one_out",
    list(pair = without$pair, snp = variant_names(dat, frame, "All")[without$row], b = without$b,
      se = without$se, p = without$pval),
    list(pair = seq_len(n_pairs), snp = rep("All", n_pairs), b = all$b, se = all$se, p = all$pval)
  )
}

# Methods with the settings of mr_estimate(): those in `...`, else its defaults.
mr_plan <- function(methods, arg, ...) {
  table <- mr_method_table()
  code <- mr_method_code(methods, table, arg)
  given <- list(...)
  known <- setdiff(names(formals(mr_settings)), c("table", "code"))
  bad <- if (length(given) && is.null(names(given))) "" else setdiff(names(given), known)
  if (length(bad)) {
    stop_mrl("argument", "Unknown argument: ",
      paste(ifelse(bad == "", "an unnamed one", paste0("`", bad, "`")), collapse = ", "),
      "; settings of the methods are ", paste0("`", known, "`", collapse = ", "), ".")
  }
  settings <- lapply(formals(mr_estimate)[known], eval, envir = environment(mr_estimate))
  settings[names(given)] <- given
  list(methods = table[code, ], settings = do.call(mr_settings, c(list(table, code), settings)))
}

# Ratio, standard error (first order) and p-value of each variant; NA where there is no ratio.
wald_ratios <- function(effects) {
  b <- effects$by / effects$bx
  se <- effects$sy / abs(effects$bx)
  none <- !is.finite(b) | !is.finite(se)
  b[none] <- NA_real_
  se[none] <- NA_real_
  list(b = b, se = se, p = 2 * stats::pnorm(-abs(b / se)))
}

# Names of the usable variants; none may be taken for a row of all.
variant_names <- function(dat, frame, reserved) {
  snp <- as.character(dat[["SNP"]])[frame$row]
  taken <- intersect(snp, reserved)
  if (length(taken)) {
    stop_argument("dat$SNP", "must not have the name of a row of all variants", describe(taken[1]),
      what = "data")
  }
  snp
}

# variants, of_all: lists pair (number), snp, b, se, p. Pairs in order, in each its variants first.
new_snp_table <- function(dat, frame, class, variants, of_all) {
  is_all <- rep(c(FALSE, TRUE), c(length(variants$pair), length(of_all$pair)))
  rows <- Map(c, variants, of_all)
  at <- order(rows$pair, is_all)
  rows <- lapply(rows, `[`, at)
  pairs <- frame$pairs
  first <- replace(frame$start[-1L], diff(frame$start) == 0L, NA)
  first[!is.na(first)] <- frame$start[-length(frame$start)][!is.na(first)] + 1L
  samplesize <- as.vector(dat[["samplesize.outcome"]])
  samplesize <- if (is.null(samplesize)) NA else samplesize[frame$row[first]][rows$pair]
  out <- data.frame(
    exposure = pairs$exposure[rows$pair], outcome = pairs$outcome[rows$pair],
    id.exposure = pairs$id.exposure[rows$pair], id.outcome = pairs$id.outcome[rows$pair],
    samplesize = rep_len(samplesize, length(rows$pair)), SNP = rows$snp,
    b = no_nan(rows$b), se = no_nan(rows$se), p = no_nan(rows$p)
  )
  structure(out, class = c(class, "data.frame"))
}

no_nan <- function(x) {
  replace(x, is.nan(x), NA_real_)
}

# Estimates without each variant of the pairs that have at least three: numbers of pairs, rows among
# the usable ones, b, se, pval. In chunks of about `most` effects, so that memory stays bounded.
leave_one_out <- function(frame, settings, most = 4e6) {
  sizes <- diff(frame$start)
  pair <- rep(seq_along(sizes), sizes)
  row <- which(sizes[pair] > 2L)
  pair <- pair[row]
  left <- sizes[pair] - 1L
  chunk <- cumsum(as.double(left)) %/% most
  sizes_of_pairs <- settings$sample_size
  out <- lapply(split(seq_along(row), chunk), function(i) {
    # All rows of the pair but one: those from the one left out on move up by one.
    kept <- sequence(left[i], from = frame$start[pair[i]] + 1L)
    kept <- kept + (kept >= rep(row[i], left[i]))
    settings["sample_size"] <- list(sizes_of_pairs[pair[i]])
    fits <- mr_run(lapply(frame$effects, `[`, kept), as.integer(c(0, cumsum(left[i]))), settings)
    fits[c("b", "se", "pval")]
  })
  column <- function(name) as.double(unlist(lapply(out, `[[`, name), use.names = FALSE))
  list(pair = pair, row = row, b = column("b"), se = column("se"), pval = column("pval"))
}

check_results <- function(results, needed) {
  if (!is.data.frame(results)) {
    stop_argument("results", "must be a data.frame of estimates", describe(results))
  }
  check_mr_columns(results, needed, "results")
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
  check_results(results, c("b", "se"))
  b <- mr_numbers(results, "b", "results")
  half <- 1.96 * mr_numbers(results, "se", "results")
  results[c("lo_ci", "up_ci")] <- list(b - half, b + half)
  results[c("or", "or_lci95", "or_uci95")] <- list(exp(b), exp(b - half), exp(b + half))
  results
}
