#' Radial regression and its outliers
#'
#' Radial IVW and radial MR Egger: a variant's ratio times the root of its weight, regressed on that
#' root, so that its squared residual is its part of the heterogeneity statistic. Variants whose
#' part is large are outliers. What RadialMR's `ivw_radial()` and `egger_radial()` give.
#'
#' @inheritParams mr_leave_one_out
#' @param method `"ivw"` or `"egger"`.
#' @param weights Inverse variances of the ratios: 1, first order, \eqn{b_X^2/s_Y^2}; 2, second
#'   order, with the ratio's part of \eqn{s_X}; 3, modified second order, with the effect estimated
#'   by first-order weights in place of each ratio.
#' @param alpha A variant whose part of Q has a chi-squared(1) p-value below `alpha` is an outlier.
#' @param tol The iterated estimate is one when it moves by less.
#' @param conf_level Level of the confidence intervals.
#' @return A list of class `mr_radial` of three data.frames, each with `id.exposure, id.outcome,
#'   outcome, exposure` first:
#' * `coef`: `model`, `nsnp`, `b`, `se`, `t`, `pval`, `ci_low`, `ci_high`, `Q`, `Q_df`, `Q_pval`.
#'   For IVW four models: `"Effect (1st)"`, `"Effect (2nd)"` or `"Effect (Mod.2nd)"`; `"Iterative"`,
#'   modified weights until nothing changes; `"Exact (FE)"`, the effect that minimises Q where it
#'   stands in the weights too, and `"Exact (RE)"`, the same with variances of the outcome effects
#'   multiplied so that the minimum of Q is its degrees of freedom. For Egger the effect, with
#'   `intercept, intercept_se, intercept_pval`.
#' * `snps`: `SNP`, `Wj`, `BetaWj` (root of the weight, times the ratio), `Qj`, `Qj_Chi` (part of Q
#'   and its p-value), `outlier`.
#' * `fit`: `meanF`, `sigma`, `n_outliers`, `iterations`.
#'
#' As in RadialMR, p-values are normal but for Egger and `"Exact (RE)"`, which have `t` with `Q_df`
#' degrees of freedom, as all intervals do. It differs in three ways: the exact estimates are the
#' minima (there, of a search between -2 and 2); the standard error of `"Exact (RE)"` is 1 over the
#' root of the sum of its weights (there, a bootstrap); and Egger's Q has `nsnp - 2` degrees of
#' freedom with every kind of weights.
#' @references Bowden et al. (2018), Int. J. Epidemiol. 47:1264. Bowden et al. (2019), Int. J.
#'   Epidemiol. 48:728 (modified and exact weights).
#' @seealso `mr_ivw_radial` and `mr_egger_radial` of [mr_methods()].
#' @examples
#' mr_radial(subset(lipid_chd, exposure == "LDL"))
#' @export
mr_radial <- function(dat, method = c("ivw", "egger"), weights = 3, alpha = 0.05, tol = 1e-5,
                      conf_level = 0.95) {
  method <- check_choice(method, c("ivw", "egger"))
  settings <- list(
    egger = method == "egger", weights = check_count(weights, min = 1, max = 3),
    tol = check_number(tol, min = 0, open = TRUE)
  )
  alpha <- check_number(alpha, min = 0, max = 1)
  conf_level <- check_conf_level(conf_level)
  frame <- mr_frame(dat, "SNP")
  out <- .Call(C_mr_radial, frame$effects, frame$start, settings)
  check_status(out$status, "radial regression")
  snps <- radial_snps(out$value, frame, dat, alpha)
  structure(class = "mr_radial", list(
    coef = radial_coef(out$value, frame, settings, conf_level), snps = snps,
    fit = radial_fit(out$value, frame, snps, settings), method = method, alpha = alpha
  ))
}

radial_models <- function(settings) {
  c(
    paste0("Effect (", c("1st", "2nd", "Mod.2nd")[settings$weights], ")"),
    if (!settings$egger) c("Iterative", "Exact (FE)", "Exact (RE)")
  )
}

radial_coef <- function(value, frame, settings, conf_level) {
  models <- radial_models(settings)
  n_pairs <- nrow(frame$pairs)
  pair <- rep(seq_len(n_pairs), each = length(models))
  model <- rep(models, n_pairs)
  n <- diff(frame$start)[pair]
  df <- ifelse(is.na(value$slope), NA, n - if (settings$egger) 2 else 1)
  t <- value$slope / value$slope_se
  by_t <- settings$egger | model == "Exact (RE)"
  half <- stats::qt((1 + conf_level) / 2, df) * value$slope_se
  out <- data.frame(
    lapply(frame$pairs, `[`, pair), model = model, nsnp = n, b = value$slope, se = value$slope_se,
    t = t, pval = 2 * ifelse(by_t, stats::pt(-abs(t), df), stats::pnorm(-abs(t))),
    ci_low = value$slope - half, ci_high = value$slope + half,
    Q = value$q, Q_df = df, Q_pval = stats::pchisq(value$q, df, lower.tail = FALSE)
  )
  if (settings$egger) {
    t <- value$intercept / value$intercept_se
    out[c("intercept", "intercept_se", "intercept_pval")] <-
      list(value$intercept, value$intercept_se, 2 * stats::pt(-abs(t), df))
  }
  out
}

radial_snps <- function(value, frame, dat, alpha) {
  pair <- rep(seq_len(nrow(frame$pairs)), diff(frame$start))
  p <- stats::pchisq(value$part, 1, lower.tail = FALSE)
  data.frame(
    lapply(frame$pairs, `[`, pair), SNP = as.character(dat[["SNP"]])[frame$row], Wj = value$root,
    BetaWj = no_nan(value$root * frame$effects$by / frame$effects$bx), Qj = value$part, Qj_Chi = p,
    outlier = p < alpha
  )
}

radial_fit <- function(value, frame, snps, settings) {
  k <- nrow(frame$pairs)
  pair <- rep(seq_len(k), diff(frame$start))
  e <- frame$effects
  data.frame(
    frame$pairs, meanF = no_nan(sum_by((e$bx / e$sx)^2, pair, k) / diff(frame$start)),
    sigma = value$sigma[seq(1L, by = length(radial_models(settings)), length.out = k)],
    n_outliers = as.integer(sum_by(as.double(snps$outlier), pair, k)),
    iterations = if (settings$egger) NA_integer_ else value$count
  )
}

#' @export
print.mr_radial <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  digits <- check_digits(digits)
  cat("Radial ", if (x$method == "ivw") "IVW" else "MR Egger", ", outliers with p < ",
    format(x$alpha), "\n", sep = "")
  for (i in seq_len(nrow(x$fit))) {
    fit <- x$fit[i, ]
    here <- function(table) {
      table[table$id.exposure == fit$id.exposure & table$id.outcome == fit$id.outcome, ]
    }
    cat("\n", fit$exposure, " on ", fit$outcome, ", mean F ", format(fit$meanF, digits = digits),
      "\n", sep = "")
    columns <- setdiff(names(x$coef), names(x$coef)[1:4])
    print(here(x$coef)[columns], digits = digits, row.names = FALSE)
    out <- here(x$snps)
    out <- out[which(out$outlier), ]
    if (nrow(out)) {
      cat("Outliers:\n")
      print(out[c("SNP", "Qj", "Qj_Chi")], digits = digits, row.names = FALSE)
    } else {
      cat("No significant outliers\n")
    }
  }
  invisible(x)
}
