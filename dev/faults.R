# Processes that are killed, interrupts and leaks, at length: RELIABILITY.md has what it said last;
# tests/testthat/test-faults.R does the same in short. Sections may be named as arguments:
#
#   Rscript dev/faults.R [kills] [interrupts] [leaks]
suppressMessages(library(mrlearn))
source("tests/testthat/helper-faults.R")
options(mrlearn.threads = 1) # a forked process cannot use the threads of its parent
wanted <- commandArgs(TRUE)
if (!length(wanted)) {
  wanted <- c("kills", "interrupts", "leaks")
}
failed <- 0

say <- function(name, row, ok) {
  failed <<- failed + !ok
  cat(sprintf("%-34s %s%s\n", name, paste(names(row), vapply(row, format, "", digits = 3),
    collapse = ", "), if (ok) "" else "  FAILED"))
}

quiet <- function(expr) {
  suppressMessages(suppressWarnings(expr, classes = "mrlearn_warning"))
}

folder <- tempfile("faults-")
dir.create(folder)
at <- function(name) file.path(folder, name)
people <- sim_nonlinear(n = 4000, n_variants = 4, seed = 5)
people$g <- as.matrix(people[c("G0", "G1", "G2", "G3")])
reads <- sim_sequences(n = 600, length = 60, seed = 1)
network <- seq_model(list(
  seq_layer("conv", units = 8, taps = 11), seq_layer("activation", activation = "relu"),
  seq_layer("global_max"), seq_layer("dense", units = 2)
), 60, output_names = c("exposure", "outcome"))
labels <- cbind(exposure = reads$exposure_label, outcome = reads$outcome_label)
trained <- fit(network, reads$sequence, labels, seed = 1, control = seq_control(epochs = 2))
brief <- function(epochs, ...) nn_control(hidden = c(16, 8), epochs = epochs, patience = 0, ...)

# Each: a function of the place to keep things at, NULL for none; `kept` are the files there.
kills <- list(
  "mutagenize(dir =)" = list(run = function(file) {
    if (is.null(file)) {
      return(mutagenize(trained, reads$sequence))
    }
    mutagenize(trained, reads$sequence, dir = file, per_chunk = 20)
    effects <- read_effects(file)
    unlink(file, recursive = TRUE)
    attr(effects, "n_chunks") <- NULL
    effects
  }, kept = function(file) file.path(file, "effects-000001.rds")),
  "iv_quantile(checkpoint =)" = list(run = function(file) {
    iv_quantile(Y ~ X | g, people, seed = 2, control = brief(60), n_boot = 20, checkpoint = file,
      checkpoint_every = 1)
  }),
  "iv_deep(checkpoint =)" = list(run = function(file) {
    iv_deep(Y ~ X | g, people, seed = 2, first_stage = "mixture", control = brief(40),
      n_boot = 20, checkpoint = file, checkpoint_every = 1)
  }),
  "iv_dfiv(checkpoint =)" = list(run = function(file) {
    iv_dfiv(Y ~ X | g, people, seed = 2, control = brief(40), cross_fit = 2, n_boot = 10,
      checkpoint = file, checkpoint_every = 1)
  }),
  "fit(<seq_model>, checkpoint =)" = list(run = function(file) {
    fit(network, reads$sequence, labels, seed = 3, checkpoint = file, checkpoint_every = 1,
      control = seq_control(epochs = 40, patience = 0))
  }),
  "seq_ensemble(checkpoint =)" = list(run = function(file) {
    seq_ensemble(network, reads$sequence, labels, n = 3, bootstrap = TRUE, seed = 3,
      checkpoint = file, checkpoint_every = 1, control = seq_control(epochs = 15, patience = 0))
  }, kept = function(file) paste0(file, ".", 1:3)),
  "run_sweep(dir =)" = list(run = function(file) {
    sweep <- run_sweep(sweep_design(method = c("quantile", "deep"), data_seed = 1:4, seed = 3),
      data = function(seed) sim_nonlinear(n = 1000, n_variants = 3, seed = seed),
      control = brief(20), dir = file, progress = FALSE)
    if (!is.null(file)) unlink(file, recursive = TRUE)
    sweep
  }, kept = function(file) file.path(file, "run-000001.rds"))
)

