# Meta-regression: random effects around a linear function of moderators.

#' Meta-regression
#'
#' Fits `estimate ~ N(x'b, se^2 + tau2)`: effects that depend on moderators, with a residual
#' variance `tau2` of the true effects. Definitions, methods and tests are those of [meta_random()],
#' with `k - p` degrees of freedom for `p` coefficients, and those of the package metafor.
#'
#' `glance()` gives the residual heterogeneity (`tau2`, `se.tau2`, `i2`, `h2`, Q-test `qe`, `qe.df`,
#' `qe.p`), `r2` (percent of the heterogeneity that the moderators account for: `100 * (1 - tau2 /
#' tau2 without moderators)`, at least 0; for `"FE"` the adjusted R squared of the weighted
#' regression), and the test of all moderators together, `qm` (chi-squared with `qm.df` degrees of
#' freedom; an F statistic with `qm.df` and `qm.df2` unless `test = "z"`), `qm.p`.
#'
#' A model without a constant is fitted as such; metafor up to 3.8 centres the effects before it
#' estimates `tau2` there too, and so differs unless the columns add up to a constant.
#'
#' @inheritParams meta_random
#' @param moderators A one-sided formula (`~ dose + region`), or a numeric vector, matrix or
#'   data.frame with a row for each estimate, to which a constant is added. Columns that are
#'   collinear with those before them are left out, and told.
#' @param data A data.frame in which `estimate`, `se` and the variables of `moderators` are looked
#'   up first.
#' @param object,x A fit by `meta_regression()`.
#' @param newdata A data.frame with the moderators to predict at (their columns, if they came as a
#'   matrix); `NULL`: those of the fit.
#' @param interval `"none"`, `"confidence"` for the mean effect, or `"prediction"` for the true
#'   effect of a new study.
#' @param level,conf.level Level of the intervals; that of the fit by default.
#' @param conf.int Include intervals?
#' @param parm Coefficients, by name or number; all by default.
#' @param digits Digits to print.
#' @param ... For `plot()`: graphical parameters passed to [graphics::plot.default()]; else anything
#'   here is an error.
#' @return A list of class `meta_regression`. `tidy()`: a data.frame `term, estimate, std.error,
#'   statistic, p.value, conf.low, conf.high`; `glance()`: one row, see below. `predict()`: numbers
#'   for `interval = "none"`, else a data.frame `estimate, std.error, conf.low, conf.high` or
#'   `estimate, std.error, pred.low, pred.high`. `plot()`: the rows drawn, invisibly; `autoplot()`:
#'   a ggplot of the same.
#' @references Viechtbauer (2010), Journal of Statistical Software 36(3).
#' @examples
#' estimate <- c(0.10, 0.32, 0.25, -0.05, 0.41, 0.18)
#' se <- c(0.12, 0.10, 0.15, 0.11, 0.20, 0.09)
#' dose <- c(1, 3, 2, 0, 4, 2)
#' fit <- meta_regression(estimate, se, ~dose)
#' fit
#' tidy(fit)
#' predict(fit, data.frame(dose = 0:4), interval = "confidence")
#' @export
meta_regression <- function(estimate, se, moderators = ~1, data = NULL,
                            method = c("REML", "ML", "DL", "PM", "SJ", "EB", "HS", "HE", "FE"),
                            test = c("z", "t", "knha", "adhoc"), conf_level = 0.95,
                            prediction = c("metafor", "higgins")) {
  call <- match.call()
  if (!is.null(data)) {
    check_meta_data(data)
    estimate <- eval(substitute(estimate), data, parent.frame())
    se <- eval(substitute(se), data, parent.frame())
  }
  effects <- check_effects(estimate, se)
  design <- moderator_design(moderators, data, length(effects$estimate))
  method <- check_choice(method, meta_methods)
  test <- check_choice(test, meta_tests)
  prediction <- check_choice(prediction, c("metafor", "higgins"))
  conf_level <- check_conf_level(conf_level)
  fit <- fit_meta_regression(effects, design$x, method, test, conf_level)
  structure(
    c(fit, list(
      estimate = effects$estimate, se = effects$se, design = design, method = method, test = test,
      prediction = prediction, conf_level = conf_level, call = call
    )),
    class = "meta_regression"
  )
}

