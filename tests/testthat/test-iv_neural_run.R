# Stops a run after some calls of the progress function, as Ctrl-C would.
stopping <- function(after, phase = "training") {
  calls <- 0L
  function(at, done, most) {
    calls <<- calls + (at == phase)
    if (calls == after) {
      signalCondition(structure(class = c("stopped", "condition"),
        list(message = "stopped", call = NULL)))
    }
  }
}

stopped <- function(expression) {
  tryCatch(
    {
      expression
      FALSE
    },
    stopped = function(condition) TRUE
  )
}

test_that("results do not depend on threads, and the seed makes them", {
  controls <- list(brief(), brief(batch_norm = TRUE, dropout = 0.2))
  for (control in controls) {
    for (fitter in list(quick, quick_deep)) {
      one <- fitter(control = control, n_threads = 1, n_boot = 11, cross_fit = 2)
      two <- fitter(control = control, n_threads = 2, n_boot = 11, cross_fit = 2)
      expect_identical(numbers_of(one), numbers_of(two))
      at <- c(-1, 0, 2)
      withr::with_options(list(mrlearn.threads = 1), expect_identical(
        effect_curve(one, at), withr::with_options(list(mrlearn.threads = 2), effect_curve(two, at))
      ))
      other <- fitter(control = control, seed = 4)
      expect_false(identical(one$network$outcome$params, other$network$outcome$params))
    }
  }
  set.seed(9)
  drawn <- quick(seed = NULL)
  set.seed(9)
  expect_identical(numbers_of(quick(seed = NULL)), numbers_of(drawn))
  expect_identical(numbers_of(quick(seed = drawn$seed)), numbers_of(drawn))
  before <- .Random.seed
  quick(seed = 1)
  expect_identical(.Random.seed, before)
})

test_that("future workers give the same replicates, and predict the same", {
  skip_if_not_installed("future")
  here <- quick(n_boot = 11)
  old <- future::plan("multisession", workers = 2)
  withr::defer(future::plan(old))
  expect_identical(numbers_of(quick(n_boot = 11)), numbers_of(here))
  expect_identical(numbers_of(quick(n_boot = 11, workers = "threads")), numbers_of(here))
  new <- data.frame(X = c(-1, 0, 1), w = c(2, -1, 0.5), sex = c("m", "f", "m"))
  there <- future::value(future::future(
    list(stats::predict(here, new), mrlearn::effect_curve(here, c(0, 1))),
    packages = "mrlearn"
  ))
  expect_identical(there, list(predict(here, new), effect_curve(here, c(0, 1))))
})

test_that("a fit saved and read says the same", {
  for (fit in list(quick(n_boot = 10), quick_deep(first_stage = "mixture"))) {
    file <- withr::local_tempfile(fileext = ".rds")
    saveRDS(fit, file)
    read <- readRDS(file)
    new <- data.frame(X = c(-1, 0, 1), w = c(2, -1, 0.5), sex = c("m", "f", "m"))
    new$g <- toy_neural$g[1:3, ]
    expect_identical(predict(read, new), predict(fit, new))
    expect_identical(predict(read, new, "quantiles"), predict(fit, new, "quantiles"))
    expect_identical(effect_curve(read, c(0, 1)), effect_curve(fit, c(0, 1)))
    expect_identical(average_derivative(read), average_derivative(fit))
    expect_identical(unserialize(serialize(fit, NULL))$network, fit$network)
  }
})

test_that("slices do not change the numbers", {
  whole <- quick(n_boot = 10, cross_fit = 2)
  told <- list()
  sliced <- quick(n_boot = 10, cross_fit = 2, progress = function(phase, done, most) {
    told[[length(told) + 1L]] <<- data.frame(phase, done, most)
  })
  expect_identical(numbers_of(sliced), numbers_of(whole))
  told <- do.call(rbind, told)
  expect_setequal(told$phase, c("training", "bootstrap"))
  expect_true(all(told$done <= told$most))
  expect_true(all(unlist(tapply(told$done, told$phase, diff)) > 0))
  expect_identical(max(told$done[told$phase == "bootstrap"]), 10L)
})

