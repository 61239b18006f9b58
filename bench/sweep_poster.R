# The poster's study from one JSON with one command: nine cells (one factor at a time around a
# default) x four estimators x five data sets x random settings, as a sweep that goes on where it
# was killed. `mrlearn sweep bench/sweep_poster.json` runs the same; this script says what it shows.
#
#   Rscript bench/sweep_poster.R [--workers=2] [--trial]
#
# The runs lie in build/sweep_poster, its table in bench/sweep_poster.csv and the findings in
# bench/sweep_poster.md. --trial: 36 runs, into build/sweep_poster_trial. The poster has n of 1e4,
# 1e5 and 1e6; here they are 1e3, 1e4 and 3e4, and 1e4 for the other factors, to take half an hour.
suppressMessages(library(mrlearn))

given <- commandArgs(TRUE)
unknown <- given[!grepl("^--(trial|workers=[0-9]+)$", given)]
if (length(unknown)) {
  stop("unknown option: ", paste(unknown, collapse = " "))
}
trial <- "--trial" %in% given
workers <- as.integer(sub("--workers=", "", grep("^--workers=", given, value = TRUE)))

config <- read_sweep_config(file.path("bench", "sweep_poster.json"))
if (trial) {
  config$design <- config$design[1:36, ]
  config$dir <- "build/sweep_poster_trial"
}
dir.create("build", showWarnings = FALSE)
if (length(workers)) {
  future::plan("multisession", workers = workers)
}
options(mrlearn.threads = 1L)
sweep <- run_sweep(config, progress = TRUE)
rows <- as.data.frame(sweep)
rows$dir <- NULL
fine <- rows[rows$status == "ok" & is.finite(rows$mse), ]
estimators <- unique(rows$estimator)

short <- function(x) ifelse(is.na(x), "", formatC(x, digits = 3, format = "fg", flag = "#"))
md_lines <- function(table) {
  c(paste0("| ", paste(names(table), collapse = " | "), " |"),
    paste0("|", strrep(" --- |", ncol(table))),
    paste0("| ", do.call(paste, c(unname(lapply(table, as.character)), sep = " | ")), " |"))
}

# Of each data set of a cell the run that a criterion chooses; its error.
chosen <- function(rows, by) {
  parts <- split(rows, list(rows$cell, rows$estimator, rows$data_seed), drop = TRUE)
  do.call(rbind, lapply(parts, function(one) {
    one <- one[is.finite(one[[by]]), ]
    one[which.min(one[[by]]), c("cell", "estimator", "data_seed", "mse")]
  }))
}

# Median error over the data sets, a line per cell and a column per estimator.
cell_table <- function(rows, by) {
  picked <- chosen(rows, by)
  middle <- tapply(picked$mse, list(factor(picked$cell, unique(rows$cell)),
    factor(picked$estimator, estimators)), stats::median)
  middle
}

# How much the error rises from the easiest to the hardest value of a factor.
sensitivity <- function(middle) {
  of <- function(hard, easy) {
    if (!all(c(hard, easy) %in% rownames(middle))) {
      return(rep(NA_real_, ncol(middle)))
    }
    middle[hard, ] - middle[easy, ]
  }
  rise <- rbind("h2 from 0.8 to 0.2" = of("h2 = 0.2", "h2 = 0.8"),
    "n from 30,000 to 1,000" = of("n = 1000", "n = 30000"))
  colnames(rise) <- colnames(middle)
  rise
}

# Squared correlation of log error and log criterion over settings, within data sets of a cell (both
# less their means there), with the sign of the correlation.
within_r2 <- function(one, by) {
  one <- one[is.finite(one[[by]]) & one[[by]] > 0, ]
  group <- paste(one$cell, one$data_seed)
  centred <- function(v) v - stats::ave(v, group)
  if (nrow(one) < 5L) {
    return(NA_real_)
  }
  r <- stats::cor(centred(log(one$mse)), centred(log(one[[by]])))
  sign(r) * r^2
}

# Median of the error of the chosen run over the least error there is.
regret <- function(one, by) {
  best <- chosen(one, "mse")
  picked <- chosen(one, by)
  key <- function(d) paste(d$cell, d$estimator, d$data_seed)
  stats::median(picked$mse / best$mse[match(key(picked), key(best))])
}

