# Traits on one variant at a time: individual-level data to summary statistics.

#' Associations of variants with traits
#'
#' Regresses traits on one variant at a time, with a constant and covariates, and gives what
#' summary-data Mendelian randomization takes. Genotypes are read in blocks and used packed, so
#' memory does not grow with the number of variants. With `cluster` and few families tests reject a
#' little too often: 6 % at the level 5 % with 100 families (10,000 variants without effect).
#'
#' A slope is the effect of one copy of the effect allele. It is causal for the trait only as far as
#' the covariates take up population structure and relatedness: give [genotype_pcs()] as covariates
#' where there are several populations, and `cluster` (families) where people are related. Effects
#' on exposure and outcome from the same people have correlated errors, which two-sample methods
#' ignore; weak variants are then biased towards the observational association. Use separate people
#' (each trait known in one part of them) where you can.
#'
#' @details
#' Every regression uses the people who have the genotype, the trait and all covariates, as
#' `plink --linear` and `--logistic` do; nothing is imputed. Linear regressions are exact least
#' squares with Student's t test. Logistic regressions are maximum likelihood with Wald's test;
#' where genotype and covariates tell cases from controls no finite estimate exists, and the row
#' says so. PLINK gives no estimate where covariates explain more than 98 % of a genotype (`--vif
#' 50`), and takes the rarer allele for the effect allele unless told to `--keep-allele-order`; here
#' only genotypes that covariates explain altogether have none. All variants count as autosomal: on
#' the X chromosome a man with one copy counts 1 in a matrix, 2 in a usual .bed.
#'
#' Traits with the same people are handled in one pass over the genotypes: each further pattern of
#' missing values costs another pass.
#'
#' @param genotypes Genotypes opened by [bed()], or a numeric matrix of dosages (people, variants)
#'   with `NA` for missing.
#' @param phenotypes A data.frame with a row per person: traits, covariates, clusters.
#' @param traits Names of columns of `phenotypes` to be regressed; by default all numeric or logical
#'   ones that are not used otherwise. Give either this or `exposure` and `outcome`.
#' @param exposure,outcome Names of exposures and outcomes: the result is then harmonised.
#' @param covariates A formula such as `~ age + sex`, or names of columns of `phenotypes`.
#' @param id Name of the column of `phenotypes` that identifies people, as in `rownames(genotypes)`
#'   (for [bed()] `iid`, or `fid_iid`). By default `"iid"` (or `"IID"`) if there is such a column;
#'   else row i of `phenotypes` is person i, and there must be as many.
#' @param family `"linear"` or `"logistic"`, one for all or one for each trait (exposures first). A
#'   trait of a logistic regression is logical, 0 and 1, or a factor with two levels (the second is
#'   the case).
#' @param vcov Variance of linear slopes: `"iid"`, or `"HC0"`, `"HC1"` for unequal variances.
#' @param cluster Name of a column of `phenotypes` with groups whose errors may be correlated
#'   (linear only; overrides `vcov`; Student's t with G - 1 degrees of freedom).
#' @param variants For a matrix: NULL, or a data.frame with a row per variant and any of the columns
#'   `snp, chr, pos, a1, a2`; the matrix counts `a1`.
#' @param n_threads Number of threads; results do not depend on it.
#' @return With `traits` a data.frame `SNP, chr, pos, effect_allele, other_allele, eaf, beta, se,
#'   pval, samplesize, reason`, in the order of the variants; with several traits `trait` comes
#'   first and traits stand one below the other. The effect allele is `a1` of the .bim, `eaf` its
#'   frequency among the people used. Without an estimate `beta`, `se` and `pval` are `NA`, and
#'   `reason` (else `NA`) is one of `"all missing"`, `"monomorphic"`, `"too few people"`,
#'   `"collinear with covariates"`, `"constant trait"`, `"separated"`, `"no convergence"`.
#'
#'   With `exposure` and `outcome` a harmonised data.frame as TwoSampleMR has it, a row per variant
#'   and pair of exposure and outcome, which [mr_estimate()] takes as it is: both effects count the
#'   same allele on the same strand (`action = 1`), ids are the names of the traits, `mr_keep` is
#'   FALSE where one of the effects is missing. Choose the instruments by [clump()].
#'
#'   Messages of class `mrlearn_message_matched` say which people are used. Errors have class
#'   `mrlearn_error_argument`, or `mrlearn_error_data`: nobody in common, a trait that is missing
#'   for all or constant.
#' @references Chang et al. (2015), GigaScience 4:7 (PLINK 1.9). White (1980), Econometrica 48:817
#'   (HC0).
#' @seealso [clump()], [allele_score()], [genotype_pcs()], [mr_estimate()].
#' @examples
#' set.seed(1)
#' g <- matrix(rbinom(500 * 6, 2, 0.3), 500)
#' u <- rnorm(500)
#' people <- data.frame(age = runif(500, 40, 70), bmi = drop(g %*% rep(0.4, 6)) + u + rnorm(500))
#' people$sbp <- 0.5 * people$bmi + u + rnorm(500)
#' genotypes <- bed(write_bed(g, tempfile()))
#' snp_associations(genotypes, people, "bmi", covariates = ~age)
#' dat <- snp_associations(genotypes, people, exposure = "bmi", outcome = "sbp",
#'   covariates = ~age)
#' mr_estimate(dat, "mr_ivw")
#' @export
snp_associations <- function(genotypes, phenotypes, traits = NULL, exposure = NULL,
                             outcome = NULL, covariates = NULL, id = NULL, family = "linear",
                             vcov = c("iid", "HC0", "HC1"), cluster = NULL, variants = NULL,
                             n_threads = mrl_threads()) {
  vcov <- check_choice(vcov, c("iid", "HC0", "HC1"))
  check_phenotypes(phenotypes)
  places <- genotype_places(genotypes, variants)
  people <- match_people(genotypes, phenotypes, id)
  phenotypes <- phenotypes[people$phenotype, , drop = FALSE]
  if (is.null(exposure) != is.null(outcome)) {
    stop_argument(if (is.null(exposure)) "exposure" else "outcome",
      "must be given with the other of the two", "NULL")
  }
  paired <- !is.null(exposure)
  if (paired && !is.null(traits)) {
    stop_argument("traits", "must be NULL where `exposure` and `outcome` are given",
      describe(traits))
  }
  if (paired) {
    exposure <- check_columns(exposure, phenotypes, "exposure")
    outcome <- check_columns(outcome, phenotypes, "outcome")
    traits <- c(exposure, outcome)
  } else {
    used <- c(covariate_names(covariates), people$id, cluster)
    traits <- check_columns(traits, phenotypes, "traits", except = used)
  }
  family <- check_family(family, length(traits))
  design <- association_design(phenotypes, traits, family, covariates, cluster)
  tables <- associate(genotypes, places, people$genotype, design, vcov, check_threads(n_threads))
  if (paired) {
    at <- length(exposure)
    return(pair_associations(tables[seq_len(at)], tables[-seq_len(at)], exposure, outcome))
  }
  if (length(traits) == 1L) {
    return(tables[[1]])
  }
  do.call(rbind, Map(function(name, table) cbind(trait = name, table), traits, unname(tables),
    USE.NAMES = FALSE))
}

