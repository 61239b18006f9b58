clump_data <- function() {
  set.seed(1)
  n <- 400
  latent <- matrix(rnorm(n * 30), n)
  for (j in 2:30) {
    latent[, j] <- 0.8 * latent[, j - 1] + 0.6 * latent[, j]
  }
  g <- (latent > 0.3) + (latent > 1)
  g[sample(length(g), 300)] <- NA
  bed(write_bed(g, tempfile(), variants = data.frame(
    chr = rep(1:2, each = 15), pos = 1000 * (1:30)
  )))
}

# The greedy rule, slowly, from a matrix of r2.
slow_clump <- function(snp, pval, chr, pos, square, r2, kb, p) {
  index <- rep(NA_character_, length(snp))
  for (i in order(pval)) {
    if (pval[i] > p || !is.na(index[i])) {
      next
    }
    near <- chr == chr[i] & abs(pos - pos[i]) < kb * 1000 & is.na(index)
    index[near & (square[i, ] > r2)] <- snp[i]
    index[i] <- snp[i]
  }
  index
}

test_that("correlations are those of counts, pair by pair", {
  genotypes <- clump_data()
  g <- as.matrix(genotypes)
  expect_equal(ld_matrix(genotypes), cor(g, use = "pairwise.complete.obs"), tolerance = 1e-13)
  expect_equal(ld_matrix(g, signed = FALSE), ld_matrix(genotypes)^2)
  rows <- c(9, 3, 200:380)
  expect_equal(ld_matrix(genotypes[rows, 4:9]), cor(g[rows, 4:9], use = "pairwise.complete.obs"),
    tolerance = 1e-13)
  g[, 2] <- 1
  g[, 3] <- NA
  r <- ld_matrix(g)
  expect_true(all(is.na(r[2:3, ])) && all(is.na(r[, 2:3])))
  expect_identical(ld_matrix(genotypes, n_threads = 2), ld_matrix(genotypes, n_threads = 1))
  withr::local_options(mrlearn.isa = "portable")
  expect_identical(ld_matrix(genotypes), ld_matrix(genotypes, n_threads = 1))
})

test_that("haplotype correlations maximise the likelihood", {
  genotypes <- clump_data()
  g <- as.matrix(genotypes)
  r <- ld_matrix(genotypes, method = "haplotype")
  slow <- function(a, b) {
    known <- !is.na(a) & !is.na(b)
    a <- a[known]
    b <- b[known]
    n <- length(a)
    f <- c(sum(a), sum(b)) / (2 * n)
    likelihood <- function(f11) {
      h <- c(f11, f[1] - f11, f[2] - f11, 1 - f[1] - f[2] + f11)
      if (any(h <= 0)) {
        return(-Inf)
      }
      law <- outer(h, h) # of ordered pairs of haplotypes 11, 12, 21, 22
      counts <- outer(c(1, 1, 0, 0), c(1, 1, 0, 0), "+") * 3 +
        outer(c(1, 0, 1, 0), c(1, 0, 1, 0), "+")
      sum(log(tapply(law, counts, sum))[as.character(3 * a + b)])
    }
    range <- c(max(0, sum(f) - 1), min(f))
    best <- optimize(likelihood, range, maximum = TRUE, tol = 1e-12)$maximum
    (best - prod(f)) / sqrt(prod(f * (1 - f)))
  }
  for (pair in list(c(1, 2), c(3, 7), c(10, 11), c(4, 20), c(5, 6))) {
    # optimize() finds the place of a maximum to the root of rounding.
    expect_equal(r[pair[1], pair[2]], slow(g[, pair[1]], g[, pair[2]]), tolerance = 1e-6)
  }
  # In phase: two variants that are the same have one haplotype of each kind.
  same <- cbind(g[, 1], g[, 1], 2 - g[, 1])
  expect_equal(ld_matrix(same, method = "haplotype")[1, 2:3], c(1, -1), ignore_attr = TRUE)
})

