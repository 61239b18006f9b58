# Scaling of an ensemble over threads: bootstraps of iv_quantile() on one thread and on two.
#
#   Rscript bench/ensemble.R [n] [members] [rounds]   writes bench/ensemble.md; on an idle machine.
#                                                     Defaults: 100000 50 3
#
# Sides alternate, medians count. Wanted: two threads at least 1.8 times as quick as one, and the
# same curve to the last bit.
suppressMessages(library(mrlearn))

time_fit <- function(sim, members, n_threads) {
  seconds <- system.time(
    fit <- iv_quantile(Y ~ X | g, data = sim, n_boot = members, seed = 1, n_threads = n_threads,
      workers = "threads", progress = FALSE)
  )[["elapsed"]]
  x <- stats::quantile(sim$X, seq(0.05, 0.95, 0.05))
  list(seconds = seconds, curve = effect_curve(fit, x))
}

# Seconds of a round on one and on two threads.
one_round <- function(sim, members) {
  one <- time_fit(sim, members, 1L)
  two <- time_fit(sim, members, 2L)
  stopifnot(identical(one$curve, two$curve))
  writeLines(sprintf("%.1f s, %.1f s: %.2f", one$seconds, two$seconds, one$seconds / two$seconds))
  c(one = one$seconds, two = two$seconds)
}

line_of <- function(command) {
  suppressWarnings(system(command, intern = TRUE, ignore.stderr = TRUE))[1]
}

main <- function(n = 100000L, members = 50L, rounds = 3L) {
  stopifnot(file.exists("DESCRIPTION"))
  sim <- sim_nonlinear(n = n, seed = 1)
  sim$g <- as.matrix(sim[truth(sim)$instruments])
  seconds <- vapply(seq_len(rounds), function(i) one_round(sim, members), c(one = 0, two = 0))
  ratio <- stats::median(seconds["one", ] / seconds["two", ])
  writeLines(c(
    "# An ensemble on two threads", "",
    paste0("Written by `bench/ensemble.R`: iv_quantile() with ", members,
      " bootstraps and default settings,"),
    paste0("sim_nonlinear() of ", format(n, scientific = FALSE),
      " people. Both give the same curve to the last bit."), "",
    paste0("- CPU: ", line_of("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo"), ", ",
      parallel::detectCores(), " cores; load at the end ",
      line_of("cut -d' ' -f1 /proc/loadavg")),
    paste0("- mrlearn ", utils::packageVersion("mrlearn"), ", commit ",
      line_of("git rev-parse --short HEAD"), ", ", R.version.string),
    paste0("- medians of ", rounds, " rounds, sides alternating; ", format(Sys.Date())), "",
    "| threads | seconds | ratio | wanted |", "| ---: | ---: | ---: | --- |",
    sprintf("| 1 | %.1f | | |", stats::median(seconds["one", ])),
    sprintf("| 2 | %.1f | **%.2f** | >= 1.8 |", stats::median(seconds["two", ]), ratio)
  ), file.path("bench", "ensemble.md"))
}

do.call(main, as.list(as.integer(commandArgs(trailingOnly = TRUE))))
