# Results of fixed seeds, recorded and compared. Where one changes on purpose, data-raw/fixed_seed.R
# records it anew, and NEWS.md says so.

test_that("fixed seeds give what was recorded", {
  recorded <- utils::read.csv(test_path("fixtures", "fixed_seed.csv"))
  runs <- fixed_runs()
  expect_setequal(recorded$run, names(runs))
  data <- on_portable(fixed_data())
  for (name in names(runs)) {
    now <- on_portable(figures_of(runs[[name]]$run(data, 1L)))
    was <- recorded[recorded$run == name, ]
    expect_identical(names(now), was$figure)
    # relative to the size of the numbers: sums may cancel
    scale <- max(abs(was$value[was$figure %in% c("first", "last", "mean")]), 1e-3)
    off <- abs(now - was$value) / pmax(abs(was$value), scale)
    expect_true(all(off <= runs[[name]]$tolerance),
      label = sprintf("%s within %g of what was recorded (off by %.2g)", name,
        runs[[name]]$tolerance, max(off)))
  }
})

test_that("1, 2 and 4 threads give the same bits, whatever takes threads", {
  runs <- fixed_runs()
  data <- fixed_data()
  exports <- getNamespaceExports("mrlearn")
  threaded <- exports[vapply(exports, function(name) {
    "n_threads" %in% names(formals(getExportedValue("mrlearn", name)))
  }, NA)]
  expect_setequal(setdiff(threaded, names(runs)), character())
  same <- function(name, t) {
    result <- suppressMessages(suppressWarnings(runs[[name]]$run(data, t)))
    numbers_in(untimed(result))
  }
  for (name in names(runs)) {
    one <- same(name, 1L)
    expect_identical(same(name, 2L), one, label = paste(name, "on 2 threads"))
    expect_identical(same(name, 4L), one, label = paste(name, "on 4 threads"))
  }
})
