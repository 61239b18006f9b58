# A network of 12 letters: convolution (same, even kernel), ReLU, batch norm, pool by 2, convolution
# (dilated), flattened, dense, sigmoid.
set.seed(8)
draw <- function(...) array(stats::rnorm(prod(...)) / 2, c(...))
w <- list(
  k1 = draw(4, 4, 3), b1 = draw(3), gamma = draw(3), beta = draw(3), mean = draw(3),
  var = stats::runif(3, 0.5, 2), k2 = draw(2, 3, 2), b2 = draw(2), k3 = draw(8, 2), b3 = draw(2)
)

sequences <- c(s1 = "ACGTACGGTTCA", s2 = "TTTTNACAGGCC", s3 = "NNGGACTTACGA")

slow_net <- function(sequence, w, same = TRUE) {
  x <- relu(slow_conv(slow_hot(sequence), w$k1, w$b1, same = same))
  x <- slow_norm(x, w$gamma, w$beta, w$mean, w$var, 0.01)
  x <- slow_conv(slow_max_pool(x, 2), w$k2, w$b2, dilation = 2)
  stats::plogis(drop(as.vector(t(x)) %*% w$k3) + w$b3)
}

config2 <- function(...) {
  layer <- function(class, name, ...) list(class_name = class, config = list(name = name, ...))
  layers <- list(
    layer("Conv1D", "first", batch_input_shape = list(NULL, 12, 4), filters = 3,
      kernel_size = list(4), padding = "same", activation = "relu", use_bias = TRUE,
      data_format = "channels_last", strides = list(1), dilation_rate = list(1)),
    layer("BatchNormalization", "norm", epsilon = 0.01, axis = list(-1)),
    layer("MaxPooling1D", "pool", pool_size = list(2), strides = list(2), padding = "valid"),
    layer("Dropout", "drop", rate = 0.2),
    layer("Conv1D", "second", filters = 2, kernel_size = list(2), dilation_rate = list(2)),
    layer("Flatten", "flat"),
    layer("Dense", "out", units = 2, activation = "sigmoid")
  )
  list(class_name = "Sequential", config = list(name = "net", layers = layers), ...)
}

weights2 <- function(w, suffix = ":0") {
  name <- function(layer, what) paste0(layer, "/", what, suffix)
  set <- function(layer, ...) {
    x <- list(...)
    stats::setNames(x, name(layer, names(x)))
  }
  list(
    first = set("first", kernel = w$k1, bias = w$b1),
    norm = set("norm", gamma = w$gamma, beta = w$beta, moving_mean = w$mean,
      moving_variance = w$var),
    pool = list(), drop = list(), second = set("second", kernel = w$k2, bias = w$b2),
    flat = list(), out = set("out", kernel = w$k3, bias = w$b3)
  )
}

# Floats: some ten roundings of numbers of order 1.
expect_as_slow <- function(model, slow, ...) {
  found <- as.matrix(predict(model, sequences)[-1])
  expect_equal(unname(found), unname(t(vapply(sequences, slow, numeric(2), ...))),
    tolerance = 1e-5)
}

test_that("weights with a configuration in JSON are read, and whole models", {
  skip_without_hdf5()
  file <- withr::local_tempfile()
  write_keras(file, weights2(w))
  model <- read_keras_model(file, write_config(config2()), output_names = c("x", "y"))
  expect_identical(model$output_names, c("x", "y"))
  expect_as_slow(model, slow_net, w)
  write_keras(file, weights2(w), config2(), part = "model_weights")
  expect_identical(read_keras_model(file, output_names = c("x", "y")), model)
})

test_that("kernels written under Theano are reversed", {
  skip_without_hdf5()
  file <- withr::local_tempfile()
  turned <- w
  turned$k1 <- w$k1[3:1, , , drop = FALSE] # an odd kernel: even ones with padding are refused
  turned$k2 <- w$k2[2:1, , ]
  odd <- w
  odd$k1 <- w$k1[1:3, , ]
  config <- config2()
  config$config$layers[[1]]$config$kernel_size <- 3
  path <- write_config(config)
  write_keras(file, weights2(turned), backend = "theano")
  expect_as_slow(read_keras_model(file, path), slow_net, odd)
  # the defect: kernels as stored
  wrong <- read_keras_model(file, path, backend = "tensorflow")
  expect_gt(max(abs(predict(wrong, sequences)[-1] - predict(read_keras_model(file, path),
    sequences)[-1])), 0.01)
  write_keras(file, weights2(w), backend = "theano")
  expect_error(read_keras_model(file, write_config(config2())), "even kernel",
    class = "mrlearn_error_data")
})

