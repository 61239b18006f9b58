# Regulatory sequences of two cooperating factors, with their true effects.

#' Simulate regulatory sequences with a known causal effect
#'
#' The design on which Deep MR was presented (Malina, Cizin and Knowles 2022): binding of one factor
#' (the exposure) causes binding of another (the outcome) wherever the other's motif is present, so
#' that each sequence has an effect of its own. Sequences are drawn from a background and get
#' instances of the motifs; with \eqn{q} the chance that a sequence is hit by the factor of exposure
#' (x), outcome (y) or confounder (c), counts are Poisson with means
#' \deqn{c_x = 1 + \alpha q_x + \eta q_c + \tau b, \quad c_y = 1 + \beta h q_x q_y + \nu q_c +
#' \tau b,}
#' \eqn{b} is 0 or 1 by chance and \eqn{h = 1 + s N(0, 1)} (not below 0) differs between
#' sequences by `heterogeneity` \eqn{s}. Labels are Anscombe's, \eqn{2 \sqrt{count + 3/8}}.
#'
#' @section Sequences:
#' Each gets, one after the other and where there is room, an instance of the confounder's motif
#' with probability .5, of the exposure's, of the outcome's, and of a pair of both (exposure
#' first, the gap uniform from the longer motif's length to what the sequence has room for), each
#' with probability .75. Letters of an instance are drawn from its matrix. A motif's chance to be
#' hit is \eqn{q = 1 - \prod_i (1 - s_i)} over windows, \eqn{s_i = 1 / (1 + e^{-score_i})} with the
#' log odds of matrix against background as the score.
#'
#' What labels say depends on the matrices' information. With JASPAR's as they are (GATA1: 10.1
#' bits) 95 % of the sequences have \eqn{q_x} above .98, no single letter matters, and of the
#' variance of exposure labels a third is signal (without confounding). Without the letters below
#' 5 % of a place, the default, the matrices have 12.6, 15.0 and 11.5 bits (exposure, outcome,
#' confounder; the publication's ENCODE matrices 12.7, 14.8, 13.0), and .94 is signal, as with
#' ENCODE's.
#'
#' Mutants are some of the sequences with one letter changed, measured by themselves (own `b`, own
#' counts).
#'
#' @section Truths:
#' Slopes of outcome on exposure over all changes of one letter within a sequence's instances of the
#' exposure's motif, through the origin, for sequences that have instances of both motifs:
#' `b0`, the published truth, on labels of expected counts without confounding; `b1`, on expected
#' labels \eqn{E 2 \sqrt{N + 3/8}} as they are, the hits of outcome and confounder held fixed (what
#' a network can learn; additive confounders do not cancel after Anscombe's transformation, so it is
#' not `b0`); `b_count`, on counts, \eqn{\beta h q_y / \alpha}, which confounding leaves alone.
#'
#' @section Differences from the published code:
#' There, frequencies of G and T of the background are exchanged (`published_background = TRUE` does
#' so here), a change of a letter may be lost, and true effects are matched to sequences by
#' their place in a table; here by `id`.
#'
#' @param n Number of sequences.
#' @param length Letters of a sequence.
#' @param alpha Counts of the exposure at a sure hit.
#' @param ratio `beta / alpha`; the published rounds draw it from a half of N(1, .5) and a half of
#'   N(10, .5), alpha from N(100, 3).
#' @param confounding `"sequence"`: a third factor raises both counts, by `eta` and `nu`;
#'   `"random"`: chance raises both in half of the measurements, by `tau`; `"both"`.
#' @param heterogeneity SD of the effect between sequences, as a share of the effect.
#' @param mutants Share of the sequences of which there is a mutant.
#' @param motifs A list of matrices named `exposure`, `outcome`, `confounder`, as
#'   [read_motif()] returns; by default GATA1, TAL1::TCF3 and SOX2 of JASPAR 2020 without the
#'   letters below 5 % of a place. The publication's (ENCODE's GATA_disc1, TAL1_known1, SOX2_1) can
#'   be given from files.
#' @param background Frequencies of A, C, G, T.
#' @param published_background Draw letters with the frequencies of G and T exchanged?
#' @param eta,nu,tau Sizes of confounding, see above.
#' @param seed One whole number, or NULL to draw one from R's generator.
#' @param n_threads Number of threads; the result does not depend on it.
#' @return A data.frame of class `mr_sim`, a row per measured sequence, mutants last: `id`,
#'   `sequence` (character), `parent` (`id` of the sequence that a mutant is of, else `NA`),
#'   `exposure`, `outcome` (counts), `exposure_label`, `outcome_label`. [truth()] of it has
#'   * `effects`: data.frame `id, b0, b1, b_count`; `NA` where a motif has no instance, `b0` and
#'     `b1` also where no change moves the exposure (its label by less than .01 in all, as in
#'     sequences with so many instances that one letter does not matter);
#'   * `hits` (columns `exposure`, `outcome`, `confounder`), `expected` (columns `exposure`,
#'     `outcome`: \eqn{c_x, c_y}), `b`, `factor` (\eqn{h});
#'   * `places`: integer matrix, first letter of each instance (`confounder`, `exposure`, `outcome`,
#'     `pair_exposure`, `pair_outcome`), `NA` where it has none;
#'   * `oracle(sequences, confounded = TRUE, factor = 1)`: data.frame of expected counts `exposure`,
#'     `outcome` of any sequences of equal length, without noise (`b` at its mean, 1/2);
#'   * `beta`: `b1`; `curve(x)`: mean expected count of the outcome had all sequences the expected
#'     count `x` of the exposure; `motifs`, `n`, `n_drawn` (without mutants), `seed` and the
#'     arguments.
#' @references Malina, S., Cizin, D., Knowles, D. A. (2022). Deep mendelian randomization. PLoS
#'   Comput. Biol. 18:e1009880. Fornes, O. et al. (2020). JASPAR 2020. Nucleic Acids Res. 48:D87.
#' @examples
#' sim <- sim_sequences(n = 200, ratio = 1, seed = 1)
#' sim
#' head(truth(sim)$effects)
#' truth(sim)$oracle(sim$sequence[1:2])
#' @export
sim_sequences <- function(n = 1e4, length = 100, alpha = 100, ratio = 1,
                          confounding = c("none", "sequence", "random", "both"),
                          heterogeneity = 0, mutants = 0.25, motifs = NULL,
                          background = c(A = 0.27, C = 0.23, G = 0.23, T = 0.27),
                          published_background = FALSE, eta = 20, nu = 30, tau = 25, seed = NULL,
                          n_threads = mrl_threads()) {
  confounding <- check_choice(confounding, c("none", "sequence", "random", "both"))
  background <- check_background(background)
  motifs <- check_motifs(motifs)
  n <- check_count(n, max = 1e9)
  by_sequence <- confounding %in% c("sequence", "both")
  by_chance <- confounding %in% c("random", "both")
  alpha <- check_number(alpha, min = 0, max = 1e9, open = TRUE)
  tau <- check_number(tau, min = 0, max = 1e9) * by_chance
  settings <- list(
    n = n,
    n_mutants = as.integer(round(n * check_number(mutants, min = 0, max = 1))),
    length = check_sequence_length(length, motifs), keep_confounder = 0.5, keep = 0.75, mu = 0,
    alpha = alpha, beta = alpha * check_number(ratio, min = 0, max = 1e6),
    eta = check_number(eta, min = 0, max = 1e9) * by_sequence,
    nu = check_number(nu, min = 0, max = 1e9) * by_sequence, tau_x = tau, tau_y = tau,
    heterogeneity = check_number(heterogeneity, min = 0, max = 100),
    background = background,
    drawn = if (check_flag(published_background)) background[c(1, 2, 4, 3)] else background,
    seed = resolve_seed(seed), n_threads = check_threads(n_threads)
  )
  out <- .Call(C_sim_sequence, motif_rows(motifs), settings)
  check_status(out$status, "simulating sequences")
  about <- c(
    paste0("Simulated by sim_sequences(): ", big(n), " sequences of ", settings$length,
      " letters and ", big(settings$n_mutants), " mutants, seed ",
      format(settings$seed, digits = 16)),
    paste0("Outcome per exposure at a sure hit: ", format(ratio, digits = 4), "; confounding: ",
      confounding)
  )
  new_mr_sim(sequence_columns(out$value), sequence_truth(out$value, settings, motifs, confounding),
    about)
}

