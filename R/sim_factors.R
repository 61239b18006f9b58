# Sequences with sites of several factors that recruit each other, with the true effects.

factor_letters <- 14L # of a site

#' Simulate sequences bound by several factors with known effects on each other
#'
#' Factors bind where their sites are, and a bound factor recruits others, most of all to sites of
#' theirs nearby. Meant for [deep_mr_network()]: every effect of one output on another is known,
#' decoys have none. What it assumes is what Deep MR needs: a change of a letter in one factor's
#' site moves other outputs through that factor alone.
#'
#' Each factor has a consensus of 14 letters, made up. With \eqn{m} the letters of the consensus
#' that a window lacks, a site is a window with \eqn{m \le 3} (by chance there is one in a thousand
#' sequences). The factor's own binding is \eqn{s = \prod f_i} over the letters that its best
#' window lacks (0 without a site), \eqn{f_i} from .5 for the outer letters to .05 for the inner
#' ones: one wrong letter weakens or ends binding, and still leaves a site to be recruited to. The
#' signal of output k is
#' \deqn{\eta_k = s_k + \sum_j B_{jk} w(d_{jk}) s_j, \quad w(d) = e^{-d / decay} / c}
#' with \eqn{d} the letters between the starts of both sites and \eqn{c} such that two sites at
#' random places have a mean \eqn{w} of 1; where k has no site, \eqn{w = 1}. An output that is no
#' factor (accessibility) has \eqn{s_k = 0} and \eqn{w = 1}.
#'
#' @param n Number of sequences, without mutants.
#' @param length Letters of a sequence.
#' @param effects Matrix B: a row for each factor, a column for each output that is acted on, with
#'   names. `NULL`: the twelve effects published for BPNet's Oct4, Sox2, Nanog and Klf4.
#' @param decoys Number of further factors (`decoy1`, ...), which nothing acts on and which act on
#'   nothing.
#' @param decay Letters over which effects fall by the factor e; `Inf`: they do not.
#' @param labels `"normal"`: signal and a normal error; `"binary"`: 1 with the probability whose log
#'   odds are `base + gain` times the signal.
#' @param noise SD of the error.
#' @param base,gain Of binary labels.
#' @param keep Chance that a factor has a site in a sequence.
#' @param mismatch Chance of each letter of a site to be drawn anew.
#' @param mutants Share of the sequences of which there is a mutant, with one letter changed.
#' @param seed One whole number, or NULL to draw one from R's generator.
#' @return A data.frame of class `mr_sim`: `id`, `sequence`, `parent` (`id` of the sequence that a
#'   mutant is of, else `NA`) and the matrix `label` with a column for each output; mutants last.
#'   [truth()] of it has
#'   * `effects`: data.frame `id, exposure, outcome, distance, effect`, a row for each sequence (no
#'     mutants) with sites of both, or of the exposure where the outcome is no factor: slope of the
#'     outcome's signal on the exposure's over changes of one letter in the exposure's site (which
#'     lacks at most 2: one letter less leaves a site);
#'   * `network`: data.frame `exposure, outcome, nominal` (B, or 0), `effect` (mean over sequences),
#'     a row for each factor and other output; `beta`: the matrix B with decoys;
#'   * `sites`: data.frame `sequence` (id), `output`, `start`, `end`, as [motif_sites()] has them;
#'   * `motifs`: matrices of the consensuses; `oracle(sequences)`: matrix of signals;
#'   * `signal`, `outputs`, `n`, `seed` and the arguments.
#' @references Malina, S., Cizin, D., Knowles, D. A. (2022). Deep mendelian randomization. PLoS
#'   Comput. Biol. 18:e1009880 (figure 5: the twelve effects).
#' @examples
#' sim <- sim_factors(n = 100, length = 150, seed = 1)
#' head(truth(sim)$effects)
#' truth(sim)$oracle(sim$sequence[1:2])
#' @export
sim_factors <- function(n = 8000, length = 200, effects = NULL, decoys = 2, decay = 80,
                        labels = c("normal", "binary"), noise = 0.3, base = -3, gain = 5,
                        keep = 0.6, mismatch = 0.02, mutants = 0.25, seed = NULL) {
  n <- check_count(n, max = 1e7)
  beta <- factor_design(effects, check_count(decoys, min = 0, max = 100))
  least <- factor_letters * nrow(beta)
  length <- check_count(length, max = 1e5)
  if (length < least) {
    stop_argument("length", paste("must have room for all sites,", least, "letters"), length)
  }
  labels <- check_choice(labels, c("normal", "binary"))
  decay <- check_positive(decay)
  noise <- check_number(noise, min = 0)
  base <- check_number(base)
  gain <- check_number(gain)
  keep <- check_number(keep, min = 0, max = 1)
  mismatch <- check_number(mismatch, min = 0, max = 1)
  n_mutants <- round(n * check_number(mutants, min = 0, max = 1))
  seed <- resolve_seed(seed)
  consensus <- factor_consensus(nrow(beta))
  drawn <- draw_factor_codes(n, length, consensus, keep, mismatch, seed)
  parent <- c(rep(NA_integer_, n), if (n_mutants) {
    rng_draw("permutation", n, seed, 4)[seq_len(n_mutants)] + 1L
  })
  codes <- rbind(drawn, mutate_factor_codes(drawn, parent[-seq_len(n)], seed))
  found <- find_factor_sites(codes, consensus)
  reach <- factor_decay(length, decay)
  signal <- factor_signal(found, beta, reach)
  about <- paste0("Simulated by sim_factors(): ", big(n), " sequences of ", length, " letters and ",
    big(n_mutants), " mutants, ", nrow(beta), " factors, ", ncol(beta), " outputs, seed ",
    format(seed, digits = 16))
  columns <- list(
    id = seq_len(nrow(codes)), sequence = code_text(t(codes), check_alphabet("DNA")),
    parent = parent, label = factor_labels(signal, labels, noise, base, gain, seed)
  )
  new_mr_sim(columns, c(factor_truth(found, beta, reach, n), list(
    oracle = factor_oracle(beta, reach, consensus), signal = signal, outputs = colnames(beta),
    motifs = factor_motifs(consensus, rownames(beta)), n = nrow(codes), n_drawn = n,
    length = length, decay = decay, labels = labels, noise = noise, base = base, gain = gain,
    keep = keep, mismatch = mismatch, seed = seed
  )), about)
}

