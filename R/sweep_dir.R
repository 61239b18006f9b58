# The directory of a sweep: what is run, a file for each run, a lock, logs.

sweep_format <- "mrlearn sweep 1"

# run-000007.rds, with a rung run-000007-2.rds.
run_file <- function(dir, run, rung = NULL, ending = "rds", what = "run") {
  stem <- sprintf("%s-%06d", what, as.integer(run))
  file.path(dir, paste0(stem, if (!is.null(rung) && !is.na(rung)) paste0("-", rung), ".", ending))
}

# The directory's path, made if it is not there; of another sweep it is refused.
open_sweep <- function(dir, spec) {
  dir <- if (is.null(dir)) tempfile("sweep-") else check_string(dir, "dir")
  made <- dir.exists(dir) || dir.create(dir, showWarnings = FALSE)
  if (!made || file.access(dir, 2) != 0) {
    stop_argument("dir", "must be a directory that can be written to, or whose parent can",
      describe(dir))
  }
  dir <- normalizePath(dir)
  key <- sweep_key(spec)
  file <- file.path(dir, "sweep.rds")
  if (file.exists(file)) {
    saved <- read_saved_sweep(dir)
    differ <- names(key)[!vapply(names(key), function(v) identical(saved$key[[v]], key[[v]]), NA)]
    if (length(differ)) {
      stop_mrl("checkpoint", "`dir` = \"", dir, "\" is of a sweep with another ",
        shorten(differ), ": remove it or give another name.")
    }
    return(dir)
  }
  others <- setdiff(list.files(dir), c("lock", "data.rds"))
  if (length(others)) {
    stop_mrl("checkpoint", "`dir` = \"", dir, "\" is not empty and holds no sweep.")
  }
  if (is.data.frame(spec$data)) {
    replace_rds(spec$data, file.path(dir, "data.rds"))
    spec$data <- "data.rds"
  }
  replace_rds(list(format = sweep_format, key = key, spec = spec), file)
  dir
}

read_saved_sweep <- function(dir) {
  file <- file.path(check_string(dir), "sweep.rds")
  saved <- if (file.exists(file)) {
    tryCatch(suppressWarnings(readRDS(file)), error = function(e) NULL)
  }
  if (!is.list(saved) || !identical(saved$format, sweep_format)) {
    stop_mrl("checkpoint", "`dir` = \"", dir, "\" holds no sweep of run_sweep().")
  }
  saved
}

# What makes a sweep: its numbers and the text of its functions.
sweep_key <- function(spec) {
  text <- function(x) if (is.null(x)) NULL else paste(deparse(x), collapse = "\n")
  design <- spec$design
  list(
    design = lapply(stats::setNames(nm = names(design)), function(v) text(unclass(design[[v]]))),
    formula = text(spec$formula),
    data = if (is.data.frame(spec$data)) data_key(spec$data) else text(spec$data),
    method = spec$method, arguments = lapply(spec$arguments, text), truth = text(spec$truth),
    domain = spec$domain, calibration = spec$calibration, interval = spec$interval,
    measure = text(spec$measure), keep = spec$keep, halving = text(unclass(spec$halving))
  )
}

data_key <- function(data) {
  lapply(data, function(column) {
    if (is.numeric(column) || is.logical(column)) {
      return(fingerprint(column))
    }
    column <- factor(as.character(column))
    list(fingerprint(as.integer(column)), levels(column))
  })
}

# The spec with its data, kept in this process from one run to the next.
sweep_spec <- function(dir) {
  if (!identical(the$sweep$at, sweep_stamp(dir))) {
    spec <- read_saved_sweep(dir)$spec
    if (identical(spec$data, "data.rds")) {
      spec$data <- read_rds(file.path(dir, "data.rds"), "checkpoint")
    }
    keep_spec(dir, spec)
  }
  the$sweep$spec
}

keep_spec <- function(dir, spec) {
  the$sweep <- list(at = sweep_stamp(dir), spec = spec)
}

sweep_stamp <- function(dir) {
  paste(dir, file.mtime(file.path(dir, "sweep.rds")))
}

# The record, which makes the run finished, and then its row as JSON.
write_record <- function(record, spec, dir) {
  path <- function(ending) run_file(dir, record$run, record$rung, ending)
  replace_rds(record, path("rds"))
  row <- design_row(spec$design, record$run)
  replace_text(json_text(c(row, record[!names(record) %in% names(row)])), path("json"))
}

# Records of some runs; NULL for those that are not finished. A file that is there is whole.
read_rows <- function(dir, runs, rung = NULL) {
  lapply(run_file(dir, runs, rung), function(file) {
    if (file.exists(file)) tryCatch(readRDS(file), error = function(e) NULL)
  })
}

