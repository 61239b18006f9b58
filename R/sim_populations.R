# Traits on real genotypes of several populations: more people by mosaics, mated by their traits.

#' Simulate traits on real genotypes of several populations
#'
#' Enlarges each population of a reference panel to `n` people, lets them mate assortatively, and
#' simulates traits whose instruments are confounded by population structure and by that mating.
#'
#' New haplotypes are mosaics: each block of `block` adjacent variants is copied from a random
#' haplotype of the same population, so that frequencies and linkage within blocks are real and
#' blocks are independent. Genotypes without phase are phased within blocks by the sign of the
#' correlation of neighbouring heterozygous variants. With \eqn{g_X} and \eqn{g_H} scores of two
#' disjoint halves of the variants, standard normal effects, scaled to the variance `h2` within
#' populations,
#' \deqn{H = g_H + \mu_e + N(0, 1/2 - h2), \quad X = g_X + H + N(0, 1/2 - h2), \quad
#'   Y = \theta X + H + N(0, 1/2)}
#' with \eqn{\mu_e} normal of SD `structure` for population \eqn{e}. Variants of \eqn{g_H} are
#' invalid instruments. In each of `generations` couples are formed by rank so that their exposures
#' correlate by `rho`, and have two children; blocks are passed on independently. Mating makes the
#' variants of \eqn{g_X} correlate with those of \eqn{g_H}: they become invalid too, but for `g_H`
#' as a covariate. Allele frequencies differ between populations, so neither score has one law in
#' all of them: what [iv_latent()] assumes holds approximately at best.
#'
#' @param genotypes Genotypes of a panel: opened by [bed()], or a matrix (people, variants) of 0, 1,
#'   2 without missing values (those of files are imputed and rounded), variants in their order.
#' @param population The population of each person of the panel, at least two people each.
#' @param n People of each simulated population, an even number.
#' @param n_variants At most so many variants, evenly taken.
#' @param block Variants of a block.
#' @param generations,rho Generations of assortative mating; correlation of the exposures of a
#'   couple.
#' @param theta The causal effect of X on Y.
#' @param h2 Variance of each score within populations, below 1/2, before mating.
#' @param structure SD of the populations' means of H.
#' @param seed One whole number, or NULL to draw one from R's generator.
#' @return A data.frame of class `mr_sim` with `Y`, `X`, the factor `environment` (populations) and
#'   a column for each variant. [truth()] of it has `theta` and `beta`, `curve(x)`, `V` (\eqn{g_H})
#'   and `W` (\eqn{g_X}; matrices of one column), `H`, `effect_x` and `effect_h` by variant (0 for
#'   those of the other score), `mean_h` by population, `instruments`, `block`, `generations`,
#'   `rho`, `n`, `seed`.
#' @seealso [sim_environments()]; [iv_latent()].
#' @examples
#' set.seed(1)
#' panel <- matrix(rbinom(60 * 30, 2, 0.3), 60)
#' sim <- sim_populations(panel, rep(c("a", "b"), each = 30), n = 200, seed = 1)
#' sim
#' @export
sim_populations <- function(genotypes, population, n = 5000, n_variants = 100, block = 10,
                            generations = 3, rho = 0.4, theta = 0.5, h2 = 0.2, structure = 1,
                            seed = NULL) {
  n <- check_count(n, min = 4)
  if (n %% 2L) {
    stop_argument("n", "must be even", n)
  }
  how <- list(
    n = n, block = check_count(block), generations = check_count(generations, min = 0, max = 1000),
    rho = check_number(rho, min = -1, max = 1), theta = check_number(theta),
    h2 = check_number(h2, min = 0, max = 0.5, open = TRUE),
    structure = check_number(structure, min = 0), seed = resolve_seed(seed)
  )
  panel <- read_panel(genotypes, check_count(n_variants, min = 4))
  population <- panel_populations(population, nrow(panel))
  block_of <- (seq_len(ncol(panel)) - 1L) %/% how$block + 1L
  draw <- draws_in_order(how$seed)
  effects <- score_effects(panel, population, how$h2, draw)
  mean_h <- stats::setNames(how$structure * draw("normal", nlevels(population)), levels(population))
  parts <- lapply(levels(population), function(p) {
    people <- founders(panel[population == p, , drop = FALSE], how$n, block_of, draw)
    for (generation in seq_len(how$generations)) {
      traits <- population_traits(people, effects, mean_h[[p]], how, draw)
      people <- next_generation(people, traits$x, how$rho, block_of, draw)
    }
    c(list(genotypes = people$first + people$second),
      population_traits(people, effects, mean_h[[p]], how, draw))
  })
  new_populations(parts, population, effects, mean_h, how)
}