check_positive <- function(x, arg = deparse1(substitute(x))) {
  if (!is.numeric(x) || base::length(x) != 1L || is.na(x) || x <= 0) {
    stop_argument(arg, "must be a positive number or Inf", describe(x))
  }
  x
}

# B with a row for each factor and a column for each output: factors first, decoys among them.
factor_design <- function(effects, decoys) {
  if (is.null(effects)) {
    names <- c("Oct4", "Sox2", "Nanog", "Klf4")
    effects <- matrix(c(
      0, 0.63, 0.54, 0.28,
      1.281, 0, 1.27, 0.58,
      0.75, 0.67, 0, 0.33,
      0.25, 0.26, 0.30, 0
    ), 4, byrow = TRUE, dimnames = list(names, names))
  }
  bad <- !is.matrix(effects) || !is.numeric(effects) || !base::length(effects) ||
    !all(is.finite(effects)) || is.null(rownames(effects)) || is.null(colnames(effects)) ||
    anyDuplicated(rownames(effects)) || anyDuplicated(colnames(effects))
  if (bad) {
    stop_argument("effects", "must be a matrix of numbers whose rows and columns have names",
      describe(effects))
  }
  factors <- c(rownames(effects), sprintf("decoy%d", seq_len(decoys)))
  outputs <- union(factors, colnames(effects))
  beta <- matrix(0, base::length(factors), base::length(outputs),
    dimnames = list(factors, outputs))
  beta[rownames(effects), colnames(effects)] <- effects
  if (any(beta[cbind(factors, factors)] != 0)) {
    stop_argument("effects", "must be 0 for a factor on itself", "another number")
  }
  beta
}

# Codes (factors, letters) of the consensuses: always the same.
factor_consensus <- function(n) {
  letters <- rng_draw("below", factor_letters * n, 14, 0, 4)
  matrix(as.integer(letters), n, byrow = TRUE)
}

# What is left of binding where a letter is wrong, from the ends to the middle.
factor_losses <- function() {
  half <- exp(seq(log(0.5), log(0.05), length.out = factor_letters / 2))
  c(half, rev(half))
}

# Codes 0 .. 3 (n, length): letters with equal frequencies, sites that do not overlap in random
# order.
draw_factor_codes <- function(n, length, consensus, keep, mismatch, seed) {
  k <- nrow(consensus)
  codes <- matrix(as.integer(rng_draw("below", n * length, seed, 0, 4)), n)
  has <- matrix(rng_draw("uniform", n * k, seed, 1) < keep, n)
  order_by <- matrix(rng_draw("uniform", n * k, seed, 2), n)
  place <- matrix(rng_draw("uniform", n * k, seed, 3), n)
  wrong <- array(rng_draw("uniform", n * k * factor_letters, seed, 5) < mismatch,
    c(n, k, factor_letters))
  for (i in seq_len(n)) {
    sites <- which(has[i, ])
    m <- base::length(sites)
    sites <- sites[order(order_by[i, sites])]
    free <- length - factor_letters * m
    start <- floor(sort(place[i, seq_len(m)]) * (free + 1)) + factor_letters * (seq_len(m) - 1)
    for (j in seq_len(m)) {
      letters <- which(!wrong[i, sites[j], ])
      codes[i, start[j] + letters] <- consensus[sites[j], letters]
    }
  }
  codes
}

mutate_factor_codes <- function(codes, parent, seed) {
  m <- base::length(parent)
  out <- codes[parent, , drop = FALSE]
  if (m) {
    at <- cbind(seq_len(m), rng_draw("below", m, seed, 6, ncol(codes)) + 1)
    out[at] <- (out[at] + 1L + as.integer(rng_draw("below", m, seed, 7, 3))) %% 4L
  }
  out
}

