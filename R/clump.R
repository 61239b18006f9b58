#' Clumping: one variant for each signal
#'
#' Keeps variants whose association is the strongest of their neighbourhood: the variant with the
#' least p-value is an index variant, those in linkage disequilibrium with it are taken away, and so
#' on, as `plink --clump` does. Methods such as IVW and MR-Egger assume the independent variants
#' that are left.
#'
#' @details
#' A variant falls to an index variant that is closer than `kb` kilobases, on the same chromosome,
#' if their haplotype r2 (see [ld_matrix()]) among the people of `genotypes` exceeds `r2`. PLINK's
#' options are `--clump-p1 p --clump-p2 p2 --clump-r2 r2 --clump-kb kb`; its own defaults are
#' `p = 1e-4, p2 = 0.01, r2 = 0.5, kb = 250`, and those of TwoSampleMR's `clump_data()` are `p = 1,
#' p2 = 1, r2 = 0.001, kb = 10000`. The people should be of the population of the associations, and
#' enough for `r2`: among n unrelated people independent variants have an expected r2 of 1/n, so
#' that 0.001 needs several thousands. Use the same variants' p-values from people that are not
#' those of the outcome where you can: choosing by p-value biases effects upward (winner's curse).
#'
#' Memory is that of the genotypes of one chromosome's variants near a candidate, 3/8 byte each.
#'
#' @param associations A data.frame with the columns `SNP` and `pval`, as [snp_associations()] gives
#'   (several traits: each by itself), or a harmonised one, or exposures of TwoSampleMR's
#'   `format_data()`, with `SNP`, `pval.exposure` and `id.exposure` (each exposure by itself).
#' @param genotypes Genotypes opened by [bed()], or a matrix (people, variants) of 0, 1, 2 and `NA`,
#'   with the variants' names as in `SNP`.
#' @param r2 Threshold of r2, 0 to 1.
#' @param kb Size of the neighbourhood to each side, in kilobases; `Inf`: the whole chromosome.
#' @param p Greatest p-value of an index variant.
#' @param p2 Members of a clump with p-values below this are listed; the others are only counted.
#' @param variants For a matrix: a data.frame with a row per variant and the columns `chr` and `pos`
#'   (and any of `snp, a1, a2`); needed unless `kb = Inf`.
#' @param n_threads Number of threads; results do not depend on it.
#' @return The rows of `associations` that belong to index variants. Those of a harmonised frame
#'   (or exposures) keep their order and columns; others are sorted by p-value (within traits) and
#'   get PLINK's counts of the other members of the clump `total` and, by p-value, `nsig` (0.05 and
#'   more), `s05`, `s01`, `s001`, `s0001` (below 0.05, 0.01, 0.001, 0.0001), and their names `sp2`
#'   (`""`: none). Attribute `clumps` is a data.frame `group, SNP, index, r2` of all variants that
#'   are in a clump.
#'
#'   Messages of class `mrlearn_message_dropped` say how many variants have no p-value or are not
#'   among the genotypes; `mrlearn_warning_empty`: no variant has a p-value of at most `p`.
#' @references Purcell et al. (2007), Am. J. Hum. Genet. 81:559. Chang et al. (2015), GigaScience
#'   4:7.
#' @examples
#' set.seed(1)
#' g <- matrix(rbinom(400 * 4, 2, 0.4), 400)
#' g[, 2] <- ifelse(runif(400) < 0.9, g[, 1], g[, 2])
#' genotypes <- bed(write_bed(g, tempfile()))
#' y <- g[, 1] + g[, 4] + rnorm(400)
#' clump(snp_associations(genotypes, data.frame(y)), genotypes, r2 = 0.05)
#' @export
clump <- function(associations, genotypes, r2 = 0.001, kb = 10000, p = 5e-8, p2 = 1,
                  variants = NULL, n_threads = mrl_threads()) {
  columns <- clump_columns(associations)
  if (!is.numeric(kb) || length(kb) != 1L || !isTRUE(kb > 0)) {
    stop_argument("kb", "must be one number above 0", describe(kb))
  }
  genotypes <- hard_calls(genotypes, variants)
  on.exit(unlink(attr(genotypes, "temporary")))
  if (is.finite(kb) && anyNA(genotypes$variants$pos)) {
    stop_argument("kb", "must be Inf where positions of variants are unknown", describe(kb))
  }
  settings <- list(
    radius = if (is.finite(kb)) floor(kb * 1000 + 1e-6) - 1 else Inf,
    r2 = check_number(r2, min = 0, max = 1), haplotype = TRUE, n_threads = check_threads(n_threads),
    isa = isa_setting()
  )
  p <- check_number(p, min = 0, max = 1)
  p2 <- check_number(p2, min = 0, max = 1)
  at <- match(associations$SNP, colnames(genotypes))
  report_unclumped(associations, columns, at)
  groups <- split(seq_len(nrow(associations)), factor(columns$group, unique(columns$group)))
  parts <- lapply(groups, function(rows) {
    clump_group(rows, columns$pval, at, genotypes, p, settings)
  })
  clumps <- do.call(rbind, Map(function(part, name) {
    if (nrow(part)) cbind(group = name, part) else NULL
  }, parts, names(groups)))
  if (is.null(clumps)) {
    clumps <- data.frame(group = character(), row = integer(), index = integer(), r2 = double())
  }
  clump_table(associations, columns, clumps, p2)
}

