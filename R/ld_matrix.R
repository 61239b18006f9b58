#' Linkage disequilibrium between variants
#'
#' Correlations of all pairs of variants among the people whose two genotypes are known, from exact
#' counts on packed genotypes.
#'
#' `method = "genotype"` correlates numbers of copies of allele `a1`, as PLINK's `--r2` does.
#' `"haplotype"` correlates alleles on haplotypes, whose frequencies are estimated by maximum
#' likelihood (PLINK's `--clump` does so); it assumes Hardy-Weinberg equilibrium, thus one
#' population and unrelated people. Either describes the people given: they should be of the
#' population whose associations are analysed. All people count, where PLINK leaves out those who
#' have a parent in the file; choose the founders by `genotypes[people, ]`.
#'
#' @param genotypes Genotypes opened by [bed()], or a matrix (people, variants) of 0, 1, 2 and `NA`.
#'   Choose the variants of a region first: the result has a row and a column for each.
#' @param signed `TRUE`: correlations, their sign for counts of `a1`; `FALSE`: their squares.
#' @param method `"genotype"` or `"haplotype"`.
#' @param n_threads Number of threads; results do not depend on it.
#' @return A symmetric matrix with the names of the variants; `NA` where a variant does not vary
#'   among the people known in both.
#' @references Hill (1974), Heredity 33:229 (haplotype frequencies).
#' @seealso [clump()].
#' @examples
#' set.seed(1)
#' g <- matrix(rbinom(300, 2, 0.4), 100)
#' g[, 2] <- g[, 1]
#' ld_matrix(bed(write_bed(g, tempfile())))
#' @export
ld_matrix <- function(genotypes, signed = TRUE, method = c("genotype", "haplotype"),
                      n_threads = mrl_threads()) {
  signed <- check_flag(signed)
  method <- check_choice(method, c("genotype", "haplotype"))
  genotypes <- hard_calls(genotypes)
  on.exit(unlink(attr(genotypes, "temporary")))
  out <- .Call(C_ld_matrix, bed_source(genotypes), list(
    haplotype = method == "haplotype", n_threads = check_threads(n_threads), isa = isa_setting()
  ))
  check_status(out$status, "correlating variants")
  r <- out$value
  r[is.nan(r)] <- NA_real_
  dimnames(r) <- rep(list(colnames(genotypes)), 2L)
  if (signed) r else r^2
}

# Genotypes as bed(); a matrix goes to files that attr(, "temporary") names, for the caller to
# remove.
hard_calls <- function(genotypes, variants = NULL) {
  places <- genotype_places(genotypes, variants)
  if (inherits(genotypes, "mrl_bed")) {
    return(genotypes)
  }
  dimnames(genotypes) <- list(NULL, make.unique(places$snp))
  prefix <- write_bed(genotypes, tempfile())
  out <- bed(prefix)
  out$variants$chr <- ifelse(is.na(places$chr), "0", as.character(places$chr))
  out$variants$pos <- as.double(places$pos)
  structure(out, temporary = paste0(prefix, c(".bed", ".bim", ".fam")))
}
