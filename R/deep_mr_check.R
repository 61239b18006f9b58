# Is a Deep MR result to be believed? One table with plain verdicts.

#' Checks of a Deep MR result
#'
#' What the estimates of [deep_mr()] rest on, one row for each thing that can be looked at, with a
#' verdict. Verdicts are rules of thumb, not tests: `"fine"` does not prove an assumption (a
#' mutation may act on the outcome by itself in proportion to its effect on the exposure, and
#' nothing here shows that), `"doubtful"` says where to look first.
#'
#' * `accuracy`: Spearman correlation of predictions and measured `labels` of held-out sequences (at
#'   least .5); `accuracy of effects`: the same of predicted and measured differences of `pairs` (at
#'   least .5);
#' * `calibration`: share of labels within the central 95 % of what the members of the ensemble
#'   predict (.9 to .99; less is usual, since members know nothing of the noise of measurements: see
#'   [calibrate()]); `calibration of effects`: slope of measured on predicted differences (.8 to
#'   1.25);
#' * `members`: how many (at least 5) and whether trained on bootstrap samples;
#' * `too few instruments`: share of sequences without an effect (at most .5); `instruments`: median
#'   number in the others (at least 5); `strength`: median F, squared ratio of effect on the
#'   exposure and its standard error (at least 10);
#' * `proportionality`: median share of the outcome's squared effects that the slope explains
#'   within a sequence (at least .8); `linearity`: median of what a quadratic term adds to it (at
#'   most .05);
#' * `heterogeneity`: SD of effects between sequences over the mean effect (at most .25, or an
#'   interval of the SD that has 0): above, the mean says little of a single sequence;
#' * `Egger intercepts`: mean intercept over sequences, mutations turned so that they raise the
#'   exposure, over the mean absolute effect on the outcome (at most .1, or within two standard
#'   errors of 0): else mutations move the outcome by other ways that do not cancel;
#' * `shared error`: share of the variance of members' errors that all instruments of a sequence
#'   have in common (intraclass correlation; at most .3): above, methods that treat variants as
#'   independent have intervals that are too narrow;
#' * `error of slopes`: mean error of slopes in measured pairs over the mean slope (at most .1).
#'
#' @param result What [deep_mr()] or [deep_mr_effects()] returned.
#' @param effects The effects that it was made of, with `members` (as of [mutagenize()]), for
#'   `shared error`.
#' @param model,sequences,labels The model, held-out sequences and what was measured of them (matrix
#'   or data.frame with the outputs' names).
#' @param pairs Measured pairs, see [deep_mr_pairs()].
#' @param ... Passed to [predict()].
#' @return A data.frame of class `deep_mr_check`: `check`, `of` (an output, or empty), `value`,
#'   `limit` (as text), `verdict` (`"fine"`, `"doubtful"`, `"not checked"`) and `note`. Raises
#'   `mrlearn_error_argument` and `mrlearn_error_data` for arguments that do not belong together.
#' @references Malina, S., Cizin, D., Knowles, D. A. (2022), PLoS Comput. Biol. 18:e1009880
#'   (members of an ensemble). Bowden, Davey Smith and Burgess (2015), Int. J. Epidemiol.
#'   44:512 (intercepts).
#' @seealso [deep_mr()], [deep_mr_network()]
#' @examples
#' effects <- data.frame(sequence = rep(c("a", "b"), each = 12), position = rep(1:6, each = 2),
#'   output = c("x", "y"), effect = as.vector(rbind(1:6, 2 * (1:6) + 0.1)), std.error = 0.1)
#' deep_mr_check(deep_mr_effects(effects, "x", "y", instruments = "none"))
#' @export
deep_mr_check <- function(result, effects = NULL, model = NULL, sequences = NULL, labels = NULL,
                          pairs = NULL, ...) {
  if (!inherits(result, "deep_mr")) {
    stop_argument("result", "must come from deep_mr() or deep_mr_effects()", describe(result))
  }
  outputs <- c(result$exposure, result$outcome)
  wide <- if (!is.null(pairs)) wide_pairs(pairs, result$exposure, result$outcome)
  out <- rbind(
    check_predictions(outputs, model, sequences, labels, ...),
    check_pair_effects(outputs, wide),
    check_ensemble(result, model),
    check_instruments(result),
    check_shapes(result),
    check_spread(result),
    check_shared_error(result, effects),
    check_slope_error(result)
  )
  row.names(out) <- NULL
  structure(out, class = c("deep_mr_check", "data.frame"))
}

# One row. `fine`: TRUE, FALSE, or NA for what could not be looked at.
check_row <- function(check, value, limit, fine, note, of = "") {
  data.frame(check = check, of = of, value = as.double(value), limit = limit,
    verdict = ifelse(is.na(fine), "not checked", ifelse(fine, "fine", "doubtful")), note = note)
}

unchecked_row <- function(check, limit, needs) {
  check_row(check, NA, limit, NA, paste("needs", needs))
}

