# Training of the autoencoder of iv_latent() against a PyTorch loop of the same computation
# (bench/latent_torch.py), with an equal number of threads.
#
#   Rscript bench/latent_torch.R [--trial] [--threads=1] [python]
#
# writes bench/latent_torch.csv and .md; --trial: few steps, into build/latent_trial; --threads:
# only so many, rows of others stay. With one thread it is processor time that counts, which other
# programs on the machine change little; with two wall clock, which wants an idle machine. First
# both compute the loss of one batch (all rows that train) with the same parameters. Then rounds in
# turn: ours, the loop with features of the polynomial kernel as we compute it, the loop with the
# kernel matrices of the published code (a quarter of the steps). Seconds are of steps alone:
# differences between a longer and a shorter training of ours. PyTorch has its own BLAS and
# OpenBLAS in the ways of bench/train.R, and of these the fastest for each design, kernel and
# number of threads; what its own takes is told beside it, of a few steps. With t threads we train
# t restarts at a time, each on one thread, and the loop one on t threads, so its seconds are
# compared with ours divided by t. Without torch the script stops.
source(file.path("bench", "study_tools.R"))
borrow(file.path("bench", "train.R"),
  c("has_avx512", "wide_kernels", "unpack_openmp_blas", "torch_ways"))
borrow(file.path("bench", "linear.R"), "unpack_openblas")

given <- commandArgs(TRUE)
trial <- "--trial" %in% given
counts <- as.integer(sub("--threads=", "", c(grep("^--threads=", given, value = TRUE), 1:2)))
counts <- if (any(startsWith(given, "--threads="))) counts[1] else counts
python <- c(grep("^[^-]", given, value = TRUE), "python3")[1]
folder <- if (trial) file.path("build", "latent_trial") else "bench"
dir.create(folder, showWarnings = FALSE, recursive = TRUE)

latent_internal <- function(name) utils::getFromNamespace(name, "mrlearn")

designs <- data.frame(
  design = c("linear encoder, cubic decoder", "MLP 128-128, cubic decoder",
    "MLP 256-256, cubic decoder"),
  encoder = c("linear", "mlp", "mlp"), width = c(0, 128, 256), n_env = c(3, 2, 3), degree = 3,
  steps = if (trial) 16 else c(480, 320, 160)
)

# 18 batches of 500 rows of each environment make an epoch.
write_design <- function(design) {
  sim <- sim_environments(n = if (trial) 1600 else 10000, n_env = design$n_env,
    mixing = "poly", degree = design$degree, seed = 101)
  z <- as.matrix(as.data.frame(sim)[truth(sim)$instruments])
  x <- latent_internal("apply_inputs")(latent_internal("prepare_inputs")(z, "sphered"), z)
  dir <- tempfile("latent")
  dir.create(dir)
  writeBin(as.double(t(x)), file.path(dir, "x.bin"), size = 4)
  writeBin(as.integer(sim$environment) - 1L, file.path(dir, "environment.bin"))
  writeLines(paste(nrow(x), ncol(x), design$n_env, sep = ","), file.path(dir, "shape.csv"))
  list(design = design, z = z, environment = as.integer(sim$environment), dir = dir)
}

train_ours <- function(at, ..., n_threads = 1L) {
  hidden <- rep(at$design$width, 2 * (at$design$encoder == "mlp"))
  latent_internal("latent_autoencoder")(at$z, at$environment, c(V = 2, W = 2),
    list(encoder = at$design$encoder, degree = at$design$degree, hidden = hidden, ...), 1,
    n_threads)
}

python_rows <- function(what, at, ..., threads = 1L, way = character()) {
  lines <- system2(python, c(file.path("bench", "latent_torch.py"), what, at$dir,
    at$design$encoder, at$design$degree, max(1, at$design$width), ...), stdout = TRUE,
    env = c(paste0(c("OMP_NUM_THREADS=", "OPENBLAS_NUM_THREADS="), threads), way))
  unlist(utils::read.csv(text = lines))
}

# The parts of the loss of all training rows at the initial parameters: ours (single precision), the
# loop's (double).
compare_loss <- function(at) {
  few <- list(n_valid = 5L, epochs = 1L, restarts = 1L, learning_rate = 1e-30,
    batch_size = nrow(at$z))
  control <- c(list(encoder = at$design$encoder, degree = at$design$degree,
    hidden = rep(at$design$width, 2 * (at$design$encoder == "mlp"))), few)
  control <- do.call(latent_control, control)
  x <- latent_internal("apply_inputs")(latent_internal("prepare_inputs")(at$z, "sphered"), at$z)
  settings <- latent_internal("autoencoder_settings")(control, c(V = 2, W = 2), 1, 1L)
  out <- latent_internal("run_autoencoder")(x, at$environment, NULL, settings)
  writeBin(as.double(out$params[, 1]), file.path(at$dir, "params.bin"), size = 4)
  rows <- setdiff(seq_len(nrow(x)), out$held_out)
  writeBin(rows - 1L, file.path(at$dir, "rows.bin"))
  ours <- out$history[1, 1:5]
  loop <- python_rows("loss", at)
  data.frame(part = names(loop), ours = ours, loop = loop, difference = abs(ours / loop - 1))
}

seconds_of <- function(expr, threads) {
  time <- system.time(expr)
  if (threads == 1) sum(time[c("user.self", "sys.self")]) else time[["elapsed"]]
}

