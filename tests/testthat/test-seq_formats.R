# A network trained here, written in every format that is read: predictions and effects of mutations
# come back. Files have floats, so that numbers agree to some ten roundings of 2^-24.

trained_here <- function() {
  sim <- sim_sequences(n = 120, length = 36, seed = 7, mutants = 0)
  model <- seq_model(list(
    seq_layer("conv", units = 4, taps = 5, name = "first"),
    seq_layer("batch_norm", epsilon = 1e-3, name = "norm"),
    seq_layer("activation", activation = "relu", name = "act"),
    seq_layer("max_pool", size = 3, name = "pool"),
    seq_layer("conv", units = 3, taps = 3, name = "second"),
    seq_layer("dropout", rate = 0.1, name = "drop"),
    seq_layer("flatten", name = "flat"),
    seq_layer("dense", units = 2, name = "out")
  ), length = 36, output_names = c("exposure", "outcome"))
  labels <- cbind(exposure = sim$exposure_label, outcome = sim$outcome_label)
  list(
    model = fit(model, sim$sequence, labels, seed = 1, control = seq_control(epochs = 3,
      learning_rate = 1e-2, patience = 0)),
    sequences = stats::setNames(c(sim$sequence[1:3], chartr("G", "N", sim$sequence[4])),
      letters[1:4])
  )
}

# Tensors by layer, weights with the axes of Keras: (taps, in, out), (in, out).
trained_weights <- function(model) {
  tensors <- seq_tensors(model)
  of_layer <- function(layer) {
    at <- which(tensors$layer == layer)
    parts <- lapply(at, function(i) {
      shape <- tensors$shape[[i]]
      x <- array(model$parameters[tensors$offset[i] + seq_len(tensors$count[i])], rev(shape))
      x <- aperm(x, rev(seq_along(shape)))
      if (length(shape) == 3 && layer == "out") array(x, c(shape[1] * shape[2], shape[3])) else x
    })
    stats::setNames(parts, tensors$tensor[at])
  }
  names <- model$shapes$layer
  found <- stats::setNames(lapply(names, of_layer), names)
  # flattened position by position: the axes (positions, channels) have the channels fastest
  out <- array(model$parameters[tensors$offset[length(tensors$offset) - 1] +
    seq_len(tensors$count[length(tensors$count) - 1])], c(2, nrow(found$out$weight)))
  found$out$weight <- t(out)
  found
}

described <- function(name, class, ...) {
  list(class_name = class, config = list(name = name, ...))
}

keras2_of_trained <- function() {
  list(class_name = "Sequential", config = list(name = "net", layers = list(
    described("first", "Conv1D", batch_input_shape = list(NULL, 36, 4), filters = 4,
      kernel_size = list(5), padding = "valid"),
    described("norm", "BatchNormalization", epsilon = 1e-3, axis = list(-1)),
    described("act", "Activation", activation = "relu"),
    described("pool", "MaxPooling1D", pool_size = list(3), strides = list(3), padding = "valid"),
    described("second", "Conv1D", filters = 3, kernel_size = list(3)),
    described("drop", "Dropout", rate = 0.1), described("flat", "Flatten"),
    described("out", "Dense", units = 2)
  )))
}

keras2_weights <- function(w) {
  named <- function(layer, x, names) stats::setNames(x, paste0(layer, "/", names, ":0"))
  list(
    first = named("first", w$first, c("kernel", "bias")),
    norm = named("norm", w$norm, c("gamma", "beta", "moving_mean", "moving_variance")),
    act = list(), pool = list(), second = named("second", w$second, c("kernel", "bias")),
    drop = list(), flat = list(), out = named("out", w$out, c("kernel", "bias"))
  )
}

keras1_of_trained <- function() {
  list(class_name = "Sequential", keras_version = "1.2.1", config = list(
    described("first", "Convolution1D", batch_input_shape = list(NULL, 36, 4), nb_filter = 4,
      filter_length = 5, border_mode = "valid"),
    described("norm", "BatchNormalization", epsilon = 1e-3, mode = 0, axis = -1),
    described("act", "Activation", activation = "relu"),
    described("pool", "MaxPooling1D", pool_length = 3, stride = 3, border_mode = "valid"),
    described("second", "Convolution1D", nb_filter = 3, filter_length = 3, border_mode = "valid"),
    described("drop", "Dropout", p = 0.1), described("flat", "Flatten"),
    described("out", "Dense", output_dim = 2)
  ))
}

keras1_weights <- function(w, suffix, kernel) {
  named <- function(layer, x, names) stats::setNames(x, paste0(layer, "_", names, suffix))
  conv <- function(layer, x) named(layer, list(kernel(x$weight), x$bias), c("W", "b"))
  list(
    first = conv("first", w$first),
    norm = named("norm", w$norm, c("gamma", "beta", "running_mean", "running_std")),
    act = list(), pool = list(), second = conv("second", w$second), drop = list(),
    flat = list(), out = named("out", w$out, c("W", "b"))
  )
}

here <- trained_here()

expect_same_network <- function(model) {
  expect_equal(as.matrix(predict(model, here$sequences)[-1]),
    as.matrix(predict(here$model, here$sequences)[-1]), tolerance = 1e-5)
  expect_equal(mutagenize(model, here$sequences[1], positions = c(1, 18, 36))$effect,
    mutagenize(here$model, here$sequences[1], positions = c(1, 18, 36))$effect, tolerance = 1e-4)
}

test_that("it comes back from the plain format, and from PyTorch's order of axes", {
  path <- withr::local_tempfile()
  write_seq_model(here$model, path)
  expect_same_network(read_seq_model(path))
  head <- jsonlite::read_json(paste0(path, ".json"))
  blob <- here$model$parameters
  weight <- array(blob[1:80], c(4, 4, 5)) # out, in, taps: out fastest
  blob[1:80] <- as.vector(aperm(weight, c(3, 2, 1)))
  head$tensors[[1]]$axes <- c("out", "in", "taps")
  head$tensors[[1]]$shape <- c(4, 4, 5)
  jsonlite::write_json(head, paste0(path, ".json"), auto_unbox = TRUE, digits = NA)
  writeBin(blob, paste0(path, ".bin"), size = 4L, endian = "little")
  expect_same_network(read_seq_model(path))
  expect_equal(unserialize(serialize(here$model, NULL)), here$model)
})

test_that("it comes back from weights of Keras 2 with JSON, and from a whole model", {
  skip_without_hdf5()
  weights <- keras2_weights(trained_weights(here$model))
  file <- withr::local_tempfile()
  write_keras(file, weights)
  names <- c("exposure", "outcome")
  expect_same_network(read_keras_model(file, write_config(keras2_of_trained()),
    output_names = names))
  write_keras(file, weights, keras2_of_trained(), part = "model_weights")
  expect_same_network(read_keras_model(file, output_names = names))
})

test_that("it comes back from Keras 1 under TensorFlow and Theano", {
  skip_without_hdf5()
  weights <- trained_weights(here$model)
  wide <- function(k) array(k, c(dim(k)[1], 1, dim(k)[2:3])) # (taps, 1, in, out)
  turn <- function(k) wide(k[rev(seq_len(dim(k)[1])), , , drop = FALSE])
  file <- withr::local_tempfile()
  path <- write_config(keras1_of_trained())
  names <- c("exposure", "outcome")
  write_keras(file, keras1_weights(weights, ":0", wide), backend = NULL)
  expect_same_network(read_keras_model(file, path, output_names = names))
  write_keras(file, keras1_weights(weights, "", turn), backend = NULL)
  expect_same_network(read_keras_model(file, path, output_names = names))
})
