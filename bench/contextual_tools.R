# What the studies of contextual effects share, on top of bench/study_tools.R (options, csv,
# resumed runs): the csv and report of bench/<name>.R are bench/<name>.csv and .md, trials go to the
# folder contextual_trial of build/.
source(file.path("bench", "study_tools.R"))

study_folder <- function(trial) {
  folder <- if (trial) file.path("build", "contextual_trial") else "bench"
  dir.create(folder, showWarnings = FALSE, recursive = TRUE)
  folder
}

study_path <- function(name, trial) {
  file.path(study_folder(trial), paste0(name, ".csv"))
}

# Run what is missing and write the report.
finish_study <- function(study, how = study_options()) {
  rows <- run_study(study, how)
  text <- study$report(rows)
  writeLines(text, file.path(study_folder(how$trial), paste0(study$name, ".md")))
  writeLines(text)
  invisible(rows)
}

# A table for the vignette; nowhere after a trial.
write_for_vignette <- function(table, name, how = study_options()) {
  folder <- if (how$trial) study_folder(TRUE) else "vignettes"
  doubles <- vapply(table, is.double, NA)
  table[doubles] <- lapply(table[doubles], signif, 4)
  utils::write.csv(table, file.path(folder, paste0(name, ".csv")), row.names = FALSE)
}

context_formula <- ~ age + sex + bmi + smoker + height + weight + bp_sys + cholesterol + glucose +
  sleep

# True slopes with the mean 0.3 and the standard deviation sd, as functions of the standardised
# context; the mean and spread of z^2 are those of a uniform law on 12, ..., 49, age's.
age_squared <- (12:49 - mean(12:49))^2 / mean((12:49 - mean(12:49))^2)
slope_shapes <- list(
  "linear in BMI" = function(sd) function(context) 0.3 + sd * context$bmi,
  "curved in age" = function(sd) {
    spread <- sqrt(mean((age_squared - 1)^2))
    function(context) 0.3 + sd * (context$age^2 - 1) / spread
  },
  "two values by sex" = function(sd) function(context) 0.3 + sd * sign(context$sex),
  constant = function(sd) 0.3
)

# The setting of the heterogeneous truths.
draw_people <- function(n, shape, sd, seed, main_effects = TRUE, pi_scale = 0.3, l = 30) {
  with_instruments(sim_contextual(n, l, use_context = main_effects, pi_scale = pi_scale,
    seed = seed, beta = slope_shapes[[shape]](sd)))
}

# One slope per person, though it be the same for all.
true_slopes <- function(sim) {
  rep_len(truth(sim)$beta, nrow(sim))
}

# A share and its Monte Carlo standard error, in per cent.
share_text <- function(x) {
  x <- x[!is.na(x)]
  if (!length(x)) {
    return("")
  }
  sprintf("%.1f (%.1f)", 100 * mean(x), 100 * sqrt(mean(x) * (1 - mean(x)) / length(x)))
}

# The encoders of the study: three hidden layers, 25 wide by default; its "small MLP" has 8 (the
# depth of 1 that its scripts ask for is not read).
encoder_widths <- list(MLP = rep(25L, 3), "small MLP" = rep(8L, 3))

# All ten variables are context; everything else is left at its default.
fit_contextual <- function(formula, data, ..., hidden = encoder_widths$MLP) {
  iv_contextual(formula, data, context = context_formula, ...,
    control = context_control(hidden = hidden))
}
