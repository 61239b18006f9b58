# Frames from vectors; the shipped data.

test_that("vectors become a harmonised frame", {
  dat <- mr_data(c(0.1, -0.2), c(0.02, 0.03), c(0.03, 0.05), c(0.01, 0.02), snp = c("a", "b"),
    exposure = "BMI", outcome = "CHD", effect_allele = c("A", "C"), other_allele = "G", eaf = 0.3,
    samplesize_exp = 1000, samplesize_out = c(2000, 3000))
  expect_identical(names(dat), c(
    "SNP", "effect_allele.exposure", "other_allele.exposure", "effect_allele.outcome",
    "other_allele.outcome", "beta.exposure", "beta.outcome", "eaf.exposure", "eaf.outcome",
    "se.exposure", "se.outcome", "pval.exposure", "pval.outcome", "samplesize.exposure",
    "samplesize.outcome", "id.exposure", "exposure", "id.outcome", "outcome", "mr_keep"
  ))
  expect_identical(dat$pval.exposure, 2 * stats::pnorm(-c(0.1 / 0.02, 0.2 / 0.03)))
  expect_identical(dat$samplesize.outcome, c(2000, 3000))
  expect_identical(dat$id.exposure, c("BMI", "BMI"))
  expect_identical(dat$effect_allele.outcome, c("A", "C"))
  expect_identical(dat$mr_keep, c(TRUE, TRUE))
  expect_identical(mr_estimate(dat, "mr_ivw")$b, mr_estimate(
    data.frame(
      id.exposure = "BMI", id.outcome = "CHD", exposure = "BMI", outcome = "CHD", mr_keep = TRUE,
      beta.exposure = c(0.1, -0.2), se.exposure = c(0.02, 0.03), beta.outcome = c(0.03, 0.05),
      se.outcome = c(0.01, 0.02)
    ), "mr_ivw")$b)
})

test_that("names may differ by row and make pairs; default names; no rows", {
  dat <- mr_data(1:4, rep(1, 4), 4:1, rep(1, 4), exposure = rep(c("x1", "x2"), 2))
  expect_identical(dat$SNP, paste0("snp", 1:4))
  expect_identical(mr_estimate(dat, "mr_ivw")$exposure, c("x1", "x2"))
  expect_identical(nrow(mr_data(numeric(), numeric(), numeric(), numeric())), 0L)
})

test_that("factors and labelled columns are taken by their labels and numbers", {
  plain <- mr_data(1:3, rep(1, 3), 3:1, rep(1, 3), snp = letters[1:3], exposure = "x")
  labelled <- structure(c(1, 2, 3), class = c("haven_labelled", "vctrs_vctr", "double"),
    label = "effects")
  other <- mr_data(labelled, rep(1, 3), 3:1, rep(1, 3), snp = factor(letters[1:3]),
    exposure = factor("x"))
  expect_identical(other, plain)
})

test_that("lipid_chd has the published numbers", {
  published <- mr_recorded("lipid_harmonised")
  ldl <- lipid_chd[lipid_chd$exposure == "LDL", ]
  for (name in c("SNP", "beta.exposure", "se.exposure", "beta.outcome", "se.outcome")) {
    expect_identical(ldl[[name]], published[[name]])
  }
  expect_identical(dim(lipid_chd), c(84L, 16L))
  expect_identical(as.vector(table(lipid_chd$exposure)), c(28L, 28L, 28L))
  # One outcome, whatever the exposure; nothing is missing.
  expect_identical(lipid_chd$beta.outcome[1:28], lipid_chd$beta.outcome[57:84])
  expect_false(anyNA(lipid_chd))
})
