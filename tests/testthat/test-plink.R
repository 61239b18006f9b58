# Equal to PLINK 1.9 to its printed digits: recorded by data-raw/plink_associations.R.

# Every input that can be made here; the shared ones skip where their folder is absent.
plink_input <- function(name) {
  if (name == "mice") {
    skip_if_not_installed("BGLR")
  }
  switch(name,
    simulated = plink_simulated(), mice = plink_mice(),
    kg = plink_file(sub("\\.bed$", "", shared_data("genotypes", "kg_phase1_chr22_maf05.bed")), 2),
    lct = plink_file(sub("\\.bed$", "", shared_data("genotypes", "gaston_lct.bed")), 3)
  )
}

for (name in c("simulated", "mice", "kg", "lct")) {
  test_that(paste("regressions, correlations and clumps are PLINK's:", name), {
    input <- plink_input(name)
    genotypes <- bed(input$prefix)
    expected <- plink_recorded("linear", name)
    rows <- match(expected$SNP, colnames(genotypes))
    freq <- bed_stats(genotypes)$freq[rows]
    expect_printed(ifelse(is.nan(freq), NA, freq), expected$freq)

    suppressMessages({
      linear <- snp_associations(genotypes, input$phenotypes, "y", covariates = ~ w1 + w2)
      logistic <- snp_associations(genotypes, input$phenotypes, "case", covariates = ~ w1 + w2,
        family = "logistic")
    })
    expect_identical(linear$effect_allele[rows], expected$A1)
    expect_equal(linear$samplesize[rows], expected$n)
    expect_printed(linear$beta[rows], expected$beta)
    expect_printed(linear$se[rows], expected$se)
    expect_printed((linear$beta / linear$se)[rows], expected$stat)
    expect_printed(linear$pval[rows], expected$p)

    # PLINK iterates logistic regressions in single precision: its last printed digit is uncertain.
    expect_equal(logistic$samplesize[rows], expected$logit_n)
    expect_printed(logistic$beta[rows], expected$logit_beta, within = 1)
    expect_printed(logistic$se[rows], expected$logit_se, within = 1)
    expect_printed((logistic$beta / logistic$se)[rows], expected$logit_stat, within = 1)
    expect_printed(logistic$pval[rows], expected$logit_p, within = 1)

    expected <- plink_recorded("r2", name)
    some <- unique(c(expected$SNP_A, expected$SNP_B))
    r2 <- ld_matrix(genotypes[, some], signed = FALSE)
    expect_printed(r2[cbind(expected$SNP_A, expected$SNP_B)], expected$r2, 6)

    expected <- plink_recorded("clump", name)
    set <- expected[1, ]
    linear$pval <- signif(linear$pval, 4) # as PLINK read them
    got <- suppressMessages(clump(linear, genotypes, r2 = set$r2, kb = set$kb, p = set$p,
      p2 = set$p2))
    expect_identical(got$SNP, expected$SNP)
    for (column in c("total", "nsig", "s05", "s01", "s001", "s0001", "sp2")) {
      expect_equal(got[[column]], expected[[column]], info = column)
    }
  })
}