sequence_columns <- function(parts) {
  list(
    id = seq_along(parts$sequence), sequence = parts$sequence,
    parent = ifelse(parts$parent < 0L, NA_integer_, parts$parent + 1L),
    exposure = parts$count_x, outcome = parts$count_y,
    exposure_label = anscombe(parts$count_x), outcome_label = anscombe(parts$count_y)
  )
}

anscombe <- function(count) {
  2 * sqrt(count + 3 / 8)
}

sequence_truth <- function(parts, settings, motifs, confounding) {
  m <- length(parts$sequence)
  kinds <- c("exposure", "outcome", "confounder")
  effect <- parts$effect
  effect[is.nan(effect)] <- NA
  hits <- structure(parts$hit, dimnames = list(NULL, kinds))
  places <- matrix(ifelse(parts$place < 0L, NA_integer_, parts$place + 1L), m,
    dimnames = list(NULL, c("confounder", "exposure", "outcome", "pair_exposure", "pair_outcome")))
  drawn <- seq_len(settings$n)
  slope <- mean(settings$beta * parts$factor[drawn] * hits[drawn, "outcome"]) / settings$alpha
  rest <- 1 + settings$nu * mean(hits[drawn, "confounder"]) + settings$tau_y / 2
  list(
    effects = data.frame(id = seq_len(m), b0 = effect[, 1], b1 = effect[, 2],
      b_count = effect[, 3]),
    hits = hits, expected = cbind(exposure = parts$expected_x, outcome = parts$expected_y),
    b = parts$b, factor = parts$factor, places = places,
    oracle = sequence_oracle(settings, motifs), beta = effect[, 2],
    curve = function(x) rest + slope * (x - 1), motifs = motifs, confounding = confounding, n = m,
    n_drawn = settings$n, length = settings$length, alpha = settings$alpha,
    ratio = settings$beta / settings$alpha, heterogeneity = settings$heterogeneity,
    eta = settings$eta, nu = settings$nu, tau = settings$tau_x, background = settings$background,
    seed = settings$seed
  )
}

