# The command line: most of it inside this session, a handful of lines as a script under bash.

test_that("help and version are everywhere", {
  expect_match(run_cli("--version")$out, "^mrlearn [0-9.]+$")
  help <- run_cli("--help")
  expect_identical(help$status, 0L)
  commands <- names(mrlearn:::cli_commands())
  for (command in commands) {
    expect_match(help$out, command, fixed = TRUE, all = FALSE)
    own <- run_cli(command, "--help")
    expect_identical(own$status, 0L)
    expect_identical(own$err, "")
    expect_identical(run_cli("help", command)$out, own$out)
    expect_lte(max(nchar(own$out)), 100)
    expect_match(own$out, "^Examples:$", all = FALSE)
    # Every option that an example has is one of the command's.
    examples <- own$out[seq(match("Examples:", own$out), length(own$out))]
    used <- unlist(regmatches(examples, gregexpr("--[a-z-]+", examples)))
    options <- vapply(mrlearn:::cli_commands()[[command]]$options, `[[`, "", "name")
    expect_identical(setdiff(used, paste0("--", options)), character())
  }
  expect_match(run_cli("estimate", "quantile", "--help")$out, "n_quantiles", all = FALSE)
  expect_match(run_cli("estimate", "2sls", "-h")$out, "iid | HC0", fixed = TRUE, all = FALSE)
  expect_match(run_cli("simulate", "tian2023", "--help")$out, "scenario", all = FALSE)
  none <- run_cli()
  expect_identical(none$status, 1L)
  expect_identical(none$out, character())
})

test_that("estimate gives what the function gives, however the columns are named", {
  file <- withr::local_tempfile(fileext = ".tsv.gz")
  people <- cli_people(file)
  people$z <- as.matrix(people[paste0("v", 1:20)])
  want <- tidy(iv_2sls(y ~ age + sex | x | z, people, vcov = "HC1"), conf.int = TRUE)
  names <- paste0("v", 1:20)
  base <- c("estimate", "2sls", "--data", file, "--exposure", "x", "--outcome", "y")
  rest <- c("--covariates", "age", "sex", "--control", "vcov=HC1")
  run <- run_cli(base, "--instruments", names, rest)
  expect_identical(run$status, 0L)
  expect_identical(run$err, "")
  # 15 digits are printed.
  expect_equal(cli_table(run), want, tolerance = 1e-13, ignore_attr = TRUE)
  for (range in list("v1-v20", "v1:v20", c("v1-v12", "v13-20"))) {
    expect_identical(run_cli(base, "--instruments", range, rest)$out, run$out)
  }
  expect_identical(run_cli(base, "--instruments=v1-v20", rest)$out, run$out)
  expect_identical(
    run_cli("estimate", "2sls", "-d", file, "-x", "x", "-y", "y", "-z", "v1-v20", rest)$out, run$out
  )
  json <- jsonlite::fromJSON(run_cli(base, "--instruments", "v1-v20", rest, "--json")$out)
  expect_equal(json$tidy$estimate, want$estimate, tolerance = 1e-13)
  expect_true(all(c("glance", "diagnostics", "curve") %in% names(json)))
  ols <- cli_table(run_cli("estimate", "ols", base[-(1:2)]))
  expect_equal(ols$estimate, unname(coef(iv_ols(y ~ x, people))), tolerance = 1e-13)
  beside <- run_cli("estimate", "ols", base[-(1:2)], "--covariates", "age", "--json")
  expect_identical(beside$err, "")
  expect_true("curve" %in% names(jsonlite::fromJSON(beside$out)))
})