# pval, group (a string per row) and whether to keep the frame as it is.
clump_columns <- function(associations) {
  if (!is.data.frame(associations) || !nrow(associations)) {
    stop_argument("associations", "must be a data.frame with rows", describe(associations))
  }
  exposure <- "pval.exposure" %in% names(associations)
  needed <- if (exposure) c("SNP", "pval.exposure", "id.exposure") else c("SNP", "pval")
  check_mr_columns(associations, needed, "associations")
  pval <- mr_numbers(associations, needed[2], "associations")
  if (any(pval < 0 | pval > 1, na.rm = TRUE)) {
    stop_argument(paste0("associations$", needed[2]), "must be between 0 and 1",
      format(pval[which(pval < 0 | pval > 1)[1]]), what = "data")
  }
  group <- if (exposure) {
    mr_names(associations, "id.exposure", "associations")
  } else if ("trait" %in% names(associations)) {
    mr_names(associations, "trait", "associations")
  } else {
    rep("", nrow(associations))
  }
  list(pval = pval, group = group, whole = exposure)
}

report_unclumped <- function(associations, columns, at) {
  no_p <- is.na(columns$pval)
  absent <- is.na(at) & !no_p
  counts <- c(sum(no_p), length(unique(associations$SNP[absent])))
  why <- paste(counts, c("rows have no p-value", "variants are not among the genotypes"))
  if (any(counts > 0L)) {
    inform_mrl("dropped", "Left out: ", paste(why[counts > 0L], collapse = ", "),
      if (any(absent)) c(" (", shorten(unique(as.character(associations$SNP[absent]))), ")"), ".")
  }
}

# Clumps among the rows of one group: row (of the first row of the variant), index (the same of its
# index variant), r2.
clump_group <- function(rows, pval, at, genotypes, p, settings) {
  rows <- rows[!is.na(pval[rows]) & !is.na(at[rows])]
  rows <- rows[!duplicated(at[rows])]
  chr <- genotypes$variants$chr[at[rows]]
  parts <- lapply(unique(chr), function(one) {
    clump_chromosome(rows[chr == one], pval, at, genotypes, p, settings)
  })
  do.call(rbind, c(list(data.frame(row = integer(), index = integer(), r2 = double())), parts))
}

clump_chromosome <- function(rows, pval, at, genotypes, p, settings) {
  position <- genotypes$variants$pos[at[rows]]
  position[is.na(position)] <- 0
  sorted <- order(position, at[rows])
  rows <- rows[sorted]
  position <- position[sorted]
  start <- position[pval[rows] <= p]
  if (!length(start)) {
    return(NULL)
  }
  before <- findInterval(position, start)
  gap <- pmin(position - c(-Inf, start)[before + 1L], c(start, Inf)[before + 1L] - position)
  near <- gap <= settings$radius
  rows <- rows[near]
  first <- order(pval[rows])
  first <- first[pval[rows[first]] <= p]
  out <- .Call(C_ld_clump, bed_source(genotypes[, at[rows]]), position[near], first - 1L, settings)
  check_status(out$status, "clumping")
  member <- out$value$clump >= 0L
  data.frame(row = rows[member], index = rows[out$value$clump[member] + 1L],
    r2 = out$value$square[member])
}

clump_table <- function(associations, columns, clumps, p2) {
  is_index <- clumps$row == clumps$index
  index <- clumps$row[is_index]
  if (!length(index)) {
    warn_mrl("empty", "No variant is left: none with genotypes has a p-value of at most `p`.")
  }
  key <- paste(columns$group, associations$SNP)
  if (columns$whole) {
    out <- associations[key %in% key[index], , drop = FALSE]
  } else {
    index <- index[order(match(columns$group[index], unique(columns$group)), columns$pval[index])]
    out <- cbind(associations[index, , drop = FALSE],
      clump_counts(index, clumps[!is_index, ], associations$SNP, columns$pval, p2))
  }
  row.names(out) <- NULL
  attr(out, "clumps") <- data.frame(group = clumps$group,
    SNP = as.character(associations$SNP[clumps$row]),
    index = as.character(associations$SNP[clumps$index]), r2 = clumps$r2)
  out
}

# PLINK's columns for each index variant: members by p-value, and their names.
clump_counts <- function(index, members, snp, pval, p2) {
  members <- members[order(members$row), ]
  of <- factor(members$index, index)
  class <- cut(pval[members$row], c(-Inf, 1e-4, 1e-3, 0.01, 0.05, Inf), right = FALSE)
  counts <- unclass(table(of, class))
  listed <- pval[members$row] < p2 | p2 == 1
  names <- vapply(split(snp[members$row][listed], of[listed]), paste, "", collapse = ",")
  data.frame(
    total = as.integer(rowSums(counts)), nsig = counts[, 5], s05 = counts[, 4], s01 = counts[, 3],
    s001 = counts[, 2], s0001 = counts[, 1], sp2 = unname(names), row.names = NULL
  )
}
