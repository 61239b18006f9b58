# Monte Carlo dropout: masks over networks, the same for a sequence and its mutants.

dropped <- function(rate, last = NULL) {
  layers <- c(list(
    seq_layer("conv", units = 4, taps = 3), seq_layer("activation", activation = "relu"),
    seq_layer("batch_norm"), seq_layer("dropout", rate = rate),
    seq_layer("flatten"), seq_layer("dense", units = 2)
  ), last)
  n <- seq_model(layers, 9)$n_parameters
  withr::with_seed(3, seq_model(layers, 9, output_names = c("x", "y"),
    parameters = stats::runif(n, 0.1, 1)))
}

some <- c(a = "ACGTTGACA", b = "GGNTTACCA", c = "TTTTAAAAC")

test_that("predictions are means over masks, of which each is one net", {
  model <- dropped(0.3)
  found <- predict(model, some, n_dropout = 400, members = TRUE, seed = 1)
  expect_equal(dim(found$members), c(3, 2, 400))
  expect_equal(found$mean$x, unname(rowMeans(found$members[, 1, ])))
  # dropout before a dense layer leaves the expectation: five standard errors of 400 masks
  plain <- as.matrix(predict(model, some)[-1])
  away <- abs(apply(found$members, 1:2, mean) - plain)
  expect_true(all(away < 5 * apply(found$members, 1:2, stats::sd) / 20))
  expect_gt(min(apply(found$members, 1:2, stats::sd)), 0.01)
  expect_identical(predict(model, some[2], n_dropout = 400, seed = 1)$y, found$mean$y[2])
})

# A slow net under one mask: its 28 units (7 positions by 4 channels) are dropped or scaled.
test_that("a mask drops with its rate, and scales what it keeps", {
  layers <- list(seq_layer("dropout", rate = 0.25), seq_layer("flatten"))
  model <- seq_model(layers, 9, parameters = numeric())
  found <- predict(model, c("AAAAAAAAA", "CCCCCCCCC"), n_dropout = 500, members = TRUE, seed = 2)
  values <- found$members[1, seq(1, 36, 4), ] # the letter that is there
  expect_true(all(values == 0 | abs(values - 4 / 3) < 1e-6))
  # 4500 draws: five standard errors
  expect_lt(abs(mean(values == 0) - 0.25), 5 * sqrt(0.25 * 0.75 / 4500))
  expect_lt(max(abs(rowMeans(values == 0) - 0.25)), 5 * sqrt(0.25 * 0.75 / 500))
  expect_true(all(found$members[1, seq(2, 36, 4), ] == 0))
})

test_that("a sequence and its mutants have one mask", {
  model <- dropped(0.3)
  effects <- mutagenize(model, some, n_dropout = 8, seed = 4)
  expect_equal(dim(effects$members), c(nrow(effects), 8))
  expect_equal(effects$effect, rowMeans(effects$members))
  expect_equal(effects$std.error, apply(effects$members, 1, stats::sd))
  mutants <- some[effects$sequence]
  substr(mutants, effects$position, effects$position) <- effects$alt
  at <- cbind(seq_along(mutants), match(effects$output, c("x", "y")))
  after <- predict(model, unname(mutants), n_dropout = 8, members = TRUE, seed = 4)$members
  before <- predict(model, some, n_dropout = 8, members = TRUE, seed = 4)$members
  for (k in 1:8) {
    slow <- after[cbind(at, k)] - before[cbind(match(effects$sequence, names(some)), at[, 2], k)]
    expect_equal(effects$members[, k], slow, tolerance = 1e-5) # floats
  }
  # the defect: another mask for the mutants
  other <- predict(model, unname(mutants), n_dropout = 8, members = TRUE, seed = 5)$members
  wrong <- other[cbind(at, 1)] - before[cbind(match(effects$sequence, names(some)), at[, 2], 1)]
  expect_gt(max(abs(effects$members[, 1] - wrong)), 0.01)
})

