# Simulated regulatory sequences: the published design, its truths by slow loops, its defects not
# repeated.

letters_of <- function(sequence) match(strsplit(sequence, "")[[1]], c("A", "C", "G", "T"))

slow_hit <- function(code, motif, background) {
  p <- motif + 1e-5
  odds <- t(log(t(p / rowSums(p)) / background))
  starts <- seq_len(length(code) - nrow(p) + 1L)
  place <- seq_len(nrow(p))
  score <- vapply(starts, function(i) sum(odds[cbind(place, code[i + place - 1L])]), 0)
  1 - prod(1 - stats::plogis(score))
}

slow_hits <- function(code, known) {
  vapply(known$motifs, function(m) slow_hit(code, m, known$background), 0)
}

slow_label <- function(count) {
  k <- 0:(count + 100 + 20 * sqrt(count))
  sum(stats::dpois(k, count) * 2 * sqrt(k + 3 / 8))
}

# Both slopes of sequence i over the changes within its instances of the exposure's motif.
slow_effects <- function(sim, i) {
  known <- truth(sim)
  code <- letters_of(sim$sequence[i])
  a <- known$alpha
  b <- known$alpha * known$ratio * known$factor[i]
  q <- slow_hits(code, known)
  plain <- function(count) 2 * sqrt(count + 3 / 8)
  label <- function(count) mean(c(slow_label(count), slow_label(count + known$tau)))
  at <- stats::na.omit(known$places[i, c("exposure", "pair_exposure")])
  d <- NULL
  for (j in unlist(lapply(at, function(s) s + seq_len(nrow(known$motifs$exposure)) - 1L))) {
    for (letter in setdiff(1:4, code[j])) {
      now <- slow_hits(replace(code, j, letter), known)
      d <- rbind(d, c(
        plain(1 + a * now[1]) - plain(1 + a * q[1]),
        plain(1 + b * now[1] * now[2]) - plain(1 + b * q[1] * q[2]),
        label(1 + a * now[1] + known$eta * q[3]) - label(1 + a * q[1] + known$eta * q[3]),
        label(1 + b * now[1] * q[2] + known$nu * q[3]) - label(1 + b * q[1] * q[2] +
          known$nu * q[3])
      ))
    }
  }
  c(b0 = sum(d[, 1] * d[, 2]) / sum(d[, 1]^2), b1 = sum(d[, 3] * d[, 4]) / sum(d[, 3]^2))
}

test_that("hits, counts and effects are those of slow loops", {
  sim <- sim_sequences(n = 60, length = 60, ratio = 5, confounding = "both", heterogeneity = 0.2,
    seed = 3)
  known <- truth(sim)
  for (i in c(1, 7, 61)) {
    q <- slow_hits(letters_of(sim$sequence[i]), known)
    expect_equal(known$hits[i, ], q, tolerance = 1e-10)
    expect_equal(known$expected[i, "outcome"], 1 + 500 * known$factor[i] * q[["exposure"]] *
      q[["outcome"]] + 30 * q[["confounder"]] + 25 * known$b[i], tolerance = 1e-10,
      ignore_attr = TRUE)
  }
  some <- utils::head(which(!is.na(known$effects$b1)), 6)
  for (i in some) {
    # The expansion of expected labels above 50 is exact to 1e-6, changes are at least 1e-2.
    expect_equal(unlist(known$effects[i, c("b0", "b1")]), slow_effects(sim, i), tolerance = 1e-4)
    expect_equal(known$effects$b_count[i], 5 * known$factor[i] * known$hits[i, "outcome"],
      ignore_attr = TRUE)
  }
  expect_equal(known$oracle(sim$sequence)$exposure,
    known$expected[, "exposure"] + 25 * (0.5 - known$b), ignore_attr = TRUE)
  expect_equal(known$oracle(sim$sequence[1:2], FALSE, known$factor[1:2])$outcome,
    1 + 500 * known$factor[1:2] * known$hits[1:2, "exposure"] * known$hits[1:2, "outcome"],
    ignore_attr = TRUE)
})

