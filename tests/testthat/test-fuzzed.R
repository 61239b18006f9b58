# What the fuzzers of dev/fuzz run at length, in short; and what they found, each by itself.

local_sandbox <- function(frame = parent.frame()) {
  dir <- withr::local_tempdir(.local_envir = frame)
  withr::local_dir(dir, .local_envir = frame)
  dir
}

# One line for each case that ended in no way that the rule allows.
unlike <- function(outcomes) {
  told <- vapply(outcomes, function(r) {
    if (r$kind %in% c("value", "refused")) {
      return("")
    }
    paste0("case ", r$case, ": ", r$name, "(", r$changed, "): ", r$kind, ": ", r$text)
  }, "")
  told[nzchar(told)]
}

test_that("every export and every method has a valid call, and it works", {
  local_sandbox()
  table <- fuzz_table()
  expect_identical(setdiff(getNamespaceExports("mrlearn"), names(fuzz_calls)), character())
  room <- fuzz_room()
  failed <- vapply(names(table), function(name) {
    outcome <- fuzz_try(list(name = name, call = table[[name]], values = list()), room, 10)
    # Some methods say what their class is not for; the other export reads a file of HDF5.
    may_refuse <- !name %in% setdiff(names(fuzz_calls), "read_keras_model")
    fine <- outcome$kind == "value" || may_refuse && outcome$kind == "refused"
    if (fine) "" else paste0(name, ": ", outcome$kind, ": ", outcome$text)
  }, "")
  expect_identical(unname(failed[nzchar(failed)]), character())
  # Those of the package's own file: other tests register methods for classes of theirs.
  own <- parseNamespaceFile("mrlearn", dirname(system.file(package = "mrlearn")))$S3methods
  classes <- setdiff(own[, 2], names(fuzz_classes))
  expect_identical(grep("^latent_", classes, value = TRUE, invert = TRUE), character())
})

test_that("bad and odd arguments give a value or an error of our class", {
  local_sandbox()
  withr::local_options(mrlearn.threads = 1)
  table <- fuzz_table()
  room <- fuzz_room()
  expect_identical(unlike(lapply(1:250, fuzz_case, table, room)), character())
})

test_that("changed files, formulas and command lines do so too", {
  dir <- local_sandbox()
  withr::local_options(mrlearn.threads = 1)
  room <- fuzz_room()
  kinds <- names(fuzz_readers)
  if (requireNamespace("hdf5r", quietly = TRUE)) {
    room$keras_files <- fuzz_keras(file.path(dir, "keras"))
  } else {
    kinds <- setdiff(kinds, "keras")
  }
  outcomes <- lapply(1:150, fuzz_reader_case, room, dir, kinds)
  expect_identical(unlike(outcomes), character())
})

refused <- function(expression, class = "argument", text = NULL) {
  expect_error(expression, text, class = paste0("mrlearn_error_", class))
}

test_that("neighbours so far apart that squares of distances overflow are no crash", {
  refused(entropy(cbind(1:40, sin(1:40)) * 1e300, k = 3), "numeric")
})

test_that("generics of ours refuse what they have no method for", {
  refused(ate(1, 0, 1), text = "`fit` must be a fit")
  refused(cate(NULL, 0, 1))
  refused(effect_curve("a"))
  refused(average_derivative(mean))
  refused(diagnostics(y ~ x))
  refused(training_history(data.frame()))
  refused(mutagenize(1, "ACGT"), text = "`model` must be a seq_model")
})

test_that("print() takes a number of digits and of rows", {
  fit <- iv_ols(y ~ x, data.frame(x = 1:9, y = sin(1:9)))
  for (digits in list(-1, 0, 100, NA, "a", 1:2, NULL[0], list())) {
    if (!is.null(digits)) refused(print(fit, digits = digits), text = "`digits`")
  }
  expect_output(print(fit, digits = NULL), "iv_ols|OLS|effect of x")
  refused(print(sweep_design(a = 1:2, seed = 1), n = -1), text = "`n`")
  room <- fuzz_room()
  for (class in c("deep_mr", "deep_mr_network", "deep_mr_check", "summary.deep_mr")) {
    object <- eval(fuzz_classes[[class]], room)
    for (digits in list(-1, NA, 1:2, "a", list(), 99)) {
      refused(print(object, digits = digits), text = "`digits`")
    }
  }
})