rank_correlation <- function(x, y) {
  if (length(x) < 3L || stats::sd(x) == 0 || stats::sd(y) == 0) {
    return(NA_real_)
  }
  stats::cor(x, y, method = "spearman")
}

check_predictions <- function(outputs, model, sequences, labels, ...) {
  if (is.null(model) || is.null(sequences) || is.null(labels)) {
    return(rbind(
      unchecked_row("accuracy", ">= 0.5", "`model`, `sequences` and `labels`"),
      unchecked_row("calibration", "0.9 to 0.99", "`model`, `sequences` and `labels`")
    ))
  }
  labels <- check_pair_labels(labels, NROW(sequences))
  if (!all(outputs %in% colnames(labels))) {
    stop_argument("labels", paste("must have the columns", paste(outputs, collapse = " and ")),
      shorten(colnames(labels)))
  }
  law <- tryCatch(predict(model, sequences, members = TRUE, ...)$members,
    mrlearn_error_argument = function(e) NULL)
  mean <- if (is.null(law)) as.matrix(predict(model, sequences, ...)[outputs]) else
    apply(law[, outputs, , drop = FALSE], 1:2, mean)
  each <- lapply(outputs, function(output) {
    r <- rank_correlation(mean[, output], labels[, output])
    rbind(
      check_row("accuracy", r, ">= 0.5", r >= 0.5, paste(nrow(labels), "held-out sequences"),
        output),
      if (is.null(law) || dim(law)[3] < 2L) {
        unchecked_row("calibration", "0.9 to 0.99", "an ensemble")
      } else {
        sd <- apply(law[, output, , drop = FALSE], 1, stats::sd)
        inside <- mean(abs(labels[, output] - mean[, output]) <= stats::qnorm(0.975) * sd)
        check_row("calibration", inside, "0.9 to 0.99", inside >= 0.9 && inside <= 0.99,
          if (inside < 0.9) "members vary less than labels do" else "", output)
      }
    )
  })
  do.call(rbind, each)
}

check_pair_effects <- function(outputs, wide) {
  if (is.null(wide)) {
    return(rbind(
      unchecked_row("accuracy of effects", ">= 0.5", "`pairs`"),
      unchecked_row("calibration of effects", "0.8 to 1.25", "`pairs`")
    ))
  }
  kept <- wide[wide$keep, ]
  each <- Map(function(output, predicted, measured) {
    r <- rank_correlation(predicted, measured)
    slope <- sum(predicted * measured) / sum(predicted^2)
    note <- paste(nrow(kept), "pairs")
    rbind(
      check_row("accuracy of effects", r, ">= 0.5", r >= 0.5, note, output),
      check_row("calibration of effects", slope, "0.8 to 1.25", slope >= 0.8 && slope <= 1.25,
        note, output)
    )
  }, outputs, list(kept$f, kept$g), list(kept$dx, kept$dy))
  do.call(rbind, each)
}

check_ensemble <- function(result, model) {
  n <- result$n_members
  bootstrap <- if (inherits(model, "seq_ensemble")) isTRUE(model$bootstrap) else NA
  note <- if (n < 2L) {
    "one model has no variation"
  } else if (is.na(bootstrap)) {
    "whether on bootstrap samples is not known without `model`"
  } else if (bootstrap) {
    "on bootstrap samples"
  } else {
    "differ by their seeds alone: too alike"
  }
  few <- if (n > 1L && n < 5L) "few; "
  check_row("members", n, ">= 5, bootstrap", n >= 5L && !isFALSE(bootstrap), paste0(few, note))
}

check_instruments <- function(result) {
  used <- result$effects[result$effects$instrument, ]
  n <- table(used$sequence)
  local <- result$local[result$local$method == result$local$method[1], ]
  kept <- n[names(n) %in% local$sequence[!is.na(local$estimate)]]
  f <- (used$beta.exposure / used$se.exposure)^2
  f <- stats::median(f[is.finite(f)])
  count <- if (length(kept)) stats::median(kept) else 0
  rbind(
    check_row("too few instruments", result$too_few, "<= 0.5", result$too_few <= 0.5,
      "share of sequences without an effect"),
    check_row("instruments", count, ">= 5", count >= 5, paste(length(kept), "sequences")),
    if (is.na(f)) {
      unchecked_row("strength", ">= 10", "standard errors of effects")
    } else {
      check_row("strength", f, ">= 10", f >= 10, "median F of instruments")
    }
  )
}

