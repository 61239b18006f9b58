# A residual network with pooling, on which every kind of recomputation is exercised; random
# architectures are compared in the core's own tests.
toy <- function() {
  layers <- list(
    seq_layer("conv", units = 5, taps = 6, padding = "same"),
    seq_layer("activation", activation = "softplus", name = "a"),
    seq_layer("conv", units = 5, taps = 3, dilation = 4, padding = "same", name = "b"),
    seq_layer("add", input = c("a", "b")),
    seq_layer("average_pool", size = 3, stride = 2, padding = "same"),
    seq_layer("dense", units = 2)
  )
  n <- seq_model(layers, 31)$n_parameters
  set.seed(4)
  seq_model(layers, 31, output_names = c("x", "y"), parameters = stats::rnorm(n) / 3)
}

toy_sequences <- function(n = 3) {
  set.seed(5)
  letters <- c("A", "C", "G", "T", "N")
  draw <- function() paste(sample(letters, 31, TRUE, c(4, 4, 4, 4, 1)), collapse = "")
  stats::setNames(replicate(n, draw()), paste0("s", seq_len(n)))
}

test_that("effects are differences of predictions", {
  model <- toy()
  sequences <- toy_sequences()
  found <- mutagenize(model, sequences)
  n_known <- sum(strsplit(paste(sequences, collapse = ""), "")[[1]] != "N")
  n_all <- 3 * n_known + 4 * (31 * 3 - n_known)
  expect_identical(nrow(found), as.integer(2 * n_all))
  # floats: outputs are of order 1, some ten roundings of 2^-24
  expect_equal(found$effect, slow_effects(model, sequences, found), tolerance = 1e-5)
  expect_identical(found$ref, unname(substr(sequences[found$sequence], found$position,
    found$position)))
  expect_true(all(found$ref != found$alt))
})

test_that("windows and listed variants are parts of the whole", {
  model <- toy()
  sequences <- toy_sequences()
  all <- mutagenize(model, sequences)
  window <- mutagenize(model, sequences, positions = c(31, 1, 7))
  expect_identical(window$effect, all$effect[all$position %in% c(1, 7, 31)])
  some <- all[all$output == "x", ][c(80, 3, 200), c("sequence", "position", "ref", "alt")]
  listed <- mutagenize(model, sequences, variants = some)
  key <- function(x) paste(x$sequence, x$position, x$alt, x$output)
  expect_identical(listed$effect, all$effect[match(key(listed), key(all))])
  expect_identical(listed$sequence[c(1, 3, 5)], some$sequence)
  numbers <- data.frame(sequence = 2, position = 4, alt = "u")
  expect_identical(mutagenize(model, sequences, variants = numbers)$alt, c("T", "T"))
})

test_that("both strands are averaged", {
  model <- toy()
  forward <- c(s = paste(rep("A", 31), collapse = ""))
  backward <- c(s = paste(rep("T", 31), collapse = ""))
  both <- mutagenize(model, forward, positions = 3, reverse_complement = TRUE)
  one <- mutagenize(model, forward, positions = 3)$effect
  other <- mutagenize(model, backward, positions = 29)
  other <- other$effect[order(-match(other$alt, c("A", "C", "G", "T")))] # G T A from C A T
  expect_equal(both$effect, (one + other) / 2)
})

test_that("effects do not depend on threads or on other variants", {
  model <- toy()
  sequences <- toy_sequences(5)
  one <- mutagenize(model, sequences, n_threads = 1)
  expect_identical(mutagenize(model, sequences, n_threads = 3), one)
  expect_identical(mutagenize(model, sequences[4])$effect, one$effect[one$sequence == "s4"])
  withr::local_options(mrlearn.isa = "portable")
  expect_equal(mutagenize(model, sequences)$effect, one$effect, tolerance = 1e-5)
})

test_that("what does not fit is refused", {
  model <- toy()
  sequences <- toy_sequences()
  listed <- function(...) mutagenize(model, sequences, variants = data.frame(...))
  expect_snapshot(error = TRUE, {
    mutagenize(model, sequences, positions = 32)
    mutagenize(model, sequences, positions = 1, variants = data.frame(a = 1))
    mutagenize(model, sequences, variants = data.frame(a = 1))
    listed(sequence = "s9", position = 1, alt = "A")
    listed(sequence = "s1", position = 0, alt = "A")
    listed(sequence = "s1", position = 1, alt = "N")
    listed(sequence = "s1", position = 1:3, alt = "A", ref = c("C", "C", "C"))
    mutagenize(model, "ACGT")
    mutagenize(model, sequences, threads = 2)
  })
})
