# The linear estimators and the simulator against their peers, equal work on both sides:
#
#   Rscript bench/linear.R [threads]        writes bench/linear.md; on an idle machine, or the
#                                           threads of one side wait for each other
#
# Every comparison runs in two processes, with the BLAS that R has and with OpenBLAS, which is
# unpacked from Debian's package into build/ and preloaded; the system's own choice is not touched.
# OPENBLAS_NUM_THREADS is the number of threads that our side is given. Sides alternate, the median
# of five timings counts. Peers that are not installed are left out, and said.
#
# A comparison is list(what, peer, call, target, ours, theirs, gap): two functions that do the work
# and return comparable numbers, and gap(ours, theirs), how far these differ.

n_timings <- 5L
oracle_lib <- file.path("build", "oracle_lib")
if (dir.exists(oracle_lib)) {
  .libPaths(c(.libPaths(), normalizePath(oracle_lib)))
}

relative <- function(a, b) {
  max(abs(unlist(a) - unlist(b)) / abs(unlist(b)))
}

# n people, l genotypes that explain 5 per cent of the exposure, a confounder, an effect of 0.3.
simulate_linear <- function(n, l) {
  set.seed(7)
  maf <- stats::runif(l, 0.05, 0.5)
  z <- vapply(maf, function(p) as.double(stats::rbinom(n, 2, p)), numeric(n))
  colnames(z) <- paste0("G", seq_len(l))
  u <- stats::rnorm(n)
  score <- drop(scale(z %*% stats::rnorm(l)))
  x <- sqrt(0.05) * score + u + stats::rnorm(n)
  y <- 0.3 * x + u + stats::rnorm(n)
  data <- data.frame(y = y, x = x)
  data$z <- z
  data
}

# Coefficients, standard errors, partial F, conditional F (with one exposure the same number),
# Wu-Hausman and Sargan.
compare_2sls <- function(n_threads, n = 1e5, l = 100) {
  data <- simulate_linear(n, l)
  ours <- function() {
    fit <- mrlearn::iv_2sls(y ~ x | z, data = data, n_threads = n_threads)
    table <- summary(fit)$coefficients
    d <- mrlearn::diagnostics(fit)
    list(
      coef = stats::coef(fit), se = table$std.error,
      tests = d$statistic[match(c("Weak instruments", "Wu-Hausman", "Sargan"), d$diagnostic)]
    )
  }
  aer <- function() {
    s <- summary(AER::ivreg(y ~ x | z, data = data), diagnostics = TRUE)
    list(
      coef = s$coefficients[, 1], se = s$coefficients[, 2], tests = s$diagnostics[, "statistic"]
    )
  }
  what <- sprintf("2SLS with 4 diagnostics, n = %g, L = %g", n, l)
  out <- list(list(
    what = what, peer = "AER", call = "AER::ivreg + summary(diagnostics = TRUE)", target = 5,
    ours = ours, theirs = aer, gap = relative
  ))
  if (requireNamespace("fixest", quietly = TRUE)) {
    out <- c(out, compare_feols(data, n_threads, ours, what))
  }
  out
}

# feols() takes its instruments by name, from a plain data.frame. cd (Cragg & Donald) stands for the
# conditional F: with one exposure all three are the same number. Once more without the diagnostics
# on its side, which are the slower half of its work; ours always include them.
compare_feols <- function(data, n_threads, ours, what) {
  plain <- cbind(data[c("y", "x")], as.data.frame(data$z))
  formula <- stats::as.formula(paste("y ~ 1 | x ~", paste(colnames(data$z), collapse = " + ")))
  estimate <- function() {
    fixest::feols(formula, data = plain, nthreads = n_threads, notes = FALSE)
  }
  whole <- function() {
    fit <- estimate()
    tests <- fixest::fitstat(fit, ~ ivf1 + cd + wh + sargan, verbose = FALSE)
    list(
      coef = stats::coef(fit), se = fixest::se(fit),
      tests = c(tests[[1]]$stat, tests$wh$stat, tests$sargan$stat)
    )
  }
  half <- function() {
    fit <- estimate()
    list(coef = stats::coef(fit), se = fixest::se(fit))
  }
  list(
    list(
      what = what, peer = "fixest", call = "fixest::feols + fitstat", target = 1.5, ours = ours,
      theirs = whole, gap = relative
    ),
    list(
      what = what, peer = "fixest", call = "fixest::feols alone", target = NA, ours = ours,
      theirs = half, gap = function(a, b) relative(a[c("coef", "se")], b)
    )
  )
}

