# Renders fixtures/fits.Rmd in a folder: list(lines of the page, what the document kept, runs of the
# chunk that fits, conditions that progress bars signal).
render_fits <- function(folder) {
  withr::local_options(options()["digits"], cli.progress_show_after = NULL, cli.dynamic = NULL)
  bars <- 0L
  page <- withCallingHandlers(
    rmarkdown::render(file.path(folder, "fits.Rmd"), quiet = TRUE, envir = new.env()),
    cli_message = function(condition) bars <<- bars + 1L
  )
  list(
    lines = readLines(page, encoding = "UTF-8"), kept = readRDS(file.path(folder, "kept.rds")),
    runs = length(readLines(file.path(folder, "runs.txt"))), bars = bars
  )
}

needs_rmarkdown <- function() {
  if (!requireNamespace("rmarkdown", quietly = TRUE) || !rmarkdown::pandoc_available()) {
    skip("rmarkdown or pandoc not installed")
  }
}

# The fits of the document, made here.
fits_of_document <- function() {
  people <- sim_contextual(n = 300, L = 4, pi_scale = 0.5, seed = 1)
  people$g <- as.matrix(people[truth(people)$instruments])
  list(
    linear = iv_2sls(Y ~ X + age | g + age, people),
    curve = iv_quantile(Y ~ X | g, people, n_boot = 50, seed = 1,
      control = nn_control(epochs = 60, hidden = 16, patience = 0))
  )
}

test_that("fits knit as plain tables, without progress bars, and survive knitr's cache", {
  needs_rmarkdown()
  folder <- withr::local_tempdir()
  file.copy(test_path("fixtures", "fits.Rmd"), folder)
  first <- render_fits(folder)
  second <- render_fits(folder)
  expect_identical(second$runs, 1L) # the second time the fits came from the cache
  expect_identical(second$lines, first$lines)
  expect_identical(second$kept, first$kept)

  # What comes from the cache is what the same calls give here.
  here <- fits_of_document()
  at <- data.frame(X = c(-1, 0, 1), age = 40)
  expect_identical(second$kept$linear, predict(here$linear, at))
  expect_identical(second$kept$curve, predict(here$curve, at))
  expect_identical(second$kept$tidy, tidy(here$curve, conf.int = TRUE))
  expect_identical(second$kept$average, average_derivative(here$curve))
  printed <- withr::with_options(list(digits = 4), capture.output(print(here$linear),
    print(here$curve)))
  expect_identical(second$kept$printed, printed)

  # The bar would be shown at once: the document asks for it.
  expect_identical(c(first$bars, second$bars), c(0L, 0L))
  expect_false(any(grepl("[\001-\010\013-\037]", first$lines)))
  for (line in printed[nzchar(printed)]) {
    escaped <- gsub(">", "&gt;", gsub("<", "&lt;", line, fixed = TRUE), fixed = TRUE)
    expect_true(any(grepl(escaped, first$lines, fixed = TRUE)), info = line)
  }
  page <- paste(first$lines, collapse = "\n")
  expect_identical(lengths(regmatches(page, gregexpr("<table>", page, fixed = TRUE))), 3L)
  cells <- gsub("\n", " ", gsub("<[^>]*>", "", regmatches(page, gregexpr("(?s)<td.*?</td>", page,
    perl = TRUE))[[1]]), fixed = TRUE)
  estimate <- tidy(here$linear)$estimate
  shown <- suppressWarnings(as.double(cells))
  # kable() shows four digits after the point.
  expect_true(all(vapply(estimate, function(e) any(abs(shown - e) < 5.1e-5, na.rm = TRUE), NA)))
  expect_true(all(report_table(here$linear)$text %in% cells))
})

test_that("a report of several analyses knits as one table for each", {
  skip_if(!requireNamespace("knitr", quietly = TRUE), "rmarkdown or pandoc not installed")
  report <- report_table(mr_estimate(lipid_chd, "mr_ivw"))
  knitted <- strsplit(knitr::knit_print(report), "\n", fixed = TRUE)[[1]]
  captions <- grep("^Table: ", knitted, value = TRUE)
  expect_identical(captions, paste("Table:", unique(report$analysis)))
  expect_identical(sum(startsWith(knitted, "|Estimates")), 3L)
  report$text <- NULL # no report any more: printed as the data.frame that it is
  expect_output(shown <- knitr::knit_print(report), "Inverse variance weighted")
  expect_false(inherits(shown, "knit_asis"))
})
