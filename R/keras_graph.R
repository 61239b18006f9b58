# What a Keras model's configuration says of its layers and how they are joined.

# The layers in order, each a list `name, class, config, inputs`; and the names of the outputs.
keras_graph <- function(config) {
  class <- config[["class_name"]]
  inner <- config[["config"]]
  if (identical(class, "Sequential")) {
    layers <- if (is.null(names(inner))) inner else inner[["layers"]]
    return(keras_sequential(layers))
  }
  if (!is.character(class) || !class %in% c("Model", "Functional") || !is.list(inner)) {
    stop_mrl("data", "The model's configuration is of neither a Sequential nor a Functional model.")
  }
  layers <- lapply(inner[["layers"]], function(x) {
    layer <- keras_layer(x)
    nodes <- x[["inbound_nodes"]]
    if (length(nodes) > 1L) {
      keras_stop(layer, "is used more than once, which is not supported.")
    }
    layer$inputs <- keras_sources(nodes)
    layer
  })
  list(layers = layers, outputs = keras_sources(inner[["output_layers"]]))
}

keras_layer <- function(x) {
  class <- x[["class_name"]]
  config <- x[["config"]]
  name <- if (is.null(x[["name"]])) config[["name"]] else x[["name"]]
  is_word <- function(word) is.character(word) && length(word) == 1L && nzchar(word)
  if (!is_word(class) || !is_word(name) || !is.list(config)) {
    stop_mrl("data", "The model's configuration has a layer without name, class or settings.")
  }
  list(name = name, class = class, config = config)
}

keras_sequential <- function(layers) {
  if (!is.list(layers) || !length(layers)) {
    stop_mrl("data", "The model's configuration has no layers.")
  }
  layers <- lapply(layers, keras_layer)
  for (i in seq_along(layers)[-1]) {
    layers[[i]]$inputs <- layers[[i - 1]]$name
  }
  list(layers = layers, outputs = layers[[length(layers)]]$name)
}

# Names of the layers that a nest of references names: [name, node, tensor, ...] in Keras 1 and 2,
# {"keras_history": [name, node, tensor]} in Keras 3.
keras_sources <- function(x) {
  if (!is.list(x)) {
    return(NULL)
  }
  history <- x[["keras_history"]]
  if (!is.null(history)) {
    x <- history
  }
  if (length(x) >= 3L && is.character(x[[1]]) && is.numeric(x[[2]])) {
    return(x[[1]])
  }
  unlist(lapply(x, keras_sources), use.names = FALSE)
}