# Path and cross-validation at the same penalties and folds. Ours returns the second stage and its
# diagnostics on top. gap: of the CV curve.
compare_lasso <- function(n_threads, n = 1e5, l = 100) {
  data <- simulate_linear(n, l)
  foldid <- rep(seq_len(10), length.out = n)
  lambda <- glmnet::glmnet(data$z, data$x)$lambda
  ours <- function() {
    fit <- mrlearn::iv_lasso(y ~ x | z, data = data, lambda_path = lambda, foldid = foldid,
      n_threads = n_threads)
    fit$cv$cvm
  }
  theirs <- function() glmnet::cv.glmnet(data$z, data$x, lambda = lambda, foldid = foldid)$cvm
  list(list(
    what = sprintf("LASSO first stage, 10 folds, n = %g, L = %g", n, l), peer = "glmnet",
    call = "glmnet::cv.glmnet", target = 10, ours = ours, theirs = theirs, gap = relative
  ))
}

# Equal columns, laws and truth, different random numbers: there is no gap to measure.
compare_simulate <- function(n_threads, n = 1e6, l = 50) {
  peer <- definitions_of(file.path("bench", "simulate.R"))
  list(list(
    what = sprintf("sim_contextual, n = %g, L = %g", n, l), peer = "base",
    call = "vectorised R", target = 3,
    ours = function() dim(mrlearn::sim_contextual(n, l, n_threads = n_threads)),
    theirs = function() dim(peer$simulate_in_r(n, l)), gap = relative
  ))
}

# The functions that a script defines, without running the rest of it.
definitions_of <- function(script) {
  room <- new.env()
  for (expression in parse(script, keep.source = FALSE)) {
    is_definition <- is.call(expression) && identical(expression[[1]], quote(`<-`)) &&
      is.call(expression[[3]]) && identical(expression[[3]][[1]], quote(`function`))
    if (is_definition) {
      eval(expression, room)
    }
  }
  room
}

elapsed <- function(f) {
  gc(FALSE)
  start <- proc.time()[["elapsed"]]
  f()
  proc.time()[["elapsed"]] - start
}

# One row: medians of alternating timings, after a first run of each side, compared and not timed.
measure <- function(comparison) {
  gap <- comparison$gap(comparison$ours(), comparison$theirs())
  times <- vapply(seq_len(n_timings), function(i) {
    c(elapsed(comparison$ours), elapsed(comparison$theirs))
  }, numeric(2))
  median <- apply(times, 1, stats::median)
  message(comparison$what, " / ", comparison$peer, ": ", signif(median[2] / median[1], 3))
  data.frame(
    what = comparison$what, call = comparison$call, peer = comparison$peer,
    version = as.character(utils::packageVersion(comparison$peer)), target = comparison$target,
    ours = median[1], theirs = median[2], gap = gap
  )
}

comparisons <- list(`2sls` = compare_2sls, lasso = compare_lasso, simulate = compare_simulate)

# In a process of its own, so that memory which one comparison leaves behind slows no other:
# measure, write a csv.
run <- function(name, n_threads, file) {
  rows <- do.call(rbind, lapply(comparisons[[name]](n_threads), measure))
  rows$blas <- basename(utils::sessionInfo()$BLAS)
  rows$blas_path <- utils::sessionInfo()$BLAS
  utils::write.csv(rows, file, row.names = FALSE)
}

# Debian's OpenBLAS, unpacked and not installed; NULL where that cannot be done.
unpack_openblas <- function() {
  dir <- file.path("build", "openblas")
  dir.create(dir, recursive = TRUE, showWarnings = FALSE)
  found <- function() Sys.glob(file.path(dir, "usr/lib/*/openblas-pthread/libblas.so.3"))
  if (!length(found())) {
    command <- paste(
      "cd", shQuote(dir), "&& apt-get download libopenblas0-pthread && dpkg -x *.deb ."
    )
    system(command, ignore.stdout = TRUE, ignore.stderr = TRUE)
  }
  if (length(found())) normalizePath(dirname(found()[1]))
}