test_that("tables are read whatever their delimiter, line ends, quotes and compression", {
  plain <- withr::local_tempfile(fileext = ".csv")
  people <- cli_people(plain, n = 200, sep = ",")
  base <- c("--exposure", "x", "--outcome", "y", "--instruments", "v1-v20", "--covariates", "sex")
  want <- run_cli("estimate", "2sls", "--data", plain, base)
  expect_identical(want$status, 0L)
  lines <- readLines(plain)
  write_as <- function(text) {
    file <- withr::local_tempfile(.local_envir = parent.frame())
    writeBin(charToRaw(text), file)
    file
  }
  same <- function(file, ...) {
    expect_identical(run_cli("estimate", "2sls", "--data", file, base, ...)[c("status", "out")],
      want[c("status", "out")])
  }
  same(write_as(paste0(paste(lines, collapse = "\r\n"), "\r\n")))
  same(write_as(paste(lines, collapse = "\r")))
  ends <- rep_len(c("\n", "\r\n", "\r"), length(lines))
  same(write_as(paste0(lines, ends, collapse = "")))
  same(write_as(paste0("\ufeff", paste(lines, collapse = "\n"))))
  same(write_as(paste(gsub(",", ";", lines), collapse = "\n")))
  same(write_as(paste(gsub(",", " ", lines), collapse = "\n")))
  same(write_as(paste(gsub(",", "|", lines), collapse = "\n")), "--sep", "|")
  same(write_as(paste(gsub("([^,]+)", "\"\\1\"", lines), collapse = "\n")))
  for (open in list(gzfile, bzfile, xzfile)) {
    packed <- withr::local_tempfile()
    connection <- open(packed, "w")
    writeLines(lines, connection)
    close(connection)
    same(packed)
  }
  # Missing values, by any of their names, are left out with a message.
  gaps <- lines
  for (i in 1:6) {
    gaps[1 + i] <- sub("^[^,]*", c("NA", "", ".", "nan", "N/A", "null")[i], gaps[1 + i])
  }
  run <- run_cli("estimate", "2sls", "--data", write_as(paste(gaps, collapse = "\n")), base)
  expect_identical(run$status, 0L)
  fit <- iv_2sls(y ~ sex | x | as.matrix(people[7:200, 3:22]), people[7:200, ])
  expect_equal(cli_table(run)$estimate, unname(coef(fit)), tolerance = 1e-10)
})

test_that("of a header with 100,000 columns only those are read that are needed", {
  file <- withr::local_tempfile(fileext = ".tsv")
  names <- c(paste0("g", 1:99998), "x", "y")
  set.seed(1)
  g <- matrix(stats::rbinom(40 * 3, 2, 0.5), 40)
  x <- drop(g %*% c(1, 1, 1)) + stats::rnorm(40)
  y <- x + stats::rnorm(40)
  rest <- paste(rep("0", 99995), collapse = "\t")
  rows <- vapply(1:40, function(i) paste(c(g[i, ], rest, x[i], y[i]), collapse = "\t"), "")
  writeLines(c(paste(names, collapse = "\t"), rows), file)
  seconds <- system.time(
    run <- run_cli("estimate", "2sls", "--data", file, "--exposure", "x", "--outcome", "y",
      "--instruments", "g1-g3")
  )[["elapsed"]]
  expect_identical(run$status, 0L)
  expect_equal(cli_table(run)$estimate, unname(coef(iv_2sls(y = y, x = x, z = g))),
    tolerance = 1e-10)
  expect_lt(seconds, 20) # 4 million fields; 2 s on a machine that is busy
  wrong <- run_cli("estimate", "2sls", "--data", file, "--exposure", "x", "--outcome", "Y",
    "--instruments", "g1-g3")
  expect_identical(wrong$status, 2L)
  expect_match(wrong$err, "no column `Y` (did you mean `y`?)", fixed = TRUE)
})

