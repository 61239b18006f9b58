score_data <- function() {
  set.seed(1)
  n <- 200
  g <- matrix(rbinom(n * 8, 2, rep(c(0.2, 0.3, 0.45, 0.25), 2, each = n)), n)
  g[sample(length(g), 50)] <- NA
  variants <- data.frame(a1 = c("A", "C", "A", "A", "C", "G", "T", "A"),
    a2 = c("G", "T", "C", "T", "G", "C", "G", "C"))
  list(g = g, variants = variants, bed = bed(write_bed(g, tempfile(), variants = variants)))
}

test_that("scores add up effect alleles, however the weights write them", {
  d <- score_data()
  filled <- apply(d$g, 2, function(v) ifelse(is.na(v), mean(v, na.rm = TRUE), v))
  beta <- c(0.5, -1, 2, 1, 0.3)
  at <- c(1, 2, 3, 7, 8)
  weights <- data.frame(SNP = paste0("snp", at), effect_allele = d$variants$a1[at],
    other_allele = d$variants$a2[at], beta)
  expected <- drop(filled[, at] %*% beta)
  score <- allele_score(d$bed, weights)
  expect_equal(score$score, expected, tolerance = 1e-13)
  expect_identical(score$iid, rownames(d$bed))
  expect_equal(allele_score(d$g, weights, variants = d$variants)$score, expected, tolerance = 1e-13)
  # Swapped alleles with the weight of the other allele move the origin alone.
  swapped <- weights
  swapped[2, c("effect_allele", "other_allele")] <- weights[2, c("other_allele", "effect_allele")]
  swapped$beta[2] <- -beta[2]
  expect_equal(allele_score(d$bed, swapped)$score, expected - 2 * beta[2], tolerance = 1e-13)
  # The other strand, and letters in lower case.
  strand <- weights
  strand$effect_allele <- chartr("ACGT", "tgca", weights$effect_allele)
  strand$other_allele <- chartr("ACGT", "tgca", weights$other_allele)
  expect_message(score <- allele_score(d$bed, strand), class = "mrlearn_message_strand")
  expect_equal(score$score, expected, tolerance = 1e-13)
  expect_identical(attr(score, "variants")$note, rep("other strand", 5))
  expect_identical(allele_score(d$bed, weights, n_threads = 2), allele_score(d$bed, weights))
})

test_that("palindromes are told by frequency, kept or dropped, and said", {
  d <- score_data()
  freq <- colMeans(d$g, na.rm = TRUE) / 2
  weights <- data.frame(SNP = paste0("snp", 4:6), effect_allele = c("A", "C", "G"),
    other_allele = c("T", "G", "C"), beta = 1, eaf = freq[4:6])
  note <- function(...) attr(suppressMessages(allele_score(...)), "variants")
  expect_identical(note(d$bed, weights)$note, rep("palindromic", 3))
  expect_identical(note(d$bed, weights)$flipped, rep(FALSE, 3))
  weights$eaf <- 1 - weights$eaf
  expect_identical(note(d$bed, weights)$flipped, rep(TRUE, 3))
  expect_identical(note(d$bed, weights, "keep")$flipped, rep(FALSE, 3))
  weights$eaf <- c(0.5, NA, 0.3)
  expect_identical(note(d$bed, weights)$note,
    c("ambiguous palindrome", "ambiguous palindrome", "palindromic"))
  weights <- rbind(weights, data.frame(SNP = "snp1", effect_allele = "A", other_allele = "G",
    beta = 1, eaf = NA))
  expect_identical(note(d$bed, weights, "drop")$used, c(FALSE, FALSE, FALSE, TRUE))
})

test_that("what is dropped is told with its reason", {
  d <- score_data()
  weights <- data.frame(SNP = c("snp1", "snp1", "snp2", "snp3", "rs9"),
    effect_allele = c("A", "A", "G", "A", "A"), other_allele = c("G", "G", "A", "C", "G"),
    beta = c(1, 1, 1, NA, 1))
  weights$effect_allele[3] <- "T"
  weights$other_allele[3] <- "G"
  expect_message(score <- allele_score(d$bed, weights), class = "mrlearn_message_dropped")
  expect_identical(attr(score, "variants")$note,
    c("", "repeated", "alleles differ", "no weight", "not among the genotypes"))
  expect_snapshot(error = TRUE, {
    suppressMessages(allele_score(d$bed, weights[5, ]))
    allele_score(d$bed, weights["SNP"])
    allele_score(d$g, weights)
    allele_score(d$bed, weights, "trust")
    allele_score(d$bed, cbind(weights, trait = 1:5))
  })
})

test_that("a score of associations is an instrument", {
  set.seed(2)
  n <- 4000
  g <- matrix(rbinom(n * 20, 2, 0.3), n)
  u <- rnorm(n)
  x <- drop(g %*% rep(0.2, 20)) + u + rnorm(n)
  people <- data.frame(x, y = 0.5 * x - u + rnorm(n))
  genotypes <- bed(write_bed(g, tempfile()))
  half <- seq_len(n / 2)
  weights <- snp_associations(genotypes[half, ], people[half, ], "x")
  people$score <- allele_score(genotypes, weights)$score
  fit <- iv_2sls(y ~ x | score, data = people[-half, ])
  # The standard error of the ratio is the bound; four of them.
  expect_lt(abs(coef(fit)[["x"]] - 0.5), 4 * sqrt(vcov(fit)["x", "x"]))
})