association_reasons <- c("all missing", "monomorphic", "too few people",
  "collinear with covariates", "constant trait", "separated", "no convergence")

# A table for each trait. Traits of the same people and family share a pass over the genotypes.
associate <- function(genotypes, places, person, design, vcov, n_threads) {
  usable <- rep(TRUE, nrow(design$y))
  if (!is.null(design$w)) {
    usable <- usable & rowSums(is.na(design$w)) == 0
  }
  if (!is.null(design$cluster)) {
    usable <- usable & !is.na(design$cluster)
  }
  known <- !is.na(design$y) & usable
  pattern <- paste(design$family, apply(known, 2, function(v) paste(which(!v), collapse = " ")))
  tables <- vector("list", ncol(design$y))
  for (one in unique(pattern)) {
    at <- which(pattern == one)
    rows <- which(known[, at[1]])
    tell_incomplete(colnames(design$y)[at], length(rows), nrow(known))
    tables[at] <- associate_traits(genotypes, places, person[rows], design, rows, at, vcov,
      n_threads)
  }
  tables
}

tell_incomplete <- function(traits, n, n_matched) {
  if (n < n_matched) {
    inform_mrl("rows_dropped", n_matched - n, " of ", n_matched, " people have missing values and ",
      "are left out of the regressions of ", shorten(traits), ".")
  }
}

