# Outputs of PLINK 1.9 recorded for the tests of snp_associations(), ld_matrix() and clump():
#
#   Rscript data-raw/plink_associations.R [folder of the shared genotypes]
#
# writes tests/testthat/fixtures/plink_linear.csv (--freq, --linear, --logistic), plink_r2.csv
# (--r2) and plink_clump.csv (--clump), with the version of PLINK in each row. Debian's package is
# plink1.9.
# The inputs are made by tests/testthat/helper-associations.R: a simulated file, BGLR's mice, and
# files of the folder (1000 Genomes, chromosome 22; the LCT region). --keep-allele-order: PLINK
# else counts the rarer allele.
stopifnot(file.exists("DESCRIPTION"), nzchar(Sys.which("plink1.9")))
library(mrlearn)
source(file.path("tests", "testthat", "helper-associations.R"))
shared <- c(commandArgs(TRUE), file.path("..", "shared", "data", "genotypes"))[1]
fixtures <- file.path("tests", "testthat", "fixtures")
version <- sub("^PLINK v([^ ]+) .*", "\\1", system2("plink1.9", "--version", stdout = TRUE)[1])

inputs <- list(
  simulated = plink_simulated(), mice = plink_mice(),
  kg = plink_file(file.path(shared, "kg_phase1_chr22_maf05"), 2),
  lct = plink_file(file.path(shared, "gaston_lct"), 3)
)
# Every how many variants are recorded, so that the files stay small.
step <- c(simulated = 1, mice = 50, kg = 20, lct = 5)

plink <- function(input, ...) {
  out <- tempfile()
  status <- system2("plink1.9", c("--bfile", input$prefix, "--keep-allele-order",
    "--allow-no-sex", ..., "--out", out), stdout = FALSE, stderr = FALSE)
  stopifnot(status == 0)
  out
}
read_plink <- function(out, extension) {
  table <- utils::read.table(paste0(out, extension), header = TRUE)
  table
}
# FID IID y case w1 w2, cases as 2, missing as NA.
write_phenotypes <- function(input) {
  file <- tempfile()
  samples <- utils::read.table(paste0(input$prefix, ".fam"))[1:2]
  names(samples) <- c("FID", "IID")
  phenotypes <- transform(input$phenotypes, case = case + 1)
  utils::write.table(cbind(samples, phenotypes), file, quote = FALSE, row.names = FALSE)
  file
}

regressions <- function(name) {
  input <- inputs[[name]]
  file <- write_phenotypes(input)
  common <- c("--covar", file, "--covar-name", "w1,w2", "--ci", "0.95", "--pheno", file,
    "--pheno-name")
  freq <- read_plink(plink(input, "--freq", "--nonfounders"), ".frq")
  linear <- plink(input, "--linear", "hide-covar", common, "y")
  logistic <- read_plink(plink(input, "--logistic", "hide-covar", "beta", common, "case"),
    ".assoc.logistic")
  table <- read_plink(linear, ".assoc.linear")
  stopifnot(table$SNP == freq$SNP, table$SNP == logistic$SNP)
  keep <- seq(1, nrow(table), by = step[[name]])
  out <- data.frame(data = name, version, SNP = table$SNP, A1 = freq$A1, freq = freq$MAF,
    nchrobs = freq$NCHROBS, n = table$NMISS, beta = table$BETA, se = table$SE, stat = table$STAT,
    p = table$P, logit_n = logistic$NMISS, logit_beta = logistic$BETA, logit_se = logistic$SE,
    logit_stat = logistic$STAT, logit_p = logistic$P)
  list(rows = out[keep, ], assoc = paste0(linear, ".assoc.linear"))
}

correlations <- function(name) {
  table <- read_plink(plink(inputs[[name]], "--r2", "--ld-window-r2", "0", "--ld-window", "20"),
    ".ld")
  table <- table[seq(1, nrow(table), length.out = min(300, nrow(table))), ]
  data.frame(data = name, version, SNP_A = table$SNP_A, SNP_B = table$SNP_B, r2 = table$R2)
}

# Thresholds that give each file some tens of clumps.
clumps <- function(name, assoc) {
  kb <- c(simulated = 20, mice = 500, kg = 250, lct = 100)[[name]]
  p <- c(simulated = 0.5, mice = 0.001, kg = 0.001, lct = 0.2)[[name]]
  r2 <- c(simulated = 0.2, mice = 0.1, kg = 0.1, lct = 0.2)[[name]]
  out <- plink(inputs[[name]], "--clump", assoc, "--clump-kb", kb, "--clump-p1", p, "--clump-p2",
    max(p, 0.05), "--clump-r2", r2)
  table <- read_plink(out, ".clumped")
  sp2 <- ifelse(table$SP2 == "NONE", "", gsub("\\(1\\)", "", table$SP2))
  data.frame(data = name, version, kb, p, p2 = max(p, 0.05), r2, SNP = table$SNP, pval = table$P,
    total = table$TOTAL, nsig = table$NSIG, s05 = table$S05, s01 = table$S01, s001 = table$S001,
    s0001 = table$S0001, sp2)
}

found <- lapply(stats::setNames(nm = names(inputs)), regressions)
write <- function(rows, name) {
  utils::write.csv(do.call(rbind, unname(rows)), row.names = FALSE,
    file.path(fixtures, paste0("plink_", name, ".csv")))
}
write(lapply(found, `[[`, "rows"), "linear")
write(lapply(names(inputs), correlations), "r2")
write(Map(clumps, names(inputs), lapply(found, `[[`, "assoc")), "clump")
