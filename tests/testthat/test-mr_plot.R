# Plots: what is drawn, that every plot draws, that devices are left as they were.

methods_drawn <- c("mr_ivw", "mr_egger_regression", "mr_weighted_median")

test_that("scatter data: alleles that raise the exposure, a line per method", {
  dat <- lipid_chd
  fits <- mr_estimate(dat, methods_drawn, n_boot = 20, seed = 1)
  sc <- mr_scatter(dat, fits)
  expect_true(all(sc$points$x >= 0))
  expect_identical(abs(dat$beta.exposure), sc$points$x)
  expect_identical(sc$points$y, dat$beta.outcome * ifelse(dat$beta.exposure < 0, -1, 1))
  expect_identical(levels(sc$points$pair), c("LDL on CHD", "HDL on CHD", "triglycerides on CHD"))
  expect_identical(sc$lines$slope, fits$b)
  expect_identical(sc$lines$intercept, ifelse(is.na(fits$intercept), 0, fits$intercept))
  expect_output(print(sc), "84 variants and 9 lines")
})

test_that("results without intercepts, as TwoSampleMR's, get Egger's", {
  dat <- mr_recorded("bmi_chd_harmonised")
  sc <- mr_scatter(dat, mr_recorded("bmi_chd_mr"))
  egger <- sc$lines$method == "MR Egger"
  expect_equal(sc$lines$intercept[egger], mr_recorded("bmi_chd_pleiotropy")$egger_intercept,
    tolerance = 1e-9)
  expect_identical(sc$lines$intercept[!egger], rep(0, sum(!egger)))
  # What is no slope is no line.
  expect_false("Sign concordance test" %in% sc$lines$method)
  expect_identical(nrow(sc$lines), 13L)
})

test_that("pairs of the same names are told apart by their ids", {
  a <- mr_data(1:4, rep(1, 4), 1:4, rep(1, 4), exposure = "x", outcome = "y")
  b <- a
  b$id.exposure <- "x2"
  b$beta.outcome <- -b$beta.outcome
  both <- rbind(a, b)
  sc <- mr_scatter(both, mr_estimate(both, "mr_ivw"))
  expect_identical(levels(sc$points$pair), c("x on y (x, y)", "x on y (x2, y)"))
  expect_equal(sc$lines$slope, c(1, -1))
  expect_identical(as.character(sc$lines$pair), levels(sc$points$pair))
})

test_that("intervals: order, level, window of the precise variants", {
  single <- mr_single_snp(subset(lipid_chd, exposure == "LDL"))
  d <- on_device(plot(single, conf_level = 0.9))
  expect_identical(d$summary, rep(c(TRUE, FALSE), c(2, 28)))
  expect_false(is.unsorted(d$b[-(1:2)]))
  expect_equal(d$conf.high - d$conf.low, 2 * stats::qnorm(0.95) * d$se)
  # snp24 has a standard error of 80 where the median is 2.4.
  wide <- d$SNP == "snp24"
  expect_lt(max(d$to), 40)
  expect_true(d$at[wide] < d$b[wide] && d$at[wide] == max(d$to))
  expect_true(all(d$from >= d$conf.low & d$to <= d$conf.high | wide))
  precise <- d$se <= 5 * stats::median(d$se)
  expect_identical(d$from[precise], d$conf.low[precise])
  expect_true(all(d$at == d$b | !precise))
})

test_that("rows of all variants are told by their names, also in parts of a table", {
  dat <- lipid_chd
  dat$SNP[1] <- "Allele1"
  dat$SNP[2] <- "All"
  d <- on_device(plot(mr_single_snp(dat)))
  expect_identical(sum(d$summary), 6L)
  part <- subset(mr_single_snp(dat), exposure == "HDL")
  expect_s3_class(part, "mr_single_snp")
  d <- on_device(plot(part, "funnel"))
  expect_identical(levels(d$pair), "HDL on CHD")
  both <- rbind(part, subset(mr_single_snp(dat), exposure == "LDL"))
  expect_identical(sum(on_device(plot(both))$summary), 4L)
  expect_error(on_device(plot(part["SNP"])), class = "mrlearn_error_data")
})

plots_of <- function(dat) {
  single <- mr_single_snp(dat)
  list(
    scatter = list(mr_scatter(dat, mr_estimate(dat, methods_drawn, n_boot = 20, seed = 1))),
    forest = list(single, "forest"), funnel = list(single, "funnel"),
    leave_one_out = list(mr_leave_one_out(dat))
  )
}
inputs <- function() {
  one <- lipid_chd[lipid_chd$exposure == "LDL", ]
  many <- as.data.frame(sim_summary(n_snps = 400, seed = 1))
  pairs <- as.data.frame(sim_summary(n_snps = 5, n_pairs = 7, seed = 1))
  list(one = one, three = lipid_chd, long = mr_recorded("bmi_chd_harmonised"), many = many,
    pairs = pairs, few = one[1:3, ])
}

test_that("base plots draw without a word and leave the layout as it was", {
  for (dat in inputs()) {
    for (plot_of in plots_of(dat)) {
      on_device({
        before <- graphics::par(c("mfrow", "oma", "xpd"))
        expect_silent(do.call(plot, plot_of))
        expect_equal(graphics::par(c("mfrow", "oma", "xpd")), before)
      })
    }
  }
  # Graphical parameters of the user come first.
  on_device(expect_silent(plot(mr_single_snp(lipid_chd), main = "mine", xlim = c(-1, 1))))
})

test_that("ggplots are built without a word", {
  skip_if_not_installed("ggplot2")
  for (dat in inputs()) {
    for (plot_of in plots_of(dat)) {
      p <- do.call(ggplot2::autoplot, plot_of)
      expect_s3_class(p, "ggplot")
      on_device(expect_silent(print(p)))
    }
  }
  built <- ggplot2::ggplot_build(ggplot2::autoplot(mr_single_snp(lipid_chd)))
  expect_identical(nrow(built$layout$layout), 3L)
  expect_identical(as.character(built$layout$layout$panel[1]), "LDL on CHD")
})

test_that("names too many to be read are left out, those of all variants stay", {
  many <- mr_single_snp(as.data.frame(sim_summary(n_snps = 400, seed = 1)))
  ticks <- single_snp_picture(many, "forest", 0.95)$ticks$y
  expect_identical(sum(ticks$keep), 2L)
  shown <- drawn_text(plot(many))
  expect_true(all(c("MR Egger", "Inverse variance weighted") %in% shown))
  expect_false(any(many$SNP[1:400] %in% shown))
  few <- mr_single_snp(lipid_chd[lipid_chd$exposure == "LDL", ])
  expect_true(all(few$SNP[1:28] %in% drawn_text(plot(few))))
})

test_that("more methods than colours", {
  labels <- mr_methods()$label
  dat <- subset(lipid_chd, exposure == "LDL")
  sc <- mr_scatter(dat, mr_estimate(dat, labels, n_boot = 5, seed = 1))
  # Each line has a look of its own.
  expect_identical(anyDuplicated(mr_scatter_picture(sc, 0.95)$series[c("colour", "lty")]), 0L)
  on_device(expect_silent(plot(sc)))
})
