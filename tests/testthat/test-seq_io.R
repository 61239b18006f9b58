# Two convolutions, one grouped, batch norm, dense.
tiny_written <- function() {
  layers <- list(
    seq_layer("conv", units = 4, taps = 2), seq_layer("batch_norm"),
    seq_layer("conv", units = 2, taps = 3, groups = 2, bias = FALSE, name = "grouped"),
    seq_layer("dense", units = 2)
  )
  n <- seq_model(layers, 6)$n_parameters
  set.seed(3)
  seq_model(layers, 6, parameters = stats::runif(n, 0.2, 1))
}

test_that("a model comes back as it was written", {
  model <- tiny_written()
  path <- withr::local_tempfile()
  write_seq_model(model, path)
  again <- read_seq_model(paste0(path, ".json"))
  expect_identical(again$layers, model$layers)
  expect_equal(again$parameters, model$parameters, tolerance = 2^-23)
  sequences <- c("ACGTAC", "GGNTTA")
  expect_identical(predict(again, sequences), predict(model, sequences)) # floats in both
})

edit_json <- function(path, change) {
  file <- paste0(path, ".json")
  head <- change(jsonlite::read_json(file))
  jsonlite::write_json(head, file, auto_unbox = TRUE, digits = NA)
}

test_that("tensors in another order of axes are read", {
  model <- tiny_written()
  path <- withr::local_tempfile()
  write_seq_model(model, path)
  # the first convolution as PyTorch stores it: (out, in, taps)
  weight <- array(model$parameters[1:32], c(4, 4, 2)) # out fastest
  blob <- model$parameters
  blob[1:32] <- as.vector(aperm(weight, c(3, 2, 1)))
  writeBin(blob, paste0(path, ".bin"), size = 4L, endian = "little")
  edit_json(path, function(head) {
    head$tensors[[1]]$axes <- c("out", "in", "taps")
    head$tensors[[1]]$shape <- c(4, 4, 2)
    head$tensors <- rev(head$tensors)
    head
  })
  expect_equal(read_seq_model(path)$parameters, model$parameters, tolerance = 2^-23)
})

test_that("truncated and inconsistent files are refused", {
  model <- tiny_written()
  path <- withr::local_tempfile()
  refused <- function(change = identity, bytes = NULL) {
    write_seq_model(model, path)
    edit_json(path, change)
    if (!is.null(bytes)) {
      writeBin(raw(bytes), paste0(path, ".bin"))
    }
    expect_error(read_seq_model(path), class = "mrlearn_error_data")
  }
  refused(bytes = 4 * model$n_parameters - 1)
  refused(bytes = 0)
  refused(function(head) utils::modifyList(head, list(n_floats = 1e15)))
  refused(function(head) utils::modifyList(head, list(n_floats = model$n_parameters - 1)))
  refused(function(head) utils::modifyList(head, list(version = 2)))
  refused(function(head) utils::modifyList(head, list(length = 2)))
  refused(function(head) {
    head$layers[[2]]$type <- "attention"
    head
  })
  refused(function(head) {
    head$tensors <- head$tensors[-1]
    head
  })
  refused(function(head) {
    head$tensors[[1]]$offset <- model$n_parameters
    head
  })
  refused(function(head) {
    head$tensors[[1]]$shape <- c(4, 2, 4)
    head
  })
  writeLines("{", paste0(path, ".json"))
  expect_error(read_seq_model(path), class = "mrlearn_error_data")
  expect_error(read_seq_model("no such file"), class = "mrlearn_error_argument")
  expect_error(write_seq_model(1, path), class = "mrlearn_error_argument")
})
