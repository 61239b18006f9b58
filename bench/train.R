# Training a network against PyTorch: stage 1 of Quantile IV, n = 80,000, 20-128-64-5, batch norm,
# pinball loss of five quantiles, Adam. Equal data, epochs and threads; every batch is one step.
#
#   Rscript bench/train.R [epochs] [rounds]   writes bench/train.md; on an idle machine, some ten
#                                             minutes. $PYTHON: the python3 to use
#
# Ours is bench/train.c, compiled as R compiles packages; theirs bench/torch_train.py. In each round
# both run in processes of their own, one after the other; a process gives the median of its epochs
# after the first, and the median of the rounds counts. PyTorch runs as it comes, and with the
# settings that may make it quicker (wider kernels than it takes by itself, the other threads of
# OpenBLAS); the quickest of all is the peer.

n_rows <- 80000L
n_inputs <- 20L
cells <- expand.grid(
  activation = c("softplus", "gelu"), batch = c(10000L, 256L), threads = 1:2,
  stringsAsFactors = FALSE
)
wide_kernels <- c("ATEN_CPU_CAPABILITY=avx512", "OPENBLAS_CORETYPE=SkylakeX")

python <- NULL # main() finds one

has_avx512 <- function() {
  any(grepl("avx512bw", readLines("/proc/cpuinfo")))
}

# The first python3 that has torch: $PYTHON, or one of $PATH; NULL if there is none.
find_python <- function() {
  places <- file.path(strsplit(Sys.getenv("PATH"), .Platform$path.sep)[[1]], "python3")
  for (python in c(Sys.getenv("PYTHON", NA), places)) {
    if (!is.na(python) && file.exists(python) &&
        system2(python, "bench/torch_train.py --versions", stdout = FALSE, stderr = FALSE) == 0) {
      return(python)
    }
  }
  NULL
}

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

# Inputs as standardised genotypes have them, an exposure with an interaction.
write_data <- function(file) {
  set.seed(1)
  x <- matrix(stats::rnorm(n_rows * n_inputs), n_inputs)
  y <- 0.2 * colSums(x) + 0.3 * x[1, ] * x[2, ] + stats::rnorm(n_rows)
  connection <- file(file, "wb")
  on.exit(close(connection))
  writeBin(as.vector(x), connection, size = 4)
  writeBin(y, connection, size = 4)
}

compile <- function(program) {
  parts <- file.path("src", "core", paste0(
    c("train", "train_state", "net", "net_run", "net_step", "net_tile", "layer", "loss", "optim",
      "gemm", "rng"), ".c"
  ))
  system2("gcc", c("-std=gnu11 -O2 -fopenmp -I src/core bench/train.c", parts, "-lm -o", program))
}

# OpenBLAS with threads of OpenMP, which PyTorch uses too; unpacked and not installed.
unpack_openmp_blas <- function() {
  dir <- file.path("build", "openblas-openmp")
  dir.create(dir, recursive = TRUE, showWarnings = FALSE)
  found <- function() Sys.glob(file.path(dir, "usr/lib/*/openblas-openmp/libblas.so.3"))
  if (!length(found())) {
    command <- paste(
      "cd", shQuote(dir), "&& apt-get download libopenblas0-openmp && dpkg -x *.deb ."
    )
    system(command, ignore.stdout = TRUE, ignore.stderr = TRUE)
  }
  if (length(found())) normalizePath(dirname(found()[1]))
}

# A way to run PyTorch: what it is called, and its environment.
torch_ways <- function() {
  preload <- function(dir) {
    paste0("LD_PRELOAD=", paste(file.path(dir, c("libblas.so.3", "liblapack.so.3")),
      collapse = ":"))
  }
  pthread <- unpack_openblas()
  openmp <- unpack_openmp_blas()
  ways <- if (is.null(pthread)) {
    list(`system BLAS` = character())
  } else {
    list(OpenBLAS = preload(pthread))
  }
  if (has_avx512() && !is.null(pthread)) {
    ways$`OpenBLAS, AVX-512` <- c(preload(pthread), wide_kernels)
  }
  if (!is.null(openmp)) {
    ways$`OpenBLAS with OpenMP` <- c(preload(openmp), if (has_avx512()) wide_kernels)
    names(ways)[length(ways)] <- paste0("OpenBLAS with OpenMP", if (has_avx512()) ", AVX-512")
  }
  ways
}

# One process: the median of its epochs after the first, in ms, and the loss of the last.
run_once <- function(command, arguments, cell, epochs, data, environment = character()) {
  threads <- paste0(c("OMP_NUM_THREADS=", "OPENBLAS_NUM_THREADS="), cell$threads)
  lines <- system2(command,
    c(arguments, data, cell$threads, cell$batch, cell$activation, epochs),
    stdout = TRUE, env = c(threads, environment))
  stopifnot(length(lines) == epochs)
  table <- utils::read.table(text = lines, col.names = c("epoch", "seconds", "loss"))
  c(ms = 1000 * stats::median(table$seconds[-1]), loss = table$loss[epochs])
}

