# What a Keras model's configuration says, as layers of ours: Sequential and Functional, Keras 1 to
# 3, in one dimension or in two of which one is the letters or of size 1.
#
# A tensor on its way is a list: `at` our layer that makes it; `axis` which axis of an image is the
# position (NULL: one dimension); `letter` the size of the image's other axis; `first` whether
# channels come first; `flat` whether it is flattened; `turned` the layer that was flattened
# channel by channel, so that the flattened numbers are in another order than ours.

keras_stop <- function(layer, ...) {
  stop_mrl("data", "Layer \"", layer$name, "\" (", layer$class, ") ", ...)
}

# Setting `names` of a layer: the first that is there, else `default`.
keras_get <- function(layer, names, default = NULL) {
  for (name in names) {
    if (!is.null(layer$config[[name]])) {
      return(layer$config[[name]])
    }
  }
  default
}

# As a vector of whole numbers, of length `n`; a single number stands for all.
keras_numbers <- function(layer, names, n = 1L, default = NULL, min = 1) {
  x <- unlist(keras_get(layer, names, default))
  if (length(x) == 1L) {
    x <- rep(x, n)
  }
  if (!is.numeric(x) || length(x) != n || !all(is.finite(x)) || any(x != round(x) | x < min)) {
    keras_stop(layer, "needs ", n, " whole number(s) as `", names[1], "`.")
  }
  as.double(x)
}

# One word, which must be of those that are supported.
keras_word <- function(layer, names, default, supported) {
  x <- keras_get(layer, names, default)
  if (!is.character(x) || length(x) != 1L || !x %in% supported) {
    keras_stop(layer, "has `", names[1], "` ", if (is.character(x)) paste0("\"", x[1], "\"") else
      "of an unknown form", ", which is not supported.")
  }
  x
}

# The network: layers of ours, what is to be read for each, outputs, length.
# settings: `length` or NULL, `n_letters`, `theano`.
translate_keras <- function(config, settings) {
  graph <- keras_graph(config)
  net <- list(layers = list(), tensors = list(), nodes = list(), settings = settings)
  for (layer in graph$layers) {
    net <- keras_translate(net, layer, graph$layers)
  }
  net$outputs <- vapply(graph$outputs, function(name) {
    node <- net$nodes[[name]]
    if (is.null(node)) {
      stop_mrl("data", "The model's output \"", name, "\" is no layer of it.")
    }
    node$at
  }, "")
  if (!length(net$outputs) || !length(net$layers)) {
    stop_mrl("data", "The model's configuration has no layers or no outputs.")
  }
  net
}

keras_translate <- function(net, layer, all) {
  if (!length(layer$inputs)) {
    net <- keras_input(net, layer, all)
    if (layer$class == "InputLayer") {
      return(net)
    }
    layer$inputs <- "input of the model"
  }
  from <- net$nodes[layer$inputs]
  if (any(vapply(from, is.null, NA))) {
    keras_stop(layer, "takes a layer that does not come before it.")
  }
  if (layer$class %in% c("Add", "Merge")) {
    return(keras_add(net, layer, from))
  }
  if (length(from) != 1L) {
    keras_stop(layer, "takes several inputs, which is not supported.")
  }
  kind <- sub("(1D|2D)$", "", layer$class)
  kind <- switch(kind, Convolution = "Conv", AtrousConvolution = "Conv", kind)
  translate <- switch(kind,
    Conv = keras_conv, Dense = keras_dense, BatchNormalization = keras_norm,
    Activation = , ReLU = , LeakyReLU = keras_activation, Dropout = keras_dropout,
    MaxPooling = , AveragePooling = keras_pool,
    GlobalMaxPooling = , GlobalAveragePooling = keras_global,
    Flatten = keras_flatten, Cropping = keras_crop,
    keras_stop(layer, "is of a kind that is not supported.")
  )
  translate(net, layer, from[[1]])
}

# Puts a layer of ours; the tensor that Keras' layer makes is then its.
keras_put <- function(net, layer, node, type, ..., name = layer$name, tensors = NULL) {
  net$layers[[length(net$layers) + 1L]] <- seq_layer(type, ..., input = node$at, name = name)
  net$tensors[[name]] <- tensors
  node$at <- name
  net$nodes[[layer$name]] <- node
  net
}

# The activation that a layer has of its own, as a layer behind it.
keras_put_activation <- function(net, layer) {
  word <- keras_word(layer, "activation", "linear", seq_activations)
  if (word == "linear") {
    return(net)
  }
  keras_put(net, layer, net$nodes[[layer$name]], "activation", activation = word,
    slope = 0.2, name = paste0(layer$name, "_", word)) # Keras' slope of "leaky_relu"
}