test_that("a fit is saved, evaluated and drawn, and nothing else is written", {
  dir <- withr::local_tempdir()
  withr::local_dir(dir)
  cli_people("people.tsv")
  run <- run_cli("estimate", "quantile", "--data", "people.tsv", "--exposure", "x", "--outcome",
    "y", "--instruments", "v1-v20", "--control", "n_quantiles=4", "hidden=8/8,4", "epochs=5",
    "--seed", "1", "--output", "fits/one")
  expect_identical(run$status, 0L)
  expect_setequal(list.files("fits/one"), mrlearn:::fit_files)
  fit <- readRDS("fits/one/fit.rds")
  expect_identical(fit$n_quantiles, 4L)
  expect_identical(fit$control$hidden, list(8L, c(8L, 4L)))
  people <- utils::read.table("people.tsv", header = TRUE)
  people$z <- as.matrix(people[paste0("v", 1:20)])
  again <- iv_quantile(y ~ x | z, people, n_quantiles = 4, seed = 1,
    control = nn_control(hidden = list(8, c(8, 4)), epochs = 5))
  expect_equal(effect_curve(fit, x = 0:1)$estimate, effect_curve(again, x = 0:1)$estimate)
  expect_equal(utils::read.csv("fits/one/curve.csv")$estimate, effect_curve(fit)$estimate,
    tolerance = 1e-13)
  about <- jsonlite::read_json("fits/one/fit.json")
  expect_identical(about$method, "quantile")
  expect_identical(about$options$control[[1]], "n_quantiles=4")
  # The fit does not hold the data twice.
  expect_lt(file.size("fits/one/fit.rds"), 1.5 * length(memCompress(serialize(fit, NULL), "gzip")))
  two <- run_cli("estimate", "2sls", "--data", "people.tsv", "--exposure", "x", "--outcome", "y",
    "--instruments", "v1-v20", "--output", "fits/two")
  expect_identical(two$status, 0L)
  run <- run_cli("evaluate", "--input", "fits/one", "fits/two", "--true-function",
    "lambda x: 0.3*x**2 + 0.3*x + 0.4", "--domain", "-2,2", "--plot", "curves.png")
  expect_identical(run$status, 0L)
  table <- cli_table(run)
  expect_identical(table$input, c("fits/one", "fits/two"))
  truth <- function(x) 0.3 * x^2 + 0.3 * x + 0.4
  expect_equal(table$mse[1], evaluate(fit, truth, domain = c(-2, 2))$mse, tolerance = 1e-12)
  expect_identical(readBin("curves.png", "raw", 4), as.raw(c(0x89, 0x50, 0x4e, 0x47)))
  expect_identical(run_cli("evaluate", "--input", "fits/one", "--true-function", "x", "--plot",
    "curves.png")$status, 2L) # is there
  expect_setequal(list.files(all.files = TRUE, no.. = TRUE), c("people.tsv", "fits", "curves.png"))
  again <- run_cli("estimate", "2sls", "--data", "people.tsv", "--exposure", "x", "--outcome", "y",
    "--instruments", "v1-v20", "--output", "fits/two")
  expect_identical(again$status, 2L)
  expect_match(again$err, "--overwrite", fixed = TRUE)
})

test_that("genotypes of PLINK files are instruments", {
  dir <- withr::local_tempdir()
  people <- cli_people(file.path(dir, "people.csv"), n = 300, sep = ",")
  g <- as.matrix(people[paste0("v", 1:20)])
  ids <- paste0("id", 1:300)
  prefix <- write_bed(`rownames<-`(g, ids), file.path(dir, "geno"))
  utils::write.csv(cbind(people[c("x", "y")], iid = ids)[300:1, ], file.path(dir, "p.csv"),
    row.names = FALSE, quote = FALSE)
  base <- c("estimate", "2sls", "--data", file.path(dir, "p.csv"), "--exposure", "x", "--outcome",
    "y", "--bed", file.path(dir, "geno"), "--id", "iid")
  run <- run_cli(base)
  expect_identical(run$status, 0L)
  want <- iv_2sls(people$y ~ people$x | g)
  expect_equal(cli_table(run)$estimate, unname(coef(want)), tolerance = 1e-9)
  some <- run_cli(base, "--instruments", "v3", "v4")
  want <- iv_2sls(people$y ~ people$x | g[, 3:4])
  expect_equal(cli_table(some)$estimate, unname(coef(want)), tolerance = 1e-9)
  expect_identical(run_cli(base, "--instruments", "v99")$status, 2L)
})

