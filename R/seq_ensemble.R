# Ensembles of sequence networks.

#' Train an ensemble of sequence networks
#'
#' Trains `n` networks of one architecture that differ in their seeds (initial weights, order of
#' batches, what is held out) and, with `bootstrap`, in what they see: each a bootstrap sample of
#' the units. Members that differ by the seed alone differ too little: they share the errors that
#' the data bring, and their standard deviation was 1.15 to 1.5 times too small for effects of
#' mutations on simulated sequences. Use `bootstrap = TRUE` where the spread is to stand for the
#' error.
#'
#' @param model A [seq_model()].
#' @param sequences,labels,... As in [fit.seq_model()], for each member.
#' @param n Number of members, at least 2.
#' @param bootstrap,unit As in [fit.seq_model()].
#' @param workers Where members are trained: `"threads"`, one after the other, each on `n_threads`
#'   threads; `"future"`, by the package future under the plan that is set, each on one thread;
#'   `"auto"`: futures if a parallel plan is set.
#' @param checkpoint Where to keep the members while the ensemble is trained, or NULL: member k in
#'   the file of this name with `.k` behind it, done or not. A run that is interrupted goes on from
#'   them, as [fit()][fit.seq_model()] does; at its end they are removed.
#' @param seed One whole number, or NULL to draw one from R's generator; member k has `seed` + k -
#'   1, and a `fit()` with that seed trains the same network.
#' @param n_threads Number of threads; the result does not depend on it.
#' @return A list of class `seq_ensemble`: `members`, each as [fit.seq_model()] returns it,
#'   `bootstrap` and `seed`. [predict()][predict.seq_ensemble()] and
#'   [mutagenize()][mutagenize.seq_ensemble()] give means and all members. Errors and warnings as
#'   of [fit.seq_model()].
#' @references Lakshminarayanan, Pritzel and Blundell (2017), NeurIPS 30 (members that differ by
#'   their seed). Efron (1979), Ann. Stat. 7:1 (bootstrap samples).
#' @examples
#' sim <- sim_sequences(n = 200, length = 60, seed = 1)
#' model <- seq_model(list(
#'   seq_layer("conv", units = 3, taps = 9), seq_layer("activation", activation = "relu"),
#'   seq_layer("global_max"), seq_layer("dense", units = 1, name = "exposure")
#' ), length = 60)
#' ensemble <- seq_ensemble(model, sim$sequence, sim$exposure_label, n = 2, seed = 1,
#'   bootstrap = TRUE, control = seq_control(epochs = 3))
#' predict(ensemble, sim$sequence[1:2])
#' mutagenize(ensemble, sim$sequence[1], positions = 10)
#' @export
seq_ensemble <- function(model, sequences, labels, n = 5, bootstrap = FALSE, unit = NULL, ...,
                         workers = c("auto", "threads", "future"), checkpoint = NULL, seed = NULL,
                         n_threads = mrl_threads()) {
  if (!inherits(model, "seq_model")) {
    stop_argument("model", "must be made by seq_model()", describe(model))
  }
  n <- check_count(n, min = 2)
  workers <- check_workers(if (missing(workers)) "auto" else workers)
  files <- if (!is.null(checkpoint)) paste0(check_string(checkpoint), ".", seq_len(n))
  seed <- seed_of_run(seed, read_checkpoint(files[1]))
  one <- function(k, n_threads) {
    fit_sequences(model, sequences, labels, bootstrap = bootstrap, unit = unit, ...,
      checkpoint = files[k], stay = TRUE, seed = seed + k - 1, n_threads = n_threads)
  }
  members <- lapply_jobs(seq_len(n), one, n_threads = if (on_futures(workers)) 1L else n_threads,
    workers = workers, doing = "training an ensemble")
  unlink(files)
  structure(list(members = members, bootstrap = bootstrap, seed = seed), class = "seq_ensemble")
}

#' Predictions and effects of an ensemble
#'
#' @param object,model A [seq_ensemble()].
#' @param sequences As in [predict.seq_model()].
#' @param members Return the members' predictions as well?
#' @param ... As in [predict.seq_model()] or [mutagenize.seq_model()]. With `n_dropout`, each
#'   network counts as that many members, one for each of its masks, one network's behind the
#'   other's.
#' @return Of `predict()`: a data.frame with `sequence` and one column for each output, the mean
#'   over members; with `members = TRUE` a list of this `mean` and `members`, an array (sequence,
#'   output, member). Of `mutagenize()`: the data.frame of [mutagenize.seq_model()] with the mean
#'   `effect` over members, its `std.error`, the standard deviation of the members' effects, and
#'   `members`, a matrix with each one's. An effect is mutant less sequence within each member, so
#'   that what members err by on both cancels.
#' @export
predict.seq_ensemble <- function(object, sequences, members = FALSE, ...) {
  predict_members(object$members, sequences, members = members, ...)
}

#' @rdname predict.seq_ensemble
#' @export
mutagenize.seq_ensemble <- function(model, sequences, ...) {
  mutagenize_members(model$members, sequences, ..., spread = TRUE)
}

#' @export
print.seq_ensemble <- function(x, ...) {
  cat("Ensemble of ", length(x$members), " networks",
    if (x$bootstrap) ", each on a bootstrap sample", "\n", sep = "")
  print(x$members[[1]])
  invisible(x)
}

#' @export
training_history.seq_ensemble <- function(fit, ...) {
  check_no_dots(...)
  histories <- lapply(fit$members, training_history)
  member <- rep(seq_along(histories), vapply(histories, nrow, 1L))
  cbind(data.frame(member = member), do.call(rbind, histories))
}
