test_that("what is written is read back, whole and in parts", {
  g <- made_genotypes()
  prefix <- write_bed(g, tempfile())
  b <- bed(prefix)
  expect_identical(dim(b), dim(g))
  expect_identical(as.matrix(b), g + 0)
  expect_identical(as.matrix(b[c(9, 3, 50), c("v07", "v01")]), g[c(9, 3, 50), c("v07", "v01")] + 0)
  keep <- seq_len(nrow(g)) %% 3 == 0
  expect_identical(as.matrix(b[keep, -(1:50)][2:4, ]), g[keep, -(1:50)][2:4, ] + 0)
  expect_identical(as.matrix(b["0_p009", ]), g["p009", , drop = FALSE] + 0)
  file <- tempfile()
  saveRDS(b, file)
  expect_identical(as.matrix(readRDS(file)), g + 0)
  # the oracle: the mean of those selected
  part <- as.matrix(b[keep, ], impute = TRUE)
  full <- apply(g[keep, ], 2, function(v) replace(v, is.na(v), mean(v, na.rm = TRUE)))
  expect_equal(part, replace(full, is.nan(full), NA), tolerance = 1e-15)
  for (n in 1:9) { # ragged last bytes
    some <- g[seq_len(n), , drop = FALSE]
    expect_identical(as.matrix(bed(write_bed(some, tempfile()))), some + 0)
  }
})

test_that("samples and variants are written as given", {
  g <- matrix(c(0, 1, 2, 1), 2)
  prefix <- write_bed(g, tempfile(), data.frame(fid = c("f", "f"), iid = c("a", "b"), sex = 1:2),
    data.frame(chr = "X", snp = c(".", "."), pos = c(100000, 20000000)))
  b <- bed(prefix)
  expect_identical(b$samples$sex, c("1", "2"))
  expect_identical(colnames(b), c("X:100000:A:G", "X:20000000:A:G"))
  expect_snapshot(print(b[1, ]), transform = function(x) sub("in .*", "in <file>", x))
})

# plink prints 4 significant digits.
expect_as_plink <- function(stats, plink) {
  stats <- stats[match(plink$snp, stats$snp), ]
  expect_identical(stats$a1, plink$a1)
  expect_identical(as.numeric(stats$n_missing), as.numeric(plink$n_missing))
  known <- !is.na(plink$freq)
  expect_equal(signif(stats$freq[known], 4), plink$freq[known], tolerance = 1e-12)
  counted <- !is.na(plink$genotypes)
  expect_identical(paste(stats$hom_a1, stats$het, stats$hom_a2, sep = "/")[counted],
    plink$genotypes[counted])
  # a digit may be rounded to the other side
  expect_lt(max(abs(stats$hwe_p / plink$hwe_p - 1)[counted]), 6e-4)
}

plink_recorded <- function(set) {
  all <- utils::read.csv(test_path("fixtures", "plink_recorded.csv"),
    colClasses = c(a1 = "character", a2 = "character"))
  all[all$set == set, ]
}

test_that("counts are those that plink1.9 gave", {
  expect_as_plink(bed_stats(bed(write_bed(made_genotypes(), tempfile()))), plink_recorded("made"))
})

test_that("counts of real genotypes are those that plink1.9 gave", {
  file <- shared_data("genotypes", "kg_phase1_chr22_maf05.bed")
  expect_as_plink(bed_stats(bed(file)), plink_recorded("kg"))
  expect_as_plink(bed_stats(bed(shared_data("genotypes", "gaston_lct.bed"))), plink_recorded("lct"))
})

test_that("plink1.9 reads what is written", {
  skip_if(Sys.which("plink1.9") == "", "plink1.9 not installed")
  g <- made_genotypes()
  prefix <- write_bed(g, tempfile())
  out <- tempfile()
  system2("plink1.9", c("--bfile", prefix, "--recode A --keep-allele-order --allow-no-sex --out",
    out), stdout = FALSE)
  back <- utils::read.table(paste0(out, ".raw"), header = TRUE)
  expect_equal(unname(as.matrix(back[-(1:6)])), unname(g) + 0)
})

