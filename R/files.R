# Files that appear whole or not at all; numbers as text to the last bit; JSON.

# The shortest of 15, 16 and 17 digits that gives the number back.
exact_numbers <- function(x) {
  x <- as.double(x)
  text <- sprintf("%.15g", x)
  for (digits in 16:17) {
    wrong <- which(is.finite(x) & as.double(text) != x)
    if (!length(wrong)) break
    text[wrong] <- sprintf(paste0("%.", digits, "g"), x[wrong])
  }
  text
}

# A JSON array of numbers; what is not finite is null.
exact_array <- function(x) {
  structure(paste0("[", paste(json_numbers(x), collapse = ","), "]"), class = "json")
}

json_numbers <- function(x) {
  ifelse(is.finite(x), exact_numbers(x), "null")
}

# A list of numbers, words, flags and lists of these as JSON. Single values are no arrays.
json_text <- function(x) {
  plain <- function(v) {
    if (inherits(v, "json") || is.null(v)) {
      return(v)
    }
    if (is.list(v)) {
      return(lapply(v, plain))
    }
    if (is.double(v)) {
      if (length(v) != 1L) exact_array(v) else structure(json_numbers(v), class = "json")
    } else {
      v
    }
  }
  jsonlite::toJSON(plain(x), auto_unbox = TRUE, json_verbatim = TRUE, null = "null", na = "null",
    pretty = TRUE)
}

# A list; objects stay lists, arrays of numbers become vectors.
read_json_file <- function(path) {
  text <- tryCatch(suppressWarnings(readLines(path, encoding = "UTF-8")), error = function(e) {
    stop_mrl("data", "\"", path, "\" cannot be read.")
  })
  tryCatch(
    jsonlite::fromJSON(paste(text, collapse = "\n"), simplifyVector = TRUE,
      simplifyDataFrame = FALSE, simplifyMatrix = FALSE),
    error = function(e) {
      stop_mrl("data", "\"", path, "\" is no JSON: ", first_line(conditionMessage(e)), ".")
    }
  )
}

first_line <- function(text) {
  trimws(strsplit(text, "\n", fixed = TRUE)[[1]][1])
}

check_folder <- function(dir, arg) {
  if (!dir.exists(dir) || file.access(dir, 2) != 0) {
    stop_argument(arg, "must be in a folder that exists and can be written to", describe(dir))
  }
}

# Writes to a file beside it, checks it by `size` where that is known, and puts it in its place: a
# reader sees the old file or the new one, never a part. `write` raises an error where it can tell
# that the file is not whole.
replace_file <- function(path, write, size = NULL) {
  replace_files(path, list(list(write = write, size = size)))
}

# The same for files that are read together: all are written before any is replaced. The last, which
# readers cannot do without, goes first and comes last, so that no old file stands beside a new one.
replace_files <- function(paths, contents) {
  temporary <- tempfile(rep_len(".new-", length(paths)), tmpdir = dirname(paths))
  on.exit(unlink(temporary))
  for (i in seq_along(paths)) {
    try_file(paths[i], {
      contents[[i]]$write(temporary[i])
      is_whole(temporary[i], contents[[i]]$size)
    })
  }
  last <- length(paths)
  if (last > 1L) {
    try_file(paths[last], unlink(paths[last]) == 0L)
  }
  for (i in seq_len(last)) {
    try_file(paths[i], file.rename(temporary[i], paths[i]))
  }
}

try_file <- function(path, expr) {
  if (!tryCatch(suppressWarnings(expr), error = function(e) FALSE)) {
    stop_mrl("file", "\"", path, "\" cannot be written: is the disk full?")
  }
}

is_whole <- function(path, size) {
  is.null(size) || identical(as.double(file.size(path)), as.double(size))
}

# What replace_files() is told of a file of these bytes, or of numbers of `size` bytes each.
file_of_bytes <- function(bytes, size = 1L) {
  list(
    write = function(path) {
      out <- file(path, "wb")
      on.exit(close(out))
      writeBin(bytes, out, size = if (is.raw(bytes)) NA_integer_ else size, endian = "little")
    },
    size = as.double(size) * length(bytes)
  )
}

file_of_text <- function(text) {
  file_of_bytes(charToRaw(enc2utf8(paste0(paste(text, collapse = "\n"), "\n"))))
}

# saveRDS() that notices a full disk: what lies there must have all its bytes.
replace_rds <- function(object, path) {
  replace_files(path, list(file_of_bytes(serialize(object, NULL))))
}

# Back from there. R's own format can hold code: only files of the user's own are read. what: the
# class of the error for one that is damaged.
read_rds <- function(path, what) {
  tryCatch(suppressWarnings(readRDS(path)), error = function(e) {
    stop_mrl(what, "\"", path, "\" is damaged: ", first_line(conditionMessage(e)), ".")
  })
}

replace_text <- function(text, path) {
  replace_files(path, list(file_of_text(text)))
}

# Bytes that a compressed file gives back, so that one which a full disk cut short is noticed.
bytes_in <- function(path) {
  held <- gzfile(path, "rb")
  on.exit(close(held))
  total <- 0
  repeat {
    arrived <- length(readBin(held, "raw", 2^22))
    if (!arrived) {
      return(total)
    }
    total <- total + arrived
  }
}

check_gzip <- function(path, bytes) {
  if (bytes_in(path) != bytes) {
    stop_mrl("file", "\"", path, "\" is not whole.")
  }
}
