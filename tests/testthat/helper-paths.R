# The path of a file or folder of the shared data, which is too large for the repository; the test
# is skipped where it is not there. It is searched for in the environment variable
# MRLEARN_SHARED_DATA and beside the repository, in shared/data, from every folder above this one.
shared_data <- function(...) {
  above <- Reduce(function(path, i) dirname(path), 1:8, normalizePath("."), accumulate = TRUE)
  places <- c(Sys.getenv("MRLEARN_SHARED_DATA"), file.path(above, "shared", "data"))
  found <- file.path(places[nzchar(places)], ...)
  found <- found[file.exists(found)]
  if (length(found) == 0L) {
    testthat::skip("shared data not found")
  }
  found[1]
}
