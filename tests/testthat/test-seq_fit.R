# Training of sequence networks. Data are planted: an output that counts a motif can be learnt.

planted <- function(n, seed = 1, length = 24) {
  withr::with_seed(seed, {
    letters <- matrix(sample(c("A", "C", "G", "T"), n * length, TRUE), n)
    has <- sample(c(TRUE, FALSE), n, TRUE)
    start <- sample(length - 4L, n, TRUE)
    for (i in which(has)) {
      letters[i, start[i] + 0:4] <- c("G", "A", "T", "A", "A")
    }
    sequence <- apply(letters, 1, paste, collapse = "")
    hit <- as.numeric(grepl("GATAA", sequence))
    list(sequence = sequence, hit = hit, noisy = 10 + 5 * hit + stats::rnorm(n, sd = 0.5))
  })
}

small_model <- function(units = 1, last = list(), ...) {
  seq_model(c(list(
    seq_layer("conv", units = 8, taps = 5), seq_layer("batch_norm", epsilon = 1e-5),
    seq_layer("activation", activation = "relu"), seq_layer("global_max"),
    seq_layer("dense", units = units)
  ), last), length = 24, ...)
}

quick <- function(epochs = 30, ...) {
  seq_control(epochs = epochs, learning_rate = 1e-2, batch_size = 50, ...)
}

# After a few batches a network may be no better than the mean label.
briefly <- function(expr) {
  suppressWarnings(expr, classes = "mrlearn_warning_not_trained")
}

test_that("a planted motif is learnt, on the scale of the labels", {
  data <- planted(1000)
  trained <- fit(small_model(), data$sequence, data$noisy, seed = 1, control = quick())
  test <- planted(500, seed = 2)
  prediction <- predict(trained, test$sequence)$dense_5
  # noise has sd .5 and the effect 5; near misses of the motif count a little
  expect_gt(cor(prediction, test$hit), 0.9)
  expect_equal(mean(prediction[test$hit == 1]), 15, tolerance = 0.05)
  expect_equal(mean(prediction[test$hit == 0]), 10, tolerance = 0.05)
  history <- training_history(trained)
  expect_equal(trained$training$best_epoch, which.min(history$validation))
  expect_length(trained$training$valid, 150)
  expect_lt(min(history$validation), history$validation[1])
})

test_that("a linear network is least squares", {
  data <- planted(400)
  model <- seq_model(list(seq_layer("dense", units = 1)), 24)
  trained <- fit(model, data$sequence, data$noisy, seed = 1, control = seq_control(
    epochs = 400, validation = 0, batch_size = 400, learning_rate = 0.05, patience = 0,
    schedule = "cosine"
  ))
  letters <- do.call(rbind, strsplit(data$sequence, ""))
  x <- do.call(cbind, lapply(c("C", "G", "T"), function(letter) 0 + (letters == letter)))
  # fitted values do not depend on how the collinear one-hot columns are resolved; 400 steps of Adam
  # come within a thousandth of the labels' sd
  expect_equal(predict(trained, data$sequence)$dense_1, unname(fitted(lm(data$noisy ~ x))),
    tolerance = 2e-3)
})

test_that("losses fit their outputs", {
  data <- planted(1000)
  model <- small_model(last = list(seq_layer("activation", activation = "sigmoid")))
  classified <- fit(model, data$sequence, data$hit, loss = "binary", seed = 1, control = quick())
  p <- predict(classified, data$sequence)$activation_6
  expect_true(all(p >= 0 & p <= 1))
  expect_gt(mean((p > 0.5) == data$hit), 0.95)
  counts <- withr::with_seed(3, stats::rpois(1000, ifelse(data$hit == 1, 20, 3)))
  counted <- fit(small_model(), data$sequence, counts, loss = "poisson", seed = 1,
    control = quick())
  rate <- exp(predict(counted, data$sequence)$dense_5)
  # logs of 20 and 3; a rate that is right on average has the mean of 1000 counts, sd .1
  expect_gt(cor(log(rate), data$hit), 0.85)
  expect_equal(mean(rate), mean(counts), tolerance = 0.1)
})