# Rows of a cell: each way of PyTorch beside ours; sides alternate.
measure_cell <- function(cell, ways, program, epochs, rounds, data) {
  runs <- lapply(seq_len(rounds), function(i) {
    c(
      list(ours = run_once(program, NULL, cell, epochs, data)),
      lapply(ways, function(way) {
        run_once(python, "bench/torch_train.py", cell, epochs, data, way)
      })
    )
  })
  median_of <- function(name, what) {
    stats::median(vapply(runs, function(round) round[[name]][[what]], 0))
  }
  theirs <- vapply(names(ways), median_of, 0, what = "ms")
  quickest <- names(ways)[which.min(theirs)]
  row <- data.frame(cell,
    ours = median_of("ours", "ms"), first = theirs[1], best = min(theirs), way = quickest,
    loss = median_of("ours", "loss"), peer_loss = median_of(quickest, "loss")
  )
  writeLines(sprintf("%s, batch %d, %d thread(s): %.1f ms, %.1f ms (%s), ratio %.2f",
    cell$activation, cell$batch, cell$threads, row$ours, row$best, quickest,
    row$best / row$ours))
  row
}

describe <- function(epochs, rounds) {
  load <- first_line("cut -d' ' -f1 /proc/loadavg")
  versions <- strsplit(first_line(paste(python, "bench/torch_train.py --versions")), " ")[[1]]
  dirty <- nzchar(paste(system("git status --porcelain -uno src", intern = TRUE), collapse = ""))
  c(
    paste0("- CPU: ", first_line("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo"), ", ",
      parallel::detectCores(), " cores; load at the end ", load),
    paste0("- ours: commit ", first_line("git rev-parse --short HEAD"),
      if (dirty) " with later changes", ", ", first_line("gcc --version")),
    paste0("- PyTorch ", versions[1], " of python ", versions[2],
      "; Adam with foreach = TRUE, batches are views of rows put in order once an epoch"),
    paste0("- medians of ", rounds, " rounds of ", epochs, " epochs, sides alternating; ",
      format(Sys.Date()))
  )
}

write_report <- function(rows, epochs, rounds, ways) {
  wanted <- ifelse(rows$batch == 256L, ">= 4", ">= 2")
  table <- sprintf(
    "| %s | %d | %d | %.1f | %.1f | %s | **%.2f** | %s | %.1f | %.4f | %.4f | %.1f %% |",
    rows$activation, rows$batch, rows$threads, rows$ours, rows$best, rows$way,
    rows$best / rows$ours, wanted, rows$first / rows$ours, rows$loss, rows$peer_loss,
    100 * abs(rows$loss / rows$peer_loss - 1)
  )
  writeLines(c(
    "# Training a network against PyTorch", "",
    "Written by `bench/train.R`: milliseconds for an epoch of stage 1 of Quantile IV (80,000 rows,",
    "20-128-64-5, batch norm, five quantiles, Adam), equal threads. PyTorch is its quickest way of",
    paste0(length(ways), "; \"as it comes\" is the ratio to ", names(ways)[1],
      " without other settings. Losses are those"),
    paste0("of epoch ", epochs, "; both sides draw their own weights and orders."), "",
    describe(epochs, rounds), "",
    paste("| activation | batch | threads | ours (ms) | PyTorch (ms) | its way | ratio | wanted |",
      "as it comes | loss | PyTorch's | difference |"),
    "| --- | ---: | ---: | ---: | ---: | --- | ---: | --- | ---: | ---: | ---: | ---: |",
    table
  ), file.path("bench", "train.md"))
}

main <- function(epochs = 12L, rounds = 5L) {
  stopifnot(file.exists("DESCRIPTION"), epochs >= 2L)
  python <<- find_python()
  if (is.null(python)) {
    writeLines("bench/train.R: torch is missing; install python3-torch or set $PYTHON")
    return(invisible())
  }
  borrow(file.path("bench", "linear.R"), c("unpack_openblas", "first_line"))
  data <- tempfile(fileext = ".bin")
  program <- tempfile("bench_train")
  write_data(data)
  stopifnot(compile(program) == 0)
  ways <- torch_ways()
  rows <- lapply(split(cells, seq_len(nrow(cells))), measure_cell,
    ways = ways, program = program, epochs = epochs, rounds = rounds, data = data)
  write_report(do.call(rbind, rows), epochs, rounds, ways)
}

do.call(main, as.list(as.integer(commandArgs(trailingOnly = TRUE))))