# Seconds per step: the difference of two trainings leaves out what comes before and after.
ours_per_step <- function(at, threads) {
  per_epoch <- if (trial) 2 else 16
  batch <- if (trial) 640L else 500L
  epochs <- max(1, round(at$design$steps / per_epoch))
  seconds <- vapply(c(1, 1 + epochs), function(k) {
    seconds_of(train_ours(at, epochs = k, restarts = threads, batch_size = batch,
      n_threads = threads), threads)
  }, 0)
  diff(seconds) / (epochs * per_epoch) / threads
}

loop_per_step <- function(at, threads, kernel, way, steps = at$design$steps) {
  batch <- if (trial) 640L else 500L
  steps <- if (kernel == "matrices") ceiling(steps / 4) else steps
  python_rows("time", at, steps, batch, threads, kernel, threads = threads,
    way = way)[[if (threads == 1) "cpu" else "seconds"]] / steps
}

# Seconds per step of a few steps, by the BLAS.
try_ways <- function(at, threads, kernel, ways) {
  steps <- ceiling(at$design$steps / 8)
  vapply(ways, function(way) loop_per_step(at, threads, kernel, way, steps), 0)
}

compare_speed <- function(at, rounds, ways) {
  rows <- expand.grid(side = c("ours", "features", "matrices"), round = seq_len(rounds),
    threads = counts, stringsAsFactors = FALSE)
  rows$blas <- ""
  rows$own_ms <- NA
  for (cell in split(seq_len(nrow(rows)), paste(rows$side, rows$threads))) {
    first <- rows[cell[1], ]
    if (first$side != "ours") {
      tried <- try_ways(at, first$threads, first$side, ways)
      rows$blas[cell] <- names(which.min(tried))
      rows$own_ms[cell] <- 1000 * tried[["its own BLAS"]]
    }
  }
  rows$ms <- 1000 * mapply(function(side, threads, blas) {
    if (side == "ours") ours_per_step(at, threads) else
      loop_per_step(at, threads, side, ways[[blas]])
  }, rows$side, rows$threads, rows$blas)
  cbind(design = at$design$design, n_env = at$design$n_env, rows)
}

report_speed <- function(rows) {
  keys <- unique(rows[c("design", "n_env", "threads")])
  middle <- function(key, side) {
    stats::median(rows$ms[rows$design == key$design & rows$threads == key$threads &
      rows$side == side])
  }
  table <- do.call(rbind, lapply(seq_len(nrow(keys)), function(i) {
    key <- keys[i, ]
    ms <- vapply(c("ours", "features", "matrices"), function(side) middle(key, side), 0)
    features <- rows[rows$design == key$design & rows$threads == key$threads &
      rows$side == "features", ][1, ]
    data.frame(design = key$design, environments = key$n_env, threads = key$threads,
      "mrlearn (ms)" = sprintf("%.2f", ms[1]), "features (ms)" = sprintf("%.2f", ms[2]),
      "matrices (ms)" = sprintf("%.2f", ms[3]), ratio = sprintf("**%.1f**", ms[2] / ms[1]),
      "to matrices" = sprintf("%.1f", ms[3] / ms[1]),
      "BLAS of features" = features$blas, "its own BLAS (ms)" = sprintf("%.1f", features$own_ms),
      check.names = FALSE)
  }))
  table
}

report_loss <- function(losses) {
  worst <- tapply(losses$difference, losses$design, max)
  paste0("* ", names(worst), ": ", signif(worst, 2))
}

main <- function() {
  version <- shQuote("import torch; print(torch.__version__)")
  torch <- suppressWarnings(system2(python, c("-c", version), stdout = TRUE, stderr = FALSE))
  if (!length(torch)) {
    stop(python, " has no torch: name another on the command line", call. = FALSE)
  }
  ways <- c(list(`its own BLAS` = character()), torch_ways())
  path <- file.path(folder, "latent_torch.csv")
  speeds <- if (file.exists(path)) utils::read.csv(path)
  speeds <- speeds[!speeds$threads %in% counts, ]
  losses <- NULL
  for (i in seq_len(nrow(designs))) {
    at <- write_design(designs[i, ])
    losses <- rbind(losses, cbind(design = designs$design[i], compare_loss(at)))
    print(losses[losses$design == designs$design[i], ], row.names = FALSE)
    speeds <- rbind(speeds, compare_speed(at, if (trial) 1 else 5, ways))
    speeds <- speeds[order(match(speeds$design, designs$design), speeds$threads), ]
    utils::write.csv(speeds, path, row.names = FALSE)
  }
  text <- c(
    "# Training of autoencoders against PyTorch", "",
    paste0("Written by `bench/latent_torch.R` at commit ", measured_commit(), "; PyTorch ", torch,
      ", ", latent_internal("isa_used")(), ","),
    "milliseconds per step (500 rows of each environment), median of five rounds in turn:",
    "processor time with one thread, wall clock with two. `features`: the same computation;",
    "`matrices`: the kernels as n x n matrices, as the published code has them; `ratio`:",
    "features / mrlearn, to be at least 4. PyTorch has the fastest of its own BLAS (last column,",
    "of a few steps) and those of OpenBLAS. A linear encoder and 128 units are the defaults; with",
    "256 units a step is .7 billion operations in products of matrices, which ours does near the",
    "machine's peak and the loop at a third of it.", "",
    md_table(report_speed(speeds)), "", if (!2 %in% speeds$threads) c("Two threads: not run.", ""),
    "Largest relative difference between the parts of both losses (ours in single precision, the",
    "loop in double and by kernel matrices), same parameters and rows:", "", report_loss(losses), ""
  )
  writeLines(text, file.path(folder, "latent_torch.md"))
  cat(text, sep = "\n")
}

main()
