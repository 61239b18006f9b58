# Coverage of 95 % bootstrap intervals: average derivative, and the curve at three exposures.
# Options and csv as in bench/study_tools.R; groups: "Quantile IV", "DeepIV gaussian". Two
# simulations run at a time, each on one thread.
source(file.path("bench", "study_tools.R"))

# Quartiles of the exposure, whose law is (nearly) standard normal.
coverage_at <- stats::qnorm(c(0.25, 0.5, 0.75))
quantities <- c("slope", "q25", "q50", "q75")

list_coverage <- function(trial) {
  cells <- expand.grid(curve = c("linear", "quadratic"), seed = if (trial) 1:4 else 100 + 1:200,
    estimator = networks[1:2], n = if (trial) 1000 else 5000, n_boot = if (trial) 20 else 100,
    stringsAsFactors = FALSE)
  data.frame(group = cells$estimator, cells[c("estimator", "curve", "n", "n_boot", "seed")])
}

# For each quantity, does the interval cover it and how wide is it? For the curve at all three also
# the band.
look_at_intervals <- function(fit, interval, true) {
  slope <- quietly(average_derivative(fit, interval = interval))
  curve <- quietly(effect_curve(fit, coverage_at, interval = interval, simultaneous = TRUE))
  low <- c(slope$conf.low, curve$conf.low)
  high <- c(slope$conf.high, curve$conf.high)
  band <- all(curve$band.low <= true[-1] & true[-1] <= curve$band.high)
  out <- c(
    stats::setNames(low <= true & true <= high, paste0("covers_", quantities)), covers_band = band,
    stats::setNames(high - low, paste0("width_", quantities)),
    width_band = mean(curve$band.high - curve$band.low)
  )
  stats::setNames(out, paste0(interval, "_", names(out)))
}

# The average derivative is that of the people in the data, whose exposures count as fixed.
run_coverage <- function(cell) {
  sim <- with_instruments(sim_nonlinear(cell$n, f = cell$curve, seed = cell$seed))
  true <- c(mean(truth(sim)$beta), truth(sim)$curve(coverage_at))
  fit <- timed(fit_network(cell$estimator, Y ~ X | g, sim, seed = cell$seed, n_boot = cell$n_boot))
  slope <- quietly(average_derivative(fit$value))
  curve <- quietly(effect_curve(fit$value, coverage_at))
  c(
    stats::setNames(c(slope$estimate, curve$estimate) - true, paste0("error_", quantities)),
    stats::setNames(c(slope$std.error, curve$std.error), paste0("se_", quantities)),
    look_at_intervals(fit$value, "normal", true), look_at_intervals(fit$value, "percentile", true),
    seconds = fit$seconds
  )
}

# Coverage, its distance from 0.95 in Monte Carlo errors, and the mean width.
coverage_columns <- function(rows, quantity, interval) {
  covers <- rows[[paste0(interval, "_covers_", quantity)]]
  rate <- mean(covers, na.rm = TRUE)
  away <- (rate - 0.95) / sqrt(0.95 * 0.05 / sum(!is.na(covers)))
  width <- mean(rows[[paste0(interval, "_width_", quantity)]], na.rm = TRUE)
  out <- list(sprintf("%.3f (%+.1f)", rate, away), short(width))
  stats::setNames(out, c(interval, paste("width,", interval)))
}

# How an estimator's errors compare with its standard errors.
error_columns <- function(rows, quantity) {
  error <- rows[[paste0("error_", quantity)]]
  if (is.null(error)) { # a band has none of its own
    return(list(bias = "", "SE / SD" = ""))
  }
  ratio <- mean(rows[[paste0("se_", quantity)]], na.rm = TRUE) / stats::sd(error, na.rm = TRUE)
  n <- sum(!is.na(error))
  list(
    bias = sprintf("%.4f (%.4f)", mean(error, na.rm = TRUE),
      stats::sd(error, na.rm = TRUE) / sqrt(n)),
    "SE / SD" = sprintf("%.2f (%.2f)", ratio, ratio / sqrt(2 * n))
  )
}

coverage_labels <- c(slope = "average derivative", q25 = "curve at 25 %", q50 = "curve at 50 %",
  q75 = "curve at 75 %", band = "curve at all three")

# A line per quantity of one estimator and curve.
coverage_lines <- function(rows) {
  lines <- lapply(names(coverage_labels), function(quantity) {
    about <- list(estimator = rows$estimator[1], curve = rows$curve[1],
      quantity = coverage_labels[[quantity]])
    as.data.frame(c(about, coverage_columns(rows, quantity, "normal"),
      coverage_columns(rows, quantity, "percentile"), error_columns(rows, quantity)),
    check.names = FALSE)
  })
  do.call(rbind, lines)
}

# The intervals that are more than three Monte Carlo errors off, of how many.
count_misses <- function(parts) {
  away <- lapply(parts, function(rows) {
    covers <- as.matrix(rows[grepl("_covers_", names(rows))])
    (colMeans(covers, na.rm = TRUE) - 0.95) / sqrt(0.95 * 0.05 / colSums(!is.na(covers)))
  })
  away <- unlist(away)
  c(missed = sum(abs(away) > 3, na.rm = TRUE), of = length(away))
}

report_coverage <- function(rows) {
  parts <- split(rows, list(rows$curve, factor(rows$estimator, networks)), drop = TRUE)
  misses <- count_misses(parts)
  sizes <- vapply(parts, function(part) {
    paste(part$estimator[1], part$curve[1], nrow(part))
  }, "")
  seconds <- tapply(rows$seconds, rows$estimator, stats::median)
  c(
    "## Coverage of bootstrap intervals", "",
    paste0("`sim_nonlinear(n = ", rows$n[1], ")`, ", rows$n_boot[1],
      " warm-started replicates, nominal 95 %. Data sets: ", paste(sizes, collapse = ", "), "."),
    "The curve is looked at where the exposure has its quartiles; `curve at all three` is the",
    "simultaneous band over these. In brackets: of a coverage its distance from 0.95 in Monte",
    "Carlo errors, sqrt(0.95 0.05 / data sets); of bias and of the mean standard error over the",
    "standard deviation of the estimates their own Monte Carlo errors.", "",
    paste0("Target, coverages within 3 Monte Carlo errors: ", if (misses[["missed"]] == 0) {
      "met."
    } else {
      paste0("missed by ", misses[["missed"]], " of ", misses[["of"]], ".")
    }), "",
    md_table(do.call(rbind, lapply(parts, coverage_lines))), "",
    paste0("Seconds of a fit with its replicates, one thread: ",
      paste(names(seconds), short(seconds), collapse = ", "), "."), "",
    notes_of(rows), ""
  )
}

coverage <- list(name = "coverage", cells = list_coverage, run = run_coverage,
  report = report_coverage, processes = 2L)
if (is_script()) {
  invisible(run_study(coverage))
}
