square <- function(i, plus = 0) c(i^2 + plus, getOption("mrlearn.threads"))

test_that("results are those of lapply, whatever runs where", {
  skip_if_not_installed("future")
  items <- list(a = 1, b = 2, c = 3, d = 4, e = 5)
  here <- lapply(items, function(i) i^2 + 1)
  first <- function(x) lapply(x, `[`, 1)
  expect_identical(first(lapply_jobs(items, square, plus = 1)), here)
  for (plan in c("multisession", "multicore")) {
    local_plan(plan, workers = 2)
    told <- integer()
    out <- lapply_jobs(items, square, plus = 1, chunk = 2, told = function(k) told <<- c(told, k))
    expect_identical(first(out), here)
    expect_identical(unname(vapply(out, `[`, 0, 2)), rep(1, 5)) # one thread each
    expect_identical(utils::tail(told, 1), 5L)
    expect_identical(first(lapply_jobs(items, square, plus = 1, workers = "threads")), here)
  }
  expect_identical(lapply_jobs(list(), square), list())
})

test_that("errors of jobs come as they are", {
  skip_if_not_installed("future")
  job <- function(i) if (i == 2) stop_mrl("data", "no such thing") else i
  expect_error(lapply_jobs(1:3, job), class = "mrlearn_error_data")
  local_plan("multicore", workers = 2)
  expect_error(lapply_jobs(1:3, job), class = "mrlearn_error_data")
})

test_that("the work of a worker that dies is done once more", {
  skip_if_not_installed("future")
  skip_on_os("windows")
  kill_once <- function(i, mark) {
    if (i == 3 && !file.exists(mark)) {
      file.create(mark)
      tools::pskill(Sys.getpid(), 9L)
    }
    i
  }
  kill_always <- function(i) {
    if (i == 3) tools::pskill(Sys.getpid(), 9L)
    i
  }
  dying <- function(expr) {
    withCallingHandlers(suppressWarnings(expr, classes = "simpleWarning"),
      mrlearn_warning_worker = function(w) {
        died <<- died + 1
        invokeRestart("muffleWarning")
      })
  }
  for (plan in c("multisession", "multicore")) {
    local_plan(plan, workers = 2)
    died <- 0
    out <- dying(lapply_jobs(1:5, kill_once, mark = withr::local_tempfile()))
    expect_identical(out, as.list(1:5))
    expect_identical(died, 1)
    expect_identical(lapply_jobs(1:4, identity), as.list(1:4)) # the plan works as before
    if (plan == "multisession") next # it takes a second for each death
    out <- dying(lapply_jobs(1:4, kill_always, dead = function(i) -i))
    expect_identical(out, list(1L, 2L, -3L, 4L))
    expect_error(dying(lapply_jobs(1:4, kill_always)), class = "mrlearn_error_worker")
  }
})

test_that("a cluster that loses a worker goes on with the others", {
  skip_if_not_installed("future")
  skip_on_os("windows")
  cluster <- parallel::makePSOCKcluster(2)
  withr::defer(try(parallel::stopCluster(cluster), silent = TRUE))
  local_plan("cluster", workers = cluster)
  mark <- withr::local_tempfile()
  job <- function(i) {
    if (i == 1 && !file.exists(mark)) {
      file.create(mark)
      tools::pskill(Sys.getpid(), 9L)
    }
    i
  }
  expect_warning(out <- lapply_jobs(1:6, job), class = "mrlearn_warning_worker")
  expect_identical(out, as.list(1:6))
})

test_that("refits give the same on workers", {
  skip_if_not_installed("future")
  sim <- sim_nonlinear(n = 200, n_variants = 3, seed = 1)
  fit <- iv_2sls(Y ~ X | G0 + G1 + G2, sim)
  people <- sim_contextual(n = 300, L = 3, seed = 1)
  slopes <- function() {
    iv_contextual(Y ~ X | G0 + G1 + G2, people, context = ~ age + sex, encoder = "linear",
      n_boot = 10, seed = 1)$boot$average
  }
  scores <- function() orthogonal(fit, folds = 3, degree = 1, seed = 1, data = sim)
  here <- list(slopes(), scores())
  local_plan("multicore", workers = 2)
  expect_identical(list(slopes(), scores()), here)
})

test_that("shards are combined in their order", {
  skip_if_not_installed("future")
  set.seed(1)
  file <- write_bed(matrix(rbinom(2000, 2, 0.4), 200), withr::local_tempfile())
  data <- data.frame(x = rnorm(200), y = rnorm(200), iid = bed(file)$samples$iid)
  shard <- function(rows) {
    genotypes <- bed(file)
    iv_crossprod(y ~ x | genotypes, data[rows, ], id = "iid")
  }
  parts <- split(1:200, rep(1:4, 50))
  here <- suppressMessages(map_shards(parts, shard, combine = "+"))
  expect_identical(here$nobs, 200L)
  expect_named(map_shards(parts, length), names(parts))
  local_plan("multicore", workers = 2)
  there <- suppressMessages(map_shards(parts, shard, combine = "+"))
  expect_identical(there[setdiff(names(there), "formula")], here[setdiff(names(here), "formula")])
  expect_error(map_shards(list(), shard), class = "mrlearn_error_argument")
})
