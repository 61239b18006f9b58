# Local and global effects against slow oracles; what is known in closed form; bad input.

by_sequence <- function(effects, output) {
  rows <- which(effects$output == output)
  split(rows, effects$sequence[rows])
}

test_that("slopes and members' influence are those of the loops", {
  set.seed(1)
  effects <- toy_effects()
  fit <- deep_mr_effects(effects, "x", "y", interval = "member_plain")
  x <- effects$effect[effects$output == "x"]
  strong <- abs(x - mean(x)) >= sd(x)
  expect_identical(fit$effects$instrument, strong)
  rows_x <- by_sequence(effects, "x")
  rows_y <- by_sequence(effects, "y")
  of <- split(strong, effects$sequence[effects$output == "x"])
  slow <- lapply(names(rows_x), function(id) {
    rx <- rows_x[[id]][of[[id]]]
    ry <- rows_y[[id]][of[[id]]]
    oracle_deep_slope(effects$effect[rx], effects$effect[ry], effects$members[rx, ],
      effects$members[ry, ])
  })
  column <- function(name) vapply(slow, `[[`, 0, name)
  # Sums of 20 products: rounding is some 1e-15.
  expect_equal(fit$local$slope, column("slope"), tolerance = 1e-12)
  expect_equal(fit$local$std.error, column("sd"), tolerance = 1e-10)
  expect_equal(fit$local$ratio, column("ratio"), tolerance = 1e-12)
  expect_equal(fit$local$conf.high, column("slope") + qt(0.975, 3) * column("sd"),
    tolerance = 1e-10)
  each <- rowMeans(vapply(slow, `[[`, numeric(4), "shift"))
  members <- fit$global[fit$global$method == "members", ]
  expect_equal(members$estimate, mean(column("slope")), tolerance = 1e-12)
  expect_equal(members$std.error, sqrt(var(each) * (1 + 1 / 4) + var(column("slope")) / 6),
    tolerance = 1e-10)
  expect_true(members$main)
  moderated <- deep_mr_effects(effects, "x", "y", interval = "moderated")
  typical <- exp(mean(log(column("sd")^2)))
  expect_equal(moderated$local$std.error, sqrt((4 * typical + 3 * column("sd")^2) / 7),
    tolerance = 1e-10)
  expect_equal(moderated$local$conf.high, column("slope") + qt(0.975, 7) *
    sqrt((4 * typical + 3 * column("sd")^2) / 7), tolerance = 1e-10)
  expect_equal(tidy(moderated, "local")$p.value, 2 * pt(-abs(moderated$local$estimate /
    moderated$local$std.error), 7), tolerance = 1e-10)
  usual <- deep_mr_effects(effects, "x", "y")
  expect_identical(usual$interval, "member")
  expect_equal(usual$local$std.error, sqrt(5 / 4) * moderated$local$std.error, tolerance = 1e-12)
  expect_equal(usual$local$conf.low, column("slope") - qt(0.975, 3) * usual$local$std.error,
    tolerance = 1e-12)
  expect_equal(tidy(usual, "local")$p.value, 2 * pt(-abs(usual$local$estimate /
    usual$local$std.error), 3), tolerance = 1e-10)
  meta <- meta_random(fit$local$estimate, fit$local$std.error)
  random <- fit$global[fit$global$method == "random effects", ]
  expect_identical(random$estimate, meta$estimate)
  expect_identical(random$tau, sqrt(meta$tau2))
  expect_identical(random$pred.high, meta$pred.high)
})

test_that("an influence is what a member changes of the slope", {
  # Central differences with steps of 1e-4 of the member's deviation: their error is some 1e-8 of
  # terms of order .1, rounding 1e-12.
  set.seed(2)
  x <- rnorm(10)
  y <- 2 * x + rnorm(10, sd = 0.1)
  mx <- x + rnorm(10, sd = 0.1)
  my <- y + rnorm(10, sd = 0.1)
  slope <- function(x, y) sum(x * y) / sum(x^2)
  at <- function(e) slope(x + e * (mx - x), y + e * (my - y))
  slow <- oracle_deep_slope(x, y, cbind(mx), cbind(my))$shift
  expect_lt(abs((at(1e-4) - at(-1e-4)) / 2e-4 - slow), 1e-7)
})

test_that("without errors the slope is the effect, whatever the order of rows", {
  set.seed(3)
  effects <- toy_effects(error = 0)
  truth <- 1 + 0.2 * 1:6
  fit <- suppressWarnings(deep_mr_effects(effects, "x", "y"))
  expect_equal(fit$local$estimate, truth, tolerance = 1e-12)
  mixed <- effects[sample(nrow(effects)), ]
  again <- suppressWarnings(deep_mr_effects(mixed, "x", "y"))
  at <- match(fit$local$sequence, again$local$sequence)
  expect_equal(again$local$estimate[at], truth, tolerance = 1e-12)
  inverse <- suppressWarnings(deep_mr_effects(effects, "y", "x", instruments = "none"))
  expect_equal(inverse$local$estimate, 1 / truth, tolerance = 1e-12)
})

