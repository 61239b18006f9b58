# Predictions of sequence networks: both strands, dropout masks, scales.

# mask: list(seed, member) of a dropout mask, or NULL for the network as it is.
seq_run_settings <- function(model, n_threads, mask = NULL) {
  c(seq_net_settings(model), list(
    unknown = model$unknown, dropout = !is.null(mask), seed = if (is.null(mask)) 0 else mask$seed,
    member = if (is.null(mask)) 0L else mask$member,
    n_threads = check_threads(n_threads), isa = isa_setting()
  ))
}

# The outputs (n_outputs, n) of sequences given as codes (length, n).
predict_codes <- function(model, codes, n_threads, mask = NULL) {
  out <- .Call(C_seq_predict, as.vector(codes), model$parameters,
    seq_run_settings(model, n_threads, mask))
  check_status(out$status, "predicting")
  matrix(out$value, ncol = ncol(codes))
}

# How predictions or effects of networks are asked for, checked; masks: one for each of n_dropout.
seq_asked <- function(models, reverse_complement, type, n_dropout, seed, n_threads) {
  type <- check_choice(type, c("link", "response"), "type")
  n_dropout <- check_count(n_dropout, "n_dropout", min = 0)
  for (model in models) {
    check_has_parameters(model)
    if (type == "response" && is.null(model$training$loss)) {
      stop_argument("type", "must be \"link\" for a network that was not trained by fit()",
        "\"response\"")
    }
    if (n_dropout > 0L && !"dropout" %in% model$shapes$type) {
      stop_argument("n_dropout", "must be 0 for a network without dropout layers", n_dropout)
    }
  }
  if (n_dropout == 1L) {
    stop_argument("n_dropout", "must be 0, or at least 2", 1)
  }
  list(
    both = check_flag(reverse_complement, "reverse_complement"), type = type,
    n_dropout = n_dropout, seed = if (n_dropout > 0L) resolve_seed(seed),
    n_threads = check_threads(n_threads)
  )
}

# The masks of member k of an ensemble, no two members having the same; list(NULL): no dropout.
masks_of <- function(asked, k) {
  if (asked$n_dropout == 0L) {
    return(list(NULL))
  }
  lapply(seq_len(asked$n_dropout), function(i) {
    list(seed = asked$seed, member = as.integer((k - 1L) * asked$n_dropout + i))
  })
}

# Predictions (n_outputs, n, K) of members, each of its masks in turn.
member_predictions <- function(models, codes, asked) {
  one <- function(model, codes, mask) {
    out <- predict_codes(model, codes, asked$n_threads, mask)
    if (asked$type == "response") seq_response(out, model) else out
  }
  each <- lapply(seq_along(models), function(k) {
    lapply(masks_of(asked, k), function(mask) {
      out <- one(models[[k]], codes, mask)
      if (asked$both) {
        (out + one(models[[k]], reverse_codes(codes, models[[k]]$alphabet), mask)) / 2
      } else {
        out
      }
    })
  })
  each <- unlist(each, recursive = FALSE)
  array(unlist(each), c(dim(each[[1]]), length(each)))
}

# Expected labels from outputs (n_outputs, n) of a trained network.
seq_response <- function(values, model) {
  heads <- seq_heads(model, model$training$loss, NULL)
  names <- vapply(model$layers, function(layer) layer$name, "")
  for (h in seq_len(nrow(heads))) {
    rows <- heads$first[h] + seq_len(heads$count[h])
    layer <- model$layers[[match(model$outputs[h], names)]]
    is_share <- identical(layer$activation, "sigmoid") # the layer itself makes probabilities
    values[rows, ] <- switch(heads$loss[h],
      poisson = exp(values[rows, ]),
      binary = if (is_share) values[rows, ] else stats::plogis(values[rows, ]),
      multinomial = profile_shares(values[rows, , drop = FALSE], heads$channels[h]),
      values[rows, ]
    )
  }
  values
}