test_that("mice written as PLINK files come back, and give the estimate of the matrix", {
  skip_if_not_installed("BGLR")
  utils::data("mice", package = "BGLR", envir = environment())
  g <- mice.X[, seq(1, 10346, 200)]
  dimnames(g)[[1]] <- paste0("m", seq_len(nrow(g)))
  b <- bed(write_bed(g, tempfile()))
  expect_identical(unname(as.matrix(b)), unname(g) + 0)
  data <- data.frame(y = mice.pheno$Obesity.BMI, x = mice.pheno$Obesity.BodyLength)
  a <- hush(iv_2sls(y ~ x | b, data))
  m <- hush(iv_2sls(y ~ x | g, data))
  expect_equal(coef(a), coef(m), tolerance = 1e-10)
  expect_equal(vcov(a), vcov(m), tolerance = 1e-10)
})

test_that("filters remove what fails, and say what", {
  set.seed(22)
  g <- made_genotypes()
  g[, 30] <- rep_len(c(0, 2), nrow(g)) # no heterozygotes
  b <- bed(write_bed(g, tempfile()))
  expect_message(left <- bed_filter(b, call_rate = 0.9, maf = 0.05, hwe = 1e-6),
    class = "mrlearn_message_filtered")
  stats <- bed_stats(b)
  good <- stats$call_rate >= 0.9 & !is.nan(stats$maf) & stats$maf >= 0.05 & stats$hwe_p >= 1e-6
  expect_identical(left$variants$snp, stats$snp[good])
  expect_identical(sum(left$filters$removed), sum(!good))
  expect_identical(left$filters$removed[2], 1L) # v05; v06 fails its call rate first
  expect_identical(stats$n_missing[6], 97)
  expect_snapshot(error = TRUE, bed_filter(b[, 5:6]))
})

break_bed <- function(change, ext = ".bed", prefix = write_bed(made_genotypes(), tempfile())) {
  file <- paste0(prefix, ext)
  if (ext == ".bed") {
    writeBin(change(readBin(file, "raw", file.size(file))), file)
  } else {
    writeLines(change(readLines(file)), file)
  }
  prefix
}
hide_path <- function(x) gsub("'[^']*[/\\\\][^']*(\\.[a-z]+)'", "'<file>\\1'", x)

test_that("broken files are refused", {
  refused <- function(prefix) {
    expect_error(bed(prefix), class = "mrlearn_error_data")
    expect_snapshot(error = TRUE, bed(prefix), transform = hide_path)
  }
  refused(break_bed(function(x) x[seq_len(length(x) - 10)]))
  refused(break_bed(function(x) replace(x, 2, as.raw(0))))
  refused(break_bed(function(x) replace(x, 3, as.raw(0))))
  refused(break_bed(function(x) x[1:2]))
  refused(break_bed(function(x) x[-1], ".bim"))
  refused(break_bed(function(x) x[1:90], ".fam"))
  refused(break_bed(function(x) sub("\t[^\t]*$", "", x), ".fam"))
  refused(break_bed(function(x) replace(x, 2, x[1]), ".fam"))
  expect_error(bed(tempfile()), class = "mrlearn_error_argument")
  prefix <- write_bed(made_genotypes(), tempfile())
  b <- bed(prefix)
  break_bed(function(x) x[1:300], prefix = prefix)
  expect_error(as.matrix(b), class = "mrlearn_error_data")
  unlink(paste0(prefix, ".bed"))
  expect_error(bed_stats(b), class = "mrlearn_error_data")
})

test_that("wrong selections and matrices are refused", {
  b <- bed(write_bed(made_genotypes(), tempfile()))
  expect_snapshot(error = TRUE, {
    b[1]
    b["nobody", ]
    b[c(1, 1), ]
    b[, 100]
    b[, 1.5]
    write_bed(matrix(3, 1, 1), tempfile())
    write_bed(1:3, tempfile())
    write_bed(matrix(1), tempfile(), data.frame(name = "a"))
    write_bed(matrix(1), tempfile(), data.frame(iid = "a b"))
    bed_stats(1)
  })
})
