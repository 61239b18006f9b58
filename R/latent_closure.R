# Representations of a polynomial mixture: see src/core/closure.h.

# control: starts, how many random starts are tried in all; rows, how many rows the directions are
# looked for on; tolerance of the unexplained share of a direction's square; iterations of a start.
latent_closure <- function(z, environment, latent_dim, control = list(), seed = 0,
                           n_threads = 1L) {
  started <- proc.time()[["elapsed"]]
  control <- check_closure_control(latent_control(control, list(starts = 300, rows = 2000,
    tolerance = 1e-8, iterations = 500), "closure"))
  d <- sum(latent_dim)
  rows <- closure_rows(nrow(z), ncol(z), control$rows, seed)
  out <- .Call(C_latent_closure, z[rows, , drop = FALSE] + 0, list(
    d = d, tolerance = control$tolerance, max_starts = control$starts,
    max_iterations = control$iterations, seed = seed, isa = isa_setting()
  ))
  found <- out$value
  if (out$status == "too_few") {
    stop_rank(found$rank, d)
  }
  history <- data.frame(start = seq_len(found$starts),
    unexplained = found$value[seq_len(found$starts)])
  if (out$status == "no_converge") {
    stop_mrl("numeric", "While looking for latents of a polynomial mixture: in ", found$starts,
      " starts only ", found$found, " of ", d, " directions were found whose square is linear in ",
      "the instruments (unexplained share at best ", signif(min(history$unexplained), 2), ").")
  }
  check_status(out$status, "looking for latents of a polynomial mixture")
  latent <- sweep(z, 2L, found$center) %*% found$transform
  rotation <- ssa_rotation(latent, environment, latent_dim, n_threads)
  shift <- drop(rotation$center %*% rotation$transform)
  new_representation("closure", latent_dim, center = found$center,
    transform = found$transform %*% rotation$transform, shift = shift, rank = found$rank,
    eigenvalues = rotation$values, gate = rotation$gate,
    score = max(history$unexplained[history$unexplained < control$tolerance]), history = history,
    seed = seed, started = started)
}

check_closure_control <- function(control) {
  arg <- function(name) paste0("control$", name)
  control$starts <- check_count(control$starts, arg("starts"), max = 1e6)
  control$rows <- check_count(control$rows, arg("rows"), min = 100)
  control$iterations <- check_count(control$iterations, arg("iterations"))
  control$tolerance <- check_number(control$tolerance, arg("tolerance"), min = 0, max = 1,
    open = TRUE)
  control
}

# Some rows, more of them where there are many columns: a quarter more equations than it takes to
# tell the products of two columns apart would be wanted, ten for each column have been enough.
closure_rows <- function(n, p, rows, seed) {
  size <- min(n, max(rows, 10L * p))
  if (size == n) seq_len(n) else sort(rng_draw("permutation", n, seed)[seq_len(size)]) + 1
}

#' @export
latent_apply.latent_closure <- function(representation, z) {
  latent <- sweep(z, 2L, representation$center) %*% representation$transform
  split_latents(sweep(latent, 2L, representation$shift), representation$latent_dim)
}
