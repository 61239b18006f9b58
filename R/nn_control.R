# Settings of neural networks: made and checked in one place, used by every network estimator.

nn_activations <- c("identity", "relu", "leaky_relu", "gelu", "tanh", "sigmoid", "softplus")
nn_optimizers <- c("sgd", "adam", "adamw", "amsgrad")
nn_schedules <- c("constant", "cosine", "plateau")
nn_boot_types <- c("warm", "half")

# One set for all estimators and designs, and those of other tools.
nn_presets <- list(
  mrlearn = list(
    hidden = list(c(64L, 32L), c(64L, 32L)), activation = "softplus", batch_norm = TRUE,
    dropout = 0, epochs = NULL, batch_size = NULL, learning_rate = 2e-2, optimizer = "adamw",
    weight_decay = 1e-4, patience = 30L, validation = 0.2, schedule = "cosine", clip = 1,
    refit = TRUE, boot_epochs = 1L
  ),
  `ml-mr` = list(
    hidden = list(c(128L, 64L), c(64L, 32L)), activation = "gelu", batch_norm = TRUE,
    dropout = 0, epochs = 1000L, batch_size = 10000L, learning_rate = 5e-4, optimizer = "adam",
    weight_decay = 1e-4, patience = 20L, validation = 0.2, schedule = "constant", clip = 0,
    refit = FALSE, boot_epochs = 5L
  )
)

#' Settings of neural networks
#'
#' How networks are built and trained, for every estimator that has a `control` argument. What is
#' not given comes from the preset. The defaults are one set for all estimators and designs; they
#' were chosen among some thirty on data sets of [sim_nonlinear()] with the quadratic effect and
#' 20,000 or 100,000 people (seeds 1 to 4), the numbers of rows and epochs on [sim_demand()] (seeds
#' 1 to 8).
#'
#' A hidden layer is a dense layer, then batch norm and the activation, then dropout. Inputs and
#' outcome are standardised inside, so learning rates need not know their units. Training goes
#' through the training rows in random batches of nearly equal size; after each epoch the loss of
#' the validation rows is computed, training stops when it has not fallen for `patience` epochs, and
#' the weights of the best epoch are kept.
#'
#' @param preset `"mrlearn"`, or `"ml-mr"` for what that tool does: batch norm, batches of 10,000,
#'   Adam with learning rate 5e-4 and no schedule, no closed forms.
#' @param hidden Units of the hidden layers: a vector of whole numbers for every network, or a list
#'   of two, first stage and outcome. `integer(0)` makes a network linear.
#' @param activation `"relu"`, `"leaky_relu"` (slope 0.01), `"gelu"`, `"tanh"`, `"sigmoid"`,
#'   `"softplus"` or `"identity"`.
#' @param batch_norm Batch normalisation in the hidden layers?
#' @param dropout Share of the hidden units that are dropped, at least 0 and below 1.
#' @param epochs The most passes over the training rows. By default with the preset `"mrlearn"` 200,
#'   fewer above 80,000 rows (16 million over their number), at least 50.
#' @param batch_size Rows of a batch; more than there are means all. By default with the preset
#'   `"mrlearn"` a fortieth of the rows, at least 32 and at most 2000.
#' @param learning_rate The first learning rate.
#' @param optimizer `"adamw"`, `"adam"`, `"amsgrad"` or `"sgd"`.
#' @param weight_decay Decay of the weights (not of constants and scales): taken off them by
#'   `"adamw"`, added to the gradient by the others.
#' @param patience Epochs without a new lowest loss after which training stops; 0 for never.
#' @param validation Share of the rows that are held out, at least 0 and below 1. With 0 training is
#'   judged by its own loss and the last weights are kept.
#' @param schedule `"cosine"` (from the first rate to `min_rate` of it over `epochs`), `"plateau"`
#'   (times `factor` after `schedule_patience` epochs without a new lowest loss) or `"constant"`.
#' @param clip Largest norm of the gradient; 0 for none.
#' @param refit Solve the first stage's mean and the last layer of the outcome network in closed
#'   form after training? For [iv_quantile()] and [iv_deep()].
#' @param boot_type How replicates are made (`n_boot` of [iv_quantile()], [iv_deep()] and
#'   [iv_dfiv()]). `"warm"`: rows are drawn with replacement, and training goes on from the fit's
#'   weights: quick, and right for averages over people. `"half"`: half of the rows (clusters), each
#'   once, are fitted from fresh weights. Such fits vary around that of all rows as this does around
#'   the truth, also where much depends on what the training stops at: take it for [cate()]. Each
#'   takes about half of the fit's own time. Not for [iv_dfiv()].
#' @param boot_epochs Epochs for which a `"warm"` replicate goes on training (1; with the preset
#'   `"ml-mr"`, which has no closed forms, 5); 0 for the closed
#'   forms alone.
#' @param boot_rate Its constant learning rate, as a part of `learning_rate`.
#' @param momentum Of `"sgd"`.
#' @param betas,epsilon Decay rates of the two moments of Adam, and what keeps it from dividing by
#'   0.
#' @param min_rate Lowest learning rate, as a part of the first.
#' @param factor,schedule_patience Of `"plateau"`.
#' @return A list of class `nn_control`.
#' @examples
#' nn_control()
#' nn_control("ml-mr", epochs = 50)
#' nn_control(hidden = integer(0))
#' @export
nn_control <- function(preset = c("mrlearn", "ml-mr"), hidden = NULL, activation = NULL,
                       batch_norm = NULL, dropout = NULL, epochs = NULL, batch_size = NULL,
                       learning_rate = NULL, optimizer = NULL, weight_decay = NULL,
                       patience = NULL, validation = NULL, schedule = NULL, clip = NULL,
                       refit = NULL, boot_epochs = NULL, boot_rate = 0.1, momentum = 0.9,
                       betas = c(0.9, 0.999), epsilon = 1e-8, min_rate = 0, factor = 0.5,
                       schedule_patience = 5, boot_type = c("warm", "half")) {
  preset <- check_choice(preset, c("mrlearn", "ml-mr"))
  base <- nn_presets[[preset]]
  given <- mget(names(base), environment())
  given <- given[!vapply(given, is.null, NA)]
  base[names(given)] <- given
  base <- c(list(preset = preset), base, list(
    boot_rate = boot_rate, momentum = momentum, betas = betas,
    epsilon = epsilon, min_rate = min_rate, factor = factor,
    schedule_patience = schedule_patience, boot_type = check_choice(boot_type, nn_boot_types)
  ))
  check_nn_values(base)
}

