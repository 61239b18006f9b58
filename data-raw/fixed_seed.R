# Records what small runs of fixed seeds give, for tests/testthat/test-fixed_seed.R: with the
# package installed, Rscript data-raw/fixed_seed.R. A change of these numbers is a change of
# results: it belongs in NEWS.md.
suppressMessages(library(mrlearn))
here <- new.env(parent = asNamespace("mrlearn"))
for (file in c("helper-faults.R", "helper-fixed_seed.R")) {
  sys.source(file.path("tests", "testthat", file), here)
}

record <- function() {
  data <- on_portable(fixed_data())
  runs <- fixed_runs()
  rows <- lapply(names(runs), function(name) {
    figures <- on_portable(figures_of(runs[[name]]$run(data, 1L)))
    data.frame(run = name, figure = names(figures), value = sprintf("%.17g", figures))
  })
  do.call(rbind, rows)
}
environment(record) <- here
utils::write.csv(record(), file.path("tests", "testthat", "fixtures", "fixed_seed.csv"),
  row.names = FALSE, quote = FALSE)
