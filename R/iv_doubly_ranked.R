#' Effects by strata of the exposure: doubly-ranked and residual strata
#'
#' Cuts people into strata of low to high exposure within which the instrument stays valid, and
#' estimates the effect of the exposure in each: the localised average causal effect (LACE), a ratio
#' of the instrument's associations with outcome and exposure. The integral of the LACE over the
#' exposure is the shape of the effect, known up to a constant: [effect_curve()] gives contrasts
#' against a `reference`.
#'
#' It assumes a valid instrument (see [iv_2sls()]). Doubly-ranked strata assume further that a
#' person's rank in the exposure would be the same at every value of the instrument (Tian et al.
#' 2023); the residual method (Burgess et al. 2014) that the instrument moves everybody's exposure
#' linearly and by the same amount. Where instrument effects differ with an interaction that also
#' changes ranks, both are biased. Naive strata of the exposure itself are biased whenever there is
#' confounding, as the exposure is a common effect of instrument and confounders; they are here for
#' comparison.
#'
#' @section What a stratum estimates:
#' The LACE of stratum \eqn{k} targets \eqn{\int h'(x) w_k(x) dx} with \eqn{w_k(x) = cov(Z, 1(X \ge
#' x)) / cov(Z, X)} within the stratum: a weighted average of the slope of the causal curve
#' \eqn{h} over the exposures that the instrument moves people across. The curve takes it for the
#' slope at the stratum's mean exposure, which is exact for quadratic curves only; with few strata
#' and sharp bends it is smoothed.
#'
#' @section Strata:
#' People are ordered by the instrument and cut into pre-strata of `pre_size` neighbours; within
#' each the lowest exposures go to the first stratum, and so on. `rule` says what happens to the
#' last, incomplete pre-stratum: `"spread"` over all strata as evenly as possible (DRMR), or
#' `"fill"` the first ones (SUMnlmr). Elsewhere both agree. Equal instruments or exposures are put
#' in random order (`ties = "random"`, by the seed) or in that of the rows (`"order"`, as DRMR
#' without a seed); how many there are is in `fit$tied` and printed.
#'
#' With `n_repeats` above 1 the strata are formed anew with other orders of ties and without
#' `leave_out` random people, which shifts all pre-strata; the associations are combined by Rubin's
#' rules. With a continuous instrument and exposure and `leave_out = 0` repeats are all the same.
#'
#' @section Inference:
#' Associations are least squares (a binary outcome: logistic regression) on instrument, covariates
#' and constant within the stratum. `se = "delta"` takes the variances of both and their covariance:
#' for a continuous outcome it is the standard error of 2SLS in the stratum. `se = "first_order"`
#' is `se(by) / |bx|`, as DRMR and SUMnlmr have it with `vcov = "iid"`. Intervals use Student's t
#' with the stratum's degrees of freedom (with repeats those of Barnard & Rubin 1999), for binary
#' outcomes normal ones. A bent curve makes errors unequal: robust standard errors hold the target
#' over the population in 94 to 97 % of strata in Tian's sixteen scenarios, `vcov = "iid"` in 92 to
#' 96 % (`bench/doubly_ranked.md` of the sources).
#' The LACE of a binary outcome is a ratio of a log-odds: odds ratios do not collapse, so it is the
#' effect on the log-odds within strata, not for a person nor for the population.
#'
#' `diagnostics()` has the heterogeneity Q of the LACE (no nonlinearity: chi-squared with K - 1
#' degrees of freedom), their trend in the mean exposure by random-effects meta-regression with REML
#' (DRMR) and DerSimonian-Laird (SUMnlmr), the same two of the instrument's association with the
#' exposure, whose heterogeneity speaks against the residual method, the F statistics, and the
#' greatest Gelman-Rubin statistic of the ranks of equal exposures: above 1.02 the exposure is too
#' coarse for so many strata.
#'
#' @section Several instruments:
#' They are summed to one score. By default with the weights of the first stage (exposure on all
#' instruments and covariates, same people), which with many weak instruments leans towards the
#' confounded regression: better take `score_weights` from other data. `score_weights = "equal"`
#' counts alleles. The weights used are in `fit$score`.
#'
#' @inheritParams iv_2sls
#' @param formula As for [iv_2sls()], with one exposure.
#' @param family `"gaussian"` for a continuous outcome, `"binomial"` for one that is 0 or 1.
#' @param strata How strata are formed.
#' @param n_strata Number of strata, at least 2.
#' @param pre_size People in a pre-stratum, at least `n_strata`; doubly-ranked strata only.
#' @param rule Who gets the people of the last pre-stratum, see below. `"fill"` needs a `pre_size`
#'   that is a multiple of `n_strata` and at most the number of people.
#' @param score_weights Where there are several instruments: a number for each, `"equal"`, or NULL
#'   for first-stage weights.
#' @param vcov `"HC1"` (robust) or `"iid"` (errors of equal variance within a stratum); `cluster`
#'   overrides it.
#' @param se Standard errors of the LACE, see below.
#' @param ties Order of equal instruments and exposures.
#' @param n_repeats Number of times that strata are formed.
#' @param leave_out Random people that each repeat goes without; NULL: 10 where there are repeats.
#' @param smooth The LACE as a function of the exposure: `"spline"`, by weighted least squares on
#'   their means, or `"piecewise"`, constant between the midpoints of the means.
#' @param degree Degree of the spline's pieces, 0 to 3 (2: the curve is cubic between knots); NULL:
#'   2, or less where strata are too few.
#' @param knots Exposures at which pieces of the spline join; none by default.
#' @param model Keep exposure and stratum of each person? Instruments are never kept.
#' @param seed One whole number, or NULL to draw one from R's generator.
#' @return A list of class `c("iv_doubly_ranked", "iv_fit")` with `lace` (data.frame `stratum, n,
#'   x.min, x.mean, x.max, bx, bx.se, by, by.se, estimate, std.error, df, F, gr`; with repeats
#'   means, and the range of the first), `coefficients`, `vcov`, `diagnostics`, `score`, `tied`,
#'   `stratum` (n, of the first repeat; NA: left out) and what describes the call. Read it with
#'   `tidy()`, `glance()`, `augment()`, [effect_curve()], [ate()], [average_derivative()] (mean of
#'   the LACE over people), [diagnostics()], `plot()`.
#'
#'   Errors: `mrlearn_error_data` where a stratum has fewer than 3 people or the outcome is not 0
#'   and 1; `mrlearn_error_collinear` where the instrument is constant. Warnings of class
#'   `mrlearn_warning_strata` tell strata without estimate (instrument or exposure constant
#'   there, separated outcome) and ranks that equal exposures disturb.
#' @references Tian, H., Mason, A. M., Liu, C. & Burgess, S. (2023). PLoS Genetics 19:e1010823.
#'   Burgess, S., Davies, N. M. & Thompson, S. G. (2014). Epidemiology 25:877. Staley, J. R. &
#'   Burgess, S. (2017). Genet. Epidemiol. 41:341. Barnard, J. & Rubin, D. B. (1999). Biometrika
#'   86:948.
#' @seealso [sim_tian2023()], [sim_burgess2014()].
#' @examples
#' sim <- sim_tian2023(n = 5000, scenario = "C", outcome = 2, seed = 1)
#' fit <- iv_doubly_ranked(Y ~ X | Z, data = sim, seed = 1)
#' fit
#' effect_curve(fit, x = c(-4, -2, 0), reference = -2)
#' @export
iv_doubly_ranked <- function(formula = NULL, data = NULL, subset = NULL, weights = NULL,
                             na.action = NULL, cluster = NULL, family = c("gaussian", "binomial"),
                             strata = c("doubly_ranked", "residual", "naive"), n_strata = 10,
                             pre_size = n_strata, rule = c("spread", "fill"), score_weights = NULL,
                             vcov = c("HC1", "iid"), se = c("delta", "first_order"),
                             ties = c("random", "order"), n_repeats = 1, leave_out = NULL,
                             smooth = c("spline", "piecewise"), degree = NULL, knots = NULL,
                             na_genotype = c("impute", "drop", "error"), y = NULL, x = NULL,
                             z = NULL, w = NULL, model = TRUE, seed = NULL,
                             n_threads = mrl_threads()) {
  call <- match.call()
  given <- list(
    family = check_choice(family, c("gaussian", "binomial")),
    strata = check_choice(strata, names(strata_words)),
    vcov = check_choice(vcov, c("HC1", "iid")),
    se = check_choice(se, c("delta", "first_order")),
    model = check_flag(model)
  )
  shape <- check_lace_shape(smooth, degree, knots)
  frame <- iv_frame(call, parent.frame(), list(y = y, x = x, z = z, w = w), "required",
    na_genotype = if (missing(na_genotype)) "impute" else na_genotype
  )
  check_strata_frame(frame, given$family)
  settings <- strata_settings(frame, given, n_strata, pre_size, rule, ties, n_repeats, leave_out,
    seed, n_threads)
  score <- allele_sum(frame, score_weights)
  first <- linear_core(frame$x[, 1], score$z, frame$w, weights = frame$weights)
  check_instrument(first, frame)
  rank_by <- if (given$strata == "residual") first$value$residuals else frame$x[, 1]
  out <- .Call(C_strata_effects, list(
    z = score$z, rank_by = rank_by, x = frame$x[, 1], y = frame$y, w = frame$w,
    weights = frame$weights, cluster = frame$cluster
  ), settings)
  check_status(out$status, "estimating the effects within strata")
  new_strata_fit(out$value, frame, first$value, score, given, shape, settings, call)
}

