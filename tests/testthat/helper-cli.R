# The command line inside this session: status, stdout and stderr of cli_main().
run_cli <- function(...) {
  err <- character()
  out <- utils::capture.output(
    err <- utils::capture.output(status <- mrlearn:::cli_main(c(...)), type = "message")
  )
  list(status = status, out = out, err = paste(err, collapse = "\n"))
}

cli_table <- function(run) {
  utils::read.csv(text = run$out)
}

# The command line as a script under bash. words: as they are written there; before: commands.
run_script <- function(words, dir = tempdir(), before = "") {
  script <- system.file("cli", "mrlearn", package = "mrlearn")
  err <- tempfile()
  command <- paste0("cd '", dir, "' && ", before, " exec bash '", script, "' ", words)
  out <- suppressWarnings(system2("bash", c("-c", shQuote(command)), stdout = TRUE, stderr = err,
    env = paste0("MRLEARN_RSCRIPT=", file.path(R.home("bin"), "Rscript"))))
  status <- attr(out, "status")
  list(status = if (is.null(status)) 0L else status, out = as.character(out),
    err = paste(readLines(err), collapse = "\n"))
}

# People with the columns x, y, v1 .. v20, age and sex in a file; the data.frame.
cli_people <- function(file, n = 1500, sep = "\t") {
  sim <- sim_nonlinear(n = n, seed = 11)
  people <- as.data.frame(sim)
  names(people) <- c("y", "x", paste0("v", 1:20))
  people$age <- 40 + (seq_len(n) * 7) %% 30
  people$sex <- c("f", "m")[1 + (seq_len(n) * 13) %% 7 %% 2]
  connection <- if (endsWith(file, ".gz")) gzfile(file, "w") else file(file, "w")
  on.exit(close(connection))
  utils::write.table(people, connection, sep = sep, quote = FALSE, row.names = FALSE)
  people
}
