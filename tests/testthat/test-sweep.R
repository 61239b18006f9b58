test_that("a design is a grid, rows, or draws, with a seed per row", {
  grid <- sweep_design(a = 1:2, b = list(8, c(16, 8)), seed = 1)
  expect_identical(grid$a, c(1L, 2L, 1L, 2L))
  expect_identical(unclass(grid$b), list(8, 8, c(16, 8), c(16, 8)))
  expect_identical(grid$run, 1:4)
  expect_length(unique(grid$seed), 4)
  cells <- data.frame(h2 = c(0.2, 0.5), n = c(100, NA), row.names = c("weak", "other"))
  rows <- sweep_design(cell = cells, s = 1:2, seed = 1)
  expect_identical(rows$cell, c("weak", "other", "weak", "other"))
  expect_identical(rows$n, c(100, NA, 100, NA))
  drawn <- sweep_design(k = 1:2, r = log_uniform(1e-4, 1), i = integers(1, 3), u = uniform(2, 3),
    n_runs = 400, seed = 1)
  expect_identical(as.vector(table(drawn$k)), c(200L, 200L))
  expect_true(all(drawn$r > 1e-4 & drawn$r < 1 & drawn$u > 2 & drawn$u < 3))
  # means of 400 draws, 4.5 standard errors: of log10 r 4 / sqrt(12) / 20, of i 0.82 / 20
  expect_lt(abs(mean(log10(drawn$r)) + 2), 4.5 * 4 / sqrt(12) / 20)
  expect_lt(abs(mean(drawn$i) - 2), 4.5 * 0.82 / 20)
  expect_setequal(drawn$i, 1:3)
  part <- subset(rows, s == 2, c("run", "seed", "cell", "h2"))
  expect_identical(attr(part, "labels"), "cell")
  expect_identical(attr(part, "design_seed"), 1)
  picked <- sweep_design(h = one_of(list(8, c(16, 8))), a = one_of(c("x", "y")), n_runs = 40,
    seed = 1)
  expect_setequal(unclass(picked$h), list(8, c(16, 8)))
  expect_setequal(picked$a, c("x", "y"))
  # draws do not depend on the other parameters, nor on how many rows follow
  alone <- sweep_design(r = log_uniform(1e-4, 1), n_runs = 10, seed = 1)
  expect_identical(alone$r, drawn$r[1:10])
  expect_identical(alone$seed, drawn$seed[1:10])
  some <- sweep_design(a = 1:10, b = 1:10, n_runs = 30, seed = 1)
  expect_identical(anyDuplicated(some[c("a", "b")]), 0L)
  expect_snapshot(grid)
})

test_that("wrong designs are named", {
  expect_snapshot(error = TRUE, {
    sweep_design()
    sweep_design(1:3)
    sweep_design(a = NULL)
    sweep_design(seed2 = 1, run = 1)
    sweep_design(a = uniform(0, 1))
    sweep_design(a = 1, cell = data.frame(a = 1))
    uniform(2, 1)
    log_uniform(0, 1)
    successive_halving(10, 5)
  })
})

test_that("each run is recorded, and fits are those of the estimators", {
  dir <- withr::local_tempfile()
  sweep <- networks_sweep(dir = dir, interval = "split")
  expect_s3_class(sweep, "sweep")
  expect_true(all(sweep$status == "ok"))
  files <- c("data.rds", paste0(rep(c("fit", "run"), c(4, 4)), sprintf("-%06d.rds", 1:4)),
    sprintf("run-%06d.json", 1:4), sprintf("run-%06d.log", 1:4), "sweep.rds")
  expect_setequal(list.files(dir), files)
  row <- jsonlite::fromJSON(file.path(dir, "run-000002.json"))
  expect_identical(row$mse, sweep$mse[2])
  expect_identical(row$learning_rate, sweep$learning_rate[2])
  expect_identical(read_sweep(dir), sweep)

  sim <- sim_nonlinear(n = 300, n_variants = 3, seed = 1)
  people <- sim[-held_rows(300, 0.2, 2), ]
  people$instruments <- as.matrix(people[paste0("G", 0:2)])
  control <- brief()
  control <- do.call(nn_control, utils::modifyList(unclass(control)[c("activation", "batch_norm",
    "epochs", "batch_size")], list(hidden = sweep$hidden[[2]],
    learning_rate = sweep$learning_rate[2])))
  fit <- untold(iv_quantile(Y ~ X | instruments, people, control = control, seed = sweep$seed[2]))
  expect_identical(sweep$estimate[2], unname(coef(fit)))
  expect_identical(sweep$mse[2], suppressWarnings(evaluate(fit, sim))$mse)
  expect_identical(sweep$loss[2], min(fit$history$validation[fit$history$stage == "outcome"]))
  best <- best_fit(sweep, "mse")
  expect_identical(attr(best, "sweep_row")$run, sweep$run[which.min(sweep$mse)])
  expect_identical(coef(best)[[1]], sweep$estimate[which.min(sweep$mse)])
  slim <- networks_sweep(keep = FALSE)
  expect_identical(timeless(slim), timeless(sweep))
  expect_identical(coef(best_fit(slim, "mse")), coef(best))
})