test_that("confint() takes names and numbers of coefficients", {
  fit <- iv_ols(y ~ x + w, data.frame(x = 1:9, w = cos(1:9), y = sin(1:9)))
  all <- confint(fit)
  expect_identical(confint(fit, -1), all[-1, ])
  expect_identical(confint(fit, "x"), all["x", , drop = FALSE])
  for (parm in list(list(1), mean, 9, NA, c(-1, 1), "nothing", 0)) {
    refused(confint(fit, parm), text = "`parm`")
  }
  moderated <- meta_regression(c(1, 2, 4, 3), c(1, 1, 2, 1), 1:4)
  refused(confint(moderated, "nothing"), text = "`parm`")
})

test_that("strings that are no text, matrices of one string, arrays of one dimension", {
  refused(read_motif("\xff\xfe"), text = "must be one string")
  refused(motif_sites("\xff", list(A = diag(4))))
  expect_identical(best_choice <- check_choice(matrix("a"), c("a", "b"), "x"), "a")
  expect_identical(mmd(array(1:9, 9), sin(1:9)), mmd(1:9, sin(1:9)))
  refused(read_fasta(tempdir()), text = "`file`")
  refused(seq_model(list(seq_layer("dense", units = 1)), 2, alphabet = "a\u00e9"), text = "ASCII")
})

test_that("levels and names that are none", {
  fit <- iv_ols(y ~ x, data.frame(x = 1:9, y = sin(1:9)))
  refused(effect_curve(fit, x = numeric()), text = "`x` must have at least 1")
  refused(predict(fit, data.frame(x = letters)), "data", "newdata")
  refused(map_shards(list(1, 2), sum, combine = "no such function"), text = "`combine`")
  refused(map_shards(expression(x, y), sum), text = "`shards`")
  refused(map_shards(list(1, 2), sum, combine = ""), text = "`combine`")
  refused(deep_mr_pairs("y", c(a = "ACGT"), cbind(x = 1), NA), text = "`model`")
  lipids <- mv_data(cbind(1:4, c(2, 1, 4, 3)), matrix(0.1, 4, 2), 1:4, rep(0.2, 4))
  refused(mv_estimate(lipids, "mv_ivw", gencov = mean), text = "`gencov`")
  refused(plot(sim_nonlinear(n = 9, n_variants = 2, seed = 1), mean), text = "`exposure`")
  fit <- iv_ols(y ~ x + w, data.frame(x = 1:9, w = cos(1:9), y = sin(1:9)))
  refused(predict(fit, data.frame(x = 1:3, w = "a")), "data", "newdata")
  toy <- data.frame(x = 1:9, w = cos(1:9), y = sin(1:9))
  refused(sim_environments(n = 2^54), text = "`n`")
  refused(iv_2sls(y ~ (x | w) * I(x^2) | w, toy), "formula")
  flags <- lipid_chd[lipid_chd$exposure == "LDL", ][1:4, ]
  flags$mr_keep <- matrix(1, 4, 2)
  refused(mr_single_snp(flags), text = "mr_keep")
  room <- fuzz_room()
  for (sequences in list(character(), mean, "nothing")) {
    refused(plot(room$deep, "forest", sequences = sequences), text = "`sequences`")
  }
  wide <- room$toy[1:3, ]
  wide$w <- cbind(wide$w, 1)
  refused(context_effects(room$contextual, newdata = wide), "data", "newdata")
  refused(plot(room$contextual, "slopes", variables = character()), text = "`variables`")
  effects <- room$effects
  refused(deep_mr_effects(effects, "x", "y", method = y ~ 0), text = "`method`")
  refused(deep_mr_effects(effects, "x", "y", method = character()), text = "`method`")
  refused(average_derivative(room$contextual, newdata = table(1:3)), text = "`newdata`")
  toy <- room$toy
  refused(iv_2sls(y ~ x | z, toy, weights = matrix(1, 40, 2)), text = "`weights`")
  expect_output(print(sweep_design(size = as.hexmode(10), seed = 1)))
  refused(iv_2sls(y ~ x | z, toy, subset = -1e308), text = "`subset`")
  refused(stratum_associations(toy$z, toy$x, toy$y, 1e308 * toy$w, n_strata = 3), "data")
  refused(stratum_associations(0 * toy$z, toy$x, toy$y, toy$w, n_strata = 3), "data")
  design <- room$design
  design$run <- c(1, Inf)
  refused(run_sweep(design, Y ~ X | G0, room$sim), text = "`design`")
  swept <- room$swept
  swept$run <- swept$run + 1000L
  refused(best_fit(swept, by = "mse"))
  wide <- effects
  wide$effect <- cbind(effects$effect, 1)
  refused(deep_mr_effects(wide, "x", "y"), text = "effects[$]effect")
  effects$position <- data.frame(b = effects$position)
  refused(deep_mr_effects(effects, "x", "y"), text = "effects[$]position")
  data <- data.frame(y = sin(1:9), x = 1:9)
  refused(conformal(function(d) d$x, data, outcome = "nothing"), text = "outcome")
})

