# What users hold for multivariable MR to the numbers that the estimators need.

# The elements of what TwoSampleMR's mv_harmonise_data() returns that are needed here.
mv_elements <- c("exposure_beta", "exposure_se", "outcome_beta", "outcome_se")

# A list: effects (bx, by, cov (k + 1, k + 1, n), ld: what the core takes), sx, sy, snp, ids (a
# data.frame id.exposure exposure id.outcome outcome), row (which of the rows given are used). Says
# what was dropped. ld, gencov: NULL for what `dat` has.
mv_frame <- function(dat, ld = NULL, gencov = NULL) {
  dat <- mv_as_data(dat)
  bx <- unname(dat$exposure_beta)
  sx <- unname(dat$exposure_se)
  by <- dat$outcome_beta
  sy <- dat$outcome_se
  n <- nrow(bx)
  ids <- mv_ids(dat)
  ld <- check_ld(if (is.null(ld)) dat$ld else ld, n)
  cov <- mv_covariance(if (is.null(gencov)) dat$gencov else gencov, sx, sy)
  finite <- is.finite(by) & is.finite(sy) & rowSums(!is.finite(bx) | !is.finite(sx)) == 0 &
    colSums(!is.finite(cov), dims = 2L) == 0
  positive <- finite & sy > 0 & rowSums(sx <= 0) == 0
  report_dropped(c(0L, 0L, sum(!finite), sum(finite & !positive)), n)
  row <- which(positive)
  snp <- dat$snp[row]
  mv_warn_duplicates(snp)
  check_enough(length(row), ids$exposure)
  effects <- list(
    bx = bx[row, , drop = FALSE], by = by[row], cov = as.vector(cov[, , row, drop = FALSE]),
    ld = if (!is.null(ld)) check_ld_rank(ld[row, row, drop = FALSE], snp)
  )
  check_collinear_exposures(effects$bx / sy[row], ids$exposure)
  list(effects = effects, sx = sx[row, , drop = FALSE], sy = sy[row], snp = snp, ids = ids,
    row = row)
}

# Any of the forms that are taken, as the list that mv_data() makes.
mv_as_data <- function(dat) {
  if (inherits(dat, "MRMVInput")) {
    return(mv_from_input(dat))
  }
  if (is.data.frame(dat)) {
    if (all(c("betaYG", "sebetaYG") %in% names(dat))) {
      return(mv_from_mvmr(dat))
    }
    return(mv_from_rows(dat))
  }
  if (!is.list(dat)) {
    stop_argument("dat",
      "must be what mv_data() or mv_harmonise_data() returns, or a harmonised data frame",
      describe(dat))
  }
  missing <- setdiff(mv_elements, names(dat))
  if (length(missing)) {
    stop_mrl("data", "`dat` lacks the element", if (length(missing) > 1L) "s", " ",
      shorten(missing, 30L), "; it has ",
      if (length(names(dat))) shorten(names(dat), 60L) else "no named elements", ".")
  }
  if (inherits(dat, "mv_data")) {
    return(dat)
  }
  id <- colnames(dat$exposure_beta)
  out <- mv_data(dat$exposure_beta, dat$exposure_se, dat$outcome_beta, dat$outcome_se,
    snp = rownames(dat$exposure_beta), exposure = id, ld = dat$ld,
    gencov = if (is.null(dat$gencov)) 0 else dat$gencov
  )
  if (!is.null(dat$expname)) {
    at <- match(out$expname$id.exposure, as.character(dat$expname$id.exposure))
    label <- as.character(dat$expname$exposure)[at]
    out$expname$exposure <- ifelse(is.na(label), out$expname$exposure, label)
  }
  if (!is.null(dat$outname)) {
    out$outname <- data.frame(id.outcome = as.character(dat$outname$id.outcome)[1],
      outcome = as.character(dat$outname$outcome)[1])
  }
  out
}

# MendelianRandomization's mr_mvinput(): the slots of an S4 object are its attributes.
mv_from_input <- function(dat) {
  slot <- function(name) attr(dat, name, exact = TRUE)
  ld <- slot("correlation")
  mv_data(slot("betaX"), slot("betaXse"), slot("betaY"), slot("betaYse"), snp = slot("snps"),
    exposure = slot("exposure"), outcome = slot("outcome"), ld = if (!anyNA(ld)) ld)
}

# MVMR's format_mvmr(): SNP, betaYG, sebetaYG, betaX1 ..., sebetaX1 ...
mv_from_mvmr <- function(dat) {
  b <- grep("^betaX[0-9]+$", names(dat), value = TRUE)
  se <- paste0("se", b)
  missing <- setdiff(se, names(dat))
  if (!length(b) || length(missing)) {
    stop_mrl("data", "`dat` has `betaYG` as of MVMR's format_mvmr(), but lacks ",
      if (length(b)) shorten(missing, 30L) else "`betaX1`, `sebetaX1`", ".")
  }
  matrix_of <- function(names) as.matrix(as.data.frame(dat)[names])
  mv_data(matrix_of(b), matrix_of(se), dat$betaYG, dat$sebetaYG, snp = dat[["SNP"]],
    exposure = sub("^betaX", "exposure", b))
}

