# Training of sequence networks.

#' @importFrom generics fit
#' @export
generics::fit

#' Settings of the training of sequence networks
#'
#' [nn_control()] with the defaults under which the networks of Deep MR were trained: Adam with
#' AMSGrad, a constant learning rate, at most 100 epochs, patience 10, 15 % of the sequences held
#' out; but with smaller batches and a higher rate, which predict better on simulated sequences.
#' Layers are described by [seq_model()], so that `hidden`, `activation`, `batch_norm` and `dropout`
#' are not read.
#'
#' @param epochs,batch_size,learning_rate,optimizer,weight_decay,patience,validation,schedule,clip
#'   As in [nn_control()]. `batch_size = NULL`: a fortieth of the sequences, at least 32 and at most
#'   1000.
#' @param ... Other arguments of [nn_control()], as `momentum` or `min_rate`.
#' @return A list of class `nn_control`.
#' @examples
#' seq_control(epochs = 20)
#' @export
seq_control <- function(epochs = 100, batch_size = NULL, learning_rate = 3e-3,
                        optimizer = "amsgrad", weight_decay = 0, patience = 10, validation = 0.15,
                        schedule = "constant", clip = 0, ...) {
  nn_control(
    epochs = epochs, batch_size = batch_size, learning_rate = learning_rate, optimizer = optimizer,
    weight_decay = weight_decay, patience = patience, validation = validation, schedule = schedule,
    clip = clip, ...
  )
}

#' Train a sequence network
#'
#' Fits the parameters of a [seq_model()] to measured sequences by mini-batches of the gradient,
#' with early stopping on sequences that are held out. What it learns is association in the
#' measured sequences: where a confounder's motif raises an output, the network learns that too.
#'
#' Labels of squared losses are divided by their standard deviation among the sequences trained on,
#' so that outputs of different size count alike (two outputs with variances as 18 to 1 would leave
#' the smaller one untrained), wherever the output comes from a `"dense"` or `"conv"` layer, whose
#' weights then undo it: predictions are on the scale of the labels. Outputs start at the mean
#' label.
#'
#' Losses, each averaged over the outputs of its layer:
#' * `"squared"`: squared error;
#' * `"binary"`: cross-entropy of labels from 0 to 1. An output layer that is a sigmoid activation
#'   is trained through its input; any other is taken as log odds, and predicts these.
#' * `"poisson"`: counts whose log mean is the output;
#' * `"multinomial"`: counts along the positions of the layer, the output being the logits of their
#'   shares, for each channel by itself (the profile of BPNet; its count head is `"squared"` on
#'   log counts).
#'
#' @param object A [seq_model()], with or without parameters.
#' @param sequences As in [predict.seq_model()].
#' @param labels Matrix or data.frame (sequences, outputs), or a vector for one output, without
#'   missing values. Columns are matched to outputs by name where they have the names of all.
#' @param loss One loss for all output layers, or one for each: `"squared"`, `"binary"`,
#'   `"poisson"` or `"multinomial"`.
#' @param loss_weights Weight of each output layer's loss; 1 by default.
#' @param unit Which sequences belong together (a vector with one value each), as a sequence and its
#'   mutants: they are held out, or drawn again, together. `NULL`: each by itself.
#' @param valid Numbers of the sequences to hold out; `NULL`: a share of the units is drawn, see
#'   [seq_control()].
#' @param control Settings by [seq_control()] or [nn_control()].
#' @param warm_start Go on from the model's parameters? By default it starts from random ones.
#' @param bootstrap Train on a bootstrap sample of the units that are not held out?
#' @param seed One whole number, or NULL to draw one from R's generator.
#' @param checkpoint File to keep the training in while it lasts, or NULL. A training that is
#'   interrupted or killed goes on from it, to the same numbers, when it is called again with the
#'   same arguments; then the file is removed. It is R's own (RDS), which can hold code: never go on
#'   from a stranger's.
#' @param checkpoint_every Epochs between two writings of the file.
#' @param progress Show a progress bar (never inside knitr)? Or a function that is called with the
#'   phase (`"training"`), the epochs done and the most there can be.
#' @param n_threads Number of threads; the result does not depend on it.
#' @param ... Nothing else may be given.
#' @return The model with `parameters`, of class `c("seq_fit", "seq_model")`:
#'   [predict()][predict.seq_model()], [mutagenize()] and [training_history()] (losses of the scaled
#'   labels) work on it; `training` says how it was trained (`loss`, `scale`, `train` and `valid`
#'   (numbers of sequences), `best_epoch`, `stop`, `seed`, `isa`). Raises `mrlearn_error_argument`
#'   or `mrlearn_error_data` for labels that do not fit the outputs or the loss, or an output
#'   without variation, and `mrlearn_error_checkpoint` for a file of another training; warns by
#'   `mrlearn_warning_diverged` where the loss became infinite, and by
#'   `mrlearn_warning_not_trained` where no epoch improved on the start.
#' @seealso [seq_ensemble()], [seq_preset()]
#' @examples
#' sim <- sim_sequences(n = 300, length = 60, seed = 1)
#' model <- seq_model(list(
#'   seq_layer("conv", units = 4, taps = 11), seq_layer("activation", activation = "relu"),
#'   seq_layer("global_max"), seq_layer("dense", units = 2)
#' ), length = 60, output_names = c("exposure", "outcome"))
#' labels <- cbind(exposure = sim$exposure_label, outcome = sim$outcome_label)
#' unit <- ifelse(is.na(sim$parent), sim$id, sim$parent)
#' trained <- fit(model, sim$sequence, labels, unit = unit, seed = 1,
#'   control = seq_control(epochs = 5))
#' training_history(trained)
#' predict(trained, sim$sequence[1:2])
#' @export
fit.seq_model <- function(object, sequences, labels, loss = "squared", loss_weights = NULL,
                          unit = NULL, valid = NULL, control = seq_control(), warm_start = FALSE,
                          bootstrap = FALSE, seed = NULL, checkpoint = NULL, checkpoint_every = 10,
                          progress = interactive(), n_threads = mrl_threads(), ...) {
  check_no_dots(...)
  fit_sequences(object, sequences, labels, loss, loss_weights, unit, valid, control, warm_start,
    bootstrap, seed, checkpoint, checkpoint_every, progress, n_threads)
}

