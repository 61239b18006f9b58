# Columns of delimited text files by their names: of many columns only those that are needed.

table_na <- c("NA", "", ".", "nan", "NaN", "null", "NULL", "N/A", "n/a")

# file: CSV, TSV or other, plain or compressed (gzip, bzip2, xz); the delimiter is that of the
# header. wanted: list of words by role; a word is a column's name or a range such as v1-v20.
# numeric: roles whose columns must be numbers. Returns list(data, columns: names by role).
table_columns <- function(file, wanted, numeric, sep = NULL) {
  header <- table_header(file, sep)
  columns <- lapply(wanted, expand_ranges, names = header$names, file = file)
  used <- unique(unlist(columns, use.names = FALSE))
  check_unique_columns(used, header$names, file)
  at <- match(used, header$names)
  is_number <- used %in% unlist(columns[numeric], use.names = FALSE)
  list(data = read_used(file, header, at, is_number), columns = columns)
}

# Connections do without a byte-order mark and with any of the three line ends. Compression is seen
# in the file, not in its name.
open_table <- function(file) {
  check_string(file, "file")
  if (dir.exists(file) || !file.exists(file) || file.access(file, 4) != 0) {
    stop_mrl("data", "Cannot read the file \"", file, "\": ",
      if (dir.exists(file)) "it is a folder." else if (file.exists(file)) "no permission." else
        "it is not there.")
  }
  file(file, "rt", encoding = "UTF-8-BOM")
}

table_header <- function(file, sep = NULL) {
  connection <- open_table(file)
  on.exit(close(connection))
  line <- suppressWarnings(readLines(connection, 1L))
  if (!length(line) || !nzchar(trimws(line))) {
    stop_mrl("data", "\"", file, "\" is empty or has no header.")
  }
  if (!validUTF8(line) || grepl("[^[:print:]\t]", line, useBytes = FALSE)) {
    stop_mrl("data", "\"", file, "\" is no text file (CSV or TSV, plain or gzip).")
  }
  sep <- if (is.null(sep)) find_delimiter(line) else check_delimiter(sep)
  names <- scan(text = line, what = "", sep = sep, quote = "\"", quiet = TRUE, strip.white = TRUE)
  list(names = names, sep = sep)
}

check_delimiter <- function(sep) {
  sep <- switch(sep, "\\t" = "\t", tab = "\t", space = " ", sep)
  if (nchar(sep, "bytes") != 1L) {
    stop_argument("--sep", "must be one character, tab or space", paste0("\"", sep, "\""))
  }
  sep
}

# The delimiter that the header has most of, outside of quotes; white space where there is none.
find_delimiter <- function(line) {
  bare <- gsub("\"[^\"]*\"", "", line)
  count <- vapply(c("\t", ",", ";"), function(s) {
    lengths(regmatches(bare, gregexpr(s, bare, fixed = TRUE)))
  }, 1L)
  if (max(count) > 0L) names(count)[which.max(count)] else ""
}

# Words as names of columns: those that are names, and v1-v20 (or v1:v20) as 20 of them.
expand_ranges <- function(words, names, file) {
  if (is.null(words)) {
    return(NULL)
  }
  unlist(lapply(words, function(word) {
    # A header can have a name that is empty: that of row numbers.
    found <- if (nzchar(word) && word %in% names) word else range_names(word)
    missing <- if (is.null(found)) word else found[!found %in% names]
    if (length(missing)) {
      stop_mrl("data", "\"", file, "\" has no column `", missing[1], "`",
        if (length(missing) > 1L) {
          paste0(" (nor ", length(missing) - 1L, " more of ", word, ")")
        } else {
          near_names(missing, names)
        },
        if (length(names) < 8L) paste0("; it has ", shorten(names, 8L)), ".")
    }
    found
  }), use.names = FALSE)
}

# v1-v20 as v1, v2, ..., v20; NULL if the word is no range. Leading zeros are kept.
range_names <- function(word) {
  part <- regmatches(word, regexec("^(.*?)([0-9]{1,9})[-:](.*?)([0-9]{1,9})$", word,
    perl = TRUE))[[1]]
  if (!length(part) || part[4] != part[2] && part[4] != "") {
    return(NULL)
  }
  first <- as.integer(part[3])
  last <- as.integer(part[5])
  if (last < first || last - first > 1e6) {
    return(NULL)
  }
  width <- if (startsWith(part[3], "0")) nchar(part[3]) else 1L
  paste0(part[2], formatC(first:last, width = width, flag = "0", format = "d"))
}

check_unique_columns <- function(used, names, file) {
  twice <- used[used %in% names[duplicated(names)]]
  if (length(twice)) {
    stop_mrl("data", "\"", file, "\" has the column `", twice[1], "` twice.")
  }
}

# A data.frame of the columns at `at`. is_number: those that must be numbers; others are numbers if
# all their values are.
read_used <- function(file, header, at, is_number) {
  read <- function(kinds) {
    connection <- open_table(file)
    on.exit(close(connection))
    what <- rep(list(NULL), length(header$names))
    what[at] <- kinds
    scan(connection, what, sep = header$sep, skip = 1L, quote = "\"", na.strings = table_na,
      quiet = TRUE, comment.char = "", strip.white = TRUE, multi.line = FALSE)[at]
  }
  as_numbers <- rep(list(0), length(at))
  columns <- tryCatch(read(as_numbers), error = function(e) NULL)
  if (is.null(columns)) { # some text, or a line that is wrong
    columns <- tryCatch(read(rep(list(""), length(at))), error = function(e) {
      stop_mrl("data", "\"", file, "\" cannot be read as ", length(header$names),
        " columns: ", sub("^scan\\(\\) ", "", conditionMessage(e)), ".")
    })
    columns <- Map(function(v, name, must) typed_column(v, name, must, file), columns,
      header$names[at], is_number)
  }
  if (!length(columns[[1]])) {
    stop_mrl("data", "\"", file, "\" has no rows.")
  }
  structure(stats::setNames(columns, header$names[at]), class = "data.frame",
    row.names = .set_row_names(length(columns[[1]])))
}

# Texts as numbers if they all are.
typed_column <- function(text, name, must, file) {
  number <- suppressWarnings(as.double(text))
  wrong <- which(is.na(number) & !is.na(text) & !text %in% table_na)
  if (!length(wrong)) {
    return(number)
  }
  if (must) {
    stop_mrl("data", "\"", file, "\": column `", name, "` must have numbers; row ", wrong[1],
      " has \"", text[wrong[1]], "\".")
  }
  text
}