associate_traits <- function(genotypes, places, person, design, rows, at, vcov, n_threads) {
  y <- design$y[rows, at, drop = FALSE]
  n_columns <- if (is.null(design$w)) 0L else ncol(design$w)
  if (nrow(y) < n_columns + 3L) {
    stop_mrl("data", "For trait `", colnames(y)[1], "` ", nrow(y), " people are left; ", n_columns,
      " covariates need ", n_columns + 3L, " at least.")
  }
  constant <- apply(y, 2, function(v) length(unique(v)) < 2L)
  if (any(constant)) {
    stop_mrl("data", "Trait `", colnames(y)[constant][1], "` is constant among the ", nrow(y),
      " people without missing values.")
  }
  w <- design$w[rows, , drop = FALSE]
  cluster <- if (!is.null(design$cluster)) {
    as.integer(factor(design$cluster[rows]))
  }
  if (length(cluster) && max(cluster) < 2L) {
    stop_argument("cluster", "must have at least two groups", "one", what = "data")
  }
  types <- c("iid", "HC0", "HC1", "cluster")
  logistic <- design$family[at[1]] == "logistic"
  type <- if (logistic) "iid" else if (length(cluster)) "cluster" else vcov
  settings <- list(vcov = match(type, types) - 1L, n_cluster = max(0L, cluster),
    logistic = logistic, n_threads = n_threads, isa = isa_setting())
  data <- list(trait = y, covariate = w, cluster = cluster)
  out <- if (inherits(genotypes, "mrl_bed")) {
    .Call(C_assoc_bed, bed_source(genotypes[person, ]), data, settings)
  } else {
    genotypes <- genotypes[person, , drop = FALSE]
    storage.mode(genotypes) <- "double"
    .Call(C_assoc_matrix, genotypes, data, settings)
  }
  check_status(out$status, "preparing the regressions on variants")
  out <- out$value
  if (any(out$kept == 0L)) {
    inform_mrl("collinear", "Covariates collinear with those before them are left out: ",
      shorten(colnames(w)[out$kept == 0L]), ".")
  }
  lapply(seq_along(at), function(j) association_table(places, out, j))
}

association_table <- function(places, out, j) {
  reason <- matrix(out$reason, nrow(out$beta))[, j]
  number <- function(x) ifelse(is.nan(x), NA_real_, x)
  data.frame(
    SNP = places$snp, chr = places$chr, pos = places$pos, effect_allele = places$a1,
    other_allele = places$a2, eaf = number(out$freq), beta = number(out$beta[, j]),
    se = number(out$se[, j]), pval = number(out$pval[, j]), samplesize = out$count,
    reason = c(NA, association_reasons)[reason + 1L]
  )
}

# Tables of exposures and outcomes over the same variants to TwoSampleMR's harmonised rows.
pair_associations <- function(x, y, exposure, outcome) {
  pairs <- expand.grid(x = seq_along(x), y = seq_along(y))
  frames <- Map(function(i, j) {
    pair_frame(x[[i]], y[[j]], exposure[i], outcome[j])
  }, pairs$x, pairs$y)
  do.call(rbind, frames)
}

pair_frame <- function(x, y, exposure, outcome) {
  dat <- mr_data(x$beta, x$se, y$beta, y$se, snp = x$SNP, exposure = exposure, outcome = outcome,
    effect_allele = x$effect_allele, other_allele = x$other_allele, samplesize_exp = x$samplesize,
    samplesize_out = y$samplesize)
  dat$eaf.exposure <- x$eaf
  dat$eaf.outcome <- y$eaf
  dat$pval.exposure <- x$pval
  dat$pval.outcome <- y$pval
  dat$chr <- x$chr
  dat$pos <- x$pos
  dat$remove <- rep(FALSE, nrow(x))
  dat$palindromic <- is_palindromic(x$effect_allele, x$other_allele)
  dat$ambiguous <- rep(FALSE, nrow(x))
  dat$action <- rep(1, nrow(x))
  dat$SNP_index <- rep(1, nrow(x))
  dat$reason <- ifelse(is.na(x$reason), y$reason, x$reason)
  dat$mr_keep.exposure <- !is.na(x$beta)
  dat$mr_keep.outcome <- !is.na(y$beta)
  dat$mr_keep <- dat$mr_keep.exposure & dat$mr_keep.outcome
  dat
}
