config_file <- function(..., text = NULL, env = parent.frame()) {
  file <- withr::local_tempfile(fileext = ".json", .local_envir = env)
  if (is.null(text)) {
    text <- jsonlite::toJSON(list(...), auto_unbox = TRUE, digits = NA)
  }
  writeLines(text, file)
  file
}

# ml-mr's example of a sweep, with a model.
ml_mr <- function(model = "deep_iv", file = "people.csv.gz", ...) {
  list(
    sweep = list(max_runs = 3, sweep_directory = "my_sweep", model = model, ...),
    dataset = list(filename = file, sep = ",", exposure = "exposure", outcome = "outcome",
      instruments = c("v1", "v2")),
    parameters = list(
      list(name = "exposure_learning_rate", sampler = "grid", start = 1e-4, stop = 0.01,
        n_values = 3, log = TRUE),
      list(name = "exposure_hidden", sampler = "literal", value = c(16, 8)),
      list(name = "outcome_hidden", sampler = "list", values = list(c(16, 8), c(4, 4))),
      list(name = "outcome_max_epochs", sampler = "literal", value = 3),
      list(name = "outcome_weight_decay", sampler = "random_uniform", low = 1e-4, high = 0.01),
      list(name = "accelerator", sampler = "literal", value = "cpu")
    )
  )
}

local_people <- function(env = parent.frame()) {
  dir <- withr::local_tempdir(.local_envir = env)
  sim <- sim_nonlinear(n = 200, n_variants = 2, seed = 1)
  people <- data.frame(exposure = sim$X, outcome = sim$Y, v1 = sim$G0, v2 = sim$G1)
  out <- gzfile(file.path(dir, "people.csv.gz"), "w")
  utils::write.csv(people, out, row.names = FALSE)
  close(out)
  dir
}

in_folder <- function(dir, config) {
  file <- file.path(dir, "config.json")
  writeLines(jsonlite::toJSON(config, auto_unbox = TRUE, digits = NA), file)
  file
}

test_that("a configuration of ml-mr is one command", {
  dir <- local_people()
  withr::local_dir(withr::local_tempdir())
  file <- in_folder(dir, ml_mr(seed = 1))
  expect_message(config <- read_sweep_config(file), class = "mrlearn_message_sweep", "accelerator")
  expect_identical(config$method, "deep")
  expect_identical(nrow(config$design), 3L)
  expect_setequal(names(config$design), c("run", "seed", "learning_rate", "hidden", "epochs",
    "weight_decay"))
  expect_true(all(round(config$design$learning_rate, 6) %in% c(1e-4, 1e-3, 1e-2)))
  expect_identical(config$design$hidden[[1]][[1]], c(16L, 8L))
  sweep <- run_sweep(config)
  expect_true(all(sweep$status == "ok"))
  expect_identical(attr(sweep, "dir"), normalizePath(file.path(dir, "my_sweep")))
  expect_identical(list.files(), character())
  elsewhere <- withr::local_tempfile()
  expect_identical(attr(run_sweep(config, dir = elsewhere), "dir"), normalizePath(elsewhere))
})

test_that("samplers give what ml-mr's give", {
  values <- function(...) read_parameter(list(name = "a", ...))$a
  expect_equal(values(sampler = "grid", start = 1e-4, stop = 0.1, step = 1e-2),
    seq(1e-4, 0.0901, by = 1e-2))
  expect_equal(values(sampler = "grid", start = 0, stop = 1, step = 0.25), c(0, 0.25, 0.5, 0.75))
  expect_equal(values(sampler = "grid", start = 0, stop = 1, n_values = 3), c(0, 0.5, 1))
  expect_identical(values(sampler = "list", values = c(0, 1e-2)), c(0, 1e-2))
  expect_identical(values(sampler = "random_uniform_int", low = 3, high = 5), integers(3, 5))
  expect_identical(values(sampler = "random_uniform", low = 3, high = 5, log = TRUE),
    log_uniform(3, 5))
  parameters <- merge_networks(c(
    read_parameter(list(name = "exposure_learning_rate", sampler = "literal", value = 1)),
    read_parameter(list(name = "exposure_network_type", sampler = "list",
      values = c("gaussian_net", "mixture_density_net")))
  ))
  expect_identical(parameters[c("first_stage", "learning_rate")],
    list(first_stage = c("gaussian", "mixture"), learning_rate = list(1)))
  both <- c(
    read_parameter(list(name = "exposure_batch_size", sampler = "list", values = 1:2)),
    read_parameter(list(name = "outcome_batch_size", sampler = "literal", value = 10))
  )
  expect_warning(parameters <- merge_networks(both), class = "mrlearn_warning_sweep")
  design <- do.call(sweep_design, c(parameters, seed = 1))
  expect_identical(design$exposure_batch_size, c("1", "2")) # recorded, a label
})

