# What the studies of Deep MR share: networks, measured pairs, how local and mean effects compare
# with the truth. Sourced after bench/contextual_tools.R.

output_pair <- c("exposure", "outcome")

labels_of <- function(sim, count = FALSE) {
  columns <- if (count) output_pair else paste0(output_pair, "_label")
  structure(as.matrix(as.data.frame(sim)[columns]), dimnames = list(NULL, output_pair))
}

# Filters over all positions, the best match of each, and a small network on these. Settings were
# found on data of seeds 1 and 2.
motif_network <- function() {
  relu <- function() seq_layer("activation", activation = "relu")
  seq_model(list(
    seq_layer("conv", units = 64, taps = 13), relu(), seq_layer("global_max"),
    seq_layer("dropout", rate = 0.1), seq_layer("dense", units = 32), relu(),
    seq_layer("dense", units = 2)
  ), 100, output_names = output_pair)
}

# "motif": the network above, members on bootstrap samples; "count": the same on counts by a
# Poisson quasi-likelihood; "published": the network of the paper, members that differ by the seed.
train_ensemble <- function(network, sim, seed, members = 5, epochs = NULL) {
  count <- network == "count"
  is_published <- network == "published"
  model <- if (is_published) {
    seq_preset("simulation", output_names = output_pair)
  } else {
    motif_network()
  }
  control <- seq_control(
    epochs = if (is.null(epochs)) if (is_published) 12 else 20 else epochs, batch_size = 64,
    learning_rate = if (is_published) 3e-3 else 1e-2,
    schedule = if (is_published) "constant" else "cosine"
  )
  seq_ensemble(model, sim$sequence, labels_of(sim, count), n = members, seed = 1000 * seed,
    bootstrap = !is_published, unit = ifelse(is.na(sim$parent), sim$id, sim$parent),
    loss = if (count) "poisson" else "squared", control = control)
}

named_sequences <- function(sim, prefix) {
  stats::setNames(sim$sequence, paste0(prefix, sim$id))
}

# Are both factors sure to bind, as their motifs tell?
both_hit <- function(sim) {
  hits <- truth(sim)$hits
  hits[, "exposure"] > 0.5 & hits[, "outcome"] > 0.5
}

# Means of `times` new measurements of any sequences, as the simulator makes them.
measure <- function(sim, sequences, times, count) {
  mean <- as.matrix(truth(sim)$oracle(sequences))
  one <- function() {
    b <- (stats::rbinom(nrow(mean), 1, 0.5) - 0.5) * truth(sim)$tau
    value <- matrix(stats::rpois(length(mean), mean + b), nrow(mean))
    if (count) value else 2 * sqrt(value + 3 / 8)
  }
  total <- Reduce(`+`, replicate(times, one(), simplify = FALSE))
  structure(total / times, dimnames = list(NULL, output_pair))
}

# One letter changed at random within an instance of the exposure's motif (NA: there is none).
change_motif <- function(sim, rows) {
  place <- truth(sim)$places[rows, c("exposure", "pair_exposure")]
  pick <- ifelse(is.na(place[, 1]), 2, ifelse(is.na(place[, 2]), 1, 1 + stats::rbinom(
    length(rows), 1, 0.5)))
  width <- nrow(truth(sim)$motifs$exposure)
  at <- place[cbind(seq_along(rows), pick)] + sample.int(width, length(rows), TRUE) - 1
  out <- sim$sequence[rows]
  others <- vapply(substr(out, at, at), function(letter) {
    sample(setdiff(c("A", "C", "G", "T"), letter), 1)
  }, "")
  substr(out, at, at) <- others
  ifelse(is.na(at), NA, out)
}

# Measured pairs of held-out sequences: half of them have a mutant anywhere, as the simulator makes
# them, which tell the noise; the others one with a letter of the exposure's motif changed. To
# calibrate on are those of sequences with both motifs.
held_pairs <- function(ensemble, held, count) {
  drawn <- which(is.na(held$parent))
  rest <- setdiff(drawn, held$parent)
  mutant <- change_motif(held, rest)
  rest <- rest[!is.na(mutant)]
  mutant <- mutant[!is.na(mutant)]
  labels <- rbind(labels_of(held, count), measure(held, mutant, 1, count))
  sequences <- c(named_sequences(held, "h"), stats::setNames(mutant, paste0("m", held$id[rest])))
  parent <- c(ifelse(is.na(held$parent), NA, paste0("h", held$parent)), paste0("h", held$id[rest]))
  keep <- c(rep(FALSE, nrow(held)), both_hit(held)[rest])
  deep_mr_pairs(ensemble, sequences, labels, parent, keep = keep,
    type = if (count) "response" else "link")
}

# Designed measurements: of each of `n` sequences six random instruments once and the sequence four
# times; and the pairs, for the noise of a measurement.
designed_pairs <- function(ensemble, held, effects, pairs, n, count) {
  x <- effects[effects$output == "exposure", ]
  x <- x[abs(x$effect - mean(x$effect)) >= stats::sd(x$effect), ]
  x <- x[x$sequence %in% paste0("h", held$id[both_hit(held)]), ]
  chosen <- utils::head(names(which(table(x$sequence) >= 6)), n)
  six <- do.call(rbind, lapply(chosen, function(id) {
    mine <- x[x$sequence == id, ]
    mine[sample.int(nrow(mine), 6), ]
  }))
  reference <- named_sequences(held, "h")[chosen]
  mutant <- reference[six$sequence]
  substr(mutant, six$position, six$position) <- six$alt
  names(mutant) <- paste(six$sequence, six$position, six$alt, sep = "_")
  labels <- rbind(measure(held, reference, 4, count), measure(held, unname(mutant), 1, count))
  out <- deep_mr_pairs(ensemble, c(reference, mutant), labels,
    c(rep(NA, length(reference)), six$sequence),
    n_measured = rep(c(4, 1), c(length(reference), length(mutant))),
    type = if (count) "response" else "link")
  pairs$keep <- FALSE
  rbind(out, pairs)
}

# Mean score of Gneiting and Raftery (2007, eq. 43).
interval_score <- function(low, high, y, alpha = 0.05) {
  mean(high - low + 2 / alpha * (pmax(low - y, 0) + pmax(y - high, 0)))
}

# Coverage, median width and score of a method's local intervals.
judge_local <- function(local, beta, name) {
  y <- beta[match(local$sequence, names(beta))]
  ok <- !is.na(y) & is.finite(local$conf.low) & is.finite(local$conf.high)
  d <- local[ok, ]
  y <- y[ok]
  out <- c(n = length(y), cover = mean(d$conf.low <= y & d$conf.high >= y),
    width = stats::median(d$conf.high - d$conf.low),
    score = interval_score(d$conf.low, d$conf.high, y))
  stats::setNames(out, paste(name, names(out), sep = "."))
}

# An estimate of the mean effect with its interval.
judge_global <- function(row, name) {
  value <- if (nrow(row)) unlist(row[1, c("estimate", "conf.low", "conf.high")]) else rep(NA, 3)
  stats::setNames(value, paste(name, c("estimate", "low", "high"), sep = "."))
}
