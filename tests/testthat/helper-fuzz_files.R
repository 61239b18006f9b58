# The fuzzer of what reads files, formulas and command lines: valid ones, changed at random.
# dev/fuzz/readers.R runs it at length; the rule is that of helper-fuzz.R.

# Bytes changed like damage or malice would: one to three times a flip, a cut, a part twice, a part
# elsewhere, a large size, something deep.
fuzz_bytes <- function(bytes) {
  for (i in seq_len(sample.int(3L, 1L))) {
    bytes <- fuzz_bytes_once(bytes)
  }
  bytes
}

fuzz_bytes_once <- function(bytes) {
  n <- length(bytes)
  if (n == 0L) {
    return(as.raw(sample.int(256L, sample.int(20L, 1L), TRUE) - 1L))
  }
  at <- sample.int(n, 1L)
  part <- bytes[seq(at, min(n, at + stats::rgeom(1L, 0.05)))]
  put <- function(what, instead = 0L) {
    c(utils::head(bytes, at - 1L), what, utils::tail(bytes, max(0L, n - at + 1L - instead)))
  }
  fuzz_one(list(
    function() replace(bytes, at, as.raw(sample.int(256L, 1L) - 1L)),
    function() replace(bytes, at, xor(bytes[at], as.raw(2^sample(0:7, 1L)))),
    function() utils::head(bytes, at - 1L),
    function() put(part), function() put(raw(0), length(part)), function() c(bytes, part),
    function() put(rep(part, 50L)), function() put(charToRaw(fuzz_one(fuzz_tokens)), 1L),
    function() put(charToRaw(fuzz_one(fuzz_tokens))), function() put(as.raw(c(255, 255, 255, 127))),
    function() fuzz_bytes_number(bytes), function() fuzz_bytes_number(bytes)
  ))()
}

fuzz_tokens <- c(
  "null", "true", "-1", "1e308", "2147483647", "4294967296", "1e-400", "NaN", "NA", "{}", "[]",
  "[[]]", "\"\"", "\"a\"", "{\"a\": 1}", ",", ":", "}", "]", "\n", "\t", " ", "\r\n", ">", "0",
  "0.5",
  strrep("[", 3000), strrep("{\"a\":", 2000), strrep("(", 3000), "\u00fc", "\\u0000", "'", "#"
)

# A number of a text by another one.
fuzz_bytes_number <- function(bytes) {
  text <- rawToChar(bytes[bytes != 0L])
  found <- gregexpr("-?[0-9][0-9.e+-]*", text, useBytes = TRUE)[[1]]
  if (found[1] < 0L) {
    return(bytes)
  }
  k <- sample.int(length(found), 1L)
  new <- fuzz_one(c("0", "-1", "2", "3", "1e9", "2147483648", "1e308", "0.5", "99999", "null",
    "[1]", "[]", "\"3\"", "[1,2]", "{}"))
  before <- substr_bytes(text, 1L, found[k] - 1L)
  after <- substr_bytes(text, found[k] + attr(found, "match.length")[k], nchar(text, "bytes"))
  charToRaw(paste0(before, new, after))
}

substr_bytes <- function(text, from, to) {
  if (to < from) "" else rawToChar(charToRaw(text)[from:to])
}

# What is read: `files`, a function of the room that gives paths of valid files, the first part of
# which is `prefix`; `read`, called with the prefix of the changed copies.
fuzz_readers <- list(
  fasta = list(files = function(room) room$fasta_file, read = function(p) read_fasta(p)),
  vcf = list(files = function(room) room$vcf_file, read = function(p) read_vcf(p)),
  motif = list(
    files = function(room) system.file("extdata", "motifs", "GATA1.tsv", package = "mrlearn"),
    read = function(p) read_motif(p)
  ),
  sweep = list(files = function(room) room$config_file, read = function(p) read_sweep_config(p)),
  simulation = list(
    files = function(room) paste0(room$rich_prefix, c(".json", ".csv.gz")),
    read = function(p) resample(read_simulation(p), seed = 1)
  ),
  model = list(
    files = function(room) paste0(room$model_file, c(".json", ".bin")),
    read = function(p) predict(read_seq_model(p), "ACGTAC")
  ),
  bed = list(
    files = function(room) sub("bed$", "", room$genotypes$path) |> paste0(c("bed", "bim", "fam")),
    read = function(p) bed_stats(bed(p))
  ),
  keras = list(
    files = function(room) room$keras_files,
    read = function(p) predict(read_keras_model(paste0(p, ".h5"), paste0(p, ".json")), "ACGTAC")
  )
)

