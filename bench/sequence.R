# Mutagenesis against PyTorch: all single-letter substitutions of a sequence (3 L mutants), on the
# published MPRA-DragoNN, the BPNet example (2114 letters, both heads) and the simulation CNN of
# Deep MR; equal threads.
#
#   Rscript bench/sequence.R [rounds] [seconds] [most threads]   writes bench/sequence.md; on an
#                                   idle machine, some twenty minutes. $PYTHON: the python3 to use
#
# Ours is mutagenize() from sequences to the data.frame of effects, theirs (bench/sequence_torch.py)
# the forward passes alone, on mutants made beforehand: at each batch size a batch is repeated for
# `seconds`, since a mutant costs the same whichever it is. PyTorch's batch size and way (as it
# comes, frozen and optimised for inference; with other BLAS and wide kernels) are its best. Sides
# alternate, in processes of their own; medians of rounds count. Parameters are random: they do not
# change the time. Effects of both sides are compared.

cells <- data.frame(
  model = c("mpra_dragonn", "bpnet_example", "simulation_cnn"),
  sequences = c(40, 1, 400),
  batches = c("16,64,145,435", "2,8,32", "64,300,1000,3000"),
  must = c(12, 5, 5), aim = c(20, 9, 7)
)

python <- NULL # main() finds one

# Functions that another script defines.
borrow <- function(script, names) {
  for (expression in parse(script, keep.source = FALSE)) {
    is_wanted <- is.call(expression) && identical(expression[[1]], quote(`<-`)) &&
      as.character(expression[[2]])[1] %in% names
    if (is_wanted) {
      eval(expression, globalenv())
    }
  }
}

relu <- function(...) mrlearn::seq_layer("activation", activation = "relu", ...)

mpra_layers <- function() {
  block <- function() {
    list(
      mrlearn::seq_layer("conv", units = 120, taps = 5), relu(), mrlearn::seq_layer("batch_norm")
    )
  }
  c(block(), block(), block(), list(mrlearn::seq_layer("dense", units = 12)))
}

simulation_layers <- function() {
  block <- function() {
    list(
      mrlearn::seq_layer("conv", units = 15, taps = 7), mrlearn::seq_layer("batch_norm"), relu()
    )
  }
  c(block(), block(), block(), list(
    mrlearn::seq_layer("dense", units = 30), relu(), mrlearn::seq_layer("dense", units = 2)
  ))
}

bpnet_layers <- function() {
  conv <- function(...) mrlearn::seq_layer("conv", padding = "same", ...)
  layers <- list(conv(units = 64, taps = 21), relu(name = "h0"))
  for (i in 1:8) {
    layers <- c(layers, list(
      conv(units = 64, taps = 3, dilation = 2^i, input = paste0("h", i - 1)),
      relu(name = paste0("r", i)),
      mrlearn::seq_layer("add", input = paste0(c("h", "r"), c(i - 1, i)), name = paste0("h", i))
    ))
  }
  c(layers, list(
    conv(units = 2, taps = 75), mrlearn::seq_layer("crop", left = 557, right = 557),
    mrlearn::seq_layer("global_lse", name = "profile"),
    mrlearn::seq_layer("crop", left = 520, right = 520, input = "h8"),
    mrlearn::seq_layer("global_average"), mrlearn::seq_layer("dense", units = 1, name = "count")
  ))
}

make_model <- function(name) {
  layers <- switch(name,
    mpra_dragonn = mpra_layers(), bpnet_example = bpnet_layers(), simulation_layers()
  )
  length <- c(mpra_dragonn = 145, bpnet_example = 2114, simulation_cnn = 100)[[name]]
  outputs <- if (name == "bpnet_example") c("count", "profile")
  empty <- mrlearn::seq_model(layers, length, outputs = outputs)
  set.seed(101)
  shapes <- empty$shapes
  draw <- function(i) {
    n <- shapes$parameters[i]
    if (shapes$type[i] == "batch_norm") {
      return(rep(c(1, 0.1, 0.2, 0.5), each = shapes$channels[i]))
    }
    stats::rnorm(n, sd = sqrt(2 * shapes$channels[i] / max(n, 1)))
  }
  parameters <- unlist(lapply(seq_len(nrow(shapes)), draw))
  mrlearn::seq_model(layers, length, outputs = outputs, parameters = parameters)
}

draw_sequences <- function(n, length) {
  set.seed(102)
  replicate(n, paste(sample(c("A", "C", "G", "T"), length, TRUE), collapse = ""))
}

# Microseconds of a mutant, in a process of its own: `Rscript bench/sequence.R ours model threads`.
run_ours <- function(name, threads) {
  cell <- cells[cells$model == name, ]
  model <- make_model(name)
  sequences <- draw_sequences(cell$sequences, model$length)
  mrlearn::mutagenize(model, sequences, positions = 1, n_threads = threads)
  seconds <- vapply(1:3, function(i) {
    system.time(mrlearn::mutagenize(model, sequences, n_threads = threads))[["elapsed"]]
  }, 0)
  cat(1e6 * stats::median(seconds) / (3 * model$length * cell$sequences), "\n")
}