test_that("threads, rows per member and a variant column change nothing", {
  set.seed(4)
  effects <- toy_effects()
  one <- deep_mr_effects(effects, "x", "y", n_threads = 1)
  expect_identical(deep_mr_effects(effects, "x", "y", n_threads = 3), one)
  long <- do.call(rbind, lapply(1:4, function(k) {
    cbind(effects[c("sequence", "position", "ref", "alt", "output")], effect = effects$members[, k],
      member = k)
  }))
  mixed <- deep_mr_effects(long[sample(nrow(long)), ], "x", "y")$local
  at <- match(one$local$sequence, mixed$sequence)
  expect_equal(mixed$estimate[at], one$local$estimate, tolerance = 1e-12)
  expect_equal(mixed$std.error[at], one$local$std.error, tolerance = 1e-9)
  named <- effects
  named$variant <- paste(named$position, named$alt)
  named$position <- named$ref <- named$alt <- NULL
  expect_identical(deep_mr_effects(named, "x", "y")$local, one$local)
})

test_that("intervals by pairs are those of the loops", {
  for (interval in setdiff(deep_intervals, c(member_intervals, "none"))) {
    set.seed(5)
    effects <- toy_effects(n_seq = 15)
    designed <- startsWith(interval, "designed")
    pairs <- toy_pairs(n = 15, each = if (designed) 6 else 2, n_measured = if (designed) 4 else 1)
    fit <- deep_mr_effects(effects, "x", "y", interval = interval, pairs = pairs)
    x <- effects$effect[effects$output == "x"]
    wide <- wide_pairs(pairs, "x", "y")
    used <- wide[wide$keep & abs(wide$f - mean(x)) >= sd(x), ]
    null <- wide[abs(wide$f) < 0.75 & abs(wide$g) < 0.75, ]
    noise_at <- function(x, y) {
      lapply(seq_along(x), function(i) {
        oracle_deep_noise(c(x[i], y[i]), cbind(null$level_x, null$level_y),
          cbind(null$dx - null$f, null$dy - null$g), 80)
      })
    }
    member_sd <- deep_mr_effects(effects, "x", "y", interval = "member_plain")$local
    slow <- oracle_deep_calibrated(used, noise_at(used$level_x, used$level_y),
      noise_at(used$mutant_x, used$mutant_y),
      setNames(as.list(member_sd$slope), member_sd$sequence),
      setNames(member_sd$std.error, member_sd$sequence), 4, interval, 0.95)
    # uniroot() stops at 1e-13; erfc and pnorm agree to 1e-15.
    expect_equal(fit$local$estimate, fit$local$slope + slow$delta, tolerance = 1e-10)
    expect_equal(fit$local$conf.high - fit$local$estimate, unname(slow$reach), tolerance = 1e-8)
    expect_equal(fit$local$estimate - fit$local$conf.low, unname(slow$reach), tolerance = 1e-8)
    iv <- fit$global[fit$global$method == "pair-IV", ]
    theta <- sum(used$f * used$dy) / sum(used$f * used$dx)
    score <- tapply(used$f * (used$dy - theta * used$dx), used$sequence, sum)
    expect_equal(iv$estimate, theta, tolerance = 1e-12)
    expect_equal(iv$std.error, sqrt(sum(score^2)) / abs(sum(used$f * used$dx)), tolerance = 1e-10)
    expect_identical(iv$df, length(score) - 1)
  }
})

