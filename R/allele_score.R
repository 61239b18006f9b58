#' Allele scores: one instrument of many variants
#'
#' Sums effect alleles by weights. Weights from the same people as the exposure overfit it (the
#' score then is biased towards the observational association, as many weak instruments are);
#' external weights, or weights from another part of the sample, do not.
#'
#' @details
#' Weights count their own effect allele. Each variant is matched by name, then its alleles to those
#' of the genotypes: the same, swapped (the count of `a1` becomes that of `a2`), on the other
#' strand, or both. A palindromic variant (A/T or C/G) reads the same on both strands; `palindromes
#' = "frequency"` tells the strand by the frequency of the effect allele where both it and that of
#' the genotypes are farther than `tolerance` from 1/2, and drops the variant where they are not or
#' the frequency is unknown; `"keep"` trusts that strands agree (as they do for weights from
#' the same files), `"drop"` drops them all. What is dropped is reported, always. Missing genotypes
#' count as the variant's mean.
#'
#' @param genotypes Genotypes opened by [bed()], or a numeric matrix of dosages (people, variants).
#' @param weights A data.frame with the columns `SNP`, `effect_allele`, `beta` (or `weight`) and if
#'   known `other_allele` and `eaf`, as from [snp_associations()] (one trait) or [clump()]; or
#'   harmonised, or exposures of TwoSampleMR's `format_data()` (`effect_allele.exposure`,
#'   `beta.exposure`, ...; one exposure).
#' @param palindromes `"frequency"`, `"keep"` or `"drop"`, see below.
#' @param tolerance How far from 1/2 frequencies tell strands (TwoSampleMR uses 0.08).
#' @param variants For a matrix: a data.frame with the columns `a1` (which the matrix counts), `a2`
#'   and if need be `snp`.
#' @param n_threads Number of threads; results do not depend on it.
#' @return A data.frame `iid, score`, a row per person of `genotypes`. Attribute `variants` is a
#'   data.frame with a row per weight: `SNP, weight, used, flipped, note`, where `weight` is that of
#'   a copy of `a1`, `flipped` says whether alleles were swapped, and `note` is `""`,
#'   `"other strand"`, `"palindromic"`, or why the variant is dropped: `"not among the genotypes"`,
#'   `"no weight"`, `"repeated"`, `"alleles differ"`, `"ambiguous palindrome"`, `"palindrome"`,
#'   `"no genotype"`. Messages of class `mrlearn_message_dropped` count them. An error of class
#'   `mrlearn_error_data` if no variant is left.
#' @references Burgess & Thompson (2013), Int. J. Epidemiol. 42:1134.
#' @examples
#' set.seed(1)
#' g <- matrix(rbinom(900, 2, 0.3), 300)
#' genotypes <- bed(write_bed(g, tempfile()))
#' weights <- data.frame(SNP = c("snp1", "snp3"), effect_allele = c("A", "G"),
#'   other_allele = c("G", "A"), beta = c(0.2, 0.1))
#' head(allele_score(genotypes, weights))
#' @export
allele_score <- function(genotypes, weights, palindromes = c("frequency", "keep", "drop"),
                         tolerance = 0.08, variants = NULL, n_threads = mrl_threads()) {
  palindromes <- check_choice(palindromes, c("frequency", "keep", "drop"))
  tolerance <- check_number(tolerance, min = 0, max = 0.5)
  n_threads <- check_threads(n_threads)
  places <- genotype_places(genotypes, variants)
  if (anyNA(places$a1)) {
    stop_argument("variants", "must say the allele `a1` that the matrix counts", describe(variants))
  }
  weights <- score_weights(weights)
  at <- match(weights$SNP, places$snp)
  found <- which(!is.na(at))
  mean <- rep(NA_real_, nrow(weights))
  mean[found] <- 2 * genotype_freq(genotypes, at[found], n_threads)
  report <- align_weights(weights, places[at, ], mean / 2, palindromes, tolerance)
  report_score(report)
  used <- which(report$used)
  if (!length(used)) {
    stop_mrl("data", "No variant is left for the score.")
  }
  signed <- ifelse(report$flipped, -1, 1) * report$weight
  offset <- sum(2 * report$weight[used][report$flipped[used]])
  score <- offset + score_product(genotypes, at[used], signed[used], mean[used], n_threads)
  report$weight <- signed
  iid <- rownames(genotypes)
  out <- data.frame(iid = if (is.null(iid)) as.character(seq_len(nrow(genotypes))) else iid, score)
  structure(out, variants = report)
}

