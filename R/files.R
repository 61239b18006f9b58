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
# reader sees the old file or the new one, never a part.
replace_file <- function(path, write, size = NULL) {
  temporary <- tempfile(".new-", tmpdir = dirname(path))
  on.exit(unlink(temporary))
  written <- tryCatch(
    suppressWarnings({
      write(temporary)
      (is.null(size) || identical(as.double(file.size(temporary)), as.double(size))) &&
        file.rename(temporary, path)
    }),
    error = function(e) FALSE
  )
  if (!written) {
    stop_mrl("file", "\"", path, "\" cannot be written: is the disk full?")
  }
}

# saveRDS() that notices a full disk: what lies there must have all its bytes.
replace_rds <- function(object, path) {
  bytes <- serialize(object, NULL)
  replace_file(path, function(temporary) {
    out <- file(temporary, "wb")
    on.exit(close(out))
    writeBin(bytes, out)
  }, length(bytes))
}

replace_text <- function(text, path) {
  bytes <- charToRaw(enc2utf8(paste0(paste(text, collapse = "\n"), "\n")))
  replace_file(path, function(temporary) {
    out <- file(temporary, "wb")
    on.exit(close(out))
    writeBin(bytes, out)
  }, length(bytes))
}