test_that("profiles and counts of BPNet are trained together", {
  model <- seq_preset("bpnet", length = 24, outputs = 1, filters = 4)
  data <- planted(200)
  profile <- withr::with_seed(4, matrix(stats::rpois(200 * 24, 0.2), 200))
  at <- regexpr("GATAA", data$sequence)
  for (i in which(at > 0)) {
    profile[i, at[i] + 0:4] <- 5
  }
  labels <- cbind(profile, log1p(rowSums(profile)))
  trained <- fit(model, data$sequence, labels, loss = c("multinomial", "squared"), seed = 1,
    control = quick(8))
  history <- training_history(trained)
  expect_lt(history$train[8], 0.9 * history$train[1])
  expect_length(trained$output_names, 25)
})

test_that("the result depends on the seed and on nothing else", {
  data <- planted(300)
  run <- function(...) {
    fit(small_model(), data$sequence, data$noisy, control = quick(2), ...)$parameters
  }
  expect_identical(run(seed = 1, n_threads = 1), run(seed = 1, n_threads = 2))
  expect_false(identical(run(seed = 1), run(seed = 2)))
  expect_identical(withr::with_seed(5, run()), withr::with_seed(5, run()))
  from <- fit(small_model(), data$sequence, data$noisy, control = quick(3), seed = 1)
  again <- fit(from, data$sequence, data$noisy, control = quick(1), seed = 1, warm_start = TRUE)
  expect_lt(training_history(again)$train, training_history(from)$train[1])
  expect_equal(unserialize(serialize(from, NULL)), from)
})

test_that("responses are expected labels, and effects their differences", {
  data <- planted(200)
  counts <- withr::with_seed(3, stats::rpois(200, ifelse(data$hit == 1, 20, 3)))
  ends <- list(
    seq_layer("dense", units = 1, input = "global_max_4", name = "counts"),
    seq_layer("dense", units = 1, input = "global_max_4", name = "logit"),
    seq_layer("dense", units = 1, input = "global_max_4", name = "inner"),
    seq_layer("activation", activation = "sigmoid", name = "share")
  )
  base <- small_model()$layers[1:4]
  model <- seq_model(c(base, ends), 24, outputs = c("counts", "logit", "share"))
  twice <- seq_model(c(base, ends), 24, outputs = c("inner", "share"))
  expect_error(fit(twice, data$sequence, cbind(data$hit, data$hit), loss = "binary"),
    "\"inner\", cannot both", class = "mrlearn_error_argument")
  trained <- fit(model, data$sequence, cbind(counts, data$hit, data$hit),
    loss = c("poisson", "binary", "binary"), seed = 1, control = quick(3))
  link <- predict(trained, data$sequence[1:5])
  response <- predict(trained, data$sequence[1:5], type = "response")
  expect_equal(response$counts, exp(link$counts))
  expect_equal(response$logit, stats::plogis(link$logit))
  expect_identical(response$share, link$share)
  effects <- mutagenize(trained, data$sequence[1], positions = 7, type = "response")
  mutant <- data$sequence[1]
  substr(mutant, 7, 7) <- effects$alt[1]
  both <- as.matrix(predict(trained, c(mutant, data$sequence[1]), type = "response")[-1])
  # floats: some ten roundings of numbers of order 10
  expect_equal(effects$effect[1:3], unname(both[1, ] - both[2, ]), tolerance = 1e-4)
})