strata_words <- c(
  doubly_ranked = "doubly-ranked strata", residual = "residual strata",
  naive = "naive strata of the exposure"
)

check_strata_frame <- function(frame, family) {
  if (ncol(frame$x) != 1L) {
    stop_mrl("argument", "There must be one exposure; got ", ncol(frame$x), ": ",
      shorten(colnames(frame$x)), ".")
  }
  if (!frame$intercept) {
    stop_mrl("formula", "The formula must keep the constant: strata have levels of their own.")
  }
  if (family == "binomial" && !all(frame$y %in% 0:1)) {
    stop_mrl("data", "The outcome `", frame$outcome, "` must be 0 or 1 for family \"binomial\"; ",
      "got ", describe(frame$y[!frame$y %in% 0:1][1]), ".")
  }
  if (family == "binomial" && length(unique(frame$y)) < 2L) {
    stop_mrl("data", "The outcome `", frame$outcome, "` must have zeros and ones; all are ",
      frame$y[1], ".")
  }
}

strata_settings <- function(frame, given, n_strata, pre_size, rule, ties, n_repeats, leave_out,
                            seed, n_threads) {
  n <- length(frame$y)
  n_strata <- check_count(n_strata, min = 2)
  pre_size <- check_count(pre_size, min = n_strata)
  rule <- check_choice(rule, c("spread", "fill"))
  if (rule == "fill" && (pre_size %% n_strata != 0 || pre_size > n)) {
    stop_argument("pre_size", paste0("must be a multiple of n_strata (", n_strata,
      ") and at most the number of people for rule \"fill\""), format(pre_size))
  }
  n_repeats <- check_count(n_repeats, max = 1e5)
  leave_out <- if (is.null(leave_out)) {
    if (n_repeats > 1L) 10L else 0L
  } else {
    check_count(leave_out, min = 0)
  }
  # One pre-stratum of everybody leaves the residual and the naive strata to their ranks alone.
  alone <- given$strata != "doubly_ranked"
  settings <- list(
    n_strata = n_strata, pre_size = if (alone) max(n, n_strata) else pre_size,
    n_repeats = n_repeats, leave_out = leave_out, seed = resolve_seed(seed),
    rule = if (alone || rule == "spread") 0L else 1L,
    random_ties = check_choice(ties, c("random", "order")) == "random",
    vcov = if (!is.null(frame$cluster)) 2L else if (given$vcov == "HC1") 1L else 0L,
    n_cluster = frame$n_cluster, logistic = given$family == "binomial",
    n_threads = check_threads(n_threads), isa = isa_setting()
  )
  check_ranked_sizes(n - leave_out, settings)
  settings
}

