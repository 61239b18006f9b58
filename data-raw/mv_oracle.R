# Outputs of MendelianRandomization's multivariable methods, recorded for the tests.
#
#   Rscript data-raw/mv_oracle.R [library that has MendelianRandomization]
#
# Writes tests/testthat/fixtures/mv_recorded.csv: one number a row, with the version of the package,
# on its own lipid data (28 variants; LDL and HDL cholesterol, triglycerides; coronary disease),
# which lipid_chd holds too. Version 0.10.0 installs on R 4.2.2 from CRAN's sources. Run at the root
# of the package.

stopifnot(file.exists("DESCRIPTION"))
.libPaths(c(commandArgs(TRUE), .libPaths()))
library(MendelianRandomization)

bx <- cbind(LDL = ldlc, HDL = hdlc, TG = trig)
sx <- cbind(ldlcse, hdlcse, trigse)
input <- function(ld = matrix()) {
  mr_mvinput(bx = bx, bxse = sx, by = chdlodds, byse = chdloddsse, correlation = ld)
}
# Correlations for variants that have none in truth: neighbours alike.
ld <- 0.4^abs(outer(1:28, 1:28, "-"))
# Errors of the estimates that go together.
rho <- matrix(c(1, -0.1, 0.2, 0.05, -0.1, 1, -0.3, 0, 0.2, -0.3, 1, 0.1, 0.05, 0, 0.1, 1), 4)

row <- function(case, quantity, value, term = colnames(bx)) {
  data.frame(case, quantity, term, value = as.numeric(value))
}
line <- function(case, fit, est = "Estimate", se = "StdError", p = "Pvalue") {
  rows <- rbind(
    row(case, "b", methods::slot(fit, est)), row(case, "se", methods::slot(fit, se)),
    row(case, "pval", methods::slot(fit, p))
  )
  if ("Heter.Stat" %in% methods::slotNames(fit)) {
    rows <- rbind(rows, row(case, c("sigma", "Q", "Q_pval"), c(fit@RSE, fit@Heter.Stat), ""))
  }
  rows
}
egger <- function(case, fit) {
  rbind(
    line(case, fit, "Estimate", "StdError.Est", "Pvalue.Est"),
    row(case, c("intercept", "intercept_se", "intercept_pval"),
      c(fit@Intercept, fit@StdError.Int, fit@Pvalue.Int), "")
  )
}
lasso <- function(case, ...) {
  fit <- mr_mvlasso(input(), ...)
  rbind(line(case, fit), row(case, c("lambda", "n_valid"), c(fit@Lambda, fit@Valid), ""))
}

# With the iteration's own stopping rule tightened from 1e-4 to 1e-13: the maximum itself.
cml <- function(case, rho, choices) {
  inverse <- invcov_mvmr(sx, chdloddsse, rho)
  fit <- MVmr_cML(bx, as.matrix(chdlodds), sx, inverse, 17723, choices, maxit = 1e5, thres = 1e-13)
  invalid <- as.numeric(fit$BIC_invalid)
  theta <- as.numeric(fit$BIC_theta)
  se <- MVcML_SdTheta(bx, as.matrix(chdlodds), inverse, theta, setdiff(1:28, invalid))
  rbind(
    row(case, "b", theta), row(case, "se", se),
    row(case, "n_valid", 28 - length(invalid), ""),
    row(case, "Q", 2 * min(fit$l_vec[fit$K_vec == length(invalid)]), "")
  )
}
perturbed <- function() {
  fit <- mr_mvcML(input(), n = 17723, num_pert = 1000, seed = 1)
  rbind(row("cml dp", "b", fit@Estimate), row("cml dp", "se", fit@StdError))
}

table <- rbind(
  line("ivw", mr_mvivw(input())),
  line("ivw t", mr_mvivw(input(), distribution = "t-dist")),
  line("ivw fixed", mr_mvivw(input(), model = "fixed")),
  line("ivw ld", mr_mvivw(input(ld))),
  line("ivw fixed ld", mr_mvivw(input(ld), model = "fixed")),
  egger("egger", mr_mvegger(input())),
  egger("egger HDL", mr_mvegger(input(), orientate = 2)),
  egger("egger ld", mr_mvegger(input(ld))),
  lasso("lasso"),
  lasso("lasso TG", orientate = 3),
  lasso("lasso 0.2", lambda = 0.2),
  line("median", mr_mvmedian(input(), iterations = 10000)),
  line("me", mr_mvivwme(input())),
  cml("cml", diag(4), 0:14),
  cml("cml rho", rho, 0:14),
  do.call(rbind, lapply(0:5, function(k) cml(paste("cml K", k), diag(4), k))),
  perturbed()
)
table$package <- "MendelianRandomization"
table$version <- as.character(utils::packageVersion("MendelianRandomization"))
table$value <- formatC(table$value, digits = 17, format = "g")
utils::write.csv(table, file.path("tests", "testthat", "fixtures", "mv_recorded.csv"),
  row.names = FALSE)
