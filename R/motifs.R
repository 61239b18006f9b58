# Motifs: position weight matrices.

#' Read a motif
#'
#' Reads a position weight matrix: the probability of each letter of DNA at each place of a motif.
#'
#' @param file A table with the columns A, C, G, T (in any order, upper case, separated by white
#'   space) and a row per place: probabilities, or counts, which are divided by their sum. A name
#'   without a path may be one of those that come with the package: `"GATA1"`, `"TAL1"` (TAL1 with
#'   TCF3), `"SOX2"` (JASPAR 2020: MA0035.4, MA0091.1, MA0143.4; licence CC BY 4.0).
#' @param drop Letters with a smaller share of a place count as never seen there: 0 keeps all. A
#'   matrix from a sequencing assay has some percent of every letter everywhere, so that no single
#'   change of a letter ends binding.
#' @return A numeric matrix with a row per place and the columns A, C, G, T; rows sum to 1.
#' @references Fornes, O. et al. (2020). JASPAR 2020. Nucleic Acids Res. 48:D87.
#' @examples
#' read_motif("GATA1")
#' read_motif("GATA1", drop = 0.05)
#' @export
read_motif <- function(file, drop = 0) {
  file <- check_string(file)
  drop <- check_number(drop, min = 0, max = 0.25)
  known <- system.file("extdata", "motifs", paste0(file, ".tsv"), package = "mrlearn")
  if (!file.exists(file) && !nzchar(known)) {
    stop_argument("file", "must be a file, or \"GATA1\", \"TAL1\" or \"SOX2\"", describe(file))
  }
  if (!file.exists(file)) {
    file <- known
  }
  table <- tryCatch(utils::read.table(file, header = TRUE, check.names = FALSE),
    error = function(e) NULL, warning = function(w) NULL)
  letters <- c("A", "C", "G", "T")
  if (is.null(table) || !all(letters %in% names(table))) {
    stop_argument("file", "must be a table with the columns A, C, G and T", describe(file),
      what = "data")
  }
  motif <- check_motif(as.matrix(table[letters]), "file")
  check_motif(ifelse(motif < drop, 0, motif), "file")
}

# A matrix of probabilities from one of probabilities or counts.
check_motif <- function(motif, arg) {
  ok <- is.matrix(motif) && is.numeric(motif) && ncol(motif) == 4L && nrow(motif) >= 1L &&
    all(is.finite(motif)) && all(motif >= 0) && all(rowSums(motif) > 0)
  if (!ok) {
    stop_argument(arg, paste("must have a row per place and four columns of numbers that are not",
      "negative"), describe(motif))
  }
  dimnames(motif) <- list(NULL, c("A", "C", "G", "T"))
  motif / rowSums(motif)
}

check_motifs <- function(motifs) {
  kinds <- c("exposure", "outcome", "confounder")
  if (is.null(motifs)) {
    motifs <- lapply(c(exposure = "GATA1", outcome = "TAL1", confounder = "SOX2"), read_motif,
      drop = 0.05)
  }
  if (!is.list(motifs) || !setequal(names(motifs), kinds) || length(motifs) != 3L) {
    stop_argument("motifs", "must be a list of exposure, outcome and confounder", describe(motifs))
  }
  Map(check_motif, motifs[kinds], paste0("motifs$", kinds))
}

# As the core takes them: no probability is zero, row by row.
motif_rows <- function(motifs) {
  unname(lapply(motifs, function(p) {
    p <- p + 1e-5
    as.double(t(p / rowSums(p)))
  }))
}
