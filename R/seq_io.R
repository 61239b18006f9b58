# Sequence models in files: JSON that describes, and a blob of numbers.

#' Write and read a sequence model
#'
#' A model in two files that any language can write: `<path>.json` describes it, `<path>.bin` holds
#' its parameters as little-endian 32-bit floats. Reading checks everything against the file's size
#' before memory is taken.
#'
#' The JSON object has
#' * `format`: `"mrlearn-seq-model"`, `version`: 1;
#' * `length`, `alphabet`, `unknown`, `outputs`, `output_names` as in [seq_model()];
#' * `layers`: objects with `type`, `name`, `input` and the settings of [seq_layer()];
#' * `n_floats`: numbers in the blob;
#' * `tensors`: objects with `layer` (its name), `tensor`, `offset` (in floats) and `shape`. A
#'   `conv` layer has `weight` with axes `taps`, `in` (of a group), `out`, and `bias`; a `dense`
#'   layer `weight` with axes `positions`, `channels` (of its input), `out`, and `bias`; a
#'   `batch_norm` layer `scale`, `shift`, `mean`, `variance`. Tensors are row-major: the last axis
#'   is contiguous. A weight whose axes come in another order names them in `axes`.
#'
#' @section From PyTorch:
#' The package brings a Python file that writes the two files, in the directory
#' `system.file("python", package = "mrlearn")`. A `torch.nn.Sequential` on (batch, letters,
#' positions) goes as it is:
#' ```
#' import sys; sys.path.insert(0, "<that directory>")
#' from mrlearn_export import export_sequential
#' export_sequential(model, "path/model", length=200)
#' ```
#' Other networks are put together layer by layer by its class `Export` (its head shows how). By
#' hand: `Conv1d.weight` is (out, in, width): write it as it is, with `"axes": ["out", "in",
#' "taps"]`. `Linear.weight` behind a flattened (channels, positions) tensor is (out, channels *
#' positions): `"axes": ["out", "channels", "positions"]` with the shape written out and no
#' `flatten` layer; `"positions"` is 1 behind global pooling or another `Linear`.
#' `tensor.detach().float().numpy().tofile(file)` appends one tensor to an open binary file.
#'
#' @param path Path without the ending; `read_seq_model()` accepts that of the JSON file too.
#' @param model A [seq_model()] with parameters.
#' @return `write_seq_model()`: `path`, invisibly; on a full disk it raises `mrlearn_error_file` and
#'   leaves older files as they were. `read_seq_model()`: a [seq_model()]. It raises
#'   `mrlearn_error_data` for files that are truncated, inconsistent or of another format, and names
#'   layers that it does not know.
#' @examples
#' model <- seq_model(list(seq_layer("dense", units = 1)), 2, parameters = 1:9)
#' path <- tempfile()
#' write_seq_model(model, path)
#' identical(read_seq_model(path), model)
#' @export
write_seq_model <- function(model, path) {
  if (!inherits(model, "seq_model")) {
    stop_argument("model", "must be made by seq_model()", describe(model))
  }
  check_has_parameters(model)
  check_string(path)
  check_folder(dirname(path), "path")
  tensors <- seq_tensors(model)
  describe_tensor <- function(i) {
    list(layer = tensors$layer[i], tensor = tensors$tensor[i], offset = tensors$offset[i],
      shape = I(as.numeric(tensors$shape[[i]])))
  }
  head <- list(
    format = "mrlearn-seq-model", version = 1, length = model$length,
    alphabet = model$alphabet$name, unknown = model$unknown,
    layers = lapply(model$layers, write_seq_layer), outputs = I(model$outputs),
    output_names = I(model$output_names), n_floats = model$n_parameters,
    tensors = lapply(seq_along(tensors$layer), describe_tensor)
  )
  text <- jsonlite::toJSON(head, auto_unbox = TRUE, digits = NA, pretty = TRUE, null = "null")
  replace_files(paste0(path, c(".bin", ".json")), list(
    file_of_bytes(model$parameters, size = 4L), file_of_text(text)
  ))
  invisible(path)
}

write_seq_layer <- function(layer) {
  layer <- unclass(layer)
  layer$input <- I(layer$input)
  layer
}

# Axes of a layer's tensors, slowest first, and where they lie in the parameters.
seq_tensors <- function(model) {
  sizes <- rbind(c(model$length, nchar(model$alphabet$letters)),
    as.matrix(model$shapes[c("length", "channels")]))
  nodes <- c("sequence", model$shapes$layer)
  of_layer <- function(layer) {
    input <- sizes[match(layer$input[1], nodes), ]
    channels <- sizes[match(layer$name, nodes), 2]
    shapes <- switch(layer$type,
      conv = list(weight = c(layer$taps, input[2] / layer$groups, layer$units)),
      dense = list(weight = c(input, layer$units)),
      batch_norm = list(scale = channels, shift = channels, mean = channels, variance = channels)
    )
    c(shapes, if (isTRUE(layer$bias)) list(bias = layer$units))
  }
  shapes <- lapply(model$layers, of_layer)
  flat <- lapply(unlist(shapes, recursive = FALSE), unname)
  counts <- vapply(flat, prod, 0)
  list(
    layer = rep(model$shapes$layer, lengths(shapes)),
    tensor = unlist(lapply(shapes, names)),
    shape = unname(flat), count = unname(counts),
    offset = unname(cumsum(c(0, counts))[seq_along(counts)])
  )
}

