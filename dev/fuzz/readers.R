# What reads files, formulas and command lines, on valid ones that were changed at random:
#   Rscript dev/fuzz/readers.R [--seconds=120] [--first=1] [--batch=400]
#   Rscript dev/fuzz/readers.R --case=17     one case again
#
# FASTA, VCF, tables of motifs, sweeps in JSON, simulations (JSON and CSV, changed within the
# compression or outside), sequence models (JSON and weights), PLINK files, Keras' JSON and HDF5;
# formulas put together from odd parts; words of command lines. Cases, children and outcomes are as
# in properties.R; of a command line the exit status must be one that its help names, 3 only for
# arithmetic that failed. RDS files are not read here: R's own format can hold code, and the help
# pages say never to load one from strangers.
script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))
source(file.path(dirname(script), "batches.R"))

new_cases <- function() {
  room <- fuzz$fuzz_room()
  kinds <- names(fuzz$fuzz_readers)
  if (requireNamespace("hdf5r", quietly = TRUE)) {
    room$keras_files <- fuzz$fuzz_keras(tempfile())
  } else {
    kinds <- setdiff(kinds, "keras")
  }
  dir <- tempfile()
  dir.create(dir)
  function(case, before) fuzz$fuzz_reader_case(case, room, dir, kinds, before)
}

if (!is.na(setting("case", NA))) {
  print(new_cases()(setting("case", 1), print))
} else {
  run(new_cases)
}