keras_input <- function(net, layer, all) {
  if (length(net$nodes)) {
    keras_stop(layer, "is a second input, which is not supported.")
  }
  shape <- keras_get(layer, c("batch_input_shape", "batch_shape"))
  if (is.null(shape)) {
    shape <- list(NULL, keras_get(layer, "input_length"), keras_get(layer, "input_dim"))
  }
  shape <- vapply(shape[-1], function(x) if (is.numeric(x)) as.double(x[1]) else NA, 0)
  first <- keras_is_first(all)
  node <- keras_input_node(layer, shape, first, net$settings$n_letters)
  net$length <- if (is.null(net$settings$length)) node$length else net$settings$length
  if (is.na(net$length)) {
    stop_argument("length", "must be given: the model takes sequences of any length", "NULL")
  }
  if (!is.na(node$length) && node$length != net$length) {
    stop_argument("length", paste("must be", node$length, "for this model"), net$length)
  }
  net$nodes[[if (layer$class == "InputLayer") layer$name else "input of the model"]] <- node
  net
}

# Whether the layers of images have channels first.
keras_is_first <- function(layers) {
  formats <- unlist(lapply(layers, function(layer) {
    if (grepl("2D$", layer$class)) keras_get(layer, c("data_format", "dim_ordering"))
  }))
  any(formats %in% c("channels_first", "th"))
}

keras_input_node <- function(layer, shape, first, n_letters) {
  node <- list(at = "sequence", letter = 1, first = FALSE, flat = FALSE)
  if (length(shape) == 2L && identical(shape[2], as.double(n_letters))) {
    return(c(node, list(length = shape[1])))
  }
  if (length(shape) == 3L) {
    channels <- shape[if (first) 1 else 3]
    sides <- shape[if (first) 2:3 else 1:2]
    other <- if (identical(channels, 1)) n_letters else 1
    axis <- 3L - match(other, sides, 0L)
    if (axis < 3L && (identical(channels, 1) || identical(channels, as.double(n_letters)))) {
      node$first <- first
      node$letter <- other
      return(c(node, list(length = sides[axis], axis = axis)))
    }
  }
  keras_stop(layer, "does not take sequences of ", n_letters, " letters: its input has shape (",
    paste(shape, collapse = ", "), ").")
}

# The part of a pair of settings that is along the sequence; the other one must be `other`.
keras_along <- function(layer, node, names, default = NULL, other = 1) {
  is_2d <- grepl("2D$", layer$class)
  if (is_2d != !is.null(node$axis)) {
    keras_stop(layer, "does not fit its input: one has one dimension, one has two.")
  }
  if (!is_2d) {
    return(keras_numbers(layer, names, 1L, default))
  }
  pair <- keras_numbers(layer, names, 2L, default)
  if (!is.null(other) && pair[3L - node$axis] != other) {
    keras_stop(layer, "must have `", names[1], "` ", other, " across the letters.")
  }
  pair[node$axis]
}

keras_conv <- function(net, layer, node) {
  if (!is.null(layer$config[["nb_row"]])) {
    layer$config$kernel_size <- list(layer$config[["nb_row"]], layer$config[["nb_col"]])
  }
  if (node$flat) {
    keras_stop(layer, "takes a flattened tensor, which is not supported.")
  }
  if (is.null(node$axis)) {
    keras_word(layer, "data_format", "channels_last", "channels_last")
  }
  taps <- keras_along(layer, node, c("kernel_size", "filter_length"), other = node$letter)
  if (keras_along(layer, node, c("strides", "subsample_length", "subsample"), 1) != 1) {
    keras_stop(layer, "has strides, which are not supported.")
  }
  same <- if (node$letter == 1) "same"
  padding <- keras_word(layer, c("padding", "border_mode"), "valid", c("valid", same))
  theano <- net$settings$theano
  if (theano && padding == "same" && taps %% 2 == 0) {
    keras_stop(layer, "has an even kernel with padding under Theano, which is not supported.")
  }
  bias <- isTRUE(keras_get(layer, c("use_bias", "bias"), TRUE))
  tensors <- list(type = "conv", keras = layer$name, letter = node$letter, theano = theano,
    bias = bias)
  node$letter <- 1
  net <- keras_put(net, layer, node, "conv",
    units = keras_numbers(layer, c("filters", "nb_filter")), taps = taps, padding = padding,
    dilation = keras_along(layer, node, c("dilation_rate", "atrous_rate"), 1),
    groups = keras_numbers(layer, "groups", default = 1), bias = bias, tensors = c(tensors,
      axis = node$axis)
  )
  keras_put_activation(net, layer)
}

# Of a tensor that is not flattened, a dense layer takes each position by itself.
keras_dense <- function(net, layer, node) {
  units <- keras_numbers(layer, c("units", "output_dim"))
  bias <- isTRUE(keras_get(layer, c("use_bias", "bias"), TRUE))
  tensors <- list(type = "dense", keras = layer$name, bias = bias, turned = node$turned)
  node$turned <- NULL
  net <- if (node$flat) {
    keras_put(net, layer, node, "dense", units = units, bias = bias, tensors = tensors)
  } else {
    if (node$first || node$letter != 1) {
      keras_stop(layer, "takes a tensor that is not flattened, with channels first.")
    }
    keras_put(net, layer, node, "conv", units = units, taps = 1, bias = bias, tensors = tensors)
  }
  keras_put_activation(net, layer)
}

