# What every simulator returns: a data.frame of class mr_sim that carries the truth it was made
# from.

# columns: a named list of columns with equally many rows. truth: a list with at least n, the number
# of rows. about: lines that say what was simulated, for print().
new_mr_sim <- function(columns, truth, about) {
  structure(
    columns,
    row.names = .set_row_names(truth$n), class = c("mr_sim", "data.frame"),
    truth = truth, about = about
  )
}

#' The truth behind simulated data
#'
#' Every simulator of this package returns a data.frame of class `mr_sim` and keeps with it what it
#' was drawn from: causal effects, confounders, noise, allele frequencies. What the list holds is
#' said on the simulator's own page; `n` (rows), `seed`, `beta` (the causal effect, one number or
#' one per person) and `curve` (a function of exposure values that gives the expected outcome had
#' everybody been given that exposure) are always there.
#'
#' The truth belongs to all the rows as they were drawn. So rows or columns taken with `[`,
#' [head()], [subset()] and the like, and [as.data.frame()], give a plain data.frame without it; a
#' column may be added or changed in place, and the truth stays what it was.
#'
#' @param sim What a simulator returned.
#' @return A list.
#' @examples
#' sim <- sim_contextual(n = 100, L = 3)
#' truth(sim)$pi
#' truth(sim)$curve(c(0, 1))
#' class(sim[1:10, ])
#' @export
truth <- function(sim) {
  if (!inherits(sim, "mr_sim")) {
    stop_argument("sim", "must be what a simulator returned (class mr_sim)", describe(sim))
  }
  out <- attr(sim, "truth", exact = TRUE)
  if (is.null(out) || nrow(sim) != out$n) {
    stop_argument("sim", "must have the rows that were simulated",
      paste(nrow(sim), "rows where the truth has", out$n))
  }
  out
}

# The same data as a plain data.frame.
drop_truth <- function(x) {
  attr(x, "truth") <- NULL
  attr(x, "about") <- NULL
  class(x) <- setdiff(class(x), "mr_sim")
  x
}

#' @export
`[.mr_sim` <- function(x, ...) {
  out <- NextMethod()
  if (inherits(out, "mr_sim")) drop_truth(out) else out
}

#' @export
as.data.frame.mr_sim <- function(x, row.names = NULL, optional = FALSE, ...) {
  as.data.frame(drop_truth(x), row.names = row.names, optional = optional, ...)
}

#' @export
print.mr_sim <- function(x, n = 6L, digits = 4L, ...) {
  n <- check_count(n, min = 0)
  digits <- check_digits(digits)
  cat(attr(x, "about", exact = TRUE), sep = "\n")
  cat("\n")
  most <- 8L
  shown <- x[seq_len(min(n, nrow(x))), seq_len(min(most, ncol(x))), drop = FALSE]
  shown[] <- lapply(shown, function(column) {
    long <- is.character(column) && any(nchar(column) > 24L)
    if (long) paste0(substr(column, 1L, 21L), "...") else column
  })
  print(shown, digits = digits)
  more <- c(
    if (nrow(x) > n) paste(big(nrow(x) - n), "more rows"),
    if (ncol(x) > most) paste(big(ncol(x) - most), "more columns")
  )
  if (length(more)) {
    cat("and ", paste(more, collapse = ", "), "\n", sep = "")
  }
  invisible(x)
}

# A count with separators.
big <- function(count) {
  format(count, big.mark = ",", scientific = FALSE, trim = TRUE)
}