test_that("names that look like code are names", {
  local_sandbox()
  names <- c("x`+file.create('run')+`", "x\\`+file.create('run')+`", "`", "\\", "\\`", "a\nb",
    "I(file.create('run'))", "a\\u0060+file.create('run')+\\u0060", "\u00fc`")
  for (name in names) {
    expect_identical(str2lang(quote_name(name)), as.name(name))
    formula <- role_formula(list(outcome = "y", exposure = name, instruments = "z"))
    expect_identical(all.vars(formula), c("y", name, "z"))
    z <- cos(1:20)
    x <- matrix(z + sin(7 * 1:20), dimnames = list(NULL, name))
    expect_named(coef(iv_2sls(y = sin(1:20), x = x, z = z)), c("(Intercept)", quote_name(name)))
    problem <- list(data = data.frame(y = sin(1:20), x, z, check.names = FALSE), n_threads = 1,
      columns = list(outcome = "y", exposure = name, instruments = "z"))
    expect_s3_class(fit_from_problem("iv_2sls", problem, list()), "iv_2sls")
  }
  expect_false(file.exists("run"))
  refused(role_formula(list(outcome = "y", exposure = 1, instruments = "z")), text = "`exposure`")
})

test_that("conformal intervals of rows with missing values are missing", {
  room <- fuzz_room()
  unseen <- room$unseen
  unseen$x[2:3] <- NA
  bounds <- augment(room$conformed, unseen)
  expect_identical(which(is.na(bounds$.upper)), 2:3)
})

test_that("descriptions of tensors that are none", {
  local_sandbox()
  model <- seq_model(list(seq_layer("dense", units = 1)), 2, parameters = 1:9)
  write_seq_model(model, "m")
  text <- paste(readLines("m.json"), collapse = "\n")
  for (offset in c("\"a\"", "[]", "null", "{}")) {
    writeLines(sub("\"offset\": *[0-9]+", paste0("\"offset\": ", offset), text), "m.json")
    refused(read_seq_model("m"), "data")
  }
  writeLines(sub("\"tensors\": *\\[", "\"tensors\": [1, ", text), "m.json")
  expect_s3_class(read_seq_model("m"), "seq_model")
})

test_that("the empty name of row numbers is no column", {
  refused(expand_ranges(c("y", ""), c("", "y"), "data.csv"), "data", "has no column")
})

test_that("damaged files of R are told as such", {
  dir <- local_sandbox()
  model <- seq_predictor(function(s) nchar(gsub("[AT]", "", s)))
  mutagenize(model, c(a = "AC", b = "GT"), dir = "effects", per_chunk = 1)
  chunk <- list.files("effects", "^effects-", full.names = TRUE)[1]
  writeBin(utils::head(readBin(chunk, "raw", 1e4), 40), chunk)
  refused(read_effects("effects"), "checkpoint", "is damaged")
  writeLines(c("1 a 0 1 A", "G 1 b 0 2 A G"), "x.bim")
  writeLines("f i 0 0 0 -9", "x.fam")
  writeBin(as.raw(c(0x6c, 0x1b, 1, 0, 0)), "x.bed")
  refused(bed("x"), "data", "no PLINK table")
})
