# Representations of instruments from several environments, and the closed form for linear mixing.
#
# A method is an internal function
#   latent_<method>(z, environment, latent_dim, control, seed, n_threads)
# of z, a numeric matrix (n, dz) without missing values; environment, whole numbers 1..E (n), each
# of which occurs; latent_dim, c(V =, W =); control, a list of the method's own settings (empty: its
# defaults; a name that it does not know is an argument error); seed, a resolved number. It returns
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
  latent <- sweep(x, 2L, center) %*% transform
  dv <- latent_dim[["V"]]
  list(v = latent[, seq_len(dv), drop = FALSE], w = latent[, -seq_len(dv), drop = FALSE])
}
