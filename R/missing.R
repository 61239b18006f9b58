# Missing values: rows that are dropped, genotypes that are imputed; both counted and told.

# Which instrument columns are genotypes with holes: columns of a matrix with values 0, 1, 2 only,
# or a variable with these values of which at least one is a 2 (so that 0/1 instruments such as an
# indicator are not taken for genotypes). A list like z_vars: NULL, or logical per column.
genotype_holes <- function(z_vars, na_genotype) {
  lapply(stats::setNames(names(z_vars), names(z_vars)), function(name) {
    v <- z_vars[[name]]
    if (!is.numeric(v) || !anyNA(v)) {
      return(NULL)
    }
    columns <- as.matrix(v)
    is_genotype <- vapply(seq_len(ncol(columns)), function(j) {
      values <- unique(columns[!is.na(columns[, j]), j])
      length(values) > 0L && all(values %in% 0:2) && (is.matrix(v) || 2 %in% values)
    }, NA)
    holes <- is_genotype & colSums(is.na(columns)) > 0
    if (any(holes) && na_genotype == "error") {
      stop_mrl("data", "Genotypes are missing in `", name, "` and na_genotype = \"error\".")
    }
    if (na_genotype == "drop") NULL else holes
  })
}

# Rows with a missing value in any variable, genotypes to be imputed excepted, by na.action.
rows_to_drop <- function(mf, z_vars, genotype, call, env) {
  missing <- lapply(stats::setNames(names(mf), names(mf)), function(name) {
    v <- if (name %in% names(z_vars)) hide_columns(z_vars[[name]], genotype[[name]]) else mf[[name]]
    which_missing(v)
  })
  for (name in setdiff(names(z_vars), names(mf))) {
    missing[[name]] <- which_missing(hide_columns(z_vars[[name]], genotype[[name]]))
  }
  rows <- sort(unique(unlist(missing)))
  action <- na_action(call, env)
  missing <- missing[lengths(missing) > 0L]
  text <- if (length(rows)) {
    of <- paste0("`", gsub("^\\(|\\)$", "", names(missing)), "` ", lengths(missing))
    paste0(length(rows), " of ", nrow(mf), " rows have missing values (",
      paste(of, collapse = ", "), ")")
  }
  if (length(rows) && action == "fail") {
    stop_mrl("data", text, ".")
  }
  if (length(rows)) {
    inform_mrl("rows_dropped", text, " and are left out.")
  }
  zero <- which(mf[["(weights)"]] == 0)
  if (length(setdiff(zero, rows))) {
    text <- paste(c(text, paste(length(setdiff(zero, rows)), "rows have weight 0")),
      collapse = "; ")
    rows <- sort(union(rows, zero))
  }
  list(rows = rows, names = row.names(mf)[rows], text = text, n_input = nrow(mf),
    exclude = action == "exclude")
}

which_missing <- function(v) {
  if (!anyNA(v)) {
    return(integer())
  }
  if (is.null(dim(v))) which(is.na(v)) else which(rowSums(is.na(v)) > 0)
}

# The variable without the columns flagged, as far as rows with missing values go.
hide_columns <- function(v, flags) {
  if (is.null(flags) || !any(flags)) {
    return(v)
  }
  if (is.null(dim(v))) integer() else v[, !flags, drop = FALSE]
}

na_action <- function(call, env) {
  action <- eval(call$na.action, env)
  action <- if (is.null(action)) getOption("na.action", "na.omit") else action
  known <- list(omit = stats::na.omit, exclude = stats::na.exclude, fail = stats::na.fail)
  for (name in names(known)) {
    if (identical(action, known[[name]]) || identical(action, paste0("na.", name))) {
      return(name)
    }
  }
  stop_argument("na.action", "must be na.omit, na.exclude or na.fail", describe(action))
}

impute_genotypes <- function(z_vars, genotype) {
  report <- data.frame(instrument = character(), n_missing = integer())
  for (name in names(z_vars)) {
    if (any(genotype[[name]])) {
      v <- z_vars[[name]]
      full <- as.matrix(v)
      storage.mode(full) <- "double"
      done <- .Call(C_genotype_impute, full)$value
      empty <- done$n_missing == nrow(full)
      if (any(empty)) {
        stop_mrl("data", "Instrument `", name, "` has no value left",
          if (ncol(full) > 1L) paste0(" in column ", which(empty)[1]), ".")
      }
      columns <- if (is.null(dim(v))) name else column_names(v, name)
      filled <- done$n_missing > 0
      report <- rbind(report, data.frame(
        instrument = columns[filled], n_missing = done$n_missing[filled]
      ))
      dim(done$genotypes) <- dim(v)
      dimnames(done$genotypes) <- dimnames(v)
      z_vars[[name]] <- done$genotypes
    }
  }
  tell_imputed(report)
  list(z = z_vars, report = report)
}

tell_imputed <- function(report) {
  if (nrow(report)) {
    inform_mrl("imputed", sum(report$n_missing), " missing genotypes in ", nrow(report),
      " instruments are set to the mean of their instrument.")
  }
}

# Row names where they say more than the row's number; NULL else.
rows_apart <- function(mf) {
  names <- attr(mf, "row.names")
  if (is.integer(names) && length(names) == max(names)) NULL else as.character(names)
}

drop_rows <- function(v, rows) {
  if (is.null(dim(v))) v[-rows] else v[-rows, , drop = FALSE]
}
