# Linear quantile regression by the package quantreg (rq(), exact), for
# tests/testthat/test-quantile_regression.R. Run at the root of the package; writes the fixture
# quantreg_recorded.csv.
tau <- c(0.1, 0.5, 0.9)
fit <- quantreg::rq(stations ~ mag + depth + lat, tau = tau, data = datasets::quakes)
out <- data.frame(
  tau = tau, signif(t(stats::coef(fit)), 12), check.names = FALSE,
  quantreg = as.character(utils::packageVersion("quantreg")), R = as.character(getRversion())
)
path <- file.path("tests", "testthat", "fixtures", "quantreg_recorded.csv")
utils::write.csv(out, path, row.names = FALSE)
