# Robust methods on the data of MendelianRandomization, recorded for the tests:
#
#   Rscript data-raw/mr_robust.R [library]
#
# writes tests/testthat/fixtures/mr_robust_data.csv (effects of 28 variants on LDL and HDL
# cholesterol, triglycerides and coronary disease, and of 6 on calcium and fasting glucose, as
# shipped with the package) and mr_robust_recorded.csv (one number a row, with package and version).
# `library`: where MendelianRandomization and simex are, if not in the library of R.
#
# Grids are fine enough that the tests can hold the exact maxima to 1e-6: the contamination mixture
# and MR-HetPen are searched around their estimate, found on a coarse grid first.

given <- commandArgs(TRUE)
.libPaths(c(given, .libPaths()))
suppressMessages(library(MendelianRandomization))
stopifnot(file.exists("DESCRIPTION"), requireNamespace("simex"))
fixtures <- file.path("tests", "testthat", "fixtures")

sets <- list(
  ldl = data.frame(bx = ldlc, sx = ldlcse, by = chdlodds, sy = chdloddsse),
  hdl = data.frame(bx = hdlc, sx = hdlcse, by = chdlodds, sy = chdloddsse),
  trig = data.frame(bx = trig, sx = trigse, by = chdlodds, sy = chdloddsse),
  calcium = data.frame(bx = calcium, sx = calciumse, by = fastgluc, sy = fastglucse)
)
n_people <- 17723 # as the package's example of mr_cML()

record <- function(package, set, method, values) {
  data.frame(package, version = as.character(utils::packageVersion(package)), set, method,
    quantity = names(values), value = unname(values))
}

input <- function(d) {
  mr_input(bx = d$bx, bxse = d$sx, by = d$by, byse = d$sy)
}

# The estimate of a grid search, refined by finer grids. search(min, max, step) gives an object with
# Estimate.
refine <- function(search, coarse) {
  at <- coarse@Estimate
  for (step in c(1e-4, 1e-6, 1e-7)) {
    at <- search(at - 150 * step, at + 150 * step, step)@Estimate
  }
  c(b = at)
}

record_conmix <- function(set, d) {
  search <- function(from, to, step) {
    mr_conmix(input(d), CIMin = from, CIMax = to, CIStep = step)
  }
  coarse <- mr_conmix(input(d))
  at <- refine(search, coarse)
  record("MendelianRandomization", set, "mr_conmix", c(at,
    ci_low = min(coarse@CILower), ci_high = max(coarse@CIUpper), step = coarse@CIStep,
    n_valid = length(coarse@Valid), psi = coarse@Psi))
}

record_lasso <- function(set, d) {
  at <- mr_lasso(input(d))
  given <- mr_lasso(input(d), lambda = 0.3)
  record("MendelianRandomization", set, "mr_lasso", c(b = at@Estimate, se = at@StdError,
    pval = at@Pvalue, n_valid = at@Valid, lambda = at@Lambda, b_0.3 = given@Estimate,
    se_0.3 = given@StdError, n_valid_0.3 = given@Valid))
}

record_cml <- function(set, d) {
  run <- function(...) mr_cML(input(d), n = n_people, ...)
  numbers <- function(at) c(b = at@Estimate, se = at@StdError, pval = at@Pvalue)
  bic <- run(MA = FALSE, DP = FALSE)
  drawn <- run(MA = TRUE, DP = TRUE)
  some <- run(MA = TRUE, DP = FALSE, K_vec = 0:3)
  rbind(
    record("MendelianRandomization", set, "mr_cML_BIC", c(numbers(bic),
      n_invalid = length(bic@BIC_invalid))),
    record("MendelianRandomization", set, "mr_cML_MA_BIC", c(numbers(run(MA = TRUE, DP = FALSE)),
      b_03 = some@Estimate, se_03 = some@StdError)),
    record("MendelianRandomization", set, "mr_cML", c(numbers(drawn), gof1 = drawn@GOF1_p,
      gof2 = drawn@GOF2_p))
  )
}

record_hetpen <- function(set, d) {
  search <- function(from, to, step) {
    mr_hetpen(input(d), CIMin = from, CIMax = to, CIStep = step)
  }
  # The default, -1 to 1, does not hold the mode for calcium.
  coarse <- search(-5, 10, 0.01)
  at <- refine(search, coarse)
  record("MendelianRandomization", set, "mr_hetpen", c(at, ci_low = min(coarse@CILower),
    ci_high = max(coarse@CIUpper), step = coarse@CIStep))
}

record_simex <- function(set, d) {
  side <- sign(d$bx)
  x <- abs(d$bx)
  y <- side * d$by
  w <- 1 / d$sy^2
  # The values themselves in the call, as simex() updates it elsewhere.
  naive <- do.call(stats::lm, list(y ~ x, weights = w, x = TRUE, y = TRUE))
  set.seed(1)
  at <- simex::simex(naive, B = 2000, measurement.error = d$sx, SIMEXvariable = "x",
    fitting.method = "quad", asymptotic = FALSE)
  coef <- summary(at)$coefficients$jackknife
  record("simex", set, "mr_egger_simex", c(b = coef[2, 1], se = coef[2, 2],
    intercept = coef[1, 1], intercept_se = coef[1, 2]))
}

rows <- do.call(rbind, lapply(names(sets), function(set) {
  message(set)
  d <- sets[[set]]
  rbind(record_conmix(set, d), record_lasso(set, d), record_cml(set, d),
    if (nrow(d) <= 10) record_hetpen(set, d), record_simex(set, d))
}))
rows$value <- formatC(rows$value, digits = 15, format = "g")
utils::write.csv(rows, file.path(fixtures, "mr_robust_recorded.csv"), row.names = FALSE,
  quote = FALSE)
data <- do.call(rbind, Map(cbind, set = names(sets), sets))
utils::write.csv(data, file.path(fixtures, "mr_robust_data.csv"), row.names = FALSE, quote = FALSE)
