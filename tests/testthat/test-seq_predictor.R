# A network of ours as a function of text.
small_model <- function(seed) {
  layers <- list(
    seq_layer("conv", units = 3, taps = 3), seq_layer("activation", activation = "relu"),
    seq_layer("global_max"), seq_layer("dense", units = 2)
  )
  n <- seq_model(layers, 8)$n_parameters
  set.seed(seed)
  seq_model(layers, 8, output_names = c("a", "b"), parameters = stats::rnorm(n))
}

as_function <- function(model) function(sequences) as.matrix(predict(model, sequences)[-1])

text <- c(s1 = "ACGTACGT", s2 = "ttNgacca")

test_that("a function predicts and mutates as the model that it wraps", {
  model <- small_model(1)
  wrapped <- seq_predictor(as_function(model), batch_size = 5)
  expect_identical(predict(wrapped, text), predict(model, text))
  expect_equal(mutagenize(wrapped, text), mutagenize(model, text), tolerance = 1e-6)
  variants <- data.frame(sequence = c("s2", "s1"), position = c(4, 8), alt = c("A", "G"),
    ref = c("G", "T"))
  expect_equal(mutagenize(wrapped, text, variants = variants), mutagenize(model, text,
    variants = variants), tolerance = 1e-6)
  hot <- array(0, c(1, 8, 4))
  hot[cbind(1, 1:8, rep(1:4, 2))] <- 1
  expect_equal(unname(predict(wrapped, hot)[-1]), unname(predict(model, "ACGTACGT")[-1]))
})

test_that("effects of replicates are within each of them", {
  models <- list(small_model(1), small_model(2), small_model(3))
  f <- function(sequences) {
    values <- lapply(models, function(model) as_function(model)(sequences))
    array(unlist(values), c(length(sequences), 2, 3), list(NULL, c("a", "b"), NULL))
  }
  wrapped <- seq_predictor(f)
  each <- vapply(models, function(model) mutagenize(model, text)$effect, numeric(98))
  found <- mutagenize(wrapped, text)
  expect_equal(found$members, each, tolerance = 1e-5)
  expect_equal(found$effect, rowMeans(each), tolerance = 1e-5)
  expect_equal(found$std.error, apply(each, 1, stats::sd), tolerance = 1e-5)
  both <- predict(wrapped, text, members = TRUE)
  expect_equal(both$members[, , 2], as_function(models[[2]])(text), ignore_attr = TRUE)
  expect_equal(both$mean$a, unname(rowMeans(both$members[, "a", ])))
})

test_that("a function with replicates is calibrated, and needs replicates for it", {
  set.seed(3)
  draw <- function() paste(sample(c("A", "C", "G", "T"), 8, TRUE), collapse = "")
  sequences <- unique(replicate(300, draw()))
  gc <- function(s) nchar(gsub("[AT]", "", s))
  f <- function(s) {
    array(outer(gc(s), c(0.9, 1, 1.1)) + rep(1:3, each = length(s)), c(length(s), 1, 3))
  }
  fit <- calibrate(seq_predictor(f), sequences, gc(sequences) + 2 + stats::rnorm(length(sequences)))
  law <- sequence_law(seq_predictor(f), sequences[1:5])
  expect_equal(unname(law$mean[, 1]), gc(sequences[1:5]) + 2)
  expect_identical(fit$n, length(sequences))
  expect_error(calibrate(seq_predictor(gc), sequences, gc(sequences)), "ensemble of one",
    class = "mrlearn_error_data")
  constant <- seq_predictor(function(s) array(1, c(length(s), 1, 3)))
  expect_error(calibrate(constant, sequences, gc(sequences)), "no variation",
    class = "mrlearn_error_data")
})

test_that("what does not fit is refused", {
  bad <- function(f, ...) predict(seq_predictor(f, ...), text)
  expect_snapshot(error = TRUE, {
    seq_predictor("f")
    seq_predictor(nchar, outputs = c("a", "a"))
    bad(function(s) 1)
    bad(function(s) s)
    bad(function(s) c(1, NA))
    bad(nchar, outputs = c("a", "b"))
    predict(seq_predictor(nchar), c("ACGT", "ACG"))
    predict(seq_predictor(nchar, length = 5), "ACGT")
    predict(seq_predictor(nchar), "")
    predict(seq_predictor(nchar), character())
    predict(seq_predictor(nchar), "ACGE")
  })
  expect_snapshot(seq_predictor(nchar))
})
