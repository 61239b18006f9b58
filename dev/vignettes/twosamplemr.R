# Tables of vignettes/twosamplemr.Rmd: what TwoSampleMR 0.7.9 returned on its own example (BMI and
# coronary heart disease) and on the lipid variants, as recorded for the tests, beside ours.
source(file.path("dev", "vignettes", "tools.R"))
library(mrlearn)
options(mrlearn.threads = 1L)

recorded <- function(set, table) {
  read.csv(file.path("tests", "testthat", "fixtures", "twosamplemr-0.7.9",
    paste0(set, "_", table, ".csv")))
}
sets <- c("bmi_chd", "lipid")

dat <- recorded("bmi_chd", "harmonised")
shown <- c("SNP", "effect_allele.exposure", "other_allele.exposure", "effect_allele.outcome",
  "other_allele.outcome", "beta.exposure", "beta.outcome", "eaf.exposure", "eaf.outcome",
  "palindromic", "ambiguous", "id.outcome", "se.outcome", "samplesize.outcome", "pval.outcome",
  "outcome", "pval.exposure", "samplesize.exposure", "se.exposure", "id.exposure", "exposure",
  "action", "mr_keep")
write.csv(dat[shown], file.path("vignettes", "twosamplemr_bmi_chd.csv"), row.names = FALSE)
theirs <- recorded("bmi_chd", "mr")
write.csv(theirs, file.path("vignettes", "twosamplemr_mr.csv"), row.names = FALSE)

# Medians and modes draw their standard errors, so these differ by chance.
draws <- function(method) grepl("median|mode", method)
# How many values are compared, and the largest relative difference; p-values of 0 are equal.
gap <- function(ours, theirs) {
  both <- !is.na(ours) & !is.na(theirs)
  off <- abs(ours[both] - theirs[both])
  c(sum(both), max(ifelse(off == 0, 0, off / abs(theirs[both]))))
}
row_of <- function(table, what, each) {
  values <- do.call(rbind, each)
  data.frame(table = table, what = what, values = sum(values[, 1]), largest = max(values[, 2]))
}

estimates <- lapply(sets, function(set) {
  theirs <- recorded(set, "mr")
  ours <- mr_estimate(recorded(set, "harmonised"), unique(theirs$method), seed = 1, n_boot = 1e4)
  merge(theirs, ours, by = "method", suffixes = c(".theirs", ".ours"))
})
compare_estimates <- function(column, rows) {
  lapply(estimates, function(d) {
    d <- d[rows(d$method), ]
    gap(d[[paste0(column, ".ours")]], d[[paste0(column, ".theirs")]])
  })
}
closed <- function(method) !draws(method) & method != "Maximum likelihood"
likelihood <- function(method) method == "Maximum likelihood"

compare_rows <- function(table, ours, columns) {
  lapply(sets, function(set) {
    theirs <- recorded(set, table)
    mine <- ours(recorded(set, "harmonised"))
    mine <- mine[match(theirs$SNP, mine$SNP), ]
    gaps <- vapply(columns, function(name) gap(mine[[name]], theirs[[name]]), c(0, 0))
    c(sum(gaps[1, ]), max(gaps[2, ]))
  })
}
tests_of <- function(set) {
  found <- mr_diagnose(recorded(set, "harmonised"))
  q <- recorded(set, "heterogeneity")
  p <- recorded(set, "pleiotropy")
  ivw <- q$method == "Inverse variance weighted"
  gap(unlist(found[c("Q", "Q_pval", "Q_egger", "Q_egger_pval", "egger_intercept",
    "egger_intercept_se", "egger_intercept_pval")]),
  c(q$Q[ivw], q$Q_pval[ivw], q$Q[!ivw], q$Q_pval[!ivw], p$egger_intercept, p$se, p$pval))
}

parity <- rbind(
  row_of("mr()", "estimates of all methods but maximum likelihood",
    compare_estimates("b", function(method) !likelihood(method))),
  row_of("mr()", "standard errors in closed form", compare_estimates("se", closed)),
  row_of("mr()", "standard errors that are drawn (1,000 draws there, 10,000 here)",
    compare_estimates("se", draws)),
  row_of("mr()", "maximum likelihood", compare_estimates("b", likelihood)),
  row_of("mr_heterogeneity(), mr_pleiotropy_test()", "Q, intercept, p-values",
    lapply(sets, tests_of)),
  row_of("mr_singlesnp()", "b, se, p",
    compare_rows("singlesnp", mr_single_snp, c("b", "se", "p"))),
  row_of("mr_leaveoneout()", "b, se, p",
    compare_rows("leaveoneout", mr_leave_one_out, c("b", "se", "p")))
)
write_table(parity, "twosamplemr_parity")
