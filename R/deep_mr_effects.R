# Causal effects from effects of mutations: sequence by sequence, and their mean.

#' Causal effects from effects of mutations
#'
#' Mendelian randomization within each sequence: mutations are instruments, their effects on one
#' output the exposure's, on another the outcome's. Effects may be predicted ([mutagenize()]) or
#' measured (saturation mutagenesis, a table of variant effects). [deep_mr()] does this for a
#' model and sequences.
#'
#' It assumes that a mutation moves the outcome through the exposure alone, and, of predicted
#' effects, that the model learnt causes: what a confounder's motif does to both outputs in the
#' measured sequences, the model predicts of its mutations as well. Intervals are of the slope of
#' expected labels on expected labels with all else in the sequence held fixed.
#'
#' @section Local effects:
#' The method `"slope"` is the least-squares slope through the origin over the instruments. Further
#' methods of [mr_methods()] use the effects' standard errors and give their own intervals, which
#' treat the effects of a sequence as independent: of predicted effects they are not (all share the
#' prediction of the sequence itself; intraclass correlations of .8 were measured), so that IVW's
#' intervals are far too narrow and Egger's are wide by accident. For the slope, `interval` is
#' * `"pairs"`: the error of slopes is learnt from measured pairs (see [deep_mr_pairs()]). It is
#'   regressed on the predicted levels of exposure and outcome (`levels`), as what a model has wrong
#'   of a slope differs with where on the scale of labels a sequence lies (as by a confounder's
#'   motif); what is expected is taken off, and what is left makes the interval. Members of an
#'   ensemble are heard beforehand: half of their typical variance counts as if it had been seen in
#'   as many errors as there are members and three more. Without `levels`: one mean error for all;
#' * `"pairs_plain"`: one mean error, its spread from the pairs alone. `"pairs_half"`: spread half
#'   the same for all, half by the sequence's own variation between members; `"pairs_members"`: the
#'   same, and the size of the spread is learnt from pairs and members (these count as their number
#'   less one sequences);
#' * `"designed"`, `"designed_half"`, `"designed_members"`: the same for several measured mutants of
#'   each sequence, with the reference measured several times;
#' * `"member"`: the variation of the members' slopes. Each sequence's variance is drawn towards the
#'   typical one, as if this had been seen in four members more (of few members it is very small in
#'   some sequences by chance), times one and one over the number of members, for the error of their
#'   mean; Student's t with that number less one degrees of freedom, as all sequences have the same
#'   members. They should be trained on bootstrap samples ([seq_ensemble()] with
#'   `bootstrap = TRUE`), and what all have wrong they do not show;
#' * `"moderated"`: the same without that factor and with four degrees of freedom more; narrower.
#'   `"member_plain"`: each sequence's own standard deviation between members, with Student's t;
#' * `"none"`; `"auto"`: `"pairs"` where there are any, else `"member"` where there are members.
#'
#' Coverage holds on average over models, not for each: all sequences share one model's error. In
#' the published experiment (55 data sets of each kind of confounding, ensembles of five) 95 %
#' intervals by pairs held the effect of 97 to 99 % of the sequences, in the worst data set 71 %;
#' those by members of 98 to 100 %, in the worst 48 % (`bench/deep_mr.md` of the sources).
#'
#' @section Mean effect:
#' `$global` has one row per way to estimate the mean over sequences; `main` marks the one to
#' use. `"pair-IV"`: measured differences of outcome on exposure with the predicted ones as
#' instruments, so that the model's error cancels; in the same data sets its 95 % intervals held the
#' mean in 96 % without confounding and in 82 % with a confounder's motif. `"members"`: the mean
#' slope, with the variation of members and sequences. `"random effects"`: [meta_random()] of the
#' local effects, for each method; its interval takes the local errors for independent, which those
#' of one model are not.
#' `tau` is the standard deviation of true effects between sequences, and `pred.low`, `pred.high`
#' hold the effect of a new sequence: neither is an interval of the mean. `"mean ratio"`: the naive
#' mean of outcome over exposure effects.
#'
#' @param effects A data.frame with `sequence`, `position` (and `alt`) or `variant`, `output`,
#'   `effect`, and where known `std.error`; effects of an ensemble's members as a matrix `members`,
#'   as [mutagenize()] has them, or in rows of their own with a column `member`.
#' @param exposure,outcome Names of two outputs.
#' @param method Methods of local effects: `"slope"` and names or labels of [mr_methods()]. `NULL`:
#'   `"slope"`, or IVW where effects have standard errors but no members and there are no pairs.
#' @param interval See above.
#' @param meta Method of [meta_random()] for `tau`.
#' @param instruments Which variants are instruments: `"z"`, those whose effect on the exposure is
#'   at least `threshold` standard deviations from its mean, both over all variants of all
#'   sequences; `"f"`: whose squared ratio of effect and standard error is at least `threshold`;
#'   `"none"`: all. Choosing by the effects that are then used biases effects that are noisy.
#' @param threshold By default 1 for `"z"` (simulations; 3 was used for BPNet), 10 for `"f"`.
#' @param least Instruments that a sequence needs, else its row says why it is empty.
#' @param strongest How strong the strongest instrument of a sequence must be, in standard
#'   deviations as for `threshold` (for `"f"`, the root of F): where none reaches this, instruments
#'   are what the model errs by, or mutations of other factors' motifs. 0: any.
#' @param pairs What [deep_mr_pairs()] returns.
#' @param levels What the model predicts of the sequences themselves, for `interval = "pairs"`: a
#'   data.frame with `sequence` and a column for each output, as [predict()] of a model returns it.
#' @param conf_level Level of all intervals.
#' @param n_boot Bootstrap draws of medians and modes.
#' @param control What [deep_mr_control()] returns.
#' @param seed One whole number, or NULL; used by methods that draw.
#' @param n_threads Number of threads; results do not depend on it.
#' @return A list of class `deep_mr`:
#'   * `effects`: a row per variant: `sequence`, `position`, `ref`, `alt` or `variant` as given,
#'     `beta.exposure`, `se.exposure`, `beta.outcome`, `se.outcome`, `instrument`;
#'   * `local`: a row per sequence and method: `sequence`, `exposure`, `outcome`, `method`,
#'     `n_variants`, `n_instruments`, `estimate`, `std.error`, `conf.low`, `conf.high`, `interval`
#'     (what it is by), `slope` (uncalibrated), `ratio` (naive), `intercept`, `intercept.se`
#'     (Egger), `reason` (why there is no estimate);
#'   * `global`: `method`, `local` (of which local effects), `estimate`, `std.error`, `conf.low`,
#'     `conf.high` (of the mean effect), `df`, `k` (sequences), `tau`, `tau.low`, `tau.high`,
#'     `pred.low`, `pred.high`, `main`;
#'   * `shift`: matrix (sequence, member), what each member moves the slope by;
#'   * `calibration`: of pairs, `n`, `delta` (mean error of slopes), `se_delta`, `psi` (variance of
#'     errors, or of what levels leave of them), `by_level`, and the data.frame `errors`; else NULL;
#'   * `exposure`, `outcome`, `interval`, `instruments` (rule, threshold, mean, SD), `too_few`
#'     (share of sequences with too few instruments), `conf_level`.
#'
#'   Raises `mrlearn_error_argument` and `mrlearn_error_data`; warns by
#'   `mrlearn_warning_no_interval` where nothing tells the error of slopes.
#' @references Malina, S., Cizin, D., Knowles, D. A. (2022). Deep mendelian randomization. PLoS
#'   Comput. Biol. 18:e1009880.
#' @seealso [deep_mr()], [deep_mr_pairs()], [meta_random()]
#' @examples
#' set.seed(1)
#' effects <- expand.grid(variant = 1:20, sequence = c("a", "b", "c"))
#' effects <- rbind(cbind(effects, output = "x"), cbind(effects, output = "y"))
#' effects$effect <- rnorm(120)
#' y <- effects$output == "y"
#' effects$effect[y] <- 0.5 * effects$effect[!y] + rnorm(60, sd = 0.1)
#' effects$std.error <- 0.1
#' deep_mr_effects(effects, "x", "y")
#' @export
deep_mr_effects <- function(effects, exposure, outcome, method = NULL,
                            interval = c("auto", "pairs", "pairs_plain", "pairs_half",
                              "pairs_members", "designed", "designed_half", "designed_members",
                              "member", "moderated", "member_plain", "none"),
                            meta = "REML", instruments = c("z", "f", "none"), threshold = NULL,
                            least = 3, strongest = 0, pairs = NULL, levels = NULL,
                            conf_level = 0.95, n_boot = 1000, control = deep_mr_control(),
                            seed = NULL, n_threads = mrl_threads()) {
  frame <- deep_frame(effects, exposure, outcome)
  deep_run(frame, deep_settings(frame, method, interval, meta, pairs, levels, instruments,
    threshold, least, strongest, conf_level, n_boot, control, seed, n_threads))
}

