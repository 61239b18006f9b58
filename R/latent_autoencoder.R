# The published representation of instruments: an autoencoder whose valid part has one law in all
# environments and is independent of the other part. See R/latent_ssa.R for what a representation
# is, src/core/iv_latent.h for the objective.

latent_coders <- c("linear", "polynomial", "mlp")
latent_kernels <- c("poly", "gaussian", "moments")

#' Settings of the autoencoder of iv_latent()
#'
#' With `method = "autoencoder"` [iv_latent()] trains an encoder from the instruments to a latent
#' \eqn{(V, W)} and a decoder back, by the loss
#' \deqn{r MSE + \lambda_1 MMD^2(W) + \lambda_2 HSIC(V, W) - \lambda_4 \log\det Cov(V, W)}
#' of Huang, Robinson & Locatello (2026): the mean of \eqn{MMD^2} over pairs of environments makes
#' the law of \eqn{W} the same in all of them, HSIC makes the parts independent within environments.
#' It needs a reconstruction without error, and has local optima: of several restarts the one with
#' the least \eqn{MMD^2} of rows held out is kept, among those that reconstruct.
#'
#' The error of reconstruction is that of the instruments' principal components, each scaled to
#' variance one (`inputs = "sphered"`): the latents themselves may have a tiny share of the
#' instruments' variance, as with polynomials, and then each column, standardised, can be
#' reconstructed well from a latent that is wrong. Noise of measurement is amplified where the
#' instruments are nearly collinear; `inputs = "standardised"` is the error of the columns.
#'
#' The published loss depends on the scale of the latent, which the decoder can undo, so that all
#' penalties can be made small without meaning anything. By default (`scale = "whitened"`) \eqn{V}
#' and \eqn{W} are therefore whitened, each by itself, in every batch, before penalties and decoder
#' see them. `scale = "published"` is the loss as published: raw latents, HSIC of all rows counted
#' twice beside the sum over environments, the log determinant by environment.
#'
#' @param encoder,decoder `"linear"`, `"polynomial"` (linear in the monomials of its inputs up to
#'   `degree`) or `"mlp"`: dense layers with rectifiers, in the encoder with layer norm (the
#'   published encoder). Where the instruments are as many independent polynomials as there are
#'   monomials, the default, a linear encoder and a polynomial decoder, can be exact; an MLP assumes
#'   less and needs more epochs and a smaller learning rate.
#' @param degree Of polynomials.
#' @param hidden Units of the hidden layers of an MLP.
#' @param kernel Of MMD and HSIC: `"poly"`, \eqn{(x'y + 1)^2}, in time linear in the rows;
#'   `"gaussian"`, five bandwidths about the median distance of a standard normal sample, quadratic
#'   in the rows; `"moments"`: means and covariances for MMD, `"poly"` for HSIC.
#' @param scale See above.
#' @param reconstruction,mmd,hsic,entropy Weights \eqn{r}, \eqn{\lambda_1}, \eqn{\lambda_2},
#'   \eqn{\lambda_4}. `reconstruction` is by default 10 with a linear decoder, else 100.
#' @param neighbours 0: the entropy is the log determinant above; else that of \eqn{W} in the unit
#'   cube (its normal distribution function), by the distance to this nearest neighbour, 5, say
#'   (Kozachenko & Leonenko 1987).
#' @param epochs,batch_size Passes over the rows of the smallest environment, and rows of each
#'   environment in a batch.
#' @param inputs See above.
#' @param learning_rate Of AdamW; by default 0.002 with an MLP encoder, else 0.03.
#' @param weight_decay,clip Of AdamW; largest norm of the gradient, 0 for none.
#' @param schedule `"cosine"`, `"plateau"` (half the rate after 20 epochs without a lower loss) or
#'   `"constant"`.
#' @param restarts Number of starts with weights of their own.
#' @param start `"random"`, or `"ssa"`: a linear encoder starts at the closed form for linear
#'   mixing.
#' @param n_valid Rows of each environment held out, at most a fifth.
#' @param least_r2 What a reconstruction must explain of the rows held out.
#' @return A list of class `latent_control`, for the `control` of [iv_latent()].
#' @references Huang, Robinson & Locatello (2026). arXiv:2602.19782.
#' @examples
#' latent_autoencoder_control(encoder = "mlp", decoder = "mlp", epochs = 700)
#' @export
latent_autoencoder_control <- function(encoder = c("linear", "polynomial", "mlp"),
                                       decoder = c("polynomial", "linear", "mlp"), degree = 3,
                                       hidden = c(128, 128),
                                       kernel = c("poly", "gaussian", "moments"),
                                       scale = c("whitened", "published"),
                                       inputs = c("sphered", "standardised"),
                                       reconstruction = NULL, mmd = 1, hsic = 1, entropy = 0.01,
                                       neighbours = 0,
                                       epochs = 200, batch_size = 500, learning_rate = NULL,
                                       weight_decay = 1e-4, clip = 1,
                                       schedule = c("cosine", "plateau", "constant"),
                                       restarts = 5, start = c("random", "ssa"), n_valid = 2000,
                                       least_r2 = 0.99) {
  encoder <- check_choice(encoder, c("linear", "polynomial", "mlp"))
  decoder <- check_choice(decoder, c("polynomial", "linear", "mlp"))
  start <- check_choice(start, c("random", "ssa"))
  if (start == "ssa" && encoder != "linear") {
    stop_argument("start", "can be \"ssa\" for a linear encoder only", describe(encoder))
  }
  if (is.null(reconstruction)) {
    reconstruction <- if (decoder == "linear") 10 else 100
  }
  if (is.null(learning_rate)) {
    learning_rate <- if (encoder == "mlp") 0.002 else 0.03
  }
  structure(
    list(
      encoder = encoder, decoder = decoder, degree = check_count(degree, max = 10),
      hidden = check_layer_sizes(hidden),
      kernel = check_choice(kernel, c("poly", "gaussian", "moments")),
      scale = check_choice(scale, c("whitened", "published")),
      inputs = check_choice(inputs, c("sphered", "standardised")),
      reconstruction = check_number(reconstruction, min = 0),
      mmd = check_number(mmd, min = 0), hsic = check_number(hsic, min = 0),
      entropy = check_number(entropy, min = 0),
      neighbours = check_count(neighbours, min = 0, max = 100), epochs = check_count(epochs),
      batch_size = check_count(batch_size),
      learning_rate = check_number(learning_rate, min = 0, open = TRUE),
      weight_decay = check_number(weight_decay, min = 0), clip = check_number(clip, min = 0),
      schedule = check_choice(schedule, c("cosine", "plateau", "constant")),
      restarts = check_count(restarts, max = 1000), start = start, n_valid = check_count(n_valid),
      least_r2 = check_number(least_r2, max = 1)
    ),
    class = "latent_control"
  )
}

