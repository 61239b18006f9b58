#' Results and effects in TwoSampleMR's terms
#'
#' Turns what this package gives into what TwoSampleMR takes: a fit on individual-level data into a
#' row of nine columns that can be bound under `mr()`'s, and effects of variants into a harmonised
#' data.frame.
#'
#' @param x A fit of an `iv_*()` function; or a data.frame of effects: either harmonised already (it
#'   has `beta.exposure`, ...), or with a row for each variant and output, as from saturation
#'   mutagenesis, with the columns `position, ref, alt, output, effect, std.error` and optionally
#'   `sequence`.
#' @param exposure,outcome For effects by output: the outputs that are exposure and outcome.
#' @param ... Nothing else may be given.
#' @return For fits a data.frame `id.exposure, id.outcome, outcome, exposure, method, nsnp, b, se,
#'   pval` with a row per exposure (`nsnp`: instruments). For effects a harmonised data.frame, as
#'   [mr_data()] makes it; several sequences become several pairs, with the sequence in the ids.
#' @examples
#' sim <- sim_contextual(n = 1000, L = 5)
#' as_twosamplemr(iv_2sls(Y ~ X | G0 + G1 + G2 + G3 + G4, data = sim))
#' @export
as_twosamplemr <- function(x, ...) {
  UseMethod("as_twosamplemr")
}

#' @export
as_twosamplemr.default <- function(x, ...) {
  stop_argument("x", "must be a fit of an iv_*() function or a data.frame of effects", describe(x))
}

#' @rdname as_twosamplemr
#' @export
as_twosamplemr.iv_fit <- function(x, ...) {
  check_no_dots(...)
  table <- tidy(x, exposures_only = TRUE)
  data.frame(
    id.exposure = table$term, id.outcome = x$outcome, outcome = x$outcome, exposure = table$term,
    method = x$estimator, nsnp = if (is.null(x$n_instruments)) NA_integer_ else x$n_instruments,
    b = table$estimate, se = table$std.error, pval = table$p.value
  )
}

#' @rdname as_twosamplemr
#' @export
as_twosamplemr.data.frame <- function(x, exposure = NULL, outcome = NULL, ...) {
  check_no_dots(...)
  if (any(c("beta.exposure", "beta.outcome") %in% names(x))) {
    check_mr_columns(x, setdiff(mr_columns, "mr_keep"), "x")
    x <- as.data.frame(x)
    if (is.null(x$mr_keep)) {
      x$mr_keep <- TRUE
    }
    return(x)
  }
  needed <- c("position", "ref", "alt", "output", "effect", "std.error")
  check_mr_columns(x, needed, "x")
  outputs_to_pairs(as.data.frame(x), check_output(x, exposure, "exposure"),
    check_output(x, outcome, "outcome"))
}

check_output <- function(x, name, arg) {
  name <- check_string(name, arg)
  if (!name %in% x$output) {
    stop_argument(arg, paste("must be one of the outputs", shorten(unique(as.character(x$output)))),
      describe(name))
  }
  name
}

# Rows by variant and output to rows by variant.
outputs_to_pairs <- function(x, exposure, outcome) {
  where <- if (!is.null(x$sequence)) paste0(x$sequence, ":")
  variant <- paste0(where, x$position, x$ref, ">", x$alt)
  is_x <- x$output == exposure
  is_y <- x$output == outcome
  if (anyDuplicated(variant[is_x]) || anyDuplicated(variant[is_y])) {
    stop_mrl("data", "`x` has a variant twice for the same output.")
  }
  both <- intersect(variant[is_x], variant[is_y])
  missing <- length(union(variant[is_x], variant[is_y])) - length(both)
  if (missing > 0L) {
    inform_mrl("dropped", missing, if (missing > 1L) " variants have" else " variant has",
      " only one of the two outputs, left out.")
  }
  at_x <- which(is_x)[match(both, variant[is_x])]
  at_y <- which(is_y)[match(both, variant[is_y])]
  dat <- mr_data(x$effect[at_x], x$std.error[at_x], x$effect[at_y], x$std.error[at_y], snp = both,
    exposure = exposure, outcome = outcome, effect_allele = as.character(x$alt[at_x]),
    other_allele = as.character(x$ref[at_x]))
  if (!is.null(x$sequence)) {
    dat$id.exposure <- paste(exposure, x$sequence[at_x], sep = "@")
    dat$id.outcome <- paste(outcome, x$sequence[at_x], sep = "@")
  }
  dat
}
