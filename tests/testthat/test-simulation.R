step_by_step <- function(n = 500, seed = 4, n_threads = 1) {
  simulation(n, seed) |>
    add_parameter("maf", "uniform", low = 0.2, high = 0.4, size = 3, n_threads = n_threads) |>
    add_parameter("share", "dirichlet", size = 3, n_threads = n_threads) |>
    add_parameter("effect", ~ sqrt(0.3 * share / (2 * maf * (1 - maf)))) |>
    add_variable("G", "variant", frequency = ~maf, n_threads = n_threads) |>
    add_variable("L", "ld", frequency = c(0.2, 0.3), r = 0.4, n_threads = n_threads) |>
    add_variable("M", "mvnormal", mean = 1:2, covariance = matrix(c(2, 1, 1, 2), 2),
      n_threads = n_threads) |>
    add_variable("U", "normal", hidden = TRUE, n_threads = n_threads) |>
    add_variable("score", "sum", of = "G", weights = ~effect) |>
    add_variable("X", "normal", mean = ~ score + 0.3 * U, sd = 0.8, n_threads = n_threads) |>
    add_variable("Y", ~ 0.3 * X^2 - 0.7 * U + M1) |>
    add_variable("P", "beta", a = 2, b = ~ exp(Y / 10), n_threads = n_threads) |>
    add_variable("N", "binomial", trials = 100, prob = ~P, n_threads = n_threads) |>
    add_variable("W", "exponential", mean = 2, n_threads = n_threads) |>
    add_variable("D", "logistic", index = ~Y, cutoff = 1, n_threads = n_threads) |>
    add_variable("E", "liability", index = "Y - M1", n_threads = n_threads)
}

test_that("draws depend on the seed and the name alone", {
  one <- step_by_step(9000)
  expect_identical(step_by_step(9000, n_threads = 2)$values, one$values)
  expect_identical(step_by_step(9000)$values, one$values)
  expect_false(identical(step_by_step(9000, 5)$values$U, one$values$U))
  expect_identical(resample(one, 5)$values, step_by_step(9000, 5)$values)
  alone <- add_variable(simulation(100, 4), "U", "normal")
  expect_identical(alone$values$U, one$values$U[1:100])
  set.seed(1)
  drawn <- simulation(5)
  set.seed(1)
  expect_identical(simulation(5)$seed, drawn$seed)
})

test_that("formulas, sums and binary outcomes are what they say", {
  sim <- step_by_step()
  v <- sim$values
  expect_identical(v$Y, 0.3 * v$X^2 - 0.7 * v$U + v$M[, "M1"])
  expect_equal(v$score, drop(v$G %*% v$effect), tolerance = 1e-14)
  expect_equal(sum(v$share), 1)
  expect_setequal(unique(c(v$D, v$E)), 0:1)
  people <- as.data.frame(sim)
  expect_false("U" %in% names(people))
  expect_true("U" %in% names(as.data.frame(sim, hidden = TRUE)))
  # P(D = 1 | Y) is logistic: 40,000 draws, a share's standard error is at most 0.0025
  many <- add_variable(simulation(40000, 1), "D", "logistic", index = 0.5, cutoff = 1) |>
    add_variable("E", "liability", index = 0.5, cutoff = 1)
  expect_lt(abs(mean(many$values$D) - plogis(-0.5)), 4.5 * 0.0025)
  expect_lt(abs(mean(many$values$E) - pnorm(-0.5)), 4.5 * 0.0025)
})

test_that("a simulation in files comes back to the last bit", {
  sim <- add_variable(step_by_step(), "F", function(v) v$X / 3) |>
    add_variable("given", (1:500) / 7)
  prefix <- withr::local_tempfile()
  write_simulation(sim, prefix)
  read <- read_simulation(prefix)
  expect_identical(read$values, sim$values)
  expect_identical(as.data.frame(read), as.data.frame(sim))
  expect_error(resample(read), class = "mrlearn_error_argument", "`F`")
  sim <- step_by_step()
  write_simulation(sim, prefix)
  read <- read_simulation(prefix)
  expect_identical(resample(read, 9)$values, resample(sim, 9)$values)
  write_simulation(simulation(5, 2^53), prefix)
  expect_identical(read_simulation(prefix), simulation(5, 2^53))
})

# The file of a simulation with `from` in its JSON replaced.
changed <- function(from, to, sim = step_by_step(50)) {
  prefix <- tempfile()
  write_simulation(sim, prefix)
  file <- paste0(prefix, ".json")
  text <- readLines(file)
  stopifnot(any(grepl(from, text, fixed = TRUE)))
  writeLines(sub(from, to, text, fixed = TRUE), file)
  prefix
}

test_that("files are data: what is code in them is refused and not run", {
  mark <- withr::local_tempfile()
  code <- sprintf("file.create('%s')", mark)
  prefix <- changed("\"0.3 * X^2 - 0.7 * U + M1\"", paste0("\"", code, "\""))
  expect_error(resample(read_simulation(prefix)), class = "mrlearn_error_argument")
  prefix <- changed("\"frequency\": \"maf\"", paste0("\"frequency\": \"", code, "\""))
  expect_error(resample(read_simulation(prefix)), class = "mrlearn_error_argument")
  expect_false(file.exists(mark))
  expect_error(read_simulation(changed("\"law\": \"variant\"", "\"law\": \"system\"")),
    class = "mrlearn_error_data", "system")
  expect_error(read_simulation(changed("\"name\": \"X\"", "\"name\": \"../X\"")),
    class = "mrlearn_error_data")
  expect_error(read_simulation(changed("\"name\": \"X\"", "\"name\": \"Z\"")),
    class = "mrlearn_error_data", "columns")
  expect_error(read_simulation(changed("\"n\": 50", "\"n\": 51")), class = "mrlearn_error_data")
  expect_error(read_simulation(changed("{", "[{")), class = "mrlearn_error_data", "JSON")
  expect_error(read_simulation(changed("simulation 1", "simulation 9")),
    class = "mrlearn_error_data")
  expect_error(read_simulation(tempfile()), class = "mrlearn_error_argument")
})

test_that("wrong steps are named", {
  sim <- add_variable(simulation(4, 1), "X", "normal")
  expect_snapshot(error = TRUE, {
    add_variable(sim, "X", "normal")
    add_variable(sim, "2x", "normal")
    add_variable(sim, "Y", "gauss")
    add_variable(sim, "Y", "normal", sigma = 1)
    add_variable(sim, "Y", "normal", sd = -1)
    add_variable(sim, "Y", "beta", a = 1)
    add_variable(sim, "Y", "binomial", prob = 1.5)
    add_variable(sim, "Y", "variant", frequency = "high")
    add_variable(sim, "Y", "ld", frequency = c(0.1, 0.5), r = 0.9)
    add_variable(sim, "Y", "mvnormal", mean = 1:2, covariance = matrix(1, 2, 2))
    add_variable(sim, "Y", "sum", of = "G", weights = 1)
    add_variable(sim, "Y", ~ X + Z)
    add_variable(sim, "Y", ~ get("X"))
    add_variable(sim, "Y", ~ log(X - 10))
    add_variable(sim, "Y", 1:3)
    add_variable(sim, "Y", Y ~ X)
    add_parameter(sim, "p", 1, size = 2)
    resample(1)
    write_simulation(sim, "no/such/folder/x")
  })
})
