# Run tests/testthat through the installed package. A warning that no test expects is a failure (a
# new snapshot warns too), and so is a skip that tests/skips.txt does not list. The last line is
# "N passed, N failed, N skipped". An argument filters the test files: Rscript dev/test.R lasso
library(testthat)

filter <- commandArgs(TRUE)
files <- test_dir("tests/testthat",
  filter = if (length(filter)) filter[1], package = "mrlearn", load_package = "installed",
  reporter = "check", stop_on_failure = FALSE, stop_on_warning = FALSE
)

is_kind <- function(x, kind) inherits(x, paste0("expectation_", kind))

# One row per expectation: file, test, kind, text.
rows_of_test <- function(test) {
  kinds <- c("success", "failure", "error", "warning", "skip")
  data.frame(
    file = rep(test$file, length(test$results)), test = rep(test$test, length(test$results)),
    kind = vapply(test$results, function(x) kinds[match(TRUE, sapply(kinds, is_kind, x = x))], ""),
    text = vapply(test$results, conditionMessage, "")
  )
}
rows <- do.call(rbind, lapply(files, rows_of_test))

# Lines "<file>: <reason>", where * stands for anything.
allowed <- grep("^[^#]", readLines("tests/skips.txt"), value = TRUE)
skips <- rows[rows$kind == "skip", ]
said <- paste0(skips$file, ": ", sub("^Reason: ", "", skips$text))
listed <- vapply(said, function(x) any(vapply(utils::glob2rx(allowed), grepl, NA, x = x)), NA)
for (i in seq_along(said)) {
  cat("skipped ", said[i], " (", skips$test[i], ")",
    if (!listed[i]) "  NOT LISTED in tests/skips.txt", "\n",
    sep = ""
  )
}
warned <- rows[rows$kind == "warning", ]
for (i in seq_len(nrow(warned))) {
  cat("warned ", warned$file[i], ": ", warned$test[i], ": ", warned$text[i], "\n", sep = "")
}

n_passed <- sum(rows$kind == "success")
n_failed <- sum(rows$kind %in% c("failure", "error", "warning")) + sum(!listed)
cat(n_passed, " passed, ", n_failed, " failed, ", nrow(skips), " skipped\n", sep = "")
quit(status = if (n_failed > 0 || n_passed == 0 && !length(filter)) 1 else 0)
