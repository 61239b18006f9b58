# The published representation of instruments: an autoencoder whose valid part has one law in all
# environments and is independent of the other part. See R/latent_ssa.R for what a representation
# is, src/core/iv_latent.h for the objective.

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
    relevance = control$relevance, entropy = control$entropy, neighbours = control$neighbours,
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

# Of the latent (n, V + W): what becomes [V | W], `center` and `transform` for apply_linear(), with
# `values` and `gate` as of ssa_rotation().
split_autoencoder <- function(latent, environment, latent_dim, control, n_threads) {
  found <- ssa_rotation(latent, environment, latent_dim, n_threads, learned = TRUE)
  if (control$split == "ssa") {
    return(found)
  }
  w <- latent[, -seq_len(latent_dim[["V"]]), drop = FALSE]
  found$gate <- learned_gate(found, w, environment, latent_dim, latent)
  found$center <- colMeans(latent)
  found$transform <- diag(ncol(latent))
  found
}

# W as it was learned must be stationary, not only some rotation of the latent, and agree with the
# most stationary rotation: the threshold of eigenvalues alone lets some percent of V through.
learned_gate <- function(found, w, environment, latent_dim, latent) {
  worst <- max(stationarity(w, environment))
  gate <- found$gate
  gate$statistic <- worst
  gate <- gate_also(gate, worst <= gate$threshold, paste0("the learned W is not stationary: its ",
    "largest eigenvalue is ", signif(worst, 2), ", above ", signif(gate$threshold, 2)))
  stationary <- apply_linear(found$center, found$transform, latent_dim, latent)$w
  agree <- min(stats::cancor(stationary, w)$cor)^2
  gate <- gate_also(gate, agree >= 0.99, paste0("the learned W shares only ",
    signif(100 * agree, 3), " % with the most stationary directions of the latent"))
  if (gate$passed) {
    gate$reason <- paste0("the largest eigenvalue of the learned W is ", signif(worst, 2),
      ", at most ", signif(gate$threshold, 2))
  }
  gate
}

# What the method asks besides.
autoencoder_gate <- function(found, latent, environment, latent_dim, r2, control, seed) {
  gate <- gate_also(found$gate, r2 >= control$least_r2, paste0("the decoder explains ",
    signif(100 * r2, 3), " % of the instruments' variance, less than ", 100 * control$least_r2,
    " %"))
  dv <- latent_dim[["V"]]
  gate <- gate_also(gate, control$decoder != "mlp" || max(environment) > dv, paste0("an MLP as ",
    "decoder assumes no form of the mixing and needs ", dv + 1L, " environments for ", dv,
    " dimensions of V, not ", max(environment)))
  if (gate$passed) {
    gate$reason <- paste0(gate$reason, ", and the decoder explains ", signif(100 * r2, 4),
      " % of the instruments' variance")
  }
  parts <- apply_linear(found$center, found$transform, latent_dim, latent)
  gate_independence(gate, parts, environment, seed)
}

autoencoder_history <- function(history, epochs) {
  colnames(history) <- c("loss", "mse", "mmd", "hsic", "entropy", "relevance", "learning_rate")
  data.frame(
    restart = rep(seq_len(nrow(history) / epochs), each = epochs),
    epoch = rep(seq_len(epochs), nrow(history) / epochs), history
  )
}

# All restarts: list(params, history, verdict, n_encoder, held_out), with the rows of x held out.
# exposure: a matrix with its rows, or NULL where settings$relevance is 0.
run_autoencoder <- function(x, environment, start, settings, exposure = NULL) {
  order <- order(environment)
  out <- .Call(C_autoencoder_fit, x[order, , drop = FALSE], tabulate(environment),
    if (!is.null(exposure)) exposure[order, , drop = FALSE], start, settings)
  check_status(out$status, "training an autoencoder of the instruments")
  out$value$held_out <- sort(order[out$value$held_out])
  out$value
}

latent_autoencoder <- function(z, environment, latent_dim, control = list(), seed = 0,
                               n_threads = 1L, exposure = NULL) {
  started <- proc.time()[["elapsed"]]
  control <- read_latent_control(control)
  settings <- autoencoder_settings(control, latent_dim, seed, n_threads)
  inputs <- prepare_inputs(z, control$inputs)
  x <- apply_inputs(inputs, z)
  if (ncol(x) < sum(latent_dim)) {
    stop_rank(ncol(x), sum(latent_dim))
  }
  start <- if (control$start == "ssa") ssa_start(x, environment, latent_dim, n_threads)
  exposure <- if (control$relevance > 0) {
    apply_inputs(prepare_inputs(exposure, "standardised"), exposure)
  }
  out <- run_autoencoder(x, environment, start, settings, exposure)
  best <- choose_restart(out$verdict, control$least_r2)
  network <- list(params = out$params[seq_len(out$n_encoder), best],
    inputs = inputs, settings = settings)
  latent <- encode_latent(network, z)
  r2 <- 1 - out$verdict[best, 3]
  found <- split_autoencoder(latent, environment, latent_dim, control, n_threads)
  new_representation("autoencoder", latent_dim, network = network, center = found$center,
    transform = found$transform, r2 = r2,
    restarts = data.frame(mmd = out$verdict[, 1], hsic = out$verdict[, 2],
      r2 = 1 - out$verdict[, 3]),
    best = best, held_out = out$held_out, eigenvalues = found$values,
    gate = autoencoder_gate(found, latent, environment, latent_dim, r2, control, seed),
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
  apply_linear(representation$center, representation$transform, representation$latent_dim,
    encode_latent(representation$network, z))
}
