# Variants from VCF files.

#' Read variants from a VCF file
#'
#' Substitutions of single letters as [mutagenize()] takes them. Alternative letters of one record
#' become rows of their own. Other records (insertions, deletions, symbols) cannot be given to
#' [mutagenize()]; they are left out, and a message says how many.
#'
#' @param file Path of a VCF file, which may be compressed as [gzfile()] reads it.
#' @param windows Where the sequences lie: a data.frame with `sequence` (name), `chromosome`,
#'   `start` (position of the first letter, from 1) and `end` (of the last). Variants are placed in
#'   every sequence that holds them, and those that are in none are left out. `NULL`: the
#'   chromosome is the name of the sequence, which begins at 1.
#' @return A data.frame `sequence, position, ref, alt, id`, `position` from the sequence's first
#'   letter. Raises `mrlearn_error_data` for a file that is empty or no VCF file, or has no
#'   substitution within the sequences, `mrlearn_error_argument` for wrong windows.
#' @examples
#' file <- tempfile(fileext = ".vcf")
#' writeLines(c("##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
#'   "chr1\t103\trs1\tG\tA,T\t.\t.\t."), file)
#' read_vcf(file, data.frame(sequence = "s", chromosome = "chr1", start = 101, end = 104))
#' @export
read_vcf <- function(file, windows = NULL) {
  check_file(file, "file")
  windows <- check_windows(windows)
  connection <- gzfile(file, "rt")
  on.exit(close(connection))
  lines <- readLines(connection, warn = FALSE)
  lines <- lines[!startsWith(lines, "##") & nzchar(lines)]
  if (!length(lines) || !startsWith(lines[1], "#CHROM\tPOS\tID\tREF\tALT")) {
    stop_mrl("data", "`file` is no VCF file: it has no line that begins with #CHROM, POS, ID, ",
      "REF, ALT.")
  }
  fields <- strsplit(lines[-1], "\t", fixed = TRUE)
  short <- which(lengths(fields) < 5L)
  if (length(short)) {
    stop_mrl("data", "Record ", short[1], " of `file` has fewer than five columns.")
  }
  column <- function(k) vapply(fields, `[`, "", k)
  place_variants(vcf_substitutions(column), windows)
}

check_windows <- function(windows) {
  need <- c("sequence", "chromosome", "start", "end")
  plain <- function(v) is.atomic(v) && is.null(dim(v))
  if (!is.null(windows) && (!is.data.frame(windows) || !nrow(windows) ||
    !all(need %in% names(windows)) || !all(vapply(windows[need], plain, NA)) ||
    !is.numeric(windows$start) || !is.numeric(windows$end) ||
    anyNA(windows[need]) || any(windows$end < windows$start))) {
    stop_argument("windows",
      "must be a data.frame with `sequence`, `chromosome`, `start` and `end`", describe(windows))
  }
  windows
}

# One row for each substitution of a letter.
vcf_substitutions <- function(column) {
  alts <- strsplit(column(5), ",", fixed = TRUE)
  position <- suppressWarnings(as.numeric(column(2)))
  if (anyNA(position)) {
    stop_mrl("data", "Record ", which(is.na(position))[1], " of `file` has no position.")
  }
  row <- rep(seq_along(alts), lengths(alts))
  out <- data.frame(
    chromosome = column(1)[row], position = position[row], ref = toupper(column(4)[row]),
    alt = toupper(as.character(unlist(alts))), id = column(3)[row]
  )
  is_letter <- function(x) grepl("^[ACGTUN]$", x)
  keep <- is_letter(out$ref) & grepl("^[ACGTU]$", out$alt)
  if (!all(keep)) {
    inform_mrl("variants", sum(!keep), " alternative(s) of `file` are no substitutions of one ",
      "letter and are left out.")
  }
  out[keep, ]
}

place_variants <- function(variants, windows) {
  if (is.null(windows)) {
    out <- data.frame(sequence = variants$chromosome, variants[-1])
  } else {
    hold <- function(i) {
      w <- windows[i, ]
      here <- variants$chromosome == as.character(w$chromosome)
      mine <- variants[here & variants$position >= w$start & variants$position <= w$end, ]
      data.frame(sequence = rep(as.character(w$sequence), nrow(mine)),
        position = mine$position - w$start + 1, mine[c("ref", "alt", "id")])
    }
    out <- do.call(rbind, lapply(seq_len(nrow(windows)), hold))
  }
  if (!nrow(out)) {
    stop_mrl("data", "`file` has no substitution of one letter within the sequences.")
  }
  rownames(out) <- NULL
  out
}