test_that("criteria choose what they say", {
  sweep <- networks_sweep()
  for (by in c("width", "loss", "mse")) {
    row <- attr(best_fit(sweep, by), "sweep_row")
    expect_identical(row[[by]], min(sweep[[by]]))
  }
  plain <- run_sweep(toy_design(1), data = function(seed) as.data.frame(toy_people(seed)),
    formula = Y ~ X | G0 + G1)
  expect_error(best_fit(plain, "mse"), class = "mrlearn_error_argument")
  expect_error(best_fit(plain, "width"), class = "mrlearn_error_argument", "calibration")
  expect_error(best_fit(plain[1:2, ]), class = "mrlearn_error_argument")
})

test_that("what is finished is not run again, and failures do not stop the others", {
  dir <- withr::local_tempfile()
  calls <- withr::local_tempfile()
  broken <- withr::local_tempfile()
  file.create(broken)
  study <- function(...) {
    run_sweep(toy_design(1:3), data = function(seed) {
      cat(seed, "\n", file = calls, append = TRUE)
      if (seed == 2 && file.exists(broken)) stop("no data today")
      toy_people(seed)
    }, dir = dir, ...)
  }
  first <- study()
  expect_identical(first$status, ifelse(first$data_seed == 2, "failed", "ok"))
  expect_identical(unique(first$message[first$status == "failed"]), "no data today")
  expect_identical(unique(first$error[first$status == "failed"]), "simpleError")
  expect_true(any(grepl("no data today", readLines(file.path(dir, "run-000003.log")))))
  expect_length(readLines(calls), 6)
  expect_identical(timeless(study()), timeless(first))
  expect_length(readLines(calls), 6) # nothing was run
  unlink(broken)
  expect_identical(study()$status, first$status) # a failure is finished too
  expect_true(all(study(again = TRUE)$status == "ok"))
  expect_length(readLines(calls), 8)
  expect_snapshot(print(first[c("run", "method", "data_seed", "status", "message")]))
})

test_that("the directory of another sweep is refused, and one that is locked", {
  dir <- withr::local_tempfile()
  study <- function(seeds = 1:2, data = function(seed) toy_people(seed), ...) {
    run_sweep(toy_design(seeds), data = data, dir = dir, ...)
  }
  table <- study()
  expect_error(study(1:3), class = "mrlearn_error_checkpoint", "design")
  expect_error(study(data = function(seed) toy_people(seed + 1)),
    class = "mrlearn_error_checkpoint", "data")
  expect_error(study(calibration = 0.5), class = "mrlearn_error_checkpoint", "calibration")
  other <- withr::local_tempdir()
  file.create(file.path(other, "mine.txt"))
  expect_error(run_sweep(toy_design(1), data = toy_people, dir = other),
    class = "mrlearn_error_checkpoint", "not empty")
  expect_error(read_sweep(other), class = "mrlearn_error_checkpoint")

  skip_on_os("windows")
  lock <- lock_sweep(dir)
  expect_error(study(), class = "mrlearn_error_locked", as.character(Sys.getpid()))
  unlock_sweep(lock)
  expect_identical(study(), table)
  # a process that died, one whose number came again, one of another machine
  leave <- function(owner) {
    dir.create(file.path(dir, "lock"))
    writeLines(owner, file.path(dir, "lock", "owner"))
  }
  child <- parallel::mcparallel(NULL)
  parallel::mccollect(child)
  leave(c(Sys.info()[["nodename"]], child$pid, "1"))
  expect_identical(study(), table)
  leave(c(Sys.info()[["nodename"]], Sys.getpid(), "1"))
  if (dir.exists("/proc/self")) expect_identical(study(), table)
  unlink(file.path(dir, "lock"), recursive = TRUE)
  leave(c("elsewhere", "1", "1"))
  expect_error(study(), class = "mrlearn_error_locked", "elsewhere")
})