# Bandwidths of a d-dimensional standard normal sample: its median distance and parts of it.
latent_bandwidths <- function(d) {
  sqrt(2 * stats::qchisq(0.5, d)) * c(0.2, 0.5, 1, 2, 5)
}

# What the core reads.
autoencoder_settings <- function(control, latent_dim, seed, n_threads) {
  hidden <- if (length(control$hidden)) control$hidden else integer(0)
  list(
    encoder = match(control$encoder, latent_coders) - 1L,
    decoder = match(control$decoder, latent_coders) - 1L, degree = control$degree,
    hidden_encoder = hidden, hidden_decoder = hidden, dim_v = as.integer(latent_dim[["V"]]),
    dim_w = as.integer(latent_dim[["W"]]), kernel = match(control$kernel, latent_kernels) - 1L,
    whiten = control$scale == "whitened", mmd = control$mmd, hsic = control$hsic,
    entropy = control$entropy, neighbours = control$neighbours,
    bandwidth_v = latent_bandwidths(latent_dim[["V"]]),
    bandwidth_w = latent_bandwidths(latent_dim[["W"]]), reconstruction = control$reconstruction,
    epochs = control$epochs, restarts = control$restarts, n_valid = control$n_valid,
    batch_size = control$batch_size, patience = 0L, learning_rate = control$learning_rate,
    optimizer = match("adamw", nn_optimizers) - 1L, weight_decay = control$weight_decay,
    clip = control$clip, schedule = match(control$schedule, nn_schedules) - 1L, momentum = 0,
    betas = c(0.9, 0.999), epsilon = 1e-8, min_rate = 0, factor = 0.5, schedule_patience = 20L,
    seed = seed, isa = isa_setting(), n_threads = n_threads
  )
}

