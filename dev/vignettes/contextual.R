# Tables of vignettes/contextual.Rmd, which the studies' reports write.
source(file.path("dev", "vignettes", "tools.R"))

for (name in c("contextual", "contextual_truth", "contextual_summary")) {
  report <- sub("contextual", "grid", sub("contextual_", "", name, fixed = TRUE), fixed = TRUE)
  study_functions(name)[[paste0("report_", report)]](read_rows(file.path("bench",
    paste0(name, ".csv"))))
}
write_table(page_table("contextual_mice", "Average slope"), "contextual_mice")
write_table(page_table("contextual_mice", "Does the slope depend on context? p-values"),
  "contextual_mice_test")
