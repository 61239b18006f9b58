# The training of a sequence network as the core does it: settings, slices with progress and
# checkpoints, warnings.

# What a run is kept in and who is told; stay: a checkpoint keeps the training that is done too.
seq_keeping <- function(checkpoint, checkpoint_every, progress, stay) {
  list(
    checkpoint = checkpoint, saved = read_checkpoint(checkpoint),
    checkpoint_every = check_count(checkpoint_every, "checkpoint_every"),
    progress = check_progress(progress), stay = stay
  )
}

seq_train <- function(model, data, rows, control, warm_start, seed, n_threads, how) {
  scale <- label_scale(data, rows$train + 1L)
  labels <- data$labels / rep(scale, each = nrow(data$labels))
  if (warm_start) {
    check_has_parameters(model)
  }
  settings <- c(seq_run_settings(data$net, n_threads), seq_train_settings(control, rows), list(
    heads = as.integer(rbind(
      match(data$heads$loss, c("squared", "binary", "poisson", "multinomial")) - 1L,
      data$heads$first, data$heads$count, data$heads$channels
    )),
    head_weights = as.double(data$heads$weight)
  ), rows)
  settings$seed <- seed
  value <- run_seq_training(list(
    codes = as.vector(data$codes), labels = as.vector(t(labels)),
    start = if (warm_start) scale_outputs(model$parameters, data$net, data$heads, 1 / scale),
    level = label_level(labels[rows$train + 1L, , drop = FALSE], data$heads)
  ), settings, how)
  warn_seq_training(value)
  new_seq_fit(model, data, value, scale, rows, seed)
}

seq_train_settings <- function(control, rows) {
  n <- length(rows$train)
  if (is.null(control$batch_size)) {
    control$batch_size <- as.integer(max(32, min(1000, round(n / 40))))
  }
  control$validation <- 0
  nn_settings(control, n)
}

run_seq_training <- function(data, settings, how) {
  keeper <- open_checkpoint(how, data, settings)
  value <- keeper$saved$value
  if (is.null(value)) {
    teller <- progress_teller(how$progress)
    on.exit(teller$close())
    value <- train_slices(function(state, until) {
      settings$until <- until
      train_seq_slice(data, settings, state)
    }, keeper, teller)
  }
  if (how$stay) keeper$save(value = value) else keeper$remove()
  value
}

# As train_slices() wants it; a training that diverged or found nothing is done too.
train_seq_slice <- function(data, settings, state) {
  out <- .Call(C_seq_train, data$codes, data$labels, data$start, data$level, state, settings)
  if (!out$status %in% c("ok", "not_finite", "no_converge")) {
    check_status(out$status, "training the network")
  }
  value <- out$value
  value$status <- out$status
  value$done <- value$stop > 0L
  value$epochs_done <- ncol(value$history)
  value$epochs_most <- settings$epochs
  value$loss <- if (value$epochs_done) value$history[1, value$epochs_done] else NA
  value
}

warn_seq_training <- function(value) {
  epochs <- ncol(value$history)
  if (value$status == "not_finite") {
    warn_mrl("diverged", "The training diverged in epoch ", epochs + 1L,
      ": its last finite weights are used. Lower `learning_rate`.")
  } else if (value$status == "no_converge") {
    warn_mrl("not_trained", "The training found nothing better than its initial weights in ",
      epochs, " epochs: its predictions are worth little.")
  }
}
