# The exporter of inst/python in a Python that has torch, where there is one.
python_with_torch <- function() {
  on_path <- file.path(strsplit(Sys.getenv("PATH"), .Platform$path.sep)[[1]], "python3")
  places <- c(Sys.getenv("PYTHON"), on_path)
  for (python in places[file.exists(places)]) {
    if (suppressWarnings(system2(python, c("-c", shQuote("import torch")), stdout = FALSE,
      stderr = FALSE)) == 0L) {
      return(python)
    }
  }
  skip("torch not installed")
}

# Runs lines of Python that write `path` and the values that torch computes for one-hot `x`.
run_torch <- function(lines, path, sequences) {
  script <- withr::local_tempfile(fileext = ".py", lines = c(
    "import sys, json, torch", "from torch import nn",
    paste0("sys.path.insert(0, ", shQuote(system.file("python", package = "mrlearn")), ")"),
    "sys.dont_write_bytecode = True",
    "from mrlearn_export import Export, export_sequential", "torch.manual_seed(1)",
    paste0("path = ", shQuote(path)), paste0("text = ", jsonlite::toJSON(unname(sequences))),
    "x = torch.tensor([[[float(c == l) for c in s] for l in 'ACGT'] for s in text])",
    lines, "json.dump(y.detach().tolist(), open(path + '.y', 'w'))"
  ))
  status <- system2(python_with_torch(), script, env = "OMP_NUM_THREADS=1")
  expect_identical(status, 0L)
  jsonlite::fromJSON(paste0(path, ".y"))
}

sequences <- c(a = "ACGTACGGTTCA", b = "TTTTNACAGGCC")

test_that("a Sequential model is exported as it is", {
  path <- withr::local_tempfile()
  y <- run_torch(c(
    "def norm(n):",
    "  m = nn.BatchNorm1d(n)",
    "  for v in (m.weight, m.bias, m.running_mean, m.running_var): nn.init.uniform_(v, 0.5, 2)",
    "  return m",
    "m = nn.Sequential(nn.Conv1d(4, 6, 4, padding='same'), norm(6), nn.GELU(), nn.Dropout(0.2),",
    "  nn.MaxPool1d(2), nn.Conv1d(6, 4, 3, dilation=2, padding=2, groups=2), nn.LeakyReLU(0.2),",
    "  nn.Flatten(), nn.Linear(24, 5), nn.Softplus(), nn.Linear(5, 2, bias=False))",
    "export_sequential(m, path, 12, output_names=['u', 'v'])", "y = m(x)"
  ), path, sequences)
  found <- predict(read_seq_model(path), sequences)
  expect_identical(names(found), c("sequence", "u", "v"))
  expect_equal(unname(as.matrix(found[-1])), y, tolerance = 1e-5) # two networks in float
})

test_that("a residual model is exported layer by layer", {
  path <- withr::local_tempfile()
  y <- run_torch(c(
    "a, b, h = nn.Conv1d(4, 3, 3, padding=1), nn.Conv1d(3, 3, 5, padding=2), nn.Linear(3, 1)",
    "out = Export(length=12)",
    "out.add(a, name='a'); out.add(nn.ReLU(), name='r'); out.add(b, name='b')",
    "out.add('add', name='sum', inputs=['r', 'b']); out.add('crop', left=2, right=1)",
    "out.add('global_average'); out.add(h, name='y'); out.save(path)",
    "r = torch.relu(a(x)); y = h((r + b(r))[:, :, 2:-1].mean(2))"
  ), path, sequences)
  found <- predict(read_seq_model(path), sequences)
  expect_equal(found$y, drop(y), tolerance = 1e-5)
})

test_that("what the exporter cannot write is refused by it", {
  path <- withr::local_tempfile()
  caught <- run_torch(c(
    "y = []",
    "for m in (nn.Conv1d(4, 2, 3, stride=2), nn.Conv1d(4, 2, 3, padding=2), nn.ELU()):",
    "  try: Export(12).add(m)",
    "  except NotImplementedError as e: y.append(1)",
    "y = torch.tensor(y)"
  ), path, sequences)
  expect_identical(caught, c(1L, 1L, 1L))
})
