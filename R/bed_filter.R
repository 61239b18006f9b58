# What genotypes look like variant by variant, and which variants are good enough.

#' Call rate, allele frequency and Hardy-Weinberg equilibrium
#'
#' `bed_stats()` counts the genotypes of each variant among the people selected; `bed_filter()`
#' keeps the variants that pass, and says how many each rule removed.
#'
#' The exact Hardy-Weinberg test assumes unrelated people of one population: with several
#' populations or families in the file it removes good variants.
#'
#' @param x Genotypes opened by [bed()].
#' @param call_rate Least share of people whose genotype is known.
#' @param maf Least frequency of the rarer allele. Variants of which all people have the same
#'   genotype, or nobody has a known one, are always removed.
#' @param hwe Least p-value of the exact test of Hardy-Weinberg equilibrium; 0: no test.
#' @param n_threads Number of threads; results do not depend on it.
#' @return `bed_stats()`: a data.frame with a row per variant: `chr, snp, pos, a1, a2`, the counts
#'   `hom_a1`, `het`, `hom_a2` and `n_missing`, `call_rate`, `freq` (of `a1`, NaN if all are
#'   missing), `maf` and `hwe_p` (Wigginton, Cutler & Abecasis 2005, without mid-p). `bed_filter()`:
#'   `x` with the variants left, and the data.frame `filter, threshold, removed` as `x$filters`;
#'   rules apply in the order call rate, monomorphic, frequency, equilibrium, and a variant counts
#'   where it fails first. An error of class `mrlearn_error_data` if no variant is left.
#' @references Wigginton, Cutler & Abecasis (2005), Am. J. Hum. Genet. 76:887.
#' @examples
#' set.seed(1)
#' g <- matrix(rbinom(600, 2, rep(c(0, 0.01, 0.3), each = 200)), 200)
#' genotypes <- bed(write_bed(g, tempfile()))
#' bed_stats(genotypes)
#' bed_filter(genotypes)
#' @export
bed_stats <- function(x, n_threads = mrl_threads()) {
  check_bed(x)
  out <- .Call(C_bed_describe, bed_source(x), list(n_threads = check_threads(n_threads)))
  check_status(out$status, "counting genotypes")
  count <- out$value$count # by PLINK's code: 2 copies, missing, 1 copy, none
  n <- nrow(x)
  freq <- (count[1, ] + count[3, ] / 2) / (n - count[2, ])
  stats <- x$variants[c("chr", "snp", "pos", "a1", "a2")]
  cbind(stats,
    hom_a1 = count[1, ], het = count[3, ], hom_a2 = count[4, ], n_missing = count[2, ],
    call_rate = 1 - count[2, ] / n, freq = freq, maf = pmin(freq, 1 - freq),
    hwe_p = out$value$hwe
  )
}

#' @rdname bed_stats
#' @export
bed_filter <- function(x, call_rate = 0.95, maf = 0.01, hwe = 1e-6, n_threads = mrl_threads()) {
  call_rate <- check_number(call_rate, min = 0, max = 1)
  maf <- check_number(maf, min = 0, max = 0.5)
  hwe <- check_number(hwe, min = 0, max = 1)
  stats <- bed_stats(x, n_threads)
  known <- nrow(x) - stats$n_missing
  same <- pmax(stats$hom_a1, stats$het, stats$hom_a2) == known
  fails <- list(stats$call_rate < call_rate, same, stats$maf < maf, stats$hwe_p < hwe)
  left <- rep(TRUE, nrow(stats))
  removed <- integer()
  for (rule in fails) {
    removed <- c(removed, sum(left & rule))
    left <- left & !rule
  }
  filters <- data.frame(
    filter = c("call rate below", "monomorphic", "frequency below", "Hardy-Weinberg p below"),
    threshold = c(format(call_rate), "", format(maf), format(hwe)), removed = removed
  )
  if (!any(left)) {
    stop_mrl("data", "No variant is left: ", describe_filters(filters), ".")
  }
  inform_mrl("filtered", sum(!left), " of ", length(left), " variants are removed",
    if (any(!left)) paste0(" (", describe_filters(filters), ")"), ".")
  x <- x[, left]
  x$filters <- filters
  x
}

describe_filters <- function(filters) {
  shown <- filters[filters$removed > 0, ]
  paste0(trimws(paste(shown$filter, shown$threshold)), ": ", shown$removed, collapse = ", ")
}

check_bed <- function(x, arg = "x") {
  if (!inherits(x, "mrl_bed")) {
    stop_argument(arg, "must be genotypes opened by bed()", describe(x))
  }
  x
}