deep_settings <- function(frame, method = NULL, interval = "auto", meta = "REML", pairs = NULL,
                          levels = NULL, instruments = "z", threshold = NULL, least = 3,
                          strongest = 0, conf_level = 0.95, n_boot = 1000,
                          control = deep_mr_control(), seed = NULL, n_threads = mrl_threads()) {
  rules <- c("z", "f", "none")
  instruments <- check_choice(instruments, rules, "instruments")
  threshold <- if (is.null(threshold)) {
    c(z = 1, f = 10, none = 0)[[instruments]]
  } else {
    check_number(threshold, min = 0)
  }
  if (instruments == "f" && is.null(frame$se)) {
    stop_argument("instruments", "can be \"f\" only where effects have standard errors", "none")
  }
  n_members <- if (is.null(frame$members)) 0L else ncol(frame$members)
  interval <- check_deep_interval(interval, pairs, n_members)
  if (is.null(method)) {
    is_measured <- !is.null(frame$se) && is.null(frame$members) && is.null(pairs)
    method <- if (is_measured) "mr_ivw" else "slope"
  }
  if (!length(method)) {
    stop_argument("method", "must be \"slope\" or methods of mr_methods()", describe(method))
  }
  others <- if (is.character(method)) setdiff(method, "slope") else method
  list(
    methods = if (length(others)) mr_method_code(others, mr_method_table(), "method"),
    slope = "slope" %in% method, interval = interval,
    meta = check_choice(meta, meta_methods), rule = instruments, threshold = threshold,
    least = check_count(least), strongest = check_number(strongest, min = 0), pairs = pairs,
    levels = check_deep_levels(levels, frame), conf_level = check_conf_level(conf_level),
    n_boot = n_boot, control = check_deep_control(control), seed = seed,
    n_threads = check_threads(n_threads)
  )
}

