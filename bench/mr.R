# Summary-data Mendelian randomization and meta-analysis of many groups against their peers:
#
#   Rscript bench/mr.R        writes bench/mr.md
#
# Medians of five timings of whole calls of exported functions, data frame in, data frame out.
# TwoSampleMR is not on CRAN: its times are those recorded with version 0.7.9 on the same 79
# variants; beside it runs a plain R loop that does what its mr_mode() does. Peers of many groups
# are timed on some of them, and the time of all is that multiplied. Without the shared data the 79
# variants are simulated.

library(mrlearn)

n_timings <- 5L
n_threads <- 2L

# Seconds of five runs, elapsed and of all threads' CPU (rows); a run repeats what is short. f()
# runs once before, to warm up.
both_times_of <- function(f, repeats = 1L) {
  f()
  vapply(seq_len(n_timings), function(i) {
    gc(FALSE)
    taken <- system.time(for (k in seq_len(repeats)) f(), gcFirst = FALSE)
    c(taken[["elapsed"]], taken[["user.self"]] + taken[["sys.self"]]) / repeats
  }, c(0, 0))
}

# Elapsed seconds, as a peer's.
time_of <- function(f) {
  stats::median(both_times_of(f)[1, ])
}

bmi_chd <- function() {
  file <- file.path(Sys.getenv("MRLEARN_SHARED_DATA", "../shared/data"), "reference",
    "twosamplemr", "bmi_chd_harmonised.csv")
  if (file.exists(file)) {
    dat <- utils::read.csv(file)
    return(dat[dat$mr_keep, ])
  }
  message("shared data not found: 79 variants are simulated")
  set.seed(79)
  bx <- stats::rexp(79, 50) + 0.01
  mr_data(bx, rep(0.003, 79), stats::rnorm(79, 0.4 * bx, 0.015), rep(0.012, 79))
}

# n_groups pairs of n variants with effect 0.3 and directional pleiotropy in a tenth.
many_pairs <- function(n_groups, n) {
  set.seed(300)
  size <- n_groups * n
  bx <- stats::rnorm(size, 0, 0.1)
  by <- stats::rnorm(size, 0.3 * bx + (seq_len(size) %% 10 == 0) * 0.05, 0.02)
  id <- rep(sprintf("exposure%05d", seq_len(n_groups)), each = n)
  data.frame(
    id.exposure = id, exposure = id, id.outcome = "y", outcome = "y", mr_keep = TRUE,
    beta.exposure = stats::rnorm(size, bx, 0.01), se.exposure = 0.01,
    beta.outcome = by, se.outcome = 0.02 * exp(stats::rnorm(size, 0, 0.2))
  )
}

# One call of TwoSampleMR's mr_mode(), by its definition: of each draw five modes.
loop_of_modes <- function(dat, n_boot = 1000) {
  ratio <- dat$beta.outcome / dat$beta.exposure
  first <- abs(dat$se.outcome / dat$beta.exposure)
  se <- sqrt(first^2 + (dat$beta.outcome * dat$se.exposure)^2 / dat$beta.exposure^4)
  mode_of <- function(x, se) {
    bw <- max(1e-8, 0.9 * min(stats::sd(x), stats::mad(x)) / length(x)^0.2)
    d <- stats::density(x, weights = se^-2 / sum(se^-2), bw = bw)
    d$x[which.max(d$y)]
  }
  modes <- function(x, x_nome) {
    weighted <- mode_of(x, se)
    p <- stats::pchisq((x - weighted)^2 / se^2, 1, lower.tail = FALSE)
    one <- rep(1, length(x))
    c(
      mode_of(x, one), weighted, mode_of(x, se / sqrt(pmin(1, 20 * p))),
      mode_of(x_nome, one), mode_of(x_nome, first)
    )
  }
  drawn <- vapply(seq_len(n_boot), function(b) {
    modes(stats::rnorm(length(ratio), ratio, se), stats::rnorm(length(ratio), ratio, first))
  }, numeric(5))
  list(b = modes(ratio, ratio)[2], se = apply(drawn, 1, stats::mad)[2])
}

row <- function(what, ours, target, peer = "", theirs = NA_real_, note = "") {
  list(what = what, ours = ours, target = target, peer = peer, theirs = theirs, note = note)
}

bench_mode <- function(dat) {
  ours <- function() {
    mr_estimate(dat, "Weighted mode", n_boot = 1000, seed = 1, n_threads = n_threads)
  }
  loop <- loop_of_modes(dat)
  note <- sprintf("same point: %s; se %.4f, loop %.4f",
    if (abs(ours()$b - loop$b) < 1e-12) "yes" else "NO", ours()$se, loop$se)
  seconds <- both_times_of(ours, 20L)
  what <- "weighted mode, 1000 draws, 79 variants"
  list(
    row(what, seconds, 0.005, "plain R loop of `mr_mode()`",
      time_of(function() loop_of_modes(dat)), note),
    row(what, seconds, 0.005, "TwoSampleMR 0.7.9, recorded", 0.95)
  )
}

