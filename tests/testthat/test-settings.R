test_that("threads come from the option, and a fork has one", {
  withr::local_options(mrlearn.threads = 3)
  expect_identical(mrl_threads(), 3L)
  withr::local_options(mrlearn.threads = "many")
  expect_error(mrl_threads(), class = "mrlearn_error_argument")
  withr::local_options(mrlearn.threads = NULL)
  expect_identical(mrl_threads(), 2L)
  skip_on_os("windows")
  job <- parallel::mcparallel(mrlearn::mrl_threads())
  expect_identical(parallel::mccollect(job)[[1]], 1L)
})

test_that("a seed is drawn from R's generator, or used as it is", {
  set.seed(1)
  a <- resolve_seed(NULL)
  set.seed(1)
  expect_identical(resolve_seed(NULL), a)
  expect_false(identical(resolve_seed(NULL), a))
  before <- .Random.seed
  expect_identical(resolve_seed(7L), 7)
  expect_identical(.Random.seed, before)
  for (bad in list("a", 1.5, NA, c(1, 2), 2^54, Inf)) {
    expect_error(resolve_seed(bad), class = "mrlearn_error_argument")
  }
})

test_that("statuses of the core become classed errors", {
  expect_silent(check_status("ok", "testing"))
  expect_error(check_status("singular", "testing"), class = "mrlearn_error_numeric")
  expect_error(check_status("bad_argument", "testing"), class = "mrlearn_error_internal")
})
