# Peak memory by people and variants: estimators that stream genotypes from a PLINK file, the same
# with a matrix, and effects of mutations kept in memory or written to a directory.
#
#   Rscript bench/memory.R
#
# writes bench/memory.csv and bench/memory.md; about a minute. Each row is a process of its own on
# one thread, whose peak of resident memory Linux tells (VmHWM), less that of a process which loads
# the package only. Files are made in a temporary folder.
option <- function(name, otherwise) {
  hit <- grep(paste0("^--", name, "="), commandArgs(TRUE), value = TRUE)
  if (length(hit)) sub("^[^=]*=", "", hit[1]) else otherwise
}
folder <- option("folder", tempfile("memory"))
step <- option("step", "all")
people <- as.integer(option("people", "0"))
variants <- as.integer(option("variants", "0"))
options(mrlearn.threads = 1L)
suppressMessages(library(mrlearn))

prefix <- function(n, m) file.path(folder, paste0("g", format(n, scientific = FALSE), "_", m))

# Random genotypes of all three kinds, written byte by byte; their phenotypes are noise.
make_file <- function(n, m) {
  set.seed(1)
  con <- file(paste0(prefix(n, m), ".bed"), "wb")
  writeBin(as.raw(c(0x6c, 0x1b, 0x01)), con)
  codes <- as.raw(as.matrix(expand.grid(rep(list(c(0, 2, 3)), 4))) %*% 4^(0:3))
  for (j in seq_len(m)) {
    writeBin(sample(codes, ceiling(n / 4), TRUE), con)
  }
  close(con)
  write <- function(x, ext) {
    utils::write.table(x, paste0(prefix(n, m), ext), quote = FALSE, row.names = FALSE,
      col.names = FALSE)
  }
  write(data.frame(1, paste0("rs", seq_len(m)), 0, seq_len(m), "A", "G"), ".bim")
  write(data.frame(0, paste0("p", seq_len(n)), 0, 0, 0, -9), ".fam")
}

phenotypes <- function() {
  set.seed(2)
  data.frame(x = stats::rnorm(people), y = stats::rnorm(people))
}

fit_2sls <- function(genotypes) {
  data <- phenotypes()
  suppressMessages(iv_2sls(y ~ x | genotypes, data))
}

small_model <- function() {
  set.seed(1)
  seq_model(list(seq_layer("conv", units = 15, taps = 7),
    seq_layer("activation", activation = "relu"), seq_layer("global_max"),
    seq_layer("dense", units = 2)), 100, parameters = stats::rnorm(15 * 28 + 15 + 32))
}

# `people` sequences of 100 letters.
draw_sequences <- function() {
  set.seed(3)
  letters <- matrix(sample(c("A", "C", "G", "T"), 100 * people, TRUE), people)
  stats::setNames(do.call(paste0, as.data.frame(letters)), paste0("s", seq_len(people)))
}

steps <- list(
  loaded = function() NULL,
  "iv_2sls(), file" = function() fit_2sls(bed(prefix(people, variants))),
  "iv_2sls(), matrix" = function() fit_2sls(as.matrix(bed(prefix(people, variants)))),
  "iv_crossprod()" = function() {
    genotypes <- bed(prefix(people, variants))
    data <- phenotypes()
    suppressMessages(iv_crossprod(y ~ x | genotypes, data))
  },
  "snp_associations()" = function() {
    snp_associations(bed(prefix(people, variants)), phenotypes(), "y")
  },
  "mutagenize()" = function() mutagenize(small_model(), draw_sequences()),
  "mutagenize(dir = )" = function() {
    mutagenize(small_model(), draw_sequences(), dir = tempfile())
  }
)

run_step <- function() {
  took <- system.time(steps[[step]]())[["elapsed"]]
  line <- grep("^VmHWM", readLines("/proc/self/status"), value = TRUE)
  saveRDS(c(took, as.double(gsub("[^0-9]", "", line)) / 1024), file.path(folder, "result.rds"))
}

measure <- function(what, n, m) {
  script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))
  args <- c(script, shQuote(paste0("--step=", what)), paste0("--people=", n),
    paste0("--variants=", m), paste0("--folder=", folder))
  if (system2(file.path(R.home("bin"), "Rscript"), args) != 0) {
    stop("step failed: ", what)
  }
  value <- readRDS(file.path(folder, "result.rds"))
  data.frame(what = what, people = n, variants = m, seconds = value[1], peak_mb = value[2])
}

run_all <- function() {
  dir.create(folder)
  on.exit(unlink(folder, recursive = TRUE))
  sizes <- expand.grid(people = c(1e5, 2e5), variants = c(250, 500))
  names <- grep("iv_|snp_", names(steps), value = TRUE)
  rows <- lapply(seq_len(nrow(sizes)), function(i) {
    make_file(sizes$people[i], sizes$variants[i])
    do.call(rbind, lapply(names, measure, sizes$people[i], sizes$variants[i]))
  })
  mutated <- lapply(c(1e3, 4e3), function(n) {
    rbind(measure("mutagenize()", n, 300), measure("mutagenize(dir = )", n, 300))
  })
  base <- measure("loaded", 0, 0)$peak_mb
  rows <- do.call(rbind, c(rows, mutated))
  rows$peak_mb <- rows$peak_mb - base
  rows[order(match(rows$what, names(steps)), rows$variants, rows$people), ]
}

report <- function(rows) {
  c("# Peak memory", "",
    paste("Written by `bench/memory.R`: MB beyond those of R with the package loaded, one thread.",
      "Rows of `mutagenize()`: sequences, mutations of each, two outputs."), "",
    "| what | people or sequences | variants | seconds | MB |",
    "| :--- | ---: | ---: | ---: | ---: |",
    sprintf("| %s | %s | %g | %.2f | %.0f |", rows$what, format(rows$people, big.mark = ",",
      scientific = FALSE), rows$variants, rows$seconds, rows$peak_mb))
}

if (step == "all") {
  rows <- run_all()
  rows[c("seconds", "peak_mb")] <- lapply(rows[c("seconds", "peak_mb")], round, 2)
  utils::write.csv(rows, file.path("bench", "memory.csv"), row.names = FALSE)
  text <- report(rows)
  writeLines(text, file.path("bench", "memory.md"))
  writeLines(text)
} else {
  run_step()
}
