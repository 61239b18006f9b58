# bench/reliability.R in short: the same designs, few simulations. RELIABILITY.md has the table.

# The least count of intervals, and the greatest of rejections, that a coverage of 92 % and a size
# of 6 %, the worst that are documented for these rows, come to in all but 1e-5 of the runs: with
# some 40 rows less than one run in a thousand fails by chance, had the seed not been fixed.
least <- function(n) stats::qbinom(1e-5, n, 0.92)
most <- function(n) stats::qbinom(1 - 1e-5, n, 0.06)

test_that("intervals hold and tests reject about as often as they say", {
  path <- test_path("..", "..", "bench", "reliability.R")
  skip_if_not(file.exists(path), "bench/ not there")
  study <- new.env(parent = globalenv())
  for (expr in parse(path)) {
    if (identical(expr[[1]], quote(`<-`))) eval(expr, study) # its functions, not the study
  }
  withr::local_options(mrlearn.threads = 1)
  withr::local_seed(20)
  total <- function(run, n) {
    hits <- lapply(seq_len(n), function(i) if (length(formals(run))) run(i) else run())
    colSums(do.call(rbind, hits))
  }
  for (kind in c("linear", "robust", "cluster", "meta", "meta_reg")) {
    hits <- total(study[[paste0("run_", kind)]], 50)
    hits <- hits[!grepl("^test: ", names(hits))]
    expect_true(all(hits >= least(50)), label = paste(kind, deparse1(hits)))
  }
  for (kind in c("tests", "summary", "kernel")) {
    hits <- total(study[[paste0("run_", kind)]], 40)
    expect_true(all(hits <= most(40)), label = paste(kind, deparse1(hits)))
  }
  hits <- total(study$run_snp, 10) * 10 # ten variants each
  expect_true(all(hits <= most(100)), label = paste("snp", deparse1(hits)))
  # the bound tells: least squares of a confounded exposure
  confounded <- sum(replicate(20, {
    d <- study$people_of()
    study$held(iv_ols(y = d$y, x = d$x))
  }))
  expect_lt(confounded, least(20))
})