# Keras 1: other words, no backend in the file; names of weights end in ":0" under TensorFlow.
config1 <- function() {
  layer <- function(class, name, ...) list(class_name = class, config = list(name = name, ...))
  list(class_name = "Sequential", keras_version = "1.1.2", config = list(
    layer("Convolution1D", "first", batch_input_shape = list(NULL, 12, 4), nb_filter = 3,
      filter_length = 4, border_mode = "valid", subsample_length = 1, activation = "linear",
      bias = TRUE, input_dim = NULL),
    layer("Activation", "act", activation = "relu"),
    layer("BatchNormalization", "norm", epsilon = 0.01, mode = 0, axis = -1),
    layer("MaxPooling1D", "pool", pool_length = 2, stride = 2, border_mode = "valid"),
    layer("Convolution1D", "second", nb_filter = 2, filter_length = 2, border_mode = "valid"),
    layer("Flatten", "flat"),
    layer("Dropout", "drop", p = 0.5),
    layer("Dense", "out", output_dim = 2, activation = "sigmoid")
  ))
}

slow_net1 <- function(sequence, w) {
  x <- relu(slow_conv(slow_hot(sequence), w$k1, w$b1))
  x <- slow_max_pool(slow_norm(x, w$gamma, w$beta, w$mean, w$var, 0.01), 2)
  x <- slow_conv(x, w$k2, w$b2)
  stats::plogis(drop(as.vector(t(x)) %*% w$k3[1:6, ]) + w$b3)
}

weights1 <- function(w, suffix, kernel) {
  set <- function(layer, ...) {
    x <- list(...)
    stats::setNames(x, paste0(layer, "_", names(x), suffix))
  }
  list(
    first = set("first", W = kernel(w$k1), b = w$b1), act = list(),
    norm = set("norm", gamma = w$gamma, beta = w$beta, running_mean = w$mean, running_std = w$var),
    pool = list(), second = set("second", W = kernel(w$k2), b = w$b2), flat = list(),
    drop = list(), out = set("out", W = w$k3[1:6, ], b = w$b3)
  )
}

test_that("Keras 1 is read under both backends, in both layouts of its kernels", {
  skip_without_hdf5()
  file <- withr::local_tempfile()
  path <- write_config(config1())
  wide <- function(k) array(k, c(dim(k)[1], 1, dim(k)[2:3])) # (taps, 1, in, out)
  turn <- function(k) k[rev(seq_len(dim(k)[1])), , , drop = FALSE]
  first <- function(k) aperm(wide(turn(k)), c(4, 3, 1, 2)) # (out, in, taps, 1), reversed
  write_keras(file, weights1(w, ":0", wide), backend = NULL)
  expect_as_slow(read_keras_model(file, path), slow_net1, w)
  write_keras(file, weights1(w, "", function(k) wide(turn(k))), backend = NULL)
  expect_as_slow(read_keras_model(file, path), slow_net1, w)
  write_keras(file, weights1(w, "", first), backend = NULL)
  expect_as_slow(read_keras_model(file, path), slow_net1, w)
})

# Images of height 4 (one channel), channels first; flattened channel by channel, with a batch norm
# behind.
test_that("images with channels first are read", {
  skip_without_hdf5()
  layer <- function(class, name, ...) list(class_name = class, config = list(name = name, ...))
  config <- list(class_name = "Sequential", config = list(
    layer("Convolution2D", "first", batch_input_shape = list(NULL, 1, 4, 12), nb_filter = 3,
      nb_row = 4, nb_col = 4, dim_ordering = "th", border_mode = "valid"),
    layer("MaxPooling2D", "pool", pool_size = list(1, 3), strides = list(1, 3),
      dim_ordering = "th"),
    layer("Flatten", "flat"),
    layer("BatchNormalization", "norm", epsilon = 0.01, axis = 1),
    layer("Dense", "out", output_dim = 2)
  ))
  norm <- list(g = draw(9), b = draw(9), m = draw(9), v = stats::runif(9, 0.5, 2))
  dense <- draw(9, 2)
  slow <- function(sequence) {
    x <- slow_max_pool(slow_conv(slow_hot(sequence), w$k1, w$b1), 3)
    x <- slow_norm(t(as.vector(x)), norm$g, norm$b, norm$m, norm$v, 0.01) # channel by channel
    drop(x %*% dense) + w$b3
  }
  kernel <- aperm(w$k1[4:1, 4:1, ], c(3, 2, 1)) # (out, letters, taps), both reversed
  file <- withr::local_tempfile()
  write_keras(file, list(
    first = list(first_W = array(kernel, c(3, 1, 4, 4)), first_b = w$b1), pool = list(),
    flat = list(), norm = list(g = norm$g, b = norm$b, m = norm$m, v = norm$v),
    out = list(out_W = dense, out_b = w$b3)
  ), backend = NULL)
  expect_as_slow(read_keras_model(file, write_config(config)), slow)
})

