#' Principal components of genotypes
#'
#' The directions in which people differ most: with several populations in the sample, their
#' ancestry. As covariates they take up the confounding of variants and traits by ancestry, so far
#' as it is linear in them; close relatives make components of their own, and so do long stretches
#' of linkage disequilibrium unless `prune` thins them out.
#'
#' Genotypes are centred by the mean and divided by \eqn{\sqrt{2p(1 - p)}}, missing ones count as
#' the mean (Patterson, Price & Reich 2006). The components are eigenvectors of \eqn{K = ZZ'/m}, the
#' genetic relationship matrix, which is never formed: a block Krylov method reads the genotypes
#' some 10 to 30 times, and stops when all residuals are below 1e-9 of the largest eigenvalue.
#' Memory is about 10 (k + 8) numbers per person. The sign of a component is such that its largest
#' entry is positive.
#'
#' @param genotypes Genotypes opened by [bed()], or a matrix (people, variants) of 0, 1, 2 and `NA`.
#' @param k Number of components, less than people and at most variants.
#' @param prune NULL for all variants, or `list(r2 = 0.1, kb = 500)`: variants thinned out so that
#'   no two within `kb` kilobases have a haplotype r2 above `r2`; of two the more frequent stays
#'   (see [clump()]).
#' @param maf Least frequency of the rarer allele of the variants used.
#' @param variants For a matrix with `prune`: a data.frame with the columns `chr` and `pos`.
#' @param n_threads Number of threads; results do not depend on it.
#' @return A data.frame `iid, PC1, ..`, a row per person, each component of length 1. Attributes:
#'   `eigenvalues` (k), `variants` (names of those used), `passes` over the genotypes. A message of
#'   class `mrlearn_message_filtered` says how many variants are left out.
#' @references Patterson, Price & Reich (2006), PLoS Genet. 2:e190. Musco & Musco (2015), Advances
#'   in Neural Information Processing Systems 28 (block Krylov).
#' @examples
#' set.seed(1)
#' frequency <- cbind(runif(60, 0.1, 0.9), runif(60, 0.1, 0.9))
#' population <- rep(1:2, each = 30)
#' g <- t(sapply(population, function(i) rbinom(60, 2, frequency[, i])))
#' pcs <- genotype_pcs(bed(write_bed(g, tempfile())), k = 2)
#' tapply(pcs$PC1, population, mean)
#' @export
genotype_pcs <- function(genotypes, k = 10, prune = NULL, maf = 0.01, variants = NULL,
                         n_threads = mrl_threads()) {
  maf <- check_number(maf, min = 0, max = 0.5)
  n_threads <- check_threads(n_threads)
  genotypes <- hard_calls(genotypes, variants)
  on.exit(unlink(attr(genotypes, "temporary")))
  n_given <- ncol(genotypes)
  stats <- bed_stats(genotypes, n_threads)
  keep <- !is.na(stats$maf) & stats$maf > 0 & stats$maf >= maf
  if (!any(keep)) {
    stop_mrl("data", "No variant has a minor allele of frequency ", format(maf), " or more.")
  }
  genotypes <- genotypes[, keep]
  stats <- stats[keep, ]
  if (!is.null(prune)) {
    keep <- prune_variants(genotypes, stats$maf, prune, n_threads)
    genotypes <- genotypes[, keep]
    stats <- stats[keep, ]
  }
  if (ncol(genotypes) < n_given) {
    inform_mrl("filtered", n_given - ncol(genotypes), " of ", n_given, " variants are left out: ",
      "rare, without variation", if (!is.null(prune)) ", or in disequilibrium with others", ".")
  }
  k <- check_count(k, max = max(1, min(nrow(genotypes) - 1L, ncol(genotypes))))
  scale <- 1 / sqrt(2 * stats$freq * (1 - stats$freq))
  value <- rbind(2 - 2 * stats$freq, 0, 1 - 2 * stats$freq, -2 * stats$freq) *
    rep(scale, each = 4L)
  settings <- list(k = k, n_threads = n_threads, isa = isa_setting())
  out <- .Call(C_pca_bed, bed_source(genotypes), value, settings)
  check_status(out$status, "computing principal components")
  pcs <- out$value$vectors
  colnames(pcs) <- paste0("PC", seq_len(k))
  structure(data.frame(iid = rownames(genotypes), pcs), eigenvalues = out$value$values,
    variants = colnames(genotypes), passes = out$value$passes)
}

# Positions of the variants that are left: clumps with the more frequent first.
prune_variants <- function(genotypes, maf, prune, n_threads) {
  if (!is.list(prune) || !setequal(names(prune), c("r2", "kb"))) {
    stop_argument("prune", "must be NULL or list(r2 = , kb = )", describe(prune))
  }
  names <- colnames(genotypes)
  kept <- clump(data.frame(SNP = names, pval = rank(-maf) / (length(maf) + 1)), genotypes,
    r2 = prune$r2, kb = prune$kb, p = 1, n_threads = n_threads)
  sort(match(kept$SNP, names))
}