test_that("simulate prints and writes what the simulators draw", {
  run <- run_cli("simulate", "burgess2014", "--n", "50", "--seed", "3", "--set", "shape=J",
    "maf=0.2")
  want <- as.data.frame(sim_burgess2014(50, "J", maf = 0.2, seed = 3))
  expect_equal(cli_table(run), want, tolerance = 1e-14)
  file <- withr::local_tempfile(fileext = ".tsv.gz")
  withr::defer(unlink(paste0(file, ".json")))
  run <- run_cli("simulate", "nonlinear", "--n", "30", "--seed", "2", "--f", "where(x > 0, x, 0)",
    "--output", file)
  expect_identical(run$status, 0L)
  expect_identical(run$out, character())
  want <- sim_nonlinear(30, f = function(x) pmax(x, 0), seed = 2)
  expect_equal(utils::read.delim(file), as.data.frame(want), tolerance = 1e-14)
  about <- jsonlite::read_json(paste0(file, ".json"), simplifyVector = TRUE)
  expect_identical(about$simulator, "sim_nonlinear")
  expect_equal(about$truth$pi, truth(want)$pi, tolerance = 1e-14)
  expect_equal(about$truth$curve$y, pmax(about$truth$curve$x, 0))
  expect_identical(run_cli("simulate", "nonlinear", "--output", file)$status, 2L)
  expect_identical(run_cli("simulate", "nonlinear", "--output", "x.txt")$status, 1L)
  expect_identical(run_cli("simulate", "nonlinear", "--set", "h3=1")$status, 1L)
  expect_identical(run_cli("simulate", "nonlinear", "--set", "h2=1")$status, 1L)
  expect_identical(run_cli("simulate", "demand", "--f", "x")$status, 1L)
  expect_identical(run_cli("simulate", "else")$status, 1L)
})

test_that("mr reads both kinds of columns", {
  file <- withr::local_tempfile(fileext = ".csv")
  dat <- as.data.frame(sim_summary(seed = 1))
  utils::write.csv(dat, file, row.names = FALSE)
  run <- run_cli("mr", file, "--methods", "mr_ivw", "mr_egger_regression")
  want <- mr_estimate(dat, c("mr_ivw", "mr_egger_regression"))
  expect_equal(cli_table(run)$b, want$b, tolerance = 1e-13)
  plain <- data.frame(b_exp = dat$beta.exposure, se_exp = dat$se.exposure,
    b_out = dat$beta.outcome, se_out = dat$se.outcome)
  utils::write.csv(plain, file, row.names = FALSE)
  expect_equal(cli_table(run_cli("mr", file, "--methods", "mr_ivw"))$b, want$b[1],
    tolerance = 1e-13)
  names(plain) <- c("beta.exposure", "se.exposure", "beta.outcome", "se.outcome")
  utils::write.csv(plain, file, row.names = FALSE)
  expect_equal(cli_table(run_cli("mr", file, "--methods", "mr_ivw"))$b, want$b[1],
    tolerance = 1e-13)
  diagnose <- run_cli("mr", file, "--diagnose")
  expect_identical(diagnose$status, 0L)
  expect_gt(nrow(cli_table(diagnose)), 0)
  expect_identical(run_cli("mr", file, "--methods", "mr_nothing")$status, 1L)
  plain$se.outcome <- NULL
  utils::write.csv(plain, file, row.names = FALSE)
  bad <- run_cli("mr", file)
  expect_identical(bad$status, 2L)
  expect_match(bad$err, "lacks `se.outcome`", fixed = TRUE)
})

