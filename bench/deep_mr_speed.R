# Seconds of local and mean effects of 10,000 sequences with 300 variants each and five members, by
# deep_mr_effects(): 6,000,000 rows, from the data.frame to the result. Some 30 seconds and 2 GB.
#
#   Rscript bench/deep_mr_speed.R
suppressMessages(library(mrlearn))

make_effects <- function(n_seq = 1e4, n_variant = 300, n_members = 5) {
  set.seed(1)
  n <- n_seq * n_variant
  x <- stats::rnorm(n)
  out <- data.frame(
    sequence = rep(paste0("s", seq_len(n_seq)), each = 2 * n_variant),
    position = rep(rep(seq_len(n_variant / 3), each = 3), n_seq, each = 2), ref = "A",
    alt = rep(c("C", "G", "T"), n / 3, each = 2), output = c("x", "y"),
    effect = as.vector(rbind(x, x + stats::rnorm(n, sd = 0.1))), std.error = 0.1
  )
  out$members <- out$effect + matrix(stats::rnorm(2 * n * n_members, sd = 0.1), 2 * n)
  out
}

time_once <- function(effects, what, n_threads, ...) {
  seconds <- system.time(deep_mr_effects(effects, "x", "y", n_threads = n_threads, ...))
  data.frame(what = what, threads = n_threads, seconds = round(seconds[["elapsed"]], 2),
    processor = round(seconds[["user.self"]] + seconds[["sys.self"]], 2))
}

main <- function() {
  effects <- make_effects()
  rows <- do.call(rbind, lapply(1:2, function(n_threads) {
    rbind(
      time_once(effects, "slopes and members", n_threads),
      time_once(effects, "the same, IVW and Egger", n_threads,
        method = c("slope", "mr_ivw", "mr_egger_regression"))
    )
  }))
  lines <- do.call(paste, c(unname(lapply(rows, as.character)), sep = " | "))
  text <- c("# Speed of Deep MR's statistics", "",
    paste("10,000 sequences, 300 variants, 5 members: seconds of deep_mr_effects(), elapsed and of",
      "the processor."), "", paste0("| ", paste(names(rows), collapse = " | "), " |"),
    "| --- | --- | --- | --- |", paste0("| ", lines, " |"))
  writeLines(text, file.path("bench", "deep_mr_speed.md"))
  writeLines(text)
}

main()
