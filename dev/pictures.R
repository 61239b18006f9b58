# Renders every picture of plot() and autoplot() to build/pictures, to be looked at: index.html is
# the contact sheet, base graphics beside ggplot2. Usage: Rscript dev/pictures.R [name pattern]
options(mrlearn.threads = 1L, warn = 1)
suppressPackageStartupMessages(library(mrlearn))
for (helper in c("mr", "deep_mr", "pictures")) {
  source(file.path("tests", "testthat", paste0("helper-", helper, ".R")))
}

dir <- file.path("build", "pictures")
dir.create(dir, recursive = TRUE, showWarnings = FALSE)
asked <- c(commandArgs(trailingOnly = TRUE), "")[1]

file_of <- function(name, how) {
  paste0(gsub("[^A-Za-z0-9_.]", "_", name), "-", how, ".png")
}

render <- function(name, case) {
  draw <- function(how, code) {
    grDevices::png(file.path(dir, file_of(name, how)), 840, 600, res = 110)
    on.exit(grDevices::dev.off())
    tryCatch(force(code), error = function(e) cat(name, how, conditionMessage(e), "\n"))
  }
  draw("base", do.call(plot, c(list(case$object), case$arguments)))
  draw("ggplot", print(do.call(ggplot2::autoplot, c(list(case$object), case$arguments))))
  paste0("<h3>", name, "</h3>", paste0("<img width=600 src=\"", file_of(name, c("base", "ggplot")),
    "\">", collapse = ""))
}

cases <- picture_cases()
cases <- cases[grepl(asked, names(cases))]
sheet <- vapply(names(cases), function(name) render(name, cases[[name]]), "")
writeLines(c("<!doctype html><title>Pictures</title>", sheet), file.path(dir, "index.html"))
cat(length(sheet), "pictures:", file.path(dir, "index.html"), "\n")