read_panel <- function(genotypes, n_variants) {
  known <- inherits(genotypes, "mrl_bed") || is.matrix(genotypes) && is.numeric(genotypes)
  if (!known || ncol(genotypes) < 4L) {
    stop_argument("genotypes", paste("must be opened by bed(), or a numeric matrix, of at least 4",
      "variants"), describe(genotypes))
  }
  take <- unique(round(seq(1, ncol(genotypes), length.out = min(n_variants, ncol(genotypes)))))
  out <- if (inherits(genotypes, "mrl_bed")) {
    round(as.matrix(genotypes[, take], impute = TRUE))
  } else {
    genotypes[, take, drop = FALSE]
  }
  if (!all(out %in% 0:2)) {
    stop_argument("genotypes", "must be 0, 1 or 2", "other values or NA", what = "data")
  }
  varies <- apply(out, 2L, function(g) any(g != g[1]))
  if (sum(varies) < 4L) {
    stop_argument("genotypes", "must have at least 4 variants that vary", sum(varies),
      what = "data")
  }
  if (is.null(colnames(out))) {
    colnames(out) <- paste0("G", seq_len(ncol(out)))
  }
  out[, varies, drop = FALSE]
}

panel_populations <- function(population, n) {
  if (length(population) != n || anyNA(population)) {
    stop_argument("population", paste("must have a value, not NA, for each of the", n, "people"),
      describe(population))
  }
  population <- droplevels(as.factor(population))
  sizes <- table(population)
  if (length(sizes) < 2L || min(sizes) < 2L) {
    stop_argument("population", "must have at least 2 populations of at least 2 people",
      paste0(names(sizes), " ", sizes, collapse = ", "))
  }
  population
}

# A function that draws from one stream after the other.
draws_in_order <- function(seed) {
  stream <- -1
  function(law, n, parameter = 0.5) {
    stream <<- stream + 1
    rng_draw(law, n, seed, stream, parameter)
  }
}

# Effects of a random half of the variants on each score, of variance h2 within populations as the
# panel has them.
score_effects <- function(panel, population, h2, draw) {
  p <- ncol(panel)
  is_x <- draw("permutation", p) < p / 2
  effect <- draw("normal", p)
  within <- panel - apply(panel, 2L, function(g) stats::ave(g, population))
  scaled <- function(keep) {
    score <- within %*% (effect * keep)
    effect * keep * sqrt(h2 / mean(score^2))
  }
  list(x = stats::setNames(scaled(is_x), colnames(panel)),
    h = stats::setNames(scaled(!is_x), colnames(panel)))
}

# Two haplotypes of each person of a panel. A heterozygous variant has its allele on the haplotype
# where the last heterozygous one of the block had, if they correlate positively, else on the other.
phase_panel <- function(panel, block_of) {
  first <- (panel == 2) + 0
  second <- first
  last <- integer(nrow(panel)) # the last heterozygous variant of the block, and its side
  side <- rep(TRUE, nrow(panel))
  r <- suppressWarnings(stats::cor(panel))
  for (j in seq_len(ncol(panel))) {
    if (j > 1L && block_of[j] != block_of[j - 1L]) {
      last[] <- 0L
    }
    het <- which(panel[, j] == 1)
    before <- last[het]
    same <- before == 0L | r[cbind(pmax(before, 1L), j)] >= 0
    side[het] <- ifelse(before == 0L, TRUE, side[het] == same)
    first[het, j] <- side[het] + 0
    second[het, j] <- 1 - first[het, j]
    last[het] <- j
  }
  list(first = first, second = second)
}

