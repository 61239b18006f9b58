# How the core's work is run: training in slices, with progress and checkpoints; bootstrap
# replicates on threads or on future workers. However the work is cut, the numbers are the same.

# Longest wait between two signs of life, in seconds, where somebody looks or a file is kept.
slice_seconds <- 0.5

# how: seed, n_boot, workers, progress, checkpoint, checkpoint_every, isa, n_threads. Returns
# list(value, replicates): what the core gives when it is done, and the replicates or NULL.
run_neural <- function(data, settings, how) {
  keeper <- open_checkpoint(how, data, settings)
  teller <- progress_teller(how$progress)
  on.exit(teller$close())
  value <- keeper$saved$value
  if (is.null(value)) {
    value <- train_slices(function(state, until) {
      settings$until <- until
      out <- train_slice(data, settings, state)
      check_status(out$status, "training the networks")
      out$value
    }, keeper, teller)
  }
  replicates <- NULL
  if (how$n_boot > 0L) {
    keeper$save(value = value, blocks = keeper$saved$blocks)
    replicates <- bootstrap(data, settings, value, how, keeper, teller)
  }
  keeper$remove()
  list(value = value, replicates = replicates)
}

# slice(state, until): goes on from a state (NULL: from the start) until so many epochs are done
# (NA: all), and returns list(done, state, epochs_done, epochs_most, loss).
train_slices <- function(slice, keeper, teller) {
  state <- keeper$saved$state
  done <- if (is.null(state)) 0L else keeper$saved$epochs
  kept <- done
  step <- 1L
  repeat {
    until <- NA_integer_
    if (teller$on) {
      until <- done + step
    }
    if (keeper$on) {
      until <- min(until, kept + keeper$every, na.rm = TRUE)
    }
    began <- proc.time()[["elapsed"]]
    value <- slice(state, until)
    if (value$done) {
      return(value)
    }
    step <- next_step(step, proc.time()[["elapsed"]] - began)
    done <- value$epochs_done
    state <- value$state
    if (keeper$on && done >= kept + keeper$every) {
      keeper$save(state = state, epochs = done)
      kept <- done
    }
    teller$tell("training", done, value$epochs_most, value$loss)
  }
}

# Up to settings$until epochs of all, on from a state or from the start.
train_slice <- function(data, settings, state) {
  if (is_dfiv(settings)) {
    return(.Call(C_dfiv_fit, data, settings, state))
  }
  .Call(C_iv_neural_fit, data, settings, state)
}

# So many as take about slice_seconds, at most twice as many as before.
next_step <- function(step, seconds) {
  as.integer(min(2 * step, 1e6, max(1, floor(step * slice_seconds / max(seconds, 1e-3)))))
}

bootstrap <- function(data, settings, value, how, keeper, teller) {
  blocks <- keeper$saved$blocks
  done <- sum(vapply(blocks, function(b) length(b$status), 0L))
  if (done < how$n_boot && on_futures(how$workers)) {
    blocks <- c(blocks, boot_futures(data, settings, value, done, how$n_boot - done))
    done <- how$n_boot
  }
  step <- settings$n_threads
  while (done < how$n_boot) {
    count <- how$n_boot - done
    if (teller$on || keeper$on) {
      count <- min(count, step)
    }
    began <- proc.time()[["elapsed"]]
    blocks <- c(blocks, list(boot_block(c(done, count), data, settings, value)))
    step <- next_step(step, proc.time()[["elapsed"]] - began)
    done <- done + count
    keeper$save(value = value, blocks = blocks)
    teller$tell("bootstrap", done, how$n_boot, NA)
  }
  bind_replicates(blocks, how$n_boot, isa_used(settings$isa))
}

# Replicates at[1], at[1] + 1, ..., at[2] of them.
boot_block <- function(at, data, settings, value) {
  at <- as.integer(at)
  out <- if (is_dfiv(settings)) {
    .Call(C_dfiv_boot, data, settings, value, at[1], at[2])
  } else {
    .Call(C_iv_neural_boot, data, settings, value, at[1], at[2])
  }
  check_status(out$status, "refitting bootstrap samples")
  c(out$value, list(isa = isa_used(settings$isa)))
}

