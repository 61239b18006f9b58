# Every picture: drawn without a word by both, nothing cut off at the page's edge, and in the layers
# of the ggplot the same numbers as in the data that plot() returns.

cases <- picture_cases()

plotted <- function(case) do.call(plot, c(list(case$object), case$arguments))

# What plot() returned, drawn once.
returned <- list()
drawn_of <- function(name) {
  if (is.null(returned[[name]])) {
    returned[[name]] <<- on_device(plotted(cases[[name]]))
  }
  returned[[name]]
}
as_ggplot <- function(case) do.call(ggplot2::autoplot, c(list(case$object), case$arguments))

test_that("plot() draws each without a word, in the house's colours, whole", {
  skip_if_not(capabilities("cairo"))
  for (name in names(cases)) {
    expect_silent(pixels <- drawn_pixels(returned[[name]] <<- plotted(cases[[name]])))
    white <- pixels == "#ffffff"
    expect_gt(mean(!white), 0.005, label = name)
    expect_lt(mean(!white), 0.9, label = name)
    # What is cut off at the edge has ink there. Nothing has but outlines of what is drawn.
    edge <- c(white[1, ], white[nrow(white), ], white[, 1], white[, ncol(white)])
    expect_true(all(edge), label = paste(name, "leaves a margin"))
  }
})

test_that("an empty page, and text that does not fit, would be seen", {
  skip_if_not(capabilities("cairo"))
  expect_true(all(drawn_pixels(graphics::plot.new()) == "#ffffff"))
  cut <- drawn_pixels({
    graphics::par(mar = c(4, 1, 1, 1))
    graphics::plot(1:2, axes = FALSE, ann = FALSE)
    graphics::mtext("a name much longer than its margin", 2, at = 1.5, las = 1)
  })
  expect_false(all(cut[, 1] == "#ffffff"))
})

# All numbers of the layers but the rugs, rules and what is blank.
layer_numbers <- function(p) {
  built <- ggplot2::ggplot_build(p)
  unlist(lapply(built$data, function(d) {
    unlist(d[intersect(names(d), c("x", "y", "xmin", "xmax", "ymin", "ymax"))])
  }))
}

test_that("autoplot() draws each without a word, with the same data", {
  skip_if_not_installed("ggplot2")
  for (name in names(cases)) {
    drawn <- drawn_of(name)
    p <- as_ggplot(cases[[name]])
    expect_s3_class(p, "ggplot")
    expect_silent(ggplot2::ggplot_build(p))
    if (is.data.frame(drawn) && all(c("conf.low", "conf.high") %in% names(drawn))) {
      expect_true(all(c(drawn$estimate, drawn$conf.low, drawn$conf.high) %in% c(p$data$estimate,
        p$data$b, p$data$conf.low, p$data$conf.high)), label = name)
    }
  }
})

test_that("intervals of both are those of the data", {
  skip_if_not_installed("ggplot2")
  for (name in c("iv_2sls.coefficients", "iv_2sls.effect", "iv_quantile.effect", "mr_estimate.",
    "meta_random.", "iv_doubly_ranked.lace", "deep_mr.global", "deep_mr.forest",
    "iv_latent.estimators", "meta_regression.bubble", "iv_contextual.slopes")) {
    drawn <- drawn_of(name)
    numbers <- layer_numbers(as_ggplot(cases[[name]]))
    values <- unlist(drawn[c("estimate", "conf.low", "conf.high")])
    values <- values[is.finite(values)]
    far <- vapply(values, function(v) min(abs(v - numbers), na.rm = TRUE), 0)
    expect_lt(max(far), 1e-8, label = name)
  }
})

test_that("what has no end goes on beyond an arrow", {
  whole <- cases[["ar_set_unbounded."]]
  expect_identical(drawn_of("ar_set_unbounded.")$conf.high, Inf)
  expect_true(all(c("<", ">") %in% drawn_text(plotted(whole))))
  expect_false("<" %in% drawn_text(plotted(cases[["ar_set."]])))
  pic <- estimates_table_picture(whole$object)
  interval <- pic$inks[[which(vapply(pic$inks, `[[`, "", "kind") == "interval")]]$data
  expect_true(all(is.finite(c(interval$low, interval$high))))
  expect_true(interval$below && interval$above)
})

