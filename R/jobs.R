# The one engine for loops over whole refits (replicates, folds, members, runs of a sweep, shards):
# plain lapply() here, or the workers of the plan that the package future has been given.

# job(item, ...) for each item, in their order. What a job draws must be keyed by its item, so that
# the results are those of lapply() wherever it runs. Jobs on workers use one thread each.
#   workers   "auto": the plan's if one other than sequential is set; "threads": here; "future"
#   chunk     items that a worker is given at a time
#   told      called with the number of items done so far
#   dead      what stands for an item whose worker died twice: a function of the item; NULL: an
#             error of class mrlearn_error_worker
#   doing     what the jobs are, for messages
lapply_jobs <- function(items, job, ..., workers = "auto", chunk = 1L, told = NULL, dead = NULL,
                        doing = "working") {
  if (!length(items) || !on_futures(workers)) {
    return(lapply_here(items, job, list(...), told))
  }
  pool <- new_pool(items, job, list(...), chunk)
  on.exit(if (pool$broken) restart_plan())
  pause <- 0.002
  while (length(pool$waiting) || length(pool$active)) {
    fill_pool(pool)
    ready <- names(pool$active)[vapply(pool$active, is_resolved, NA)]
    for (k in as.integer(ready)) {
      empty_slot(pool, k, dead, doing)
    }
    if (!length(ready)) {
      Sys.sleep(pause)
    } else if (!is.null(told)) {
      told(pool$done)
    }
    pause <- if (length(ready)) 0.002 else min(0.1, 1.5 * pause)
  }
  pool$out
}

lapply_here <- function(items, job, arguments, told) {
  done <- 0L
  out <- lapply(items, function(item) {
    value <- do.call(job, c(list(item), arguments), quote = TRUE)
    done <<- done + 1L
    if (!is.null(told)) told(done)
    value
  })
  out
}

# Chunks of items that wait, run and are done; `broken`: a worker of the plan died.
new_pool <- function(items, job, arguments, chunk) {
  pool <- new.env(parent = emptyenv())
  pool$items <- items
  pool$job <- job
  pool$arguments <- arguments
  pool$chunks <- unname(split(seq_along(items), (seq_along(items) - 1L) %/% as.integer(chunk)))
  pool$waiting <- seq_along(pool$chunks)
  pool$tries <- integer(length(pool$chunks))
  pool$active <- list()
  pool$out <- stats::setNames(vector("list", length(items)), names(items))
  pool$done <- 0L
  pool$broken <- FALSE
  pool
}

# As many chunks on their way as there are workers. A plan with a dead worker is set anew first,
# once nothing runs on it.
fill_pool <- function(pool) {
  if (pool$broken && !length(pool$active)) {
    restart_plan()
    pool$broken <- FALSE
  }
  while (!pool$broken && length(pool$waiting) && length(pool$active) < future::nbrOfWorkers()) {
    k <- pool$waiting[1]
    pool$waiting <- pool$waiting[-1]
    pool$tries[k] <- pool$tries[k] + 1L
    pool$active[[as.character(k)]] <- launch_chunk(pool, pool$items[pool$chunks[[k]]])
  }
}

# A future, or the condition with which its start failed.
launch_chunk <- function(pool, items) {
  job <- pool$job
  arguments <- pool$arguments
  tryCatch(
    future::future(run_chunk(items, job, arguments),
      globals = list(run_chunk = run_chunk, items = items, job = job, arguments = arguments),
      packages = "mrlearn", seed = NULL
    ),
    FutureError = function(e) e
  )
}

run_chunk <- function(items, job, arguments) {
  old <- options(mrlearn.threads = 1L)
  on.exit(options(old))
  lapply_here(items, job, arguments, NULL)
}

is_resolved <- function(slot) {
  inherits(slot, "condition") ||
    tryCatch(future::resolved(slot), FutureError = function(e) TRUE)
}

# What chunk k gave, or, if its worker died, the chunk back among those that wait: once.
empty_slot <- function(pool, k, dead, doing) {
  slot <- pool$active[[as.character(k)]]
  pool$active[[as.character(k)]] <- NULL
  at <- pool$chunks[[k]]
  value <- slot
  if (!inherits(slot, "condition")) {
    value <- tryCatch(future::value(slot), FutureError = function(e) e)
    # A queue may forget a job before its result is seen, which looks like its death.
    if (inherits(value, "FutureError") && inherits(slot, "BatchtoolsFuture")) {
      Sys.sleep(2)
      value <- tryCatch(future::value(slot), FutureError = function(e) e)
    }
  }
  if (inherits(value, "FutureError")) {
    pool$broken <- TRUE
    if (pool$tries[k] < 2L) {
      warn_mrl("worker", "A worker died while ", doing, "; its work is done once more. (",
        first_line(conditionMessage(value)), ")")
      pool$waiting <- c(pool$waiting, k)
      return(invisible())
    }
    if (is.null(dead)) {
      stop_mrl("worker", "Two workers died at the same work while ", doing, ".")
    }
    value <- lapply(pool$items[at], dead)
  }
  pool$out[at] <- value
  pool$done <- pool$done + length(at)
}

# Fresh workers for the plan that is set; of a cluster that the user made, the nodes that answer.
restart_plan <- function() {
  plan <- future::plan("list")
  nodes <- formals(plan[[1]])$workers
  if (inherits(nodes, "cluster")) {
    answers <- vapply(seq_along(nodes), function(i) {
      tryCatch(identical(parallel::clusterCall(nodes[i], identity, 1L), list(1L)),
        error = function(e) FALSE)
    }, NA)
    if (!any(answers)) {
      stop_mrl("worker", "All workers of the cluster died.")
    }
    plan[[1]] <- future::tweak(plan[[1]], workers = nodes[answers])
  }
  future::plan("sequential")
  future::plan(plan)
}

# Do refits go to future workers? "auto": where a plan other than sequential is set.
on_futures <- function(workers) {
  planned <- function() {
    !inherits(future::plan(), "sequential")
  }
  switch(workers,
    threads = FALSE,
    future = TRUE,
    auto = "future" %in% loadedNamespaces() && planned()
  )
}

check_workers <- function(workers) {
  workers <- check_choice(workers, c("auto", "threads", "future"))
  if (workers == "future") {
    need_package("future", "`workers` = \"future\"", "r-cran-future")
  }
  workers
}
