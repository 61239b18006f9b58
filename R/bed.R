# Genotypes in PLINK files: the object, which holds names and a selection but no genotypes.

#' Genotypes in PLINK files
#'
#' Opens PLINK 1 genotypes (`prefix.bed`, `prefix.bim`, `prefix.fam`). Nothing but the names of
#' people and variants is read into memory; [iv_2sls()], [iv_lasso()] and the other functions that
#' take instruments read the genotypes block by block as they need them.
#'
#' A genotype is the number of copies of allele `a1` (column 5 of the .bim): 0, 1, 2 or missing. The
#' object is a plain list without open files: it can be saved and sent to other processes, and the
#' file is checked again whenever it is used. `x[people, variants]` selects by number, logical
#' vector or name (`iid`, or `fid_iid`; `snp`), without reading anything.
#'
#' @section Other formats:
#' plink2 (<https://www.cog-genomics.org/plink/2.0/>) makes these files of all others; hard calls
#' are made of dosages within 0.1 of a whole number, the others are missing:
#'
#' ```
#' plink2 --vcf data.vcf.gz --max-alleles 2 --make-bed --out data
#' plink2 --bgen data.bgen ref-first --sample data.sample --max-alleles 2 --make-bed --out data
#' plink2 --pfile data --max-alleles 2 --make-bed --out data
#' ```
#'
#' To keep dosages, write them as text (`plink2 --pfile data --export A`), read that, and give the
#' matrix: dosages in a plain matrix are taken wherever a `bed()` is.
#'
#' @section As instruments:
#' A variable holding a `bed()` stands in the formula where a matrix would (`y ~ x | genotypes`), or
#' is given as `z`. [iv_2sls()], [iv_lasso()], [iv_contextual()], [iv_quantile()] and [iv_deep()]
#' join it to the data by `id =`; with the others put its people into the order of the data first:
#' `genotypes[data$iid, ]`. The first two stream it, the others decode it to a matrix.
#'
#' @param prefix The path of the three files without their extension, or of the .bed with it.
#' @return A list of class `mrl_bed`: `path`, `n_file` and `p_file` (people and variants in the
#'   file), `samples` (data.frame `fid, iid, father, mother, sex, phenotype`) and `variants`
#'   (data.frame `chr, snp, cm, pos, a1, a2`) of those selected, `rows` and `columns` (their numbers
#'   in the file, NULL for all). `dim()`, `dimnames()`, `[`, `as.matrix()` and `print()` work.
#'
#'   Errors have class `mrlearn_error_argument` (a file is not there) or `mrlearn_error_data`: no
#'   PLINK 1 .bed, one in sample-major order, a size that does not fit the .bim and .fam, people who
#'   occur twice.
#' @references Chang et al. (2015), GigaScience 4:7 (PLINK 1.9; the format is described at
#'   <https://www.cog-genomics.org/plink/1.9/formats#bed>).
#' @seealso [bed_filter()] for call rate, frequency and Hardy-Weinberg equilibrium; [write_bed()].
#' @examples
#' prefix <- tempfile()
#' write_bed(matrix(c(0, 1, 2, NA, 1, 0, 2, 2), 4), prefix)
#' genotypes <- bed(prefix)
#' genotypes
#' as.matrix(genotypes[1:3, "snp2"])
#' @export
bed <- function(prefix) {
  prefix <- sub("\\.bed$", "", check_string(prefix))
  files <- paste0(prefix, c(".bed", ".bim", ".fam"))
  absent <- files[!file.exists(files)]
  if (length(absent)) {
    stop_argument("prefix", "must name PLINK files (.bed, .bim and .fam)",
      paste("no file", absent[1]))
  }
  variants <- read_plink_table(files[2], c("chr", "snp", "cm", "pos", "a1", "a2"))
  samples <- read_plink_table(files[3], c("fid", "iid", "father", "mother", "sex", "phenotype"))
  check_bed_file(files[1], nrow(samples), nrow(variants))
  id <- paste(samples$fid, samples$iid)
  if (anyDuplicated(id)) {
    stop_mrl("data", "'", files[3], "' has the same person (family and individual ID) twice: ",
      id[duplicated(id)][1], ".")
  }
  structure(
    list(
      path = normalizePath(files[1]), n_file = nrow(samples), p_file = nrow(variants),
      samples = samples, variants = variants, rows = NULL, columns = NULL
    ),
    class = "mrl_bed"
  )
}

# A .bim or .fam: six columns without names. Positions are numbers, all else is text.
read_plink_table <- function(file, names) {
  kinds <- as.list(stats::setNames(rep("", 6L), names))
  kinds[intersect(names, c("cm", "pos"))] <- 0
  broken <- function(e) {
    stop_mrl("data", "'", file, "' is no PLINK table of six columns: ", conditionMessage(e), ".")
  }
  columns <- tryCatch(
    scan(file, kinds, quiet = TRUE, quote = "", comment.char = "", na.strings = character(),
      multi.line = FALSE, fill = FALSE),
    error = function(e) broken(e), warning = function(w) broken(w)
  )
  if (!length(columns[[1]])) {
    stop_mrl("data", "'", file, "' is empty.")
  }
  as.data.frame(columns)
}