check_nn_values <- function(v) {
  v$hidden <- check_hidden(v$hidden)
  v$activation <- check_choice(v$activation, nn_activations, "activation")
  check_flag(v$batch_norm, "batch_norm")
  v$dropout <- check_share(v$dropout, "dropout")
  if (!is.null(v$epochs)) {
    v$epochs <- check_count(v$epochs, "epochs")
  }
  if (!is.null(v$batch_size)) {
    v$batch_size <- check_count(v$batch_size, "batch_size")
  }
  v$learning_rate <- check_number(v$learning_rate, "learning_rate", min = 0, open = TRUE)
  v$optimizer <- check_choice(v$optimizer, nn_optimizers, "optimizer")
  v$weight_decay <- check_number(v$weight_decay, "weight_decay", min = 0)
  v$patience <- check_count(v$patience, "patience", min = 0)
  v$validation <- check_share(v$validation, "validation")
  v$schedule <- check_choice(v$schedule, nn_schedules, "schedule")
  v$clip <- check_number(v$clip, "clip", min = 0)
  check_flag(v$refit, "refit")
  v$boot_epochs <- check_count(v$boot_epochs, "boot_epochs", min = 0)
  v$boot_rate <- check_number(v$boot_rate, "boot_rate", min = 0)
  v$boot_type <- check_choice(v$boot_type, nn_boot_types, "boot_type")
  v$momentum <- check_share(v$momentum, "momentum")
  v$betas <- check_doubles(v$betas, "betas", n = 2)
  for (beta in v$betas) {
    check_share(beta, "betas")
  }
  v$epsilon <- check_number(v$epsilon, "epsilon", min = 0, open = TRUE)
  v$min_rate <- check_number(v$min_rate, "min_rate", min = 0, max = 1)
  v$factor <- check_number(v$factor, "factor", min = 0, max = 1, open = TRUE)
  v$schedule_patience <- check_count(v$schedule_patience, "schedule_patience")
  structure(v, class = "nn_control")
}

check_share <- function(x, arg) {
  if (!is.numeric(x) || length(x) != 1L || !is.finite(x) || x < 0 || x >= 1) {
    stop_argument(arg, "must be one number, at least 0 and below 1", describe(x))
  }
  as.double(x)
}

