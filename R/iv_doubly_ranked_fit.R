# From the associations of each stratum and repeat to the fitted object.

stratum_columns <- c("n", "mean", "bx", "by", "vxx", "vyy", "vxy", "df", "separated", "gr_low",
  "gr_high")

new_strata_fit <- function(value, frame, first, score, given, shape, settings, call) {
  effects <- array(value$effect,
    c(length(stratum_columns), settings$n_strata, settings$n_repeats), list(stratum_columns))
  stratum <- replace(value$stratum, value$stratum == 0L, NA_integer_)
  lace <- lace_table(effects, frame$x[, 1], stratum, given)
  warn_strata(lace, effects, given$strata)
  labels <- paste("stratum", lace$stratum)
  exposure <- colnames(frame$x)
  fit <- list(
    coefficients = stats::setNames(lace$estimate, labels),
    vcov = structure(diag(lace$std.error^2), dimnames = list(labels, labels)),
    lace = lace, diagnostics = strata_diagnostics(lace, first, given),
    curve = fit_lace_curve(lace, shape), nobs = length(frame$y), estimator = "Effects by strata",
    strata = given$strata, family = given$family, se = given$se,
    vcov_type = c("iid", "HC1", "cluster")[settings$vcov + 1L], outcome = frame$outcome,
    exposures = exposure, covariates = colnames(frame$w),
    n_instruments = length(frame$z_names), instruments = frame$z_names,
    score = score[c("how", "weights")],
    tied = c(instrument = value$tied_z, exposure = value$tied_ranks),
    settings = settings[c("n_strata", "pre_size", "n_repeats", "leave_out", "seed", "random_ties")],
    mean_exposure = mean_weighted(frame$x[, 1], frame$weights),
    range_exposure = range(frame$x[, 1]), weights = frame$weights, cluster = frame$cluster_name,
    n_cluster = if (!is.null(frame$cluster)) frame$n_cluster,
    dropped = list(rows = frame$dropped$text), na.action = na_record(frame$dropped),
    imputed = frame$imputed, stratum = if (given$model) stratum,
    model = if (given$model) {
      stats::setNames(data.frame(unname(frame$x[, 1])), exposure)
    },
    design = frame$design, formula = frame$formula, call = call, isa = isa_used()
  )
  structure(fit, class = c("iv_doubly_ranked", "iv_fit"))
}

# A row for each stratum: associations combined over repeats, their ratio and its error.
lace_table <- function(effects, x, stratum, given) {
  rows <- lapply(seq_len(dim(effects)[2]), function(k) {
    by_repeat <- matrix(effects[, k, ], length(stratum_columns),
      dimnames = list(stratum_columns, NULL))
    combine_repeats(by_repeat, given)
  })
  out <- do.call(rbind, rows)
  people <- split(x, factor(stratum, seq_len(nrow(out))))
  ends <- vapply(people, function(v) c(min(v), max(v)), c(0, 0), USE.NAMES = FALSE)
  data.frame(
    stratum = seq_len(nrow(out)), n = out$n, x.min = ends[1, ], x.mean = out$mean,
    x.max = ends[2, ], out[c("bx", "bx.se", "by", "by.se", "estimate", "std.error", "df", "F",
      "gr")], vxy = out$vxy
  )
}

# Rubin's rules for the pair of associations; the degrees of freedom are those of by - estimate bx,
# whose error is that of the ratio.
combine_repeats <- function(r, given) {
  m <- ncol(r)
  bx <- mean(r["bx", ])
  by <- mean(r["by", ])
  within <- rowMeans(r[c("vxx", "vyy", "vxy"), , drop = FALSE])
  between <- if (m > 1L) {
    c(stats::var(r["bx", ]), stats::var(r["by", ]), stats::cov(r["bx", ], r["by", ]))
  } else {
    c(0, 0, 0)
  }
  total <- within + (1 + 1 / m) * between
  estimate <- by / bx
  along <- if (given$se == "delta") c(estimate^2, 1, -2 * estimate) else c(0, 1, 0)
  df <- if (given$family == "binomial") Inf else mean(r["df", ])
  data.frame(
    n = mean(r["n", ]), mean = mean(r["mean", ]), bx = bx, bx.se = sqrt(total[[1]]), by = by,
    by.se = sqrt(total[[2]]), estimate = estimate,
    std.error = sqrt(max(0, sum(along * total))) / abs(bx),
    df = repeat_df(sum(along * within), sum(along * between), m, df), F = bx^2 / total[[1]],
    gr = max(rowMeans(r[c("gr_low", "gr_high"), , drop = FALSE])), vxy = total[[3]]
  )
}