# A small network as Keras writes it: the paths of its weights and its configuration.
fuzz_keras <- function(prefix) {
  files <- paste0(prefix, c(".h5", ".json"))
  layer <- function(class, name, ...) list(class_name = class, config = list(name = name, ...))
  config <- list(class_name = "Sequential", config = list(name = "net", layers = list(
    layer("Conv1D", "conv", filters = 2, kernel_size = list(3), strides = list(1),
      padding = "valid", dilation_rate = list(1), activation = "relu", use_bias = TRUE,
      batch_input_shape = list(NULL, 6, 4)),
    layer("BatchNormalization", "norm", axis = list(2), epsilon = 1e-3, center = TRUE,
      scale = TRUE),
    layer("MaxPooling1D", "pool", pool_size = list(2), strides = list(2), padding = "valid"),
    layer("Flatten", "flat"), layer("Dense", "dense", units = 1, activation = "linear",
      use_bias = TRUE)
  )))
  write_keras(files[1], list(
    conv = list("conv/kernel:0" = array(sin(1:24), c(3, 4, 2)), "conv/bias:0" = 1:2),
    norm = list("norm/gamma:0" = 1:2, "norm/beta:0" = 1:2, "norm/moving_mean:0" = 1:2,
      "norm/moving_variance:0" = 1:2),
    pool = list(), flat = list(),
    dense = list("dense/kernel:0" = matrix(cos(1:4), 4), "dense/bias:0" = 0)
  ))
  writeLines(to_json(config), files[2])
  files
}

# One reader with copies of its files in `dir`, one of them changed.
fuzz_reader_trial <- function(name, room, dir) {
  reader <- fuzz_readers[[name]]
  files <- reader$files(room)
  endings <- sub("^[^.]*", "", basename(files))
  prefix <- file.path(dir, "changed")
  changed <- sample.int(length(files), 1L)
  for (i in seq_along(files)) {
    bytes <- readBin(files[i], "raw", file.size(files[i]))
    if (i == changed) {
      bytes <- fuzz_reader_bytes(bytes, endings[i])
    }
    writeBin(bytes, paste0(prefix, endings[i]))
  }
  path <- if (length(files) == 1L) paste0(prefix, endings) else prefix
  list(call = as.call(list(reader$read, path)), values = list(), changed = endings[changed])
}

# What is compressed is changed inside or outside.
fuzz_reader_bytes <- function(bytes, ending) {
  if (!endsWith(ending, ".gz") || stats::runif(1) < 0.3) {
    return(fuzz_bytes(bytes))
  }
  inside <- memDecompress(bytes, "gzip")
  memCompress(fuzz_bytes(inside), "gzip")
}

fuzz_formula_parts <- c(
  "y", "x", "w", "z", "g1", "family", "group", "nowhere", "1", "0", "-1", ".", "(x + w)", "x:w",
  "x*group", "I(x^2)", "poly(x, 2)", "log(x)", "offset(w)", "factor(family)", "cbind(x, w)", "NULL",
  "\"a\"", "x^2", "x %in% w", "`a b`", "function(x) x", "mean", "Surv(x, w)", "s(x)", "z[, 1]",
  "data$x", "stop('mine')", "NA", "Inf", "{x}", "-x", "x/w", "ns(x)", "~x", "(x | z)", "TRUE"
)

