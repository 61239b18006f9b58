# Keras models in HDF5 files: opened, checked, and turned into sequence models.

#' Read a Keras model
#'
#' Turns a network that Keras saved as HDF5 (`.h5`, `.hdf5`) into a [seq_model()]. Reads weights
#' alone with the configuration in a JSON file (`model.to_json()`), and whole models
#' (`model.save()`), of Keras 1, 2 and 3, written under TensorFlow or Theano: Theano's kernels are
#' those of a true convolution and are reversed.
#'
#' Layers that are read: `Conv1D` (`Convolution1D`), and `Conv2D` (`Convolution2D`) on an image
#' whose height or width is 1 or the number of letters; `BatchNormalization`, `Activation`,
#' `ReLU`, `LeakyReLU`, `Dense`, `Dropout`, max and average pooling, global pooling, `Flatten`,
#' `Cropping1D`, `Add` (`Merge` with mode sum) and `InputLayer`, in Sequential models or in
#' Functional ones of one input. Others are refused by name, and so are strides of convolutions:
#' nothing is left out silently. What a model means is not in its file: that the letters are in
#' the order of `alphabet` and that an unknown letter was `unknown` is assumed.
#'
#' @param weights Path of the HDF5 file.
#' @param config Path of the JSON file with the configuration; `NULL`: it is in the HDF5 file.
#' @param length Number of letters, for models that take sequences of any length.
#' @param output_names,alphabet,unknown As in [seq_model()]. Letters are in the order in which the
#'   model was trained on them; `"AGCT"`, say, if they were others than A, C, G, T.
#' @param backend `"tensorflow"` or `"theano"`: what the kernels were written by. `NULL`: as the
#'   file says; Keras 1 says it by names of weights, which end in `:0` under TensorFlow.
#' @return A [seq_model()]. Raises `mrlearn_error_package` where the package hdf5r is not
#'   installed, `mrlearn_error_argument` for a missing file or length, and `mrlearn_error_data` for
#'   files that are truncated or inconsistent, and for layers that are not supported, by name.
#'   Shapes are compared with the configuration before numbers are read.
#' @seealso [read_seq_model()] for a plain format that any language can write.
#' @examples
#' \dontrun{
#' model <- read_keras_model("model_weights.h5", "model.json")
#' predict(model, read_fasta("sequences.fa"))
#' }
#' @export
read_keras_model <- function(weights, config = NULL, length = NULL, output_names = NULL,
                             alphabet = "DNA", unknown = 0, backend = NULL) {
  check_file(weights, "weights")
  length <- if (!is.null(length)) check_count(length, "length")
  backend <- if (!is.null(backend)) check_choice(backend, c("tensorflow", "theano"), "backend")
  letters <- check_alphabet(alphabet)$letters
  need_package("hdf5r", "Reading HDF5 files", "r-cran-hdf5r")
  file <- open_hdf5(weights)
  on.exit(file$close_all())
  group <- hdf5_guard(weights, keras_weight_group(file, weights))
  described <- keras_config(file, config, weights)
  settings <- list(
    length = length, n_letters = nchar(letters),
    theano = if (is.null(backend)) {
      hdf5_guard(weights, keras_is_theano(group, weights))
    } else {
      backend == "theano"
    }
  )
  source <- basename(if (is.null(config)) weights else config)
  net <- keras_guard(source, translate_keras(described, settings))
  model <- keras_guard(source, seq_model(net$layers, net$length,
    outputs = unname(net$outputs), alphabet = alphabet, unknown = unknown))
  named <- if (is.null(output_names)) keras_output_names(net, model) else output_names
  model$output_names <- check_output_names(named, model, length(model$output_names))
  check_turned_outputs(net, model)
  if (2 * model$n_parameters > file.size(weights)) { # numbers of half precision at least
    stop_mrl("data", "`", basename(weights), "` has ", file.size(weights), " bytes, too few for ",
      model$n_parameters, " parameters.")
  }
  model$parameters <- hdf5_guard(weights, keras_parameters(net, model, group, weights))
  model
}

check_file <- function(path, arg) {
  check_string(path, arg)
  if (!file.exists(path) || dir.exists(path)) {
    stop_argument(arg, "must be a file that exists", describe(path))
  }
}

# doing: what needs it, in words; debian: the name of its package there.
need_package <- function(name, doing, debian) {
  if (!requireNamespace(name, quietly = TRUE)) {
    stop_mrl("package", doing, " needs the package ", name, ": install.packages(\"", name,
      "\"), or ", debian, " on Debian and Ubuntu.")
  }
}

open_hdf5 <- function(path) {
  tryCatch(hdf5r::H5File$new(path, "r"), error = function(e) {
    stop_mrl("data", "`", basename(path), "` is no HDF5 file, or is truncated.")
  })
}

