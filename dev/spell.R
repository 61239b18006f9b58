# Spelling (British, with -ize) of the manual, the vignettes, the Markdown files and DESCRIPTION.
# Prints words that are neither in the dictionary nor in inst/WORDLIST, and where; fails if there is
# one. Usage: Rscript dev/spell.R [--update]     (--update adds them to the list: read them first)
files <- c(dir("man", "[.]Rd$", full.names = TRUE), dir("vignettes", "[.]Rmd$", full.names = TRUE),
  "README.Rmd", "NEWS.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "RELIABILITY.md")
files <- files[file.exists(files)]
about <- read.dcf("DESCRIPTION")[, c("Title", "Description")]
list <- file.path("inst", "WORDLIST")
known <- readLines(list)

# A possessive is as right as its word.
unknown_of <- function(found) {
  word <- sub("'s$", "", found$word)
  right <- tolower(word) %in% tolower(known) | hunspell::hunspell_check(word, "en_GB")
  data.frame(word = word, where = vapply(found$found, paste, "", collapse = ", "))[!right, ]
}
unknown <- rbind(
  unknown_of(spelling::spell_check_files(files, lang = "en_GB")),
  unknown_of(spelling::spell_check_text(about, lang = "en_GB"))
)
if ("--update" %in% commandArgs(TRUE)) {
  words <- unique(c(known, unknown$word))
  writeLines(words[order(tolower(words), words, method = "radix")], list)
} else if (nrow(unknown)) {
  cat(sprintf("%s: %s\n", unknown$word, unknown$where), sep = "")
  quit(status = 1L)
}
