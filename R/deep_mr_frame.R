# Effects of mutations on two outputs, variant by variant and sequence by sequence.

# A list: `effect`, `se` (or NULL), `members` (or NULL) of all rows; `at`, the rows (from 0) of each
# variant's effects on exposure and outcome and where each sequence's variants start; `sequence`,
# the ids; `seq_of`, the number of each variant's sequence; `row`, the exposure's row in `effects`.
deep_frame <- function(effects, exposure, outcome) {
  effects <- check_deep_effects(effects)
  outputs <- unique(effects$output)
  exposure <- check_deep_output(exposure, outputs, "exposure")
  outcome <- check_deep_output(outcome, outputs, "outcome")
  if (exposure == outcome) {
    stop_argument("outcome", "must not be the exposure", describe(outcome))
  }
  if (!is.null(effects[["member"]])) {
    effects <- gather_members(effects, c(exposure, outcome))
  }
  x <- which(effects$output == exposure)
  y <- which(effects$output == outcome)
  key <- variant_keys(effects, x, y)
  check_variants_once(key$x, effects, x)
  if (!identical(key$x, key$y)) {
    check_variants_once(key$y, effects, y)
    both <- match(key$x, key$y)
    report_unpaired(sum(is.na(both)) + sum(!key$y %in% key$x))
    y <- y[both[!is.na(both)]]
    key <- list(seq = key$seq[!is.na(both)], ids = key$ids)
    x <- x[!is.na(both)]
  }
  frame_rows_by_sequence(effects, x, y, key, exposure, outcome)
}

frame_rows_by_sequence <- function(effects, x, y, key, exposure, outcome) {
  seq_of <- key$seq
  if (is.unsorted(seq_of)) {
    sorted <- order(seq_of)
    seq_of <- seq_of[sorted]
    x <- x[sorted]
    y <- y[sorted]
  }
  list(
    effect = effects$effect, se = effects[["std.error"]], members = effects[["members"]],
    at = list(x = x - 1L, y = y - 1L,
      start = c(0L, cumsum(tabulate(seq_of, length(key$ids))))),
    sequence = key$ids, seq_of = seq_of, exposure = exposure, outcome = outcome, table = effects
  )
}

check_deep_effects <- function(effects) {
  if (!is.data.frame(effects)) {
    stop_argument("effects", "must be a data.frame of effects, as mutagenize() returns it",
      describe(effects))
  }
  check_mr_columns(effects, c("sequence", "output", "effect"), "effects")
  if (is.null(effects[["position"]]) && is.null(effects[["variant"]])) {
    stop_mrl("data", "`effects` must say which variant each row is of: it lacks the column ",
      "`position` (with `alt`) or `variant`.")
  }
  effects$effect <- check_doubles(effects$effect, "effects$effect", n = nrow(effects))
  if (!is.null(effects[["std.error"]])) {
    effects$std.error <- check_doubles(effects$std.error, "effects$std.error", n = nrow(effects),
      finite = FALSE)
    stop_rows("effects$std.error", "must not be negative", effects$std.error,
      !is.na(effects$std.error) & effects$std.error < 0)
  }
  for (name in intersect(c("sequence", "output", "position", "variant", "alt", "ref"),
    names(effects))) {
    if (!is.atomic(effects[[name]]) || length(effects[[name]]) != nrow(effects)) {
      stop_argument(paste0("effects$", name), "must be a vector", describe(effects[[name]]))
    }
  }
  for (name in c("sequence", "output")) {
    stop_rows(paste0("effects$", name), "must not be missing", effects[[name]],
      is.na(effects[[name]]))
  }
  effects$output <- as.character(effects$output)
  members <- effects[["members"]]
  if (!is.null(members) && !(is.matrix(members) && is.numeric(members))) {
    stop_argument("effects$members", "must be a matrix with a column for each member",
      describe(effects$members))
  }
  effects
}

check_deep_output <- function(output, outputs, arg) {
  if (!is.character(output) || length(output) != 1L || !output %in% outputs) {
    stop_argument(arg, paste("must be an output with effects:", shorten(outputs, 60L)),
      describe(output))
  }
  as.character(output)
}

# Numbers that tell variants apart: number of the sequence, and within it one of the variant.
variant_keys <- function(effects, x, y) {
  rows <- c(x, y)
  sequence <- as.character(effects$sequence[rows])
  ids <- unique(sequence)
  of <- match(sequence, ids)
  code <- variant_codes(effects, rows)
  key <- of * (max(code) + 1) + code
  from_y <- length(x) + seq_along(y)
  list(x = key[seq_along(x)], y = key[from_y], seq = of[seq_along(x)], ids = ids)
}

variant_codes <- function(effects, rows) {
  number <- function(column) {
    value <- effects[[column]][rows]
    as.double(match(value, unique(value)))
  }
  if (!is.null(effects[["variant"]])) {
    return(number("variant"))
  }
  columns <- intersect(c("alt", "ref"), names(effects))
  code <- number("position")
  for (column in columns) {
    part <- number(column)
    code <- code * (max(part) + 1) + part
  }
  code
}

check_variants_once <- function(key, effects, rows) {
  again <- anyDuplicated(key)
  if (again) {
    at <- rows[again]
    stop_mrl("data", "`effects` must have one row per sequence, variant and output; sequence ",
      effects$sequence[at], " has one twice for ", effects$output[at], " (row ", at, ").")
  }
}

report_unpaired <- function(n) {
  if (n) {
    inform_mrl("dropped", big(n), " variants have an effect on one of the two outputs alone and ",
      "are not used.")
  }
}

# One row per sequence, variant and output from one per member as well, with the members' effects
# as a matrix, their mean and SD.
gather_members <- function(effects, outputs) {
  effects <- effects[effects$output %in% outputs, , drop = FALSE]
  members <- unique(effects$member)
  rows <- seq_len(nrow(effects))
  key <- variant_keys(effects, rows, integer())$x * length(outputs) +
    match(effects$output, outputs)
  first <- which(effects$member == members[1])
  each <- vapply(members, function(member) {
    mine <- which(effects$member == member)
    check_variants_once(key[mine], effects, mine)
    at <- match(key[first], key[mine])
    if (anyNA(at) || length(mine) != length(first)) {
      stop_mrl("data", "`effects` must have the same variants for every member; member ", member,
        " has others than ", members[1], ".")
    }
    effects$effect[mine][at]
  }, numeric(length(first)))
  each <- matrix(each, length(first))
  out <- effects[first, setdiff(names(effects), "member"), drop = FALSE]
  out$effect <- rowMeans(each)
  if (ncol(each) > 1L) {
    out$std.error <- sqrt(rowSums((each - out$effect)^2) / (ncol(each) - 1))
    out$members <- each
  }
  out
}
