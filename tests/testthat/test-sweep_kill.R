# A sweep is killed with SIGKILL again and again and must come to the table of one that was not.
# MRLEARN_LONG_TESTS: 200 kills of networks that are trained, instead of 10 of fits that wait.

kill_sweep <- function(start, dir, wait) {
  child <- parallel::mcparallel(start(dir), silent = TRUE)
  Sys.sleep(wait)
  tools::pskill(child$pid, 9L)
  suppressWarnings(parallel::mccollect(child))
}

finished <- function(dir) {
  list.files(dir, "^run-.*[.]rds$", full.names = TRUE)
}

test_that("a sweep that is killed ten times comes to the same table", {
  skip_on_os("windows")
  long <- nzchar(Sys.getenv("MRLEARN_LONG_TESTS"))
  kills <- if (long) 200 else 10
  design <- if (long) {
    sweep_design(method = c("quantile", "deep"), data_seed = 1:6, seed = 3)
  } else {
    toy_design(1:6)
  }
  start <- function(dir) {
    run_sweep(design, data = function(seed) {
      if (!long) Sys.sleep(0.04) # so that kills find something to kill
      sim_nonlinear(n = if (long) 1000 else 200, n_variants = 3, seed = seed)
    }, dir = dir, progress = FALSE)
  }
  expect_identical(nrow(design), 12L)
  whole <- start(withr::local_tempdir())
  dir <- withr::local_tempfile()
  set.seed(11)
  before <- stamps(character())
  during <- 0
  for (k in seq_len(kills)) {
    kill_sweep(start, dir, stats::runif(1, 0.01, if (long) 0.4 else 0.1))
    files <- finished(dir)
    if (length(files) < 12L) {
      during <- during + 1
    }
    now <- stamps(files)
    # nothing finished is lost or computed again
    expect_true(all(rownames(before) %in% rownames(now)))
    expect_identical(now[rownames(before), ], before)
    before <- now
    if (file.exists(file.path(dir, "sweep.rds"))) {
      there <- read_sweep(dir)
      expect_identical(sum(there$status == "ok"), length(files))
      expect_identical(sum(there$status == "waiting"), 12L - length(files))
    }
  }
  expect_gte(during, if (long) 1 else 8) # the kills did find it at work
  again <- start(dir)
  expect_identical(timeless(again), timeless(whole))
  expect_identical(stamps(finished(dir))[rownames(before), ], before)
  expect_false(dir.exists(file.path(dir, "lock")))
})
