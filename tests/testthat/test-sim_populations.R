# A panel of two populations: 6 blocks of 5 variants, each variant a copy of the block's first with
# a few alleles changed.
toy_panel <- function(people = 80) {
  set.seed(1)
  haplotype <- function(frequency) {
    first <- stats::rbinom(6, 1, frequency)
    ifelse(stats::runif(30) < 0.1, 1 - rep(first, each = 5), rep(first, each = 5))
  }
  phased <- lapply(1:2, function(k) {
    t(vapply(seq_len(people), function(i) {
      haplotype(if (i <= people / 2) 0.3 else 0.5)
    }, numeric(30)))
  })
  list(genotypes = phased[[1]] + phased[[2]], phased = phased,
    population = rep(c("north", "south"), each = people / 2))
}

test_that("traits are rebuilt, populations have their sizes", {
  panel <- toy_panel()
  sim <- sim_populations(panel$genotypes, panel$population, n = 60, theta = 0.7, seed = 1)
  t <- truth(sim)
  g <- as.matrix(as.data.frame(sim)[t$instruments])
  expect_true(all(g %in% 0:2))
  expect_identical(as.integer(table(sim$environment)), c(60L, 60L))
  expect_equal(drop(g %*% t$effect_x), drop(t$W), tolerance = 1e-12)
  expect_equal(drop(g %*% t$effect_h), drop(t$V), tolerance = 1e-12)
  expect_true(all(t$effect_x == 0 | t$effect_h == 0))
  # X less its score and H, and Y less what X and H make of it, are noise of variance .3 and .5: the
  # SD of a variance of 120 normals is .13 of it; 4 of them.
  expect_lt(abs(stats::var(sim$X - drop(t$W) - t$H) / 0.3 - 1), 4 * 0.13)
  expect_lt(abs(stats::var(sim$Y - 0.7 * sim$X - t$H) / 0.5 - 1), 4 * 0.13)
})

test_that("frequencies and linkage within blocks are those of the panel", {
  panel <- toy_panel()
  sim <- sim_populations(panel$genotypes, panel$population, n = 4000, block = 5, generations = 0,
    seed = 2)
  g <- as.matrix(as.data.frame(sim)[truth(sim)$instruments])
  for (p in c("north", "south")) {
    ours <- g[sim$environment == p, ]
    theirs <- panel$genotypes[panel$population == p, ]
    # 8000 alleles: the SD of a frequency is at most .0056 (times 2); 5 of them.
    expect_lt(max(abs(colMeans(ours) - colMeans(theirs))), 5 * 2 * 0.0056)
    # Haplotypes of 40 people, phased by a rule: correlations of neighbours as in the panel's true
    # haplotypes, whose SD is about 1 / sqrt(80).
    true <- stats::cor(rbind(panel$phased[[1]], panel$phased[[2]])[
      rep(panel$population == p, 2), 1:5])
    expect_lt(max(abs(stats::cor(ours[, 1:5]) - true)), 5 / sqrt(80))
    # Blocks are independent: 1 / sqrt(4000).
    expect_lt(abs(stats::cor(ours[, 3], ours[, 8])), 5 / sqrt(4000))
  }
})

test_that("phasing keeps genotypes and joins alleles that go together", {
  panel <- toy_panel()
  phased <- phase_panel(panel$genotypes, rep(1:6, each = 5))
  expect_identical(phased$first + phased$second, panel$genotypes)
  # In truth two heterozygous neighbours lie on one haplotype with probability near .9^2 + .1^2.
  het <- panel$genotypes[, 1] == 1 & panel$genotypes[, 2] == 1
  expect_true(all(phased$first[het, 1] == phased$first[het, 2]))
})

test_that("couples correlate as asked, and mating correlates the scores", {
  x <- stats::qnorm(((1:4000) * sqrt(2)) %% 1)
  people <- list(first = cbind(x, x), second = cbind(x, x)) # every gamete tells its parent
  draw <- draws_in_order(3)
  for (rho in c(-0.5, 0, 0.6)) {
    children <- next_generation(people, x, rho, c(1, 2), draw)
    # 2000 couples: the SD of the correlation is at most 1 / sqrt(2000).
    expect_lt(abs(stats::cor(children$first[1:2000, 1], children$second[1:2000, 1]) - rho),
      5 / sqrt(2000))
    expect_identical(children$first[1:2000, 1], children$first[2001:4000, 2])
  }
  panel <- toy_panel()
  scores <- function(rho) {
    t <- truth(sim_populations(panel$genotypes, panel$population, n = 3000, generations = 4,
      rho = rho, h2 = 0.45, seed = 4))
    stats::cor(t$V[1:3000], t$W[1:3000])
  }
  # Scores share blocks, hence correlate a little without mating. A generation adds up to half of
  # rho h2 = .36; the difference of two correlations has the SD sqrt(2 / 3000) = .026.
  expect_gt(scores(0.8) - scores(0), 5 * 0.026)
})

test_that("PLINK files and matrices give the same, seeds hold", {
  panel <- toy_panel()
  prefix <- withr::local_tempfile()
  g <- panel$genotypes
  colnames(g) <- paste0("v", 1:30)
  write_bed(g, prefix)
  a <- sim_populations(g, panel$population, n = 20, seed = 5)
  b <- sim_populations(bed(prefix), panel$population, n = 20, seed = 5)
  expect_equal(unname(as.list(as.data.frame(a))), unname(as.list(as.data.frame(b))))
  set.seed(1)
  one <- sim_populations(g, panel$population, n = 20)
  set.seed(1)
  expect_identical(sim_populations(g, panel$population, n = 20), one)
})

test_that("bad input", {
  panel <- toy_panel()
  g <- panel$genotypes
  expect_snapshot(error = TRUE, {
    sim_populations(1:10, 1:10)
    sim_populations(g, panel$population, n = 15)
    sim_populations(replace(g, 5, NA), panel$population)
    sim_populations(g, rep("one", 80))
    sim_populations(g, panel$population[-1])
    sim_populations(g, panel$population, h2 = 0.6)
  })
})