test_that("sweep runs a configuration, of ml-mr too, and goes on where it was", {
  dir <- withr::local_tempdir()
  withr::local_dir(dir)
  writeLines('{
    "sweep": {"model": "quantile_iv", "max_runs": 4, "seed": 1, "calibration": 0.2},
    "dataset": {"simulator": "sim_nonlinear", "n": 300, "n_variants": 3, "seed": 1},
    "parameters": [
      {"name": "q", "sampler": "list", "values": [2, 3]},
      {"name": "outcome_learning_rate", "sampler": "list", "values": [0.01, 0.03]},
      {"name": "outcome_max_epochs", "sampler": "literal", "value": 3}
    ]
  }', "config.json")
  dry <- run_cli("sweep", "config.json", "--dry-run")
  expect_identical(dry$status, 0L)
  expect_identical(sort(cli_table(dry)$n_quantiles), c(2L, 2L, 3L, 3L))
  expect_identical(list.files(), "config.json")
  run <- run_cli("sweep", "config.json", "--output", "out")
  expect_identical(run$status, 0L)
  table <- cli_table(run)
  expect_identical(table$status, rep("ok", 4))
  again <- cli_table(run_cli("sweep", "config.json", "--output", "out"))
  expect_identical(again, table) # seconds too: nothing was run
  best <- cli_table(run_cli("sweep", "config.json", "--output", "out", "--best", "width"))
  expect_identical(best$run, table$run[which.min(table$width)])
  expect_identical(run_cli("sweep", "config.json", "--best", "luck")$status, 1L)
  expect_identical(run_cli("sweep", "absent.json")$status, 2L)
  writeLines("{ not json", "broken.json")
  expect_identical(run_cli("sweep", "broken.json")$status, 2L)
  writeLines(sub("\"sampler\": \"list\"", "\"sampler\": \"dice\"", readLines("config.json")),
    "dice.json")
  expect_identical(run_cli("sweep", "dice.json")$status, 1L)
  # A fit that a sweep kept can be evaluated.
  fits <- list.files("out", "^fit-.*rds$", full.names = TRUE)
  expect_length(fits, 4L)
  run <- run_cli("evaluate", "--input", fits, "--true-function", "x")
  expect_identical(nrow(cli_table(run)), 4L)
})

test_that("deepmr takes effects or a model with sequences", {
  dir <- withr::local_tempdir()
  withr::local_dir(dir)
  set.seed(1)
  effects <- expand.grid(position = 1:20, sequence = c("a", "b", "c"))
  effects$alt <- "A"
  effects <- rbind(cbind(effects, output = "x"), cbind(effects, output = "y"))
  effects$effect <- stats::rnorm(120)
  y <- effects$output == "y"
  effects$effect[y] <- 0.5 * effects$effect[!y] + stats::rnorm(60, sd = 0.1)
  effects$std.error <- 0.1
  utils::write.csv(effects, "effects.csv", row.names = FALSE)
  base <- c("deepmr", "--effects", "effects.csv", "--exposure", "x", "--outcome", "y")
  want <- deep_mr_effects(effects, "x", "y", method = "mr_ivw", instruments = "f")
  run <- run_cli(base, "--control", "method=mr_ivw", "instruments=f", "--output", "out")
  expect_identical(run$status, 0L)
  expect_equal(cli_table(run)$estimate, want$global$estimate, tolerance = 1e-12)
  expect_setequal(list.files("out"), c("deepmr.rds", "global.csv", "local.csv", "effects.csv"))
  local <- run_cli(base, "--control", "method=mr_ivw", "instruments=f", "--print", "local")
  expect_equal(cli_table(local)$estimate, want$local$estimate, tolerance = 1e-12)
  expect_identical(run_cli(base, "--output", "out")$status, 2L)
  expect_identical(run_cli(base, "--control", "pairs=1")$status, 1L)
  expect_identical(run_cli(base[-(6:7)], "--outcome", "z")$status, 1L)
  model <- seq_model(list(
    seq_layer("conv", units = 2, taps = 3), seq_layer("activation", activation = "relu"),
    seq_layer("global_max"), seq_layer("dense", units = 2)
  ), 12, output_names = c("x", "y"), parameters = sin(1:32))
  write_seq_model(model, "model")
  sequences <- c(s1 = "ACGTTGCAACGT", s2 = "TTGACCATGCAA", s3 = "GGCATTACGATC")
  writeLines(paste0(">", names(sequences), "\n", sequences), "seqs.fa")
  run <- run_cli("deepmr", "--model", "model", "--sequences", "seqs.fa", "--exposure", "x",
    "--outcome", "y", "--print", "local")
  expect_identical(run$status, 0L)
  want <- suppressWarnings(deep_mr(model, sequences, "x", "y"))
  expect_equal(cli_table(run)$estimate, want$local$estimate, tolerance = 1e-6)
  expect_identical(run_cli("deepmr", "--model", "absent", "--sequences", "seqs.fa", "--exposure",
    "x", "--outcome", "y")$status, 1L)
})

