# Tables for reports: every number is one of the results, and each kind prints.

item <- function(report, item, method = NULL) {
  rows <- report[report$item == item, ]
  if (is.null(method)) rows else rows[rows$method %in% method, ]
}

test_that("numbers are those of the estimates and diagnostics", {
  ldl <- lipid_ldl()
  ldl$samplesize.exposure <- 1e5
  ldl$samplesize.outcome <- c(5e4, rep(6e4, 27))
  ldl$mr_keep[3] <- FALSE
  estimates <- suppressMessages(mr_estimate(ldl, c("mr_ivw", "MR Egger", "mr_conmix")))
  known <- suppressMessages(mr_diagnose(ldl))
  report <- suppressMessages(report_table(estimates, ldl))
  expect_s3_class(report, c("report_table", "data.frame"), exact = TRUE)
  expect_named(report, c("analysis", "section", "item", "method", "value", "conf.low", "conf.high",
    "statistic", "df", "p.value", "text"))
  effects <- item(report, "Effect")
  expect_identical(effects$value, estimates$b)
  expect_identical(effects$conf.low, estimates$ci_low)
  expect_identical(effects$p.value, estimates$pval)
  expect_identical(item(report, "Mean F")$value, known$F_mean)
  expect_identical(item(report, "Variants")$value, 27)
  expect_identical(item(report, "Variants not used")$value, 1)
  expect_identical(item(report, "Sample size, outcome")$value, 6e4)
  q <- item(report, "Q", "Inverse variance weighted")
  expect_identical(c(q$statistic, q$df, q$p.value), c(known$Q, known$Q_df, known$Q_pval))
  intercept <- item(report, "Intercept")
  expect_identical(intercept$value, known$egger_intercept)
  half <- stats::qt(0.975, 25) * known$egger_intercept_se
  expect_equal(c(intercept$conf.low, intercept$conf.high), known$egger_intercept + c(-half, half))
  direction <- report[report$section == "Direction", ]
  expect_identical(direction$p.value[1], known$steiger_pval)
  expect_identical(direction$value[1], as.double(known$correct_causal_direction))
})

test_that("several pairs, without data, failed methods", {
  estimates <- mr_estimate(lipid_chd, c("mr_ivw", "mr_cML_BIC"))
  report <- report_table(estimates)
  expect_length(unique(report$analysis), 3)
  expect_identical(sum(is.na(item(report, "Effect")$value)), 3L)
  expect_setequal(report$section, c("Estimates", "Heterogeneity"))
  full <- report_table(estimates, lipid_chd)
  expect_identical(item(full, "Effect")$value, estimates$b)
  # The nine columns of TwoSampleMR are not enough, as there are no intervals.
  expect_error(report_table(estimates[1:9]), "ci_low", class = "mrlearn_error_data")
})

test_that("fits of individual-level data", {
  sim <- sim_contextual(n = 500, L = 3, seed = 1)
  fit <- iv_2sls(Y ~ X | G0 + G1 + G2, data = sim)
  report <- report_table(fit)
  table <- tidy(fit, conf.int = TRUE, exposures_only = TRUE)
  at <- report[which(report$method == fit$estimator), ]
  expect_identical(c(at$value, at$conf.low, at$p.value),
    c(table$estimate, table$conf.low, table$p.value))
  known <- diagnostics(fit)
  expect_identical(item(report, "Sargan")$statistic,
    known$statistic[known$diagnostic == "Sargan"])
  expect_identical(item(report, "Instruments")$value, 3)
  expect_s3_class(report_table(iv_ols(Y ~ X, data = sim)), "report_table")
})

test_that("messages and print", {
  local_reproducible_output()
  ldl <- lipid_ldl()
  estimates <- mr_estimate(ldl, c("mr_ivw", "MR Egger"))
  sim <- sim_contextual(n = 500, L = 3, seed = 1)
  expect_snapshot(error = TRUE, {
    report_table(1:3)
    report_table(ldl)
    report_table(estimates, lipid_chd[lipid_chd$exposure != "LDL", ])
    report_table(estimates, ldl, digits = 0)
    report_table(estimates, colour = "red")
    report_table(estimates, ldl)
    report_table(iv_2sls(Y ~ X | G0 + G1 + G2, data = sim))
    report_table(estimates)[c("item", "value")]
  })
})

test_that("several exposures at once", {
  estimates <- mv_estimate(lipid_chd, c("mv_ivw", "mv_egger", "mv_lasso"))
  known <- mv_diagnose(lipid_chd)
  report <- report_table(estimates, lipid_chd)
  expect_identical(unique(report$analysis), "LDL, HDL, triglycerides on CHD")
  effects <- report[startsWith(report$item, "Direct effect"), ]
  expect_identical(effects$value, estimates$b)
  expect_identical(effects$conf.high, estimates$ci_high)
  expect_identical(item(report, "Conditional F, HDL")$value, known$F_conditional[2])
  expect_identical(item(report, "Least Q")$statistic, known$Q_least[1])
  expect_identical(item(report, "Q", "Multivariable IVW")$statistic, estimates$Q[1])
  expect_identical(nrow(item(report, "Intercept")), 1L)
  expect_setequal(report_table(estimates)$section, c("Estimates", "Heterogeneity", "Pleiotropy"))
  expect_output(print(report), "Direct effect of LDL, Multivariable IVW")
  expect_error(report_table(estimates, subset(lipid_chd, exposure != "HDL")), "HDL",
    class = "mrlearn_error_data")
})
