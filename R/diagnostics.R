#' Diagnostics of an instrumental-variable fit
#'
#' How strong the instruments are, whether exposure and error are correlated, and whether the
#' instruments agree. They are computed with every fit.
#'
#' @param fit A fit of an `iv_*()` function.
#' @param ... Nothing else may be given.
#' @return A data.frame `diagnostic, df1, df2, statistic, p.value, critical`, one row per
#'   diagnostic:
#' * `Weak instruments`: F test of the instruments in the first stage given the covariates (Wald
#'   with
#'   robust covariance). Below 10 is the usual alarm (Staiger & Stock 1997), and no proof of
#'   strength
#'   above.
#' * `Conditional F` (Sanderson & Windmeijer 2016): strength for one exposure while the others are
#'   instrumented too; with one exposure the same as the row before.
#' * `Effective F` (Montiel Olea & Pflueger 2013; robust or clustered covariance, one exposure):
#'   `critical` is the value above which the worst-case bias is below 10 per cent of its bound, at
#'   level 5 per cent, by their simplified (conservative) procedure; one instrument: 23.1.
#' * `Wu-Hausman`: F test that the exposure is exogenous (OLS and 2SLS estimate the same).
#' * `Sargan`, with robust or clustered covariance `Hansen J` (two-step GMM): chi-squared test that
#'   all instruments imply the same effect; needs more instruments than exposures.
#'
#' A statistic that is not defined is `NA`: too few instruments for the last, fewer clusters than
#' instruments for the robust F. With HC2 or HC3 the diagnostics use HC1.
#' @references
#' Montiel Olea & Pflueger (2013), J. Bus. Econ. Stat. 31:358. Sanderson & Windmeijer (2016),
#' J. Econometrics 190:212. Sargan (1958), Econometrica 26:393. Hansen (1982), Econometrica 50:1029.
#' @examples
#' sim <- sim_contextual(n = 1000, L = 5)
#' diagnostics(iv_2sls(Y ~ X | G0 + G1 + G2 + G3 + G4, data = sim))
#' @export
diagnostics <- function(fit, ...) {
  UseMethod("diagnostics")
}

#' @export
diagnostics.default <- function(fit, ...) {
  stop_argument("fit", "must be a fit of an iv_*() function", describe(fit))
}

#' @export
diagnostics.iv_fit <- function(fit, ...) {
  check_no_dots(...)
  fit$diagnostics
}

empty_diagnostics <- function() {
  data.frame(
    diagnostic = character(), df1 = numeric(), df2 = numeric(), statistic = numeric(),
    p.value = numeric(), critical = numeric()
  )
}

linear_diagnostics <- function(value, frame, vcov) {
  exposures <- colnames(frame$x)
  kx <- length(exposures)
  robust <- vcov != "iid"
  of <- if (kx > 1L) paste0(" (", exposures, ")") else ""
  label <- c(
    paste0("Weak instruments", of), paste0("Conditional F", of), "Effective F", "Wu-Hausman",
    if (robust) "Hansen J" else "Sargan"
  )
  tests <- t(value$tests)
  out <- data.frame(diagnostic = label, df1 = tests[, 1], df2 = tests[, 2], statistic = tests[, 3])
  chi2 <- out$diagnostic %in% c("Sargan", "Hansen J")
  out$p.value <- ifelse(chi2,
    stats::pchisq(out$statistic, out$df1, lower.tail = FALSE),
    suppressWarnings(stats::pf(out$statistic, out$df1, out$df2, lower.tail = FALSE))
  )
  out$critical <- NA_real_
  effective <- out$diagnostic == "Effective F"
  out$p.value[effective] <- NA_real_
  out$critical[effective] <- effective_critical(value$effective_k)
  out <- out[!(effective & (!robust | kx > 1L)), , drop = FALSE]
  out[-1] <- lapply(out[-1], function(v) replace(v, is.nan(v), NA_real_))
  row.names(out) <- NULL
  out
}

# Critical value of the simplified test: worst-case bias tau, level alpha; x = 1 / tau.
effective_critical <- function(k, tau = 0.10, alpha = 0.05) {
  if (is.na(k)) {
    return(NA_real_)
  }
  stats::qchisq(1 - alpha, df = k, ncp = k / tau) / k
}

find_diagnostic <- function(diagnostics, names) {
  found <- diagnostics[diagnostics$diagnostic %in% names, , drop = FALSE]
  none <- data.frame(statistic = NA_real_, p.value = NA_real_, critical = NA_real_)
  if (nrow(found)) found[1, ] else none
}

# The row of the least (conditional) first-stage F.
find_weakest <- function(diagnostics) {
  found <- diagnostics[startsWith(diagnostics$diagnostic, "Conditional F"), , drop = FALSE]
  if (!nrow(found)) {
    return(find_diagnostic(diagnostics, character()))
  }
  found[which.min(replace(found$statistic, is.na(found$statistic), Inf)), ]
}

# What is weak about the instruments, in words; NULL if nothing is.
weak_instruments <- function(fit) {
  effective <- find_diagnostic(fit$diagnostics, "Effective F")
  if (!is.na(effective$statistic)) {
    if (effective$statistic >= effective$critical) {
      return(NULL)
    }
    return(sprintf("effective F = %.3g, below its critical value %.3g (10 %% worst-case bias)",
      effective$statistic, effective$critical))
  }
  weakest <- find_weakest(fit$diagnostics)
  if (is.na(weakest$statistic) || weakest$statistic >= 10) {
    return(NULL)
  }
  name <- tolower(substr(weakest$diagnostic, 1, 1))
  sprintf("%s%s = %.3g, below 10", name, substring(weakest$diagnostic, 2), weakest$statistic)
}
