# Genotypes and phenotypes that come together: variants, people, traits, covariates, alleles.

check_phenotypes <- function(phenotypes) {
  if (!is.data.frame(phenotypes) || !nrow(phenotypes) || !length(phenotypes)) {
    stop_argument("phenotypes", "must be a data.frame with rows and columns", describe(phenotypes))
  }
}

# What is known of the variants: snp, chr, pos, a1, a2.
genotype_places <- function(genotypes, variants = NULL) {
  if (inherits(genotypes, "mrl_bed")) {
    if (!is.null(variants)) {
      stop_argument("variants", "must be NULL: the .bim describes the variants", describe(variants))
    }
    out <- genotypes$variants[c("snp", "chr", "pos", "a1", "a2")]
    out$snp <- colnames(genotypes)
    return(out)
  }
  if (!is.matrix(genotypes) || !(is.numeric(genotypes) || is.logical(genotypes)) ||
    !all(dim(genotypes) > 0L)) {
    stop_argument("genotypes", "must be genotypes opened by bed() or a numeric matrix",
      describe(genotypes))
  }
  p <- ncol(genotypes)
  snp <- if (is.null(colnames(genotypes))) paste0("snp", seq_len(p)) else colnames(genotypes)
  out <- list(snp = snp, chr = NA_character_, pos = NA_real_, a1 = NA_character_,
    a2 = NA_character_)
  if (!is.null(variants)) {
    if (!is.data.frame(variants) || nrow(variants) != p || !all(names(variants) %in% c(names(out),
      "cm"))) {
      stop_argument("variants", paste("must be a data.frame with", p, "rows and columns among",
        paste(names(out), collapse = ", ")), describe(variants))
    }
    out[names(variants)] <- lapply(variants, function(v) if (is.factor(v)) as.character(v) else v)
  }
  as.data.frame(lapply(out[c("snp", "chr", "pos", "a1", "a2")], rep_len, p))
}

# Positions of the people in genotypes and in phenotypes, those in both, in the order of genotypes;
# `id` is the name of the column that was used.
match_people <- function(genotypes, phenotypes, id) {
  n <- nrow(genotypes)
  id <- check_string(id, "id", null = TRUE)
  if (is.null(id)) {
    id <- utils::head(intersect(c("iid", "IID"), names(phenotypes)), 1L)
  } else if (!id %in% names(phenotypes)) {
    stop_argument("id", "must name a column of `phenotypes`", describe(id))
  }
  if (!length(id) || is.null(rownames(genotypes))) {
    if (length(id) && !is.null(id) && is.null(rownames(genotypes))) {
      stop_argument("genotypes", "must have row names to be matched by `id`", "none")
    }
    if (nrow(phenotypes) != n) {
      stop_argument("phenotypes", paste("must have a row for each of the", n, "people, or an `id`"),
        paste(nrow(phenotypes), "rows"), what = "data")
    }
    return(list(genotype = seq_len(n), phenotype = seq_len(n), id = NULL))
  }
  given <- as.character(phenotypes[[id]])
  known <- list(rownames(genotypes))
  if (inherits(genotypes, "mrl_bed")) {
    known <- c(known, list(paste(genotypes$samples$fid, genotypes$samples$iid, sep = "_")))
  }
  at <- Reduce(function(a, b) if (sum(!is.na(a)) >= sum(!is.na(b))) a else b,
    lapply(known, match, table = given))
  twice <- intersect(given[duplicated(given) & !is.na(given)], given[at])
  if (length(twice)) {
    stop_mrl("data", "`phenotypes$", id, "` has the same person twice: ", shorten(twice), ".")
  }
  found <- which(!is.na(at))
  if (!length(found)) {
    stop_mrl("data", "No person is in both `genotypes` (", shorten(known[[1]], 3L),
      ") and `phenotypes$", id, "` (", shorten(given, 3L), ").")
  }
  inform_mrl("matched", length(found), " people have genotypes and phenotypes; ", n - length(found),
    " have genotypes alone, ", nrow(phenotypes) - length(found), " phenotypes alone.")
  list(genotype = found, phenotype = at[found], id = id)
}