# stay: the checkpoint keeps a training that is done, too.
fit_sequences <- function(object, sequences, labels, loss = "squared", loss_weights = NULL,
                          unit = NULL, valid = NULL, control = seq_control(), warm_start = FALSE,
                          bootstrap = FALSE, seed = NULL, checkpoint = NULL, checkpoint_every = 10,
                          progress = interactive(), n_threads = mrl_threads(), ...,
                          stay = FALSE) {
  check_no_dots(...)
  control <- check_control(control)
  data <- seq_training_data(object, sequences, labels, loss, loss_weights, unit)
  how <- seq_keeping(checkpoint, checkpoint_every, progress, stay)
  seed <- seed_of_run(seed, how$saved)
  rows <- seq_training_rows(data, valid, control, check_flag(bootstrap), seed)
  seq_train(object, data, rows, control, check_flag(warm_start), seed, n_threads, how)
}

# Codes, labels and heads, checked; `net`: the model whose outputs are trained.
seq_training_data <- function(model, sequences, labels, loss, loss_weights, unit) {
  input <- seq_codes(sequences, model)
  n <- ncol(input$codes)
  loss <- check_losses(loss, model)
  labels <- check_seq_labels(labels, model, n)
  heads <- seq_heads(model, loss, loss_weights)
  for (h in seq_len(nrow(heads))) {
    check_head_labels(labels[, heads$first[h] + seq_len(heads$count[h]), drop = FALSE],
      heads$loss[h])
  }
  list(
    codes = input$codes, labels = labels, heads = heads, unit = check_unit(unit, n),
    net = seq_before_sigmoids(model, loss)
  )
}

check_losses <- function(loss, model) {
  known <- c("squared", "binary", "poisson", "multinomial")
  n <- length(model$outputs)
  if (!is.character(loss) || !length(loss) %in% c(1L, n) || !all(loss %in% known)) {
    stop_argument("loss", paste0("must be one, or one for each of ", n, " output layer(s), of ",
      paste0("\"", known, "\"", collapse = ", ")), describe(loss))
  }
  rep_len(loss, n)
}

# One row for each output layer; `first` from 0.
seq_heads <- function(model, loss, weights) {
  at <- match(model$outputs, model$shapes$layer)
  count <- model$shapes$length[at] * model$shapes$channels[at]
  weights <- if (is.null(weights)) rep(1, length(at)) else
    check_doubles(weights, "loss_weights", n = length(at))
  if (any(weights <= 0)) {
    stop_argument("loss_weights", "must be positive", describe(weights))
  }
  data.frame(
    loss = loss, first = cumsum(count) - count, count = count,
    channels = model$shapes$channels[at], type = model$shapes$type[at], weight = weights
  )
}

check_seq_labels <- function(labels, model, n) {
  names <- model$output_names
  labels <- if (is.data.frame(labels)) as.matrix(labels) else labels
  labels <- if (is.numeric(labels) && is.null(dim(labels))) matrix(labels) else labels
  if (!is.numeric(labels) || length(dim(labels)) != 2L || nrow(labels) != n ||
    ncol(labels) != length(names)) {
    stop_argument("labels", paste("must be numbers,", n, "sequence(s) by", length(names),
      "output(s)"), describe(labels))
  }
  if (!all(is.finite(labels))) {
    stop_argument("labels", "must be finite", count_not_finite(labels), what = "data")
  }
  if (!is.null(colnames(labels)) && setequal(colnames(labels), names)) {
    labels <- labels[, names, drop = FALSE]
  }
  storage.mode(labels) <- "double"
  labels
}