# Two references to layers, as Keras 2 and as Keras 3 write them.
no_names <- structure(list(), names = character())
refer2 <- function(...) {
  list(lapply(c(...), function(name) list(name, 0, 0, no_names)))
}
refer3 <- function(...) {
  tensor <- function(name) {
    list(class_name = "__keras_tensor__", config = list(keras_history = list(name, 0, 0)))
  }
  x <- lapply(c(...), tensor)
  list(list(args = if (length(x) > 1) list(x) else x, kwargs = no_names))
}

residual_config <- function(refer, shape) {
  layer <- function(class, name, inbound, ...) {
    list(class_name = class, name = name, config = list(name = name, ...), inbound_nodes = inbound)
  }
  inner <- list(
    name = "model", layers = list(
      do.call(layer, c(list("InputLayer", "in", list()), shape)),
      layer("Conv1D", "a", refer("in"), filters = 3, kernel_size = 4, padding = "same"),
      layer("LeakyReLU", "act", refer("a"), alpha = 0.1),
      layer("Conv1D", "b", refer("act"), filters = 3, kernel_size = 3, padding = "same",
        dilation_rate = 2, use_bias = FALSE),
      layer("Add", "sum", refer("act", "b", "a")),
      layer("Cropping1D", "crop", refer("sum"), cropping = list(1, 2)),
      layer("GlobalAveragePooling1D", "mean", refer("crop")),
      layer("GlobalMaxPooling1D", "max", refer("sum")),
      layer("Dense", "one", refer("mean"), units = 1),
      layer("Dense", "two", refer("max"), units = 1, activation = "tanh")
    ),
    input_layers = list(list("in", 0, 0)), output_layers = list(list("one", 0, 0), list("two", 0,
      0))
  )
  list(class_name = if (identical(refer, refer3)) "Functional" else "Model", config = inner)
}

test_that("residual models of several heads are read", {
  skip_without_hdf5()
  kb <- draw(3, 3, 3)
  one <- draw(3, 1)
  two <- draw(3, 1)
  slow <- function(sequence) {
    a <- slow_conv(slow_hot(sequence), w$k1, w$b1, same = TRUE)
    act <- pmax(a, 0) + 0.1 * pmin(a, 0)
    sum <- act + slow_conv(act, kb, rep(0, 3), same = TRUE, dilation = 2) + a
    c(colMeans(sum[2:10, ]) %*% one + 0.5, tanh(apply(sum, 2, max) %*% two - 0.5))
  }
  file <- withr::local_tempfile()
  write_keras(file, list(
    a = list("a/kernel" = w$k1, "a/bias" = w$b1), b = list("b/kernel" = kb),
    one = list("one/kernel" = one, "one/bias" = 0.5), two = list("two/kernel" = two,
      "two/bias" = -0.5)
  ))
  shape2 <- list(batch_input_shape = list(NULL, 12, 4))
  model <- read_keras_model(file, write_config(residual_config(refer2, shape2)))
  expect_identical(model$output_names, c("one", "two"))
  expect_as_slow(model, slow)
  shape3 <- list(batch_shape = list(NULL, 12, 4))
  expect_identical(read_keras_model(file, write_config(residual_config(refer3, shape3))), model)
  any <- write_config(residual_config(refer3, list(batch_shape = list(NULL, NULL, 4))))
  expect_identical(read_keras_model(file, any, length = 12), model)
  expect_error(read_keras_model(file, any), "`length` must be given",
    class = "mrlearn_error_argument")
})