if ("kills" %in% wanted) {
  set.seed(20261121)
  for (name in names(kills)) {
    case <- kills[[name]]
    took <- system.time(whole <- untimed(quiet(case$run(NULL))))[["elapsed"]]
    file <- at("kept")
    kept <- if (is.null(case$kept)) file else case$kept(file)
    row <- kill_again(function() untimed(quiet(case$run(file))), whole, 20, min(0.7 * took, 2),
      kept)
    say(name, cbind(row, took), row$same && row$met >= 10)
    unlink(c(file, kept), recursive = TRUE)
  }
}

# Each lasts a second or so; SIGINT comes at three moments.
set.seed(3)
many <- matrix(stats::rbinom(4000 * 300, 2, 0.3), 4000)
wide <- data.frame(y = stats::rnorm(4000), x = drop(many[, 1:20] %*% stats::rnorm(20)) +
  stats::rnorm(4000))
wide$z <- many
chip <- bed(write_bed(many, at("chip")))
context <- sim_contextual(n = 4000, L = 4, seed = 1)
summary_data <- sim_summary(n_snps = 150, seed = 1)
environments <- as.data.frame(sim_environments(n = 4000, seed = 1))
environments$z <- as.matrix(environments[grep("^Z", names(environments))])
interrupts <- list(
  "iv_quantile" = function() iv_quantile(Y ~ X | g, people, seed = 2, control = brief(300)),
  "iv_quantile, bootstrap" = function() {
    iv_quantile(Y ~ X | g, people, seed = 2, control = brief(10), n_boot = 300)
  },
  "iv_deep" = function() {
    iv_deep(Y ~ X | g, people, seed = 2, first_stage = "mixture", control = brief(300))
  },
  "iv_dfiv" = function() iv_dfiv(Y ~ X | g, people, seed = 2, control = brief(100)),
  "iv_contextual" = function() {
    iv_contextual(Y ~ X | G0 + G1 + G2 + G3, context, context = ~ age + sex, encoder = "mlp",
      n_boot = 50, seed = 1)
  },
  "iv_lasso, cross-validation" = function() {
    iv_lasso(y ~ x | z, wide, seed = 1, nfolds = 20, nlambda = 400, lambda_min_ratio = 1e-6)
  },
  "iv_delivr" = function() iv_delivr(Y ~ X | g, people, n_splits = 10, seed = 1),
  "iv_control_function, bootstrap" = function() {
    iv_control_function(Y ~ X | g, people, shape = "natural", df = 4, n_boot = 1000, seed = 1)
  },
  "iv_doubly_ranked, repeats" = function() {
    iv_doubly_ranked(Y ~ X | G0 + G1 + G2, people, n_repeats = 4000, seed = 1)
  },
  "quantile_regression" = function() {
    quantile_regression(Y ~ X, people, control = brief(600), seed = 1)
  },
  "iv_latent, autoencoder" = function() {
    iv_latent(Y ~ X | z, environments, environment = ~environment, latent_dim = c(2, 2),
      method = "autoencoder", seed = 1)
  },
  "iv_latent, flow" = function() {
    iv_latent(Y ~ X | z, environments, environment = ~environment, latent_dim = c(2, 2),
      method = "flow", seed = 1)
  },
  "mr_estimate, bootstrap" = function() {
    mr_estimate(summary_data, c("mr_weighted_mode", "mr_weighted_median"), n_boot = 4e4, seed = 1)
  },
  "mr_estimate, cML" = function() {
    mr_estimate(summary_data, "mr_cML", control = mr_control(n = 1e5, num_pert = 100),
      seed = 1)
  },
  "mr_leave_one_out" = function() {
    mr_leave_one_out(summary_data, "Weighted mode", n_boot = 2000, seed = 1)
  },
  "mr_presso_test" = function() mr_presso_test(summary_data, 2e5, seed = 1),
  "mv_estimate" = function() {
    mv_estimate(lipid_chd, mv_methods()$name, n = 1e5, n_boot = 3e4, num_pert = 2e3, seed = 1)
  },
  "kernel_test, permutations" = function() {
    kernel_test(people$X[1:1500], people$Y[1:1500], n_perm = 300, seed = 1)
  },
  "entropy" = function() entropy(cbind(stats::qnorm(stats::ppoints(1e4)), sin(1:1e4))),
  "meta_random, groups" = function() {
    meta_random(sin(1:2e5), rep(1, 2e5), "PM", group = rep(1:2e4, 10))
  },
  "mutagenize" = function() mutagenize(trained, rep(reads$sequence, 4)),
  "fit(<seq_model>)" = function() {
    fit(network, reads$sequence, labels, seed = 3, control = seq_control(epochs = 100,
      patience = 0))
  },
  "seq_ensemble" = function() {
    seq_ensemble(network, reads$sequence, labels, n = 5, bootstrap = TRUE, seed = 3,
      control = seq_control(epochs = 20, patience = 0))
  },
  "predict(<seq_model>)" = function() predict(trained, rep(reads$sequence, 100)),
  "run_sweep" = function() {
    run_sweep(sweep_design(method = c("quantile", "deep"), data_seed = 1:3, seed = 3),
      data = function(seed) sim_nonlinear(n = 1000, n_variants = 3, seed = seed),
      control = brief(30), progress = FALSE)
  },
  "snp_associations" = function() {
    snp_associations(chip, data.frame(matrix(sin(1:4e5), 4000)), vcov = "HC1")
  },
  "genotype_pcs" = function() genotype_pcs(chip, 20),
  "sim_nonlinear" = function() sim_nonlinear(n = 2e6, n_variants = 5, seed = 1),
  "sim_sequences" = function() sim_sequences(n = 1e4, length = 200, seed = 1)
)

