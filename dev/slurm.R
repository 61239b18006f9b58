# A sweep by Slurm against the same in this process: identical tables, after one of its jobs was
# cancelled and after the process that submits them was killed. Run by dev/slurm.sh, in a directory
# of its own (future.batchtools keeps its files in the working directory).
library(mrlearn)
options(mrlearn.threads = 1L)

study <- function(dir, wait = 0) {
  design <- sweep_design(method = c("quantile", "deep"), data_seed = 1:6, seed = 1)
  run_sweep(design, data = function(seed) {
    pause <- Sys.getenv("STUDY_PAUSE") # so that jobs last long enough to be cancelled
    if (nzchar(pause)) Sys.sleep(as.double(pause))
    mrlearn::sim_nonlinear(n = 1000, n_variants = 4, seed = seed)
  }, control = nn_control(epochs = 20), calibration = 0.2, dir = dir, progress = FALSE)
}
by_slurm <- function() {
  future::plan(future.batchtools::batchtools_slurm,
    template = system.file("templates", "slurm.tmpl", package = "mrlearn"), workers = 2)
}
table_of <- function(sweep) {
  as.data.frame(sweep)[setdiff(names(sweep), "seconds")]
}
same <- function(a, b) {
  a <- table_of(a)
  b <- table_of(b)
  attr(a, "dir") <- attr(b, "dir") <- NULL
  identical(a, b)
}
finished <- function(dir) length(list.files(dir, "^run-.*[.]rds$"))
jobs <- function(...) system2("squeue", c("-h", "-o", "%i", ...), stdout = TRUE)
say <- function(...) cat("slurm: ", ..., "\n", sep = "")
seconds <- function(expr) round(system.time(expr)[["elapsed"]])

failed <- 0L
check <- function(ok, what) {
  say(if (ok) "ok: " else "FAILED: ", what)
  failed <<- failed + !ok
}
# This script's functions in a process of their own, which can be killed.
if (identical(commandArgs(TRUE), "submit")) {
  by_slurm()
  options(warn = 1) # told at once, as there will be no end
  invisible(study("killed"))
  quit()
}
submit <- function() {
  file <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))
  system2("sh", c("-c", shQuote(paste("Rscript", file, "submit > submit.log 2>&1 & echo $!"))),
    stdout = TRUE)
}
# Waits until there are, at most two minutes.
until <- function(ok) {
  for (i in 1:240) {
    if (ok()) {
      break
    }
    Sys.sleep(0.5)
  }
}

say("in this process: ", seconds(here <- study("here")), " s for ", nrow(here), " runs")

by_slurm()
say("by Slurm: ", seconds(there <- study("there")), " s")
check(same(here, there), "the table by Slurm is identical")

Sys.setenv(STUDY_PAUSE = "5")
pid <- submit()
until(function() finished("killed") >= 1 && length(jobs("-t", "R")))
one <- jobs("-t", "R")[1]
system2("scancel", c("--signal=KILL", "--full", one))
say("job ", one, " was killed with ", finished("killed"), " of 12 runs finished")
deaths <- function() grep("worker died", readLines("submit.log"), value = TRUE)
until(function() length(deaths()) > 0 || finished("killed") >= 10)
invisible(tools::pskill(as.integer(pid), 9L))
at_kill <- finished("killed")
say("process ", pid, " that submits was killed with ", at_kill, " of 12 runs finished")
check(at_kill < 12, "there was something left to do")
system2("scancel", c("-u", Sys.info()[["user"]])) # what is left of it
until(function() !length(jobs()))
before <- file.mtime(list.files("killed", "^run-.*[.]rds$", full.names = TRUE))
old <- list.files("killed", "^run-.*[.]rds$", full.names = TRUE)
again <- study("killed")
check(identical(file.mtime(old), before), "what was finished is not computed again")
check(same(here, again), "the table after both kills is identical")
check(length(deaths()) == 1L, "the death of the killed job is reported, and of no other")
check(all(again$status == "ok"), "its run is done again")
future::plan("sequential")
quit(status = as.integer(failed > 0))
