# Draws from the core's generator, so that its laws can be tested with R's distribution functions.

# n draws of one law from one stream (a whole number) of the seed. parameter: the shape of "gamma",
# the allele frequency of "genotype", the bound of "below" (draws are 0 .. parameter - 1).
# "permutation" is one random order of 0 .. n - 1. purpose: whose streams; draw b (from 0) of group
# g
# (from 0) of a bootstrap has stream g * 2^24 + b.
rng_draw <- function(distribution, n, seed = NULL, stream = 0, parameter = 0.5,
                     purpose = c("test", "bootstrap")) {
  laws <- c("uniform", "normal", "exponential", "gamma", "genotype", "below", "permutation")
  settings <- list(
    distribution = check_choice(distribution, laws),
    n = check_count(n),
    stream = as.double(check_count(stream, min = 0)),
    parameter = check_number(parameter, min = 0),
    bootstrap = check_choice(purpose, c("test", "bootstrap")) == "bootstrap",
    seed = resolve_seed(seed)
  )
  .Call(C_rng_draw, settings)
}