# Expected counts of any sequences.
sequence_oracle <- function(settings, motifs) {
  force(settings)
  rows <- motif_rows(motifs)
  function(sequences, confounded = TRUE, factor = 1) {
    sequences <- check_dna(sequences)
    confounded <- check_flag(confounded)
    factor <- check_doubles(factor)
    if (!length(factor) %in% c(1L, length(sequences))) {
      stop_argument("factor", "must be one number or one per sequence", describe(factor))
    }
    out <- .Call(C_sim_sequence_hits, sequences, rows, settings)
    check_status(out$status, "scanning sequences")
    q <- out$value
    data.frame(
      exposure = 1 + settings$alpha * q[, 1] +
        confounded * (settings$eta * q[, 3] + settings$tau_x / 2),
      outcome = 1 + settings$beta * factor * q[, 1] * q[, 2] +
        confounded * (settings$nu * q[, 3] + settings$tau_y / 2)
    )
  }
}

# Sequences of equal length, of letters that DNA has.
check_dna <- function(sequences, arg = "sequences") {
  if (!is.character(sequences) || !length(sequences) || anyNA(sequences) ||
    !all(validEnc(sequences))) {
    stop_argument(arg, "must be character without missing values", describe(sequences))
  }
  size <- nchar(sequences)
  if (any(size != size[1]) || size[1] < 1L) {
    stop_argument(arg, "must be sequences of equal length, at least 1",
      paste("lengths from", min(size), "to", max(size)))
  }
  bad <- grep("^[ACGTUNacgtun]+$", sequences, invert = TRUE)
  if (length(bad)) {
    stop_argument(arg, "must have the letters A, C, G, T (or U) and N alone",
      paste("others in sequence", bad[1]))
  }
  sequences
}

check_background <- function(background) {
  background <- check_doubles(background, n = 4L)
  if (any(background <= 0) || abs(sum(background) - 1) > 1e-6) {
    stop_argument("background", "must be four positive frequencies that sum to 1",
      describe(background))
  }
  as.double(background) / sum(background)
}

check_sequence_length <- function(length, motifs) {
  least <- sum(vapply(motifs, nrow, 1L))
  length <- check_count(length, max = 1e6)
  if (length < least) {
    stop_argument("length", paste("must have room for all motifs,", least, "letters"), length)
  }
  length
}
