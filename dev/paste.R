# As a reader would: the code blocks that a page shows, pasted into a fresh session, give what the
# page prints. Usage: Rscript dev/paste.R README.Rmd vignettes/start.Rmd ...     (all by default)
# A page is knitted; then its visible code alone is run elsewhere, in an empty folder, at the page's
# width, and what it prints is compared. Says what differs; fails if something does.
given <- commandArgs(TRUE)
all_pages <- c("README.Rmd", dir("vignettes", "[.]Rmd$", full.names = TRUE))
files <- if (length(given)) given else all_pages

run_fresh <- function(code, folder, arguments = character()) {
  script <- tempfile(fileext = ".R")
  writeLines(code, script)
  old <- setwd(folder) # nolint
  on.exit(setwd(old)) # nolint
  system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", script, shQuote(arguments)),
    stdout = FALSE, stderr = FALSE)
}

# A data.frame `code, printed` of a knitted page: each block of code and what comes before the next.
blocks_of <- function(md) {
  lines <- readLines(md, warn = FALSE, encoding = "UTF-8")
  fence <- grepl("^```", lines)
  open <- which(fence)[c(TRUE, FALSE)]
  shut <- which(fence)[c(FALSE, TRUE)]
  text <- mapply(function(i, j) paste(lines[seq_len(j - i - 1L) + i], collapse = "\n"), open, shut)
  is_code <- lines[open] == "```r"
  block <- cumsum(is_code)
  is_printed <- !is_code & block > 0 & lines[open] == "```"
  data.frame(
    code = text[is_code],
    printed = vapply(seq_len(sum(is_code)), function(k) {
      paste(gsub("(?m)^#> ?", "", text[is_printed & block == k], perl = TRUE), collapse = "\n")
    }, "")
  )
}

# Code that is only shown (eval = FALSE) gets a class, by which it is told from what is run.
knit_page <- c("arguments <- commandArgs(TRUE)",
  "knitr::opts_hooks$set(eval = function(options) {",
  "  if (identical(options$eval, FALSE)) options$class.source <- 'shown'",
  "  options", "})",
  "suppressMessages(knitr::knit(arguments[1], arguments[2], quiet = TRUE))",
  "writeLines(as.character(getOption('width')), arguments[3])")
paste_blocks <- c("arguments <- commandArgs(TRUE)", "blocks <- readRDS(arguments[1])",
  "options(width = as.integer(arguments[3]))", "grDevices::pdf(NULL)",
  "page <- new.env(parent = globalenv())",
  "got <- vapply(blocks$code, function(code) paste(utils::capture.output(",
  "  tryCatch(withCallingHandlers(",
  "    source(textConnection(code), local = page, echo = FALSE, print.eval = TRUE),",
  "    message = function(m) { cat(conditionMessage(m)); invokeRestart('muffleMessage') },",
  "    warning = function(w) { cat('Warning:', conditionMessage(w), '\\n')",
  "      invokeRestart('muffleWarning') }",
  "  ), error = function(e) cat('Error:', conditionMessage(e), '\\n'))), collapse = '\\n'), '')",
  "saveRDS(unname(got), arguments[2])")

# Blank lines, and how warnings and errors are introduced, are the page's.
plain <- function(text) {
  text <- gsub("(Warning|Error)[^:\n]*:", "\\1:", text)
  # knitr breaks the lines of warnings.
  by <- if (grepl("Warning:", text)) "[ \n]+" else "\n"
  lines <- trimws(strsplit(text, by)[[1]])
  lines[nzchar(lines)]
}

n_bad <- 0L
for (file in files) {
  md <- tempfile(fileext = ".md")
  width <- tempfile()
  result <- tempfile()
  blocks <- tempfile()
  # Knitted in a copy of its folder, so that no pictures are left.
  copy <- tempfile()
  dir.create(copy)
  file.copy(setdiff(dir(dirname(file), full.names = TRUE), list.dirs(dirname(file))), copy)
  run_fresh(knit_page, copy, c(basename(file), md, width))
  if (!file.exists(md)) {
    cat(file, ": does not knit\n", sep = "")
    n_bad <- n_bad + 1L
    next
  }
  page <- blocks_of(md)
  saveRDS(page, blocks)
  empty <- tempfile()
  dir.create(empty)
  run_fresh(paste_blocks, empty, c(blocks, result, readLines(width)))
  if (!file.exists(result)) {
    cat(file, ": the pasted session ended before its end\n", sep = "")
    n_bad <- n_bad + 1L
    next
  }
  got <- readRDS(result)
  same <- mapply(function(a, b) identical(plain(a), plain(b)), page$printed, got)
  shown <- sum(grepl("^```.*[.]shown", readLines(md, warn = FALSE)))
  cat(sprintf("%s: %d blocks, %d give something else; %d more are only shown\n", file, nrow(page),
    sum(!same), shown))
  for (k in which(!same)) {
    cat("--- code\n", page$code[k], "\n--- the page\n", page$printed[k], "\n--- pasted\n", got[k],
      "\n", sep = "")
  }
  n_bad <- n_bad + sum(!same)
}
quit(status = as.integer(n_bad > 0L))