test_that("what is not supported is named, and damaged files are refused", {
  skip_without_hdf5()
  dir <- withr::local_tempdir()
  withr::local_dir(dir)
  write_keras("w.h5", weights2(w))
  edited <- function(layer, class = NULL, ..., file = "w.h5") {
    config <- config2()
    one <- config$config$layers[[layer]]
    one$class_name <- c(class, one$class_name)[1]
    one$config[names(list(...))] <- list(...)
    config$config$layers[[layer]] <- one
    writeLines(to_json(config), "config.json")
    read_keras_model(file, "config.json")
  }
  damaged <- function(change) {
    write_keras("damaged.h5", change(weights2(w)))
    edited(1, file = "damaged.h5")
  }
  writeLines("no HDF5", "text.h5")
  writeLines("{", "bad.json")
  writeLines("[1, 2]", "list.json")
  cut <- readBin("w.h5", "raw", file.size("w.h5"))
  writeBin(cut[1:1500], "cut.h5")
  expect_snapshot(error = TRUE, {
    edited(4, "LSTM")
    edited(4, "SpatialDropout1D")
    edited(4, "Activation", activation = "softmax")
    edited(5, strides = list(2))
    edited(5, padding = "causal")
    edited(5, filters = "two")
    edited(5, filters = 3)
    edited(5, kernel_size = list(40))
    edited(1, batch_input_shape = list(NULL, 12, 5))
    edited(2, axis = list(1))
    edited(4, rate = 2)
    damaged(function(x) x[names(x) != "out"])
    damaged(function(x) replace(x, "out", x["second"]))
    damaged(function(x) {
      x$first[[2]] <- c(1, NaN, 2)
      x
    })
    read_keras_model("no such file")
    read_keras_model("w.h5")
    read_keras_model("w.h5", "bad.json")
    read_keras_model("w.h5", "list.json")
    read_keras_model("text.h5", "config.json")
    read_keras_model("cut.h5", "config.json")
    read_keras_model("w.h5", "config.json", backend = "torch")
  })
  # every prefix of the file, and a description that asks for more than the file can hold
  for (n in seq(100, length(cut) - 1, by = 1009)) {
    writeBin(cut[seq_len(n)], "cut.h5")
    writeLines(to_json(config2()), "config.json")
    expect_error(read_keras_model("cut.h5", "config.json"), class = "mrlearn_error_data")
  }
  expect_error(edited(7, units = 9e5), "bytes, too few", class = "mrlearn_error_data")
  expect_error(edited(7, units = 1e9), "at most a million", class = "mrlearn_error_data")
})

test_that("the package that is missing is named", {
  expect_error(need_package("no.such.package", "Reading HDF5 files", "r-cran-none"), "r-cran-none",
    class = "mrlearn_error_package")
})

# Published files, against predictions recorded in double; 1e-5 of the largest output is some
# hundred roundings of sums of up to 16,000 products.
check_keras <- function(model, dir, what, prefix = "predictions_") {
  recorded <- reference(dir, what, prefix)
  found <- as.matrix(predict(model, recorded$sequences)[-1])
  expect_lt(relative_error(found, recorded$values), 1e-5)
}

test_that("MPRA-DragoNN is read from its own files", {
  dir <- shared_data("models", "mpra_dragonn")
  skip_without_hdf5()
  model <- read_keras_model(file.path(dir, "pretrained.hdf5"), file.path(dir, "model.json"))
  for (what in c("random20", "real20", "edge5")) {
    check_keras(model, dir, what)
  }
})

test_that("the GATA and TAL1 models are read from Keras 2, and from Keras 1 with images", {
  dir <- shared_data("models", "tal1_gata_sim")
  skip_without_hdf5()
  files <- list(
    c("keras2_conv1d_record_5_model_PQzyq_modelWeights.h5",
      "keras2_conv1d_record_5_model_PQzyq_modelJson.json"),
    file.path("source", paste0("record_5_model_PQzyq_model", c("Weights.h5", "Json.json")))
  )
  for (pair in files) {
    model <- read_keras_model(file.path(dir, pair[1]), file.path(dir, pair[2]))
    check_keras(model, dir, "random20", "predictions_prob_")
    check_keras(model, dir, "real20", "predictions_prob_")
  }
})

# Their configurations are YAML: the same in JSON.
tal1_config <- function() {
  layer <- function(class, name, ...) list(class_name = class, config = list(name = name, ...))
  conv <- function(name, ...) {
    layer("Convolution1D", name, nb_filter = 50, filter_length = 11, border_mode = "valid", ...)
  }
  list(class_name = "Sequential", config = list(
    conv("convolution1d_1", batch_input_shape = list(NULL, 200, 4)),
    layer("Activation", "activation_1", activation = "relu"), conv("convolution1d_2"),
    layer("Activation", "activation_2", activation = "relu"),
    layer("AveragePooling1D", "averagepooling1d_1", pool_length = 180, stride = 1),
    layer("Flatten", "flatten_1"), layer("Dense", "dense_1", output_dim = 50),
    layer("Activation", "activation_3", activation = "relu"),
    layer("Dropout", "dropout_1", p = 0.5), layer("Dense", "dense_2", output_dim = 3)
  ))
}

test_that("members of the ensemble are read from Keras 1 under TensorFlow and Theano", {
  dir <- shared_data("models", "tal1_gata_sim", "ensemble")
  skip_without_hdf5()
  path <- write_config(tal1_config())
  stored <- c(member2 = "record_2_model_v0CG1", member3 = "record_4_model_ssieI")
  for (member in names(stored)) {
    model <- read_keras_model(file.path(dir, paste0(stored[member], "_modelWeights.h5")), path)
    check_keras(model, file.path(dir, member), "random20")
  }
})