test_that("wrong lines end with 1, wrong data with 2, with one line that says why", {
  file <- withr::local_tempfile(fileext = ".csv")
  cli_people(file, n = 60, sep = ",")
  columns <- c("--exposure", "x", "--outcome", "y", "--instruments", "v1-v20")
  estimate <- function(...) c("estimate", "2sls", "--data", ...)
  broken <- withr::local_tempfile(fileext = ".csv")
  writeLines(c("x,y,v1", "1,2,0", "3,4", "5,6,1"), broken)
  text <- withr::local_tempfile(fileext = ".csv")
  writeLines(c("x,y,v1", "1,2,0", "3,abc,1", "5,6,1"), text)
  binary <- withr::local_tempfile(fileext = ".csv")
  writeBin(as.raw(c(1:255, 1:50)), binary)
  empty <- withr::local_tempfile(fileext = ".csv")
  writeLines("x,y,v1", empty)
  few <- c("--exposure", "x", "--outcome", "y", "--instruments", "v1")
  attic <- withr::local_tempfile()
  writeLines("no folder", attic)
  lines <- list(
    list(1L, "nothing"), list(1L, c("estimate")), list(1L, c("estimate", "4sls")),
    list(1L, c("estimate", "2sls")), list(1L, c("estimate", "2sls", "extra", "--data", file)),
    list(1L, estimate(file, columns, "--instrument", "v1")),
    list(1L, estimate(file, columns, "--data", file)),
    list(1L, estimate(file, columns, "--seed", "one")),
    list(1L, estimate(file, columns, "--threads", "-1")),
    list(1L, estimate(file, columns, "--json=yes")),
    list(1L, estimate(file, columns, "--control", "vcov")),
    list(1L, estimate(file, columns, "--control", "vcov=HC1", "vcov=HC2")),
    list(1L, estimate(file, columns, "--control", "vcov=HC9")),
    list(1L, estimate(file, columns, "--control", "vconv=HC1")),
    list(1L, estimate(file, columns, "--covariates", "x")),
    list(1L, estimate(file, columns, "--context", "age")),
    list(1L, c("estimate", "quantile", "--data", file, columns, "--control", "dropout=2")),
    list(2L, estimate("absent.csv", columns)), list(2L, estimate(tempdir(), columns)),
    list(2L, estimate(file, "--exposure", "x", "--outcome", "y", "--instruments", "v1-v30")),
    list(2L, estimate(broken, few)), list(2L, estimate(text, few)), list(2L, estimate(binary, few)),
    list(2L, estimate(empty, few)),
    list(2L, estimate(file, columns, "--output", file.path(attic, "below"))),
    list(1L, c("evaluate", "--input", "x")), list(1L, c("evaluate", "--true-function", "x")),
    list(2L, c("evaluate", "--input", "absent", "--true-function", "x")),
    list(2L, c("evaluate", "--input", file, "--true-function", "x")),
    list(1L, c("evaluate", "--input", "absent", "--true-function", "system('ls')")),
    list(1L, c("evaluate", "--input", "a", "--true-function", "x", "--domain", "2,1")),
    list(1L, c("evaluate", "--input", "a", "--true-function", "x", "--plot", "a.exe"))
  )
  said <- character()
  for (line in lines) {
    run <- run_cli(line[[2]])
    expect_identical(run$status, line[[1]], info = paste(line[[2]], collapse = " "))
    expect_identical(run$out, character())
    expect_match(run$err, "^mrlearn: [^\n]+$", info = paste(line[[2]], collapse = " "))
    said <- c(said, run$err)
  }
  hide <- function(text) {
    for (path in c(file, broken, text_file = attic, empty, binary)) {
      text <- gsub(path, "FILE", text, fixed = TRUE)
    }
    text <- gsub("\"[^\"]*(/|\\\\)[^\"]*\"", "\"PATH\"", text)
    sub("; the (methods|commands) are .*", "; the \\1 are ...", text)
  }
  expect_snapshot(writeLines(hide(said)))
})