# What two runs share: their numbers.
if ("interrupts" %in% wanted) {
  for (name in names(interrupts)) {
    run <- function() untimed(quiet(interrupts[[name]]()))
    took <- system.time(whole <- run())[["elapsed"]]
    times <- do.call(rbind, lapply(c(0.1, 0.4, 0.7), function(share) {
      interrupt_run(run, share * took)
    }))
    same <- identical(run(), whole)
    longest <- max(times$seconds, 0, na.rm = TRUE)
    row <- data.frame(took, met = sum(times$met), longest, same)
    say(name, row, same && row$longest < 1 && row$met > 0)
  }
}

# Memory of the process, in MB, before and after runs that are interrupted: what an interrupt would
# leave behind grows with their number. Under valgrind, which tells lost blocks by itself:
#   R -d "valgrind --leak-check=full" --vanilla --no-echo -f dev/faults.R --args leaks
if ("leaks" %in% wanted) {
  resident <- function() {
    gc()
    line <- grep("^VmRSS", readLines("/proc/self/status"), value = TRUE)
    as.double(gsub("[^0-9]", "", line)) / 1024
  }
  long <- list(
    iv_quantile = function() iv_quantile(Y ~ X | g, people, seed = 2, control = brief(1e5)),
    mutagenize = function() mutagenize(trained, rep(reads$sequence, 100)),
    mr_estimate = function() mr_estimate(summary_data, "mr_weighted_mode", n_boot = 1e7, seed = 1)
  )
  for (name in names(long)) {
    interrupt <- function(i) interrupt_run(long[[name]], 0.2)
    met <- sum(do.call(rbind, lapply(1:5, interrupt))$met)
    before <- resident()
    met <- met + sum(do.call(rbind, lapply(1:15, interrupt))$met)
    grown <- resident() - before
    say(paste("leaks,", name), data.frame(interrupts = met, MB = grown), grown < 5)
  }
}

if (failed) {
  stop(failed, " of the checks failed")
}