# What is wrong with a description, said of its file.
keras_guard <- function(file, expr) {
  withCallingHandlers(expr, error = function(e) {
    if (!inherits(e, "mrlearn_error_data") && !identical(e$argument, "length")) {
      stop_mrl("data", "`", file, "` describes no model: ", conditionMessage(e))
    }
  })
}

# Reads from HDF5; what fails there is the file's fault.
hdf5_guard <- function(path, expr) {
  withCallingHandlers(expr, error = function(e) {
    if (!inherits(e, "mrlearn_error")) {
      stop_mrl("data", "`", basename(path), "` cannot be read: ", first_line(conditionMessage(e)))
    }
  })
}

# An attribute of strings: character() where it is empty, NULL where it is not there. Long ones are
# in pieces `name0`, `name1`, ...
hdf5_strings <- function(object, name, path) {
  read <- function(name) {
    hdf5_guard(path, {
      if (!object$attr_exists(name)) {
        return(NULL)
      }
      attribute <- object$attr_open(name)
      on.exit(attribute$close())
      if (attribute$get_storage_size() == 0) {
        return(character())
      }
      if (attribute$get_storage_size() > file.size(path)) {
        return(NA_character_) # as no sound file has it
      }
      enc2utf8(as.character(attribute$read()))
    })
  }
  out <- read(name)
  i <- 0L
  while (is.null(out) || i > 0L) {
    piece <- read(paste0(name, i))
    if (is.null(piece)) {
      break
    }
    out <- c(out, piece)
    i <- i + 1L
  }
  if (anyNA(out)) {
    stop_mrl("data", "`", basename(path), "` has an attribute `", name, "` that is damaged.")
  }
  out
}

# The group that holds the layers' weights: the file itself, or a part of a whole model.
keras_weight_group <- function(file, path) {
  group <- if (file$exists("model_weights")) file[["model_weights"]] else file
  if (is.null(hdf5_strings(group, "layer_names", path))) {
    stop_mrl("data", "`", basename(path), "` has no weights as Keras saves them in HDF5",
      if (file$exists("layers")) " (save the whole model as .h5 from Keras 3)", ".")
  }
  group
}

keras_config <- function(file, config, weights) {
  if (is.null(config)) {
    text <- hdf5_strings(file, "model_config", weights)
    if (is.null(text)) {
      stop_argument("config", paste("must be given:", basename(weights), "holds weights alone"),
        "NULL")
    }
    source <- basename(weights)
  } else {
    check_file(config, "config")
    text <- readLines(config, warn = FALSE)
    source <- basename(config)
  }
  out <- tryCatch(
    jsonlite::parse_json(paste(text, collapse = "\n")),
    error = function(e) stop_mrl("data", "The configuration in `", source, "` is no JSON.")
  )
  if (!is.list(out) || is.null(names(out))) {
    stop_mrl("data", "The configuration in `", source, "` describes no model.")
  }
  out
}

keras_is_theano <- function(group, path) {
  backend <- hdf5_strings(group, "backend", path)
  if (length(backend)) {
    return(identical(backend[1], "theano"))
  }
  layers <- hdf5_strings(group, "layer_names", path)
  layers <- layers[vapply(layers, group$exists, NA)]
  weights <- unlist(lapply(layers, function(name) {
    hdf5_strings(group[[name]], "weight_names", path)
  }))
  !any(endsWith(as.character(weights), ":0"))
}

# Numbers flattened channel by channel may not be an output: they are in another order than ours.
check_turned_outputs <- function(net, model) {
  for (node in net$nodes) {
    if (!is.null(node$turned) && node$at %in% net$outputs && turned_sizes(node, model)[1] > 1) {
      stop_mrl("data", "Output \"", node$at, "\" is flattened with channels first, which is not ",
        "supported.")
    }
  }
}

# The names of Keras' output layers, numbered where they have several numbers.
keras_output_names <- function(net, model) {
  sizes <- with(model$shapes, (length * channels)[match(net$outputs, layer)])
  number <- function(name, size) if (size == 1) name else paste0(name, "_", seq_len(size))
  unlist(Map(number, names(net$outputs), sizes), use.names = FALSE)
}

# Length and channels of what was flattened.
turned_sizes <- function(x, model) {
  as.double(model$shapes[match(x$turned, model$shapes$layer), c("length", "channels")])
}

# All parameters in the model's order.
keras_parameters <- function(net, model, group, path) {
  tensors <- seq_tensors(model)
  parts <- lapply(unique(tensors$layer), function(name) {
    mine <- tensors$layer == name
    shapes <- stats::setNames(tensors$shape[mine], tensors$tensor[mine])
    keras_layer_parameters(net$tensors[[name]], shapes, model, group, path)
  })
  out <- unlist(parts)
  if (!all(is.finite(out))) {
    stop_mrl("data", "`", basename(path), "` has parameters that are not finite.")
  }
  out
}

