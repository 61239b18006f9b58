# The site: README, manual, vignettes and the pages of bench/ as html, in <directory>/html.
# Usage: Rscript dev/site.R <directory> [part ...]     parts: home reference articles news (all)
# Examples and vignettes are run with the installed package. Fails at a local link that leads
# nowhere.
arguments <- commandArgs(TRUE)
dir.create(arguments[1], showWarnings = FALSE, recursive = TRUE)
to <- normalizePath(arguments[1]) # whole, as pkgdown works in folders of its own
all_parts <- c("home", "reference", "articles", "news")
parts <- if (length(arguments) > 1L) arguments[-1] else all_parts
options(pkgdown.internet = FALSE) # nothing is looked up, no icons are fetched
text_of <- function(file) {
  paste(readLines(file, warn = FALSE, encoding = "UTF-8"), collapse = "\n")
}
src <- file.path(to, "src")
html <- file.path(to, "html")
if (system2("dev/copy.sh", shQuote(src)) != 0) {
  quit(status = 1L)
}
pages <- c(dir(".", "^[A-Z]+[.]md$"), "_pkgdown.yml")
invisible(file.copy(pages, src, overwrite = TRUE))

suppressMessages({
  pkg <- pkgdown::as_pkgdown(src, override = list(destination = html))
  pkgdown::init_site(pkg)
  if ("home" %in% parts) pkgdown::build_home(pkg, preview = FALSE, quiet = TRUE)
  if ("reference" %in% parts) pkgdown::build_reference(pkg, preview = FALSE, devel = FALSE)
  if ("articles" %in% parts) pkgdown::build_articles(pkg, preview = FALSE)
  if ("news" %in% parts) pkgdown::build_news(pkg, preview = FALSE)
})

# bench/*.md, which README and vignettes name for their numbers, become bench/*.html.
measured <- dir("bench", "[.]md$", full.names = TRUE)
dir.create(file.path(html, "bench"), showWarnings = FALSE)
for (file in measured) {
  body <- tempfile(fileext = ".html")
  rmarkdown::pandoc_convert(normalizePath(file), "html", "gfm", body)
  text <- text_of(body)
  text <- gsub("(href=\"[^\":]*)[.]md([\"#])", "\\1.html\\2", text)
  # The pages' own first heading is their title.
  heading <- regmatches(text, regexpr("(?s)<h1[^>]*>.*?</h1>", text, perl = TRUE))
  title <- if (length(heading)) gsub("<[^>]*>", "", heading) else basename(file)
  text <- sub("(?s)<h1[^>]*>.*?</h1>", "", text, perl = TRUE)
  suppressMessages(pkgdown::render_page(pkg, "title-body",
    data = list(pagetitle = title, body = text, filename = basename(file), source = ""),
    path = sub("[.]md$", ".html", file), quiet = TRUE))
}
if (setequal(parts, all_parts)) {
  pkgdown::build_search(pkg)
}

# Debian's pkgdown takes MathJax from the machine's own files; a site is read elsewhere. It has the
# page of NEWS.md in a folder.
mathjax <- "https://cdnjs.cloudflare.com/ajax/libs/mathjax/2.7.5/MathJax.js"
for (file in dir(html, "[.]html$", recursive = TRUE, full.names = TRUE)) {
  text <- text_of(file)
  elsewhere <- gsub("file:///[^\"]*/MathJax[.]js", mathjax, text)
  elsewhere <- gsub("href=\"NEWS[.]html\"", "href=\"news/index.html\"", elsewhere)
  if (elsewhere != text) writeLines(elsewhere, file, useBytes = TRUE)
}

# Local links: the file is there and, where one is named, the place in it.
hits <- function(pattern, text) {
  sub(pattern, "\\1", regmatches(text, gregexpr(pattern, text, perl = TRUE))[[1]], perl = TRUE)
}
files <- dir(html, "[.]html$", recursive = TRUE)
texts <- lapply(file.path(html, files), text_of)
places <- lapply(texts, function(text) hits("\\s(?:id|name)=\"([^\"]+)\"", text))
names(places) <- names(texts) <- files
dead <- character()
for (file in files) {
  links <- unique(hits("\\s(?:href|src)=\"([^\"]*)\"", texts[[file]]))
  links <- links[nzchar(links) & !grepl("^([a-z]+:|//)", links)]
  for (link in links) {
    target <- utils::URLdecode(sub("[?#].*", "", link))
    place <- if (grepl("#.", link)) utils::URLdecode(sub(".*#", "", link)) else ""
    at <- if (nzchar(target)) file.path(dirname(file), target) else file
    full <- normalizePath(file.path(html, at), mustWork = FALSE)
    if (dir.exists(full)) full <- file.path(full, "index.html")
    key <- substring(full, nchar(normalizePath(html)) + 2L)
    if (!file.exists(full) || nzchar(place) && key %in% files && !place %in% places[[key]]) {
      dead <- c(dead, paste0(file, ": ", link))
    }
  }
}
if (length(dead)) {
  writeLines(c("Links that lead nowhere:", dead))
}
cat(sprintf("%d pages, %.1f MB: %s\n", length(files),
  sum(file.size(dir(html, recursive = TRUE, full.names = TRUE))) / 1e6,
  file.path(arguments[1], "html", "index.html")))
quit(status = as.integer(length(dead) > 0L))