# Barnard & Rubin (1999), equation 3.
repeat_df <- function(within, between, m, complete) {
  share <- (1 + 1 / m) * between
  if (m == 1L || is.na(share) || share <= 0) {
    return(complete)
  }
  missing <- share / (within + share)
  old <- (m - 1) / missing^2
  if (is.infinite(complete)) {
    return(old)
  }
  observed <- (complete + 1) / (complete + 3) * complete * (1 - missing)
  1 / (1 / old + 1 / observed)
}

warn_strata <- function(lace, effects, strata) {
  without <- which(is.na(lace$estimate))
  if (length(without) == nrow(lace)) {
    stop_mrl("data", "No stratum has an estimate: instrument or exposure is constant within each, ",
      "or the outcome is separated.")
  }
  if (length(without)) {
    separated <- apply(effects["separated", , , drop = FALSE] > 0, 2, any)[without]
    why <- ifelse(separated, "outcome separated", "instrument or exposure constant")
    told <- paste0("stratum ", without, " (", why, ")", collapse = ", ")
    warn_mrl("strata", "No estimate in ", told, ".")
  }
  worst <- max(lace$gr, 0, na.rm = TRUE)
  if (strata == "doubly_ranked" && worst > 1.02) {
    warn_mrl("strata", "Equal exposures disturb the ranks within pre-strata (Gelman-Rubin ",
      format(worst, digits = 4), ", above 1.02): take fewer strata.")
  }
}

# Heterogeneity, trend, strength, ranks.
strata_diagnostics <- function(lace, first, given) {
  usable <- lace[!is.na(lace$estimate), ]
  whole <- (utils::tail(first$coef, 1))^2 / utils::tail(diag(as.matrix(first$vcov)), 1)
  df2 <- first$df_residual
  least <- which.min(usable$F)
  instrument <- heterogeneity(usable$bx, usable$bx.se^2)
  rows <- list(
    diagnostic_row("Weak instruments", whole, 1, df2,
      stats::pf(whole, 1, df2, lower.tail = FALSE)),
    diagnostic_row("Least F of a stratum", usable$F[least], 1, NA, NA),
    q_row("Heterogeneity Q", lace_q(usable, given$se)),
    trend_row("Trend (REML)", usable$estimate, usable$std.error, usable$x.mean, "REML"),
    trend_row("Trend (DL)", usable$estimate, usable$std.error, usable$x.mean, "DL"),
    q_row("Instrument Q", instrument),
    trend_row("Instrument trend (DL)", usable$bx, usable$bx.se, usable$x.mean, "DL"),
    if (given$strata == "doubly_ranked" && !all(is.na(lace$gr))) {
      diagnostic_row("Gelman-Rubin", max(lace$gr, na.rm = TRUE), NA, NA, NA, 1.02)
    }
  )
  do.call(rbind, rows)
}

diagnostic_row <- function(name, statistic, df1, df2, p, critical = NA_real_) {
  data.frame(
    diagnostic = name, df1 = as.double(df1), df2 = as.double(df2), statistic = statistic,
    p.value = as.double(p), critical = critical
  )
}

q_row <- function(name, q) {
  diagnostic_row(name, q[["q"]], q[["df"]], NA, q_p(q[["q"]], q[["df"]]))
}

heterogeneity <- function(estimate, variance) {
  pooled <- sum(estimate / variance) / sum(1 / variance)
  c(q = sum((estimate - pooled)^2 / variance), df = length(estimate) - 1)
}

# Cochran's Q of by against one ratio for all strata, which is estimated by inverse variance
# weights; errors of both associations (DRMR), and with the delta method their covariance.
lace_q <- function(s, se) {
  ratio <- sum(s$bx * s$by / s$by.se^2) / sum(s$bx^2 / s$by.se^2)
  variance <- s$by.se^2 + ratio^2 * s$bx.se^2 - if (se == "delta") 2 * ratio * s$vxy else 0
  c(q = sum((s$by - ratio * s$bx)^2 / variance), df = nrow(s) - 1)
}