test_that("errors by level are those of the loops, and taken off", {
  set.seed(12)
  effects <- toy_effects(n_seq = 15)
  pairs <- toy_pairs(n = 60)
  # The model's slopes are off by a tenth for each unit of the exposure's level.
  x <- pairs$output == "x"
  pairs$effect[!x] <- pairs$effect[!x] + 0.1 * (pairs$level[x] - 5) * pairs$effect[x]
  levels <- data.frame(sequence = paste0("s", 15:1), y = stats::rnorm(15, 5), x = 1:15)
  fit <- deep_mr_effects(effects, "x", "y", pairs = pairs, levels = levels)
  expect_true(fit$calibration$by_level)
  moved <- fit$local$estimate - fit$local$slope
  wide <- wide_pairs(pairs, "x", "y")
  at <- effects$effect[effects$output == "x"]
  used <- wide[wide$keep & abs(wide$f - mean(at)) >= sd(at), ]
  null <- wide[abs(wide$f) < 0.75 & abs(wide$g) < 0.75, ]
  noise_at <- function(x, y) {
    lapply(seq_along(x), function(i) {
      oracle_deep_noise(c(x[i], y[i]), cbind(null$level_x, null$level_y),
        cbind(null$dx - null$f, null$dy - null$g), 80)
    })
  }
  known <- cbind(used$level_x, used$level_y)
  asked <- as.matrix(levels[15:1, c("x", "y")])
  new <- vapply(1:2, function(j) {
    inside <- pmin(pmax(asked[, j], min(known[, j])), max(known[, j]))
    (inside - mean(known[, j])) / sd(known[, j])
  }, numeric(15))
  member_sd <- deep_mr_effects(effects, "x", "y", interval = "member_plain")$local$std.error
  slow <- oracle_deep_calibrated(used, noise_at(used$level_x, used$level_y),
    noise_at(used$mutant_x, used$mutant_y), NULL,
    setNames(c(member_sd, rep(1, 60)), c(paste0("s", 1:15), paste0("s", 16:75)))[1:15], 4, "pairs",
    0.95, list(cbind(1, scale(known)), cbind(1, new)))
  expect_equal(moved, slow$delta, tolerance = 1e-9)
  expect_equal(fit$local$conf.high - fit$local$estimate, slow$reach, tolerance = 1e-8)
  # Levels from 3 to 7 lie where most pairs do: the correction falls by a tenth for each, give or
  # take its standard error, near .5 sqrt(2) sqrt(1 + 1.2^2) / (3 sqrt(60)): .05.
  expect_lt(abs(mean(diff(moved[3:7])) + 0.1), 0.15)
  # Threads and the order of `levels` change nothing; levels alike for all teach nothing.
  expect_identical(deep_mr_effects(effects, "x", "y", pairs = pairs, levels = levels[15:1, ],
    n_threads = 3)$local, fit$local)
  pairs$level <- 5
  flat <- deep_mr_effects(effects, "x", "y", pairs = pairs, levels = levels)
  expect_false(flat$calibration$by_level)
  expect_identical(flat$local, deep_mr_effects(effects, "x", "y", pairs = pairs)$local)
})

test_that("calibration takes the shared error off", {
  # The model's slopes are .5 too high in all pairs: 60 pairs with noise .5 per measurement and
  # f of SD 3 estimate that with a standard error near .5 sqrt(2) sqrt(1 + 1.2^2) / (3 sqrt(60)),
  # .05: four of them are .2.
  set.seed(6)
  effects <- toy_effects(slope = rep(1.7, 6))
  fit <- deep_mr_effects(effects, "x", "y", pairs = toy_pairs(off = 0.5))
  expect_lt(abs(fit$calibration$delta + 0.5), 0.2)
  known <- !is.na(fit$local$estimate)
  expect_gt(sum(known), 3)
  expect_true(all((fit$local$conf.low < 1.2 & fit$local$conf.high > 1.2)[known]))
  # The members, which are all wrong alike, do not know.
  by_member <- deep_mr_effects(effects, "x", "y", interval = "member")
  expect_true(all(by_member$local$conf.low[known] > 1.2))
})

test_that("methods for summary data are mr_estimate()'s, sequence by sequence", {
  set.seed(7)
  effects <- toy_effects()
  fit <- deep_mr_effects(effects, "x", "y",
    method = c("slope", "mr_ivw", "mr_egger_regression"))
  expect_identical(unique(fit$local$method), c("slope", "Inverse variance weighted", "MR Egger"))
  for (id in c("s1", "s4")) {
    mine <- fit$effects[fit$effects$sequence == id & fit$effects$instrument, ]
    slow <- mr_estimate(mr_data(mine$beta.exposure, mine$se.exposure, mine$beta.outcome,
      mine$se.outcome), c("mr_ivw", "mr_egger_regression"))
    fast <- fit$local[fit$local$sequence == id & fit$local$method != "slope", ]
    expect_equal(fast$estimate, slow$b, tolerance = 1e-12)
    expect_equal(fast$std.error, slow$se, tolerance = 1e-12)
    expect_equal(fast$conf.low, slow$ci_low, tolerance = 1e-12)
    expect_equal(fast$intercept, slow$intercept, tolerance = 1e-12)
  }
})

test_that("sequences with too few instruments have a row that says so", {
  set.seed(8)
  effects <- toy_effects()
  effects$effect[effects$sequence == "s2" & effects$output == "x"][-(1:2)] <- 0
  fit <- deep_mr_effects(effects, "x", "y", method = c("slope", "mr_ivw"), instruments = "none")
  two <- fit$local[fit$local$sequence == "s2", ]
  expect_true(all(is.na(two$estimate) & is.na(two$conf.low)))
  expect_identical(two$reason, rep("2 of at least 3 instruments", 2))
  expect_equal(fit$too_few, 1 / 6)
  expect_identical(fit$global$k[fit$global$method == "members"], 5L)
})