forget_failures <- function(dir) {
  for (file in list.files(dir, "^run-.*[.]rds$", full.names = TRUE)) {
    record <- tryCatch(readRDS(file), error = function(e) NULL)
    if (!identical(record$status, "ok")) {
      unlink(file)
    }
  }
}

# A log that can be read while the run lasts.
open_log <- function(path) {
  out <- tryCatch(suppressWarnings(file(path, "w")), error = function(e) NULL)
  say <- function(...) {
    if (!is.null(out)) {
      text <- trimws(paste0(...), "right")
      tryCatch(
        {
          writeLines(paste(format(Sys.time(), "%Y-%m-%d %H:%M:%S"), text), out)
          flush(out)
        },
        error = function(e) NULL
      )
    }
  }
  say("started by process ", Sys.getpid(), " of ", Sys.info()[["nodename"]])
  list(say = say, close = function() {
    say("ended")
    if (!is.null(out)) close(out)
  })
}

# The lock is a directory, as making one succeeds for one process only. In it stands whose it is.
lock_sweep <- function(dir) {
  lock <- file.path(dir, "lock")
  mine <- process_identity()
  for (try in 1:3) {
    if (dir.create(lock, showWarnings = FALSE)) {
      withCallingHandlers(replace_text(mine, file.path(lock, "owner")),
        error = function(e) unlink(lock, recursive = TRUE))
      remove_leftovers(dir)
      return(list(path = lock, owner = mine))
    }
    owner <- lock_owner(lock)
    if (is_alive(owner)) {
      stop_mrl("locked", "`dir` = \"", dir, "\" is being worked on by process ", owner[2], " of ",
        owner[1], ". If there is none, remove \"", lock, "\".")
    }
    take_away(lock, owner)
  }
  stop_mrl("locked", "`dir` = \"", dir, "\" is being locked by another process.")
}

# Parts of files that killed processes left; a worker may still be writing a younger one.
remove_leftovers <- function(dir) {
  old <- list.files(dir, "^([.]new|lock)-", all.files = TRUE, full.names = TRUE)
  unlink(old[difftime(Sys.time(), file.mtime(old), units = "mins") > 60], recursive = TRUE)
}

unlock_sweep <- function(lock) {
  if (identical(lock_owner(lock$path), lock$owner)) {
    unlink(lock$path, recursive = TRUE)
  }
}

# Machine, process, and when it was started, as process numbers come again.
process_identity <- function(pid = Sys.getpid()) {
  c(Sys.info()[["nodename"]], as.character(pid), process_start(pid))
}

# "" where the system does not say; NULL if there is no such process.
process_start <- function(pid) {
  if (!dir.exists("/proc/self")) {
    return("")
  }
  stat <- tryCatch(suppressWarnings(readLines(file.path("/proc", pid, "stat"), 1L)),
    error = function(e) NULL)
  if (!length(stat)) {
    return(NULL)
  }
  # The name, in brackets, may have spaces. After it the first is the state, the 20th the start.
  fields <- strsplit(sub("^.*[)] ", "", stat), " ", fixed = TRUE)[[1]]
  if (fields[1] == "Z") NULL else fields[20]
}

lock_owner <- function(lock) {
  owner <- tryCatch(suppressWarnings(readLines(file.path(lock, "owner"))),
    error = function(e) character())
  if (length(owner) == 3L) owner else character()
}

# Of another machine nobody can tell, so it counts as alive. A lock without an owner is one that is
# being made, or was left by a process killed just then: after ten seconds it was left.
is_alive <- function(owner) {
  if (!length(owner)) {
    return(FALSE)
  }
  if (owner[1] != Sys.info()[["nodename"]]) {
    return(TRUE)
  }
  if (!dir.exists("/proc/self")) {
    return(tools::pskill(as.integer(owner[2]), 0L))
  }
  identical(process_start(owner[2]), owner[3])
}

# Renaming succeeds for one process only; if meanwhile the lock became another's it is put back.
take_away <- function(lock, owner) {
  if (!length(owner)) {
    waited <- difftime(Sys.time(), file.mtime(lock), units = "secs")
    if (!is.na(waited) && waited < 10) {
      Sys.sleep(min(10, max(0.1, 10 - as.double(waited))))
      if (!identical(lock_owner(lock), owner)) {
        return(invisible())
      }
    }
  }
  away <- tempfile("lock-", tmpdir = dirname(lock))
  if (suppressWarnings(file.rename(lock, away))) {
    if (!identical(lock_owner(away), owner) && !dir.exists(lock)) {
      file.rename(away, lock)
    } else {
      unlink(away, recursive = TRUE)
    }
  }
}