test_that("shares of a profile are a softmax along positions", {
  model <- seq_preset("bpnet", length = 24, outputs = 2, filters = 2)
  labels <- withr::with_seed(1, matrix(stats::rpois(30 * 50, 1), 30))
  trained <- fit(model, planted(30)$sequence, labels, loss = c("multinomial", "squared"), seed = 1,
    control = quick(1, validation = 0))
  link <- as.matrix(predict(trained, planted(2)$sequence)[-1])
  response <- as.matrix(predict(trained, planted(2)$sequence, type = "response")[-1])
  strand <- seq(2, 48, 2) # channels are fastest
  expect_equal(unname(response[2, strand]), unname(exp(link[2, strand]) /
    sum(exp(link[2, strand]))))
  expect_equal(response[, 49:50], link[, 49:50])
})

# A training that is stopped by its progress function, as by an interrupt.
stopped <- function(expr) {
  tryCatch(expr, interrupt = function(e) NULL)
}
interrupt_at <- function(epoch) {
  function(phase, done, most) {
    if (done >= epoch) raise_interrupt()
  }
}
raise_interrupt <- function() {
  signalCondition(structure(class = c("interrupt", "condition"), list(message = "", call = NULL)))
}

test_that("a training that was stopped goes on to the same bits", {
  data <- planted(300)
  file <- withr::local_tempfile()
  run <- function(...) {
    fit(small_model(), data$sequence, data$noisy, control = quick(9), checkpoint_every = 2, ...)
  }
  whole <- run(seed = 1)
  expect_null(stopped(run(seed = 1, checkpoint = file, progress = interrupt_at(5))))
  expect_true(file.exists(file))
  told <- integer()
  again <- run(checkpoint = file, n_threads = 2, progress = function(phase, done, most) {
    told <<- c(told, done)
  }) # the seed is the checkpoint's
  expect_identical(again$parameters, whole$parameters)
  expect_identical(again$history[c("train", "validation")], whole$history[c("train", "validation")])
  expect_gt(told[1], 4)
  expect_false(file.exists(file))
})

test_that("a checkpoint of another training is refused", {
  data <- planted(300)
  file <- withr::local_tempfile()
  run <- function(labels, ...) {
    fit(small_model(), data$sequence, labels, control = quick(9, ...), checkpoint = file,
      checkpoint_every = 2, seed = 1, progress = interrupt_at(4))
  }
  stopped(run(data$noisy))
  expect_error(run(data$noisy + 1), "other data", class = "mrlearn_error_checkpoint")
  expect_error(run(data$noisy, clip = 3), "clip", class = "mrlearn_error_checkpoint")
  saveRDS(1, file)
  expect_error(run(data$noisy), "no checkpoint", class = "mrlearn_error_checkpoint")
  expect_error(fit(small_model(), data$sequence, data$noisy, checkpoint = file.path(file, "x")),
    class = "mrlearn_error_argument")
})

test_that("an ensemble that was stopped keeps the members that are done", {
  data <- planted(200)
  file <- withr::local_tempfile()
  calls <- 0
  deadly <- function(phase, done, most) {
    calls <<- calls + 1
    if (calls == 3) raise_interrupt() # each member tells of two epochs of three
  }
  run <- function(...) {
    briefly(seq_ensemble(small_model(), data$sequence, data$noisy, n = 2, control = quick(3),
      bootstrap = TRUE, checkpoint_every = 1, ...))
  }
  stopped(run(seed = 1, checkpoint = file, progress = deadly))
  expect_true(all(file.exists(paste0(file, c(".1", ".2")))))
  calls <- 100
  again <- run(checkpoint = file, progress = deadly)
  expect_identical(calls, 101) # of the second member's second epoch alone
  whole <- run(seed = 1)
  for (k in 1:2) {
    expect_identical(again$members[[k]]$parameters, whole$members[[k]]$parameters)
  }
  expect_false(any(file.exists(paste0(file, c(".1", ".2")))))
})

