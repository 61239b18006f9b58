# The inputs that PLINK's outputs were recorded for: data-raw/plink_associations.R makes the same.
# A list: prefix of the PLINK files and phenotypes (iid, y, case, w1, w2; y and w1 have holes).

plink_phenotypes <- function(genotypes, seed) {
  set.seed(seed, kind = "Mersenne-Twister", normal.kind = "Inversion")
  n <- nrow(genotypes)
  causal <- genotypes[, round(seq(5, ncol(genotypes), length.out = 12))]
  causal[is.na(causal)] <- 0
  w1 <- round(rnorm(n), 3)
  w2 <- as.numeric(runif(n) < 0.5)
  y <- round(drop(causal %*% rnorm(12, 0, 0.4)) + 0.5 * w1 + 0.3 * w2 + rnorm(n), 3)
  case <- as.numeric(runif(n) < stats::plogis((y - mean(y)) / 2))
  y[seq(3, n, by = 37)] <- NA
  w1[seq(5, n, by = 53)] <- NA
  data.frame(y, case, w1, w2)
}

# 150 people and 60 variants on two chromosomes: neighbours alike, 3 % missing; the first does not
# vary, the second is missing for all, of the third the counted allele is the frequent one.
plink_simulated <- function(prefix = tempfile()) {
  set.seed(20260101, kind = "Mersenne-Twister", normal.kind = "Inversion")
  n <- 150
  p <- 60
  haplotypes <- lapply(1:2, function(h) {
    latent <- matrix(stats::rnorm(n * p), n)
    for (j in 2:p) {
      latent[, j] <- 0.85 * latent[, j - 1] + sqrt(1 - 0.85^2) * latent[, j]
    }
    sweep(latent, 2, stats::qnorm(rep_len(c(0.1, 0.2, 0.3, 0.45), p)), "<") * 1
  })
  g <- haplotypes[[1]] + haplotypes[[2]]
  g[, 3] <- 2 - g[, 3]
  g[stats::runif(n * p) < 0.03] <- NA
  g[, 1] <- 0
  g[, 2] <- NA
  alleles <- rep_len(c("A", "C", "G", "T"), p)
  dimnames(g) <- list(sprintf("p%03d", seq_len(n)), sprintf("rs%02d", seq_len(p)))
  write_bed(g, prefix, samples = data.frame(sex = rep("1", n)), variants = data.frame(
    chr = rep(c("1", "2"), each = p / 2), pos = 1000 + 2000 * seq_len(p), a1 = alleles,
    a2 = rep_len(c("G", "T"), p)
  ))
  list(prefix = prefix, phenotypes = plink_phenotypes(g, 1))
}

plink_file <- function(prefix, seed) {
  list(prefix = prefix, phenotypes = plink_phenotypes(as.matrix(bed(prefix)), seed))
}

# 1814 mice as PLINK files: every second variant of BGLR's.
plink_mice <- function(prefix = tempfile()) {
  data <- new.env()
  utils::data("mice", package = "BGLR", envir = data)
  g <- data$mice.X[, seq(1, ncol(data$mice.X), by = 2)]
  dimnames(g) <- list(paste0("m", seq_len(nrow(g))), paste0("v", seq_len(ncol(g))))
  write_bed(g, prefix, samples = data.frame(sex = rep("1", nrow(g))),
    variants = data.frame(pos = 5000 * seq_len(ncol(g))))
  list(prefix = prefix, phenotypes = plink_phenotypes(g, 4))
}

# The same number as PLINK prints with so many significant digits: `within` units of the last, of
# which rounding takes half of one (and a hair where it is on the edge).
expect_printed <- function(ours, printed, digits = 4, within = 0.5 + 1e-6) {
  unit <- 10^(floor(log10(pmax(abs(printed), 1e-300))) - digits + 1)
  away <- abs(ours - printed) / unit
  testthat::expect_identical(is.na(ours), is.na(printed))
  testthat::expect_lt(max(away, na.rm = TRUE), within)
}

plink_recorded <- function(name, data) {
  file <- testthat::test_path("fixtures", paste0("plink_", name, ".csv"))
  recorded <- utils::read.csv(file, na.strings = "NA")
  recorded[recorded$data == data, ]
}
