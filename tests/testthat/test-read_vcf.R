vcf <- function(..., .local_envir = parent.frame()) {
  withr::local_tempfile(.local_envir = .local_envir, lines = c("##fileformat=VCFv4.2",
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO", ...))
}

test_that("substitutions are placed in the windows that hold them", {
  file <- vcf("chr1\t12\trs1\tg\tA,T\t.\t.\t.", "chr1\t15\t.\tA\tC", "chr2\t12\t.\tA\tC")
  windows <- data.frame(sequence = c("x", "y"), chromosome = "chr1", start = c(11, 12),
    end = c(14, 15))
  found <- read_vcf(file, windows)
  expect_identical(found$sequence, c("x", "x", "y", "y", "y"))
  expect_identical(found$position, c(2, 2, 1, 1, 4))
  expect_identical(found$ref, c("G", "G", "G", "G", "A"))
  expect_identical(found$alt, c("A", "T", "A", "T", "C"))
  expect_identical(found$id[c(1, 5)], c("rs1", "."))
})

test_that("other records are left out and counted, and a file is a table of variants", {
  file <- vcf("s\t2\t.\tC\tT", "s\t3\t.\tG\tGA", "s\t1\t.\tA\t<DEL>", "s\t4\t.\tT\tA,*")
  expect_message(found <- read_vcf(file), "3 alternative", class = "mrlearn_message_variants")
  expect_identical(found$position, c(2, 4))
  model <- seq_model(list(seq_layer("dense", units = 1)), 4, parameters = 1:17)
  effects <- suppressMessages(mutagenize(model, c(s = "ACGT"), variants = file))
  expect_equal(effects$effect, c(2, -3))
})

test_that("what is no VCF file is refused", {
  file <- vcf("s\t2\t.\tC\tT")
  model <- seq_model(list(seq_layer("dense", units = 1)), 4, parameters = 1:17)
  expect_snapshot(error = TRUE, {
    read_vcf("no such file")
    read_vcf(withr::local_tempfile(lines = character()))
    read_vcf(withr::local_tempfile(lines = ">s"))
    read_vcf(vcf("s\t2\t.\tC"))
    read_vcf(vcf("s\tx\t.\tC\tT"))
    read_vcf(vcf())
    read_vcf(file, data.frame(sequence = "x"))
    read_vcf(file, data.frame(sequence = "x", chromosome = "s", start = 3, end = 9))
    mutagenize(model, c(t = "ACGT"), variants = file)
    mutagenize(model, c(s = "AGGT"), variants = file)
  })
})