test_that("instances are where the truth says, apart, and as the matrices have them", {
  sim <- sim_sequences(n = 4000, mutants = 0, seed = 1)
  known <- truth(sim)
  placed <- !is.na(known$places)
  # Shares of 4000: sd at most .008; pairs and later instances may find no room.
  expect_lt(abs(mean(placed[, "confounder"]) - 0.5), 0.03)
  expect_lt(abs(mean(placed[, "exposure"]) - 0.75), 0.04)
  expect_lt(abs(mean(placed[, "pair_outcome"]) - 0.75), 0.04)
  expect_identical(placed[, "pair_exposure"], placed[, "pair_outcome"])
  size <- vapply(known$motifs[c("confounder", "exposure", "outcome", "exposure", "outcome")], nrow,
    1L)
  gap <- known$places[, "pair_outcome"] - known$places[, "pair_exposure"] - size[2]
  expect_true(all(gap >= max(size), na.rm = TRUE))
  apart <- apply(known$places, 1, function(at) {
    from <- sort(at)
    end <- (at + size - 1)[order(at)][seq_along(from)]
    all(from[-1] > end[-length(end)])
  })
  expect_true(all(apart))
  at <- which(placed[, "exposure"])
  found <- substr(sim$sequence[at], known$places[at, "exposure"],
    known$places[at, "exposure"] + size[2] - 1)
  share <- rowMeans(vapply(strsplit(found, ""), function(x) x == "T", logical(size[2])))
  expect_lt(max(abs(share - known$motifs$exposure[, "T"])), 5 * sqrt(0.25 / length(at)))
})

test_that("letters come with the frequencies asked for; the published mistake is an option", {
  # With short motifs nearly all letters are background's. sd of a share of 200,000 is .001.
  flat <- matrix(0.25, 1, 4)
  motifs <- list(exposure = flat, outcome = flat, confounder = flat)
  frequency <- function(...) {
    sim <- sim_sequences(n = 2000, mutants = 0, motifs = motifs, seed = 1,
      background = c(0.4, 0.3, 0.2, 0.1), ...)
    table(unlist(strsplit(sim$sequence, ""))) / 2e5
  }
  # Four or five of 100 letters are instances of flat motifs.
  expect_lt(max(abs(frequency() - c(0.4, 0.3, 0.2, 0.1))), 0.012)
  expect_lt(max(abs(frequency(published_background = TRUE) - c(0.4, 0.3, 0.1, 0.2))), 0.012)
})

test_that("mutants differ from their parents in one letter and are measured by themselves", {
  sim <- sim_sequences(n = 400, mutants = 0.25, heterogeneity = 0.3, seed = 2)
  known <- truth(sim)
  expect_identical(nrow(sim), 500L)
  mutant <- which(!is.na(sim$parent))
  expect_identical(mutant, 401:500)
  away <- mapply(function(a, b) sum(letters_of(a) != letters_of(b)), sim$sequence[mutant],
    sim$sequence[sim$parent[mutant]])
  expect_true(all(away == 1L))
  expect_identical(known$factor[mutant], known$factor[sim$parent[mutant]])
  expect_false(identical(sim$exposure[mutant], sim$exposure[sim$parent[mutant]]))
  expect_lt(abs(mean(known$b) - 0.5), 5 * 0.5 / sqrt(500))
  expect_identical(known$effects$id, sim$id)
})

test_that("counts are Poisson about their means, labels Anscombe's", {
  sim <- sim_sequences(n = 5000, ratio = 3, seed = 4, mutants = 0)
  for (side in c("exposure", "outcome")) {
    z <- (sim[[side]] - truth(sim)$expected[, side]) / sqrt(truth(sim)$expected[, side])
    expect_lt(abs(mean(z)), 5 / sqrt(5000))
    expect_lt(abs(stats::var(z) - 1), 5 * sqrt(2 / 5000))
  }
  expect_equal(sim$exposure_label, 2 * sqrt(sim$exposure + 0.375))
})