test_that("a run that is stopped goes on from its checkpoint to the same numbers", {
  for (fitter in list(quick, quick_deep)) {
    whole <- fitter(n_boot = 12, cross_fit = 2)
    file <- withr::local_tempfile(fileext = ".rds")
    again <- function(..., n_threads = 1) {
      fitter(n_boot = 12, cross_fit = 2, checkpoint = file, checkpoint_every = 1,
        n_threads = n_threads, ...)
    }
    for (after in c(2, 3)) {
      expect_true(stopped(again(progress = stopping(after))))
      expect_true(file.exists(file))
    }
    expect_true(stopped(again(progress = stopping(2, "bootstrap"), n_threads = 2)))
    expect_identical(list.files(dirname(file), "^checkpoint-"), character())
    told <- character()
    done <- again(seed = NULL, progress = function(phase, done, most) {
      told <<- c(told, phase)
    })
    expect_identical(numbers_of(done), numbers_of(whole))
    expect_identical(unique(told), "bootstrap") # it did go on, not start again
    expect_false(file.exists(file))
  }
})

test_that("a killed process leaves a checkpoint that is whole", {
  skip_on_os("windows")
  file <- withr::local_tempfile(fileext = ".rds")
  script <- withr::local_tempfile(fileext = ".R")
  control <- "nn_control(hidden = 8, epochs = 400, patience = 0)"
  writeLines(c(
    sprintf(".libPaths(%s)", deparse1(.libPaths())), "library(mrlearn)",
    "sim <- sim_nonlinear(n = 5000, n_variants = 4, seed = 5)",
    sprintf("cat(Sys.getpid(), file = %s)", deparse1(paste0(file, ".pid"))),
    sprintf(
      "iv_quantile(Y ~ X | G0 + G1, sim, seed = 2, control = %s, checkpoint = %s,
        checkpoint_every = 1)", control, deparse1(file)
    )
  ), script)
  system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", script), wait = FALSE, stdout = FALSE,
    stderr = FALSE)
  waited <- 0
  while (!file.exists(file) && waited < 20) {
    Sys.sleep(0.02)
    waited <- waited + 0.02
  }
  pid <- as.integer(readLines(paste0(file, ".pid"), warn = FALSE))
  tools::pskill(pid, tools::SIGKILL)
  Sys.sleep(0.1)
  expect_true(file.exists(file)) # 400 epochs last longer than the wait for the first
  saved <- readRDS(file)$epochs
  expect_gte(saved, 1L)
  sim <- sim_nonlinear(n = 5000, n_variants = 4, seed = 5)
  control <- eval(str2lang(control))
  resumed <- iv_quantile(Y ~ X | G0 + G1, sim, seed = 2, control = control, checkpoint = file)
  whole <- iv_quantile(Y ~ X | G0 + G1, sim, seed = 2, control = control)
  expect_identical(numbers_of(resumed), numbers_of(whole))
  unlink(c(paste0(file, ".pid"), list.files(dirname(file), "^checkpoint-", full.names = TRUE)))
})

test_that("a checkpoint of another run is refused", {
  file <- withr::local_tempfile(fileext = ".rds")
  run <- function(data = toy_neural, seed = 3, control = brief(), ...) {
    quick(Y ~ X | g, data, seed = seed, control = control, checkpoint = file, ...)
  }
  expect_true(stopped(run(progress = stopping(1), checkpoint_every = 1)))
  refused <- function(..., text) {
    error <- expect_error(run(...), class = "mrlearn_error_checkpoint")
    expect_match(conditionMessage(error), text)
    expect_true(file.exists(file))
  }
  refused(data = toy_neural[-1, ], text = "other data")
  changed <- toy_neural
  changed$Y[600] <- changed$Y[600] + 1e-9
  refused(data = changed, text = "other data")
  refused(seed = 4, text = "`?seed")
  refused(control = brief(clip = 0.5), text = "clip")
  refused(binary = FALSE, nodes = "midpoints", text = "matched")
  saved <- readRDS(file)
  other <- saved
  other$isa <- "abacus"
  saveRDS(other, file)
  refused(text = "instruction set abacus")
  saveRDS(1:3, file)
  refused(text = "no checkpoint")
  writeLines("junk", file)
  refused(text = "no checkpoint")
  saved$state <- saved$state[seq_len(length(saved$state) - 8L)]
  saveRDS(saved, file)
  expect_error(run(), class = "mrlearn_error")
})

test_that("a run leaves no generator, file or bar behind", {
  expect_true(stopped(quick(progress = stopping(2))))
  expect_identical(numbers_of(quick()), numbers_of(quick()))
  withr::local_options(knitr.in.progress = TRUE)
  expect_silent(quick(progress = TRUE))
})

test_that("progress is shown where it is wanted", {
  withr::local_options(cli.progress_show_after = 0, cli.dynamic = FALSE)
  shown <- capture.output(
    fit <- quick(progress = TRUE, n_boot = 10),
    type = "message"
  )
  expect_s3_class(fit, "iv_quantile")
  expect_silent(quick(progress = FALSE))
  expect_type(shown, "character")
})