test_that("nothing to estimate is said, not an error", {
  set.seed(8)
  effects <- toy_effects(n_variant = 4)
  fit <- deep_mr_effects(effects, "x", "y", least = 5)
  expect_true(all(is.na(fit$local$estimate)))
  expect_identical(nrow(fit$global), 0L)
  expect_identical(fit$too_few, 1)
  expect_true(is.na(glance(fit)$estimate))
  expect_output(print(fit), "No mean effect")
  strong <- deep_mr_effects(effects, "x", "y", least = 1, strongest = 100)
  expect_true("the strongest instrument is below 100" %in% strong$local$reason)
  expect_false(anyNA(strong$local$reason))
})

test_that("measured effects with standard errors take IVW", {
  set.seed(9)
  effects <- toy_effects()
  effects$members <- NULL
  effects$std.error[3] <- 0
  expect_message(fit <- deep_mr_effects(effects, "x", "y", instruments = "none"),
    "standard error is zero", class = "mrlearn_message_dropped")
  expect_identical(fit$local$method[1], "Inverse variance weighted")
  expect_identical(fit$global$method[fit$global$main], "random effects")
  strong <- deep_mr_effects(effects[-(3:4), ], "x", "y", instruments = "f", threshold = 30)
  d <- strong$effects
  expect_identical(d$instrument, (d$beta.exposure / d$se.exposure)^2 >= 30)
})

test_that("an ensemble of one has no interval, with a warning", {
  set.seed(10)
  effects <- toy_effects()
  effects$std.error <- effects$members <- NULL
  expect_warning(fit <- deep_mr_effects(effects, "x", "y"), class = "mrlearn_warning_no_interval")
  expect_true(all(is.finite(fit$local$estimate)))
  expect_true(all(is.na(fit$local$conf.low)))
  expect_true(is.na(glance(fit)$conf.low))
  expect_warning(deep_mr_effects(effects, "x", "y", interval = "member"), "ensemble of one",
    class = "mrlearn_warning_no_interval")
  # Members that all say the same say no more than one.
  effects$members <- matrix(effects$effect, nrow(effects), 3)
  same <- deep_mr_effects(effects, "x", "y")
  expect_true(all(is.finite(same$local$estimate)))
  expect_identical(same$local$conf.low, rep(NA_real_, 6))
})

test_that("standard errors of zero leave nothing to weight by", {
  set.seed(10)
  effects <- toy_effects()
  effects$members <- NULL
  effects$std.error <- 0
  for (instruments in c("none", "f")) {
    expect_message(fit <- deep_mr_effects(effects, "x", "y", instruments = instruments),
      "standard error is zero", class = "mrlearn_message_dropped")
    expect_true(all(is.na(fit$local$estimate)))
    expect_match(fit$local$reason, "there are 0")
    expect_false(any(fit$global$main))
  }
})

test_that("bad input is refused with its class", {
  set.seed(11)
  effects <- toy_effects()
  pairs <- toy_pairs()
  refused <- function(..., what = "argument") {
    expect_error(deep_mr_effects(...), class = paste0("mrlearn_error_", what))
  }
  expect_snapshot(error = TRUE, {
    deep_mr_effects(effects, "z", "y")
    deep_mr_effects(effects, "x", "x")
    deep_mr_effects(effects, "x", "y", interval = "pairs")
    deep_mr_effects(effects, "x", "y", method = "ivw")
    deep_mr_effects(rbind(effects, effects[3, ]), "x", "y")
    deep_mr_effects(effects[-2], "x", "y")
    deep_mr_effects(effects, "x", "y", pairs = pairs[pairs$output == "x", ])
    deep_mr_effects(effects, "x", "y", pairs = transform(pairs, keep = FALSE))
    deep_mr_effects(effects, "x", "y", pairs = pairs[pairs$keep, ])
  })
  refused(as.matrix(1), "x", "y")
  refused(effects, "x", "y", pairs = pairs, levels = 1)
  refused(effects, "x", "y", pairs = pairs, levels = data.frame(sequence = "s1", x = 1, y = 1),
    what = "data")
  refused(effects, "x", "y", pairs = pairs, levels = data.frame(sequence = "s1", x = 1),
    what = "data")
  refused(transform(effects, std.error = -1), "x", "y", what = "data")
  refused(transform(effects, effect = NA_real_), "x", "y", what = "data")
  refused(effects, "x", "y", threshold = -1)
  refused(effects, "x", "y", control = list())
  plain <- effects
  plain$std.error <- plain$members <- NULL
  refused(plain, "x", "y", instruments = "f")
  refused(plain, "x", "y", method = "mr_ivw")
  refused(plain, "x", "y", interval = "pairs_half", pairs = pairs)
  refused(effects[effects$output == "x" | effects$sequence == "none", ], "x", "y")
})
