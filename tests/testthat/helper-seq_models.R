# The published models of the shared data, from their flat weights (which are too large for the
# repository), and slow versions of what the core computes fast.

read_manifest <- function(dir) {
  manifest <- utils::read.delim(file.path(dir, "weights_manifest.tsv"))
  names(manifest)[match("offset_floats", names(manifest), 0)] <- "offset"
  blob <- readBin(file.path(dir, "weights_f32.bin"), "numeric", sum(manifest$n_floats),
    size = 4L, endian = "little"
  )
  list(table = manifest, blob = blob)
}

# Keras models: layers.tsv tells the order, the blob has the parameters in ours.
keras_like_model <- function(dir, length, layers, output_names) {
  seq_model(layers, length,
    output_names = output_names, parameters = read_manifest(dir)$blob
  )
}

mpra_model <- function() {
  dir <- shared_data("models", "mpra_dragonn")
  block <- function() {
    list(
      seq_layer("conv", units = 120, taps = 5), seq_layer("activation", activation = "relu"),
      seq_layer("batch_norm", epsilon = 1e-3), seq_layer("dropout", rate = 0.1)
    )
  }
  layers <- c(block(), block(), block(), list(seq_layer("flatten"), seq_layer("dense", units = 12)))
  keras_like_model(dir, 145, layers, reference(dir, "random20")$outputs)
}

tal1_model <- function(dir = shared_data("models", "tal1_gata_sim"), probability = FALSE) {
  layers <- list(
    seq_layer("conv", units = 50, taps = 11), seq_layer("activation", activation = "relu"),
    seq_layer("conv", units = 50, taps = 11), seq_layer("activation", activation = "relu"),
    seq_layer("average_pool", size = 180), seq_layer("flatten"),
    seq_layer("dense", units = 50), seq_layer("activation", activation = "relu"),
    seq_layer("dropout", rate = 0.5), seq_layer("dense", units = 3),
    if (probability) seq_layer("activation", activation = "sigmoid")
  )
  keras_like_model(dir, 200, layers[lengths(layers) > 0], reference(dir, "random20")$outputs)
}

bpnet_layers <- function() {
  relu <- function(name) seq_layer("activation", activation = "relu", name = name)
  layers <- list(
    seq_layer("conv", units = 64, taps = 21, padding = "same", name = "iconv"), relu("h0")
  )
  for (i in 1:8) {
    layers <- c(layers, list(
      seq_layer("conv", units = 64, taps = 3, padding = "same", dilation = 2^i,
        name = paste0("rconvs.", i - 1), input = paste0("h", i - 1)),
      relu(paste0("r", i)),
      seq_layer("add", input = paste0(c("h", "r"), c(i - 1, i)), name = paste0("h", i))
    ))
  }
  c(layers, list(
    seq_layer("conv", units = 2, taps = 75, padding = "same", name = "fconv"),
    seq_layer("crop", left = 557, right = 557, name = "profile"),
    seq_layer("global_lse", name = "lse"),
    seq_layer("crop", left = 520, right = 520, input = "h8"), seq_layer("global_average"),
    seq_layer("dense", units = 1, name = "linear")
  ))
}

# PyTorch's order (out, in, taps) to ours: taps, in, out with the last one fastest.
from_torch <- function(values, shape) {
  if (length(shape) < 2) {
    return(values)
  }
  as.vector(aperm(array(values, rev(shape)), if (length(shape) == 3) c(3, 2, 1) else c(2, 1)))
}

bpnet_model <- function(outputs = c("linear", "lse"), names = reference(
  shared_data("models", "bpnet_lite_example"), "random20")$outputs) {
  dir <- shared_data("models", "bpnet_lite_example")
  read <- read_manifest(dir)
  parts <- lapply(seq_len(nrow(read$table)), function(i) {
    row <- read$table[i, ]
    shape <- as.numeric(strsplit(row$shape, "x")[[1]])
    from_torch(read$blob[row$offset + seq_len(row$n_floats)], shape)
  })
  seq_model(bpnet_layers(), 2114,
    outputs = outputs, output_names = names, parameters = unlist(parts)
  )
}

# Recorded predictions and their sequences.
reference <- function(dir, what, prefix = "predictions_") {
  table <- utils::read.csv(file.path(dir, paste0(prefix, what, ".csv")), check.names = FALSE)
  list(
    sequences = read_fasta(file.path(dir, paste0(what, ".fa"))),
    outputs = names(table)[-1], values = as.matrix(table[-1])
  )
}

# Largest error relative to the output's scale: its largest size among the recorded numbers.
relative_error <- function(found, recorded) {
  scale <- apply(abs(recorded), 2, max)
  max(abs(found - recorded) / rep(scale, each = nrow(recorded)))
}

# Predictions of each mutant less that of its sequence.
slow_effects <- function(model, sequences, effects) {
  output <- model$output_names[1]
  variants <- unique(effects[c("sequence", "position", "alt")])
  mutants <- sequences[variants$sequence]
  substr(mutants, variants$position, variants$position) <- variants$alt
  after <- as.matrix(predict(model, unname(mutants))[-1])
  before <- as.matrix(predict(model, sequences)[-1])
  rownames(before) <- names(sequences)
  as.vector(t(after - before[variants$sequence, , drop = FALSE]))
}