# center (dz) and transform (dz, p) that make the instruments principal components of variance one,
# or columns of variance one. Without the components that are rounding, as in src/core/ssa.h.
prepare_inputs <- function(z, inputs) {
  center <- colMeans(z)
  cov <- crossprod(sweep(z, 2L, center)) / nrow(z)
  sd <- sqrt(diag(cov))
  sd <- ifelse(sd > 1e-12 * (1 + abs(center)), sd, 1)
  if (inputs == "standardised") {
    return(list(center = center, transform = diag(1 / sd, length(sd))))
  }
  spectrum <- eigen(cov / outer(sd, sd), symmetric = TRUE)
  kept <- spectrum$values > 1e-10 * spectrum$values[1]
  scaled <- sweep(spectrum$vectors[, kept, drop = FALSE], 2L, sqrt(spectrum$values[kept]), "/")
  list(center = center, transform = scaled / sd)
}

apply_inputs <- function(inputs, z) {
  out <- sweep(z, 2L, inputs$center) %*% inputs$transform
  storage.mode(out) <- "double"
  out
}

# The closed form for linear mixing as a linear encoder's parameters: weights (p, d), padded to a
# whole number of 16 as blocks of parameters are, then the constants.
ssa_start <- function(x, environment, latent_dim, n_threads) {
  found <- ssa_rotation(x, environment, latent_dim, n_threads)
  pad <- function(x) c(x, numeric(-length(x) %% 16))
  c(pad(found$transform), pad(-drop(found$center %*% found$transform)))
}

# The restart with the least MMD among those that reconstruct, or that nearly do best.
choose_restart <- function(verdict, least_r2) {
  r2 <- 1 - verdict[, 3]
  eligible <- is.finite(verdict[, 1]) & r2 >= min(least_r2, max(r2) - 0.01)
  which.min(ifelse(eligible, verdict[, 1], Inf))
}

# Eigenvalues (ascending) of what differs between environments within the columns of x; as in
# src/core/ssa.h, of all directions of x.
stationarity <- function(x, environment) {
  share <- tabulate(environment) / length(environment)
  x <- sweep(x, 2L, colMeans(x))
  parts <- lapply(split.data.frame(x, environment), function(rows) {
    mean <- colMeans(rows)
    list(mean = mean, cov = crossprod(sweep(rows, 2L, mean)) / nrow(rows))
  })
  root <- chol(Reduce(`+`, Map(function(part, q) q * part$cov, parts, share)))
  back <- backsolve(root, diag(ncol(x)))
  spread <- Map(function(part, q) {
    mean <- drop(part$mean %*% back)
    away <- crossprod(back, part$cov %*% back) - diag(ncol(x))
    q * (tcrossprod(mean) + 2 * crossprod(away))
  }, parts, share)
  rev(eigen(Reduce(`+`, spread), symmetric = TRUE, only.values = TRUE)$values)
}