# Names of columns that exist; NULL: all numeric and logical ones but `except`.
check_columns <- function(names, phenotypes, arg, except = NULL) {
  if (is.null(names)) {
    numeric <- vapply(phenotypes, function(v) is.null(dim(v)) && (is.numeric(v) || is.logical(v)),
      NA)
    names <- setdiff(names(phenotypes)[numeric], except)
    if (!length(names)) {
      stop_argument("phenotypes", "must have a numeric column for a trait",
        shorten(names(phenotypes)))
    }
    return(names)
  }
  if (!is.character(names) || !length(names) || anyNA(names) || anyDuplicated(names)) {
    stop_argument(arg, "must be different names of columns", describe(names))
  }
  unknown <- setdiff(names, names(phenotypes))
  if (length(unknown)) {
    stop_argument(arg, "must name columns of `phenotypes`", shorten(unknown))
  }
  names
}

covariate_names <- function(covariates) {
  if (inherits(covariates, "formula")) {
    return(all.vars(covariates))
  }
  if (!is.null(covariates) && !is.character(covariates)) {
    stop_argument("covariates", "must be a formula or names of columns", describe(covariates))
  }
  as.character(covariates)
}

check_family <- function(family, n) {
  if (!is.character(family) || !length(family) %in% c(1L, n) ||
    !all(family %in% c("linear", "logistic"))) {
    stop_argument("family", paste("must be \"linear\" or \"logistic\", one or", n),
      describe(family))
  }
  rep_len(family, n)
}

# y (people, traits), covariates (people, columns), cluster, family.
association_design <- function(phenotypes, traits, family, covariates, cluster) {
  y <- mapply(trait_values, traits, family, MoreArgs = list(phenotypes = phenotypes))
  dim(y) <- c(nrow(phenotypes), length(traits))
  colnames(y) <- traits
  if (!is.null(cluster)) {
    cluster <- check_columns(check_string(cluster), phenotypes, "cluster")
    if (any(family == "logistic")) {
      stop_argument("cluster", "must be NULL for logistic regressions", describe(cluster))
    }
    cluster <- match(phenotypes[[cluster]], unique(phenotypes[[cluster]][
      !is.na(phenotypes[[cluster]])
    ]))
  }
  list(y = y, w = covariate_matrix(covariates, phenotypes), cluster = cluster, family = family)
}

trait_values <- function(name, family, phenotypes) {
  v <- phenotypes[[name]]
  if (family == "logistic" && is.factor(v) && nlevels(v) == 2L) {
    v <- as.integer(v) - 1L
  }
  if (!is.null(dim(v)) || !(is.numeric(v) || is.logical(v))) {
    stop_argument(paste0("phenotypes$", name), "must be numeric", describe(v))
  }
  v <- as.double(v)
  if (any(is.infinite(v))) {
    stop_argument(paste0("phenotypes$", name), "must be finite", count_not_finite(v), what = "data")
  }
  if (all(is.na(v))) {
    stop_mrl("data", "Trait `", name, "` is missing for all people.")
  }
  if (family == "logistic" && !all(v %in% c(0, 1, NA))) {
    stop_argument(paste0("phenotypes$", name), "must be 0 and 1 for a logistic regression",
      shorten(format(setdiff(unique(v), c(0, 1, NA)), trim = TRUE, digits = 3), 3L), what = "data")
  }
  if (length(unique(v[!is.na(v)])) < 2L) {
    stop_mrl("data", "Trait `", name, "` is constant.")
  }
  v
}

covariate_matrix <- function(covariates, phenotypes) {
  if (is.null(covariates)) {
    return(NULL)
  }
  if (!inherits(covariates, "formula")) {
    covariates <- stats::reformulate(
      paste0("`", check_columns(covariates, phenotypes, "covariates"), "`")
    )
  } else if (length(covariates) != 2L) {
    stop_argument("covariates", "must be a formula without a left side", describe(covariates))
  } else {
    check_columns(all.vars(covariates), phenotypes, "covariates")
  }
  w <- of_model(
    {
      frame <- stats::model.frame(covariates, phenotypes, na.action = stats::na.pass,
        drop.unused.levels = TRUE)
      stats::model.matrix(covariates, frame)
    },
    "argument", "`covariates` make no columns"
  )
  w <- w[, colnames(w) != "(Intercept)", drop = FALSE]
  if (any(is.infinite(w))) {
    stop_argument("covariates", "must be finite", count_not_finite(w), what = "data")
  }
  storage.mode(w) <- "double"
  w
}

# Alleles that are each other's complement, so that the strand cannot be told from them.
is_palindromic <- function(a, b) {
  !is.na(a) & !is.na(b) & toupper(a) == complement_allele(b)
}

complement_allele <- function(a) {
  chartr("ACGT", "TGCA", toupper(a))
}
