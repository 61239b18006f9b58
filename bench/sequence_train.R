# Training the simulation CNN of Deep MR against PyTorch: seconds of an epoch at equal data, batches
# and threads, and how well ensembles of both predict noise-free counts.
#
#   Rscript bench/sequence_train.R time [rounds] [epochs] [most threads]   some 5 minutes, idle
#   Rscript bench/sequence_train.R accuracy [members] [minutes]            some 40 minutes
#
# They write bench/sequence_train_time.csv, bench/sequence_train_accuracy.csv and, of what is there,
# bench/sequence_train.md. $PYTHON: the python3 to use. PyTorch runs as bench/train.R has it, in its
# quickest way. Time: sim_sequences(10000) with its 2,500 mutants, all of them trained on; sides
# alternate in processes of their own, a process gives the median of its epochs after the first, the
# median of the rounds counts. Losses of both sides after equal epochs are told: the initial weights
# follow one law. Accuracy: 10,000 sequences and 2,500 mutants, 1,000 others predicted, correlation
# of the members' mean with the labels and counts that the oracle expects of the scenario (b at its
# mean), and with the measured labels, where `oracle` has the oracle's own: no prediction can do
# better. One cell after another is added to the csv; those that are there are not run again, and
# after `minutes` none is begun. Sides:
#   ours        seq_ensemble() in its defaults
#   same        PyTorch with our settings (batch, rate, law of weights, labels divided by their SD)
#   published   PyTorch as published: batch 1000, rate .001, labels as they are, its own weights
#   one conv    ours: one convolution, batch norm, global maximum, two dense layers; rate .01

python <- NULL # main() finds one
batches <- c(1000L, 250L)

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

labels_of <- function(sim) {
  cbind(exposure = sim$exposure_label, outcome = sim$outcome_label)
}

simulate <- function(confounding = "none", ratio = 1) {
  mrlearn::sim_sequences(n = 10000, ratio = ratio, confounding = confounding, seed = 101)
}

# What bench/sequence_train.py reads: rows to train on, rows held out, sequences to predict.
write_data <- function(file, sim, train, held, more = character()) {
  sequences <- c(sim$sequence[c(train, held)], more)
  codes <- match(unlist(strsplit(sequences, "")), c("A", "C", "G", "T")) - 1L
  connection <- file(file, "wb")
  on.exit(close(connection))
  writeBin(c(length(train), length(held), length(more)), connection)
  writeBin(as.raw(codes), connection)
  writeBin(as.vector(t(labels_of(sim)[c(train, held), ])), connection, size = 4)
}

model_of <- function() {
  mrlearn::seq_preset("simulation", output_names = c("exposure", "outcome"))
}

# In a process of its own: `Rscript bench/sequence_train.R ours threads batch epochs`.
run_ours <- function(threads, batch, epochs) {
  sim <- simulate()
  control <- mrlearn::seq_control(epochs = epochs, batch_size = batch, validation = 0,
    learning_rate = 1e-3)
  trained <- mrlearn::fit(model_of(), sim$sequence, labels_of(sim), seed = 1, n_threads = threads,
    control = control)
  history <- mrlearn::training_history(trained)
  writeLines(paste(history$epoch, history$seconds, history$train))
}

ask <- function(command, arguments, threads, way = character()) {
  lines <- system2(command, arguments, stdout = TRUE,
    env = c(paste0(c("OMP_NUM_THREADS=", "OPENBLAS_NUM_THREADS="), threads), way))
  table <- utils::read.table(text = lines, col.names = c("epoch", "seconds", "loss"))
  c(seconds = stats::median(table$seconds[-1]), loss = table$loss[nrow(table)])
}

time_cell <- function(threads, batch, file, ways, rounds, epochs) {
  ours <- theirs <- NULL
  for (i in seq_len(rounds)) {
    ours <- rbind(ours, ask(file.path(R.home("bin"), "Rscript"),
      c("bench/sequence_train.R", "ours", threads, batch, epochs), threads))
    each <- vapply(ways, function(way) {
      ask(python, c("bench/sequence_train.py", "time", file, threads, batch, epochs), threads, way)
    }, c(seconds = 0, loss = 0))
    theirs <- rbind(theirs, each[, which.min(each["seconds", ])])
  }
  row <- data.frame(
    what = "time", threads = threads, batch = batch,
    ours = stats::median(ours[, 1]), theirs = stats::median(theirs[, 1]),
    ours_loss = ours[1, 2], theirs_loss = theirs[1, 2]
  )
  writeLines(sprintf("%d thread(s), batch %d: %.4f s, PyTorch %.4f s, ratio %.1f; loss %.4f, %.4f",
    threads, batch, row$ours, row$theirs, row$theirs / row$ours, row$ours_loss, row$theirs_loss))
  row
}