test_that("masks depend on the seed and on nothing else", {
  model <- dropped(0.3)
  run <- function(...) mutagenize(model, some, n_dropout = 3, ...)$members
  expect_identical(run(seed = 1, n_threads = 1), run(seed = 1, n_threads = 2))
  expect_false(identical(run(seed = 1), run(seed = 2)))
  expect_identical(withr::with_seed(5, run()), withr::with_seed(5, run()))
  expect_identical(run(seed = 1)[, 1:2], mutagenize(model, some, n_dropout = 2, seed = 1)$members)
  set.seed(1)
  before <- .Random.seed
  predict(model, some)
  run(seed = 1)
  expect_identical(.Random.seed, before)
})

test_that("at rate 0 all masks are the network as it is", {
  model <- dropped(0)
  found <- predict(model, some, n_dropout = 2, members = TRUE, seed = 1)
  expect_identical(found$mean, predict(model, some))
  effects <- mutagenize(model, some, n_dropout = 3, seed = 1)
  expect_identical(effects$effect, mutagenize(model, some)$effect)
  expect_true(all(effects$std.error == 0))
})

test_that("members of an ensemble have masks of their own", {
  ensemble <- structure(list(members = list(dropped(0.3), dropped(0.3)), bootstrap = FALSE,
    seed = 1), class = "seq_ensemble")
  found <- predict(ensemble, some, n_dropout = 3, members = TRUE, seed = 1)
  expect_equal(dim(found$members), c(3, 2, 6))
  expect_identical(found$members[, , 1:3], predict(dropped(0.3), some, n_dropout = 3,
    members = TRUE, seed = 1)$members)
  expect_false(any(found$members[, , 4:6] == found$members[, , 1:3]))
  effects <- mutagenize(ensemble, some, n_dropout = 3, seed = 1)
  expect_equal(ncol(effects$members), 6)
  fit <- calibrate(dropped(0.3), rep(some, 10), matrix(stats::rnorm(60), 30), n_dropout = 5,
    seed = 1)
  expect_identical(fit$outputs, c("x", "y"))
})

test_that("effects on disk go on with the masks that they began with", {
  model <- dropped(0.3)
  dir <- withr::local_tempfile()
  mutagenize(model, some, n_dropout = 3, dir = dir, per_chunk = 1)
  first <- read_effects(dir)
  expect_equal(dim(first$members), c(nrow(first), 3))
  unlink(file.path(dir, "effects-000002.rds"))
  mutagenize(model, some, n_dropout = 3, dir = dir, per_chunk = 1)
  expect_identical(read_effects(dir), first)
  expect_error(mutagenize(model, some, n_dropout = 3, seed = 2, dir = dir, per_chunk = 1),
    class = "mrlearn_error_checkpoint")
})

test_that("MPRA-DragoNN drops as it was trained", {
  shared_data("models", "mpra_dragonn")
  model <- mpra_model()
  sequences <- reference(shared_data("models", "mpra_dragonn"), "real20")$sequences[1:4]
  found <- predict(model, sequences, n_dropout = 20, members = TRUE, seed = 1)
  plain <- as.matrix(predict(model, sequences)[-1])
  spread <- apply(found$members, 1:2, stats::sd)
  expect_true(all(spread > 0))
  # nonlinear, so that the mean over masks is off by a part of the spread
  expect_lt(mean(abs(as.matrix(found$mean[-1]) - plain) / spread), 1.5)
})

test_that("masks of a network without dropout, and one mask, are refused", {
  plain <- seq_model(list(seq_layer("dense", units = 1)), 2, parameters = 1:9)
  refused <- function(expr) expect_error(expr, class = "mrlearn_error_argument")
  refused(predict(plain, "AC", n_dropout = 4))
  refused(mutagenize(plain, "AC", n_dropout = 4))
  refused(predict(dropped(0.3), some, n_dropout = 1))
  refused(predict(dropped(0.3), some, n_dropout = -1))
  refused(predict(plain, "AC", type = "response"))
  refused(predict(plain, "AC", type = "count"))
  refused(mutagenize(plain, "AC", mask = 1))
})
