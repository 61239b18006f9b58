# The vignettes: tables that they read, from the csv of bench/, and their pages.
#
#   Rscript dev/vignettes.R [--tables] [name ...]
#
# For each name (all there are, if none is given) dev/vignettes/<name>.R writes the tables
# vignettes/<name>_*.csv, and vignettes/<name>.Rmd becomes build/vignettes/<name>.html; --tables
# stops before the pages. No study is run: that is done by the scripts in bench/. Two tables come
# from elsewhere: vignettes/satmut.csv from data-raw/satmut.R, which needs data that are not in the
# repository, and those of mice from bench/contextual_mice.R, which has no csv but its page.
given <- commandArgs(TRUE)
unknown <- grep("^-", setdiff(given, "--tables"), value = TRUE)
names <- setdiff(given, c("--tables", unknown))
known <- sub("[.]Rmd$", "", dir("vignettes", "[.]Rmd$"))
unknown <- c(unknown, setdiff(names, known))
if (length(unknown)) {
  stop("unknown: ", paste(unknown, collapse = " "), "; there are ", paste(known, collapse = " "))
}
if (!length(names)) {
  names <- known
}

# In a fresh R, so that none sees what another has loaded or set.
run_fresh <- function(arguments) {
  out <- suppressWarnings(system2(file.path(R.home("bin"), "Rscript"), arguments, stdout = TRUE,
    stderr = TRUE))
  if (!is.null(attr(out, "status"))) {
    stop(paste(c(arguments, out), collapse = "\n"))
  }
}

pages <- file.path("build", "vignettes")
dir.create(pages, recursive = TRUE, showWarnings = FALSE)
for (name in names) {
  tables <- file.path("dev", "vignettes", paste0(name, ".R"))
  if (file.exists(tables)) {
    run_fresh(tables)
  }
  if ("--tables" %in% given) {
    next
  }
  took <- system.time(run_fresh(c("-e", shQuote(sprintf(
    "rmarkdown::render('vignettes/%s.Rmd', output_dir = '%s', quiet = TRUE)", name, pages)))))
  page <- file.path(pages, paste0(name, ".html"))
  cat(sprintf("%-16s %5.1f s %7.0f kB  %s\n", name, took[["elapsed"]], file.size(page) / 1000,
    page))
}
