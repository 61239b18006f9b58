# Tables of vignettes/scaling.Rmd: memory and times, read off the csv and pages of bench/.
source(file.path("dev", "vignettes", "tools.R"))

memory <- study_rows("memory")
fits <- c(file = "iv_2sls(), file", matrix = "iv_2sls(), matrix")
wide <- lapply(fits, function(what) memory[memory$what == what, ])
write_table(data.frame(what = "iv_2sls()", people = wide$file$people,
  variants = wide$file$variants, file = wide$file$peak_mb, matrix = wide$matrix$peak_mb),
"scaling_memory")

page <- function(name) readLines(file.path("bench", paste0(name, ".md")))

# Cells of the row of a page's table that begins with these.
cells <- function(name, ...) {
  rows <- grep("^\\|", page(name), value = TRUE)
  rows <- lapply(strsplit(gsub("^\\| *| *\\|$", "", rows), " *\\| *"), trimws)
  first <- c(...)
  hit <- vapply(rows, function(row) identical(row[seq_along(first)], first), NA)
  stopifnot(sum(hit) == 1)
  gsub("*", "", unlist(rows[hit]), fixed = TRUE)
}

# What stands in brackets of the one line of a page that has it.
words <- function(name, pattern) {
  hit <- grep(pattern, paste(page(name), collapse = " "), value = TRUE)
  stopifnot(length(hit) == 1)
  sub(paste0(".*", pattern, ".*"), "\\1", hit)
}

number <- function(x) as.double(gsub("[^0-9.e-]", "", x))
seconds <- function(x) {
  x <- number(x)
  paste(if (x < 0.1) signif(1000 * x, 2) else signif(x, 2), if (x < 0.1) "ms" else "s")
}
micro <- function(x) paste(format(signif(number(x), 3), big.mark = ","), "us")

bed <- study_rows("bed")
of_bed <- function(step, column) bed[bed$step == step, column]
training <- study_rows("sequence_train_time")
training <- training[training$threads == 1 & training$batch == 1000, ]
mutants <- function(model) cells("sequence", model, "1")
of_memory <- function(what) round(memory$peak_mb[memory$what == what & memory$people == 4000])
labels <- study_rows("deep_mr_labels")

measured <- list(
  list("2SLS, 500,000 people, 1,000 variants in a file", "bed",
    sprintf("%s, %.0f MB (two threads)", seconds(of_bed("2sls", "seconds")),
      of_bed("2sls", "peak_mb")), "the genotypes as a matrix: 4,000 MB"),
  list("the same, robust errors", "bed", seconds(of_bed("2sls HC1", "seconds")), ""),
  list("crossproducts of 1,000 variants by counting bits", "bed",
    seconds(of_bed("gram, bits", "seconds")),
    paste0("by multiplying doubles: ", seconds(of_bed("gram, doubles", "seconds")))),
  list("a trait on 20,000 variants one by one, 50,000 people", "associations",
    seconds(cells("associations", "snp_associations()", "1")[3]),
    paste0("plink1.9 --linear: ", seconds(cells("associations", "plink1.9 --linear, scaled",
      "1")[3]), " (scaled from 500)")),
  list("lasso with ten folds, 100,000 people, 100 variants", "lasso",
    seconds(words("lasso", "diagnostics ([0-9.]+) s on one thread")),
    paste0("cv.glmnet(): ", seconds(words("lasso", "glmnet 4.1.6 ([0-9.]+) s")))),
  list("Quantile IV, 50 bootstraps, 100,000 people", "ensemble",
    paste(seconds(cells("ensemble", "2")[2]), "on two threads"),
    paste(seconds(cells("ensemble", "1")[2]), "on one")),
  list("a mutant of MPRA-DragoNN (145 letters)", "sequence", micro(mutants("mpra_dragonn")[3]),
    paste("PyTorch:", micro(mutants("mpra_dragonn")[4]))),
  list("a mutant of a BPNet (1,000 letters)", "sequence", micro(mutants("bpnet_example")[3]),
    paste("PyTorch:", micro(mutants("bpnet_example")[4]))),
  list("all mutations of one sequence, DeepSEA's architecture, 919 outputs", "deep_mr_labels",
    seconds(labels$per_sequence[!is.na(labels$per_sequence)][1]), ""),
  list("an epoch of Deep MR's network, 12,500 sequences", "sequence_train",
    seconds(training$ours), paste("PyTorch:", seconds(training$theirs))),
  list("slopes and mean effect of 6,000,000 effects, five members", "deep_mr_speed",
    seconds(cells("deep_mr_speed", "slopes and members", "1")[3]), ""),
  list("effects of all mutations of 4,000 sequences", "memory",
    paste(of_memory("mutagenize(dir = )"), "MB, written to a directory"),
    paste(of_memory("mutagenize()"), "MB as a data.frame")),
  list("a sweep of 1,440 neural fits, 1,000 to 30,000 people", "sweep_poster",
    paste(words("sweep_poster", "[^0-9.]([0-9.]+) minutes of runs"), "minutes of one thread"), "")
)
measured <- do.call(rbind, lapply(measured, function(row) {
  data.frame(what = row[[1]], here = row[[3]], beside = row[[4]],
    command = sprintf("`Rscript bench/%s.R`", row[[2]]))
}))
killed <- data.frame(what = c("a sweep by Slurm, one job and the submitting process killed",
  "a sweep, killed 200 times (10 times in every `make test`)"),
here = "the table of the run that was not", beside = "", command = c("`make slurm`",
  "`MRLEARN_LONG_TESTS=1 Rscript dev/test.R sweep_kill`"))
write_table(rbind(measured, killed), "scaling_measured")

# How many times as fast as plain forward passes. Published: Nair et al. (2022), table of their
# notebook; Schreiber et al. (2022), CPU notebook; 1,000 letters.
ratio <- function(model) mutants(model)[6]
findings <- grep(": (confirmed|refuted)\\.$", page("sweep_poster"), value = TRUE)
write_table(data.frame(
  claim = c("mutagenesis, convolutions with pooling: Basset; here MPRA-DragoNN",
    "mutagenesis, dilated convolutions: BPNet",
    "mutagenesis, the network of Deep MR's simulations",
    "ml-mr's poster: Quantile IV is steadiest, interval widths choose settings"),
  published = c("fastISM 10.1 (GPU), Yuzu 7.8 (CPU)", "fastISM 1.6 (GPU), Yuzu 3.7 (CPU, smaller)",
    "", "seven findings"),
  here = c(ratio("mpra_dragonn"), ratio("bpnet_example"), ratio("simulation_cnn"),
    paste(sum(grepl("confirmed", findings)), "of", length(findings), "confirmed")),
  command = c(rep("`Rscript bench/sequence.R`", 3), "`Rscript bench/sweep_poster.R`")
), "scaling_published")