fit_meta_regression <- function(effects, x, method, test, conf_level) {
  df <- nrow(x) - ncol(x)
  if (df < 1L) {
    stop_mrl("data", "There must be more estimates than coefficients; got ", nrow(x), " and ",
      ncol(x), ".")
  }
  constant <- colnames(x)[1L] == "(Intercept)"
  q <- chisq_bounds(df, conf_level)
  settings <- c(
    meta_settings(method, test), constant = constant, q_low = q$low, q_high = q$high
  )
  out <- .Call(C_meta_regression, effects$estimate, effects$se, x, settings)
  check_status(out$status, "fitting the meta-regression")
  value <- out$value
  terms <- colnames(x)
  c(
    list(
      coefficients = stats::setNames(value$coef, terms),
      vcov = structure(value$vcov, dimnames = list(terms, terms)),
      df.residual = df, constant = constant
    ),
    lapply(value$quantities, function(v) if (is.nan(v)) NA_real_ else v)
  )
}

# The design matrix x, its constant (if any) first, and what is needed to make rows for new data.
moderator_design <- function(moderators, data, n) {
  design <- if (inherits(moderators, "formula")) {
    formula_design(moderators, data, n)
  } else {
    list(x = cbind("(Intercept)" = rep(1, n), moderator_matrix(moderators, n)))
  }
  if (nrow(design$x) != n) {
    stop_mrl("argument", "`moderators` must have a row for each estimate; got ", nrow(design$x),
      " rows for ", n, " estimates.")
  }
  if (!ncol(design$x)) {
    stop_argument("moderators", "must have a column", "none")
  }
  drop_collinear(design)
}

formula_design <- function(formula, data, n) {
  if (length(formula) != 2L) {
    stop_mrl("formula", "`moderators` must be one-sided, as in ~ dose; got ", deparse1(formula),
      ".")
  }
  terms <- stats::terms(formula, data = data)
  if (!length(attr(terms, "term.labels"))) {
    columns <- if (attr(terms, "intercept")) "(Intercept)"
    x <- matrix(1, n, length(columns), dimnames = list(NULL, columns))
    return(list(x = x, terms = terms))
  }
  problem <- "The moderators cannot be put together"
  frame <- of_model(stats::model.frame(terms, data, na.action = stats::na.pass), problem = problem)
  for (name in names(frame)) {
    stop_missing(name, frame[[name]])
  }
  terms <- attr(frame, "terms")
  attr(frame, "row.names") <- seq_len(NROW(frame[[1L]])) # those of data even where that is longer
  x <- of_model(stats::model.matrix(terms, frame), problem = problem)
  attr(x, "assign") <- NULL
  list(
    x = x, terms = terms, contrasts = attr(x, "contrasts"),
    xlevels = stats::.getXlevels(terms, frame)
  )
}

stop_missing <- function(name, v) {
  lost <- is.na(v) | if (is.numeric(v)) is.infinite(v) else FALSE
  rows <- if (is.null(dim(lost))) lost else rowSums(lost) > 0
  shown <- if (is.null(dim(v))) v else ifelse(rows, NA, 0)
  stop_rows(name, "must have no missing and no infinite values", shown, rows)
}

# A vector, matrix or data.frame of numbers as a matrix with column names.
moderator_matrix <- function(moderators, n) {
  columns <- if (is.data.frame(moderators)) as.list(moderators) else list(moderators)
  numeric <- vapply(columns, function(v) is.numeric(v) || is.logical(v), NA)
  if (!length(columns) || !all(numeric)) {
    stop_argument("moderators", "must be a formula, or numeric columns", describe(moderators))
  }
  x <- as.matrix(moderators)
  storage.mode(x) <- "double"
  if (nrow(x) != n) {
    stop_mrl("argument", "`moderators` must have a row for each estimate; got ", nrow(x),
      " rows for ", n, " estimates.")
  }
  if (is.null(colnames(x))) {
    colnames(x) <- if (ncol(x) == 1L) "moderator" else paste0("moderator", seq_len(ncol(x)))
  }
  stop_missing("moderators", x)
  x
}

