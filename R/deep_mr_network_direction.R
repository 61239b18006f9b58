# Which of two outputs acts on the other.

# A row for each two outputs that were asked both ways.
network_directions <- function(edges, effects, given, n_threads) {
  back <- match(paste(edges$outcome, edges$exposure, sep = "\r"),
    paste(edges$exposure, edges$outcome, sep = "\r"))
  forth <- which(!is.na(back) & seq_len(nrow(edges)) < back)
  if (!length(forth)) {
    return(NULL)
  }
  out <- do.call(rbind, lapply(forth, function(i) {
    ab <- edges[i, ]
    ba <- edges[back[i], ]
    called <- c(ab$called, ba$called)
    cbind(
      data.frame(a = ab$exposure, b = ab$outcome, effect.ab = ab$estimate, q.ab = ab$q.value,
        effect.ba = ba$estimate, q.ba = ba$q.value),
      network_asymmetry(effects, ab$exposure, ab$outcome, given, n_threads),
      direction = if (all(called)) "both" else if (called[1]) "a to b" else if (called[2])
        "b to a" else "none"
    )
  }))
  row.names(out) <- NULL
  out
}

# How well the effects on both outputs agree over the mutations that move a, and over those that
# move b; the error of the difference by members and sequences, as of mean effects.
network_asymmetry <- function(effects, a, b, given, n_threads) {
  frame <- deep_frame(effects[effects$output %in% c(a, b), , drop = FALSE], a, b)
  settings <- do.call(deep_settings, c(list(frame, method = "slope", n_threads = n_threads),
    given[intersect(names(given), c("instruments", "threshold", "least"))], interval = "none"))
  x <- frame$at$x + 1L
  y <- frame$at$y + 1L
  moves <- function(rows) {
    value <- frame$effect[rows]
    switch(settings$rule,
      none = rep(TRUE, length(value)),
      z = abs(value - mean(value)) >= settings$threshold * stats::sd(value),
      f = (value / frame$se[rows])^2 >= settings$threshold
    )
  }
  by_a <- moves(x)
  by_b <- moves(y)
  n <- length(frame$sequence)
  enough <- pmin(tabulate(frame$seq_of[by_a], n), tabulate(frame$seq_of[by_b], n)) >=
    settings$least
  agree <- function(u, v, use) {
    total <- function(value) {
      out <- numeric(n)
      sums <- rowsum(value[use], frame$seq_of[use])
      out[as.integer(rownames(sums))] <- sums
      out[enough]
    }
    total(u * v)^2 / pmax(total(u^2) * total(v^2), .Machine$double.xmin)
  }
  both <- function(u, v) cbind(ab = agree(u, v, by_a), ba = agree(u, v, by_b))
  mean_of <- both(frame$effect[x], frame$effect[y])
  k <- if (is.null(frame$members)) 0L else ncol(frame$members)
  members <- vapply(seq_len(k), function(k) {
    each <- colMeans(both(frame$members[x, k], frame$members[y, k]))
    each[["ab"]] - each[["ba"]]
  }, 0)
  asymmetry_row(mean_of, members)
}

asymmetry_row <- function(agreement, members) {
  n <- nrow(agreement)
  k <- length(members)
  difference <- agreement[, "ab"] - agreement[, "ba"]
  estimate <- if (n) mean(difference) else NA_real_
  by_sequences <- if (n > 1L) stats::var(difference) / n else NA_real_
  by_members <- if (k > 1L) stats::var(members) * (1 + 1 / k) else 0
  std_error <- sqrt(by_sequences + by_members)
  df <- if (k > 1L) k - 1 else max(n - 1, 1)
  p <- if (!is.na(std_error) && std_error > 0) meta_p(estimate / std_error, df) else NA_real_
  data.frame(
    agreement.ab = if (n) mean(agreement[, "ab"]) else NA_real_,
    agreement.ba = if (n) mean(agreement[, "ba"]) else NA_real_, asymmetry = estimate,
    std.error = std_error, p.value = p
  )
}