# Statuses of the core (status.h) with which a replicate counts: all is well, or its last epoch was
# no better than its first, as may be so close to the best.
replicate_fine <- c(0L, 3L)

# isa: the instruction set of the fit.
bind_replicates <- function(blocks, n_boot, isa) {
  status <- unlist(lapply(blocks, function(b) b$status))[seq_len(n_boot)]
  bind <- function(name) {
    m <- do.call(cbind, lapply(blocks, function(b) b[[name]]))
    if (!is.null(m)) m[, seq_len(n_boot), drop = FALSE] # a checkpoint may have more
  }
  isa <- unique(c(isa, vapply(blocks, function(b) b$isa, "")))
  if (length(isa) > 1L) {
    stop_mrl("numeric", "The workers have different instruction sets (", shorten(isa),
      "): their results are not those of one machine. Set options(mrlearn.isa =) to what all have.")
  }
  out <- lapply(stats::setNames(nm = c("params", "statistics", "theta")), bind)
  finite <- lapply(out, function(m) if (is.null(m)) TRUE else colSums(!is.finite(m)) == 0)
  good <- Reduce(`&`, finite) & status %in% replicate_fine
  n_good <- sum(good)
  if (n_good < 2L) {
    stop_mrl("numeric", "Of ", n_boot, " bootstrap replicates ", n_good, " came to finite ",
      "weights. Lower `boot_rate` in nn_control().")
  }
  if (n_good < n_boot) {
    warn_mrl("replicates", n_boot - n_good, " of ", n_boot, " bootstrap replicates did not come ",
      "to finite weights and are left out.")
  }
  lapply(out, function(m) if (!is.null(m)) m[, good, drop = FALSE])
}

# Each worker one block, on one thread.
boot_futures <- function(data, settings, value, from, count) {
  settings$n_threads <- 1L
  n_blocks <- min(count, max(1L, as.integer(min(future::nbrOfWorkers(), count))))
  ends <- round(seq(0, count, length.out = n_blocks + 1L))
  blocks <- lapply(seq_len(n_blocks), function(b) c(from + ends[b], ends[b + 1L] - ends[b]))
  lapply_jobs(blocks, boot_block,
    data = data, settings = settings, value = value, workers = "future",
    doing = "refitting bootstrap samples"
  )
}

# Who is told how far the work is: a bar with the time left, a function, or nobody.
progress_teller <- function(progress) {
  if (is.function(progress)) {
    return(list(on = TRUE, close = function() NULL, tell = function(phase, done, most, loss) {
      progress(phase, done, most)
    }))
  }
  if (!progress || isTRUE(getOption("knitr.in.progress"))) {
    nobody <- function(...) NULL
    return(list(on = FALSE, tell = nobody, close = nobody))
  }
  bars <- list()
  env <- environment()
  open <- function(phase, most) {
    cli::cli_progress_bar(
      name = c(training = "Training", bootstrap = "Bootstrap")[[phase]], total = most,
      format = "{cli::pb_name} {cli::pb_bar} {cli::pb_percent} {cli::pb_status}ETA {cli::pb_eta}",
      clear = TRUE, .auto_close = FALSE, .envir = env
    )
  }
  close <- function() {
    for (id in bars) {
      cli::cli_progress_done(id = id, .envir = env)
    }
    bars <<- list()
  }
  tell <- function(phase, done, most, loss) {
    if (is.null(bars[[phase]])) {
      close()
      bars[[phase]] <<- open(phase, most)
    }
    cli::cli_progress_update(
      set = done, total = most, id = bars[[phase]], .envir = env,
      status = if (is.finite(loss)) paste0("loss ", format(loss, digits = 3), ", ") else ""
    )
  }
  list(on = TRUE, tell = tell, close = close)
}

check_progress <- function(progress) {
  if (is.function(progress)) progress else check_flag(progress, "progress")
}
