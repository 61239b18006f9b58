# Representations of a polynomial mixture: see src/core/closure.h.

latent_closure <- function(z, environment, latent_dim, control = list(), seed = 0,
                           n_threads = 1L) {
  started <- proc.time()[["elapsed"]]
  control <- read_latent_control(control)
  d <- sum(latent_dim)
  rows <- closure_rows(nrow(z), ncol(z), control$closure_rows, seed)
  out <- .Call(C_latent_closure, z[rows, , drop = FALSE] + 0, list(
    d = d, tolerance = control$closure_tolerance, max_starts = control$closure_starts,
    max_iterations = control$closure_iterations, seed = seed, isa = isa_setting()
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
    score = max(history$unexplained[history$unexplained < control$closure_tolerance]),
    history = history, seed = seed, started = started)
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
