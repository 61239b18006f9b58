# Runs that are killed or interrupted at random moments: what test-faults.R does in short and
# dev/faults.R at length.

# Starts `run()`, which goes on from what earlier ones left on disk, in processes of its own and
# kills each at a moment of at most `wait` seconds. How many of the kills met it at work, how many
# of these found `file` on disk, and whether every run that came to its end gave `whole`.
kill_again <- function(run, whole, kills, wait, file) {
  met <- kept <- ended <- 0
  same <- TRUE
  check <- function(value) {
    ended <<- ended + 1
    same <<- same && identical(value, whole)
  }
  for (k in seq_len(kills)) {
    child <- parallel::mcparallel(run(), silent = TRUE)
    out <- parallel::mccollect(child, wait = FALSE, timeout = stats::runif(1, 0.01, wait))
    tools::pskill(child$pid, 9L)
    suppressWarnings(parallel::mccollect(child))
    if (is.null(out)) {
      met <- met + 1
      kept <- kept + any(file.exists(file))
    } else {
      check(out[[1]])
    }
  }
  check(run())
  data.frame(kills, met, kept, ended, same)
}

# Sends SIGINT to this process after some seconds of `run()`: did it meet the run, and how many
# seconds later was it over?
interrupt_run <- function(run, after) {
  sent <- tempfile()
  on.exit(unlink(sent))
  send <- sprintf("sleep %.3f; date +%%s.%%N > %s; kill -INT %d", after, sent, Sys.getpid())
  over <- FALSE
  system2("sh", c("-c", shQuote(send)), wait = FALSE)
  tryCatch(
    {
      run()
      over <- TRUE
      Sys.sleep(after + 30) # the signal ends this at the latest
      stop("no signal came")
    },
    interrupt = function(e) NULL
  )
  later <- as.double(Sys.time()) - as.double(readLines(sent))
  data.frame(met = !over, seconds = if (over) NA else later)
}

# A small disk at `dir` for the test; skips where none can be mounted. Returns a function that
# mounts it anew with other options.
local_disk <- function(dir, options, env = parent.frame()) {
  mount <- function(options) {
    suppressWarnings(system2("mount", c("-t", "tmpfs", "-o", options, "tmpfs", dir),
      stdout = FALSE, stderr = FALSE)) == 0
  }
  testthat::skip_if_not(.Platform$OS.type == "unix" && mount(options), "no tmpfs can be mounted")
  withr::defer(suppressWarnings(system2("umount", dir)), envir = env, priority = "first")
  function(options) mount(paste0("remount,", options))
}

# Fits without what no two runs share: times and environments.
untimed <- function(x) {
  if (!is.list(x)) {
    return(if (is.language(x)) deparse(x) else if (!is.environment(x) && !is.function(x)) x)
  }
  if (!is.null(names(x))) {
    x <- x[!names(x) %in% c("seconds", "call", "dir")]
  }
  attr(x, "dir") <- NULL
  attributes(x) <- attributes(x)[intersect(names(attributes(x)), c("names", "dim", "class"))]
  lapply(unclass(x), untimed)
}