# n people as mosaics of the panel's haplotypes.
founders <- function(panel, n, block_of, draw) {
  phased <- phase_panel(panel, block_of)
  pool <- rbind(phased$first, phased$second)
  mosaic <- function() {
    out <- matrix(0, n, ncol(pool), dimnames = list(NULL, colnames(panel)))
    for (b in unique(block_of)) {
      columns <- block_of == b
      out[, columns] <- pool[draw("below", n, nrow(pool)) + 1, columns]
    }
    out
  }
  list(first = mosaic(), second = mosaic())
}

population_traits <- function(people, effects, mean_h, how, draw) {
  n <- nrow(people$first)
  score <- function(effect) drop((people$first + people$second) %*% effect)
  g_x <- score(effects$x)
  g_h <- score(effects$h)
  rest <- sqrt(0.5 - how$h2)
  h <- g_h + mean_h + rest * draw("normal", n)
  x <- g_x + h + rest * draw("normal", n)
  list(g_x = g_x, g_h = g_h, h = h, x = x,
    y = how$theta * x + h + sqrt(0.5) * draw("normal", n))
}

# Half of the people are mated with the other half: those of one half by the rank of x, those of the
# other by that of a variable that correlates by rho with x. Two children each.
next_generation <- function(people, x, rho, block_of, draw) {
  n <- length(x)
  shuffled <- draw("permutation", n) + 1
  one <- shuffled[seq_len(n / 2)]
  other <- shuffled[-seq_len(n / 2)]
  wanted <- rho * rank_score(x[other]) + sqrt(1 - rho^2) * draw("normal", n / 2)
  one <- rep(one[order(x[one])], 2)
  other <- rep(other[order(wanted)], 2)
  list(first = gamete(people, one, block_of, draw), second = gamete(people, other, block_of, draw))
}

rank_score <- function(x) {
  stats::qnorm((rank(x) - 0.5) / length(x))
}

# A haplotype of each parent: every block from one of its two at random.
gamete <- function(people, parent, block_of, draw) {
  out <- people$first[parent, , drop = FALSE]
  for (b in unique(block_of)) {
    columns <- block_of == b
    take <- which(draw("uniform", length(parent)) < 0.5)
    out[take, columns] <- people$second[parent[take], columns]
  }
  out
}

new_populations <- function(parts, population, effects, mean_h, how) {
  together <- function(name) unlist(lapply(parts, `[[`, name))
  genotypes <- do.call(rbind, lapply(parts, `[[`, "genotypes"))
  labels <- levels(population)
  y <- together("y")
  x <- together("x")
  truth <- list(
    theta = how$theta, beta = how$theta,
    curve = linear_curve(how$theta, mean(y) - how$theta * mean(x)),
    V = cbind(together("g_h")), W = cbind(together("g_x")), H = together("h"),
    effect_x = effects$x, effect_h = effects$h, mean_h = mean_h,
    instruments = colnames(genotypes), block = how$block, generations = how$generations,
    rho = how$rho, n = length(y), seed = how$seed
  )
  columns <- c(list(Y = y, X = x, environment = factor(rep(labels, each = how$n), labels)),
    as.list(as.data.frame(genotypes)))
  about <- c(
    paste0("Simulated by sim_populations(): ", big(truth$n), " people of ", length(labels),
      " populations, ", length(truth$instruments), " variants, seed ",
      format(truth$seed, digits = 16)),
    paste0("Causal effect of X on Y: ", format(how$theta), "; ", how$generations,
      " generations of mating with correlation ", format(how$rho))
  )
  new_mr_sim(columns, truth, about)
}