# A list of two integer vectors, first stage and outcome.
check_hidden <- function(hidden) {
  if (!is.list(hidden)) {
    hidden <- list(hidden, hidden)
  }
  if (length(hidden) != 2L) {
    stop_argument("hidden", "must be a vector, or a list of two: first stage and outcome",
      describe(hidden))
  }
  lapply(hidden, check_layer_sizes)
}

# 20 layers of 10,000 units are more than the core or a machine takes.
check_layer_sizes <- function(sizes) {
  ok <- is.null(sizes) || is.numeric(sizes) && is.null(dim(sizes)) && all(is.finite(sizes)) &&
    all(sizes == round(sizes)) && all(sizes >= 1 & sizes <= 10000) && length(sizes) <= 20L
  if (!ok) {
    stop_argument("hidden", "must have whole numbers from 1 to 10000, at most 20 of them",
      if (is.numeric(sizes)) paste(utils::head(sizes, 5), collapse = ", ") else describe(sizes))
  }
  as.integer(sizes)
}

check_control <- function(control) {
  if (!inherits(control, "nn_control")) {
    stop_argument("control", "must be made by nn_control()", describe(control))
  }
  check_nn_values(unclass(control))
}

# How many of n rows are held out. At least two are left to train on.
held_out_rows <- function(control, n) {
  n_valid <- if (control$validation > 0) max(1, round(control$validation * n)) else 0
  if (n_valid > n - 2L) {
    stop_mrl("data", "Of ", n, " rows ", n_valid, " are held out by `validation` = ",
      format(control$validation), ": fewer than 2 are left to train on.")
  }
  as.integer(n_valid)
}

# A fixed size is too few steps an epoch for small data, or too many for large ones.
batch_rows <- function(control, n) {
  if (is.null(control$batch_size)) {
    return(as.integer(max(32, min(2000, round(n / 40)))))
  }
  control$batch_size
}

# The number of steps stays about the same where batches no longer grow with the rows.
epochs_most <- function(control, n) {
  if (is.null(control$epochs)) {
    return(as.integer(max(50, min(200, round(16e6 / n)))))
  }
  control$epochs
}

# What the core reads: words as their numbers. n: rows.
nn_settings <- function(control, n) {
  list(
    hidden_first = control$hidden[[1]], hidden_second = control$hidden[[2]],
    activation = match(control$activation, nn_activations) - 1L,
    batch_norm = control$batch_norm, dropout = control$dropout, epochs = epochs_most(control, n),
    batch_size = batch_rows(control, n), learning_rate = control$learning_rate,
    optimizer = match(control$optimizer, nn_optimizers) - 1L,
    weight_decay = control$weight_decay, patience = control$patience,
    n_valid = held_out_rows(control, n), schedule = match(control$schedule, nn_schedules) - 1L,
    clip = control$clip, momentum = control$momentum, betas = control$betas,
    epsilon = control$epsilon, min_rate = control$min_rate, factor = control$factor,
    schedule_patience = control$schedule_patience
  )
}

#' @export
print.nn_control <- function(x, ...) {
  sizes <- vapply(x$hidden, function(v) if (length(v)) paste(v, collapse = "-") else "linear", "")
  extras <- c(
    if (x$batch_norm) "batch norm",
    if (x$dropout > 0) paste("dropout", format(x$dropout))
  )
  schedule <- switch(x$schedule,
    constant = "", paste0(" (", x$schedule, ")")
  )
  cat("Networks (", x$preset, "): ", sizes[1], " first stage, ", sizes[2], " outcome; ",
    paste(c(x$activation, extras), collapse = ", "), "\n",
    "Training: ", x$optimizer, ", rate ", format(x$learning_rate), schedule, ", weight decay ",
    format(x$weight_decay), ", batches of ",
    if (is.null(x$batch_size)) "n / 40" else format(x$batch_size, scientific = FALSE), "\n",
    "  at most ", if (is.null(x$epochs)) "200" else x$epochs, " epochs, ",
    if (x$patience > 0L) paste0("patience ", x$patience, ", "),
    format(100 * x$validation), " % of the rows held out",
    if (x$clip > 0) paste0(", gradients clipped at ", format(x$clip)), "\n",
    if (x$refit) "  last layers solved in closed form\n",
    sep = ""
  )
  invisible(x)
}