trend_row <- function(name, estimate, se, x, method) {
  if (length(estimate) < 3L || stats::var(x) == 0) {
    return(diagnostic_row(name, NA_real_, 1, NA, NA))
  }
  fit <- tryCatch(meta_regression(estimate, se, x, method = method),
    mrlearn_error_numeric = function(e) NULL)
  if (is.null(fit)) {
    return(diagnostic_row(name, NA_real_, 1, NA, NA))
  }
  told <- glance(fit)
  diagnostic_row(name, told$qm, told$qm.df, NA, told$qm.p)
}

check_lace_shape <- function(smooth, degree, knots) {
  smooth <- check_choice(smooth, c("spline", "piecewise"), "smooth")
  degree <- if (!is.null(degree)) check_count(degree, "degree", min = 0, max = 3)
  knots <- if (is.null(knots)) numeric() else sort(check_doubles(knots, "knots"))
  if (anyDuplicated(knots)) {
    stop_argument("knots", "must differ", describe(knots))
  }
  if (smooth == "piecewise" && length(knots)) {
    stop_argument("knots", "must be NULL for smooth = \"piecewise\", which has its own",
      describe(knots))
  }
  list(smooth = smooth, degree = degree, knots = knots)
}

# The LACE as a function of the exposure, by weighted least squares on strata: `coef` of
# lace_basis() and their `vcov`. Where the fit leaves more than errors explain, these are scaled.
fit_lace_curve <- function(lace, shape) {
  s <- lace[!is.na(lace$estimate), ]
  if (shape$smooth == "piecewise") {
    shape$degree <- 0L
    shape$knots <- (s$x.mean[-1] + s$x.mean[-nrow(s)]) / 2
  }
  if (is.null(shape$degree)) {
    shape$degree <- max(0L, min(2L, length(unique(s$x.mean)) - 1L - length(shape$knots)))
  }
  p <- shape$degree + 1L + length(shape$knots)
  if (p > nrow(s)) {
    stop_argument("degree", paste("and `knots` must leave at most one coefficient for each of",
      nrow(s), "strata with an estimate"), paste(p, "coefficients"))
  }
  ends <- range(s$x.mean)
  basis <- c(shape, list(centre = mean(ends), scale = max(diff(ends) / 2, 1e-300)))
  design <- lace_basis(s$x.mean, basis) / s$std.error
  factor <- qr(design)
  if (factor$rank < p) {
    stop_argument("degree", "and `knots` must leave mean exposures that tell the pieces apart",
      paste(p, "coefficients for", factor$rank, "that can be told apart"))
  }
  target <- s$estimate / s$std.error
  coef <- qr.coef(factor, target)
  left <- nrow(s) - p
  spread <- if (left > 0L) max(1, sum(qr.resid(factor, target)^2) / left) else 1
  unpivot <- order(factor$pivot)
  vcov <- chol2inv(qr.R(factor))[unpivot, unpivot, drop = FALSE] * spread
  c(basis, list(coef = unname(coef), vcov = vcov, spread = spread,
    df = if (spread > 1) left else Inf, ends = ends))
}

# Truncated powers of the exposure, centred and scaled: a row for each exposure. integral: theirs
# from the centre.
lace_basis <- function(x, basis, integral = FALSE) {
  u <- (x - basis$centre) / basis$scale
  at <- (basis$knots - basis$centre) / basis$scale
  d <- basis$degree
  if (!integral) {
    powers <- outer(u, seq_len(d + 1L) - 1L, "^")
    pieces <- outer(u, at, function(a, b) if (d == 0L) as.double(a >= b) else pmax(a - b, 0)^d)
    return(cbind(powers, matrix(pieces, length(u))))
  }
  j <- seq_len(d + 1L)
  powers <- basis$scale * sweep(outer(u, j, "^"), 2, j, "/")
  pieces <- basis$scale * outer(u, at, function(a, b) pmax(a - b, 0)^(d + 1) / (d + 1))
  cbind(powers, matrix(pieces, length(u)))
}
