# One fit of iv_contextual() against the way in which the published tool trains its network: one
# person at a time, by PyTorch (bench/contextual_torch.py).
#
#   Rscript bench/contextual_torch.R [python]   writes bench/contextual_torch.csv and .md
#
# On an idle machine. n = 5000, of whom a fifth is held out and seen by neither: what is predicted
# for them is the outcome given instruments and context. Encoder 25 x 3 on both sides, one thread
# each; the loop runs the epochs of the longest of iv_contextual()'s trainings. It keeps its best
# epoch by the very people that are predicted, iv_contextual() does not know them. Without torch the
# script says so and stops.
source(file.path("bench", "contextual_tools.R"))

python <- c(grep("^[^-]", commandArgs(TRUE), value = TRUE), "python3")[1]
options(mrlearn.threads = 1L)

# The people, their first stages (by instruments alone, and with context) and who is held out.
torch_people <- function(seed, n) {
  sim <- draw_people(n, "linear in BMI", 0.2, seed)
  valid <- seq_len(n) %% 5 == 0
  fit_by <- function(columns) {
    b <- stats::lm.fit(columns[!valid, ], sim$X[!valid])$coefficients
    drop(columns %*% b)
  }
  context <- truth(sim)$context_std
  list(sim = sim, valid = valid, context = context, by_z = fit_by(cbind(1, sim$g)),
    by_both = fit_by(cbind(1, sim$g, context)))
}

# Seconds and validation loss of one fit.
run_ours <- function(people, seed) {
  train <- as.data.frame(people$sim)[!people$valid, ]
  held_out <- as.data.frame(people$sim)[people$valid, ]
  fit <- timed(fit_contextual(Y ~ X | g, train, seed = seed))
  told <- context_effects(fit$value, held_out)
  predicted <- told$intercept + told$estimate * people$by_both[people$valid]
  c(seconds = fit$seconds, loss = mean((held_out$Y - predicted)^2),
    epochs = max(training_history(fit$value)$epoch))
}

run_loop <- function(people, epochs, seed) {
  file <- tempfile(fileext = ".csv")
  table <- data.frame(y = people$sim$Y, x = people$by_z, valid = as.integer(people$valid),
    people$context)
  utils::write.csv(table, file, row.names = FALSE)
  lines <- system2(python, c(file.path("bench", "contextual_torch.py"), file, epochs, seed),
    stdout = TRUE, env = "OMP_NUM_THREADS=1")
  unlist(utils::read.csv(text = lines))
}

compare_torch <- function(seed, n) {
  people <- torch_people(seed, n)
  ours <- vapply(1:5, function(i) run_ours(people, seed), numeric(3))
  epochs <- ours[["epochs", 1]]
  loop <- run_loop(people, epochs, seed)
  out <- data.frame(
    seed, n, epochs, seconds = stats::median(ours["seconds", ]), loss = ours[["loss", 1]],
    loop_seconds = loop[["seconds"]], loop_loss = loop[["loss"]],
    loop_best_epoch = loop[["best_epoch"]]
  )
  out$ratio <- out$loop_seconds / out$seconds
  cat(sprintf("seed %d: ratio %.0f\n", seed, out$ratio))
  out
}

report_torch <- function(rows) {
  table <- data.frame(
    seed = rows$seed, epochs = rows$epochs, "iv_contextual (s)" = short(rows$seconds),
    "loop (s)" = short(rows$loop_seconds), ratio = sprintf("**%.0f**", rows$ratio),
    "loss" = sprintf("%.4f", rows$loss), "loss of the loop" = sprintf("%.4f", rows$loop_loss),
    "its best epoch" = rows$loop_best_epoch, check.names = FALSE
  )
  version <- system2(python, c("-c", shQuote("import torch; print(torch.__version__)")),
    stdout = TRUE)
  c(
    "# One person at a time", "",
    "Written by `bench/contextual_torch.R`: one fit of `iv_contextual()` (three nets, slopes,",
    paste0("intervals and test) against a PyTorch ", version, " loop with a batch size of 1, as"),
    paste0("the published tool trains; n = ", whole(rows$n[1]), ", 4/5 to train on; one thread ",
      "each, median of"),
    "five fits. Loss: mean squared error of the outcome of the people held out, given instruments",
    "and context; the loop's at its best epoch. Wanted: a ratio of at least 100 at a loss that is",
    "no higher.", "", md_table(table), "",
    paste0("commit ", measured_commit(), ", instruction set ", mrlearn:::isa_used())
  )
}

main <- function(how) {
  if (system2(python, c("-c", shQuote("import torch")), stdout = FALSE, stderr = FALSE) != 0) {
    cat(python, "has no torch: nothing is compared\n")
    return(invisible())
  }
  seeds <- if (how$trial) 1 else 101:103
  n <- if (how$trial) 1000 else 5000
  rows <- do.call(rbind, lapply(seeds, compare_torch, n = n))
  folder <- study_folder(how$trial)
  utils::write.csv(rows, file.path(folder, "contextual_torch.csv"), row.names = FALSE)
  writeLines(report_torch(rows), file.path(folder, "contextual_torch.md"))
  writeLines(report_torch(rows))
  stopifnot(how$trial || all(rows$ratio >= 100) && mean(rows$loss) <= mean(rows$loop_loss))
}

if (is_script()) {
  main(study_options(grep("^--", commandArgs(TRUE), value = TRUE)))
}