# Parameters of one layer. spec: what keras_layers.R put down; shapes: of its tensors in our order.
keras_layer_parameters <- function(spec, shapes, model, group, path) {
  has <- switch(spec$type,
    batch_norm = c(scale = spec$scale, shift = spec$center, mean = TRUE, variance = TRUE),
    c(weight = TRUE, bias = spec$bias)
  )
  names <- names(has)[has]
  sets <- keras_datasets(group, spec$keras, names, path)
  read <- function(tensor) {
    if (!has[[tensor]]) {
      return(rep(as.double(tensor == "scale"), shapes[[tensor]]))
    }
    forms <- keras_forms(spec, tensor, shapes[[tensor]], model)
    keras_tensor(sets[[tensor]], forms, spec, path)
  }
  unlist(lapply(names(shapes), read))
}

# The datasets of a layer by the names that we give them; Keras keeps them in a fixed order.
keras_datasets <- function(group, layer, names, path) {
  found <- if (group$exists(layer)) hdf5_strings(group[[layer]], "weight_names", path)
  if (length(found) != length(names)) {
    stop_mrl("data", "`", basename(path), "` has ", length(found), " weight(s) of layer \"", layer,
      "\"; its configuration says ", length(names), ".")
  }
  sets <- lapply(found, function(name) {
    if (!hdf5_guard(path, group[[layer]]$exists(name))) {
      stop_mrl("data", "`", basename(path), "` lacks \"", name, "\" of layer \"", layer, "\".")
    }
    hdf5_guard(path, group[[layer]][[name]])
  })
  stats::setNames(sets, names)
}

# The forms that a tensor may have: named sizes, slowest axis first, as HDF5 has them.
keras_forms <- function(spec, tensor, shape, model) {
  turned <- if (!is.null(spec$turned)) turned_sizes(spec, model)
  if (tensor != "weight") {
    is_turned <- !is.null(turned) && spec$type == "batch_norm"
    return(list(list(sizes = c(channels = prod(shape)), turned = if (is_turned) turned)))
  }
  if (spec$type == "dense") {
    units <- shape[length(shape)]
    return(list(list(sizes = c(input = prod(shape) / units, out = units), turned = turned)))
  }
  s <- c(taps = shape[1], letter = spec$letter, input = shape[2] / spec$letter, out = shape[3])
  letter_first <- is.null(spec$axis) || spec$axis == 2
  sides <- if (letter_first) c("letter", "taps") else c("taps", "letter")
  forms <- if (is.null(spec$axis)) {
    list(c("taps", "input", "out"), c("taps", "letter", "input", "out"),
      c("out", "input", "taps", "letter"))
  } else {
    list(c(sides, "input", "out"), c("out", "input", sides))
  }
  lapply(forms, function(axes) list(sizes = s[axes]))
}

# Reads a dataset whose sizes are those of one of `forms`; as a vector in our order.
keras_tensor <- function(set, forms, spec, path) {
  has <- if (inherits(set, "H5D")) hdf5_guard(path, as.double(rev(set$dims)))
  fits <- vapply(forms, function(form) identical(has, as.double(form$sizes)), NA)
  if (!any(fits)) {
    stop_mrl("data", "A weight of layer \"", spec$keras, "\" in `", basename(path),
      "` has shape (", paste(has, collapse = ", "), "); its configuration says (",
      paste(forms[[1]]$sizes, collapse = ", "), ").")
  }
  values <- hdf5_guard(path, set$read())
  if (!is.numeric(values)) {
    stop_mrl("data", "A weight of layer \"", spec$keras, "\" in `", basename(path),
      "` is not numeric.")
  }
  form <- forms[[which(fits)[1]]]
  if (spec$type == "conv" && names(form$sizes)[1] != "channels") {
    return(keras_kernel(values, form$sizes, spec$theano))
  }
  if (is.null(form$turned)) as.vector(values) else turn_rows(values, form$turned)
}

# Our order: taps, letters or channels, out, the last one fastest.
keras_kernel <- function(values, sizes, theano) {
  x <- array(values, rev(sizes))
  names <- rev(names(sizes))
  if (theano) {
    index <- lapply(names, function(name) {
      n <- sizes[[name]]
      if (name %in% c("taps", "letter")) rev(seq_len(n)) else seq_len(n)
    })
    x <- do.call(`[`, c(list(x), index, list(drop = FALSE)))
  }
  order <- match(c("out", "input", "letter", "taps"), names)
  as.vector(aperm(x, order[!is.na(order)]))
}

# Rows in Keras' order, channel by channel, to ours, position by position. values: (units, rows) or
# (rows).
turn_rows <- function(values, sizes) {
  x <- array(values, c(length(values) / prod(sizes), sizes[1], sizes[2]))
  as.vector(aperm(x, c(1, 3, 2)))
}
