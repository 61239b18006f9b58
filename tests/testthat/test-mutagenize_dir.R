gc_model <- function(f = identity) {
  seq_predictor(function(s) {
    f(s)
    cbind(gc = nchar(gsub("[AT]", "", s)), a = nchar(gsub("[CGT]", "", s)))
  })
}

set.seed(1)
letters4 <- c("A", "C", "G", "T")
text <- stats::setNames(replicate(7, paste(sample(letters4, 5, TRUE), collapse = "")),
  c(paste0("s", 1:5), "", "s7"))

test_that("effects on disk are those in memory", {
  dir <- withr::local_tempfile()
  expect_identical(mutagenize(gc_model(), text, dir = dir, per_chunk = 2), dir)
  found <- read_effects(dir)
  expect_identical(attr(found, "n_chunks"), 4)
  expect_equal(found, mutagenize(gc_model(), text), ignore_attr = "n_chunks")
  expect_identical(unique(read_effects(dir, 3)$sequence), c("s5", "6"))
  expect_identical(mutagenize(gc_model(), text, dir = NULL), mutagenize(gc_model(), text))
})

test_that("listed variants are written by the sequences that they are of", {
  variants <- data.frame(sequence = c("s7", "s2", "s7", "s4"), position = c(1, 2, 3, 4), alt = "A")
  variants$alt <- ifelse(substr(text[variants$sequence], variants$position, variants$position) ==
    "A", "C", "A")
  dir <- withr::local_tempfile()
  mutagenize(gc_model(), text, variants = variants, dir = dir, per_chunk = 2)
  expect_equal(read_effects(dir), mutagenize(gc_model(), text, variants = variants[c(2, 4, 1, 3),
    ]), ignore_attr = "n_chunks")
})

test_that("a network's effects go to disk, in default chunks", {
  model <- seq_model(list(seq_layer("dense", units = 1)), 5, parameters = (1:21) / 7)
  dir <- withr::local_tempfile()
  mutagenize(model, text, positions = 2:3, dir = dir)
  expect_equal(read_effects(dir), mutagenize(model, text, positions = 2:3),
    ignore_attr = "n_chunks")
})

test_that("an ensemble's effects go to disk with its members", {
  one <- function(slope) {
    seq_model(list(seq_layer("dense", units = 1)), 5, parameters = slope * (1:21))
  }
  ensemble <- structure(list(members = list(one(1), one(2)), bootstrap = FALSE, seed = 1),
    class = "seq_ensemble")
  dir <- withr::local_tempfile()
  mutagenize(ensemble, text, dir = dir, per_chunk = 3)
  expect_equal(read_effects(dir), mutagenize(ensemble, text), ignore_attr = "n_chunks")
  ensemble$members[[2]] <- one(3)
  expect_error(mutagenize(ensemble, text, dir = dir, per_chunk = 3),
    class = "mrlearn_error_checkpoint")
})

# The run kills itself in its third chunk, in a process of its own.
test_that("a killed run goes on without computing again what is there", {
  skip_on_os("windows")
  dir <- withr::local_tempfile()
  log <- withr::local_tempfile(lines = character())
  deadly <- gc_model(function(s) {
    cat("call\n", file = log, append = TRUE)
    if (length(readLines(log)) == 5L) tools::pskill(Sys.getpid(), 9) # two calls for each chunk
  })
  run <- parallel::mcparallel(mutagenize(deadly, text, dir = dir, per_chunk = 2))
  suppressWarnings(parallel::mccollect(run))
  expect_length(readLines(log), 5)
  expect_length(list.files(dir, "^effects-"), 2)
  # what is left of a write that was cut off is not taken for a chunk
  writeLines("half", file.path(dir, "checkpoint-x.tmp"))
  expect_error(read_effects(dir), "not finished", class = "mrlearn_error_checkpoint")
  mutagenize(deadly, text, dir = dir, per_chunk = 2)
  expect_length(readLines(log), 5 + 4)
  expect_equal(read_effects(dir), mutagenize(gc_model(), text), ignore_attr = "n_chunks")
  mutagenize(deadly, text, dir = dir, per_chunk = 2)
  expect_length(readLines(log), 5 + 4)
})

test_that("a directory of another run is refused", {
  dir <- withr::local_tempfile()
  mutagenize(gc_model(), text, dir = dir, per_chunk = 3)
  refused <- function(...) {
    expect_error(mutagenize(..., dir = dir), class = "mrlearn_error_checkpoint")
  }
  refused(gc_model(), text, per_chunk = 2)
  refused(gc_model(), rev(text), per_chunk = 3)
  refused(gc_model(), text, positions = 1, per_chunk = 3)
  refused(seq_predictor(nchar), text, per_chunk = 3)
  saveRDS(1, file.path(dir, "run.rds"))
  refused(gc_model(), text, per_chunk = 3)
  expect_error(read_effects(dir), class = "mrlearn_error_checkpoint")
  failed <- withr::local_tempfile()
  expect_error(mutagenize(gc_model(), c("ACGT", "ACG"), dir = failed), class = "mrlearn_error_data")
  expect_identical(mutagenize(gc_model(), text, dir = failed), failed) # nothing was there yet
  other <- withr::local_tempdir()
  file.create(file.path(other, "mine"))
  expect_error(mutagenize(gc_model(), text, dir = other), class = "mrlearn_error_checkpoint")
  expect_error(mutagenize(gc_model(), text, dir = 1), class = "mrlearn_error_argument")
  expect_error(mutagenize(gc_model(), 1:3, dir = dir), class = "mrlearn_error_argument")
})
