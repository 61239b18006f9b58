# mrlearn mr: estimates from summary statistics.

cli_mr_command <- function() {
  list(
    name = "mr", title = "estimate causal effects from summary statistics", words = "FILE",
    about = c(
      "Reads a table of variants (CSV or TSV, plain or compressed) and prints the estimates of",
      "each method for each exposure-outcome pair. Columns: those of TwoSampleMR's harmonised",
      "data (beta.exposure, se.exposure, beta.outcome, se.outcome, ...), or b_exp, se_exp,",
      "b_out, se_out and, if known, snp, exposure, outcome, effect_allele, other_allele, eaf,",
      "samplesize_exp, samplesize_out. The effects must count the same allele."
    ),
    options = cli_shared_options(
      cli_option("methods", "texts", "NAME", "methods by name (?mr_methods in R lists them)"),
      cli_option("diagnose", "flag", "", "print diagnostics of the instruments instead"),
      cli_option("per", "text", "WHAT", "diagnostics per pair (default) or snp"),
      cli_option("boot", "count", "N", "bootstrap draws (1000)"),
      cli_option("seed", "count", "N", "seed of all that is random"),
      cli_option("conf-level", "number", "LEVEL", "level of the intervals (0.95)"),
      cli_option("sep", "text", "CHAR", "delimiter, if the header misleads")
    ),
    examples = c(
      "mrlearn mr harmonised.csv",
      "mrlearn mr harmonised.tsv.gz --methods mr_ivw mr_raps --json",
      "mrlearn mr harmonised.csv --diagnose"
    ),
    run = run_mr
  )
}

run_mr <- function(given) {
  dat <- read_summary_data(given$words, given$values$sep)
  if (isTRUE(given$values$diagnose)) {
    return(cli_print(given, mr_diagnose(dat, per = cli_value(given, "per", "pair"))))
  }
  out <- mr_estimate(dat, given$values$methods, n_boot = cli_value(given, "boot", 1000),
    conf_level = cli_value(given, "conf-level", 0.95), seed = given$values$seed,
    n_threads = cli_threads(given))
  cli_print(given, out)
}

# A harmonised data.frame from a file with the columns of TwoSampleMR or of mr_data().
read_summary_data <- function(file, sep) {
  names <- table_header(file, sep)$names
  numbers <- c("b_exp", "se_exp", "b_out", "se_out")
  theirs <- c("beta.exposure", "se.exposure", "beta.outcome", "se.outcome")
  ours <- all(numbers %in% names)
  if (!ours && !all(theirs %in% names)) {
    closer <- if (sum(numbers %in% names) > sum(theirs %in% names)) numbers else theirs
    stop_mrl("data", "\"", file, "\" lacks ", shorten(setdiff(closer, names)),
      "; needed are ", shorten(theirs), " or ", shorten(numbers), ".")
  }
  must <- c(if (ours) numbers else theirs)
  dat <- table_columns(file, list(numbers = must, other = setdiff(unique(names), must)), "numbers",
    sep)$data
  if (!ours) {
    return(with_pairs(dat))
  }
  known <- setdiff(names(formals(mr_data)), numbers)
  do.call(mr_data, as.list(dat[c(numbers, intersect(known, names(dat)))]))
}

# What TwoSampleMR's functions add and a file may not have: one pair, all kept.
with_pairs <- function(dat) {
  for (side in c("exposure", "outcome")) {
    id <- paste0("id.", side)
    if (is.null(dat[[side]])) {
      dat[[side]] <- if (is.null(dat[[id]])) side else dat[[id]]
    }
    if (is.null(dat[[id]])) {
      dat[[id]] <- dat[[side]]
    }
  }
  if (is.null(dat$SNP)) {
    dat$SNP <- paste0("snp", seq_len(nrow(dat)))
  }
  dat$mr_keep <- if (is.null(dat$mr_keep)) {
    TRUE
  } else {
    dat$mr_keep %in% c("TRUE", "True", "true", "T", "1")
  }
  dat
}
