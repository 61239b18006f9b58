# Measured pairs on the command line of deepmr.

test_that("deepmr calibrates on a table of measured pairs", {
  withr::local_dir(withr::local_tempdir())
  set.seed(2)
  effects <- toy_effects()[c("sequence", "position", "alt", "output", "effect")]
  pairs <- toy_pairs()
  utils::write.csv(effects, "effects.csv", row.names = FALSE)
  utils::write.table(pairs, "pairs.tsv", sep = "\t", row.names = FALSE)
  base <- c("deepmr", "--effects", "effects.csv", "--exposure", "x", "--outcome", "y")
  want <- deep_mr_effects(effects, "x", "y", pairs = pairs)
  # 15 digits are written and printed.
  run <- run_cli(base, "--pairs", "pairs.tsv", "--output", "out")
  expect_identical(run$err, "Saved in out.")
  expect_identical(cli_table(run)$method[1], "pair-IV")
  expect_equal(cli_table(run)$conf.high, want$global$conf.high, tolerance = 1e-12)
  expect_identical(readRDS(file.path("out", "deepmr.rds"))$calibration$n, want$calibration$n)
  local <- cli_table(run_cli(base, "--pairs", "pairs.tsv", "--print", "local"))
  expect_equal(local$conf.low, want$local$conf.low, tolerance = 1e-12)
  expect_identical(unique(local$interval), want$local$interval[1])
  # Columns that are not needed may be absent, and numbers stand for TRUE and FALSE.
  pairs$n_measured <- NULL
  pairs$keep <- as.integer(pairs$keep)
  utils::write.csv(pairs, "few.csv", row.names = FALSE)
  expect_equal(cli_table(run_cli(base, "--pairs", "few.csv"))$conf.high, want$global$conf.high,
    tolerance = 1e-12)
})

test_that("wrong tables of pairs are refused in a line that says why", {
  withr::local_dir(withr::local_tempdir())
  set.seed(2)
  pairs <- toy_pairs()
  utils::write.csv(toy_effects()[c("sequence", "position", "alt", "output", "effect")],
    "effects.csv", row.names = FALSE)
  ask <- function(pairs, ...) {
    utils::write.csv(pairs, "pairs.csv", row.names = FALSE)
    run_cli("deepmr", "--effects", "effects.csv", "--exposure", "x", "--outcome", "y", "--pairs",
      "pairs.csv", ...)
  }
  refused <- function(run, why) {
    expect_identical(run$status, 2L)
    expect_match(run$err, why)
    expect_identical(run$out, character())
  }
  refused(ask(pairs[names(pairs) != "observed"]), "no column `observed`")
  refused(ask(transform(pairs, keep = "perhaps")), "TRUE or FALSE")
  refused(ask(transform(pairs, level = "high")), "must have numbers")
  refused(ask(pairs[pairs$output == "x", ]), "one row for each pair")
  refused(ask(pairs[1:4, ]), "`pairs`")
  expect_identical(run_cli("deepmr", "--effects", "effects.csv", "--exposure", "x", "--outcome",
    "y", "--control", "interval=pairs")$status, 1L)
})