check_ranked_sizes <- function(n, settings) {
  k <- settings$n_strata
  last <- n %% settings$pre_size
  whole <- n %/% settings$pre_size
  smallest <- whole * (settings$pre_size %/% k) + if (settings$rule == 0L) last %/% k else 0
  if (n < 3 || smallest < 3) {
    stop_mrl("data", "Strata must have at least 3 people: ", max(n, 0), " in ", k,
      " strata leave ", max(smallest, 0), " in the smallest. Take fewer strata.")
  }
}

# One instrument as it is, or the weighted sum of several.
allele_sum <- function(frame, score_weights) {
  columns <- split_columns(frame$z)
  if (length(columns) == 1L) {
    if (!is.null(score_weights) && !identical(score_weights, "equal")) {
      stop_argument("score_weights", "must be NULL where there is one instrument",
        describe(score_weights))
    }
    return(list(z = as.double(columns[[1]]), weights = NULL, how = "none"))
  }
  how <- if (is.null(score_weights)) {
    "first stage"
  } else if (identical(score_weights, "equal")) {
    "equal"
  } else {
    "given"
  }
  weights <- switch(how,
    "first stage" = first_stage_weights(frame, columns),
    equal = rep(1, length(columns)),
    given = check_doubles(score_weights, "score_weights", n = length(columns))
  )
  if (all(weights == 0)) {
    stop_argument("score_weights", "must not all be 0", "zeros")
  }
  score <- numeric(length(frame$y))
  for (j in which(weights != 0)) {
    score <- score + weights[j] * columns[[j]]
  }
  list(z = score, weights = stats::setNames(weights, frame$z_names), how = how)
}

# Collinear instruments get no weight, and are told.
first_stage_weights <- function(frame, columns) {
  out <- linear_core(frame$x[, 1], columns, frame$w, weights = frame$weights)
  if (out$status == "too_few") {
    stop_mrl("data", "There are ", length(frame$y), " people for ", length(columns),
      " instruments: give `score_weights`.")
  }
  check_status(out$status, "fitting the first stage")
  at <- length(out$value$coef) - length(columns) + seq_along(columns)
  weights <- out$value$coef[at]
  gone <- is.na(weights)
  if (any(gone)) {
    inform_mrl("collinear", "Collinear and left out: instruments ", shorten(frame$z_names[gone]),
      ".")
  }
  ifelse(gone, 0, weights)
}

check_instrument <- function(first, frame) {
  aliased <- length(first$value$coef) && is.na(utils::tail(first$value$coef, 1))
  if (first$status == "singular" || aliased) {
    stop_mrl("collinear", "The instrument is constant or a linear function of the covariates.")
  }
  check_status(first$status, "fitting the first stage")
}