test_that("graphical parameters of the user come first, and all are put back", {
  on_device({
    before <- graphics::par(c("mfrow", "mar", "oma", "xpd"))
    plotted(cases[["mr_scatter_three."]])
    expect_equal(graphics::par(c("mfrow", "mar", "oma", "xpd")), before)
    graphics::par(mfrow = c(1, 2))
    plotted(cases[["iv_2sls.effect"]])
    expect_identical(graphics::par("mfrow"), c(1L, 2L))
    plotted(cases[["iv_2sls.effect"]])
    expect_identical(graphics::par("mfg")[1:2], c(1L, 2L))
  })
  # A plain plot that comes next has room for its titles, which stand at the third line.
  on_device({
    plotted(cases[["iv_2sls.effect"]])
    expect_gte(min(graphics::par("mar")[1:2]), 4)
  })
  # Text turned by the user's `las` would leave its margin.
  plain <- drawn_pixels(plotted(cases[["iv_2sls.effect"]]))
  upright <- drawn_pixels({
    graphics::par(las = 1)
    plotted(cases[["iv_2sls.effect"]])
  })
  expect_identical(upright, plain)
  shown <- drawn_text(plot(cases[["iv_2sls.effect"]]$object, main = "mine", xlab = "my axis"))
  expect_true(all(c("mine", "my axis") %in% shown))
})

test_that("parts of tables are drawn, parts without what is drawn are refused", {
  res <- mr_forest(mr_estimate(lipid_chd, c("mr_ivw", "mr_egger_regression")))
  part <- on_device(plot(res[res$exposure == "HDL", ]))
  expect_identical(as.character(unique(part$panel)), "HDL on CHD")
  expect_identical(part$estimate, res$b[res$exposure == "HDL"])
  expect_error(plot(res["b"]), class = "mrlearn_error_data")
  expect_error(mr_forest(res["b"]), class = "mrlearn_error_data")
  # TwoSampleMR's results have standard errors alone.
  theirs <- mr_forest(mr_recorded("bmi_chd_mr"))
  expect_equal(theirs$ci_high, theirs$b + stats::qnorm(0.975) * theirs$se)
  res$ci_low <- res$ci_high <- res$b <- NA_real_
  expect_error(plot(res), class = "mrlearn_error_data")
  effects <- cases[["mutagenize."]]$object
  expect_error(plot(effects, sequence = "none"), class = "mrlearn_error_argument")
  expect_error(plot(effects["effect"]), class = "mrlearn_error_data")
  sim <- cases[["mr_sim."]]$object
  expect_error(plot(sim, exposure = "dose"), class = "mrlearn_error_argument")
  expect_error(plot(cases[["compare_fits."]]$object["fit"]), class = "mrlearn_error_data")
})

# Distances under simulated deuteranopia and protanopia: the matrices of Vienot, Brettel and Mollon
# (1999) on linear RGB, CIE76 differences in Lab. 10 is told apart at a glance; the threshold of
# noticing is about 2.3.
seen_by <- function(colours, kind) {
  linear <- t(grDevices::col2rgb(colours)) / 255
  linear <- ifelse(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055)^2.4)
  to_lms <- matrix(c(17.8824, 3.45565, 0.0299566, 43.5161, 27.1554, 0.184309, 4.11935, 3.86714,
    1.46709), 3)
  lms <- linear %*% t(to_lms)
  if (kind == "deuteranopia") lms[, 2] <- 0.494207 * lms[, 1] + 1.24827 * lms[, 3]
  if (kind == "protanopia") lms[, 1] <- 2.02344 * lms[, 2] - 2.52581 * lms[, 3]
  rgb <- lms %*% t(solve(to_lms))
  rgb <- pmin(pmax(rgb, 0), 1)
  rgb <- ifelse(rgb <= 0.0031308, 12.92 * rgb, 1.055 * rgb^(1 / 2.4) - 0.055)
  grDevices::convertColor(rgb, "sRGB", "Lab")
}

test_that("series are told apart by the colour-blind", {
  for (kind in c("normal", "deuteranopia", "protanopia")) {
    expect_gt(min(stats::dist(seen_by(series_colours, kind))), 10, label = kind)
    expect_gt(min(stats::dist(seen_by(unname(plot_colour[c("line", "zero", "all")]), kind))), 10,
      label = kind)
  }
  # Red and green of equal lightness would not be.
  expect_lt(min(stats::dist(seen_by(c("#B35A00", "#7A7A00"), "deuteranopia"))), 10)
})