run_apart <- function(n_threads, library_path = NULL) {
  do.call(rbind, lapply(names(comparisons), run_one_apart, n_threads, library_path))
}

run_one_apart <- function(name, n_threads, library_path) {
  file <- tempfile(fileext = ".csv")
  threads <- paste0(c("OPENBLAS_NUM_THREADS=", "OMP_NUM_THREADS="), n_threads)
  preload <- if (!is.null(library_path)) {
    shared <- file.path(library_path, c("libblas.so.3", "liblapack.so.3"))
    paste0("LD_PRELOAD=", paste(shared, collapse = ":"))
  }
  libraries <- paste0("R_LIBS=", paste(.libPaths(), collapse = ":"))
  status <- system2(file.path(R.home("bin"), "Rscript"),
    c("bench/linear.R", "run", name, n_threads, file),
    env = c(threads, preload, libraries))
  if (status != 0) {
    stop("the measuring process failed")
  }
  utils::read.csv(file)
}

first_line <- function(command) {
  suppressWarnings(system(command, intern = TRUE, ignore.stderr = TRUE))[1]
}

describe_machine <- function(n_threads) {
  cpu <- first_line("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo")
  load <- first_line("cut -d' ' -f1 /proc/loadavg")
  dirty <- nzchar(paste(system("git status --porcelain -uno R src", intern = TRUE), collapse = ""))
  c(
    paste0("- CPU: ", cpu, ", ", parallel::detectCores(), " cores; load at the end ", load),
    paste0("- threads: ", n_threads, " on both sides (n_threads, OPENBLAS_NUM_THREADS, nthreads)"),
    paste0("- ", R.version.string, ", ", Sys.info()[["sysname"]], " ", Sys.info()[["machine"]]),
    paste0("- mrlearn ", utils::packageVersion("mrlearn"), ", commit ",
      first_line("git rev-parse --short HEAD"), if (dirty) " with later changes",
      ", instruction set ", mrlearn:::isa_used()),
    paste0("- medians of ", n_timings, ", sides alternating; ", format(Sys.Date()))
  )
}

write_report <- function(rows, n_threads, missing) {
  seconds <- function(x) formatC(x, digits = 3, format = "fg", flag = "#")
  ratio <- rows$theirs / rows$ours
  table <- sprintf("| %s | %s | %s | %s | %s | **%.1f** | %s | %.0e |",
    rows$what, rows$label, paste0(rows$call, " ", rows$version), seconds(rows$ours),
    seconds(rows$theirs), ratio,
    ifelse(is.na(rows$target), "", paste(">=", rows$target)), rows$gap)
  text <- c(
    "# Linear estimators and simulator", "",
    "Written by `bench/linear.R`. Seconds; ratio = peer / mrlearn, above 1 mrlearn is faster.",
    "Both sides return the same numbers (2SLS: coefficients, standard errors and diagnostics); the",
    "last column is their largest relative difference (simulators draw their own numbers: 0).", "",
    describe_machine(n_threads), if (length(missing)) paste0("- left out: ", missing), "",
    "| task | BLAS | peer | mrlearn (s) | peer (s) | ratio | wanted | difference |",
    "| --- | --- | --- | ---: | ---: | ---: | --- | ---: |",
    table
  )
  writeLines(text, file.path("bench", "linear.md"))
}

main <- function(n_threads = 2L) {
  stopifnot(file.exists("DESCRIPTION"))
  rows <- cbind(label = "reference", run_apart(n_threads))
  openblas <- unpack_openblas()
  missing <- c(
    if (!requireNamespace("fixest", quietly = TRUE)) "fixest is not installed",
    if (is.null(openblas)) "OpenBLAS could not be unpacked"
  )
  if (!is.null(openblas)) {
    rows <- rbind(rows, cbind(label = "OpenBLAS", run_apart(n_threads, openblas)))
    stopifnot(any(grepl("openblas", rows$blas_path)))
  }
  if (any(grepl("openblas", rows$blas_path[rows$label == "reference"]))) {
    rows$label[rows$label == "reference"] <- "R's own, an OpenBLAS"
  }
  write_report(rows[order(rows$what, rows$peer, rows$label), ], n_threads, missing)
}

arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) == 4L && arguments[1] == "run") {
  run(arguments[2], as.integer(arguments[3]), arguments[4])
} else {
  main(if (length(arguments)) as.integer(arguments[1]) else 2L)
}
