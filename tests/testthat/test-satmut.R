# Real effects, element by element: saturation mutagenesis of human regulatory elements in two
# conditions. The recorded results are in the vignette's table.

read_satmut <- function(name) {
  d <- utils::read.csv(shared_data("satmut", paste0("pair_", name, ".csv.gz")))
  names <- strsplit(name, "__")[[1]]
  mr_data(d$beta_x, d$se_x, d$beta_y, d$se_y, snp = paste0(d$pos, d$ref, ">", d$alt),
    exposure = names[1], outcome = names[2], effect_allele = d$alt, other_allele = d$ref) |>
    transform(mr_keep = d$alt != "-" & pmin(d$barcodes_x, d$barcodes_y) >= 10 & d$p_x < 1e-5)
}

test_that("one row per element and method, and a mean over elements", {
  pairs <- c("LDLR__LDLR.2", "PKLR-24h__PKLR-48h", "SORT1__SORT1.2", "TERT-HEK__TERT-GBM",
    "ZRSh-13__ZRSh-13h2")
  dat <- do.call(rbind, lapply(pairs, read_satmut))
  # Effects whose p-value was written as 0 have no standard error: dropped, and told.
  expect_message(
    fits <- mr_estimate(dat, c("mr_ivw", "mr_egger_regression", "mr_weighted_median"), seed = 1),
    "missing or infinite effect", class = "mrlearn_message_dropped"
  )
  expect_identical(fits$exposure, rep(c("LDLR", "PKLR-24h", "SORT1", "TERT-HEK", "ZRSh-13"),
    each = 3))
  expect_true(all(is.na(fits$note)))
  # The conditions agree in what every variant does, up to the scale of the assay.
  expect_true(all(fits$b > 0.5 & fits$b < 3))
  expect_true(all(fits$nsnp > 100))
  ivw <- fits[fits$method == "Inverse variance weighted", ]
  usable <- dat[dat$mr_keep & is.finite(dat$se.exposure) & is.finite(dat$se.outcome), ]
  for (i in 1:5) {
    of <- usable[usable$exposure == ivw$exposure[i], ]
    slow <- stats::lm(beta.outcome ~ beta.exposure - 1, of, weights = 1 / se.outcome^2)
    expect_equal(ivw$b[i], unname(stats::coef(slow)), tolerance = 1e-12)
  }
  over <- suppressMessages(meta_random(b, se, test = "knha", data = ivw))
  expect_identical(over$k, 5L)
  expect_true(over$conf.low < 1 && over$conf.high > 1)
  expect_gt(over$i2, 95) # elements differ by far more than their standard errors
})
