# How exact the neural estimators are, on data whose truth is known and on mice:
#
#   Rscript bench/neural.R            runs the studies bench/neural_<part>.R, each in a process of
#                                     its own, and writes bench/neural.md from their csv files
#   Rscript bench/neural.R --report   writes it from what is there
#
# Other options: --only=poster,demand (these parts), and --trial, --minutes, --fresh, which are
# passed on (bench/study_tools.R). Cells that a csv has are not run again: a run that was killed
# goes on where it was, and a new measurement needs --fresh.
source(file.path("bench", "study_tools.R"))

parts <- c("poster", "modifier", "demand", "coverage", "mice")

run_part <- function(part, options) {
  script <- file.path("bench", paste0("neural_", part, ".R"))
  libraries <- paste0("R_LIBS=", paste(.libPaths(), collapse = ":"))
  status <- system2(file.path(R.home("bin"), "Rscript"), c(script, options), env = libraries)
  if (status != 0) {
    stop("the study ", part, " failed")
  }
}

# The section of a part; nothing where it has not run.
report_part <- function(part, trial) {
  rows <- read_rows(study_path(part, trial))
  if (is.null(rows)) {
    return(NULL)
  }
  own <- new.env()
  sys.source(file.path("bench", paste0("neural_", part, ".R")), own)
  own[[part]]$report(rows)
}

describe_machine <- function() {
  first <- function(command) suppressWarnings(system(command, intern = TRUE))[1]
  c(
    paste0("- CPU: ", first("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo"), ", ",
      parallel::detectCores(), " cores"),
    paste0("- ", R.version.string, "; mrlearn ", utils::packageVersion("mrlearn"), ", ",
      format(Sys.Date()))
  )
}

given <- commandArgs(TRUE)
options <- study_options(setdiff(given, "--report"))
if (!"--report" %in% given) {
  chosen <- if (is.null(options$only)) parts else options$only
  if (!all(chosen %in% parts)) {
    stop("no such part: ", paste(setdiff(chosen, parts), collapse = " "))
  }
  for (part in chosen) {
    run_part(part, given[!startsWith(given, "--only=")])
  }
}
text <- c(
  "# How exact the neural estimators are", "",
  if (options$trial) c("A trial: small cells, no results.", ""),
  "Written by `bench/neural.R` from `bench/neural_*.csv`, which hold every cell with its seed,",
  "settings and seconds. All fits have the default `nn_control()` unless it is said; seeds from",
  "101 on (0 to 19 in the demand design) served for nothing else.", "",
  describe_machine(), "",
  unlist(lapply(parts, report_part, trial = options$trial))
)
writeLines(text, file.path(study_folder(options$trial), "neural.md"))