test_that("a study of simulated people is one command", {
  config <- list(
    sweep = list(seed = 1, keep = FALSE),
    dataset = list(simulator = "sim_nonlinear", f = "linear", n_variants = 3),
    parameters = list(
      list(name = "cell", sampler = "rows", values = list(
        list(label = "small", n = 200), list(label = "weak", n = 300, h2 = 0.2)
      )),
      list(name = "estimator", sampler = "rows", values = list(
        list(label = "2SLS", method = "2sls"),
        list(label = "Quantile IV", method = "quantile_iv", q = 3, epochs = 2)
      )),
      list(name = "data_seed", sampler = "list", values = 1:2)
    )
  )
  sweep <- run_sweep(read_sweep_config(do.call(config_file, config)))
  expect_identical(nrow(sweep), 8L)
  expect_true(all(sweep$status == "ok"))
  expect_identical(setting_columns(sweep, NULL), c("method", "cell", "estimator"))
  i <- which(sweep$cell == "weak" & sweep$estimator == "2SLS" & sweep$data_seed == 2)
  sim <- sim_nonlinear(n = 300, h2 = 0.2, f = "linear", n_variants = 3, seed = 2)
  fit <- iv_2sls(Y ~ X | G0 + G1 + G2, sim)
  expect_equal(sweep$estimate[i], coef(fit)[["X"]], tolerance = 1e-10) # another order of columns
})

test_that("what is wrong in a configuration is named", {
  dir <- local_people()
  good <- ml_mr()
  good$parameters <- good$parameters[1]
  read <- function(change) read_sweep_config(in_folder(dir, change(good)))
  expect_identical(read(identity)$method, "deep")
  sampler <- function(...) {
    function(g) {
      g$parameters <- list(list(name = "learning_rate", ...))
      g
    }
  }
  set <- function(room, key, value) {
    function(g) {
      g[[room]][[key]] <- value
      g
    }
  }
  expect_snapshot(error = TRUE, {
    read_sweep_config(file.path(dir, "absent.json"))
    read(sampler(sampler = "magic"))
    read(sampler(sampler = "grid", start = 1, stop = 2))
    read(sampler(sampler = "grid", start = 0, stop = 2, n_values = 3, log = TRUE))
    read(sampler(sampler = "random_uniform", low = 2, high = 1))
    read(sampler(sampler = "random_uniform", low = "a", high = 1))
    read(sampler(sampler = "list", value = 1))
    read(sampler(values = 1))
    read(set("sweep", "max_run", 3))
    read(set("dataset", "parameters", 1))
    read(function(g) g["sweep"])
    read(function(g) utils::modifyList(g, list(dataset = list(simulator = "system"))))
  }, transform = function(lines) gsub(dir, "<dir>", lines, fixed = TRUE))
  for (bad in list(set("sweep", "halving", list(from = 1, upto = 9)),
    set("arguments", "data", 1))) {
    expect_error(read(bad), class = "mrlearn_error_argument", "must have in")
  }
  expect_error(read(set("sweep", "model", "oracle")), class = "mrlearn_error_argument", "oracle")
  for (role in c("instruments", "outcome")) {
    expect_error(read(set("dataset", role, c("v1", "v9"))), class = "mrlearn_error_data",
      "no column")
  }
  for (text in list("{", "", "[1, 2", "{\"sweep\": }", "nothing")) {
    expect_error(read_sweep_config(config_file(text = text)), class = "mrlearn_error_data", "JSON")
  }
  expect_error(read_sweep_config(config_file(text = "[1, 2]")), class = "mrlearn_error_argument")
  writeLines(c("a,b", "1,2,3", "4"), file.path(dir, "bad.csv"))
  expect_error(read(set("dataset", "filename", "bad.csv")), class = "mrlearn_error_data")
})
