# What the documentation promises, checked. Prints "where: what" for each breach; fails if there is
# one. Usage: Rscript dev/docs.R
#   - every export is documented with its value, examples and, if it estimates, its source
#   - every export, and every page of the manual, stands in one group of _pkgdown.yml, every
#     vignette in one of its articles
#   - local links of the Markdown files, and vignettes that are named, are there
breaches <- character()
breach <- function(where, what) {
  if (length(where)) {
    breaches <<- c(breaches, paste0(where, ": ", what))
  }
}
text_of <- function(file) {
  paste(readLines(file, warn = FALSE, encoding = "UTF-8"), collapse = "\n")
}
# The strings that the pattern's first group finds.
found <- function(pattern, text) {
  hits <- regmatches(text, gregexpr(pattern, text, perl = TRUE))[[1]]
  sub(pattern, "\\1", hits, perl = TRUE)
}

# The manual: one element per page.
pages <- lapply(sort(dir("man", "[.]Rd$", full.names = TRUE)), function(file) {
  rd <- tools::parse_Rd(file)
  tag <- vapply(rd, attr, "", "Rd_tag")
  word <- function(name) {
    vapply(rd[tag == name], function(x) paste(unlist(x), collapse = ""), "")
  }
  list(name = word("\\name"), aliases = word("\\alias"), tags = tag,
    internal = "internal" %in% word("\\keyword"))
})
names(pages) <- vapply(pages, `[[`, "", "name")
exports <- found("(?m)^export\\((.*)\\)$", text_of("NAMESPACE"))
page_of <- function(export) {
  names(pages)[vapply(pages, function(page) export %in% page$aliases, NA)]
}

# Generics of other packages have their documentation there.
others <- "reexports"
# Named iv_, mr_ ... and yet no estimator; methods for summary data have their sources in the table
# of mr_methods().
no_estimator <- c("iv_crossprod", "iv_fit", "iv_methods", "mr_control", "mr_data", "mr_forest",
  "mr_methods", "mr_odds_ratios", "mr_scatter", "mr_single_snp", "mr_leave_one_out", "mv_data",
  "mv_methods", "deep_mr_control", "deep_mr_pairs")
for (export in exports) {
  page <- page_of(export)
  if (length(page) != 1L) {
    breach(export, "an export has one page of the manual")
  } else if (page != others) {
    tags <- pages[[page]]$tags
    wanted <- c("\\value", "\\examples")
    if (grepl("^(iv_|mr_|mv_|meta_|deep_mr|seq_ensemble|conformal|orthogonal)", export) &&
      !export %in% no_estimator) {
      wanted <- c(wanted, "\\references")
    }
    for (tag in setdiff(wanted, tags)) {
      breach(page, paste("no", tag))
    }
  }
}

# The site's groups. A selector is a page, one of its aliases, or starts_with("...").
site <- yaml::read_yaml("_pkgdown.yml")
selected <- unlist(lapply(unlist(lapply(site$reference, `[[`, "contents")), function(selector) {
  start <- found("^starts_with\\(\"(.*)\"\\)$", selector)
  hit <- vapply(pages, function(page) {
    if (length(start)) {
      any(startsWith(page$aliases, start)) && !page$internal
    } else {
      selector %in% c(page$name, page$aliases)
    }
  }, NA)
  if (!any(hit)) {
    breach("_pkgdown.yml", paste(selector, "is no page of the manual"))
  }
  names(pages)[hit]
}))
times <- table(factor(selected, levels = names(pages)))
breach(names(times)[times == 0], "in no group of _pkgdown.yml")
breach(names(times)[times > 1], "in several groups of _pkgdown.yml")
listed <- unlist(lapply(site$articles, `[[`, "contents"))
vignettes <- sub("[.]Rmd$", "", dir("vignettes", "[.]Rmd$"))
breach(setdiff(vignettes, listed), "a vignette in no article of _pkgdown.yml")
breach(setdiff(listed, vignettes), "an article of _pkgdown.yml that is no vignette")
breach(unique(listed[duplicated(listed)]), "twice in the articles of _pkgdown.yml")

# Links: [text](file), relative to the file; vignette("name").
texts <- c(dir(".", "[.]R?md$"), dir(c("bench", "vignettes"), "[.]R?md$", full.names = TRUE))
for (file in texts) {
  text <- gsub("(?s)```.*?```", "", text_of(file), perl = TRUE)
  links <- found("\\]\\(([^()\\s#]+)(?:#[^()\\s]*)?\\)", text)
  links <- links[!grepl("^(https?|mailto):", links)]
  # A vignette's page lies beside those of the others.
  there <- file.exists(file.path(dirname(file), links)) |
    dirname(file) == "vignettes" & sub("[.]html$", "", links) %in% vignettes
  for (link in links[!there]) {
    breach(file, paste("no", link))
  }
}
for (file in c(texts, dir("man", "[.]Rd$", full.names = TRUE))) {
  named <- found("vignette\\(\"([a-z_]+)\"", text_of(file))
  for (name in setdiff(named, vignettes)) {
    breach(file, paste("no vignette", name))
  }
}

if (length(breaches)) {
  writeLines(unique(breaches))
}
quit(status = as.integer(length(breaches) > 0L))
