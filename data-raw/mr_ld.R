# Outputs of MendelianRandomization with correlated variants, recorded for the tests. Run at the
# root of the package; MendelianRandomization (CRAN) is looked for in R_LIBS. "own" is its example
# of correlated variants, calcium on fasting glucose; "made" is made by formula.

stopifnot(requireNamespace("MendelianRandomization"), file.exists("DESCRIPTION"))
library(MendelianRandomization)
fixtures <- file.path("tests", "testthat", "fixtures")

n <- 12
made <- list(
  bx = 0.1 + 0.05 * cos(3 * seq_len(n)) * c(1, -1, 1, 1), sx = rep(0.01, n),
  by = 0.04 + 0.04 * sin(seq_len(n)) * c(1, -1, 1, 1), sy = 0.02 + 0.001 * seq_len(n),
  rho = 0.7^abs(outer(seq_len(n), seq_len(n), "-"))
)
own <- list(bx = calcium, sx = calciumse, by = fastgluc, sy = fastglucse, rho = calc.rho)

record <- function(name, d) {
  input <- mr_input(bx = d$bx, bxse = d$sx, by = d$by, byse = d$sy, corr = d$rho)
  ivw <- mr_ivw(input, correl = TRUE)
  egger <- mr_egger(input, correl = TRUE)
  values <- c(
    ivw.b = ivw@Estimate, ivw.se = ivw@StdError, ivw.q = ivw@Heter.Stat[1],
    egger.b = egger@Estimate, egger.se = egger@StdError.Est, egger.intercept = egger@Intercept,
    egger.intercept_se = egger@StdError.Int, egger.q = egger@Heter.Stat[1]
  )
  data.frame(set = name, quantity = names(values), value = format(unname(values), digits = 15),
    version = as.character(utils::packageVersion("MendelianRandomization")))
}

long <- function(name, d) {
  data.frame(set = name, bx = d$bx, sx = d$sx, by = d$by, sy = d$sy,
    rho = apply(format(d$rho, digits = 15, trim = TRUE), 1, paste, collapse = " "))
}

utils::write.csv(rbind(long("own", own), long("made", made)),
  file.path(fixtures, "mr_ld_data.csv"), row.names = FALSE, quote = FALSE)
utils::write.csv(rbind(record("own", own), record("made", made)),
  file.path(fixtures, "mr_ld_recorded.csv"), row.names = FALSE, quote = FALSE)