# Column norms are compared with what the columns before leave of them; a relative 1e-11 is well
# above rounding and below what any moderator that says something leaves.
drop_collinear <- function(design) {
  factor <- qr(design$x, tol = 1e-11)
  gone <- colnames(design$x)[factor$pivot[seq_len(ncol(design$x)) > factor$rank]]
  if (length(gone)) {
    inform_mrl("collinear", "Collinear and left out: moderators ", shorten(gone), ".")
    design$x <- design$x[, setdiff(colnames(design$x), gone), drop = FALSE]
  }
  design$dropped <- gone
  attr(design$x, "contrasts") <- NULL
  rownames(design$x) <- NULL
  design
}

# Rows of the design for new data.
moderator_rows <- function(object, newdata) {
  design <- object$design
  kept <- names(object$coefficients)
  if (is.null(newdata)) {
    return(design$x)
  }
  x <- if (is.null(design$terms)) {
    named <- as.matrix(newdata)
    wanted <- setdiff(kept, "(Intercept)")
    if (is.null(colnames(named)) && ncol(named) == length(wanted)) {
      colnames(named) <- wanted
    }
    cbind("(Intercept)" = rep(1, nrow(named)), named)
  } else if (!length(attr(design$terms, "term.labels"))) {
    matrix(1, NROW(newdata), 1L, dimnames = list(NULL, "(Intercept)"))
  } else {
    check_newdata(newdata, all.vars(design$terms))
    of_model(
      {
        frame <- stats::model.frame(design$terms, newdata, na.action = stats::na.pass,
          xlev = design$xlevels)
        stats::model.matrix(design$terms, frame, contrasts.arg = design$contrasts)
      },
      "data", "`newdata` does not fit the model"
    )
  }
  check_newdata(as.data.frame(x), kept)
  x[, kept, drop = FALSE]
}

check_newdata <- function(newdata, wanted) {
  if (!is.data.frame(newdata)) {
    stop_argument("newdata", "must be a data.frame", describe(newdata))
  }
  lacking <- setdiff(wanted, names(newdata))
  if (length(lacking)) {
    stop_mrl("data", "`newdata` lacks ", shorten(lacking), "; it has ",
      if (length(newdata)) shorten(names(newdata)) else "no columns", ".")
  }
}

# Degrees of freedom of the tests: Inf for normal ones.
meta_df <- function(object) {
  if (object$test == "z") Inf else object$df.residual
}

# conf.level, the words of broom, or level, those of predict(): that of the fit by default.
level_of <- function(object, level) {
  if (is.null(level)) object$conf_level else check_conf_level(level)
}

#' @rdname meta_regression
#' @export
tidy.meta_regression <- function(x, conf.int = TRUE, conf.level = NULL, ...) {
  check_no_dots(...)
  std_error <- sqrt(diag(x$vcov))
  statistic <- x$coefficients / std_error
  out <- data.frame(
    term = names(x$coefficients), estimate = unname(x$coefficients),
    std.error = unname(std_error), statistic = unname(statistic),
    p.value = unname(meta_p(statistic, meta_df(x)))
  )
  if (check_flag(conf.int)) {
    margin <- meta_quantile(level_of(x, conf.level), meta_df(x)) * out$std.error
    out$conf.low <- out$estimate - margin
    out$conf.high <- out$estimate + margin
  }
  out
}

#' @rdname meta_regression
#' @export
glance.meta_regression <- function(x, ...) {
  check_no_dots(...)
  qm_df <- max(1L, length(x$coefficients) - x$constant)
  df <- meta_df(x)
  # chi-squared is qm.df times an F with infinitely many denominator degrees of freedom
  f <- x$qm / qm_df
  data.frame(
    tau2 = x$tau2, se.tau2 = x$se_tau2, i2 = x$i2, h2 = x$h2, r2 = meta_r2(x),
    qe = x$qe, qe.df = x$df.residual, qe.p = q_p(x$qe, x$df.residual),
    qm = if (is.finite(df)) f else x$qm, qm.df = qm_df,
    qm.p = stats::pf(f, qm_df, df, lower.tail = FALSE),
    k = length(x$estimate),
    qm.df2 = if (is.finite(df)) df else NA_integer_,
    tau2.low = x$tau2_low, tau2.high = x$tau2_high, method = x$method, test = x$test
  )
}

