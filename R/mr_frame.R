# A harmonised data frame to the numbers that estimators from summary data need.

# The columns that TwoSampleMR's mr() needs.
mr_columns <- c(
  "id.exposure", "id.outcome", "exposure", "outcome", "mr_keep", "beta.exposure", "beta.outcome",
  "se.exposure", "se.outcome"
)

# Usable rows of a harmonised frame, sorted by exposure-outcome pair; pairs are in order of their
# first appearance, also those of which no row is usable. A list: pairs (data.frame id.exposure
# id.outcome outcome exposure), effects (bx, sx, by, sy of the usable rows), start (where each
# pair's rows start, from 0, and one past the last), row (their rows in dat). `needed`: further
# columns. Says what was dropped and warns of variants that a pair has twice.
mr_frame <- function(dat, needed = character(), arg = "dat") {
  check_mr_columns(dat, c(mr_columns, needed), arg)
  keys <- list(
    mr_names(dat, "id.exposure", arg), mr_names(dat, "id.outcome", arg),
    if ("SNP" %in% names(dat)) mr_names(dat, "SNP", arg, missing = TRUE)
  )
  numbers <- c("beta.exposure", "se.exposure", "beta.outcome", "se.outcome")
  effects <- lapply(numbers, function(name) mr_numbers(dat, name, arg))
  out <- .Call(C_mr_frame, keys, mr_flags(dat, "mr_keep", arg), effects)
  check_status(out$status, "sorting the variants by exposure and outcome")
  out <- out$value
  report_dropped(out$n_dropped, length(keys[[1]]))
  warn_duplicates(out, keys)
  names(out$effects) <- c("bx", "sx", "by", "sy")
  first <- out$first + 1L
  list(
    pairs = data.frame(
      id.exposure = keys[[1]][first], id.outcome = keys[[2]][first],
      outcome = as.character(dat[["outcome"]][first]),
      exposure = as.character(dat[["exposure"]][first])
    ),
    effects = out$effects, start = out$start,
    row = if (is.null(out$row)) seq_along(keys[[1]]) else out$row + 1L
  )
}

check_mr_columns <- function(dat, needed, arg) {
  if (!is.data.frame(dat)) {
    stop_argument(arg, "must be a data frame of harmonised effects", describe(dat))
  }
  missing <- setdiff(needed, names(dat))
  if (length(missing)) {
    stop_mrl("data", "`", arg, "` lacks the column", if (length(missing) > 1L) "s", " ",
      shorten(missing, 30L), "; it has ",
      if (length(dat)) shorten(names(dat), 60L) else "no columns", ".")
  }
  if (!nrow(dat)) {
    stop_argument(arg, "must have rows", "none", what = "data")
  }
}

# A column of names as strings of one encoding, so that equal names are one object.
mr_names <- function(dat, name, arg, missing = FALSE) {
  x <- dat[[name]]
  if (!is.atomic(x) || length(x) != nrow(dat)) {
    stop_argument(paste0(arg, "$", name), "must be a vector of names", describe(x))
  }
  x <- enc2utf8(if (is.character(x)) as.vector(x) else as.character(x))
  if (!missing && anyNA(x)) {
    stop_argument(paste0(arg, "$", name), "must not be missing", paste(sum(is.na(x)), "NA"),
      what = "data")
  }
  x
}

mr_numbers <- function(dat, name, arg) {
  x <- dat[[name]]
  x <- if (inherits(x, "haven_labelled")) unclass(x) else x
  check_doubles(x, paste0(arg, "$", name), n = nrow(dat), finite = FALSE)
}

# TRUE and FALSE, or 1 and 0 as other programs write them.
mr_flags <- function(dat, name, arg) {
  x <- dat[[name]]
  if (is.logical(x) && length(x) == nrow(dat)) {
    return(as.vector(x))
  }
  x <- if (inherits(x, "haven_labelled")) unclass(x) else x
  if (!is.numeric(x) || length(x) != nrow(dat) || !all(x %in% c(0, 1, NA))) {
    stop_argument(paste0(arg, "$", name), "must be TRUE or FALSE", describe(x))
  }
  as.logical(x)
}

report_dropped <- function(n, n_rows) {
  if (any(n > 0L)) {
    why <- paste(n, c(
      "with mr_keep FALSE", "with mr_keep NA",
      "with a missing or infinite effect or standard error",
      "with a standard error of zero or less"
    ))
    inform_mrl("dropped", sum(n), " of ", n_rows, " rows are not used: ",
      paste(why[n > 0L], collapse = ", "), ".")
  }
}

warn_duplicates <- function(out, keys) {
  if (out$n_duplicate > 0L) {
    i <- out$duplicate + 1L
    warn_mrl(
      "duplicates", out$n_duplicate, if (out$n_duplicate > 1L) " rows repeat" else " row repeats",
      " a variant of the same pair (first: ", keys[[3]][i], " of ", keys[[1]][i], " and ",
      keys[[2]][i], "). Each row counts as evidence of its own; keep one per variant."
    )
  }
}
