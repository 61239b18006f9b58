# What properties.R and readers.R share; `script` is their path. Cases run in batches, each in a
# child process with 6 GB of address space and a folder of its own.
library(mrlearn)
given <- commandArgs(TRUE)
script <- normalizePath(script)
fuzz <- new.env(parent = asNamespace("mrlearn"))
for (file in c("helper-keras.R", "helper-fuzz_calls.R", "helper-fuzz.R", "helper-fuzz_files.R")) {
  sys.source(file.path(dirname(script), "..", "..", "tests", "testthat", file), fuzz)
}
setting <- function(name, default) {
  found <- grep(paste0("^--", name, "="), given, value = TRUE)
  if (length(found)) as.numeric(sub("^[^=]*=", "", found[1])) else default
}
options(mrlearn.threads = 1L, warn = 1, useFancyQuotes = FALSE)

# One line per case into `log`: when it begins and when it ends. The working directory is emptied
# after each.
run_batch <- function(new_cases, first, n, log) {
  run_case <- new_cases()
  out <- file(log, "w")
  on.exit(close(out))
  say <- function(...) {
    line <- gsub("[\t\r\n]", " ", iconv(c(...), "", "ASCII", sub = "?"))
    cat(substr(line, 1, 300), sep = "\t", file = out)
    cat("\n", file = out)
    flush(out)
  }
  for (case in seq(first, length.out = n)) {
    r <- run_case(case, function(name) say("begin", case, name))
    say("end", case, r$name, r$changed, r$kind, r$class %||% "", r$where %||% "",
      r$text %||% "", round(r$seconds, 2))
    unlink(list.files(all.files = TRUE, no.. = TRUE), recursive = TRUE)
  }
}

`%||%` <- function(a, b) if (is.null(a)) b else a

read_log <- function(log) {
  lines <- strsplit(readLines(log), "\t", fixed = TRUE)
  ended <- lines[vapply(lines, `[`, "", 1L) == "end"]
  fields <- c("what", "case", "name", "changed", "kind", "class", "where", "text", "seconds")
  rows <- lapply(ended, function(line) stats::setNames(as.list(rep_len(c(line, ""), 9)), fields))
  list(rows = do.call(rbind.data.frame, rows), last = utils::tail(lines, 1)[[1]])
}

run_child <- function(first, n) {
  log <- tempfile()
  sandbox <- tempfile()
  dir.create(sandbox)
  on.exit(unlink(sandbox, recursive = TRUE))
  command <- sprintf(
    "cd %s; ulimit -v 6000000; exec timeout -k 5 %d Rscript %s --child=%d --n=%d %s",
    shQuote(sandbox), 60 + n * 20, shQuote(script), first, n, shQuote(log))
  status <- system2("sh", c("-c", shQuote(command)), stdout = FALSE, stderr = FALSE,
    stdin = "/dev/null")
  read <- read_log(log)
  unlink(log)
  if (status != 0 && read$last[1] == "begin") {
    lost <- data.frame(what = "end", case = read$last[2], name = read$last[3], changed = "",
      kind = "crash", class = "", where = "", text = paste("status", status), seconds = "")
    read$rows <- rbind(read$rows, lost)
  }
  read
}

run_parent <- function(first, seconds, batch) {
  started <- proc.time()[["elapsed"]]
  rows <- NULL
  while (proc.time()[["elapsed"]] - started < seconds) {
    read <- run_child(first, batch)
    rows <- rbind(rows, read$rows)
    first <- as.numeric(read$last[2]) + 1
  }
  cat(nrow(rows), "calls in", round(proc.time()[["elapsed"]] - started), "s, the last one",
    first - 1, "\n")
  print(table(rows$kind))
  unlike <- rows[!rows$kind %in% c("value", "refused"), ]
  key <- paste(unlike$kind, unlike$where, gsub("['\"`].*?['\"`]|[-0-9.]+", "", unlike$text))
  for (same in split(unlike, factor(key, unique(key)))) {
    shown <- seq_len(min(3, nrow(same)))
    cat(sprintf("%s x%d in %s(): %s\n", same$kind[1], nrow(same), same$where[1],
      substr(same$text[1], 1, 160)))
    cat("   ", sprintf(" %s %s(%s)", same$case, same$name, same$changed)[shown], "\n")
  }
  quit(status = as.integer(nrow(unlike) > 0))
}

# new_cases(): a function(case, before) that runs one case.
run <- function(new_cases) {
  if (is.na(setting("child", NA))) {
    run_parent(setting("first", 1), setting("seconds", 120), setting("batch", 400))
  } else {
    run_batch(new_cases, setting("child", 1), setting("n", 1), utils::tail(given, 1))
  }
}