meta_r2 <- function(x) {
  if (!x$constant || length(x$coefficients) == 1L) {
    return(NA_real_)
  }
  if (x$method == "FE") {
    k <- length(x$estimate)
    return(100 * max(0, 1 - (x$qe / x$q_none) * (k - 1) / x$df.residual))
  }
  if (x$tau2_none == 0) 0 else 100 * max(0, 1 - x$tau2 / x$tau2_none)
}

#' @rdname meta_regression
#' @export
predict.meta_regression <- function(object, newdata = NULL,
                                    interval = c("none", "confidence", "prediction"), level = NULL,
                                    ...) {
  check_no_dots(...)
  interval <- check_choice(interval, c("none", "confidence", "prediction"))
  x <- moderator_rows(object, newdata)
  estimate <- as.vector(x %*% object$coefficients)
  if (interval == "none") {
    return(estimate)
  }
  variance <- unname(rowSums((x %*% object$vcov) * x))
  std_error <- sqrt(variance)
  df <- meta_df(object)
  ends <- c("conf.low", "conf.high")
  if (interval == "prediction") {
    df <- prediction_df(object$prediction, df, object$df.residual, object$method)
    variance <- variance + object$tau2
    ends <- c("pred.low", "pred.high")
  }
  reach <- meta_quantile(level_of(object, level), df) * sqrt(variance)
  stats::setNames(
    data.frame(estimate, std_error, estimate - reach, estimate + reach),
    c("estimate", "std.error", ends)
  )
}

#' @rdname meta_regression
#' @export
confint.meta_regression <- function(object, parm = NULL, level = NULL, ...) {
  check_no_dots(...)
  level <- level_of(object, level)
  table <- tidy(object, conf.level = level)
  out <- as.matrix(table[c("conf.low", "conf.high")])
  percent <- format(100 * c((1 - level) / 2, (1 + level) / 2), trim = TRUE, digits = 3)
  dimnames(out) <- list(table$term, paste(percent, "%"))
  out[check_parm(parm, rownames(out)), , drop = FALSE]
}

#' @export
coef.meta_regression <- function(object, ...) {
  check_no_dots(...)
  object$coefficients
}

#' @export
vcov.meta_regression <- function(object, ...) {
  check_no_dots(...)
  object$vcov
}

#' @export
nobs.meta_regression <- function(object, ...) {
  length(object$estimate)
}

#' @export
fitted.meta_regression <- function(object, ...) {
  check_no_dots(...)
  as.vector(object$design$x %*% object$coefficients)
}

#' @export
residuals.meta_regression <- function(object, ...) {
  object$estimate - fitted(object, ...)
}

#' @rdname meta_regression
#' @export
print.meta_regression <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  digits <- check_digits(digits)
  check_no_dots(...)
  number <- function(v) format(v, digits = digits)
  g <- glance(x)
  cat("Meta-regression (", x$method, ", test ", x$test, "): ", g$k, " estimates

", sep = "")
  print_table(tidy(x), digits)
  cat("
tau2 ", number(g$tau2), if (!is.na(g$se.tau2)) paste0(" (se ", number(g$se.tau2), ")"),
    ", I2 ", number(g$i2), " %", if (!is.na(g$r2)) paste0(", R2 ", number(g$r2), " %"), "
",
    "Residual heterogeneity: Q ", number(g$qe), " on ", g$qe.df, ", p ",
    format.pval(g$qe.p, digits = digits, eps = 1e-16), "
",
    sep = ""
  )
  if (length(x$coefficients) > x$constant) {
    normal <- is.na(g$qm.df2)
    cat("Moderators: ", if (normal) "chi-squared " else "F ", number(g$qm), " on ", g$qm.df,
      if (!normal) paste(" and", g$qm.df2), ", p ",
      format.pval(g$qm.p, digits = digits, eps = 1e-16), "\n",
      sep = ""
    )
  }
  invisible(x)
}