test_that("units are held out and drawn together", {
  data <- planted(300)
  unit <- rep(1:100, 3)
  trained <- briefly(fit(small_model(), data$sequence, data$noisy, unit = unit, control = quick(1),
    seed = 1, bootstrap = TRUE))
  held <- trained$training$valid
  expect_length(intersect(unit[held], unit[trained$training$train]), 0)
  expect_true(all(table(unit[held]) == 3))
  times <- table(unit[trained$training$train])
  expect_true(all(times %% 3 == 0) && max(times) > 3)
  given <- briefly(fit(small_model(), data$sequence, data$noisy, valid = 1:40, control = quick(1),
    seed = 1))
  expect_equal(given$training$valid, 1:40)
})

test_that("ensembles keep their members", {
  data <- planted(300)
  ensemble <- seq_ensemble(small_model(output_names = "y"), data$sequence, data$noisy, n = 3,
    bootstrap = TRUE, seed = 7, control = quick(3))
  second <- fit(small_model(output_names = "y"), data$sequence, data$noisy, bootstrap = TRUE,
    seed = 8, control = quick(3))
  expect_equal(ensemble$members[[2]]$parameters, second$parameters)
  both <- predict(ensemble, data$sequence[1:4], members = TRUE)
  expect_equal(dim(both$members), c(4, 1, 3))
  expect_equal(both$mean$y, unname(rowMeans(both$members[, 1, ])))
  effects <- mutagenize(ensemble, data$sequence[1], positions = 3:4)
  expect_equal(effects$effect, rowMeans(effects$members))
  expect_equal(effects$std.error, apply(effects$members, 1, sd))
  expect_equal(effects$members[, 2], mutagenize(second, data$sequence[1], positions = 3:4)$effect)
  expect_equal(unique(training_history(ensemble)$member), 1:3)
})

test_that("presets are the published networks", {
  simulation <- seq_preset("simulation")
  # 4 7 15 + 15, 2 (15 7 15 + 15), 3 4 15 of batch norm, 82 15 30 + 30, 30 2 + 2
  expect_equal(simulation$n_parameters, 435 + 2 * 1590 + 180 + 36930 + 62)
  expect_equal(nrow(subset(seq_preset("basset")$shapes, type == "conv")), 3)
  expect_length(seq_preset("deepsea")$output_names, 919)
  bpnet <- seq_preset("bpnet")
  expect_equal(length(bpnet$output_names), 2 * 1000 + 2)
})

test_that("what cannot be trained is refused or told", {
  data <- planted(60)
  model <- small_model()
  expect_error(fit(model, data$sequence, data$noisy[-1]), class = "mrlearn_error_argument")
  expect_error(fit(model, data$sequence, rep(1, 60)), class = "mrlearn_error_data")
  expect_error(fit(model, data$sequence, replace(data$noisy, 3, NA)), class = "mrlearn_error_data")
  expect_error(fit(model, data$sequence, data$noisy, loss = "binary"), class = "mrlearn_error_data")
  expect_error(fit(model, data$sequence, -data$noisy, loss = "poisson"),
    class = "mrlearn_error_data")
  expect_error(fit(model, data$sequence, data$noisy, loss = "hinge"),
    class = "mrlearn_error_argument")
  expect_error(fit(model, data$sequence, data$noisy, unit = 1:3), class = "mrlearn_error_argument")
  expect_error(fit(model, data$sequence, data$noisy, valid = 61), class = "mrlearn_error_argument")
  expect_error(fit(model, data$sequence, data$noisy, valid = 1:60), class = "mrlearn_error_data")
  expect_error(fit(model, data$sequence, data$noisy, warm_start = TRUE),
    class = "mrlearn_error_argument")
  expect_error(seq_ensemble(model, data$sequence, data$noisy, n = 1),
    class = "mrlearn_error_argument")
  expect_warning(
    fit(model, data$sequence, data$noisy * 1e30, seed = 1,
      control = seq_control(epochs = 3, learning_rate = 1e30, optimizer = "sgd")),
    class = "mrlearn_warning_diverged"
  )
})