test_that("two processes do not do the same work", {
  skip_on_os("windows")
  dir <- withr::local_tempfile()
  calls <- withr::local_tempfile()
  study <- function() {
    tryCatch(
      run_sweep(toy_design(1:4), data = function(seed) {
        cat(seed, "\n", file = calls, append = TRUE)
        Sys.sleep(0.02)
        toy_people(seed)
      }, dir = dir)$status,
      mrlearn_error_locked = function(e) "locked"
    )
  }
  out <- parallel::mccollect(list(parallel::mcparallel(study()), parallel::mcparallel(study())))
  expect_setequal(lengths(out), c(1L, 8L))
  expect_length(readLines(calls), 8)
})

test_that("tables are identical with 1 and 2 workers, forks and sessions", {
  skip_if_not_installed("future")
  here <- networks_sweep()
  for (plan in list(list("multisession", workers = 1), list("multisession", workers = 2),
    list("multicore", workers = 2))) {
    do.call(local_plan, plan)
    expect_identical(timeless(networks_sweep()), timeless(here))
  }
})

test_that("a worker that dies twice is a run that failed", {
  skip_if_not_installed("future")
  skip_on_os("windows")
  local_plan("multicore", workers = 2)
  main <- Sys.getpid()
  suppressWarnings({
    sweep <- run_sweep(toy_design(1:2), data = function(seed) {
      if (seed == 2 && Sys.getpid() != main) tools::pskill(Sys.getpid(), 9L)
      toy_people(seed)
    })
  })
  expect_identical(sweep$error, ifelse(sweep$data_seed == 2, "mrlearn_error_worker", ""))
})

test_that("halving runs fewer settings with more epochs", {
  expect_identical(rung_budgets(successive_halving(10, 90)), c(10, 30, 90))
  expect_identical(rung_budgets(successive_halving(10, 10)), 10)
  expect_identical(rung_budgets(successive_halving(3, 20, factor = 2)), c(3, 6, 12, 20))
  design <- sweep_design(learning_rate = log_uniform(1e-4, 1e-1), n_runs = 9, seed = 1)
  dir <- withr::local_tempfile()
  halved <- networks_sweep(design = design, halving = successive_halving(2, 18), dir = dir)
  expect_identical(as.vector(table(halved$rung)), c(6L, 2L, 1L))
  expect_identical(networks_sweep(design = design, halving = successive_halving(2, 18), dir = dir),
    halved)
  # the winner is what a fit with all epochs gives
  best <- halved[which.max(halved$rung), ]
  fit <- best_fit(halved, "loss")
  expect_lte(max(fit$epochs), 18)
  row <- readRDS(run_file(dir, best$run, 3))
  expect_identical(row$loss, best$loss)
  alone <- attempt_run(sweep_spec(dir), list(run = best$run, rung = 3, budget = 18))
  expect_identical(alone$metrics$loss, best$loss)
})

test_that("wrong sweeps are refused before anything is run", {
  dir <- withr::local_tempfile()
  run <- function(design = toy_design(1), data = toy_people(1), ...) {
    run_sweep(design, data = data, dir = dir, ...)
  }
  expect_snapshot(error = TRUE, {
    run(data.frame(a = 1))
    run(sweep_design(data_seed = 1, seed = 1))
    run(sweep_design(lerning_rate = 1, seed = 1), method = "quantile")
    run(sweep_design(learning_rate = -1, seed = 1), method = "quantile")
    run(sweep_design(n_quantiles = 3, method = c("quantile", "dfiv"), seed = 1))
    run(sweep_design(n_quantiles = 3, seed = 1), method = "quantile", colour = 1)
    run(data = NULL)
    run(sweep_design(n_quantiles = 3, seed = 1), method = "quantile", data = data.frame(Y = 1))
    run(sweep_design(n_quantiles = 3, seed = 1), method = "quantile", formula = Y ~ X | z)
    run(sweep_design(n_quantiles = 3, seed = 1), method = "quantile", halving = 3)
    run(sweep_design(n_quantiles = 3, seed = 1), method = "2sls", calibration = 1)
  })
  expect_error(run(sweep_design(data_seed = 1, seed = 1), method = "magic", data = toy_people),
    class = "mrlearn_error_argument", "magic")
  expect_false(file.exists(dir))
  file <- withr::local_tempfile()
  file.create(file)
  expect_error(run_sweep(toy_design(1), data = toy_people, dir = file.path(file, "x")),
    class = "mrlearn_error_argument", "dir")
  expect_error(run_sweep(toy_design(1), data = toy_people, dir = "no/parent/here"),
    class = "mrlearn_error_argument", "dir")
})

