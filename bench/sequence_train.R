# Training the simulation CNN of Deep MR against PyTorch: seconds of an epoch at equal data, batches
# and threads, and how well ensembles of both predict noise-free counts.
#
#   Rscript bench/sequence_train.R time [rounds] [epochs] [most threads]   some 5 minutes, idle
#   Rscript bench/sequence_train.R accuracy [members] [scenarios]          some 15 minutes
#
# They write bench/sequence_train_time.csv, bench/sequence_train_accuracy.csv and, of what is there,
# bench/sequence_train.md. $PYTHON: the python3 to use. PyTorch runs as bench/train.R has it, in its
# quickest way. Time: sim_sequences(10000) with its 2,500 mutants, all of them trained on; sides
# alternate in processes of their own, a process gives the median of its epochs after the first, the
# median of the rounds counts. Losses of both sides after equal epochs are told: the initial weights
# follow one law. Accuracy: 10,000 sequences, 1,000 others predicted, correlation of the members'
# mean with the oracle's counts; ours in its default batches, PyTorch in the published 1,000.
# `published`: PyTorch on labels as they are, weights as it draws them; `same`: PyTorch with labels
# divided by their standard deviations and our law of weights.

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

simulate <- function(confounding = "none") {
  mrlearn::sim_sequences(n = 10000, ratio = 1, confounding = confounding, seed = 101)
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
  control <- mrlearn::seq_control(epochs = epochs, batch_size = batch, validation = 0)
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

# The mean of the members' predictions (sequences, outputs) of PyTorch.
torch_ensemble <- function(sim, test, members, recipe) {
  unit <- ifelse(is.na(sim$parent), sim$id, sim$parent)
  one <- function(seed) {
    set.seed(seed)
    held <- which(unit %in% sample(unique(unit), 1500))
    files <- c(tempfile(), tempfile())
    write_data(files[1], sim, setdiff(seq_along(unit), held), held, test$sequence)
    system2(python, c("bench/sequence_train.py", "fit", files, 1, 1000, seed, recipe))
    matrix(readBin(files[2], "double", 2 * nrow(test), size = 4), ncol = 2, byrow = TRUE)
  }
  Reduce(`+`, lapply(seq_len(members), one)) / members
}

measure_accuracy <- function(members = 5, scenarios = 3) {
  test <- mrlearn::sim_sequences(n = 1000, ratio = 1, mutants = 0, seed = 102)
  oracle <- mrlearn::truth(test)$oracle(test$sequence)
  do.call(rbind, lapply(c("none", "sequence", "random")[seq_len(scenarios)], function(confounding) {
    sim <- simulate(confounding)
    unit <- ifelse(is.na(sim$parent), sim$id, sim$parent)
    ours <- mrlearn::seq_ensemble(model_of(), sim$sequence, labels_of(sim), n = members,
      unit = unit, seed = 1)
    predicted <- list(
      ours = as.matrix(predict(ours, test$sequence)[-1]),
      same = torch_ensemble(sim, test, members, "same"),
      published = torch_ensemble(sim, test, members, "published")
    )
    rows <- data.frame(what = "accuracy", confounding = confounding, side = names(predicted),
      members = members,
      exposure = vapply(predicted, function(p) stats::cor(p[, 1], oracle$exposure), 0),
      outcome = vapply(predicted, function(p) stats::cor(p[, 2], oracle$outcome), 0))
    print(rows, row.names = FALSE)
    rows
  }))
}

keep_rows <- function(rows) {
  file <- file.path("bench", paste0("sequence_train_", rows$what[1], ".csv"))
  utils::write.csv(rows, file, row.names = FALSE)
}

read_rows <- function(what) {
  file <- file.path("bench", paste0("sequence_train_", what, ".csv"))
  if (file.exists(file)) utils::read.csv(file)
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
    if (!is.null(accuracy)) c(
      "Correlation of ensembles with the oracle's counts on 1,000 sequences that none has seen:",
      "",
      "| confounding | side | members | exposure | outcome |", "| --- | --- | ---: | ---: | ---: |",
      sprintf("| %s | %s | %d | %.3f | %.3f |", accuracy$confounding, accuracy$side,
        accuracy$members, accuracy$exposure, accuracy$outcome)
    )
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