bench_leave_one_out <- function(dat) {
  ours <- function() {
    mr_leave_one_out(dat, "Weighted mode", n_boot = 1000, seed = 1, n_threads = n_threads)
  }
  list(row("leave-one-out by weighted mode, 80 fits", both_times_of(ours), 0.4,
    "TwoSampleMR 0.7.9, recorded", 84))
}

# TwoSampleMR's run_mr_presso() took 53 s for the 79 variants with 1000 draws.
bench_presso <- function(dat) {
  run <- function(d) function() mr_presso_test(d, 1000, seed = 1, n_threads = n_threads)
  large <- many_pairs(1L, 300L)
  large$SNP <- paste0("rs", seq_len(nrow(large)))
  quiet <- function(f) function() suppressWarnings(f())
  list(
    row("MR-PRESSO, 1000 draws, 79 variants", both_times_of(quiet(run(dat)), 10L), 0.02,
      "TwoSampleMR 0.7.9 with MRPRESSO, recorded", 53),
    row("MR-PRESSO, 1000 draws, 300 variants", both_times_of(quiet(run(large)), 5L), 0.1)
  )
}

bench_cml <- function(n = 100L) {
  dat <- many_pairs(1L, n)
  ours <- function() {
    mr_estimate(dat, "mr_cML", control = mr_control(n = 1e5), seed = 1, n_threads = n_threads)
  }
  what <- sprintf("MR-cML, averaged, 200 perturbations, %d variants", n)
  if (!requireNamespace("MendelianRandomization", quietly = TRUE)) {
    return(list(row(what, both_times_of(ours), 1, "MendelianRandomization is not installed")))
  }
  input <- MendelianRandomization::mr_input(bx = dat$beta.exposure, bxse = dat$se.exposure,
    by = dat$beta.outcome, byse = dat$se.outcome)
  theirs <- NULL
  # Five perturbations, scaled: 200 take minutes.
  taken <- system.time({
    theirs <- MendelianRandomization::mr_cML(input, n = 1e5, num_pert = 5)
  })[["elapsed"]]
  list(row(what, both_times_of(ours), 1, "MendelianRandomization `mr_cML()` with 5, scaled",
    taken * 201 / 6, sprintf("estimate %.4f, theirs %.4f", ours()$b, theirs@Estimate)))
}

bench_egger <- function(dat, n_groups, n_peer = 200L) {
  ours <- function() mr_estimate(dat, "MR Egger", n_threads = n_threads)
  id <- unique(dat$id.exposure)[seq_len(n_peer)]
  few <- split(dat[dat$id.exposure %in% id, ], dat$id.exposure[dat$id.exposure %in% id])
  slope <- function(d) {
    d$y <- d$beta.outcome * sign(d$beta.exposure)
    d$x <- abs(d$beta.exposure)
    fit <- summary(stats::lm(y ~ x, d, weights = se.outcome^-2))
    c(fit$coefficients[2, 1], fit$coefficients[2, 2] / min(1, fit$sigma))
  }
  theirs <- time_of(function() lapply(few, slope))
  out <- ours()
  gap <- abs(vapply(few, slope, c(0, 0)) / rbind(out$b, out$se)[, seq_len(n_peer)] - 1)
  what <- sprintf("MR Egger, %s pairs of 300", format(n_groups, big.mark = ","))
  list(row(what, both_times_of(ours), 0.5,
    sprintf("`summary(lm())` on %d pairs, scaled", n_peer), theirs * n_groups / n_peer,
    sprintf("largest relative gap %.0e", max(gap))))
}

# lmrob()'s own tolerances stop at about 1e-7 of the slope, and its start is random.
bench_robust <- function(dat, n_groups, n_peer = 20L) {
  ours <- function() mr_estimate(dat, "MR Egger (robust)", n_threads = n_threads)
  what <- sprintf("robust MR Egger, %s pairs of 300", format(n_groups, big.mark = ","))
  if (!requireNamespace("robustbase", quietly = TRUE)) {
    return(list(row(what, both_times_of(ours), 10, "robustbase is not installed")))
  }
  id <- unique(dat$id.exposure)[seq_len(n_peer)]
  few <- split(dat[dat$id.exposure %in% id, ], dat$id.exposure[dat$id.exposure %in% id])
  control <- robustbase::lmrob.control(k.max = 500, rel.tol = 1e-12, refine.tol = 1e-12,
    maxit.scale = 1000, max.it = 500, nResample = 2000)
  slope <- function(d, ...) {
    d$y <- d$beta.outcome * sign(d$beta.exposure)
    d$x <- abs(d$beta.exposure)
    stats::coef(robustbase::lmrob(y ~ x, d, weights = se.outcome^-2, ...))[[2]]
  }
  theirs <- time_of(function() lapply(few, slope, k.max = 500))
  gap <- abs(vapply(few, slope, 0, control = control) / ours()$b[seq_len(n_peer)] - 1)
  list(row(what, both_times_of(ours), 10,
    sprintf("`lmrob(k.max = 500)` on %d pairs, scaled", n_peer),
    theirs * n_groups / n_peer,
    sprintf("largest relative gap, converged lmrob %.0e", max(gap))))
}

