# Every export and every S3 method, called with one or two bad or odd arguments, for so long:
#   Rscript dev/fuzz/properties.R [--seconds=120] [--first=1] [--batch=400]
#   Rscript dev/fuzz/properties.R --case=17     one case again, and what it is
#
# Case k is drawn after set.seed(k), whatever came before it; tests/testthat/helper-fuzz.R makes it.
# Batches run in child processes with 6 GB of address space, so that a crash or a call that cannot
# be interrupted is found and named. The outcome of a case must be
#   a value (printed, so that the print methods are tried too), with no warning but ours, or
#   an error of class mrlearn_error, but not mrlearn_error_internal,
# within 10 seconds. Let pass, since R speaks before our code does, and says which argument:
#   - "argument ... is missing, with no default", of arguments that the usage shows as required;
#   - "no applicable method", of generics that belong to the package generics;
#   - "unused argument", raised where a function is called that the caller gave;
#   - "cannot allocate": a size that is valid, but not on this machine;
#   - the time limit, where a number or length above 999 was given and the call could be stopped:
#     that work was asked for.
script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))
source(file.path(dirname(script), "batches.R"))

new_cases <- function() {
  table <- fuzz$fuzz_table()
  room <- fuzz$fuzz_room()
  function(case, before) fuzz$fuzz_case(case, table, room, before)
}

show_case <- function(case) {
  table <- fuzz$fuzz_table()
  room <- fuzz$fuzz_room()
  set.seed(case)
  name <- fuzz$fuzz_one(names(table))
  lapply(intersect(all.names(table[[name]]), names(fuzz$fuzz_objects)), get, envir = room)
  set.seed(case)
  trial <- fuzz$fuzz_mutate(table[[name]], room, !name %in% names(fuzz$fuzz_calls))
  print(trial$call)
  utils::str(trial$values, list.len = 12)
  room$trial <- trial
  tryCatch(
    withCallingHandlers(eval(trial$call, list2env(trial$values, parent = room)),
      error = function(e) {
        calls <- vapply(sys.calls(), function(x) paste(deparse(x, nlines = 1), collapse = ""), "")
        cat(utils::head(utils::tail(substr(calls, 1, 100), 14), -2), sep = "\n")
      }
    ),
    error = print
  )
}

if (!is.na(setting("case", NA))) {
  show_case(setting("case", 1))
} else {
  run(new_cases)
}