measure_time <- function(rounds = 3, epochs = 8, most_threads = 2) {
  file <- tempfile()
  sim <- simulate()
  write_data(file, sim, seq_len(nrow(sim)), integer())
  ways <- torch_ways()
  cells <- expand.grid(batch = batches, threads = seq_len(most_threads))
  do.call(rbind, Map(time_cell, cells$threads, cells$batch,
    MoreArgs = list(file = file, ways = ways, rounds = rounds, epochs = epochs)))
}

unit_of <- function(sim) {
  ifelse(is.na(sim$parent), sim$id, sim$parent)
}

# The mean of the members' predictions (sequences, outputs) of PyTorch.
torch_ensemble <- function(sim, test, members, recipe) {
  unit <- unit_of(sim)
  batch <- if (recipe == "same") round(0.85 * nrow(sim) / 40) else 1000
  one <- function(seed) {
    set.seed(seed)
    held <- which(unit %in% sample(unique(unit), 1500))
    files <- c(tempfile(), tempfile())
    write_data(files[1], sim, setdiff(seq_along(unit), held), held, test$sequence)
    system2(python, c("bench/sequence_train.py", "fit", files, 1, batch, seed, recipe))
    matrix(readBin(files[2], "double", 2 * nrow(test), size = 4), ncol = 2, byrow = TRUE)
  }
  Reduce(`+`, lapply(seq_len(members), one)) / members
}

one_convolution <- function() {
  relu <- mrlearn::seq_layer("activation", activation = "relu")
  mrlearn::seq_model(list(
    mrlearn::seq_layer("conv", units = 30, taps = 19), mrlearn::seq_layer("batch_norm"), relu,
    mrlearn::seq_layer("global_max"), mrlearn::seq_layer("dense", units = 30), relu,
    mrlearn::seq_layer("dense", units = 2)
  ), 100, output_names = c("exposure", "outcome"))
}

our_ensemble <- function(sim, test, members, model, ...) {
  fits <- mrlearn::seq_ensemble(model, sim$sequence, labels_of(sim), n = members,
    unit = unit_of(sim), seed = 1, progress = FALSE, control = mrlearn::seq_control(...))
  as.matrix(stats::predict(fits, test$sequence)[-1])
}

accuracy_cells <- function(members) {
  sides <- c("oracle", "ours", "one conv", "published", "same") # quick ones first
  cells <- expand.grid(confounding = c("none", "sequence", "random"), side = sides,
    ratio = c(1, 10), members = members, stringsAsFactors = FALSE)
  cells[cells$side != "one conv" | cells$ratio == 1, ]
}

accuracy_of <- function(cell) {
  sim <- simulate(cell$confounding, cell$ratio)
  test <- mrlearn::sim_sequences(n = 1000, ratio = cell$ratio, confounding = cell$confounding,
    mutants = 0, seed = 102)
  counts <- as.matrix(mrlearn::truth(test)$oracle(test$sequence))
  labels <- 2 * sqrt(counts + 3 / 8)
  began <- proc.time()[["elapsed"]]
  found <- switch(cell$side,
    oracle = labels,
    ours = our_ensemble(sim, test, cell$members, model_of()),
    "one conv" = our_ensemble(sim, test, cell$members, one_convolution(), learning_rate = 1e-2),
    torch_ensemble(sim, test, cell$members, cell$side)
  )
  seconds <- proc.time()[["elapsed"]] - began
  each <- function(with) diag(stats::cor(found, with))
  numbers <- round(c(each(labels), each(counts), each(labels_of(test))), 4)
  names(numbers) <- paste0(c("exposure", "outcome"), rep(c("", "_counts", "_measured"), each = 2))
  cbind(data.frame(what = "accuracy"), cell, as.list(numbers), seconds = round(seconds))
}

