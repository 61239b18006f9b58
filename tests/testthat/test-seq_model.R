tiny_layers <- function() {
  list(
    seq_layer("conv", units = 3, taps = 4, padding = "same"),
    seq_layer("batch_norm", name = "norm"),
    seq_layer("activation", activation = "gelu", name = "act"),
    seq_layer("conv", units = 3, taps = 3, dilation = 2, padding = "same", name = "deep"),
    seq_layer("add", input = c("act", "deep"), name = "sum"),
    seq_layer("max_pool", size = 3, stride = 2, name = "pool"),
    seq_layer("dense", units = 2, name = "head"),
    seq_layer("global_average", input = "sum", name = "mean")
  )
}

tiny_model <- function(seed = 1) {
  layers <- tiny_layers()
  n <- seq_model(layers, 9, outputs = c("head", "mean"))$n_parameters
  set.seed(seed)
  parameters <- stats::runif(n, 0.1, 1) * sample(c(-1, 1), n, TRUE)
  parameters[4 * 4 * 3 + 3 + 10:12] <- c(0.5, 1, 2) # variances
  seq_model(layers, 9, outputs = c("head", "mean"), parameters = parameters)
}

test_that("shapes are inferred and parameters counted", {
  shapes <- tiny_model()$shapes
  expect_identical(shapes$length, c(9, 9, 9, 9, 9, 4, 1, 1))
  expect_identical(shapes$channels, c(3, 3, 3, 3, 3, 3, 2, 3))
  expect_identical(shapes$parameters, c(51, 12, 0, 30, 0, 0, 26, 0))
})

test_that("a linear model predicts what its weights say", {
  weights <- seq(0.1, 1.2, by = 0.1) # (3 positions, 4 letters, 1 unit)
  model <- seq_model(list(seq_layer("dense", units = 1)), 3, parameters = c(weights, 10))
  found <- predict(model, c("ACG", s = "acu", "NNT"))
  expect_identical(found$sequence, c("1", "s", "3"))
  expect_equal(found$dense_1, 10 + c(0.1 + 0.6 + 1.1, 0.1 + 0.6 + 1.2, 1.2), tolerance = 1e-6)
  quarter <- seq_model(list(seq_layer("dense", units = 1)), 3, unknown = 0.25,
    parameters = c(weights, 10))
  expect_equal(predict(quarter, "NNN")$dense_1, 10 + sum(weights) / 4, tolerance = 1e-6)
})

test_that("one-hot arrays are the same as letters", {
  model <- tiny_model()
  sequences <- c(a = "ACGTNACGT", b = "TTGGCCAAN")
  hot <- array(0, c(2, 9, 4), list(names(sequences), NULL, NULL))
  for (i in 1:2) {
    at <- match(strsplit(sequences[i], "")[[1]], c("A", "C", "G", "T"))
    hot[cbind(i, which(!is.na(at)), at[!is.na(at)])] <- 1
  }
  expect_identical(predict(model, hot), predict(model, sequences))
})

test_that("both strands are averaged", {
  model <- tiny_model()
  forward <- "AACGTTNGA"
  backward <- "TCNAACGTT"
  both <- predict(model, forward, reverse_complement = TRUE)
  expect_equal(both[-1], (predict(model, forward)[-1] + predict(model, backward)[-1]) / 2)
})

test_that("other alphabets have their letters", {
  model <- seq_model(list(seq_layer("dense", units = 1)), 2, alphabet = "protein",
    parameters = c(1:40, 0))
  expect_equal(predict(model, c("AY", "yA", "XX"))$dense_1, c(1 + 40, 20 + 21, 0))
  expect_error(predict(model, "AB"), class = "mrlearn_error_data")
  rna <- seq_model(list(seq_layer("dense", units = 1)), 1, alphabet = "RNA", parameters = 1:5)
  expect_equal(predict(rna, c("U", "T"))$dense_1, c(9, 9))
})