selection <- do.call(rbind, lapply(estimators, function(e) {
  one <- fine[fine$estimator == e, ]
  data.frame(estimator = e, runs = nrow(one),
    "signed R2, loss" = sprintf("%+.2f", within_r2(one, "loss")),
    "signed R2, width" = sprintf("%+.2f", within_r2(one, "width")),
    "regret, loss" = short(regret(one, "loss")), "regret, width" = short(regret(one, "width")),
    "regret, any" = short(stats::median(unlist(lapply(
      split(one$mse, paste(one$cell, one$data_seed)), function(v) v / min(v))))),
    check.names = FALSE)
}))

told <- function(finding, held) {
  paste0("- ", finding, ": ", if (is.na(held)) "not run" else if (held) "confirmed" else "refuted",
    ".")
}
best <- cell_table(fine, "mse")
by_width <- cell_table(fine, "width")
least <- function(rise, factor) {
  rise <- rise[factor, ]
  if (anyNA(rise)) NA else names(which.min(rise)) == "Quantile IV"
}
others <- setdiff(estimators, "Quantile IV")
r2 <- function(by) {
  vapply(estimators, function(e) within_r2(fine[fine$estimator == e, ], by), 0)
}
frame <- function(m) data.frame(cell = rownames(m), apply(m, 2, short), check.names = FALSE)

lines <- c(
  "# The poster's study as a sweep", "",
  paste0("Written by `bench/sweep_poster.R` from `bench/sweep_poster.json`: ", nrow(rows),
    " runs (", sum(rows$status == "ok"), " ok), ", length(unique(rows$data_seed)),
    " data sets per cell, ", short(sum(rows$seconds, na.rm = TRUE) / 60),
    " minutes of runs on one thread each."),
  "Networks with the preset \"ml-mr\" and random settings. MSE of the curve over the range of the",
  "exposures, medians over the data sets.", "",
  "Findings of the poster:", "",
  told("Quantile IV's error rises least from h2 = 0.8 to 0.2 (best settings)",
    least(sensitivity(best), 1)),
  told("Quantile IV's error rises least from n = 30,000 to 1,000 (best settings)",
    least(sensitivity(best), 2)),
  told("the same for h2 where settings are chosen by width", least(sensitivity(by_width), 1)),
  told("the same for n where settings are chosen by width", least(sensitivity(by_width), 2)),
  told("width tells good settings from bad of DeepIV and DFIV (signed R2 above 0.25 for each)",
    all(r2("width")[others] > 0.25)),
  told("the loss of the second stage does not for DeepIV and DFIV (signed R2 below 0.25 for each)",
    all(r2("loss")[others] < 0.25)),
  told("for Quantile IV the loss does (signed R2 above 0.25; slides 0.69)",
    unname(r2("loss")["Quantile IV"] > 0.25)), "",
  "Best settings of each data set (by the truth, as the slides):", "", md_lines(frame(best)), "",
  "Settings chosen by the width of conformal intervals:", "", md_lines(frame(by_width)), "",
  "Rise of the error, best settings:", "", md_lines(frame(sensitivity(best))), "",
  "Choosing settings: squared correlation of log error and log criterion within data sets, with",
  "its sign; regret is the error of the chosen settings over the least (median; `any`: of settings",
  "chosen at random).", "", md_lines(selection)
)
out <- if (trial) "build" else "bench"
numbers <- vapply(rows, is.double, NA)
rows[numbers] <- lapply(rows[numbers], signif, 6)
rows[] <- lapply(rows, function(v) {
  if (is.list(v)) vapply(v, function(e) paste(e, collapse = "-"), "") else v
})
utils::write.csv(rows, file.path(out, "sweep_poster.csv"), row.names = FALSE)
writeLines(lines, file.path(out, "sweep_poster.md"))
grDevices::png(file.path("build", "sweep_poster.png"), 1400, 900, res = 120)
plot(sweep, by = c("estimator", "cell"))
invisible(grDevices::dev.off())
cat(lines[1:30], sep = "\n")