measure_accuracy <- function(members = 5, minutes = Inf) {
  rows <- read_rows("accuracy")
  cells <- accuracy_cells(members)
  key <- function(x) paste(x$side, x$confounding, x$ratio, x$members)
  cells <- cells[!key(cells) %in% key(rows), ]
  began <- proc.time()[["elapsed"]]
  for (i in seq_len(nrow(cells))) {
    if (proc.time()[["elapsed"]] - began > 60 * minutes) {
      break
    }
    row <- accuracy_of(cells[i, ])
    writeLines(sprintf("%s, %s, ratio %d: %.3f %.3f", row$side, row$confounding, row$ratio,
      row$exposure, row$outcome))
    rows <- rbind(rows, row)
    keep_rows(rows)
  }
  rows
}

keep_rows <- function(rows) {
  file <- file.path("bench", paste0("sequence_train_", rows$what[1], ".csv"))
  utils::write.csv(rows, file, row.names = FALSE)
}

read_rows <- function(what) {
  file <- file.path("bench", paste0("sequence_train_", what, ".csv"))
  if (file.exists(file)) utils::read.csv(file)
}

accuracy_lines <- function(rows) {
  rows <- rows[order(rows$ratio, match(rows$confounding, c("none", "sequence", "random"))), ]
  c(
    "Correlation of ensembles, on 1,000 sequences that none has seen, with what the oracle expects",
    "of the labels and of the counts, and with the measured labels (`oracle`: the most possible).",
    "Sides: head of the script.", "",
    "| confounding | ratio | side | members | labels | counts | measured labels |",
    "| --- | ---: | --- | ---: | ---: | ---: | ---: |",
    sprintf("| %s | %d | %s | %d | %.3f %.3f | %.3f %.3f | %.3f %.3f |", rows$confounding,
      rows$ratio, rows$side, rows$members, rows$exposure, rows$outcome, rows$exposure_counts,
      rows$outcome_counts, rows$exposure_measured, rows$outcome_measured), "",
    "In each cell the exposure's, then the outcome's."
  )
}

write_report <- function() {
  time <- read_rows("time")
  accuracy <- read_rows("accuracy")
  writeLines(c(
    "# Training the simulation CNN against PyTorch", "",
    "Written by `bench/sequence_train.R`. Seconds of an epoch over 12,500 sequences of 100",
    "letters; losses after as many epochs on both sides, from different draws of one law of",
    "weights.", "",
    paste0("- CPU: ", first_line("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo"),
      "; load at the end ", first_line("cut -d' ' -f1 /proc/loadavg"), "; ", format(Sys.Date())),
    paste0("- ours: commit ", first_line("git rev-parse --short HEAD")), "",
    if (!is.null(time)) c(
      "| threads | batch | ours (s) | PyTorch (s) | ratio | loss, ours | loss, PyTorch |",
      "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
      sprintf("| %d | %d | %.4f | %.4f | **%.1f** | %.4f | %.4f |", time$threads, time$batch,
        time$ours, time$theirs, time$theirs / time$ours, time$ours_loss, time$theirs_loss), ""
    ),
    if (!is.null(accuracy)) accuracy_lines(accuracy)
  ), file.path("bench", "sequence_train.md"))
}

main <- function(what, ...) {
  stopifnot(file.exists("DESCRIPTION"), what %in% c("time", "accuracy"))
  borrow(file.path("bench", "train.R"),
    c("find_python", "has_avx512", "wide_kernels", "unpack_openmp_blas", "torch_ways"))
  borrow(file.path("bench", "linear.R"), c("unpack_openblas", "first_line"))
  python <<- find_python()
  if (is.null(python)) {
    writeLines("bench/sequence_train.R: torch is missing; install python3-torch or set $PYTHON")
    return(invisible())
  }
  keep_rows(if (what == "time") measure_time(...) else measure_accuracy(...))
  write_report()
}

arguments <- commandArgs(trailingOnly = TRUE)
if (identical(arguments[1], "ours")) {
  do.call(run_ours, as.list(as.integer(arguments[-1])))
} else {
  do.call(main, c(list(arguments[1]), as.list(as.integer(arguments[-1]))))
}