keras_norm <- function(net, layer, node) {
  axis <- keras_numbers(layer, "axis", default = -1, min = -3)
  rank <- if (node$flat) 1 else if (is.null(node$axis)) 2 else 3
  channels <- if (node$first && !node$flat) c(1, -rank) else c(-1, rank)
  if (!axis %in% channels || node$letter != 1) {
    keras_stop(layer, "normalises another axis than the channels, which is not supported.")
  }
  if (!identical(as.double(keras_get(layer, "mode", 0)), 0)) {
    keras_stop(layer, "has another `mode` than 0, which is not supported.")
  }
  tensors <- list(
    type = "batch_norm", keras = layer$name, turned = node$turned,
    scale = isTRUE(keras_get(layer, "scale", TRUE)), center = isTRUE(keras_get(layer, "center",
      TRUE))
  )
  keras_put(net, layer, node, "batch_norm", epsilon = keras_get(layer, "epsilon", 1e-3),
    tensors = tensors)
}

keras_activation <- function(net, layer, node) {
  word <- switch(layer$class,
    Activation = keras_word(layer, "activation", "linear", seq_activations),
    LeakyReLU = "leaky_relu", "relu"
  )
  slope <- switch(layer$class,
    Activation = 0.2, LeakyReLU = keras_get(layer, c("negative_slope", "alpha"), 0.3), 0
  )
  limits <- c(keras_get(layer, "max_value"), if (layer$class == "ReLU") {
    c(setdiff(keras_get(layer, "negative_slope", 0), 0), setdiff(keras_get(layer, "threshold", 0),
      0))
  })
  if (length(limits)) {
    keras_stop(layer, "has limits or a slope, which are not supported.")
  }
  keras_put(net, layer, node, "activation", activation = word, slope = slope)
}

keras_dropout <- function(net, layer, node) {
  if (layer$class != "Dropout") {
    keras_stop(layer, "is of a kind that is not supported.")
  }
  keras_put(net, layer, node, "dropout", rate = keras_get(layer, c("rate", "p"), 0))
}

keras_pool <- function(net, layer, node) {
  keras_check_channels(layer, node)
  size <- keras_along(layer, node, c("pool_size", "pool_length"), 2, other = 1)
  stride <- keras_along(layer, node, c("strides", "stride"), size, other = NULL)
  padding <- keras_word(layer, c("padding", "border_mode"), "valid", c("valid", "same"))
  type <- if (startsWith(layer$class, "Max")) "max_pool" else "average_pool"
  keras_put(net, layer, node, type, size = size, stride = stride, padding = padding)
}

# What is not a convolution sees one row of letters' channels.
keras_check_channels <- function(layer, node) {
  if (node$letter != 1 || node$flat) {
    keras_stop(layer, "does not come behind a convolution, which is not supported.")
  }
  if (is.null(node$axis)) {
    keras_word(layer, "data_format", "channels_last", "channels_last")
  }
}

keras_global <- function(net, layer, node) {
  keras_check_channels(layer, node)
  if (isTRUE(keras_get(layer, "keepdims", FALSE))) {
    keras_stop(layer, "has `keepdims`, which is not supported.")
  }
  node$flat <- TRUE
  type <- if (startsWith(layer$class, "GlobalMax")) "global_max" else "global_average"
  keras_put(net, layer, node, type)
}

# Keras 1 flattens what lies in memory; Keras 2 too, unless told that channels come first.
keras_flatten <- function(net, layer, node) {
  if (node$letter != 1) {
    keras_stop(layer, "does not come behind a convolution, which is not supported.")
  }
  aware <- identical(keras_get(layer, "data_format"), "channels_first")
  if (node$first && !node$flat && !aware) {
    node$turned <- node$at
  }
  node$flat <- TRUE
  keras_put(net, layer, node, "flatten")
}

keras_crop <- function(net, layer, node) {
  keras_check_channels(layer, node)
  if (!is.null(node$axis)) {
    keras_stop(layer, "is of a kind that is not supported.")
  }
  sides <- keras_numbers(layer, "cropping", 2L, list(1, 1), min = 0)
  keras_put(net, layer, node, "crop", left = sides[1], right = sides[2])
}

# The sum of two or more layers: sums of two behind each other.
keras_add <- function(net, layer, from) {
  if (layer$class == "Merge") {
    keras_word(layer, "mode", "sum", "sum")
  }
  turned <- unique(lapply(from, function(node) node$turned))
  if (length(from) < 2L || length(turned) > 1L) {
    keras_stop(layer, "must add two layers of one form.")
  }
  node <- from[[1]]
  for (i in seq_along(from)[-1]) {
    name <- if (i == length(from)) layer$name else paste0(layer$name, "_", i - 1L)
    node$at <- c(node$at, from[[i]]$at)
    net <- keras_put(net, layer, node, "add", name = name)
    node <- net$nodes[[layer$name]]
  }
  net
}