test_that("results do not depend on the number of threads, or on saving", {
  model <- tiny_model()
  set.seed(2)
  sequences <- replicate(7, paste(sample(c("A", "C", "G", "T", "N"), 9, TRUE), collapse = ""))
  expect_identical(predict(model, sequences, n_threads = 1), predict(model, sequences,
    n_threads = 3))
  file <- withr::local_tempfile()
  saveRDS(model, file)
  expect_identical(predict(readRDS(file), sequences), predict(model, sequences))
})

test_that("FASTA files are read", {
  file <- withr::local_tempfile(lines = c(">a first", "ACG", "", "TN", "> b", "GG"))
  expect_identical(read_fasta(file), c(a = "ACGTN", b = "GG"))
  empty <- withr::local_tempfile(lines = character())
  expect_error(read_fasta(empty), class = "mrlearn_error_data")
  expect_error(read_fasta(withr::local_tempfile(lines = "ACGT")), class = "mrlearn_error_data")
  expect_error(read_fasta(withr::local_tempfile(lines = c(">a", ">b", "A"))),
    class = "mrlearn_error_data")
  expect_error(read_fasta("no such file"), class = "mrlearn_error_argument")
})

test_that("what does not fit is refused by name", {
  conv <- function(...) seq_layer("conv", units = 2, taps = 5, ...)
  expect_snapshot(error = TRUE, {
    seq_layer("transformer")
    seq_layer("conv", units = 2)
    seq_layer("conv", units = 2, taps = 3, strides = 2)
    seq_layer("add")
    seq_layer("dropout", rate = 1)
    seq_model(list(conv()), 4)
    seq_model(list(conv(groups = 2, name = "c"), conv(input = "d")), 9)
    seq_model(list(conv(), seq_layer("conv", units = 3, taps = 1, groups = 2)), 9)
    seq_model(list(conv(name = "c"), seq_layer("add", input = c("c", "sequence"))), 9)
    seq_model(list(conv()), 9, parameters = 1:3)
    seq_model(list(conv()), 9, outputs = "dense")
    seq_model(list(conv()), 9, alphabet = "ACCA")
    predict(seq_model(list(conv()), 9), "ACGTACGTA")
    predict(tiny_model(), "ACGT")
    predict(tiny_model(), c("ACGTACGTA", x = "ACGTEEGTA"))
    predict(tiny_model(), character())
    predict(tiny_model(), array(0.5, c(1, 9, 3)))
  })
})

test_that("a model prints its layers", {
  expect_snapshot(tiny_model())
})

# Biostrings' classes by their names: an S4 object with names that as.character() turns to text.
test_that("sets of Biostrings are read", {
  here <- environment()
  methods::setClass("XStringSet", methods::representation(text = "character"), where = here)
  methods::setMethod("as.character", "XStringSet", function(x, ...) unname(x@text), where = here)
  methods::setMethod("names", "XStringSet", function(x) names(x@text), where = here)
  methods::setMethod("length", "XStringSet", function(x) length(x@text), where = here)
  withr::defer({
    for (f in c("as.character", "names", "length")) {
      methods::removeMethod(f, "XStringSet", where = here)
    }
    methods::removeClass("XStringSet", where = here)
  })
  model <- seq_model(list(seq_layer("dense", units = 1)), 4, parameters = (1:17) / 17)
  text <- c(one = "ACGT", two = "GGNA")
  set <- methods::new("XStringSet", text = text)
  expect_identical(predict(model, set), predict(model, text))
  expect_identical(mutagenize(model, set, positions = 2), mutagenize(model, text, positions = 2))
  dir <- withr::local_tempfile()
  mutagenize(model, set, dir = dir)
  expect_equal(read_effects(dir), mutagenize(model, text), ignore_attr = "n_chunks")
})

test_that("a set made by Biostrings itself is read", {
  name <- "Biostrings" # of Bioconductor: not among what the package suggests
  if (!nzchar(system.file(package = name))) {
    skip("Biostrings not installed")
  }
  model <- seq_model(list(seq_layer("dense", units = 1)), 4, parameters = (1:17) / 17)
  text <- c(one = "ACGT", two = "GGNA")
  set <- getExportedValue(name, "DNAStringSet")(text)
  expect_identical(predict(model, set), predict(model, text))
})
