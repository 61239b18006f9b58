# Every .Call entry with a garbage collection at each allocation, so that an unprotected value is
# lost at once. Only the entries run so: copies of the package's functions see a .Call that switches
# it on and off.
calls_only <- TRUE
source("dev/calls.R")

tortured <- character()
torture_call <- function(entry, ...) {
  arguments <- list(...)
  tortured <<- c(tortured, entry$name)
  gctorture2(1L)
  on.exit(gctorture2(0L))
  do.call(base::.Call, c(list(entry), arguments))
}

house <- new.env(parent = asNamespace("mrlearn"))
for (name in ls(asNamespace("mrlearn"), all.names = TRUE)) {
  value <- get(name, asNamespace("mrlearn"))
  if (is.function(value) && identical(environment(value), asNamespace("mrlearn"))) {
    environment(value) <- house
    assign(name, value, house)
  }
}
assign(".Call", torture_call, house)

entries <- if (length(commandArgs(TRUE))) commandArgs(TRUE) else names(calls)
run_calls(house, entries)
missed <- setdiff(entries, tortured)
if (length(missed)) {
  stop("these calls do not reach their entry: ", paste(missed, collapse = ", "))
}
