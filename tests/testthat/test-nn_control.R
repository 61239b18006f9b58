test_that("what is not given comes from the preset", {
  default <- nn_control()
  expect_s3_class(default, "nn_control")
  expect_identical(nn_control(epochs = 7)$epochs, 7L)
  expect_identical(nn_control(epochs = 7)$learning_rate, default$learning_rate)
  sizes <- vapply(c(100, 8000, 1e6), function(n) nn_settings(default, n)$batch_size, 0L)
  expect_identical(sizes, c(32L, 200L, 2000L))
  expect_identical(nn_settings(nn_control(batch_size = 77), 1e6)$batch_size, 77L)
  # METHODS of that tool: exposure 128-64, outcome 64-32, batch norm, GELU, rate 5e-4, decay 1e-4,
  # batches of 10000, a fifth for validation, patience 20.
  other <- nn_control("ml-mr")
  expect_identical(other$hidden, list(c(128L, 64L), c(64L, 32L)))
  expect_true(other$batch_norm)
  expect_identical(other$activation, "gelu")
  expect_identical(other$learning_rate, 5e-4)
  expect_identical(other$weight_decay, 1e-4)
  expect_identical(other$batch_size, 10000L)
  expect_identical(other$validation, 0.2)
  expect_identical(other$patience, 20L)
  expect_identical(nn_control("ml-mr", batch_norm = FALSE)$batch_norm, FALSE)
  expect_true(default$refit)
  expect_false(other$refit) # that tool has no closed forms
  expect_true(nn_control("ml-mr", refit = TRUE)$refit)
  expect_identical(nn_control(boot_epochs = 0)$boot_epochs, 0L)
})

test_that("one vector of units is for every network", {
  expect_identical(nn_control(hidden = 8)$hidden, list(8L, 8L))
  expect_identical(nn_control(hidden = list(c(16, 8), 4))$hidden, list(c(16L, 8L), 4L))
  expect_identical(nn_control(hidden = integer(0))$hidden, list(integer(0), integer(0)))
})

test_that("values out of range name the argument", {
  bad <- list(
    hidden = "a", hidden = 0, hidden = 2.5, hidden = list(1, 2, 3), hidden = NA_real_,
    activation = "swish", batch_norm = NA, dropout = 1, dropout = -0.1, epochs = 0, epochs = 1.5,
    batch_size = 0, learning_rate = 0, learning_rate = Inf, learning_rate = c(1, 2),
    optimizer = "lbfgs", weight_decay = -1, patience = -1, validation = 1, validation = NA,
    schedule = "step", clip = -1, momentum = 1, betas = 0.9, betas = c(0.9, 1), epsilon = 0,
    min_rate = 2, factor = 1, schedule_patience = 0, refit = NA,
    boot_epochs = -1, boot_rate = -0.1, boot_type = "third", preset = "torch"
  )
  for (i in seq_along(bad)) {
    error <- expect_error(do.call(nn_control, bad[i]), class = "mrlearn_error_argument")
    expect_match(conditionMessage(error), paste0("`", names(bad)[i], "`"), fixed = TRUE)
  }
  expect_error(nn_control(learnig_rate = 1), "unused argument")
})

test_that("a control prints", {
  expect_snapshot({
    nn_control()
    nn_control("ml-mr", dropout = 0.1)
    nn_control(hidden = integer(0), schedule = "constant", patience = 0, clip = 0)
  })
})
