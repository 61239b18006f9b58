# What tells a good curve from a bad one without knowing the truth: correlation, over random
# settings, of the curve's mean squared error with the loss of the second stage on rows held out and
# with the mean width of conformal intervals.
#
#   Rscript bench/model_selection.R   writes bench/model_selection.csv and .md
#
# The poster's default cell with n = 10,000 (sim_nonlinear(1e4)), 2000 further people to calibrate
# intervals of 90 % and 2000 to measure their width; 25 random settings per estimator, preset and
# data set, the same for all estimators, five data sets. Groups: the estimators' names in
# iv_methods(), "quantile", "deep" and "dfiv", each with the preset "ml-mr" (whose range of settings
# is that of the poster's sweep) and "mrlearn" (last layers in closed form). Options as in
# bench/study_tools.R. 750 fits of a few seconds; two at a time, each on one thread.
source(file.path("bench", "contextual_tools.R"))

estimators <- c(deep = "DeepIV", dfiv = "DFIV", quantile = "Quantile IV")

list_selection <- function(trial) {
  known <- intersect(c("quantile", "deep", "dfiv"), iv_methods()$method)
  cells <- expand.grid(group = known, preset = c("ml-mr", "mrlearn"),
    n = if (trial) 1000 else 10000, setting = seq_len(if (trial) 3 else 25),
    seed = if (trial) 1 else 101:105, stringsAsFactors = FALSE)
  cells[order(cells$seed, cells$setting), ]
}

# Settings from their number.
draw_control <- function(cell) {
  set.seed(1000 + cell$setting)
  one <- function(x) x[[sample.int(length(x), 1)]]
  log_uniform <- function(low, high) exp(stats::runif(1, log(low), log(high)))
  nn_control(cell$preset,
    hidden = one(list(c(128L, 64L), c(64L, 32L), c(32L, 16L), 32L, c(128L, 64L, 32L))),
    activation = one(c("gelu", "relu", "softplus", "tanh")), batch_norm = one(c(TRUE, FALSE)),
    dropout = one(c(0, 0, 0.1, 0.3)), learning_rate = log_uniform(1e-4, 2e-2),
    weight_decay = log_uniform(1e-6, 1e-1), batch_size = one(c(250L, 1000L, 4000L)),
    epochs = one(c(30L, 100L, 200L)), patience = 20)
}

# The lowest loss of the outcome's stage on rows held out.
validation_loss <- function(fit) {
  history <- training_history(fit)
  min(history$validation[history$stage == "outcome"], na.rm = TRUE)
}

mean_width <- function(fit, rows, new, method, seed) {
  ends <- quietly(predict(conformal(fit, rows, method, conf_level = 0.9, seed = seed), new))
  mean(ends$upper - ends$lower)
}

run_selection <- function(cell) {
  sim <- with_instruments(sim_nonlinear(cell$n + 4000, seed = cell$seed))
  n <- cell$n
  rows <- sim[n + 1:2000, ]
  new <- sim[n + 2001:4000, ]
  people <- sim[seq_len(n), ]
  fit <- timed(iv_fit(cell$group, Y ~ X | g, people, seed = cell$seed,
    control = draw_control(cell)))
  at <- seq(min(people$X), max(people$X), length.out = 2000)
  error <- quietly(effect_curve(fit$value, at, simultaneous = FALSE))$estimate -
    truth(sim)$curve(at)
  c(
    mse = mean(error^2), inner = mean(error[abs(at) <= 2]^2),
    validation = validation_loss(fit$value),
    split = mean_width(fit$value, rows, new, "split", cell$seed),
    cqr = mean_width(fit$value, rows, new, "cqr", cell$seed), seconds = fit$seconds
  )
}