# Fits within sequences: through the origin, with a square, with an intercept.
check_shapes <- function(result) {
  used <- result$effects[result$effects$instrument, ]
  each <- lapply(split(used, factor(used$sequence, unique(used$sequence))), function(d) {
    if (nrow(d) < 5L || sum(d$beta.outcome^2) == 0) {
      return(NULL)
    }
    turn <- ifelse(d$beta.exposure < 0, -1, 1)
    x <- turn * d$beta.exposure
    y <- turn * d$beta.outcome
    explained <- function(design) 1 - sum(stats::lm.fit(design, y)$residuals^2) / sum(y^2)
    c(line = explained(cbind(x)), square = explained(cbind(x, x^2)),
      intercept = stats::lm.fit(cbind(1, x), y)$coefficients[[1]], size = mean(abs(y)))
  })
  table <- do.call(rbind, each)
  if (is.null(table)) {
    return(rbind(unchecked_row("proportionality", ">= 0.8", "five instruments in a sequence"),
      unchecked_row("linearity", "<= 0.05", "five instruments in a sequence"),
      unchecked_row("Egger intercepts", "<= 0.1", "five instruments in a sequence")))
  }
  of <- paste(nrow(table), "sequences")
  line <- stats::median(table[, "line"])
  more <- stats::median(table[, "square"] - table[, "line"])
  share <- mean(table[, "intercept"]) / mean(table[, "size"])
  se <- stats::sd(table[, "intercept"]) / sqrt(nrow(table)) / mean(table[, "size"])
  rbind(
    check_row("proportionality", line, ">= 0.8", line >= 0.8, of),
    check_row("linearity", more, "<= 0.05", more <= 0.05, "added by a quadratic term"),
    check_row("Egger intercepts", share, "<= 0.1",
      abs(share) <= 0.1 || (!is.na(se) && abs(share) <= 2 * se),
      paste0("standard error ", format(se, digits = 2), ", ", of))
  )
}

check_spread <- function(result) {
  d <- result$global[!is.na(result$global$tau), ]
  if (!nrow(d) || d$k[1] < 3L) {
    return(unchecked_row("heterogeneity", "<= 0.25",
      "three sequences with effects and standard errors"))
  }
  ratio <- d$tau[1] / abs(d$estimate[1])
  no_spread <- !is.na(d$tau.low[1]) && d$tau.low[1] <= 0
  check_row("heterogeneity", ratio, "<= 0.25", ratio <= 0.25 || no_spread,
    paste0("tau ", format(d$tau[1], digits = 2), ", mean ", format(d$estimate[1], digits = 2)))
}

check_shared_error <- function(result, effects) {
  if (is.null(effects)) {
    return(unchecked_row("shared error", "<= 0.3", "`effects` with members"))
  }
  frame <- deep_frame(effects, result$exposure, result$outcome)
  if (is.null(frame$members) || ncol(frame$members) < 2L) {
    return(unchecked_row("shared error", "<= 0.3", "`effects` with members"))
  }
  same <- length(frame$at$x) == nrow(result$effects) &&
    identical(as.character(frame$sequence[frame$seq_of]), as.character(result$effects$sequence)) &&
    isTRUE(all.equal(frame$effect[frame$at$x + 1L], result$effects$beta.exposure))
  if (!same) {
    stop_argument("effects", "must be those that `result` was made of", "others", what = "data")
  }
  used <- result$effects$instrument
  each <- Map(function(output, at) {
    value <- member_correlation(frame$members[at[used] + 1L, , drop = FALSE], frame$seq_of[used])
    check_row("shared error", value$icc, "<= 0.3", value$icc <= 0.3,
      paste0("the ", format(value$n, digits = 2), " instruments of a sequence act like ",
        format(value$n / (1 + (value$n - 1) * value$icc), digits = 2)), output)
  }, c(result$exposure, result$outcome), frame$at[c("x", "y")])
  do.call(rbind, each)
}

# Intraclass correlation of members' deviations from their mean (n, members) within sequences: of
# one-way analysis of variance for each member, n the mean size as unequal groups have it.
member_correlation <- function(members, group) {
  off <- members - rowMeans(members)
  size <- tabulate(group)
  group <- match(group, which(size > 0))
  size <- size[size > 0]
  sums <- rowsum(off, group, reorder = TRUE)
  between <- sum(sums^2 / size) / length(size)
  within <- (sum(off^2) - sum(sums^2 / size)) / (sum(size) - length(size))
  n <- mean(size)
  list(icc = max(0, (between - within) / (between + (n - 1) * within)), n = n)
}

check_slope_error <- function(result) {
  if (is.null(result$calibration)) {
    return(unchecked_row("error of slopes", "<= 0.1", "a result with `pairs`"))
  }
  slope <- mean(abs(result$calibration$errors$slope))
  share <- result$calibration$delta / slope
  check_row("error of slopes", share, "<= 0.1", abs(share) <= 0.1,
    paste0("mean error ", format(result$calibration$delta, digits = 2), ", taken off"))
}

#' @export
print.deep_mr_check <- function(x, digits = 3L, ...) {
  digits <- check_digits(digits)
  doubtful <- sum(x$verdict == "doubtful")
  cat("Checks of Deep MR: ", sum(x$verdict == "fine"), " fine, ", doubtful, " doubtful, ",
    sum(x$verdict == "not checked"), " not checked\n", sep = "")
  shown <- as.data.frame(x)
  shown$value <- ifelse(is.na(x$value), "", formatC(x$value, digits = digits, format = "fg"))
  print(shown, row.names = FALSE, right = FALSE)
  invisible(x)
}
