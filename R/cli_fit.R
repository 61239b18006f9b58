# Fits as tables and as files, for the command line.

# tidy, glance, diagnostics and curve of a fit; NULL for what it does not have. exposure: which one
# the curve is of, where a fit without instruments does not know.
fit_tables <- function(fit, conf_level, exposure = NULL) {
  have <- function(what, expr) {
    tryCatch(expr, mrlearn_error = function(e) {
      cli_say("note: no ", what, ": ", conditionMessage(e))
      NULL
    })
  }
  Filter(Negate(is.null), list(
    tidy = have("estimates", fit_estimates(fit, conf_level)),
    glance = have("summary", generics::glance(fit)),
    diagnostics = have("diagnostics", diagnostics(fit)),
    curve = have("curve", call_curve(fit, NULL, list(conf_level = conf_level, exposure = exposure)))
  ))
}

# tidy(), which networks have no coefficients for: their average derivative instead.
fit_estimates <- function(fit, conf_level) {
  out <- generics::tidy(fit, conf.int = TRUE, conf.level = conf_level)
  if (nrow(out)) {
    return(out)
  }
  slope <- average_derivative(fit, conf_level = conf_level)
  cbind(term = fit$exposures, slope)
}

fit_files <- c("fit.rds", "fit.json", "tidy.csv", "glance.csv", "diagnostics.csv", "curve.csv")

# fit.rds last: where it is, all is.
save_fit <- function(fit, tables, folder, method, given) {
  unlink(file.path(folder, fit_files))
  for (name in names(tables)) {
    cli_write(csv_lines(tables[[name]]), file.path(folder, paste0(name, ".csv")))
  }
  about <- list(
    mrlearn = as.character(utils::packageVersion("mrlearn")), method = method,
    options = given$values[setdiff(names(given$values), c("json", "output", "overwrite"))]
  )
  cli_write(cli_json(c(about, tables)), file.path(folder, "fit.json"))
  cli_write(serialize(fit, NULL), file.path(folder, "fit.rds"), gzip = TRUE)
}

# The fit in a folder that estimate wrote, or in an .rds file.
read_fit <- function(path) {
  file <- if (dir.exists(path)) file.path(path, "fit.rds") else path
  if (!file.exists(file)) {
    stop_mrl("data", "\"", path, "\" holds no fit", if (dir.exists(path)) " (fit.rds)", ".")
  }
  fit <- tryCatch(suppressWarnings(readRDS(file)), error = function(e) NULL)
  if (!inherits(fit, "iv_fit")) {
    stop_mrl("data", "\"", file, "\" is no fit that mrlearn saved.")
  }
  fit
}