test_that("nothing is written where nobody said", {
  here <- withr::local_tempdir()
  withr::local_dir(here)
  withr::local_options(mrlearn.threads = 1)
  sweep <- networks_sweep()
  best_fit(sweep)
  withr::with_pdf(NULL, plot(sweep))
  expect_identical(list.files(here, all.files = TRUE, no.. = TRUE), character())
  networks_sweep(dir = "told")
  expect_identical(list.files(here), "told")
})

test_that("a full disk stops a sweep, which goes on when there is room", {
  skip_on_os(c("windows", "mac"))
  disk <- withr::local_tempdir()
  mount <- function(...) {
    suppressWarnings(system2("mount", c(...), stdout = FALSE, stderr = FALSE)) == 0
  }
  skip_if_not(mount("-t", "tmpfs", "-o", "size=160k", "tmpfs", disk), "no tmpfs can be mounted")
  withr::defer(system2("umount", disk), priority = "first")
  dir <- file.path(disk, "sweep")
  expect_error(networks_sweep(dir = dir), class = "mrlearn_error_file", "full")
  finished <- list.files(dir, "^run.*rds$", full.names = TRUE)
  expect_true(length(finished) %in% 1:3)
  before <- stamps(finished)
  mount("-o", "remount,size=20m", disk)
  expect_identical(timeless(networks_sweep(dir = dir)), timeless(networks_sweep()))
  expect_identical(stamps(finished), before)
})

test_that("progress is told to whoever listens", {
  skip_if_not_installed("progressr")
  loadNamespace("progressr")
  heard <- 0
  progressr::with_progress(
    run_sweep(toy_design(1:2), data = toy_people),
    handlers = progressr::make_progression_handler("count", list(
      update = function(config, state, progression, ...) heard <<- max(heard, state$step)
    ), enable = TRUE, intrusiveness = 0, interval = 0),
    enable = TRUE
  )
  expect_identical(heard, 4)
  withr::with_options(list(knitr.in.progress = TRUE), {
    expect_null(count_teller(TRUE, 5L, 0L, "Sweep")$tell)
  })
})

test_that("plots draw what the table has", {
  sweep <- run_sweep(toy_design(1:4, h2 = c(0.2, 0.5)), data = function(h2, seed) {
    sim_nonlinear(n = 200, n_variants = 3, h2 = h2, f = "linear", seed = seed)
  })
  withr::local_pdf(NULL)
  boxes <- plot(sweep, by = c("method", "h2"))
  expect_identical(as.vector(table(boxes$term)), rep(4L, 4))
  expect_identical(boxes$value, sweep$mse)
  cover <- plot(sweep, "coverage", by = "method")
  expect_equal(cover$estimate, as.vector(tapply(sweep$coverage, sweep$method, mean)[cover$term]))
  # Eight runs that agree: Wilson's interval at z = 2 ends at n / (n + z^2).
  expect_equal(coverage_ends(rep(1, 8)), c(8 / 12, 1))
  chosen <- networks_sweep()
  points <- plot(chosen, "selection")
  expect_identical(points$x, chosen$width)
  for (p in list(
    ggplot2::autoplot(sweep), ggplot2::autoplot(sweep, "coverage"),
    ggplot2::autoplot(chosen, "selection", by = "loss")
  )) {
    expect_s3_class(p, "ggplot")
    expect_no_error(ggplot2::ggplot_build(p))
  }
  expect_error(plot(sweep, "selection"), class = "mrlearn_error_argument")
  expect_error(plot(sweep, by = "colour"), class = "mrlearn_error_argument")
  expect_error(plot(sweep, value = "method"), class = "mrlearn_error_argument")
})
