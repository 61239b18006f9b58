# Table of vignettes/summary_data.Rmd: shares in per cent, and bias.
source(file.path("dev", "vignettes", "tools.R"))

rows <- study_rows("mr_coverage")
null <- rows[rows$effect == 0, ]
real <- rows[rows$effect != 0, ]
write.csv(
  data.frame(null[c("cell", "method")], type1 = round(100 * null$reject, 1),
    coverage = round(100 * real$coverage, 1),
    # The sign test's number is no effect.
    bias = ifelse(is.na(real$coverage), NA, round(real$median - real$effect, 3))),
  file.path("vignettes", "mr_coverage.csv"), row.names = FALSE
)
