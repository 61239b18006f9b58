# Settings of the representations of iv_latent().

test_that("settings are checked", {
  control <- latent_control()
  expect_identical(control$reconstruction, 100)
  expect_identical(latent_control(decoder = "linear")$reconstruction, 10)
  expect_identical(latent_control(encoder = "mlp")$learning_rate, 0.002)
  expect_identical(control[c("flow_layers", "flow_starts", "relevance")],
    list(flow_layers = 1L, flow_starts = 8L, relevance = 0))
  bad <- list(list(encoder = "deep"), list(degree = 0), list(hidden = -1), list(mmd = -1),
    list(epochs = 0), list(kernel = "rbf"), list(encoder = "mlp", start = "ssa"),
    list(least_r2 = 2), list(flow_layers = 0), list(flow_starts = "many"), list(relevance = -1),
    list(split = "v"), list(method = "pca"), list(methods = c("ssa", "ssa")),
    list(methods = "auto"), list(ssa_share = 2), list(closure_rows = 3))
  for (settings in bad) {
    expect_error(do.call(latent_control, settings), class = "mrlearn_error_argument")
    expect_error(read_latent_control(settings), class = "mrlearn_error_argument")
  }
  expect_snapshot(error = TRUE, {
    read_latent_control(list(epoch = 3))
    read_latent_control(list(3))
    read_latent_control("ssa")
    latent_control(methods = character(0))
  })
  expect_identical(read_latent_control(list(epochs = 3)), latent_control(epochs = 3))
})

test_that("the method can be a setting, as iv_fit() needs it", {
  data <- environments_data(n = 1000, seed = 1)$data
  by_setting <- iv_fit("latent", Y ~ X | z, data, environment = ~environment,
    latent_dim = c(2, 2), control = latent_control(method = "ssa"), seed = 1)
  by_argument <- fit_environments(data)
  expect_identical(coef(by_setting), coef(by_argument))
  expect_identical(by_setting$method, "ssa")
  expect_identical(coef(fit_environments(data, control = list(method = "ssa"))), coef(by_argument))
  expect_snapshot(error = TRUE, {
    fit_environments(data, control = latent_control(method = "flow"))
    fit_environments(data, method = "pca")
  })
})

test_that("one object serves all methods that \"auto\" tries", {
  data <- environments_data(n = 1000, degree = 2, seed = 1)$data
  fit <- fit_environments(data, method = "auto", control = latent_control(
    methods = c("ssa", "closure"), closure_rows = 500))
  expect_identical(fit$method, "closure")
  expect_identical(unique(fit$tried$method), c("ssa", "closure"))
})

test_that("the command line lists each setting once", {
  lines <- cli_method_settings("latent")
  names <- sub("^ +([a-z0-9_]+) .*", "\\1", grep("^  [a-z]", lines, value = TRUE))
  expect_identical(anyDuplicated(names), 0L)
  expect_true(all(c("latent_dim", "method", names(latent_control(method = "ssa"))) %in% names))
})
