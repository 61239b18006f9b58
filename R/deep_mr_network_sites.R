# Where motifs are, and how far from each other.

#' Sites of motifs in sequences
#'
#' Windows whose log odds of motif against background are a large share of the best that the motif
#' can have. It assumes that a site is what the matrix says: weaker sites are missed, and matches by
#' chance are found (at `threshold` .7 and ten bits, one in some thousand windows).
#'
#' @param sequences Sequences of equal length, as in [deep_mr()].
#' @param motifs A list of matrices as [read_motif()] returns them, named by the outputs that they
#'   are of.
#' @param threshold Share of the motif's best score that a site needs.
#' @param both_strands Look at the other strand, too?
#' @param background Frequencies of A, C, G, T.
#' @return A data.frame `sequence` (name), `output`, `start`, `end` (from 1), `strand`, `score` (in
#'   bits), ordered by sequence and start. Windows of one motif that overlap count as one site,
#'   that with the best score. Raises `mrlearn_error_argument` and `mrlearn_error_data`.
#' @examples
#' motif_sites(c(a = "TTTTCTTATCTTTT", b = "TTAGATAAGATTTT"), list(GATA = read_motif("GATA1")))
#' @export
motif_sites <- function(sequences, motifs, threshold = 0.7, both_strands = TRUE,
                        background = c(A = 0.25, C = 0.25, G = 0.25, T = 0.25)) {
  sequences <- plain_sequences(sequences)
  if (is.array(sequences)) {
    stop_argument("sequences", "must be character", "an array")
  }
  ids <- seq_ids(names(sequences), length(sequences))
  check_different_ids(sequences)
  text <- toupper(check_dna(sequences))
  threshold <- check_number(threshold, min = 0, max = 1)
  both_strands <- check_flag(both_strands)
  background <- check_background(background)
  if (!is.list(motifs) || !length(motifs) || is.null(names(motifs)) ||
    anyDuplicated(names(motifs)) || !all(nzchar(names(motifs)))) {
    stop_argument("motifs", "must be a list of matrices with different names", describe(motifs))
  }
  codes <- matrix(match(unlist(strsplit(chartr("U", "T", text), "")), c("A", "C", "G", "T"), 5L),
    length(text), byrow = TRUE)
  each <- lapply(names(motifs), function(name) {
    motif <- check_motif(motifs[[name]], paste0("motifs$", name))
    p <- (motif + 1e-5) / rowSums(motif + 1e-5)
    odds <- log2(sweep(p, 2, background, "/"))
    turned <- odds[rev(seq_len(nrow(odds))), 4:1, drop = FALSE]
    found <- rbind(window_hits(codes, odds, threshold, "+"),
      if (both_strands) window_hits(codes, turned, threshold, "-"))
    if (NROW(found)) cbind(output = name, best_of_overlaps(found))
  })
  out <- do.call(rbind, each)
  if (is.null(out)) {
    return(data.frame(sequence = character(), output = character(), start = integer(),
      end = integer(), strand = character(), score = double()))
  }
  out <- out[order(out$row, out$start), ]
  data.frame(sequence = ids[out$row], output = out$output, start = out$start, end = out$end,
    strand = out$strand, score = out$score, row.names = NULL)
}

# Windows of codes (n, length), 5 for an unknown letter, that score enough.
window_hits <- function(codes, odds, threshold, strand) {
  width <- nrow(odds)
  windows <- ncol(codes) - width + 1L
  if (windows < 1L) {
    return(NULL)
  }
  odds <- cbind(odds, 0)
  score <- matrix(0, nrow(codes), windows)
  for (i in seq_len(width)) {
    score <- score + odds[i, codes[, i - 1L + seq_len(windows), drop = FALSE]]
  }
  least <- threshold * sum(apply(odds, 1, max))
  at <- which(score >= least, arr.ind = TRUE)
  data.frame(row = at[, 1], start = at[, 2], end = at[, 2] + width - 1L,
    strand = rep(strand, nrow(at)), score = score[at])
}