test_that("published truths: low and high ratios, and what confounding does to them", {
  # Published means of the low and of the high group of ratios: 1.007 and 3.192 (ENCODE's motifs).
  b0 <- function(...) mean(truth(sim_sequences(n = 1500, seed = 5, ...))$effects$b0, na.rm = TRUE)
  b1 <- function(...) mean(truth(sim_sequences(n = 1500, seed = 5, ...))$effects$b1, na.rm = TRUE)
  expect_lt(abs(b0(ratio = 1) - 1), 0.05)
  expect_lt(abs(b1(ratio = 10) - sqrt(10)), 0.05)
  # Of additive confounders, .24 and .16 on average in the project's prototype.
  expect_gt(b1(ratio = 10, confounding = "sequence") - b1(ratio = 10), 0.1)
  expect_gt(b1(ratio = 10, confounding = "random") - b1(ratio = 10), 0.1)
})

test_that("the same for any number of threads, row count and kind of session", {
  one <- sim_sequences(n = 700, seed = 9, confounding = "both", heterogeneity = 1, n_threads = 1)
  two <- sim_sequences(n = 700, seed = 9, confounding = "both", heterogeneity = 1, n_threads = 2)
  attr(one, "truth")$oracle <- attr(two, "truth")$oracle <- NULL
  attr(one, "truth")$curve <- attr(two, "truth")$curve <- NULL
  expect_identical(one, two)
  expect_true(all(truth(one)$factor >= 0))
  few <- sim_sequences(n = 10, seed = 9, confounding = "both", heterogeneity = 1)
  expect_identical(few$sequence[1:10], one$sequence[1:10])
  set.seed(1)
  a <- sim_sequences(n = 3)$sequence
  set.seed(1)
  expect_identical(sim_sequences(n = 3)$sequence, a)
})

test_that("motifs are read, checked and scaled", {
  file <- withr::local_tempfile(lines = c("T G C A", "2 0 1 1", "0 0 0 5"))
  expect_equal(unname(read_motif(file)), rbind(c(0.25, 0.25, 0, 0.5), c(1, 0, 0, 0)))
  expect_identical(dim(read_motif("TAL1")), c(12L, 4L))
  expect_equal(rowSums(read_motif("SOX2")), rep(1, 11))
  expect_equal(unname(read_motif(file, drop = 0.25)), unname(read_motif(file)))
  sharp <- read_motif("GATA1", drop = 0.05)
  expect_identical(sharp == 0, read_motif("GATA1") < 0.05)
  expect_equal(rowSums(sharp), rep(1, 11))
  expect_identical(truth(sim_sequences(n = 2, seed = 1))$motifs$exposure, sharp)
})

# Squared correlation of labels with what is expected of them. Of 4000 labels its sd is about
# 2 r (1 - r^2) / 63 with r the correlation: .002 at .97, .012 at .58.
test_that("labels of the default design are signal; with JASPAR's matrices as they are, noise", {
  share <- function(...) {
    sim <- sim_sequences(n = 4000, mutants = 0, seed = 6, ...)
    cor(sim$exposure_label, 2 * sqrt(truth(sim)$expected[, "exposure"] + 3 / 8))^2
  }
  expect_gt(share(), 0.93)
  expect_lt(share(motifs = lapply(c(exposure = "GATA1", outcome = "TAL1", confounder = "SOX2"),
    read_motif)), 0.4)
})

test_that("bad input", {
  expect_snapshot(error = TRUE, {
    sim_sequences(n = 0)
    sim_sequences(length = 20)
    sim_sequences(confounding = "some")
    sim_sequences(background = c(1, 0, 0, 0))
    sim_sequences(motifs = list(1))
    sim_sequences(motifs = list(exposure = 1, outcome = 1, confounder = 1))
    sim_sequences(mutants = 2)
    sim_sequences(alpha = 0)
    read_motif("nothing")
    truth(sim_sequences(n = 2, seed = 1))$oracle(c("ACGT", "AC"))
    truth(sim_sequences(n = 2, seed = 1))$oracle("XYZ")
    truth(sim_sequences(n = 2, seed = 1))$oracle(c("AC", "GT"), factor = 1:3)
  })
})
