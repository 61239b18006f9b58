# Runs that are killed and interrupted, and disks that are full or cannot be written to. In short;
# dev/faults.R does the same with 140 kills and every long entry.

toy_network <- function(units = 4) {
  seq_model(list(
    seq_layer("conv", units = units, taps = 5), seq_layer("activation", activation = "relu"),
    seq_layer("global_max"), seq_layer("dense", units = 1)
  ), 40, parameters = sin(seq_len(22 * units + 1)))
}

toy_reads <- function(n) {
  set.seed(1)
  vapply(seq_len(n), function(i) paste(sample(c("A", "C", "G", "T"), 40, TRUE), collapse = ""), "")
}

test_that("killed runs go on to the same bits", {
  skip_on_os("windows")
  withr::local_options(mrlearn.threads = 1) # a fork cannot use the threads of its parent
  withr::local_seed(7)
  folder <- withr::local_tempdir()
  reads <- toy_reads(80)
  labels <- nchar(gsub("[AT]", "", reads)) + cos(seq_along(reads))
  people <- sim_nonlinear(n = 2000, n_variants = 2, seed = 5)
  control <- nn_control(hidden = c(16, 8), epochs = 30, patience = 0)
  runs <- list(
    stream = function(at) {
      mutagenize(toy_network(), reads, dir = at, per_chunk = 4)
      read_effects(at)
    },
    network = function(at) {
      fit(toy_network(8), reads, labels, seed = 3, checkpoint = at, checkpoint_every = 1,
        control = seq_control(epochs = 60, patience = 0))
    },
    neural = function(at) {
      iv_quantile(Y ~ X | G0 + G1, people, seed = 2, control = control, n_boot = 10,
        checkpoint = at, checkpoint_every = 1)
    }
  )
  met <- 0
  for (name in names(runs)) {
    run <- function(at) untimed(untold(runs[[name]](at)))
    took <- system.time(whole <- run(file.path(folder, "whole")))[["elapsed"]]
    at <- file.path(folder, name)
    out <- kill_again(function() run(at), whole, 4, min(0.7 * took, 0.4), at)
    expect_true(out$same, label = name)
    met <- met + out$met
    unlink(file.path(folder, "whole"), recursive = TRUE)
  }
  expect_gte(met, 3) # the kills did find some at work
})

test_that("an interrupt ends a run at once, and the next one is as if nothing had been", {
  skip_on_os("windows")
  withr::local_options(mrlearn.threads = 1)
  people <- sim_nonlinear(n = 3000, n_variants = 2, seed = 5)
  summary_data <- sim_summary(n_snps = 60, seed = 1)
  runs <- list(
    neural = function(size) {
      iv_quantile(Y ~ X | G0 + G1, people, seed = 2,
        control = nn_control(hidden = c(16, 8), epochs = 2 * size, patience = 0))
    },
    draws = function(size) {
      mr_estimate(summary_data, "mr_weighted_mode", n_boot = 500 * size, seed = 1)
    },
    mutagenesis = function(size) mutagenize(toy_network(8), rep(toy_reads(20), size))
  )
  for (name in names(runs)) {
    before <- untimed(untold(runs[[name]](5)))
    out <- interrupt_run(function() untold(runs[[name]](2000)), 0.2)
    expect_true(out$met, label = name)
    expect_lt(out$seconds, 1) # it is a tenth of a second between two looks, and a busy machine
    expect_identical(untimed(untold(runs[[name]](5))), before)
  }
})

# What writes files, into a folder: a call, and one that reads them.
writers <- function() {
  set.seed(2)
  genotypes <- matrix(stats::rbinom(60000, 2, 0.4), 300)
  sim <- simulation(20000, seed = 1) |> add_variable("X", "normal")
  people <- sim_nonlinear(n = 5000, n_variants = 2, seed = 5)
  network <- toy_network(600)
  list(
    write_bed = list(
      write = function(at) write_bed(genotypes, at), read = function(at) as.matrix(bed(at))
    ),
    write_simulation = list(
      write = function(at) write_simulation(sim, at),
      read = function(at) as.data.frame(read_simulation(at))
    ),
    write_seq_model = list(
      write = function(at) write_seq_model(network, at), read = read_seq_model
    ),
    mutagenize = list(
      write = function(at) mutagenize(toy_network(), toy_reads(200), dir = at),
      read = function(at) as.data.frame(read_effects(at))
    ),
    checkpoint = list(
      write = function(at) {
        untold(iv_quantile(Y ~ X | G0 + G1, people, seed = 2, checkpoint = at, checkpoint_every = 1,
          control = nn_control(hidden = c(64, 64), epochs = 2)))
        saveRDS(1, at)
      }, read = function(at) suppressWarnings(readRDS(at))
    ),
    run_sweep = list(
      write = function(at) {
        run_sweep(sweep_design(method = c("ols", "2sls"), seed = 3), data = toy_people(1),
          dir = at, progress = FALSE)
      },
      read = function(at) timeless(read_sweep(at))
    )
  )
}

test_that("a full disk is told, names the file and leaves nothing that is taken for whole", {
  disk <- withr::local_tempdir()
  remount <- local_disk(disk, "size=8k")
  elsewhere <- withr::local_tempdir()
  cases <- writers()
  for (name in names(cases)) {
    case <- cases[[name]]
    at <- file.path(disk, name)
    error <- expect_error(case$write(at), class = "mrlearn_error_file", label = name)
    expect_match(conditionMessage(error), name, fixed = TRUE) # the path
    expect_error(case$read(at), label = paste("reading what", name, "left"))
    if (!name %in% c("mutagenize", "run_sweep")) {
      expect_length(list.files(disk, all.files = TRUE, no.. = TRUE), 0) # no part of a file
    }
    expect_true(remount("size=20m"))
    case$write(at)
    case$write(file.path(elsewhere, name))
    expect_identical(case$read(at), case$read(file.path(elsewhere, name)), label = name)
    unlink(list.files(disk, all.files = TRUE, no.. = TRUE, full.names = TRUE), recursive = TRUE)
    expect_true(remount("size=8k"))
  }
})

test_that("files of old stay where the disk is too full for new ones", {
  disk <- withr::local_tempdir()
  local_disk(disk, "size=32k")
  at <- file.path(disk, "model")
  write_seq_model(toy_network(), at)
  old <- read_seq_model(at)
  expect_error(write_seq_model(toy_network(600), at), class = "mrlearn_error_file")
  expect_identical(read_seq_model(at), old)
  expect_setequal(list.files(disk, all.files = TRUE, no.. = TRUE), c("model.bin", "model.json"))
})

test_that("what cannot be written to is told before any work", {
  disk <- withr::local_tempdir()
  remount <- local_disk(disk, "size=1m")
  expect_true(remount("ro"))
  nowhere <- withr::local_tempfile()
  cases <- writers()
  for (name in names(cases)) {
    expect_error(cases[[name]]$write(file.path(disk, name)), class = "mrlearn_error", label = name)
    expect_error(cases[[name]]$write(file.path(nowhere, "deep", name)), class = "mrlearn_error",
      label = name)
  }
  expect_false(file.exists(nowhere))
})
