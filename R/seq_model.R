# Networks on sequences: description, shapes, parameters, predictions.

# Letters of an alphabet, and those that stand for any of them.
seq_alphabets <- list(
  DNA = c("ACGT", "N"), RNA = c("ACGU", "N"), protein = c("ACDEFGHIKLMNPQRSTVWY", "X")
)

#' A network on sequences
#'
#' Describes a 1-D convolutional network on one-hot sequences of a fixed length: convolutions,
#' pooling, batch norm, dilation, residual sums, dense layers and several heads (see
#' [seq_layer()]). With `parameters` it predicts; its effects of mutations come from
#' [mutagenize()]. The model assumes that all sequences have `length` letters and the strand and
#' alignment that it was trained on; predictions for others are not refused where the length fits,
#' but mean nothing.
#'
#' @param layers A list of layers made by [seq_layer()], in an order in which each takes earlier
#'   ones.
#' @param length Number of letters of a sequence.
#' @param outputs Names of the layers whose numbers are the outputs, one behind the other; `NULL`:
#'   the last layer.
#' @param output_names A name for each output number; `NULL`: the layer's name and a number.
#' @param alphabet `"DNA"` (A C G T), `"RNA"`, `"protein"`, or a string of letters. Lower case and
#'   U for T (T for U) are accepted.
#' @param unknown What an unknown letter (N; X in proteins) is at each letter: 0, or one over the
#'   number of letters, as the model was trained.
#' @param parameters Numeric vector of all parameters, layer by layer: `conv` weights (taps, in /
#'   groups, out) with the output fastest, then bias; `dense` weights (in, out), then bias;
#'   `batch_norm` scale, shift, mean and variance, each by channel. `NULL`: a description only.
#' @return A plain list of class `seq_model` with `layers`, `shapes` (a data.frame `layer, type,
#'   length, channels, parameters`), `output_names`, `parameters`. Raises
#'   `mrlearn_error_argument` where layers do not fit together.
#' @seealso [read_seq_model()], [mutagenize()]
#' @examples
#' layers <- list(
#'   seq_layer("conv", units = 2, taps = 3), seq_layer("activation", activation = "relu"),
#'   seq_layer("global_max"), seq_layer("dense", units = 1)
#' )
#' set.seed(1)
#' model <- seq_model(layers, length = 8, parameters = rnorm(29))
#' predict(model, c(a = "ACGTACGT", b = "TTTTNTTT"))
#' mutagenize(model, c(a = "ACGTACGT"), positions = 3:4)
#' @export
seq_model <- function(layers, length, outputs = NULL, output_names = NULL, alphabet = "DNA",
                      unknown = 0, parameters = NULL) {
  layers <- check_seq_layers(layers)
  names <- vapply(layers, function(layer) layer$name, "")
  model <- list(
    length = check_count(length, "length"),
    alphabet = check_alphabet(alphabet),
    unknown = check_number(unknown, "unknown"),
    layers = layers,
    outputs = check_seq_outputs(outputs, names)
  )
  shape <- seq_shape(model, names)
  model$shapes <- shape$shapes
  model$n_parameters <- shape$n_load
  if (shape$n_outputs > 1e6) { # each has a name; a damaged file may ask for any number
    stop_mrl("argument", "The network has ", shape$n_outputs, " outputs; at most a million.")
  }
  model$output_names <- check_output_names(output_names, model, shape$n_outputs)
  if (!is.null(parameters)) {
    model$parameters <- check_doubles(parameters, "parameters", n = shape$n_load)
  }
  structure(model, class = "seq_model")
}

check_alphabet <- function(alphabet) {
  check_string(alphabet, "alphabet")
  if (alphabet %in% names(seq_alphabets)) {
    found <- seq_alphabets[[alphabet]]
    return(list(name = alphabet, letters = found[1], unknown = found[2]))
  }
  letters <- strsplit(toupper(alphabet), "")[[1]]
  if (length(letters) < 2L || length(letters) > 64L || anyDuplicated(letters) ||
    !all(grepl("^[!-~]$", letters))) {
    stop_argument("alphabet",
      "must be \"DNA\", \"RNA\", \"protein\" or a string of 2 to 64 different ASCII letters",
      describe(alphabet))
  }
  list(name = alphabet, letters = paste(letters, collapse = ""),
    unknown = if ("N" %in% letters) "" else "N")
}