# A harmonised frame with the rows of several exposures below each other and one outcome: the
# variants that all exposures have.
mv_from_rows <- function(dat) {
  check_mr_columns(dat, c(mr_columns, "SNP"), "dat")
  keep <- mr_flags(dat, "mr_keep", "dat")
  id <- mr_names(dat, "id.exposure", "dat")
  snp <- mr_names(dat, "SNP", "dat")
  outcome <- unique(mr_names(dat, "id.outcome", "dat"))
  if (length(outcome) > 1L) {
    stop_argument("dat", "must have one outcome", shorten(outcome), what = "data")
  }
  exposures <- unique(id)
  key <- paste(id, snp, sep = "\r")
  if (anyDuplicated(key)) {
    at <- which(duplicated(key))[1]
    stop_mrl("data", "`dat` has the variant ", snp[at], " twice for the exposure ", id[at], ".")
  }
  keep <- !is.na(keep) & keep
  rows <- vapply(exposures, function(e) match(unique(snp), ifelse(keep & id == e, snp, NA)),
    integer(length(unique(snp))))
  rows <- matrix(rows, ncol = length(exposures))
  complete <- rowSums(is.na(rows)) == 0
  report_incomplete(sum(!complete), length(complete))
  rows <- rows[complete, , drop = FALSE]
  column <- function(name) {
    array(mr_numbers(dat, name, "dat")[rows], dim(rows))
  }
  by <- column("beta.outcome")
  sy <- column("se.outcome")
  check_same_outcome(by, sy, unique(snp)[complete])
  out <- mv_data(column("beta.exposure"), column("se.exposure"), by[, 1], sy[, 1],
    snp = unique(snp)[complete], exposure = exposures)
  out$expname$exposure <- as.character(dat[["exposure"]])[match(exposures, id)]
  out$outname <- data.frame(id.outcome = outcome, outcome = as.character(dat[["outcome"]])[1])
  out
}

report_incomplete <- function(n, n_snps) {
  if (n > 0L) {
    inform_mrl("dropped", n, " of ", n_snps,
      " variants are not used: they have no usable row for some exposure.")
  }
}

# Effects on the outcome that differ between a variant's rows count other alleles.
check_same_outcome <- function(by, sy, snp) {
  differ <- function(x) rowSums(abs(x - x[, 1]) > 1e-8 * abs(x[, 1]), na.rm = TRUE) > 0
  bad <- which(differ(by) | differ(sy))
  if (length(bad)) {
    stop_mrl("data", "`dat` has different effects on the outcome in the rows of one variant (",
      shorten(snp[bad]), "): harmonise all exposures to the same effect allele.")
  }
}

mv_ids <- function(dat) {
  data.frame(id.exposure = dat$expname$id.exposure, exposure = dat$expname$exposure,
    id.outcome = dat$outname$id.outcome, outcome = dat$outname$outcome)
}

mv_warn_duplicates <- function(snp) {
  twice <- duplicated(snp)
  if (any(twice)) {
    warn_mrl("duplicates", sum(twice), if (sum(twice) > 1L) " rows repeat" else " row repeats",
      " a variant (first: ", snp[twice][1], "). Each row counts as evidence of its own; keep one",
      " per variant.")
  }
}

check_enough <- function(n, exposures) {
  k <- length(exposures)
  if (n < k) {
    stop_mrl("underidentified", "There ", if (n == 1L) "is " else "are ", n, " usable variant",
      if (n != 1L) "s", " for ", k, " exposures (", shorten(exposures, 10L),
      "): at least as many variants as exposures are needed.")
  }
}

# Exposures whose effects, weighted, are a combination of those before them, named with these.
check_collinear_exposures <- function(x, exposures) {
  size <- sqrt(colSums(x^2))
  if (any(size == 0)) {
    stop_mrl("collinear", "All effects on ", shorten(exposures[size == 0], 10L), " are zero.")
  }
  x <- x / rep(size, each = nrow(x))
  q <- qr(x, tol = 1e-7)
  if (q$rank == ncol(x)) {
    return(invisible())
  }
  kept <- q$pivot[seq_len(q$rank)]
  bad <- q$pivot[-seq_len(q$rank)]
  coef <- qr.coef(qr(x[, kept, drop = FALSE]), x[, bad[1]])
  with <- exposures[kept[abs(coef) > 1e-6 * max(abs(coef))]]
  stop_mrl("collinear", "The exposures are collinear: the effects of the variants on ",
    shorten(exposures[bad[1]]), " are a combination of those on ", shorten(with, 10L),
    if (length(bad) > 1L) paste0(" (and so for ", shorten(exposures[bad[-1]], 10L), ")"),
    ". Leave some of them out.")
}

