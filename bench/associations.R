# snp_associations() against decoding the file alone, PLINK 1.9's --linear and R's lm() on a few
# variants: one trait and two covariates, all people.
#
#   Rscript bench/associations.R [people] [variants] [rounds]   writes bench/associations.md; on an
#                                             idle machine, some three minutes at 50,000 x 20,000
#
# The file (a quarter of a byte for each genotype) is made in a temporary folder. Sides alternate;
# medians of the rounds. Decoding is bench/associations_decode.c, compiled as R compiles packages:
# reading the file in blocks and writing doubles into memory that is used again. PLINK is run once
# for each number of threads, on 500 variants, and lm() on 20: their times are scaled up.
library(mrlearn)

given <- suppressWarnings(as.numeric(commandArgs(TRUE)))
size <- ifelse(is.na(given[1:3]), c(50000, 20000, 5), given[1:3])
n <- size[1]
m <- size[2]
n_lm <- 20
n_plink <- min(m, 500)

# Genotypes in Hardy-Weinberg equilibrium, written byte by byte: PLINK's codes 0, 2, 3.
write_genotypes <- function(prefix) {
  file <- file(paste0(prefix, ".bed"), "wb")
  on.exit(close(file))
  writeBin(as.raw(c(0x6c, 0x1b, 0x01)), file)
  codes <- as.matrix(expand.grid(rep(list(c(0, 2, 3)), 4)))
  bytes <- as.raw(codes %*% 4^(0:3))
  for (j in seq_len(m)) {
    p <- 0.05 + 0.45 * (j %% 97) / 97
    law <- c(p^2, 2 * p * (1 - p), (1 - p)^2)[match(codes, c(0, 2, 3))]
    weight <- apply(matrix(law, nrow(codes)), 1, prod)
    writeBin(sample(bytes, ceiling(n / 4), TRUE, weight), file)
  }
  snp <- paste0("rs", seq_len(m))
  write.table(data.frame(1, snp, 0, seq_len(m), "A", "G"), paste0(prefix, ".bim"), quote = FALSE,
    row.names = FALSE, col.names = FALSE)
  people <- data.frame(seq_len(n), seq_len(n), 0, 0, 1, -9)
  write.table(people, paste0(prefix, ".fam"), quote = FALSE, row.names = FALSE, col.names = FALSE)
}

set.seed(101)
folder <- tempfile("associations")
dir.create(folder)
prefix <- file.path(folder, "data")
write_genotypes(prefix)
genotypes <- bed(prefix)
people <- data.frame(age = rnorm(n), sex = rbinom(n, 1, 0.5))
people$y <- people$age + rnorm(n)
phenotypes <- file.path(folder, "phenotypes")
write.table(cbind(FID = seq_len(n), IID = seq_len(n), people), phenotypes, quote = FALSE,
  row.names = FALSE)

decode <- file.path(folder, "decode")
stopifnot(system2("gcc", c("-std=gnu11 -O2 -fopenmp -I src/core bench/associations_decode.c",
  "src/core/bed.c -lm -o", decode)) == 0)
decoding <- function(threads) {
  out <- system2(decode, c(paste0(prefix, ".bed"), n, m, threads), stdout = TRUE)
  as.numeric(sub(" .*", "", out))
}
seconds <- function(expr) {
  gc()
  started <- proc.time()[["elapsed"]]
  force(expr)
  proc.time()[["elapsed"]] - started
}
ours <- function(threads) {
  seconds(snp_associations(genotypes, people, "y", covariates = ~ age + sex, n_threads = threads))
}
plink <- function(threads) {
  seconds(system2("plink1.9", c("--bfile", prefix, "--linear", "hide-covar", "--pheno", phenotypes,
    "--pheno-name", "y", "--covar", phenotypes, "--covar-name", "age,sex", "--keep-allele-order",
    "--threads", threads, "--chr 1 --from-bp 1 --to-bp", n_plink, "--out",
    file.path(folder, "out")), stdout = FALSE, stderr = FALSE))
}
g <- as.matrix(genotypes[, seq_len(n_lm)])
lms <- function() {
  seconds(for (j in seq_len(n_lm)) summary(lm(people$y ~ g[, j] + people$age + people$sex)))
}

has_plink <- nzchar(Sys.which("plink1.9"))
sides <- c("decoding the file", "snp_associations()", "plink1.9 --linear, scaled", "lm(), scaled")
rows <- lapply(1:2, function(threads) {
  invisible(c(decoding(threads), ours(threads))) # the file is in memory then
  taken <- replicate(size[3], c(decoding(threads), ours(threads)))
  plink_seconds <- if (has_plink) plink(threads) / n_plink * m else NA
  lm_seconds <- if (threads == 1) lms() / n_lm * m else NA
  data.frame(threads, what = sides,
    seconds = c(apply(taken, 1, median), plink_seconds, lm_seconds))
})
rows <- do.call(rbind, rows)
unlink(folder, recursive = TRUE)
rows <- rows[!is.na(rows$seconds), ]
rows$ratio <- rows$seconds / rows$seconds[match(rows$threads, rows$threads)]

cpu <- tryCatch(
  sub(".*: *", "", grep("model name", readLines("/proc/cpuinfo"), value = TRUE)[1]),
  error = function(e) Sys.info()[["machine"]], warning = function(w) Sys.info()[["machine"]]
)
commit <- suppressWarnings(system2("git", c("log", "-1", "--format=%h", "--", "R", "src"),
  stdout = TRUE, stderr = FALSE))
report <- c(
  "# Associations of one trait with one variant at a time", "",
  sprintf("%s people, %s variants, two covariates; medians of %d alternating rounds. %s, %d %s, ",
    format(n, big.mark = ",", scientific = FALSE), format(m, big.mark = ",", scientific = FALSE),
    size[3], cpu, parallel::detectCores(), "processors"),
  sprintf("%s, instruction set %s, commit %s.", R.version.string, mrlearn:::isa_used(),
    paste(commit, collapse = "")), "",
  "| | threads | seconds | times decoding |", "| --- | --- | --- | --- |",
  sprintf("| %s | %d | %.2f | %.2f |", rows$what, rows$threads, rows$seconds, rows$ratio)
)
writeLines(report)
writeLines(report, file.path("bench", "associations.md"))
