# Representations of instruments from several environments, and the closed form for linear mixing.
#
# A method is an internal function
#   latent_<method>(z, environment, latent_dim, control, seed, n_threads)
# of z, a numeric matrix (n, dz) without missing values; environment, whole numbers 1..E (n), each
# of which occurs; latent_dim, c(V =, W =); control, latent_control() or a list for it; seed, a
# resolved number; the autoencoder takes `exposure` (n, kx) too, for its relevance. It returns
# a plain list of class c("latent_<method>", "latent_representation") with at least
#   method       "ssa", "closure", "flow" or "autoencoder"
#   latent_dim   c(V =, W =)
#   ...          centres and parameters, so that latent_apply() works for rows it has not seen
#   eigenvalues  ascending: those of SSA on the method's latent; small ones are stationary
#   gate         list(passed, statistic, threshold, reason): TRUE where the result can be relied on
#                without knowing the truth; reason is one sentence without a full stop
#   score        a number by which restarts were ranked (less is better), or NA
#   history      data.frame of the search, or NULL
#   seed, seconds
# A representation that failed is returned with gate$passed FALSE where latent_apply() still gives
# finite latents, and is an error of class mrlearn_error_numeric otherwise.
#
# latent_apply(representation, z) gives list(v = (n, V), w = (n, W)) for any rows z (n, dz), of
# columns as the method saw them.
#
# The last step of each method is ssa_rotation() on its latent: the stationary part is w.

latent_apply <- function(representation, z) {
  UseMethod("latent_apply")
}

new_representation <- function(method, latent_dim, ..., eigenvalues, gate, score = NA_real_,
                               history = NULL, seed, started) {
  structure(
    list(
      method = method, latent_dim = latent_dim, ..., eigenvalues = eigenvalues, gate = gate,
      score = score, history = history, seed = seed,
      seconds = proc.time()[["elapsed"]] - started
    ),
    class = c(paste0("latent_", method), "latent_representation")
  )
}

# [V | W] as a linear function of the columns: centre (d), transform (d, V + W).
apply_linear <- function(center, transform, latent_dim, x) {
  split_latents(sweep(x, 2L, center) %*% transform, latent_dim)
}

split_latents <- function(latent, latent_dim) {
  dv <- latent_dim[["V"]]
  list(v = latent[, seq_len(dv), drop = FALSE], w = latent[, -seq_len(dv), drop = FALSE])
}

# The linear functions of x (n, p) by how much they differ between environments (see src/core/ssa.h)
# as apply_linear() takes them: `center`, `transform`, with `values` (ascending eigenvalues),
# `share` (of the variance of x that they hold), `rank` of x and `gate`. Errors of class
# mrlearn_error_numeric; where x has fewer than V + W dimensions, mrlearn_error_data if it has the
# instruments themselves and mrlearn_error_numeric if it is what a network `learned` of them.
ssa_rotation <- function(x, environment, latent_dim, n_threads = 1L, learned = FALSE) {
  d <- sum(latent_dim)
  order <- order(environment)
  n_row <- tabulate(environment)
  x <- x[order, , drop = FALSE]
  storage.mode(x) <- "double"
  out <- .Call(C_latent_ssa, x, n_row, list(d = as.integer(d), n_threads = n_threads,
    isa = isa_setting()))
  if (out$status == "too_few" && learned) {
    stop_mrl("numeric", "the latent that was learned has ", out$value$rank,
      " linearly independent dimensions, not V + W = ", d, ".")
  }
  if (out$status == "too_few") {
    stop_rank(out$value$rank, d)
  }
  check_status(out$status, "looking for stationary directions")
  c(out$value, list(gate = stationarity_gate(out$value$values, latent_dim, n_row)))
}

stop_rank <- function(rank, d) {
  stop_mrl("data", "The instruments have ", rank, " linearly independent columns, fewer than ",
    "`latent_dim` asks for (V + W = ", d, ").")
}

# Is the W-th eigenvalue as small as estimation error makes it, and the next one not? n_row: rows of
# each environment. With d latents of n rows the largest of an entirely stationary latent is about
# 4 (d + 1) / n, and those of a subspace that is looked for are less; 50 / n left no wrong latent
# pass in 64 runs of mixtures that are not linear. Latents of more than 4 dimensions have
# proportionally larger ones.
stationarity_gate <- function(values, latent_dim, n_row) {
  dw <- latent_dim[["W"]]
  threshold <- 50 / (1 / mean(1 / n_row)) * max(1, sum(latent_dim) / 4)
  list(
    passed = values[dw] <= threshold && values[dw + 1L] > 2 * threshold,
    statistic = values[dw], threshold = threshold,
    reason = if (values[dw] > threshold) {
      paste0("no ", dw, " directions are stationary: eigenvalue ", dw, " is ",
        signif(values[dw], 2), ", above ", signif(threshold, 2))
    } else if (values[dw + 1L] <= 2 * threshold) {
      paste0("the environments hardly differ: eigenvalue ", dw + 1L, " is only ",
        signif(values[dw + 1L], 2), ", so that what is stationary is not set apart")
    } else {
      paste0("eigenvalue ", dw, " is ", signif(values[dw], 2), ", at most ", signif(threshold, 2),
        ", and the next ", signif(values[dw + 1L], 2))
    }
  )
}

# The first rule that is broken decides; `holds` and `reason` are of what a method asks besides.
gate_also <- function(gate, holds, reason) {
  if (gate$passed && !holds) {
    gate$passed <- FALSE
    gate$reason <- reason
  }
  gate
}

# At most n_sub rows of each value of environment (drawn at random), by environment.
sample_environments <- function(environment, n_sub, seed) {
  unlist(lapply(sort(unique(environment)), function(e) {
    rows <- which(environment == e)
    order <- rng_draw("permutation", length(rows), seed, e)
    rows[sort(utils::head(order, n_sub)) + 1]
  }))
}

# W must be independent of V within environments: where a network fits the wrong law of the latents
# their first two moments can be stationary and the parts depend on each other. Refused where two
# samples have a statistic above all of 199 permutations: with one, a good fit in 200 is refused.
gate_independence <- function(gate, parts, environment, seed) {
  if (!gate$passed) {
    return(gate)
  }
  rejects <- function(seed) {
    rows <- sample_environments(environment, 300L, seed)
    test <- kernel_test(parts$v[rows, , drop = FALSE], parts$w[rows, , drop = FALSE],
      group = environment[rows], n_perm = 199, seed = seed, n_threads = 1L)
    test$p.value < 1.5 / 200
  }
  gate_also(gate, !(rejects(seed) && rejects(seed + 1)),
    "V and W depend on each other (HSIC, p 0.005 in two samples)")
}

# Linear mixing: what of the instruments the latents leave unexplained must be small.
latent_ssa <- function(z, environment, latent_dim, control = list(), seed = 0, n_threads = 1L) {
  started <- proc.time()[["elapsed"]]
  control <- read_latent_control(control)
  found <- ssa_rotation(z, environment, latent_dim, n_threads)
  gate <- gate_also(found$gate, found$share >= control$ssa_share, paste0(
    sum(latent_dim), " components hold only ", signif(100 * found$share, 3),
    " % of the instruments' variance: the mixing is not linear, or the latent dimension too small"
  ))
  new_representation("ssa", latent_dim, center = found$center, transform = found$transform,
    share = found$share, rank = found$rank, eigenvalues = found$values, gate = gate, seed = seed,
    started = started)
}

#' @export
latent_apply.latent_ssa <- function(representation, z) {
  apply_linear(representation$center, representation$transform, representation$latent_dim, z)
}
