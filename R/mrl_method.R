#' A method for summary data as a function
#'
#' Functions of the kind that TwoSampleMR calls, for one exposure-outcome pair: so
#' `TwoSampleMR::mr_leaveoneout(dat, method = mrl_method("Weighted mode"))` works.
#'
#' @param name A name or label of [mr_methods()].
#' @return A function `f(b_exp, b_out, se_exp, se_out, parameters)`. `parameters` is a list like
#'   TwoSampleMR's `default_parameters()`, of which `nboot`, `phi`, `penk`, `over.dispersion` and
#'   `loss.function` are used if they are there, as are the arguments of [mr_control()] (MR-cML
#'   needs `n`, the sample size). Its value is a list with `b`, `se`, `pval`, `nsnp`,
#'   `Q`, `Q_df`, `Q_pval`, all `NA` where the method cannot be used; Egger methods add `b_i`,
#'   `se_i`, `pval_i` (the intercept), `mod` (the fit) and `dat` (the effects, alleles turned so
#'   that `b_exp` is not negative). Bootstraps take their seed from R's generator. Variants with a
#'   missing effect or without a positive standard error are left out.
#' @examples
#' egger <- mrl_method("MR Egger")
#' egger(c(0.10, 0.20, 0.15, 0.12), c(0.05, 0.11, 0.07, 0.04), rep(0.01, 4), rep(0.02, 4))
#' @export
mrl_method <- function(name) {
  check_string(name)
  table <- mr_method_table()
  code <- mr_method_code(name, table, "name")
  function(b_exp, b_out, se_exp, se_out, parameters = list()) {
    effects <- mrl_effects(b_exp, b_out, se_exp, se_out)
    settings <- parameter_settings(table, code, parameters)
    settings["sample_size"] <- list(settings$n)
    mrl_result(mr_run(effects, c(0L, length(effects$bx)), settings), effects, table$label[code])
  }
}

# Usable effects in the core's order: on the exposure, its error, on the outcome, its error.
mrl_effects <- function(b_exp, b_out, se_exp, se_out) {
  n <- length(b_exp)
  effects <- list(
    bx = check_doubles(b_exp, "b_exp", finite = FALSE),
    sx = check_doubles(se_exp, "se_exp", n = n, finite = FALSE),
    by = check_doubles(b_out, "b_out", n = n, finite = FALSE),
    sy = check_doubles(se_out, "se_out", n = n, finite = FALSE)
  )
  usable <- Reduce(`&`, lapply(effects, is.finite)) & effects$sx > 0 & effects$sy > 0
  if (all(usable)) effects else lapply(effects, `[`, which(usable))
}

parameter_settings <- function(table, code, parameters) {
  or_default <- function(name, default) {
    if (is.null(parameters[[name]])) default else parameters[[name]]
  }
  mr_settings(table, code,
    n_boot = or_default("nboot", 1000), phi = or_default("phi", 1), penk = or_default("penk", 20),
    over_dispersion = or_default("over.dispersion", TRUE),
    loss = or_default("loss.function", "huber"), psi = 0, median_weights = "delta", mode = "grid",
    control = do.call(mr_control, parameters[intersect(names(parameters), control_names())]),
    seed = NULL, n_threads = mrl_threads()
  )
}

control_names <- function() {
  names(formals(mr_control))
}

mrl_result <- function(core, effects, label) {
  failed <- core$why != 0L
  n <- if (failed) NA else if (core$n_used > 0L) core$n_used else length(effects$bx)
  out <- list(
    b = core$b, se = core$se, pval = core$pval, nsnp = n, Q = core$Q, Q_df = core$Q_df,
    Q_pval = core$Q_pval
  )
  if (!startsWith(label, "MR Egger")) {
    return(out)
  }
  sign <- ifelse(effects$bx < 0, -1, 1)
  c(out, list(
    b_i = core$intercept, se_i = core$intercept_se, pval_i = core$intercept_pval,
    mod = list(
      coefficients = c("(Intercept)" = core$intercept, b_exp = core$b), sigma = core$sigma
    ),
    dat = data.frame(
      b_out = effects$by * sign, b_exp = abs(effects$bx), se_exp = effects$sx,
      se_out = effects$sy, flipped = sign < 0
    )
  ))
}