#' @rdname write_seq_model
#' @export
read_seq_model <- function(path) {
  check_string(path)
  path <- sub("\\.json$", "", path)
  files <- paste0(path, c(".json", ".bin"))
  if (!all(file.exists(files))) {
    stop_argument("path", "must be that of a .json and a .bin file that exist", describe(path))
  }
  head <- tryCatch(jsonlite::read_json(files[1]), error = function(e) {
    stop_mrl("data", "`", basename(files[1]), "` is no JSON: ", conditionMessage(e))
  })
  need <- c("format", "version", "length", "alphabet", "layers", "outputs", "n_floats", "tensors")
  if (!is.list(head) || !all(need %in% names(head)) ||
    !identical(head$format, "mrlearn-seq-model") || !identical(as.double(head$version), 1)) {
    stop_mrl("data", "`", basename(files[1]), "` does not describe a model in version 1 of the ",
      "format of write_seq_model().")
  }
  model <- described_model(head, basename(files[1]))
  model$parameters <- read_tensors(head, model, files[2])
  model
}

# The model without its parameters; what is wrong with the description is told of the file.
described_model <- function(head, file) {
  layer <- function(x) {
    x$input <- if (is.null(x$input)) NULL else as.character(unlist(x$input))
    do.call(seq_layer, x)
  }
  wrong <- function(e) {
    stop_mrl("data", "`", file, "` describes no model: ", conditionMessage(e))
  }
  names <- as.character(unlist(head$output_names))
  tryCatch(
    seq_model(lapply(head$layers, layer),
      length = head$length, outputs = as.character(unlist(head$outputs)),
      output_names = if (length(names)) names, alphabet = head$alphabet,
      unknown = if (is.null(head$unknown)) 0 else head$unknown
    ),
    error = wrong
  )
}

# All parameters in the model's order, from tensors in any order and with any order of axes.
read_tensors <- function(head, model, file) {
  n <- head$n_floats
  if (!is.numeric(n) || length(n) != 1L || !identical(as.double(n) * 4, file.size(file)) ||
    n < model$n_parameters) {
    stop_mrl("data", "`", basename(file), "` has ", file.size(file), " bytes; the model has ",
      model$n_parameters, " parameters and its description says ", format(n[1]), " floats.")
  }
  blob <- readBin(file, "numeric", n, size = 4L, endian = "little")
  tensors <- seq_tensors(model)
  found <- vapply(head$tensors, function(x) {
    names <- if (is.list(x)) unlist(x[c("layer", "tensor")])
    paste(if (length(names) == 2L) names, collapse = "\r")
  }, "")
  at <- match(paste(tensors$layer, tensors$tensor, sep = "\r"), found)
  if (anyNA(at)) {
    i <- which(is.na(at))[1]
    stop_mrl("data", "The description lacks `", tensors$tensor[i], "` of layer \"",
      tensors$layer[i], "\".")
  }
  types <- model$shapes$type[match(tensors$layer, model$shapes$layer)]
  parts <- lapply(seq_along(at), function(i) {
    read_tensor(head$tensors[[at[i]]], blob, tensors$shape[[i]], types[i])
  })
  out <- unlist(parts)
  if (!all(is.finite(out))) {
    stop_mrl("data", "`", basename(file), "` has parameters that are not finite.")
  }
  out
}

# Numbers of a tensor in the model's order of axes, the last one fastest.
read_tensor <- function(x, blob, shape, type) {
  axes <- if (type == "conv") c("taps", "in", "out") else c("positions", "channels", "out")
  axes <- if (x$tensor == "weight") axes else "channels"
  given <- if (is.null(x$axes)) axes else as.character(unlist(x$axes))
  order <- match(axes, given)
  numbers <- function(name) suppressWarnings(as.double(unlist(x[[name]])))
  has <- numbers("shape")
  offset <- c(numbers("offset"), NA)[1]
  if (length(given) != length(axes) || anyNA(order) || length(has) != length(axes) ||
    !identical(has[order], as.double(shape)) || is.na(offset) || offset < 0 ||
    offset + prod(shape) > length(blob) || offset != round(offset)) {
    stop_mrl("data", "Tensor `", x$tensor, "` of layer \"", x$layer, "\" must have shape (",
      paste(axes, shape, sep = " = ", collapse = ", "), ") and lie within the blob.")
  }
  part <- array(blob[offset + seq_len(prod(shape))], rev(has)) # R's first axis is the fastest
  as.vector(aperm(part, rev(length(axes) + 1L - order)))
}