ask_ours <- function(cell, threads) {
  script <- c("bench/sequence.R", "ours", cell$model, threads)
  command <- file.path(R.home("bin"), "Rscript")
  lines <- system2(command, script, stdout = TRUE, env = paste0("OMP_NUM_THREADS=", threads))
  as.numeric(lines[length(lines)])
}

ask_torch <- function(cell, threads, way, files, seconds) {
  lines <- system2(python,
    c("bench/sequence_torch.py", files$model, files$sequence, threads, seconds, cell$batches,
      files$effects),
    stdout = TRUE, stderr = FALSE,
    env = c(paste0(c("OMP_NUM_THREADS=", "OPENBLAS_NUM_THREADS="), threads), way))
  utils::read.table(text = lines, col.names = c("mode", "batch", "us"))
}

# The largest difference of effects from the middle on, relative to the largest output.
difference <- function(model, files) {
  theirs <- as.matrix(utils::read.table(files$effects))
  positions <- model$length %/% 2 + seq_len(nrow(theirs) / 3)
  found <- mrlearn::mutagenize(model, files$sequence, positions = positions)
  ours <- matrix(found$effect, nrow(theirs), byrow = TRUE)
  max(abs(ours - theirs)) / max(abs(unlist(predict(model, files$sequence)[-1])))
}

measure_cell <- function(cell, threads, ways, rounds, seconds) {
  model <- make_model(cell$model)
  files <- list(
    model = tempfile("bench_model"), effects = tempfile(),
    sequence = draw_sequences(1, model$length)
  )
  mrlearn::write_seq_model(model, files$model)
  ours <- numeric()
  theirs <- NULL
  for (i in seq_len(rounds)) {
    ours[i] <- ask_ours(cell, threads)
    for (way in names(ways)) {
      table <- ask_torch(cell, threads, ways[[way]], files, seconds)
      theirs <- rbind(theirs, data.frame(table, way = way))
    }
  }
  medians <- stats::aggregate(us ~ mode + batch + way, theirs, stats::median)
  best <- medians[which.min(medians$us), ]
  row <- data.frame(cell, threads,
    ours = stats::median(ours), best = best$us,
    how = paste0(best$mode, ", batch ", best$batch, ", ", best$way),
    difference = difference(model, files)
  )
  row$ratio <- row$best / row$ours
  writeLines(sprintf("%s, %d thread(s): %.2f us, %.2f us (%s), ratio %.1f", cell$model, threads,
    row$ours, row$best, row$how, row$ratio))
  row
}

write_report <- function(rows, rounds, seconds) {
  versions <- strsplit(first_line(paste(python, "bench/torch_train.py --versions")), " ")[[1]]
  dirty <- nzchar(paste(system("git status --porcelain -uno src", intern = TRUE), collapse = ""))
  writeLines(c(
    "# Mutagenesis against PyTorch", "",
    "Written by `bench/sequence.R`: microseconds for a mutant, of all 3 L single-letter",
    "substitutions of a sequence. Ours is `mutagenize()` as a whole, PyTorch the forward passes",
    "alone at its best batch size and in its quickest way. Difference: of effects, largest,",
    "relative to the largest output.", "",
    paste0("- CPU: ", first_line("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo"), ", ",
      parallel::detectCores(), " cores; load at the end ",
      first_line("cut -d' ' -f1 /proc/loadavg")),
    paste0("- ours: commit ", first_line("git rev-parse --short HEAD"),
      if (dirty) " with later changes", ", ", first_line("gcc --version")),
    paste0("- PyTorch ", versions[1], " of python ", versions[2]),
    paste0("- medians of ", rounds, " round(s), PyTorch ", seconds,
      " s at each batch size, sides alternating; ", format(Sys.Date())), "",
    paste("| model | threads | ours (us) | PyTorch (us) | its way | ratio | must | aim |",
      "difference |"),
    "| --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |",
    sprintf("| %s | %d | %.2f | %.1f | %s | **%.1f** | >= %d | %d | %.1e |", rows$model,
      rows$threads, rows$ours, rows$best, rows$how, rows$ratio, as.integer(rows$must),
      as.integer(rows$aim), rows$difference)
  ), file.path("bench", "sequence.md"))
}

main <- function(rounds = 3, seconds = 4, most_threads = 2) {
  stopifnot(file.exists("DESCRIPTION"))
  borrow(file.path("bench", "train.R"),
    c("find_python", "has_avx512", "wide_kernels", "unpack_openmp_blas", "torch_ways"))
  borrow(file.path("bench", "linear.R"), c("unpack_openblas", "first_line"))
  python <<- find_python()
  if (is.null(python)) {
    writeLines("bench/sequence.R: torch is missing; install python3-torch or set $PYTHON")
    return(invisible())
  }
  ways <- torch_ways()
  grid <- expand.grid(row = seq_len(nrow(cells)), threads = seq_len(most_threads))
  rows <- lapply(seq_len(nrow(grid)), function(i) {
    measure_cell(cells[grid$row[i], ], grid$threads[i], ways, rounds, seconds)
  })
  write_report(do.call(rbind, rows), rounds, seconds)
}

arguments <- commandArgs(trailingOnly = TRUE)
if (identical(arguments[1], "ours")) {
  run_ours(arguments[2], as.integer(arguments[3]))
} else {
  do.call(main, as.list(as.numeric(arguments)))
}
