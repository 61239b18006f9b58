# Instruments in a PLINK file: memory and time of two-stage least squares that streams them, and
# crossproducts by counting bits against those of doubles.
#
#   Rscript bench/bed.R [--people=500000] [--variants=1000] [--threads=2] [--missing=0]
#
# writes bench/bed.csv and bench/bed.md; about five minutes as it stands, on an idle machine. The
# file (125 MB) is made in a temporary folder. Each step runs in a process of its own, whose peak of
# resident memory Linux tells (VmHWM); times are the median of three.

option <- function(name, otherwise) {
  hit <- grep(paste0("^--", name, "="), commandArgs(TRUE), value = TRUE)
  if (length(hit)) sub("^[^=]*=", "", hit[1]) else otherwise
}
people <- as.integer(option("people", "500000"))
variants <- as.integer(option("variants", "1000"))
threads <- as.integer(option("threads", "2"))
missing <- as.double(option("missing", "0"))
step <- option("step", "all")
folder <- option("folder", tempfile("bed"))

# Genotypes variant by variant; an exposure of which they explain 5 per cent, an effect of 0.3.
make_file <- function() {
  set.seed(7)
  con <- file(file.path(folder, "g.bed"), "wb")
  writeBin(as.raw(c(0x6c, 0x1b, 0x01)), con)
  padded <- 4 * ceiling(people / 4)
  score <- numeric(people)
  for (j in seq_len(variants)) {
    p <- stats::runif(1, 0.05, 0.5)
    u <- stats::runif(people)
    g <- (u < 1 - (1 - p)^2) + (u < p^2)
    score <- score + stats::rnorm(1) / sqrt(p * (1 - p)) * g
    code <- c(3L, 2L, 0L)[g + 1L]
    if (missing > 0) {
      code[stats::runif(people) < missing] <- 1L
    }
    code <- matrix(c(code, integer(padded - people)), 4)
    writeBin(as.raw(code[1, ] + 4L * code[2, ] + 16L * code[3, ] + 64L * code[4, ]), con)
  }
  close(con)
  bim <- data.frame(1, paste0("rs", seq_len(variants)), 0, seq_len(variants), "A", "G")
  fam <- data.frame(0, paste0("p", seq_len(people)), 0, 0, 0, -9)
  write <- function(x, ext) {
    utils::write.table(x, file.path(folder, paste0("g", ext)), quote = FALSE, row.names = FALSE,
      col.names = FALSE)
  }
  write(bim, ".bim")
  write(fam, ".fam")
  confounder <- stats::rnorm(people)
  x <- sqrt(0.05) * drop(scale(score)) + confounder + stats::rnorm(people)
  data <- data.frame(iid = fam[[2]], x = x, w = stats::rnorm(people))
  data$y <- 0.3 * x + confounder + stats::rnorm(people)
  saveRDS(data, file.path(folder, "data.rds"), compress = FALSE)
}

peak_mb <- function() {
  line <- grep("^VmHWM", readLines("/proc/self/status"), value = TRUE)
  as.double(gsub("[^0-9]", "", line)) / 1024
}

seconds <- function(f, times = 3L) {
  stats::median(replicate(times, system.time(f())[["elapsed"]]))
}

genotypes <- function() mrlearn::bed(file.path(folder, "g"))

# All genotypes as doubles, 50 variants at a time.
decode <- function() {
  b <- genotypes()
  seconds(function() {
    for (first in seq(1L, variants, 50L)) {
      part <- b[, first:min(first + 49L, variants)]
      .Call(mrlearn:::C_bed_decode, mrlearn:::bed_source(part),
        list(impute = FALSE, n_threads = threads))
    }
  })
}

fit <- function(vcov, times) {
  data <- readRDS(file.path(folder, "data.rds"))
  b <- genotypes()
  seconds(function() {
    suppressMessages(
      mrlearn::iv_2sls(y ~ x + w | b + w, data, id = "iid", vcov = vcov, n_threads = threads)
    )
  }, times)
}

# Sums of products of all pairs. Weights of 1 take the road of doubles.
gram <- function(weights, times) {
  source <- mrlearn:::bed_source(genotypes())
  seconds(function() {
    .Call(mrlearn:::C_bed_sums, source, NULL, NULL, weights,
      list(missing = missing > 0, n_threads = threads, isa = mrlearn:::isa_setting()))
  }, times)
}

steps <- list(
  make = function() system.time(make_file())[["elapsed"]],
  open = function() seconds(genotypes),
  decode = decode,
  `2sls` = function() fit("iid", 3L),
  `2sls HC1` = function() fit("HC1", 1L),
  `gram, bits` = function() gram(NULL, 3L),
  `gram, doubles` = function() gram(rep(1, people), 1L)
)

run_step <- function(name) {
  dir.create(folder, showWarnings = FALSE)
  value <- steps[[name]]()
  saveRDS(data.frame(step = name, seconds = value, peak_mb = peak_mb()),
    file.path(folder, "result.rds"))
}

run_all <- function() {
  script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))
  rows <- lapply(names(steps), function(name) {
    args <- c(script, paste0("--people=", people), paste0("--variants=", variants),
      paste0("--threads=", threads), paste0("--missing=", missing),
      shQuote(paste0("--step=", name)), paste0("--folder=", folder))
    if (system2(file.path(R.home("bin"), "Rscript"), args) != 0) {
      stop("step failed: ", name)
    }
    readRDS(file.path(folder, "result.rds"))
  })
  unlink(folder, recursive = TRUE)
  do.call(rbind, rows)
}

report <- function(rows) {
  took <- stats::setNames(rows$seconds, rows$step)
  pair_people <- people * variants^2 / 2
  long <- took[["gram, bits"]] * (5e5 * 1e4^2 / 2) / pair_people / 60
  cpu <- grep("^model name", readLines("/proc/cpuinfo"), value = TRUE)[1]
  cpu <- sub(".*: *", "", cpu)
  c(
    "# Instruments in a PLINK file", "",
    sprintf("%s people, %s variants, %g of genotypes missing; %s, %d threads, %s; mrlearn %s.",
      format(people, big.mark = ","), format(variants, big.mark = ","), missing, cpu, threads,
      mrlearn:::isa_used(), utils::packageVersion("mrlearn")), "",
    "| step | seconds | peak memory, MB |", "| :--- | ---: | ---: |",
    sprintf("| %s | %.3g | %.0f |", rows$step, rows$seconds, rows$peak_mb), "",
    sprintf("Two-stage least squares takes %.1f times the decoding of the file alone, with robust",
      took[["2sls"]] / took[["decode"]]),
    sprintf("standard errors %.1f times.", took[["2sls HC1"]] / took[["decode"]]),
    sprintf("Crossproducts by counting bits are %.1f times as fast as those of doubles.",
      took[["gram, doubles"]] / took[["gram, bits"]]), "",
    sprintf("Those of 10,000 variants of 500,000 people would take %.1f minutes at this rate",
      long),
    "(extrapolated by people x variants^2, not measured)."
  )
}

if (step == "all") {
  rows <- run_all()
  utils::write.csv(rows, file.path("bench", "bed.csv"), row.names = FALSE)
  text <- report(rows)
  writeLines(text, file.path("bench", "bed.md"))
  writeLines(text)
} else {
  run_step(step)
}
