# Layers of sequence networks: what a layer may be told, and the numbers that the core reads.

seq_kinds <- c(
  "conv", "dense", "batch_norm", "activation", "dropout", "max_pool", "average_pool",
  "global_max", "global_average", "global_lse", "crop", "flatten", "add"
)
seq_activations <- c("linear", "relu", "leaky_relu", "gelu", "tanh", "sigmoid", "softplus")

# What each kind takes: default values, or NA where there is none.
seq_fields <- list(
  conv = list(units = NA, taps = NA, padding = "valid", dilation = 1, groups = 1, bias = TRUE),
  dense = list(units = NA, bias = TRUE),
  batch_norm = list(epsilon = 1e-3),
  activation = list(activation = NA, slope = 0.01),
  dropout = list(rate = NA),
  max_pool = list(size = NA, stride = NULL, padding = "valid"),
  average_pool = list(size = NA, stride = NULL, padding = "valid"),
  global_max = list(), global_average = list(), global_lse = list(),
  crop = list(left = 0, right = 0),
  flatten = list(), add = list()
)

#' A layer of a sequence network
#'
#' Describes one layer for [seq_model()]. Tensors are (length, channels); every layer but the first
#' takes the layer before it, unless `input` names others.
#'
#' The kinds and what they take:
#' * `"conv"`: `units`, `taps` (width of the kernel; even ones too), `padding` (`"valid"` or
#'   `"same"`; of an odd sum of padding the right side gets more, as in Keras and PyTorch),
#'   `dilation`, `groups`, `bias`. Cross-correlation: Theano's kernels are to be reversed first.
#' * `"dense"`: `units`, `bias`; flattens its input position by position (index = position x
#'   channels + channel).
#' * `"batch_norm"`: `epsilon`; `"activation"`: `activation`, one of `"linear"`, `"relu"`,
#'   `"leaky_relu"` (with `slope`), `"gelu"`, `"tanh"`, `"sigmoid"`, `"softplus"`;
#'   `"dropout"`: `rate`.
#' * `"max_pool"`, `"average_pool"`: `size`, `stride` (`size` by default), `padding`; padding does
#'   not count in an average. `"global_max"`, `"global_average"`, `"global_lse"` (log of the sum of
#'   exp) over all positions.
#' * `"crop"`: `left`, `right` positions dropped; `"flatten"`; `"add"`: the sum of two layers.
#'
#' @param type Kind of layer, one string.
#' @param ... What the kind takes, by name.
#' @param input Name of the layer that it takes, two names for `"add"`; `"sequence"` is the
#'   one-hot sequence. `NULL`: the layer before (for `"add"`, give both).
#' @param name Name of the layer; `NULL`: its kind and number.
#' @return A list of class `seq_layer`. Raises `mrlearn_error_argument` for an unknown kind or
#'   setting, or one out of range.
#' @examples
#' seq_layer("conv", units = 15, taps = 7)
#' @export
seq_layer <- function(type, ..., input = NULL, name = NULL) {
  type <- check_choice(type, seq_kinds)
  given <- list(...)
  known <- seq_fields[[type]]
  if (length(given) && (is.null(names(given)) || !all(names(given) %in% names(known)))) {
    unknown <- setdiff(if (is.null(names(given))) "" else names(given), names(known))
    stop_mrl("argument", "A \"", type, "\" layer has no setting ",
      paste0("`", unknown, "`", collapse = ", "), "; it takes ",
      if (length(known)) paste0("`", names(known), "`", collapse = ", ") else "none", "."
    )
  }
  fields <- known
  fields[names(given)] <- given
  fields <- check_seq_fields(fields, type)
  input <- check_seq_input(input, type)
  structure(c(list(type = type, name = check_string(name, null = TRUE), input = input), fields),
    class = "seq_layer"
  )
}

check_seq_input <- function(input, type) {
  n <- if (type == "add") 2L else 1L
  if (is.null(input)) {
    if (type == "add") {
      stop_argument("input", "of an \"add\" layer must name the two layers that it adds", "NULL")
    }
    return(NULL)
  }
  if (!is.character(input) || anyNA(input) || length(input) != n) {
    stop_argument("input", paste("must be", n, "name(s) of layers"), describe(input))
  }
  input
}

check_seq_fields <- function(fields, type) {
  missing <- vapply(fields, function(x) identical(x, NA), NA)
  if (any(missing)) {
    stop_mrl("argument", "A \"", type, "\" layer needs `", names(fields)[missing][1], "`.")
  }
  for (count in intersect(c("units", "taps", "dilation", "groups", "size"), names(fields))) {
    fields[[count]] <- check_count(fields[[count]], count)
  }
  for (count in intersect(c("left", "right"), names(fields))) {
    fields[[count]] <- check_count(fields[[count]], count, min = 0)
  }
  if ("size" %in% names(fields)) {
    stride <- fields$stride
    fields$stride <- if (is.null(stride)) fields$size else check_count(stride, "stride")
  }
  if ("padding" %in% names(fields)) {
    fields$padding <- check_choice(fields$padding, c("valid", "same"), "padding")
  }
  if ("bias" %in% names(fields)) {
    fields$bias <- check_flag(fields$bias, "bias")
  }
  check_seq_numbers(fields)
}

check_seq_numbers <- function(fields) {
  if ("activation" %in% names(fields)) {
    fields$activation <- check_choice(fields$activation, seq_activations, "activation")
    fields$slope <- check_number(fields$slope, "slope")
  }
  if ("epsilon" %in% names(fields)) {
    fields$epsilon <- check_number(fields$epsilon, "epsilon", min = 0)
  }
  if ("rate" %in% names(fields)) {
    fields$rate <- check_number(fields$rate, "rate", min = 0, max = 1 - 2^-20)
  }
  fields
}

# The default without a value: NULL or NA counts as not there.
field_or <- function(layer, name, default) {
  if (is.null(layer[[name]])) default else layer[[name]]
}

# Layers as the core reads them: a column of whole numbers for each, and one double.
seq_layer_numbers <- function(layers) {
  node <- c("sequence", vapply(layers, function(layer) layer$name, ""))
  column <- function(layer) {
    input <- match(layer$input, node) - 1L
    c(
      match(layer$type, seq_kinds), input[1], if (length(input) > 1) input[2] else 0L,
      field_or(layer, "units", 0L), field_or(layer, "taps", field_or(layer, "size", 0L)),
      field_or(layer, "dilation", 1L), field_or(layer, "groups", 1L), field_or(layer, "stride", 1L),
      identical(layer$padding, "same"), field_or(layer, "bias", FALSE),
      field_or(layer, "left", 0L), field_or(layer, "right", 0L),
      match(field_or(layer, "activation", "linear"), seq_activations) - 1L
    )
  }
  value <- function(layer) {
    as.double(field_or(layer, "rate", field_or(layer, "epsilon", field_or(layer, "slope", 0))))
  }
  list(
    layers = as.integer(unlist(lapply(layers, column))),
    values = vapply(layers, value, 0)
  )
}
