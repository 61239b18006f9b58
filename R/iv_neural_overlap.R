# Where a curve rests on data: the exposures that the first stage brings about.

# So many rows are enough to say where they lie.
overlap_rows <- 20000L
# Bins per standard deviation of the exposure; half the window around a level, in bins.
overlap_bins <- 50
overlap_reach <- 5

# The nodes of a fit's first stage at instruments z and covariates w, averaged over the folds:
# list(nodes (n, q), weights (n, q)) in the exposure's units.
first_stage_nodes <- function(fit, z, w, n) {
  if (fit$first_stage_kind == "features") {
    return(dfiv_nodes(fit, z, w, n))
  }
  settings <- list(n = as.integer(n), n_threads = mrl_threads(), isa = isa_setting())
  found <- lapply(fit$network$exposure, function(network) {
    out <- .Call(C_iv_neural_exposure, network, z, w, settings)
    check_status(out$status, "evaluating the first stage")
    out$value
  })
  mean_of <- function(item) {
    Reduce(`+`, lapply(found, function(v) v[[item]])) / length(found)
  }
  list(nodes = mean_of("nodes"), weights = mean_of("weights"))
}

# How many rows' worth of exposure the first stage puts into each bin: list(start, width, people),
# the latter a count per bin. From the rows that the outcome network learnt from.
first_stage_mass <- function(fit, samples) {
  frame <- if (is.null(samples$second)) samples$first else samples$second
  n <- length(frame$y)
  rows <- systematic_rows(n, overlap_rows)
  take <- function(v) {
    if (is.null(dim(v))) v[rows] else v[rows, , drop = FALSE]
  }
  w <- take(frame$w)
  found <- first_stage_nodes(fit, lapply(frame$z, take), structure(as.double(w), dim = dim(w)),
    length(rows))
  width <- stats::sd(samples$first$x[, 1]) / overlap_bins
  start <- min(found$nodes)
  bin <- floor((as.vector(found$nodes) - start) / width) + 1
  # A far extrapolation of the first stage must not make a million bins.
  bin <- pmin(bin, 1e5)
  people <- numeric(max(bin))
  sums <- rowsum(as.vector(found$weights), bin)
  people[as.integer(row.names(sums))] <- sums[, 1]
  list(start = start, width = width, people = people * n / length(rows))
}

# Are levels among the exposures that the first stage brings about? At least 10 rows' worth of its
# distribution must lie within a tenth of a standard deviation of the exposure.
in_overlap <- function(fit, x) {
  people <- c(0, cumsum(fit$overlap$people))
  at <- (x - fit$overlap$start) / fit$overlap$width
  below <- function(v) {
    stats::approx(seq_along(people) - 1, people, v, rule = 2)$y
  }
  below(at + overlap_reach) - below(at - overlap_reach) >= 10
}

# At most `most` of n rows, evenly spaced.
systematic_rows <- function(n, most) {
  if (n <= most) seq_len(n) else unique(round(seq(1, n, length.out = most)))
}