check_deep_interval <- function(interval, pairs, n_members) {
  interval <- check_choice(interval, c("auto", deep_intervals))
  if (interval == "auto") {
    interval <- if (!is.null(pairs)) "pairs" else if (n_members > 1L) "member" else "none"
  }
  if (startsWith(interval, "pairs") || startsWith(interval, "designed")) {
    if (is.null(pairs)) {
      stop_argument("pairs", paste0("must be given for the interval \"", interval,
        "\": see deep_mr_pairs()"), "NULL")
    }
    if (grepl("_", interval) && n_members < 2L) {
      stop_argument("interval", "can be half by members only where effects have members",
        describe(interval))
    }
  }
  if (interval %in% member_intervals && n_members < 2L) "none" else interval
}

# Predicted levels as a matrix (sequence, exposure and outcome).
check_deep_levels <- function(levels, frame) {
  if (is.null(levels)) {
    return(NULL)
  }
  if (!is.data.frame(levels)) {
    stop_argument("levels", "must be a data.frame, as predict() returns it", describe(levels))
  }
  outputs <- c(frame$exposure, frame$outcome)
  check_mr_columns(levels, c("sequence", outputs), "levels")
  at <- match(frame$sequence, as.character(levels$sequence))
  if (anyNA(at)) {
    stop_argument("levels", "must have a row for each sequence of the effects",
      paste("none for", shorten(frame$sequence[is.na(at)])), what = "data")
  }
  each <- lapply(outputs, function(name) {
    check_doubles(levels[[name]], paste0("levels$", name))[at]
  })
  matrix(unlist(each), length(at), dimnames = list(frame$sequence, NULL))
}

