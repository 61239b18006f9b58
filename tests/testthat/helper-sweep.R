# Small sweeps: linear fits of simulated people, or networks of a few epochs.

toy_design <- function(seeds = 1:6, ...) {
  sweep_design(method = c("ols", "2sls"), data_seed = seeds, ..., seed = 3)
}

toy_people <- function(seed) {
  sim_nonlinear(n = 200, n_variants = 3, f = "linear", seed = seed)
}

# A table without what no two runs share.
timeless <- function(sweep) {
  sweep <- as.data.frame(sweep)
  attr(sweep, "dir") <- NULL
  sweep[setdiff(names(sweep), "seconds")]
}

networks_design <- function() {
  sweep_design(hidden = list(4, c(8, 4)), learning_rate = log_uniform(1e-3, 1e-1), n_runs = 4,
    seed = 2)
}

networks_sweep <- function(..., design = networks_design()) {
  run_sweep(design, data = sim_nonlinear(n = 300, n_variants = 3, seed = 1), method = "quantile",
    control = brief(), calibration = 0.2, ...)
}

# What is in a file, and when it was written.
stamps <- function(files) {
  data.frame(md5 = unname(tools::md5sum(files)), time = file.mtime(files), row.names = files)
}

# A plan of the package future for the test.
local_plan <- function(..., env = parent.frame()) {
  old <- do.call(future::plan, list(...))
  withr::defer(future::plan(old), envir = env)
}