# SNP, effect_allele, other_allele, weight, eaf.
score_weights <- function(weights) {
  if (is.data.frame(weights) && "beta.exposure" %in% names(weights)) {
    if (length(unique(weights$id.exposure)) > 1L) {
      stop_argument("weights", "must be those of one exposure",
        shorten(unique(as.character(weights$id.exposure))))
    }
    names(weights) <- sub("\\.exposure$", "", names(weights))
    weights <- weights[!duplicated(weights$SNP), ]
  }
  if (is.data.frame(weights) && !"weight" %in% names(weights)) {
    names(weights)[names(weights) == "beta"] <- "weight"
  }
  if (is.data.frame(weights) && length(unique(weights[["trait"]])) > 1L) {
    stop_argument("weights", "must be those of one trait",
      shorten(unique(as.character(weights$trait))))
  }
  given <- is.data.frame(weights) && "weight" %in% names(weights)
  check_mr_columns(weights, c("SNP", "effect_allele", if (given) "weight" else "beta"), "weights")
  text <- function(name) {
    if (is.null(weights[[name]])) {
      return(rep(NA_character_, nrow(weights)))
    }
    toupper(mr_names(weights, name, "weights", missing = TRUE))
  }
  data.frame(
    SNP = mr_names(weights, "SNP", "weights"), effect_allele = text("effect_allele"),
    other_allele = text("other_allele"), weight = mr_numbers(weights, "weight", "weights"),
    eaf = if (is.null(weights[["eaf"]])) NA_real_ else mr_numbers(weights, "eaf", "weights")
  )
}

# Frequencies of a1 of the variants `at`.
genotype_freq <- function(genotypes, at, n_threads) {
  if (!length(at)) {
    return(double())
  }
  if (inherits(genotypes, "mrl_bed")) {
    first <- unique(at)
    return(bed_stats(genotypes[, first], n_threads)$freq[match(at, first)])
  }
  colMeans(genotypes[, at, drop = FALSE], na.rm = TRUE) / 2
}

# How each weight meets the genotypes: SNP, weight, used, flipped, note.
align_weights <- function(weights, places, freq, palindromes, tolerance) {
  a1 <- toupper(places$a1)
  a2 <- toupper(places$a2)
  fits <- function(effect, other, first, second) {
    (effect == first & (is.na(other) | is.na(second) | other == second)) %in% TRUE
  }
  other_strand <- complement_allele(weights$other_allele)
  effect_strand <- complement_allele(weights$effect_allele)
  same <- fits(weights$effect_allele, weights$other_allele, a1, a2)
  swapped <- fits(weights$effect_allele, weights$other_allele, a2, a1)
  strand <- !same & !swapped & (fits(effect_strand, other_strand, a1, a2) |
    fits(effect_strand, other_strand, a2, a1))
  flipped <- swapped | (strand & fits(effect_strand, other_strand, a2, a1))
  note <- ifelse(strand, "other strand", "")
  palindrome <- is_palindromic(a1, a2) & (same | swapped)
  eaf <- ifelse(swapped, 1 - weights$eaf, weights$eaf)
  known <- (abs(eaf - 0.5) > tolerance & abs(freq - 0.5) > tolerance) %in% TRUE
  opposite <- palindrome & palindromes == "frequency" & known & ((eaf - 0.5) * (freq - 0.5) < 0)
  flipped <- xor(flipped, opposite %in% TRUE)
  note[palindrome] <- "palindromic"
  drop <- rep("", nrow(weights))
  mark <- function(drop, which, why) ifelse(drop == "" & which, why, drop)
  drop <- mark(drop, is.na(places$snp), "not among the genotypes")
  drop <- mark(drop, !is.finite(weights$weight), "no weight")
  drop <- mark(drop, duplicated(weights$SNP), "repeated")
  drop <- mark(drop, !same & !swapped & !strand, "alleles differ")
  drop <- mark(drop, palindrome & palindromes == "drop", "palindrome")
  drop <- mark(drop, palindrome & palindromes == "frequency" & !known, "ambiguous palindrome")
  drop <- mark(drop, is.na(freq), "no genotype")
  data.frame(SNP = weights$SNP, weight = weights$weight, used = drop == "", flipped,
    note = ifelse(drop == "", note, drop))
}

report_score <- function(report) {
  count <- function(x) {
    counts <- table(factor(x, unique(x)))
    paste(counts, names(counts), collapse = ", ")
  }
  if (any(!report$used)) {
    inform_mrl("dropped", sum(!report$used), " of ", nrow(report), " variants are not in the ",
      "score: ", count(report$note[!report$used]), ".")
  }
  kept <- report$used & report$note != ""
  if (any(kept)) {
    inform_mrl("strand", "In the score with a note: ", count(report$note[kept]), ".")
  }
}

# Genotypes `at`, missing as the mean, times weights.
score_product <- function(genotypes, at, weight, mean, n_threads) {
  if (inherits(genotypes, "mrl_bed")) {
    settings <- list(n_threads = n_threads, isa = isa_setting())
    out <- .Call(C_score_bed, bed_source(genotypes[, at]), rbind(2, mean, 1, 0), cbind(weight),
      settings)
    check_status(out$status, "adding up the score")
    return(drop(out$value))
  }
  g <- genotypes[, at, drop = FALSE]
  holes <- which(is.na(g), arr.ind = TRUE)
  g[holes] <- mean[holes[, 2]]
  drop(g %*% weight)
}
