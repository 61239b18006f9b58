# Outputs of plink1.9 (--freqx, --freq, --missing, --hardy), recorded for the tests.
#
#   Rscript data-raw/plink.R <folder of the shared genotypes> [plink]
#
# Writes tests/testthat/fixtures/plink_recorded.csv: a variant a row, with the version. Of the real
# files (1000 Genomes) only every 20th variant. All people count, founders or not, and alleles keep
# their order. Run at the root of the package, which must be installed.

stopifnot(file.exists("DESCRIPTION"))
args <- commandArgs(TRUE)
plink <- if (length(args) > 1L) args[2] else "plink1.9"
source("tests/testthat/helper-bed.R")

made <- mrlearn::write_bed(made_genotypes(), tempfile("made"))
sets <- c(made = made,
  kg = file.path(args[1], "kg_phase1_chr22_maf05"), lct = file.path(args[1], "gaston_lct")
)

read <- function(file) {
  utils::read.table(file, header = TRUE, sep = "", comment.char = "", check.names = FALSE)
}
record <- function(name) {
  out <- tempfile()
  for (what in c("--freq", "--missing", "--hardy")) {
    status <- system2(plink, c("--bfile", sets[[name]], what, "--nonfounders",
      "--keep-allele-order", "--allow-no-sex", "--out", out), stdout = FALSE)
    stopifnot(status == 0)
  }
  freq <- read(paste0(out, ".frq"))
  missing <- read(paste0(out, ".lmiss"))
  hardy <- read(paste0(out, ".hwe"))
  hardy <- hardy[match(freq$SNP, hardy$SNP), ]
  data.frame(
    set = name, snp = freq$SNP, a1 = freq$A1, a2 = freq$A2, freq = freq$MAF,
    n_missing = missing$N_MISS, genotypes = hardy$GENO, hwe_p = hardy$P
  )
}

version <- system2(plink, "--version", stdout = TRUE)
rows <- lapply(names(sets), record)
rows <- lapply(rows, function(r) if (r$set[1] == "made") r else r[seq(1, nrow(r), 20), ])
out <- cbind(do.call(rbind, rows), version = sub(" *\\(.*", "", version[1]))
utils::write.csv(out, "tests/testthat/fixtures/plink_recorded.csv", row.names = FALSE,
  quote = FALSE)
