# Write NAMESPACE and man/ in a copy of the package. Usage: Rscript dev/doc.R <directory>
# R/ is sourced, not installed, so that nothing is compiled.
path <- commandArgs(TRUE)[1]
recorded <- read.dcf(file.path(path, "DESCRIPTION"))[, "RoxygenNote"]
installed <- as.character(utils::packageVersion("roxygen2"))
if (installed != recorded) {
  message("roxygen2 is ", installed, ", the documentation was written by ", recorded)
}
suppressMessages(roxygen2::roxygenise(path, load_code = "source"))