# Shares along positions from logits (positions x channels, n), channels fastest.
profile_shares <- function(logits, channels) {
  shape <- c(channels, nrow(logits) / channels, ncol(logits))
  x <- aperm(array(logits, shape), c(2, 1, 3)) # positions first
  flat <- matrix(x, shape[2])
  up <- exp(flat - rep(apply(flat, 2, max), each = shape[2]))
  shares <- up / rep(colSums(up), each = shape[2])
  matrix(aperm(array(shares, shape[c(2, 1, 3)]), c(2, 1, 3)), nrow(logits))
}

# The data.frame of mean predictions, with all members if they are asked for.
prediction_frame <- function(values, model, ids, members) {
  mean <- as.data.frame(t(apply(values, 1:2, base::mean)))
  names(mean) <- model$output_names
  mean <- cbind(data.frame(sequence = ids), mean)
  if (!members) {
    return(mean)
  }
  members <- aperm(values, c(2, 1, 3))
  dimnames(members) <- list(ids, model$output_names, NULL)
  list(mean = mean, members = members)
}

#' Predictions of a sequence model
#'
#' @section Monte Carlo dropout:
#' With `n_dropout`, the dropout layers drop as they did in training, under that many masks (Gal and
#' Ghahramani 2016); the prediction is the mean over masks. A mask is one draw for all sequences,
#' and, in [mutagenize()], for a sequence and its mutants, so that differences have no noise of
#' their own. The spread over masks says how far the network is from sure only as far as its dropout
#' rate suits the data: [calibrate()] tells.
#'
#' @param object A [seq_model()] with parameters.
#' @param sequences Character vector, a Biostrings set, or a one-hot array (sequence, position,
#'   letter); all of the model's length. Names are kept.
#' @param reverse_complement Average the predictions of both strands? Only for models whose outputs
#'   mean the same on both.
#' @param type `"link"`: what the output layers give. `"response"`: expected labels, for networks
#'   trained by [fit()][fit.seq_model()]: `exp()` of outputs with the loss `"poisson"`,
#'   probabilities of `"binary"`, shares along the positions of `"multinomial"`.
#' @param n_dropout Number of dropout masks; 0: none, the network as it is evaluated.
#' @param members Return what each mask predicts as well?
#' @param seed Of the masks: one whole number, or NULL to draw one from R's generator.
#' @param n_threads Number of threads; results do not depend on it.
#' @param ... Not used.
#' @return A data.frame with `sequence` (name, or number) and one column for each output; with
#'   `members = TRUE` a list of this `mean` and `members`, an array (sequence, output, mask). Raises
#'   `mrlearn_error_argument` or `mrlearn_error_data` for sequences of another length or with
#'   letters outside the alphabet, and `mrlearn_error_argument` for masks of a network without
#'   dropout.
#' @references Gal, Y., Ghahramani, Z. (2016), Dropout as a Bayesian approximation, ICML, PMLR
#'   48:1050.
#' @export
predict.seq_model <- function(object, sequences, reverse_complement = FALSE,
                              type = c("link", "response"), n_dropout = 0, members = FALSE,
                              seed = NULL, n_threads = mrl_threads(), ...) {
  check_no_dots(...)
  predict_members(list(object), sequences, reverse_complement, if (missing(type)) "link" else type,
    n_dropout, members, seed, n_threads)
}

predict_members <- function(models, sequences, reverse_complement = FALSE, type = "link",
                            n_dropout = 0, members = FALSE, seed = NULL,
                            n_threads = mrl_threads(), ...) {
  check_no_dots(...)
  check_flag(members, "members")
  asked <- seq_asked(models, reverse_complement, type, n_dropout, seed, n_threads)
  input <- seq_codes(sequences, models[[1]])
  values <- member_predictions(models, input$codes, asked)
  prediction_frame(values, models[[1]], input$ids, members)
}