# Layers with names and inputs written out.
check_seq_layers <- function(layers) {
  if (!is.list(layers) || inherits(layers, "seq_layer") || !length(layers) ||
    !all(vapply(layers, inherits, NA, "seq_layer"))) {
    stop_argument("layers", "must be a list of layers made by seq_layer()", describe(layers))
  }
  before <- "sequence"
  for (i in seq_along(layers)) {
    layer <- layers[[i]]
    layer$name <- if (is.null(layer$name)) paste0(layer$type, "_", i) else layer$name
    layer$input <- if (is.null(layer$input)) before[length(before)] else layer$input
    if (layer$name %in% before) {
      stop_mrl("argument", "Two layers are called \"", layer$name, "\".")
    }
    if (!all(layer$input %in% before)) {
      stop_mrl("argument", "Layer \"", layer$name, "\" takes \"",
        setdiff(layer$input, before)[1], "\", which is no layer before it.")
    }
    before <- c(before, layer$name)
    layers[[i]] <- layer
  }
  layers
}

check_seq_outputs <- function(outputs, names) {
  outputs <- if (is.null(outputs)) names[length(names)] else outputs
  if (!is.character(outputs) || !length(outputs) || anyDuplicated(outputs) ||
    !all(outputs %in% names)) {
    stop_argument("outputs", "must be different names of layers",
      if (is.character(outputs)) paste0("\"", outputs, "\"", collapse = ", ") else describe(outputs)
    )
  }
  outputs
}

check_output_names <- function(output_names, model, n) {
  if (is.null(output_names)) {
    sizes <- with(model$shapes, (length * channels)[match(model$outputs, layer)])
    number <- function(name, size) if (size == 1) name else paste0(name, "_", seq_len(size))
    return(unlist(Map(number, model$outputs, sizes), use.names = FALSE))
  }
  if (!is.character(output_names) || anyNA(output_names) || length(output_names) != n ||
    anyDuplicated(output_names)) {
    stop_argument("output_names", paste("must be", n, "different strings"), describe(output_names))
  }
  output_names
}

seq_net_settings <- function(model) {
  names <- vapply(model$layers, function(layer) layer$name, "")
  c(seq_layer_numbers(model$layers), list(
    outputs = match(model$outputs, names), length = model$length,
    n_letters = nchar(model$alphabet$letters)
  ))
}

# Shapes of all layers, by the core; what does not fit is told by the layer's name.
seq_shape <- function(model, names) {
  out <- .Call(C_seq_shape, seq_net_settings(model))
  if (out$status %in% c("bad_argument", "too_few")) {
    layer <- model$layers[[out$value$bad + 1]]
    stop_mrl("argument", "Layer \"", layer$name, "\" (", layer$type, ") ",
      if (out$status == "too_few") {
        "needs a longer input than it gets."
      } else if (layer$type == "add") {
        "adds two layers of different shapes."
      } else {
        "does not fit its input: `groups` must divide its channels and `units`."
      }
    )
  }
  check_status(out$status, "laying out the network")
  value <- out$value
  channels <- value$width[-1]
  types <- vapply(model$layers, function(layer) layer$type, "")
  has_bias <- vapply(model$layers, function(layer) isTRUE(layer$bias), NA)
  shapes <- data.frame(
    layer = names, type = types, length = value$length[-1], channels = channels,
    parameters = value$weights[-1] + has_bias * channels + (types == "batch_norm") * 4 * channels
  )
  list(shapes = shapes, n_load = value$n_load, n_outputs = value$n_outputs)
}

#' @export
print.seq_model <- function(x, ...) {
  cat(
    "Network on ", x$alphabet$name, " sequences of length ", x$length, ": ", nrow(x$shapes),
    " layers, ", format(x$n_parameters, big.mark = ","), " parameters",
    if (is.null(x$parameters)) " (not given)", ", ", length(x$output_names), " output",
    if (length(x$output_names) != 1) "s", "\n", sep = ""
  )
  print(x$shapes, row.names = FALSE)
  invisible(x)
}

check_has_parameters <- function(model) {
  if (is.null(model$parameters)) {
    stop_mrl("argument", "This model has no parameters: it must be trained or read first.")
  }
}