test_that("a full disk is noticed and leaves nothing behind", {
  skip_on_os("windows")
  # A limit on the size of files (8 blocks of 1 kB) that only fails the write: as a full disk does.
  dir <- withr::local_tempdir()
  for (file in c("big.csv", "big.csv.gz")) {
    run <- run_script(paste("simulate nonlinear --n 3000 --seed 1 --output", file), dir,
      before = "trap '' XFSZ; ulimit -f 8;")
    expect_identical(run$status, 2L)
    expect_match(run$err, "cannot be written", fixed = TRUE)
    expect_identical(list.files(dir, all.files = TRUE, no.. = TRUE), character())
  }
})

test_that("literals of --control are typed", {
  read <- mrlearn:::read_pairs
  expect_identical(
    read(c("a=1", "b=HC1", "c=TRUE", "d=NULL", "e=1,2.5", "f=8/8,4", "g=x,y", "h=", "i=a=b"),
      "--control"),
    list(a = 1, b = "HC1", c = TRUE, d = NULL, e = c(1, 2.5), f = list(8, c(8, 4)),
      g = c("x", "y"), h = "", i = "a=b")
  )
  expect_error(read("=1", "--c"), class = "mrlearn_error_argument")
})

test_that("the poster's two command lines work under bash as they are printed", {
  skip_on_os("windows")
  dir <- withr::local_tempdir()
  cli_people(file.path(dir, "filename.tsv.gz"), n = 400)
  before <- list.files(dir, all.files = TRUE)
  # As printed, with the program's name in place of ml-mr.
  run <- run_script("estimation \\
    quantile_iv \\
    --n-quantiles 10 \\
    --data filename.tsv.gz \\
    --exposure x --outcome y --instruments v{1..20} \\
    --wandb-project my_fit", dir)
  expect_identical(run$status, 0L)
  expect_identical(cli_table(run)$term, "x")
  expect_match(run$err, "--n-quantiles is --control n_quantiles=10 here", fixed = TRUE)
  expect_match(run$err, "--wandb-project is ignored", fixed = TRUE)
  expect_identical(list.files(dir, all.files = TRUE), before)
  # The second needs the fit of the first.
  saved <- run_script("estimation quantile_iv --q 3 --data filename.tsv.gz --exposure x \\
    --outcome y --instruments v{1..20} --control epochs=2 --output-dir dfiv_estimate", dir)
  expect_identical(saved$status, 0L)
  run <- run_script("evaluation \\
    --input dfiv_estimate \\
    --true-function 'lambda x: (0.3 * (x + 2) * (x - 1) + 1)' \\
    --plot", dir)
  expect_identical(run$status, 0L)
  expect_identical(cli_table(run)$input, "dfiv_estimate")
  expect_true(is.finite(cli_table(run)$mse))
  expect_true(file.exists(file.path(dir, "dfiv_estimate", "evaluation.png")))
  expect_setequal(list.files(dir), c("filename.tsv.gz", "dfiv_estimate"))
  # A curve that calls a program is refused.
  run <- run_script("evaluate --input dfiv_estimate --true-function \"system('touch owned')\"", dir)
  expect_identical(run$status, 1L)
  expect_false(file.exists(file.path(dir, "owned")))
})

test_that("the script hands words over unread, and a link to it works", {
  skip_on_os("windows")
  dir <- withr::local_tempdir()
  suppressMessages(link <- install_cli(dir))
  expect_identical(basename(link), "mrlearn")
  expect_identical(suppressMessages(install_cli(dir)), link)
  words <- "evaluate --input '$(touch owned)' '; touch owned' -- --true-function x"
  run <- run_script(words, dir)
  expect_identical(run$status, 2L)
  expect_identical(list.files(dir), "mrlearn")
  out <- suppressWarnings(system2(link, "--version", stdout = TRUE))
  expect_match(out, "^mrlearn ")
  file.create(file.path(dir, "x"))
  unlink(link)
  writeLines("mine", link)
  expect_error(install_cli(dir, overwrite = TRUE), class = "mrlearn_error_argument")
  expect_error(install_cli(file.path(dir, "absent")), class = "mrlearn_error_argument")
})
