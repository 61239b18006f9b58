# Keras files as Keras writes them, by hdf5r, and a slow network to compare with.

skip_without_hdf5 <- function() {
  if (!requireNamespace("hdf5r", quietly = TRUE)) {
    testthat::skip("hdf5r not installed")
  }
}

# The axes of x in the order of the file: the first one slowest.
put_dataset <- function(group, name, x) {
  x <- if (is.null(dim(x))) as.double(x) else aperm(x, rev(seq_along(dim(x))))
  group$create_dataset(name, x, dtype = hdf5r::h5types$H5T_IEEE_F32LE)
}

# layers: by name, the weights by their full names in Keras' order.
write_keras <- function(file, layers, config = NULL, backend = "tensorflow", part = NULL) {
  h <- hdf5r::H5File$new(file, "w")
  on.exit(h$close_all())
  root <- if (is.null(part)) h else h$create_group(part)
  hdf5r::h5attr(root, "layer_names") <- names(layers)
  if (!is.null(backend)) {
    hdf5r::h5attr(root, "backend") <- backend
  }
  if (!is.null(config)) {
    hdf5r::h5attr(h, "model_config") <- as.character(to_json(config))
  }
  for (name in names(layers)) {
    group <- root$create_group(name)
    weights <- layers[[name]]
    if (!length(weights)) {
      next
    }
    hdf5r::h5attr(group, "weight_names") <- names(weights)
    for (i in seq_along(weights)) {
      at <- strsplit(names(weights)[i], "/")[[1]]
      inner <- group
      for (part in at[-length(at)]) {
        inner <- if (inner$exists(part)) inner[[part]] else inner$create_group(part)
      }
      put_dataset(inner, at[length(at)], weights[[i]])
    }
  }
  invisible(file)
}

to_json <- function(x) {
  jsonlite::toJSON(x, auto_unbox = TRUE, null = "null", digits = NA)
}

write_config <- function(config, file = withr::local_tempfile(.local_envir = parent.frame())) {
  writeLines(to_json(config), file)
  file
}

# The slow network: tensors (length, channels).
slow_hot <- function(sequence) {
  outer(strsplit(sequence, "")[[1]], c("A", "C", "G", "T"), "==") + 0
}

# kernel (taps, in, out); same: padding as Keras' TensorFlow has it.
slow_conv <- function(x, kernel, bias, same = FALSE, dilation = 1) {
  wide <- (dim(kernel)[1] - 1) * dilation
  if (same) {
    left <- wide %/% 2
    x <- rbind(matrix(0, left, ncol(x)), x, matrix(0, wide - left, ncol(x)))
  }
  t(vapply(seq_len(nrow(x) - wide), function(t) {
    rows <- x[t + (seq_len(dim(kernel)[1]) - 1) * dilation, , drop = FALSE]
    bias + apply(kernel, 3, function(k) sum(k * rows))
  }, bias))
}

slow_norm <- function(x, gamma, beta, mean, variance, epsilon) {
  scale <- gamma / sqrt(variance + epsilon)
  sweep(sweep(x, 2, scale, "*"), 2, beta - mean * scale, "+")
}

slow_max_pool <- function(x, size) {
  n <- nrow(x) %/% size
  t(vapply(seq_len(n), function(i) {
    apply(x[(i - 1) * size + seq_len(size), , drop = FALSE], 2, max)
  }, numeric(ncol(x))))
}

relu <- function(x) pmax(x, 0)