deep_run <- function(frame, settings) {
  fit <- deep_slopes(frame, settings)
  wide <- if (!is.null(settings$pairs)) {
    wide_pairs(settings$pairs, frame$exposure, frame$outcome)
  }
  reach <- slope_reach(fit, wide, settings)
  local <- rbind(
    if (settings$slope) slope_rows(fit, reach, frame, settings),
    if (length(settings$methods)) method_rows(fit, frame, settings)
  )
  row.names(local) <- NULL
  structure(class = "deep_mr", list(
    effects = effect_rows(frame, fit), local = local,
    global = global_rows(local, fit, wide, settings), shift = member_shifts(fit),
    calibration = reach$calibration,
    exposure = frame$exposure, outcome = frame$outcome, interval = settings$interval,
    instruments = data.frame(rule = settings$rule, threshold = settings$threshold,
      mean = fit$centre, sd = fit$spread),
    too_few = mean(is.na(fit$slope)), n_members = fit$n_members, conf_level = settings$conf_level
  ))
}

deep_slopes <- function(frame, settings) {
  out <- .Call(C_deepmr_slopes, frame$effect, frame$se, frame$members, frame$at, list(
    rule = match(settings$rule, c("none", "z", "f")) - 1L, threshold = settings$threshold,
    least = settings$least, n_threads = settings$n_threads
  ))
  if (out$status == "too_few") {
    stop_mrl("data", "`effects` must have at least two variants with effects on both outputs.")
  }
  check_status(out$status, "estimating slopes")
  table <- out$value$table
  table[is.nan(table)] <- NA
  weak <- !is.na(table[, 5]) & table[, 5] < settings$strongest
  table[weak, 2:4] <- NA
  list(
    sequence = frame$sequence, n = as.integer(table[, 1]), slope = table[, 2], sd = table[, 3],
    ratio = table[, 4], strongest = table[, 5], shift = out$value$shift,
    n_members = nrow(out$value$shift),
    instrument = out$value$instrument == 1L, centre = out$value$centre,
    spread = out$value$spread, rule = settings$rule, threshold = settings$threshold
  )
}

# What each member moves each slope by, as a matrix (sequence, member).
member_shifts <- function(fit) {
  structure(t(fit$shift), dimnames = list(fit$sequence, NULL))
}

# Shift of the slopes, half-widths of their intervals and degrees of freedom.
slope_reach <- function(fit, wide, settings) {
  interval <- settings$interval
  if (interval == "none" || !settings$slope) {
    if (settings$slope) {
      warn_mrl("no_interval", "Nothing tells the error of slopes, as an ensemble of one has no ",
        "variation: there is no interval. Give `pairs`, or effects of several members.")
    }
    return(list(delta = 0, reach = rep(NA_real_, length(fit$slope)), df = Inf))
  }
  if (interval %in% member_intervals) {
    by <- member_errors(interval, fit$sd, typical_variance(fit$sd), fit$n_members)
    return(list(delta = 0, df = by$df,
      reach = stats::qt((1 + settings$conf_level) / 2, by$df) * by$se))
  }
  levels <- settings$levels
  c(df = Inf, calibrated_reach(fit, wide, settings,
    if (!is.null(levels)) levels[fit$sequence, , drop = FALSE]))
}

slope_rows <- function(fit, reach, frame, settings) {
  estimate <- fit$slope + reach$delta
  local_rows(fit, frame, "slope", data.frame(
    estimate = estimate,
    std.error = reach$reach / stats::qt((1 + settings$conf_level) / 2, reach$df),
    conf.low = estimate - reach$reach, conf.high = estimate + reach$reach,
    interval = settings$interval, slope = fit$slope, ratio = fit$ratio, intercept = NA_real_,
    intercept.se = NA_real_, reason = no_slope_reason(fit, settings)
  ))
}