# The header, and the size that belongs to so many people and variants.
check_bed_file <- function(file, n, p) {
  first <- readBin(file, "raw", 3L)
  if (length(first) < 3L || !identical(first[1:2], as.raw(c(0x6c, 0x1b)))) {
    stop_mrl("data", "'", file, "' is no PLINK 1 .bed: its first bytes are ",
      paste(first, collapse = " "), ", not 6c 1b 01.")
  }
  if (first[3] != as.raw(1L)) {
    stop_mrl("data", "'", file, "' is in sample-major order; `plink --bfile old --make-bed --out ",
      "new` (PLINK 1.9) turns it into variant-major order.")
  }
  size <- file.size(file)
  needed <- bed_size(n, p)
  if (size != needed) {
    stop_mrl("data", "'", file, "' has ", format_count(size), " bytes; ", format_count(n),
      " people in the .fam and ", format_count(p), " variants in the .bim need ",
      format_count(needed), ": it is truncated, or the files do not belong together.")
  }
}

bed_size <- function(n, p) {
  3 + ceiling(n / 4) * as.double(p)
}

format_count <- function(x) {
  format(x, big.mark = ",", scientific = FALSE, trim = TRUE)
}

# What the compiled code reads genotypes with. The file must still be the one that was opened.
bed_source <- function(x) {
  if (!file.exists(x$path)) {
    stop_mrl("data", "The genotypes are not there any more: no file '", x$path, "'.")
  }
  check_bed_file(x$path, x$n_file, x$p_file)
  list(path = x$path, n_file = x$n_file, p_file = x$p_file, rows = x$rows, columns = x$columns)
}

#' @export
dim.mrl_bed <- function(x) {
  c(nrow(x$samples), nrow(x$variants))
}

#' @export
dimnames.mrl_bed <- function(x) {
  list(bed_person_names(x$samples), bed_variant_names(x$variants))
}

# Individual IDs where they tell people apart, else with the family's.
bed_person_names <- function(samples) {
  if (anyDuplicated(samples$iid)) paste(samples$fid, samples$iid, sep = "_") else samples$iid
}

# The names of variants; ".", PLINK's word for none, becomes position and alleles.
bed_variant_names <- function(variants) {
  unnamed <- variants$snp == "."
  snp <- variants$snp
  if (any(unnamed)) {
    v <- variants[unnamed, ]
    snp[unnamed] <- paste(v$chr, format(v$pos, scientific = FALSE, trim = TRUE), v$a1, v$a2,
      sep = ":")
  }
  make.unique(snp)
}

#' @export
`[.mrl_bed` <- function(x, i, j, ..., drop = FALSE) {
  check_no_dots(...)
  if (nargs() - (!missing(drop)) < 3L) {
    stop_mrl("argument", "Genotypes are selected by people and variants: x[people, variants].")
  }
  if (!missing(i)) {
    at <- select_entries(i, nrow(x), list(
      bed_person_names(x$samples), paste(x$samples$fid, x$samples$iid, sep = "_")
    ), "people")
    x$rows <- (if (is.null(x$rows)) seq_len(x$n_file) else x$rows)[at]
    x$samples <- x$samples[at, , drop = FALSE]
    row.names(x$samples) <- NULL
  }
  if (!missing(j)) {
    at <- select_entries(j, ncol(x), list(bed_variant_names(x$variants)), "variants")
    x$columns <- (if (is.null(x$columns)) seq_len(x$p_file) else x$columns)[at]
    x$variants <- x$variants[at, , drop = FALSE]
    row.names(x$variants) <- NULL
  }
  x
}

# Which of n entries an index means; names is a list of alternatives.
select_entries <- function(index, n, names, what) {
  at <- if (is.character(index)) {
    found <- lapply(names, function(known) match(index, known))
    Reduce(function(a, b) ifelse(is.na(a), b, a), found)
  } else if (is.logical(index) && length(index) == n) {
    which(index)
  } else if (is.numeric(index) && !anyNA(index) && all(index == trunc(index))) {
    seq_len(n)[index]
  } else {
    stop_mrl("argument", "The ", what, " must be selected by whole numbers, names or a logical ",
      "vector of length ", n, "; got ", describe(index), ".")
  }
  if (anyNA(at)) {
    stop_mrl("argument", "There are no ", what, " ", shorten(as.character(index)[is.na(at)]), ".")
  }
  if (anyDuplicated(at)) {
    stop_mrl("argument", "The ", what, " are selected twice: ",
      shorten(as.character(unique(at[duplicated(at)]))), ".")
  }
  as.integer(at)
}

#' @param x An object of class `mrl_bed`.
#' @param impute Missing genotypes as the mean of their variant among the people selected? Else
#'   `NA`.
#' @param n_threads Number of threads; results do not depend on it.
#' @param ... Nothing else may be given.
#' @rdname bed
#' @export
as.matrix.mrl_bed <- function(x, impute = FALSE, n_threads = mrl_threads(), ...) {
  check_no_dots(...)
  settings <- list(impute = check_flag(impute), n_threads = check_threads(n_threads))
  value <- .Call(C_bed_decode, bed_source(x), settings)$value
  value[is.nan(value)] <- NA_real_
  dimnames(value) <- dimnames(x)
  value
}