# Squared correlation with its sign, of each data set; their median and range. log: of the
# logarithm of the error, which a few bad fits do not rule.
signed_r2 <- function(rows, error, by) {
  r <- vapply(split(rows, rows$seed), function(one) {
    ok <- is.finite(one[[error]]) & is.finite(one[[by]])
    if (sum(ok) < 5L || stats::sd(one[[by]][ok]) == 0) {
      return(NA_real_)
    }
    stats::cor(log(one[[error]][ok]), one[[by]][ok])
  }, 0)
  r <- r[!is.na(r)]
  if (!length(r)) {
    return("")
  }
  show <- function(v) sprintf("%+.2f", sign(v) * v^2)
  if (length(r) == 1L) {
    return(show(r))
  }
  paste0(show(stats::median(r)), " (", show(min(r)), " to ", show(max(r)), ")")
}

plain_r2 <- function(rows, by) {
  r <- vapply(split(rows, rows$seed), function(one) {
    suppressWarnings(stats::cor(one$mse, one[[by]], use = "complete.obs"))
  }, 0)
  if (all(is.na(r))) "" else sprintf("%.2f", stats::median(r^2, na.rm = TRUE))
}

# The error of the settings that a criterion chooses, over the least there is: medians.
regret <- function(rows, by) {
  ratio <- vapply(split(rows, rows$seed), function(one) {
    one$mse[which.min(one[[by]])] / min(one$mse)
  }, 0)
  short(stats::median(ratio))
}

# R2 read off the slides: with validation loss, with interval width.
published <- list(deep = c(0.01, 0.43), dfiv = c(0.00, 0.59), quantile = c(0.69, 0.24))

selection_line <- function(rows) {
  old <- published[[rows$group[1]]]
  data.frame(
    estimator = estimators[[rows$group[1]]], preset = rows$preset[1], fits = nrow(rows),
    "MSE, range" = paste(short(range(rows$mse)), collapse = " - "),
    "validation: slides" = short(old[1]), R2 = plain_r2(rows, "validation"),
    "R2 of log MSE" = signed_r2(rows, "mse", "validation"),
    "width: slides" = short(old[2]), "R2, split" = plain_r2(rows, "split"),
    "of log MSE, split" = signed_r2(rows, "mse", "split"),
    "of log MSE, cqr" = signed_r2(rows, "mse", "cqr"),
    "regret: validation" = regret(rows, "validation"), "split width" = regret(rows, "split"),
    "cqr width" = regret(rows, "cqr"), check.names = FALSE
  )
}

report_selection <- function(rows) {
  fine <- rows[is.finite(rows$mse) & is.finite(rows$split), ]
  parts <- split(fine, list(fine$preset, fine$group), drop = TRUE)
  r2 <- function(group, by) {
    one <- fine[fine$group == group & fine$preset == "ml-mr", ]
    if (!nrow(one)) NA_real_ else as.double(plain_r2(one, by))
  }
  found <- vapply(names(estimators), function(g) c(r2(g, "validation"), r2(g, "split")), c(0, 0))
  told <- function(column) {
    paste0(estimators[[column]], ": validation ", short(found[1, column]), " (slides ",
      short(published[[column]][1]), "), width ", short(found[2, column]), " (slides ",
      short(published[[column]][2]), ")")
  }
  c(
    "# Choosing among settings without the truth", "",
    paste0("Written by `bench/model_selection.R` from `bench/model_selection.csv`: ",
      "`sim_nonlinear(", format(rows$n[1], scientific = FALSE), ")`, ",
      length(unique(rows$setting)), " random settings, ", length(unique(rows$seed)),
      " data sets."),
    "R2 is the median over the data sets of the squared correlation over the settings; of log MSE",
    "with the correlation's sign and its range over the data sets. Regret is the error of the",
    "settings with the lowest loss or the narrowest intervals over the least error of all",
    "(median).",
    "", paste0("With the preset of that tool, ", paste(vapply(names(estimators), told, ""),
      collapse = "; "), "."), "",
    md_table(do.call(rbind, lapply(parts, selection_line))), "", notes_of(rows)
  )
}

selection <- list(name = "model_selection", cells = list_selection, run = run_selection,
  report = report_selection, processes = 2L)
if (is_script()) {
  finish_study(selection)
}
