# Deep MR: from a model of sequences to causal effects of one output on another.

#' Deep Mendelian randomization
#'
#' Asks a model of sequences what mutations do to two of its outputs ([mutagenize()]), and
#' estimates from these effects, sequence by sequence, what the first output's quantity (as binding
#' of one factor) does to the second's ([deep_mr_effects()], where assumptions, intervals and mean
#' effects are explained).
#'
#' @param model A [seq_ensemble()], [seq_model()], or [seq_predictor()]. Members of an ensemble
#'   should be trained on bootstrap samples unless measured `pairs` are given.
#' @param sequences Sequences that the model was not trained on, named or not: a character vector, a
#'   Biostrings set or a one-hot array. Names must differ.
#' @param exposure,outcome Names of two outputs of the model.
#' @param method,meta,pairs,interval,... As in [deep_mr_effects()]; `...`: its other arguments but
#'   `levels`, which the model predicts.
#' @param type,n_dropout As in [mutagenize()]; not for a [seq_predictor()], whose function gives
#'   what it gives. `type = "response"` on counts (a network trained with the loss `"poisson"`)
#'   makes effects differences of expected counts, which additive confounders leave alone.
#'   `n_dropout`: masks of Monte Carlo dropout stand for the members of an ensemble.
#' @param positions As in [mutagenize()].
#' @param reverse_complement As in [predict.seq_model()].
#' @param n_threads Number of threads; results do not depend on it.
#' @return A list of class `deep_mr`, see [deep_mr_effects()]. Raises `mrlearn_error_argument` for
#'   outputs that the model does not have, `mrlearn_error_data` for names that are not different.
#'   The sequences of `pairs` whose own variation or slope an interval needs (`"designed"`, halves)
#'   should be among `sequences`.
#' @references Malina, S., Cizin, D., Knowles, D. A. (2022). Deep mendelian randomization. PLoS
#'   Comput. Biol. 18:e1009880.
#' @seealso [deep_mr_pairs()] for intervals that measured pairs calibrate.
#' @examples
#' sim <- sim_sequences(n = 300, length = 60, seed = 1)
#' model <- seq_model(list(
#'   seq_layer("conv", units = 4, taps = 11), seq_layer("activation", activation = "relu"),
#'   seq_layer("global_max"), seq_layer("dense", units = 2)
#' ), length = 60, output_names = c("exposure", "outcome"))
#' labels <- cbind(exposure = sim$exposure_label, outcome = sim$outcome_label)
#' ensemble <- seq_ensemble(model, sim$sequence, labels, n = 3, bootstrap = TRUE, seed = 1,
#'   control = seq_control(epochs = 5))
#' new <- sim_sequences(n = 10, length = 60, seed = 2)
#' result <- deep_mr(ensemble, stats::setNames(new$sequence, new$id), "exposure", "outcome")
#' result
#' @export
deep_mr <- function(model, sequences, exposure, outcome, method = NULL, meta = "REML",
                    pairs = NULL, interval = c("auto", "pairs", "pairs_plain", "pairs_half",
                      "pairs_members", "designed", "designed_half", "designed_members",
                      "member", "moderated", "member_plain", "none"),
                    type = c("link", "response"), positions = NULL, reverse_complement = FALSE,
                    n_dropout = 0, ..., n_threads = mrl_threads()) {
  type <- check_choice(type, c("link", "response"))
  interval <- check_choice(interval, c("auto", deep_intervals))
  check_deep_dots(..., without = "levels")
  effects <- model_effects(model, sequences, type, positions, reverse_complement, n_dropout,
    list(...)$seed, n_threads)
  outputs <- unique(effects$output)
  check_deep_output(exposure, outputs, "exposure")
  check_deep_output(outcome, outputs, "outcome")
  if (length(outputs) > 2L) {
    effects <- effects[effects$output %in% c(exposure, outcome), , drop = FALSE]
  }
  frame <- deep_frame(effects, exposure, outcome)
  levels <- if (!is.null(pairs)) {
    model_levels(model, sequences, type, reverse_complement, n_threads)
  }
  deep_run(frame, deep_settings(frame, method, interval, meta, pairs, levels, ...,
    n_threads = n_threads))
}

# What a model predicts of the sequences themselves.
model_levels <- function(model, sequences, type, reverse_complement, n_threads) {
  sequences <- plain_sequences(sequences)
  if (inherits(model, "seq_predictor")) {
    return(stats::predict(model, sequences))
  }
  stats::predict(model, sequences, type = type, reverse_complement = reverse_complement,
    n_threads = n_threads)
}

# What mutations do to a model's outputs.
model_effects <- function(model, sequences, type, positions, reverse_complement, n_dropout, seed,
                          n_threads) {
  sequences <- plain_sequences(sequences)
  check_different_ids(sequences)
  how <- list(type = type, reverse_complement = check_flag(reverse_complement),
    n_dropout = check_count(n_dropout, min = 0))
  usual <- list(type = "link", reverse_complement = FALSE, n_dropout = 0L)
  if (!inherits(model, "seq_predictor")) {
    how <- c(how, list(n_threads = n_threads), if (n_dropout > 0) list(seed = seed))
  } else if (identical(how, usual)) {
    how <- NULL
  } else {
    stop_mrl("argument", "`type`, `reverse_complement` and `n_dropout` are not for a ",
      "seq_predictor(): its function gives what it gives.")
  }
  do.call(mutagenize, c(list(model, sequences, positions = positions), how))
}

# `...` of deep_mr() are arguments of deep_mr_effects().
check_deep_dots <- function(..., without = character()) {
  known <- setdiff(names(formals(deep_settings)),
    c("frame", "method", "interval", "meta", "pairs", "n_threads", without))
  given <- names(list(...))
  wrong <- if (...length() && is.null(given)) "an unnamed one" else setdiff(given, known)
  if (length(wrong)) {
    stop_mrl("argument", "Unknown argument: ", paste0("`", wrong, "`", collapse = ", "), ".")
  }
}

check_different_ids <- function(sequences) {
  ids <- if (is.array(sequences)) dimnames(sequences)[[1]] else names(sequences)
  ids <- seq_ids(ids, NROW(sequences))
  if (anyDuplicated(ids)) {
    stop_argument("sequences", "must have different names",
      paste0("\"", ids[anyDuplicated(ids)], "\" twice"), what = "data")
  }
}
