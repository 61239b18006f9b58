# Architectures of published sequence networks.

relu_layer <- function() {
  seq_layer("activation", activation = "relu")
}

#' Architectures of published sequence networks
#'
#' A [seq_model()] without parameters, to be trained by [fit()][fit.seq_model()].
#'
#' * `"simulation"`: the network of Deep MR's simulations, three convolutions of 15 filters of width
#'   7, each with batch norm and ReLU, without padding or pooling, then 30 dense units. 100 letters,
#'   2 outputs.
#' * `"basset"`: three convolutions (300, 200, 200 filters of width 19, 11, 7) with batch norm,
#'   ReLU and max pooling (3, 4, 4), two dense layers of 1000 units with dropout .3, sigmoids. 600
#'   letters, 164 outputs; train with the loss `"binary"`.
#' * `"deepsea"`: three convolutions (320, 480, 960 filters of width 8) with ReLU, max pooling of 4
#'   and dropout .2, .2, .5, a dense layer of 925 units, sigmoids. 1000 letters, 919 outputs;
#'   `"binary"`. Outputs start at the prevalence of each label ([fit()][fit.seq_model()]), which the
#'   original normalises by afterwards.
#' * `"bpnet"`: a convolution of width 25 with 64 filters, 9 dilated ones of width 3 (dilation 2,
#'   4, .., 512) with residual sums, a head for the profile (a convolution of width 25, `outputs`
#'   strands for each position) and one for log counts (a dense layer on the mean over positions).
#'   1000 letters, 2 strands; losses `c("multinomial", "squared")`.
#'
#' @param name One of the names above.
#' @param length Number of letters; by default as published.
#' @param outputs Number of outputs (BPNet: strands); by default as published.
#' @param filters Number of filters; by default as published, one number or one for each
#'   convolution (BPNet: one number).
#' @param output_names,alphabet,unknown As in [seq_model()].
#' @return A [seq_model()] without parameters.
#' @references Malina, S. et al. (2022), PLoS Comput. Biol. 18:e1009880. Kelley, D. R. et al.
#'   (2016), Genome Res. 26:990 (Basset). Zhou, J., Troyanskaya, O. G. (2015), Nat. Methods 12:931
#'   (DeepSEA). Avsec, Z. et al. (2021), Nat. Genet. 53:354 (BPNet).
#' @examples
#' seq_preset("simulation", output_names = c("exposure", "outcome"))
#' @export
seq_preset <- function(name = c("simulation", "basset", "deepsea", "bpnet"), length = NULL,
                       outputs = NULL, filters = NULL, output_names = NULL, alphabet = "DNA",
                       unknown = 0) {
  name <- check_choice(if (missing(name)) "simulation" else name,
    c("simulation", "basset", "deepsea", "bpnet"), "name")
  usual <- list(
    simulation = list(100, 2, c(15, 15, 15)), basset = list(600, 164, c(300, 200, 200)),
    deepsea = list(1000, 919, c(320, 480, 960)), bpnet = list(1000, 2, 64)
  )[[name]]
  length <- if (is.null(length)) usual[[1]] else check_count(length, "length")
  outputs <- if (is.null(outputs)) usual[[2]] else check_count(outputs, "outputs")
  filters <- if (is.null(filters)) usual[[3]] else check_filters(filters, base::length(usual[[3]]))
  layers <- switch(name,
    simulation = simulation_layers(filters, outputs),
    basset = basset_layers(filters, outputs),
    deepsea = deepsea_layers(filters, outputs),
    bpnet = bpnet_layers(filters, outputs)
  )
  seq_model(layers, length, outputs = if (name == "bpnet") c("profile", "counts"),
    output_names = output_names, alphabet = alphabet, unknown = unknown)
}

check_filters <- function(filters, n) {
  if (!is.numeric(filters) || !length(filters) %in% c(1L, n)) {
    stop_argument("filters", paste("must be one number, or", n), describe(filters))
  }
  rep_len(vapply(filters, check_count, 1L, arg = "filters"), n)
}

simulation_layers <- function(filters, outputs) {
  block <- function(units) {
    list(seq_layer("conv", units = units, taps = 7), seq_layer("batch_norm", epsilon = 1e-5),
      relu_layer())
  }
  c(do.call(c, lapply(filters, block)), list(
    seq_layer("dense", units = 30), relu_layer(), seq_layer("dense", units = outputs)
  ))
}

basset_layers <- function(filters, outputs) {
  block <- function(units, taps, size) {
    list(seq_layer("conv", units = units, taps = taps, padding = "same"),
      seq_layer("batch_norm", epsilon = 1e-5), relu_layer(), seq_layer("max_pool", size = size))
  }
  dense <- function() {
    list(seq_layer("dense", units = 1000), seq_layer("batch_norm", epsilon = 1e-5), relu_layer(),
      seq_layer("dropout", rate = 0.3))
  }
  c(do.call(c, Map(block, filters, c(19, 11, 7), c(3, 4, 4))), dense(), dense(), list(
    seq_layer("dense", units = outputs), seq_layer("activation", activation = "sigmoid")
  ))
}

deepsea_layers <- function(filters, outputs) {
  block <- function(units, rate, pools) {
    c(list(seq_layer("conv", units = units, taps = 8), relu_layer()),
      if (pools) list(seq_layer("max_pool", size = 4)), list(seq_layer("dropout", rate = rate)))
  }
  c(do.call(c, Map(block, filters, c(0.2, 0.2, 0.5), c(TRUE, TRUE, FALSE))), list(
    seq_layer("dense", units = 925), relu_layer(), seq_layer("dense", units = outputs),
    seq_layer("activation", activation = "sigmoid")
  ))
}

bpnet_layers <- function(filters, outputs) {
  conv <- function(...) seq_layer("conv", padding = "same", ...)
  layers <- list(conv(units = filters, taps = 25),
    seq_layer("activation", activation = "relu", name = "sum_0"))
  for (i in 1:9) {
    layers <- c(layers, list(
      conv(units = filters, taps = 3, dilation = 2^i),
      seq_layer("activation", activation = "relu", name = paste0("relu_", i)),
      seq_layer("add", input = paste0(c("sum_", "relu_"), c(i - 1, i)), name = paste0("sum_", i))
    ))
  }
  c(layers, list(
    conv(units = outputs, taps = 25, name = "profile"),
    seq_layer("global_average", input = "sum_9"),
    seq_layer("dense", units = outputs, name = "counts")
  ))
}
