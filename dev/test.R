# Run tests/testthat through the installed package. A warning that no test expects is a failure (a
# new snapshot warns too), and so is a skip that tests/skips.txt does not list. The last line is
# "N passed, N failed, N skipped". An argument filters the test files: Rscript dev/test.R lasso
library(testthat)

filter <- commandArgs(TRUE)
Sys.setenv(NOT_CRAN = "true") # else snapshots are skipped

finish <- function(passed, failed, skipped) {
  unlink("tests/testthat/testthat-problems.rds") # the reporter leaves it
  cat(passed, " passed, ", failed, " failed, ", skipped, " skipped\n", sep = "")
  quit(status = as.integer(failed > 0 || passed == 0))
}

files <- tryCatch(
  test_dir("tests/testthat",
    filter = if (length(filter)) filter[1], package = "mrlearn", load_package = "installed",
    reporter = "check", stop_on_failure = FALSE, stop_on_warning = FALSE
  ),
  error = function(e) {
    message("The tests do not run: ", conditionMessage(e))
    finish(0, 1, 0)
  }
)

# One row per expectation: file, test, kind, text.
rows_of_test <- function(test) {
  kinds <- vapply(test$results, function(x) {
    sub("^expectation_", "", grep("^expectation_", class(x), value = TRUE)[1])
  }, "")
  data.frame(
    file = rep(test$file, length(kinds)), test = rep(test$test, length(kinds)), kind = kinds,
    text = vapply(test$results, conditionMessage, "")
  )
}
rows <- do.call(rbind, lapply(files, rows_of_test))

# Lines "<file>: <reason>", where * stands for anything.
allowed <- utils::glob2rx(grep("^[^#]", readLines("tests/skips.txt"), value = TRUE))
skips <- rows[rows$kind == "skip", ]
said <- sprintf("%s: %s", skips$file, sub("^Reason: ", "", skips$text))
listed <- vapply(said, function(x) any(vapply(allowed, grepl, NA, x = x)), NA)
cat(sprintf(
  "skipped %s (%s)%s\n", said, skips$test,
  ifelse(listed, "", "  NOT LISTED in tests/skips.txt")
), sep = "")
warned <- rows[rows$kind == "warning", ]
cat(sprintf("warned %s: %s: %s\n", warned$file, warned$test, warned$text), sep = "")

finish(
  passed = sum(rows$kind == "success"),
  failed = sum(!rows$kind %in% c("success", "skip")) + sum(!listed),
  skipped = nrow(skips)
)