test_that("clumps follow the greedy rule", {
  genotypes <- clump_data()
  set.seed(2)
  dat <- data.frame(SNP = colnames(genotypes), pval = runif(30)^3, beta = rnorm(30))
  square <- ld_matrix(genotypes, signed = FALSE, method = "haplotype")
  places <- genotypes$variants
  for (set in list(c(0.1, 5, 0.5), c(0.3, Inf, 1), c(0, 3, 0.2), c(0.2, 1000, 0.9))) {
    got <- clump(dat, genotypes, r2 = set[1], kb = set[2], p = set[3])
    expected <- slow_clump(dat$SNP, dat$pval, places$chr, places$pos, square, set[1], set[2],
      set[3])
    expect_setequal(got$SNP, unique(expected[!is.na(expected)]))
    members <- attr(got, "clumps")
    expect_identical(members$index[match(dat$SNP, members$SNP)], expected)
    expect_false(is.unsorted(got$pval))
    # The order of rows does not matter.
    again <- clump(dat[sample(30), ], genotypes, r2 = set[1], kb = set[2], p = set[3])
    expect_identical(again$SNP, got$SNP)
  }
  expect_identical(clump(dat, genotypes, p = 1, n_threads = 2), clump(dat, genotypes, p = 1))
  matrix <- clump(dat, as.matrix(genotypes), p = 1, variants = places[c("chr", "pos")])
  expect_identical(matrix, clump(dat, genotypes, p = 1))
  # kb is the distance that is too far: at 1000 positions, 1 kb has nobody.
  expect_identical(nrow(clump(dat, genotypes, kb = 1, r2 = 0, p = 1)), 30L)
})

test_that("several traits and harmonised frames are clumped by themselves", {
  genotypes <- clump_data()
  set.seed(3)
  one <- data.frame(SNP = colnames(genotypes), pval = runif(30))
  two <- data.frame(SNP = colnames(genotypes), pval = runif(30))
  both <- clump(rbind(cbind(trait = "a", one), cbind(trait = "b", two)), genotypes, r2 = 0.1, p = 1)
  expect_identical(both$SNP[both$trait == "a"], clump(one, genotypes, r2 = 0.1, p = 1)$SNP)
  expect_identical(both$SNP[both$trait == "b"], clump(two, genotypes, r2 = 0.1, p = 1)$SNP)
  dat <- mr_data(rnorm(60), rep(1, 60), rnorm(60), rep(1, 60), snp = rep(one$SNP, 2),
    outcome = rep(c("o1", "o2"), each = 30))
  dat$pval.exposure <- rep(one$pval, 2)
  kept <- clump(dat, genotypes, r2 = 0.1, p = 1)
  expect_identical(names(kept), names(dat))
  expect_setequal(kept$SNP, clump(one, genotypes, r2 = 0.1, p = 1)$SNP)
  expect_true(all(table(kept$outcome) == nrow(kept) / 2))
})

test_that("what is left out is told, what is wrong refused", {
  genotypes <- clump_data()
  dat <- data.frame(SNP = c(colnames(genotypes), "rs1"), pval = c(NA, rep(0.5, 30)))
  expect_message(clump(dat, genotypes, p = 1), class = "mrlearn_message_dropped")
  dat <- dat[2:30, ]
  expect_warning(none <- clump(dat, genotypes), class = "mrlearn_warning_empty")
  expect_identical(nrow(none), 0L)
  expect_snapshot(error = TRUE, {
    clump(dat$pval, genotypes)
    clump(dat["SNP"], genotypes)
    clump(transform(dat, pval = 2), genotypes)
    clump(dat, genotypes, kb = 0)
    clump(dat, genotypes, r2 = 2)
    clump(dat, as.matrix(genotypes))
    clump(dat, as.matrix(genotypes) / 3, kb = Inf)
    ld_matrix(dat)
    ld_matrix(genotypes, method = "phase")
  })
})