# Of windows that overlap, the best; the best of all first.
best_of_overlaps <- function(found) {
  found <- found[order(found$row, -found$score), ]
  keep <- logical(nrow(found))
  for (mine in split(seq_len(nrow(found)), found$row)) {
    for (i in mine) {
      taken <- mine[keep[mine]]
      keep[i] <- !any(found$start[taken] <= found$end[i] & found$end[taken] >= found$start[i])
    }
  }
  found[keep, ]
}

check_sites <- function(sites, effects) {
  if (is.null(sites)) {
    return(NULL)
  }
  if (!is.data.frame(sites)) {
    stop_argument("sites", "must be a data.frame, as motif_sites() returns it", describe(sites))
  }
  check_mr_columns(sites, c("sequence", "output", "start", "end"), "sites")
  if (is.null(effects[["position"]])) {
    stop_argument("sites", "need effects with the column `position`", "effects without",
      what = "data")
  }
  start <- check_doubles(sites$start, "sites$start")
  end <- check_doubles(sites$end, "sites$end")
  stop_rows("sites$end", "must not be before the start", end, end < start)
  data.frame(sequence = as.character(sites$sequence), output = as.character(sites$output),
    start = start, end = end)
}

edges_with_sites <- function(edges, sites) {
  kept <- edges[edges$exposure %in% sites$output, , drop = FALSE]
  if (!nrow(kept)) {
    stop_argument("sites", "must have those of an exposure", shorten(unique(sites$output)),
      what = "data")
  }
  kept
}

# Is each row of `effects` a mutation within a site of the exposure, in a sequence that has one of
# the outcome, too, if the outcome is among those with sites?
in_sites <- function(effects, sites, edge) {
  mine <- sites[sites$output == edge$exposure, ]
  if (edge$outcome %in% sites$output) {
    mine <- mine[mine$sequence %in% sites$sequence[sites$output == edge$outcome], ]
  }
  ids <- unique(mine$sequence)
  of <- match(as.character(effects$sequence), ids)
  out <- logical(nrow(effects))
  # As many rounds as the sequence with the most sites has.
  nth <- stats::ave(seq_along(mine$sequence), mine$sequence, FUN = seq_along)
  for (i in unique(nth)) {
    one <- mine[nth == i, ]
    at <- match(ids, one$sequence)[of]
    out <- out | (!is.na(at) & effects$position >= one$start[at] & effects$position <= one$end[at])
  }
  out
}

check_distances <- function(distances) {
  if (is.null(distances)) {
    return(NULL)
  }
  if (!is.data.frame(distances)) {
    stop_argument("distances", "must be a data.frame", describe(distances))
  }
  check_mr_columns(distances, c("sequence", "exposure", "outcome", "distance"), "distances")
  distances$distance <- check_doubles(distances$distance, "distances$distance", finite = FALSE)
  distances
}

check_breaks <- function(breaks) {
  if (!is.numeric(breaks) || length(breaks) < 2L || anyNA(breaks) ||
    is.unsorted(breaks, strictly = TRUE)) {
    stop_argument("breaks", "must be at least two increasing numbers", describe(breaks))
  }
  breaks
}

# The distance of each sequence (NA where there is none).
edge_distances <- function(ids, edge, sites, distances) {
  if (!is.null(distances)) {
    d <- distances[distances$exposure == edge$exposure & distances$outcome == edge$outcome, ]
    return(d$distance[match(ids, as.character(d$sequence))])
  }
  centre <- function(output) {
    d <- sites[sites$output == output & sites$sequence %in% ids, ]
    split((d$start + d$end) / 2, factor(d$sequence, ids))
  }
  if (is.null(sites) || !edge$outcome %in% sites$output) {
    return(rep(NA_real_, length(ids)))
  }
  least <- function(a, b) {
    if (length(a) && length(b)) min(abs(outer(a, b, `-`))) else NA_real_
  }
  unname(unlist(Map(least, centre(edge$exposure), centre(edge$outcome))))
}
