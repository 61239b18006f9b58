# What the scripts that write tables of vignettes share. They read bench/*.csv with the functions of
# the studies themselves, so that a vignette and the study's page say the same.
source(file.path("bench", "study_tools.R"))

# The functions of a study, of which several have the same names.
study_functions <- function(name) {
  out <- new.env()
  sys.source(file.path("bench", paste0(name, ".R")), out)
  out
}

study_rows <- function(name) {
  read.csv(file.path("bench", paste0(name, ".csv")), check.names = FALSE)
}

write_table <- function(table, name) {
  doubles <- vapply(table, is.double, NA)
  table[doubles] <- lapply(table[doubles], signif, 4)
  write.csv(table, file.path("vignettes", paste0(name, ".csv")), row.names = FALSE)
}

# A share and its Monte Carlo standard error, in per cent.
share_and_error <- function(x) {
  x <- x[!is.na(x)]
  sprintf("%.1f (%.1f)", 100 * mean(x), 100 * sqrt(mean(x) * (1 - mean(x)) / length(x)))
}

# The table under a heading of a page of bench/.
page_table <- function(name, heading) {
  lines <- readLines(file.path("bench", paste0(name, ".md")))
  rest <- lines[-seq_len(match(paste("##", heading), lines))]
  first <- which(startsWith(rest, "|"))[1]
  rest <- rest[first:length(rest)]
  rows <- rest[seq_len(which(!startsWith(rest, "|"))[1] - 1L)]
  cells <- lapply(strsplit(gsub("^\\| | \\|$", "", rows), " | ", fixed = TRUE), trimws)
  table <- as.data.frame(do.call(rbind, cells[-(1:2)]))
  names(table) <- cells[[1]]
  whole_numbers <- vapply(table, function(column) all(grepl("^[0-9]+$", column)), NA)
  table[whole_numbers] <- lapply(table[whole_numbers], as.integer)
  table
}
