# How fits print: what was estimated, from what, how strong the instruments are, what to beware of.

#' @export
print.iv_fit <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  digits <- check_digits(digits)
  print_head(x)
  table <- tidy(x, conf.int = TRUE, exposures_only = TRUE)
  print_table(table, digits)
  others <- length(x$coefficients) - nrow(table)
  if (others > 0L) {
    cat("and ", others, " other coefficient", if (others > 1L) "s", ": summary()\n", sep = "")
  }
  print_diagnostics(x, digits)
  print_notes(x)
  invisible(x)
}

#' @export
summary.iv_fit <- function(object, conf_level = 0.95, ...) {
  check_no_dots(...)
  structure(
    list(
      fit = object, conf_level = check_conf_level(conf_level),
      coefficients = tidy(object, conf.int = TRUE, conf.level = conf_level),
      diagnostics = object$diagnostics
    ),
    class = "summary.iv_fit"
  )
}

#' @export
print.summary.iv_fit <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  digits <- check_digits(digits)
  print_head(x$fit)
  print_table(x$coefficients, digits)
  cat("sigma ", format(x$fit$sigma, digits = digits), ", ", format(x$fit$df_test),
    " degrees of freedom, ", format(100 * x$conf_level), " % intervals\n", sep = "")
  print_diagnostics(x$fit, digits)
  print_notes(x$fit)
  invisible(x)
}

covariance_words <- c(
  iid = "standard errors assume equal variances", HC0 = "robust standard errors (HC0)",
  HC1 = "robust standard errors (HC1)", HC2 = "robust standard errors (HC2)",
  HC3 = "robust standard errors (HC3)", bootstrap = "bootstrap standard errors",
  unidentified = "infinite standard errors: the effect is not identified"
)

print_head <- function(x) {
  cat(x$estimator, ": effect of ", paste(x$exposures, collapse = ", "), " on ", x$outcome, "\n",
    sep = "")
  covariance <- if (x$vcov_type == "cluster") {
    paste0("standard errors by ", x$n_cluster, " clusters of ", x$cluster)
  } else {
    covariance_words[[x$vcov_type]]
  }
  instruments <- if (!is.null(x$n_instruments)) {
    paste0(x$n_instruments, " instrument", if (x$n_instruments != 1L) "s", ", ")
  }
  cat(x$nobs, " rows, ", instruments, length(x$covariates), " covariate",
    if (length(x$covariates) != 1L) "s", "; ", covariance, "\n\n",
    sep = "")
}

# A data.frame of estimates with p-values formatted as such.
print_table <- function(table, digits) {
  shown <- table
  for (name in names(shown)) {
    if (name == "p.value") {
      shown[[name]] <- format.pval(shown[[name]], digits = digits, eps = 1e-16)
    } else if (is.numeric(shown[[name]])) {
      shown[[name]] <- format(shown[[name]], digits = digits)
    }
  }
  print(shown, row.names = FALSE)
}

print_diagnostics <- function(x, digits) {
  d <- x$diagnostics
  if (!nrow(d)) {
    return(invisible())
  }
  if (sum(startsWith(d$diagnostic, "Conditional F")) == 1L) {
    d <- d[d$diagnostic != "Conditional F", , drop = FALSE] # the F of the row above
  }
  kept <- d
  if (all(is.na(d$critical))) {
    d$critical <- NULL
  }
  cat("\n")
  number <- vapply(d, is.numeric, NA)
  d[number] <- lapply(d[number], function(v) {
    ifelse(is.na(v), "", formatC(v, digits = digits, format = "fg", flag = "#"))
  })
  whole <- c("df1", "df2")
  d[whole] <- lapply(kept[whole], function(v) ifelse(is.na(v), "", format(v)))
  p <- kept$p.value
  d$p.value <- ifelse(is.na(p), "", format.pval(p, digits = digits, eps = 1e-16))
  print(d, row.names = FALSE)
}

# Does ar_set() take the fit?
has_weak_set <- function(x) inherits(x, weak_set_classes) && length(x$exposures) == 1L

print_notes <- function(x) {
  weak <- weak_instruments(x)
  if (!is.null(weak)) {
    cat("\nWeak instruments: ", weak, ".\n",
      "The estimate leans towards the confounded regression and its interval is too narrow",
      if (has_weak_set(x)) "; ar_set() gives\nan interval that holds", ".\n", sep = "")
  }
  notes <- c(
    x$dropped$rows,
    if (length(x$dropped$collinear$covariates)) {
      paste("collinear covariates left out:", shorten(x$dropped$collinear$covariates))
    },
    if (length(x$dropped$collinear$instruments)) {
      paste("collinear instruments left out:", shorten(x$dropped$collinear$instruments))
    },
    if (NROW(x$imputed)) {
      paste0(sum(x$imputed$n_missing), " missing genotypes imputed in ", nrow(x$imputed),
        " instrument", if (nrow(x$imputed) > 1L) "s")
    }
  )
  if (length(notes)) {
    cat("\n", paste0("Note: ", notes, ".\n"), sep = "")
  }
}