#' @export
print.mrl_bed <- function(x, ...) {
  check_no_dots(...)
  cat("Genotypes of ", format_count(nrow(x)), " people at ", format_count(ncol(x)),
    " variants, in ", x$path, "\n", sep = "")
  if (!is.null(x$rows) || !is.null(x$columns)) {
    cat("  a selection from ", format_count(x$n_file), " people and ", format_count(x$p_file),
      " variants\n", sep = "")
  }
  if (!is.null(x$filters)) {
    cat(paste0("  ", x$filters$filter, " ", x$filters$threshold, ": ", x$filters$removed,
      " variants removed\n"), sep = "")
  }
  chromosomes <- unique(x$variants$chr)
  if (length(chromosomes)) {
    cat("  chromosome", if (length(chromosomes) > 1L) "s", " ",
      paste(utils::head(chromosomes, 24L), collapse = " "), "\n", sep = "")
  }
  invisible(x)
}

#' Writing genotypes as PLINK files
#'
#' Writes counts of an allele as `prefix.bed`, `prefix.bim` and `prefix.fam`.
#'
#' @param genotypes A numeric matrix (people, variants) of 0, 1, 2 (copies of allele `a1`) and `NA`.
#'   Its column names become the variants' names, its row names the people's, where `variants` and
#'   `samples` do not say them.
#' @param prefix Path of the files without extension; existing ones are overwritten.
#' @param samples NULL, or a data.frame with a row per person and any of the columns
#'   `fid, iid, father, mother, sex, phenotype`.
#' @param variants NULL, or a data.frame with a row per variant and any of the columns
#'   `chr, snp, cm, pos, a1, a2`.
#' @return `prefix`, invisibly. Raises `mrlearn_error_file`, and leaves old files alone, where
#'   the disk is full.
#' @examples
#' g <- matrix(c(0, 1, 2, NA), 2, dimnames = list(c("ann", "bob"), c("rs1", "rs2")))
#' prefix <- write_bed(g, tempfile())
#' as.matrix(bed(prefix))
#' @export
write_bed <- function(genotypes, prefix, samples = NULL, variants = NULL) {
  prefix <- check_string(prefix)
  check_folder(dirname(prefix), "prefix")
  if (!is.matrix(genotypes) || !(is.numeric(genotypes) || is.logical(genotypes)) ||
    !all(dim(genotypes) > 0L)) {
    stop_argument("genotypes", "must be a numeric matrix of people and variants",
      describe(genotypes))
  }
  odd <- genotypes[!is.na(genotypes) & !genotypes %in% 0:2]
  if (length(odd)) {
    stop_argument("genotypes", "must be 0, 1, 2 or NA", format(odd[1]), what = "data")
  }
  n <- nrow(genotypes)
  p <- ncol(genotypes)
  iid <- if (is.null(rownames(genotypes))) paste0("id", seq_len(n)) else rownames(genotypes)
  snp <- if (is.null(colnames(genotypes))) paste0("snp", seq_len(p)) else colnames(genotypes)
  people <- plink_columns(samples, "samples", n, list(
    fid = "0", iid = iid, father = "0", mother = "0", sex = "0", phenotype = "-9"
  ))
  places <- plink_columns(variants, "variants", p, list(
    chr = "1", snp = snp, cm = "0", pos = seq_len(p), a1 = "A", a2 = "G"
  ))
  storage.mode(genotypes) <- "double"
  out <- .Call(C_bed_encode, genotypes)
  check_status(out$status, "packing genotypes")
  replace_files(paste0(prefix, c(".bim", ".fam", ".bed")), list(
    plink_table(places), plink_table(people),
    file_of_bytes(c(as.raw(c(0x6c, 0x1b, 0x01)), out$value))
  ))
  invisible(prefix)
}

# The columns of a .bim or .fam: those given, else the defaults.
plink_columns <- function(given, arg, n, defaults) {
  if (!is.null(given) && (!is.data.frame(given) || nrow(given) != n)) {
    stop_argument(arg, paste("must be a data.frame with", n, "rows"), describe(given))
  }
  unknown <- setdiff(names(given), names(defaults))
  if (length(unknown)) {
    stop_argument(arg, paste("may have the columns", shorten(names(defaults), 6L)),
      shorten(unknown))
  }
  out <- utils::modifyList(defaults, as.list(given))
  out <- lapply(out, function(v) {
    rep_len(if (is.numeric(v)) format(v, scientific = FALSE, trim = TRUE, digits = 15) else v, n)
  })
  out <- as.data.frame(lapply(out, as.character))
  if (anyNA(out) || any(grepl("[[:space:]]|^$", unlist(out)))) {
    stop_argument(arg, "must not be missing, empty or have blanks", "one that does", what = "data")
  }
  out
}

plink_table <- function(x) {
  file_of_text(do.call(paste, c(unname(x), sep = "\t")))
}