# W as it was learned must be stationary, not only some rotation of the latent.
autoencoder_gate <- function(latent, environment, latent_dim, r2, least_r2, n_threads) {
  found <- ssa_rotation(latent, environment, latent_dim, n_threads)
  w <- latent[, -seq_len(latent_dim[["V"]]), drop = FALSE]
  worst <- max(stationarity(w, environment))
  gate <- found$gate
  gate$statistic <- worst
  gate <- gate_also(gate, worst <= gate$threshold, paste0("the learned W is not stationary: its ",
    "largest eigenvalue is ", signif(worst, 2), ", above ", signif(gate$threshold, 2)))
  gate <- gate_also(gate, r2 >= least_r2, paste0("the decoder explains ", signif(100 * r2, 3),
    " % of the instruments' variance, less than ", 100 * least_r2, " %"))
  if (gate$passed) {
    gate$reason <- paste0("the largest eigenvalue of the learned W is ", signif(worst, 2),
      ", at most ", signif(gate$threshold, 2), ", and the decoder explains ",
      signif(100 * r2, 4), " % of the instruments' variance")
  }
  list(gate = gate, eigenvalues = found$values)
}

autoencoder_history <- function(history, epochs) {
  colnames(history) <- c("loss", "mse", "mmd", "hsic", "entropy", "learning_rate")
  data.frame(
    restart = rep(seq_len(nrow(history) / epochs), each = epochs),
    epoch = rep(seq_len(epochs), nrow(history) / epochs), history
  )
}

# All restarts: list(params, history, verdict, n_encoder, held_out), with the rows of x held out.
run_autoencoder <- function(x, environment, start, settings) {
  order <- order(environment)
  out <- .Call(C_autoencoder_fit, x[order, , drop = FALSE], tabulate(environment), start, settings)
  check_status(out$status, "training an autoencoder of the instruments")
  out$value$held_out <- sort(order[out$value$held_out])
  out$value
}

latent_autoencoder <- function(z, environment, latent_dim, control = list(), seed = 0,
                               n_threads = 1L) {
  started <- proc.time()[["elapsed"]]
  control <- read_latent_control(control, "autoencoder", latent_autoencoder_control)
  settings <- autoencoder_settings(control, latent_dim, seed, n_threads)
  inputs <- prepare_inputs(z, control$inputs)
  x <- apply_inputs(inputs, z)
  if (ncol(x) < sum(latent_dim)) {
    stop_mrl("data", "The instruments have ", ncol(x), " linearly independent columns, fewer than ",
      "`latent_dim` asks for (V + W = ", sum(latent_dim), ").")
  }
  start <- if (control$start == "ssa") ssa_start(x, environment, latent_dim, n_threads)
  out <- run_autoencoder(x, environment, start, settings)
  best <- choose_restart(out$verdict, control$least_r2)
  network <- list(params = out$params[seq_len(out$n_encoder), best],
    inputs = inputs, settings = settings)
  latent <- encode_latent(network, z)
  r2 <- 1 - out$verdict[best, 3]
  judged <- autoencoder_gate(latent, environment, latent_dim, r2, control$least_r2, n_threads)
  new_representation("autoencoder", latent_dim, network = network, center = colMeans(latent),
    r2 = r2, restarts = data.frame(mmd = out$verdict[, 1], hsic = out$verdict[, 2],
      r2 = 1 - out$verdict[, 3]),
    best = best, held_out = out$held_out, eigenvalues = judged$eigenvalues,
    gate = judged$gate,
    score = out$verdict[best, 1],
    history = autoencoder_history(out$history, control$epochs), seed = seed,
    started = started)
}

# (n, V + W), V first, of any rows.
encode_latent <- function(network, z) {
  x <- apply_inputs(network$inputs, z)
  out <- .Call(C_autoencoder_encode, x, network$params, network$settings)
  check_status(out$status, "encoding the instruments")
  out$value
}

#' @export
latent_apply.latent_autoencoder <- function(representation, z) { # nolint: object_length_linter.
  latent <- sweep(encode_latent(representation$network, z), 2L, representation$center)
  v <- seq_len(representation$latent_dim[["V"]])
  list(v = latent[, v, drop = FALSE], w = latent[, -v, drop = FALSE])
}
