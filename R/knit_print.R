# In R Markdown results are data.frames or print as plain text, and need nothing; but a table for a
# report is to come out as one.

#' @exportS3Method knitr::knit_print
knit_print.report_table <- function(x, ...) {
  if (!has_report_columns(x)) {
    return(knitr::normal_print(as.data.frame(x)))
  }
  several <- length(unique(x$analysis)) > 1L
  parts <- lapply(unique(x$analysis), function(analysis) {
    here <- x[x$analysis == analysis, ]
    table <- data.frame(Section = ifelse(duplicated(here$section), "", here$section),
      Item = report_items(here), Result = here$text)
    c(knitr::kable(table, "pipe", row.names = FALSE,
      caption = if (several) analysis), "")
  })
  knitr::asis_output(paste(c("", unlist(parts)), collapse = "\n"))
}