bench_meta <- function(n_groups = 10000L, k = 20L, n_peer = 200L) {
  set.seed(20)
  size <- n_groups * k
  se <- sqrt(stats::rchisq(size, 4) / 40)
  y <- stats::rnorm(size, stats::rnorm(size, 0.3, 0.3), se)
  group <- rep(seq_len(n_groups), each = k)
  what <- sprintf("REML, %s groups of %d", format(n_groups, big.mark = ","), k)
  ours <- function() meta_random(y, se, group = group, tau2_ci = FALSE, n_threads = n_threads)
  ours_ci <- function() meta_random(y, se, group = group, n_threads = n_threads)
  if (!requireNamespace("metafor", quietly = TRUE)) {
    return(list(row(what, both_times_of(ours), NA, "metafor is not installed")))
  }
  each <- lapply(seq_len(n_peer), function(g) which(group == g))
  rma <- function(i, ...) metafor::rma(yi = y[i], sei = se[i], method = "REML", ...)
  theirs <- time_of(function() lapply(each, rma))
  theirs_ci <- time_of(function() lapply(each, function(i) stats::confint(rma(i))))
  control <- list(threshold = 1e-14, maxiter = 10000)
  exact <- vapply(each, function(i) rma(i, control = control)$tau2, 0)
  gap <- max(abs(exact - ours()$tau2[seq_len(n_peer)]))
  peer <- sprintf("metafor %s `rma()` on %d groups, scaled",
    utils::packageVersion("metafor"), n_peer)
  seconds <- both_times_of(ours, 3L)
  scale <- n_groups / n_peer
  list(
    row(what, seconds, theirs * scale / 100, peer, theirs * scale,
      sprintf("target: a hundredth of metafor; largest gap of tau2 %.0e", gap)),
    row(paste(what, "with the interval of tau2"), both_times_of(ours_ci), theirs_ci * scale / 100,
      sub("`rma()`", "`confint(rma())`", peer, fixed = TRUE), theirs_ci * scale)
  )
}

first_line <- function(command) {
  out <- suppressWarnings(tryCatch(system(command, intern = TRUE, ignore.stderr = TRUE),
    error = function(e) character()))
  if (length(out)) out[1] else "unknown"
}

seconds <- function(x) {
  ifelse(x < 0.1, sprintf("%.2f ms", 1000 * x), sprintf("%.2f s", x))
}

as_markdown <- function(r) {
  ours <- stats::median(r$ours[1, ])
  range <- paste(seconds(range(r$ours[1, ])), collapse = " - ")
  known <- function(x, shown) if (is.na(x)) "" else shown
  sprintf("| %s | **%s** | %s | %s | %s | %s | %s | %s | %s |", r$what, seconds(ours), range,
    seconds(stats::median(r$ours[2, ])), known(r$target, seconds(r$target)), r$peer,
    known(r$theirs, seconds(r$theirs)), known(r$theirs, sprintf("%.0f", r$theirs / ours)), r$note)
}

dat <- bmi_chd()
n_groups <- 10000L
pairs <- many_pairs(n_groups, 300L)
rows <- c(
  bench_mode(dat), bench_leave_one_out(dat), bench_presso(dat), bench_cml(), bench_meta(),
  bench_egger(pairs, n_groups), bench_robust(pairs, n_groups)
)
commit <- first_line("git rev-parse --short HEAD")
text <- c(
  "# Summary-data methods", "", "Written by `bench/mr.R`, in one run.", "",
  paste0("- CPU: ", first_line("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo"), ", ",
    parallel::detectCores(), " cores, ", n_threads, " threads used; load at the end ",
    first_line("cut -d' ' -f1 /proc/loadavg")),
  paste0("- ", R.version.string, "; mrlearn ", utils::packageVersion("mrlearn"), ", commit ",
    commit),
  paste("- Whole calls, data frame in, data frame out; medians of", n_timings,
    "timings and their range. CPU: all threads' seconds, which load hardly changes."),
  paste("- TwoSampleMR cannot be installed from a registry: its times were recorded with version",
    "0.7.9 on the same 79 variants (BMI and coronary heart disease), two cores."),
  "- Peers of many groups are timed on some of them; that time is scaled to all.", "",
  "| | mrlearn | range | CPU | target | peer | its time | times faster | |",
  "| :--- | ---: | :---: | ---: | ---: | :--- | ---: | ---: | :--- |",
  vapply(rows, as_markdown, "")
)
writeLines(text)
writeLines(text, file.path("bench", "mr.md"))
missed <- vapply(rows, function(r) isTRUE(stats::median(r$ours[1, ]) > r$target), NA)
if (any(missed)) {
  stop("target missed: ", paste(vapply(rows[missed], `[[`, "", "what"), collapse = "; "))
}
