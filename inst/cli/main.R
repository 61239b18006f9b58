# What the script beside this runs. Packages that it loads must not write to stdout.
if (!requireNamespace("mrlearn", quietly = TRUE)) {
  cat("mrlearn: the R package mrlearn is not installed where R looks.\n", file = stderr())
  quit(save = "no", status = 1L)
}
quit(save = "no", status = getNamespace("mrlearn")$cli_main(commandArgs(TRUE)))