check_ld <- function(ld, n) {
  if (is.null(ld)) {
    return(NULL)
  }
  if (!is.matrix(ld) || !is.numeric(ld) || any(dim(ld) != n)) {
    stop_argument("ld", paste0("must be a ", n, " x ", n, " matrix of correlations"), describe(ld))
  }
  check_correlations(unname(ld), "ld")
}

check_correlations <- function(x, arg) {
  storage.mode(x) <- "double"
  if (any(!is.finite(x))) {
    stop_argument(arg, "must be finite", count_not_finite(x), what = "data")
  }
  if (max(abs(x - t(x))) > 1e-8) {
    stop_argument(arg, "must be symmetric", paste("differences of", format(max(abs(x - t(x))))))
  }
  other <- diag(x)[abs(diag(x) - 1) > 1e-8]
  if (length(other)) {
    stop_argument(arg, "must have ones on its diagonal", format(other[1]))
  }
  if (max(abs(x)) > 1 + 1e-8) {
    stop_argument(arg, "must have no correlation beyond 1", format(max(abs(x))))
  }
  (x + t(x)) / 2
}

# Variants that are a combination of others leave a correlation matrix without an inverse.
check_ld_rank <- function(ld, snp) {
  # A share of 1e-10 of a variant's variance left by the others is less than rounding in the panel.
  q <- suppressWarnings(chol(ld, pivot = TRUE, tol = 1e-10))
  rank <- attr(q, "rank")
  if (rank < nrow(ld)) {
    bad <- attr(q, "pivot")[-seq_len(rank)]
    stop_mrl("collinear", "`ld` is not positive definite: ", shorten(snp[bad]),
      if (length(bad) > 1L) " are" else " is", " determined by the other variants, or the",
      " correlations contradict each other. Prune the variants.")
  }
  ld
}

# (k + 1, k + 1, n): covariance of the errors of each variant's estimates, the outcome's last.
mv_covariance <- function(gencov, sx, sy) {
  n <- nrow(sx)
  k <- ncol(sx)
  cor <- diag(k + 1L)
  if (is.list(gencov)) {
    return(mv_covariance_list(gencov, sy, n, k))
  }
  if (!is.null(gencov) && !(is.numeric(gencov) && identical(as.vector(gencov), 0))) {
    if (!is.matrix(gencov) || !is.numeric(gencov) || nrow(gencov) != ncol(gencov) ||
      !nrow(gencov) %in% (k + 0:1)) {
      stop_argument("gencov", paste0(
        "must be 0, a ", k, " x ", k, " matrix of correlations of the exposures (or ", k + 1L,
        " x ", k + 1L, " with the outcome last), or a list of covariance matrices"
      ), describe(gencov))
    }
    at <- seq_len(nrow(gencov))
    cor[at, at] <- check_definite(check_correlations(unname(gencov), "gencov"))
  }
  se <- t(cbind(sx, sy, deparse.level = 0))
  out <- array(0, c(k + 1L, k + 1L, n))
  for (j in seq_len(k + 1L)) {
    for (i in seq_len(k + 1L)) {
      out[i, j, ] <- cor[i, j] * se[i, ] * se[j, ]
    }
  }
  out
}

mv_covariance_list <- function(gencov, sy, n, k) {
  if (length(gencov) != n) {
    stop_argument("gencov", paste("must have a covariance matrix for each of the", n, "variants"),
      describe(gencov))
  }
  out <- array(0, c(k + 1L, k + 1L, n))
  out[k + 1L, k + 1L, ] <- sy^2
  for (i in seq_len(n)) {
    x <- gencov[[i]]
    if (!is.matrix(x) || !is.numeric(x) || nrow(x) != ncol(x) || !nrow(x) %in% (k + 0:1)) {
      stop_argument(paste0("gencov[[", i, "]]"), paste0("must be a ", k, " x ", k, " matrix"),
        describe(x))
    }
    if (all(is.finite(x))) {
      if (max(abs(x - t(x))) > 1e-8 * max(abs(x))) {
        stop_argument(paste0("gencov[[", i, "]]"), "must be symmetric", "another")
      }
      check_definite(x, paste0("gencov[[", i, "]]"))
    }
    at <- seq_len(nrow(x))
    out[at, at, i] <- x
  }
  out
}

check_definite <- function(x, arg = "gencov") {
  values <- eigen(x, symmetric = TRUE, only.values = TRUE)$values
  if (min(values) < -1e-8 * max(values)) {
    stop_argument(arg, "must have no negative eigenvalue", format(min(values)))
  }
  x
}
