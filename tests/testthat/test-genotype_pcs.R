# Eigenvectors of the relationship matrix, dense.
slow_pcs <- function(g, k) {
  f <- colMeans(g, na.rm = TRUE) / 2
  z <- sweep(sweep(g, 2, 2 * f), 2, sqrt(2 * f * (1 - f)), "/")
  z[is.na(z)] <- 0
  e <- eigen(tcrossprod(z) / ncol(z), symmetric = TRUE)
  vectors <- e$vectors[, seq_len(k), drop = FALSE]
  signs <- apply(vectors, 2, function(v) sign(v[which.max(abs(v))]))
  list(values = e$values[seq_len(k)], vectors = sweep(vectors, 2, signs, "*"))
}

test_that("components are eigenvectors of the relationship matrix", {
  set.seed(1)
  p <- 150
  frequency <- matrix(runif(3 * p, 0.1, 0.9), p)
  g <- t(sapply(rep(1:3, each = 30), function(i) rbinom(p, 2, frequency[, i])))
  g[sample(length(g), 200)] <- NA
  genotypes <- bed(write_bed(g, tempfile()))
  for (k in c(1, 2, 5)) {
    pcs <- genotype_pcs(genotypes, k)
    expected <- slow_pcs(g, k)
    expect_equal(attr(pcs, "eigenvalues"), expected$values, tolerance = 1e-10)
    # Residual 1e-9 of the largest eigenvalue over gaps that are a hundredth of it and more.
    expect_equal(as.matrix(pcs[-1]), expected$vectors, tolerance = 1e-6, ignore_attr = TRUE)
  }
  expect_identical(genotype_pcs(genotypes, 3, n_threads = 2), genotype_pcs(genotypes, 3))
  expect_equal(genotype_pcs(g, 3)$PC2, genotype_pcs(genotypes, 3)$PC2)
  # Two components tell three populations apart.
  centres <- apply(as.matrix(pcs[2:3]), 2, function(v) tapply(v, rep(1:3, each = 30), mean))
  spread <- apply(as.matrix(pcs[2:3]), 2, function(v) mean(tapply(v, rep(1:3, each = 30), sd)))
  expect_gt(min(dist(sweep(centres, 2, spread, "/"))), 4)
})

test_that("few people, few variants and repeated variants have components", {
  set.seed(2)
  g <- matrix(rbinom(60, 2, 0.4), 20)
  for (m in list(g, t(matrix(rbinom(80, 2, 0.4), 20)), cbind(g, g))) {
    k <- min(nrow(m) - 1, 3)
    pcs <- suppressMessages(genotype_pcs(m, k))
    keep <- colMeans(m) > 0.02 & colMeans(m) < 1.98
    expect_equal(attr(pcs, "eigenvalues"), slow_pcs(m[, keep], k)$values, tolerance = 1e-9)
    expect_equal(crossprod(as.matrix(pcs[-1])), diag(k), tolerance = 1e-9, ignore_attr = TRUE)
  }
})

test_that("pruning leaves no pair in disequilibrium; filters are told", {
  set.seed(3)
  n <- 300
  latent <- matrix(rnorm(n * 40), n)
  for (j in 2:40) {
    latent[, j] <- 0.9 * latent[, j - 1] + 0.4 * latent[, j]
  }
  g <- (latent > 0.3) + (latent > 1)
  g[, 1] <- 0
  genotypes <- bed(write_bed(g, tempfile()))
  expect_message(pcs <- genotype_pcs(genotypes, 2, prune = list(r2 = 0.2, kb = 100)),
    class = "mrlearn_message_filtered")
  square <- ld_matrix(genotypes[, attr(pcs, "variants")], signed = FALSE, method = "haplotype")
  expect_lte(max(square[upper.tri(square)]), 0.2)
  expect_lt(length(attr(pcs, "variants")), 39)
  expect_snapshot(error = TRUE, {
    suppressMessages(genotype_pcs(genotypes, 2, prune = 0.2))
    suppressMessages(genotype_pcs(genotypes, 300))
    genotype_pcs(genotypes, 0)
    genotype_pcs(genotypes[, 1], 1)
    genotype_pcs(g / 3)
  })
})