fuzz_formula_trial <- function() {
  part <- function(n) {
    paste(sample(fuzz_formula_parts, n, TRUE), collapse = sample(c(" + ", " - ", "*", ":"), 1L))
  }
  side <- function() {
    paste(replicate(sample.int(3L, 1L), part(sample.int(3L, 1L))), collapse = " | ")
  }
  text <- fuzz_one(list(
    function() paste("y ~", side()), function() paste(part(1L), "~", side()),
    function() paste("y ~ x |", part(2L)), function() paste("y ~", part(2L), "| z"),
    function() paste("~", side())
  ))()
  formula <- tryCatch(stats::as.formula(text), error = function(e) y ~ x)
  estimator <- fuzz_one(alist(iv_2sls, iv_ols, iv_lasso, iv_liml, iv_jive, iv_crossprod))
  list(call = call(as.character(estimator), quote(formula), quote(toy)),
    values = list(formula = formula), changed = text)
}

# Words of command lines, some of them of files that are there. Nothing may leave cli_main() but a
# status, and that of an internal error is a finding.
fuzz_words_trial <- function(room, dir) {
  csv <- file.path(dir, "data.csv")
  toy <- room$toy
  utils::write.csv(data.frame(Y = toy$y, X = toy$x, G0 = toy$g1, g = toy$z), csv)
  words <- c("simulate", "estimate", "evaluate", "sweep", "mr", "deepmr", "help", "--help", "2sls",
    "ols", "lasso", "liml", "nonlinear", "contextual", "sim_nonlinear", "--data", csv, "--output",
    file.path(dir, "out"), "--exposure", "X", "--outcome", "Y", "--instruments", "G0", "g.g1",
    "--seed", "1", "--n", "20", "--json", "--threads", "--set", "n=20", "n_variants=3", "h2=0.5",
    "f=x^2", "--method", "--methods", "mr_ivw", "--overwrite", "-1", "1e9", "--", "-x", "-y", "-z",
    "-d", "", "a", "\u00fc", "--no-such", "=", "a=", "=b", "--seed=", "--set=a=1,2/3", "$(ls)", ";",
    "../x", room$fasta_file, room$config_file, room$model_file, "NULL", "q=3", "--covariates", "W")
  starts <- list(
    c("estimate", "2sls", "--data", csv, "--outcome", "Y", "--exposure", "X", "--instruments",
      "G0"),
    c("simulate", "nonlinear", "--output", file.path(dir, "sim"), "--set", "n=20"),
    c("sweep", room$config_file, "--output", file.path(dir, "sweep")), c("mr", csv), character()
  )
  line <- fuzz_one(starts)
  for (i in seq_len(sample.int(4L, 1L))) {
    at <- sample.int(length(line) + 1L, 1L)
    line <- if (at <= length(line) && stats::runif(1) < 0.4) {
      if (stats::runif(1) < 0.5) line[-at] else replace(line, at, sample(words, 1L))
    } else {
      append(line, sample(words, 1L), at - 1L)
    }
  }
  list(call = as.call(list(fuzz_cli, line)), values = list(), changed = paste(line, collapse = " "))
}

# A command line run; what it says of its own errors goes on as an error.
fuzz_cli <- function(line) {
  invisible(utils::capture.output(said <- utils::capture.output(
    status <- cli_main(line), type = "message"
  )))
  if (status == 3L && !any(grepl("While ", said))) {
    stop(paste(utils::tail(said, 1L)))
  }
  status
}

# Case number `case`, as fuzz_case() has it.
fuzz_reader_case <- function(case, room, dir, kinds = names(fuzz_readers), before = NULL,
                             limit = 10) {
  set.seed(case)
  name <- fuzz_one(c(kinds, "formula", "words"))
  if (!is.null(before)) before(name)
  trial <- switch(name,
    formula = fuzz_formula_trial(),
    words = fuzz_words_trial(room, dir),
    fuzz_reader_trial(name, room, dir)
  )
  outcome <- fuzz_try(trial, room, limit)
  c(list(case = case, name = name, changed = trial$changed), outcome)
}