# Of each factor (columns): start of its best window (NA without a site), its binding, and how many
# letters it lacks.
find_factor_sites <- function(codes, consensus) {
  windows <- ncol(codes) - factor_letters + 1L
  losses <- log(factor_losses())
  each <- lapply(seq_len(nrow(consensus)), function(k) {
    missing <- matrix(0L, nrow(codes), windows)
    for (i in seq_len(factor_letters)) {
      missing <- missing + (codes[, i - 1L + seq_len(windows), drop = FALSE] != consensus[k, i])
    }
    best <- max.col(-missing, "first")
    rows <- seq_len(nrow(codes))
    start <- ifelse(missing[cbind(rows, best)] <= 3L, best, NA)
    lacks <- vapply(seq_len(factor_letters), function(i) {
      losses[i] * (codes[cbind(rows, best + i - 1L)] != consensus[k, i])
    }, numeric(nrow(codes)))
    lacks <- rowSums(matrix(lacks, nrow(codes)))
    list(start = start, binding = ifelse(is.na(start), 0, exp(lacks)),
      missing = missing[cbind(rows, best)])
  })
  parts <- c(start = "start", binding = "binding", missing = "missing")
  lapply(parts, function(part) do.call(cbind, lapply(each, `[[`, part)))
}

# w of distances: 1 on average over two sites at random places that do not overlap.
factor_decay <- function(length, decay) {
  d <- seq(factor_letters, length - factor_letters)
  level <- stats::weighted.mean(exp(-d / decay), length - factor_letters + 1 - d)
  function(d) exp(-d / decay) / level
}

# w of all sequences for one pair; 1 where there are no two sites.
factor_reach <- function(found, j, k, reach) {
  if (k > ncol(found$start)) {
    return(rep(1, nrow(found$start)))
  }
  distance <- abs(found$start[, j] - found$start[, k])
  ifelse(is.na(distance), 1, reach(distance))
}

factor_signal <- function(found, beta, reach) {
  out <- matrix(0, nrow(found$start), ncol(beta), dimnames = list(NULL, colnames(beta)))
  out[, seq_len(nrow(beta))] <- found$binding
  for (at in which(beta != 0)) {
    j <- row(beta)[at]
    k <- col(beta)[at]
    out[, k] <- out[, k] + beta[at] * factor_reach(found, j, k, reach) * found$binding[, j]
  }
  out
}

factor_labels <- function(signal, labels, noise, base, gain, seed) {
  value <- if (labels == "normal") {
    signal + noise * rng_draw("normal", base::length(signal), seed, 8)
  } else {
    draw <- rng_draw("uniform", base::length(signal), seed, 8)
    as.double(draw < stats::plogis(base + gain * signal))
  }
  structure(value, dim = dim(signal), dimnames = dimnames(signal))
}

factor_oracle <- function(beta, reach, consensus) {
  force(beta)
  force(reach)
  force(consensus)
  function(sequences) {
    sequences <- toupper(check_dna(sequences))
    codes <- matrix(match(unlist(strsplit(sequences, "")), c("A", "C", "G", "T")) - 1L,
      base::length(sequences), byrow = TRUE)
    codes[is.na(codes)] <- 4L
    factor_signal(find_factor_sites(codes, consensus), beta, reach)
  }
}

factor_motifs <- function(consensus, names) {
  out <- lapply(seq_len(nrow(consensus)), function(k) {
    p <- matrix(0.02, factor_letters, 4, dimnames = list(NULL, c("A", "C", "G", "T")))
    p[cbind(seq_len(factor_letters), consensus[k, ] + 1L)] <- 0.94
    p
  })
  stats::setNames(out, names)
}

factor_truth <- function(found, beta, reach, n) {
  first <- lapply(found, function(x) x[seq_len(n), , drop = FALSE])
  factors <- rownames(beta)
  pairs <- expand.grid(outcome = colnames(beta), exposure = factors, stringsAsFactors = FALSE)
  pairs <- pairs[pairs$exposure != pairs$outcome, ]
  each <- Map(function(exposure, outcome) {
    j <- match(exposure, factors)
    k <- match(outcome, colnames(beta))
    is_factor <- k <= base::length(factors)
    start_k <- if (is_factor) first$start[, k] else rep(NA_integer_, n)
    both <- which(first$missing[, j] <= 2L & (!is_factor | !is.na(start_k)))
    data.frame(id = both, exposure = rep(exposure, base::length(both)),
      outcome = rep(outcome, base::length(both)),
      distance = abs(first$start[both, j] - start_k[both]),
      effect = beta[j, k] * factor_reach(first, j, k, reach)[both])
  }, pairs$exposure, pairs$outcome)
  place <- which(!is.na(found$start), arr.ind = TRUE)
  start <- found$start[place]
  list(
    effects = do.call(rbind, unname(each)),
    network = data.frame(exposure = pairs$exposure, outcome = pairs$outcome,
      nominal = beta[cbind(pairs$exposure, pairs$outcome)],
      effect = vapply(each, function(d) mean(d$effect), 0), row.names = NULL),
    beta = beta,
    sites = data.frame(sequence = place[, 1], output = factors[place[, 2]], start = start,
      end = start + factor_letters - 1L)
  )
}