check_head_labels <- function(labels, loss) {
  if (loss == "binary" && any(labels < 0 | labels > 1)) {
    stop_argument("labels", "must be from 0 to 1 for the loss \"binary\"",
      paste(sum(labels < 0 | labels > 1), "others"), what = "data")
  }
  if (loss %in% c("poisson", "multinomial") && any(labels < 0)) {
    stop_argument("labels", paste0("must not be negative for the loss \"", loss, "\""),
      paste(sum(labels < 0), "negative ones"), what = "data")
  }
}

check_unit <- function(unit, n) {
  if (is.null(unit)) {
    return(seq_len(n))
  }
  if (!is.atomic(unit) || length(unit) != n || anyNA(unit)) {
    stop_argument("unit", paste("must be a vector with", n, "values, none missing"),
      describe(unit))
  }
  match(unit, unique(unit))
}

# A cross-entropy is of log odds: sigmoids at the end are left out.
seq_before_sigmoids <- function(model, loss) {
  names <- vapply(model$layers, function(layer) layer$name, "")
  before <- function(output, loss) {
    layer <- model$layers[[match(output, names)]]
    is_sigmoid <- layer$type == "activation" && identical(layer$activation, "sigmoid")
    if (loss == "binary" && is_sigmoid && layer$input %in% names) layer$input else output
  }
  model$outputs <- unname(unlist(Map(before, model$outputs, loss)))
  if (anyDuplicated(model$outputs)) {
    stop_mrl("argument", "A sigmoid and its input, layer \"",
      model$outputs[duplicated(model$outputs)][1], "\", cannot both be trained as outputs.")
  }
  model
}

# Numbers from 0 of the sequences to train on (a bootstrap sample has some several times) and to
# hold out.
seq_training_rows <- function(data, valid, control, bootstrap, seed) {
  unit <- data$unit
  held <- if (is.null(valid)) {
    draw_held_units(unit, control, seed)
  } else {
    seq_along(unit) %in% check_valid_rows(valid, length(unit))
  }
  train <- which(!held)
  if (length(train) < 2L) {
    stop_mrl("data", "Fewer than 2 sequences are left to train on.")
  }
  if (bootstrap) {
    groups <- split(train, unit[train])
    drawn <- rng_draw("below", length(groups), seed, 0, length(groups), purpose = "bootstrap")
    train <- sort(unlist(groups[drawn + 1], use.names = FALSE))
  }
  list(train = as.integer(train - 1L), valid = as.integer(which(held) - 1L))
}

draw_held_units <- function(unit, control, seed) {
  n <- max(unit)
  n_held <- held_out_rows(control, n)
  order <- rng_draw("permutation", n, seed, 1, purpose = "bootstrap")
  unit %in% (order[seq_len(n_held)] + 1)
}

check_valid_rows <- function(valid, n) {
  if (!is.numeric(valid) || !length(valid) || anyNA(valid) ||
    any(valid != round(valid) | valid < 1 | valid > n)) {
    stop_argument("valid", paste("must be numbers of sequences, from 1 to", n), describe(valid))
  }
  valid
}

new_seq_fit <- function(model, data, value, scale, rows, seed) {
  rows_of <- function(i) if (length(i)) i + 1L else integer()
  history <- as.data.frame(t(value$history))
  names(history) <- c("train", "validation", "learning_rate", "seconds")
  history$validation[is.nan(history$validation)] <- NA_real_
  model$parameters <- scale_outputs(value$parameters, data$net, data$heads, scale)
  model$history <- cbind(data.frame(epoch = seq_len(nrow(history))), history)
  model$training <- list(
    loss = data$heads$loss, scale = scale, train = rows_of(rows$train), valid = rows_of(rows$valid),
    best_epoch = value$best_epoch,
    stop = c("none", "epochs", "patience", "diverged")[value$stop + 1L],
    seed = seed, isa = isa_used()
  )
  class(model) <- c("seq_fit", "seq_model")
  model
}

#' @export
training_history.seq_fit <- function(fit, ...) {
  check_no_dots(...)
  fit$history
}

#' @export
print.seq_fit <- function(x, ...) {
  NextMethod()
  training <- x$training
  cat("Trained on ", big(length(training$train)), " sequences (", big(length(training$valid)),
    " held out): ", nrow(x$history), " epochs, best ", training$best_epoch, "; stopped by ",
    c(epochs = "the limit", patience = "patience", diverged = "divergence", none = "nothing")[
      training$stop], "\n", sep = "")
  invisible(x)
}
