#' mrlearn: machine learning for Mendelian randomization
#'
#' Mendelian randomization asks whether an exposure causes an outcome, with genetic variants as
#' instruments: they shift the exposure and must reach the outcome only through it. Every estimate
#' of
#' this package rests on that assumption, which data can contradict but never prove; the diagnostics
#' that each fit carries say how strong the instruments are and where they disagree.
#'
#' Start with [iv_2sls()] and [iv_lasso()] on individual-level data; [sim_contextual()] simulates
#' data
#' whose truth is known.
#'
#' @keywords internal
#' @useDynLib mrlearn, .registration = TRUE
#' @importFrom generics tidy glance augment
#' @importFrom stats coef confint fitted formula model.frame nobs predict residuals update vcov
"_PACKAGE"

#' @export
generics::tidy

#' @export
generics::glance

#' @export
generics::augment
