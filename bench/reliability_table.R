# The table of coverage and size in RELIABILITY.md, from what the studies wrote: Rscript
# bench/reliability_table.R puts it between the two marks there. Measures nothing.
source(file.path("bench", "study_tools.R"))
source(file.path("bench", "reliability.R"))

rows_of <- function(name) utils::read.csv(file.path("bench", paste0(name, ".csv")))

# share: of n simulations, as wanted or not; nominal: what it should be.
line <- function(what, design, share, n, nominal, script) {
  data.frame(what, design, n, nominal, share, error = sqrt(share * (1 - share) / n),
    from = (share - nominal) / sqrt(nominal * (1 - nominal) / n), script)
}

own_rows <- function() {
  rows <- rows_of("reliability")
  names(rows) <- names(utils::read.csv(file.path("bench", "reliability.csv"), check.names = FALSE))
  t <- reliability_table(rows)
  line(sub("^test: ", "", t$what), t$group, t$share, t$n, ifelse(t$kind == "size", 0.05, 0.95),
    "reliability.R")
}

summary_rows <- function() {
  d <- rows_of("mr_coverage")
  d <- d[d$cell == "no pleiotropy" & d$effect == 0.2 & !is.na(d$coverage) & d$coverage < 1, ]
  mr <- line(paste0("mr_estimate: ", d$method), "valid variants, effect 0.2", d$coverage,
    d$estimates, 0.95, "mr_coverage.R")
  d <- rows_of("mv_coverage")
  d <- d[d$cell == "no pleiotropy", ]
  rbind(mr, line(paste0("mv_estimate: ", sub("Multivariable ", "", d$method)),
    "valid variants, effect 0.3", d$coverage_a, d$replicates, 0.95, "mv_coverage.R"))
}

weak_rows <- function() {
  d <- rows_of("weak")
  out <- list()
  for (kind in c("iid", "robust")) {
    for (method in c("AR", "K", "CLR", "Wald", "LIML")) {
      for (f in c(1.2, 10)) {
        r <- d[d$group == "ar" & d$kind == kind & d$strength == f, ]
        label <- c(AR = "ar_set, AR", K = "ar_set, K", CLR = "ar_set, CLR",
          Wald = "iv_2sls, Wald", LIML = "iv_liml, bekker")[method]
        out[[length(out) + 1L]] <- line(paste0(label, if (kind == "robust") ", HC1"),
          paste("10 instruments, F =", f), sum(r[[method]]) / sum(r$n_sim), sum(r$n_sim), 0.95,
          "weak.R")
      }
    }
  }
  for (kind in c("strong", "weak")) {
    for (method in ld_methods) {
      r <- d[d$group == "cis" & d$kind == kind, ]
      out[[length(out) + 1L]] <- line(paste("mr_correlated,", method),
        paste0("200 variants, ", kind), sum(r[[method]]) / sum(r$n_sim), sum(r$n_sim), 0.95,
        "weak.R")
    }
  }
  out <- do.call(rbind, out)
  out[!is.na(out$share), ]
}
ld_methods <- c("IVW", "Egger", "PCA", "Corrected")

curve_rows <- function() {
  mean_of <- function(rows, column) mean(rows[[column]], na.rm = TRUE)
  d <- rows_of("neural_coverage")
  key <- interaction(d$group, d$curve, drop = TRUE)
  neural <- do.call(rbind, lapply(split(d, key), function(r) {
    about <- paste0(c("Quantile IV" = "iv_quantile", "DeepIV gaussian" = "iv_deep")[r$group[1]],
      c(": average derivative", ": curve at the median", ": band"))
    line(about, paste0("n = 5,000, ", r$curve[1]), c(mean(r$normal_covers_slope),
      mean(r$normal_covers_q50), mean(r$normal_covers_band)), nrow(r), 0.95, "neural_coverage.R")
  }))
  d <- rows_of("neural_modifier")
  d <- d[d$group %in% c("small", "half"), ]
  single <- do.call(rbind, lapply(split(d, d[c("estimator", "group")], drop = TRUE), function(r) {
    line(paste0(c("Quantile IV" = "iv_quantile", "DeepIV gaussian" = "iv_deep")[[r$estimator[1]]],
      ": cate()", if (r$group[1] == "half") ", half-samples"),
    paste0("n = 20,000, modifier at its ", c("lower", "upper"), " quartile"),
    c(mean(r$covers_m25), mean(r$covers_m75)), nrow(r), 0.95, "neural_modifier.R")
  }))
  d <- rows_of("orthogonal")
  d <- d[!is.na(d$covers), ]
  orthogonal <- do.call(rbind, lapply(split(d, d$curve), function(r) {
    line("orthogonal: average derivative", paste0("n = 5,000, ", r$curve[1]), mean(r$covers),
      nrow(r), 0.95, "orthogonal.R")
  }))
  d <- rows_of("control_function")
  covers <- grep("[.]covers$", names(d), value = TRUE)
  labels <- c(slope = "linear", slope_boot = "linear, bootstrap",
    contrast = "quadratic, 1 against 0", tail = "quadratic, 2 against 0",
    difference = "risk difference", ratio = "risk ratio")
  control <- do.call(rbind, lapply(covers, function(column) {
    line("iv_control_function", paste0("n = 5,000, ", labels[[sub("[.]covers$", "", column)]]),
      mean_of(d, column), sum(!is.na(d[[column]])), 0.95, "control_function.R")
  }))
  rbind(neural, single, orthogonal, control)
}

other_rows <- function() {
  d <- rows_of("delivr")
  d <- d[d$effect %in% c("none", "linear"), ]
  delivr <- do.call(rbind, lapply(split(d, paste(d$effect, d$two)), function(r) {
    samples <- if (r$two[1]) ", two samples" else ""
    rbind(
      if (r$effect[1] == "none") line("iv_delivr: global test", paste0("no effect", samples),
        mean(r$global < 0.05), nrow(r), 0.05, "delivr.R"),
      line("iv_delivr: nonlinearity test",
        paste0(sub("none", "no", r$effect[1]), " effect", samples), mean(r$nonlinearity < 0.05),
        nrow(r), 0.05, "delivr.R")
    )
  }))
  d <- rows_of("contextual_truth")
  means <- d[!is.na(d$mean_covers), ]
  tests <- d[!is.na(d$p) & d$sd == 0, ]
  context <- rbind(
    do.call(rbind, lapply(split(means, means$shape), function(r) {
      line("iv_contextual: average slope", paste0("n = 5,000, ", r$shape[1]), mean(r$mean_covers),
        nrow(r), 0.95, "contextual_truth.R")
    })),
    do.call(rbind, lapply(split(tests, tests$main), function(r) {
      line("heterogeneity_test", paste0("constant slope", if (r$main[1]) ", main effects"),
        mean(r$p < 0.05), nrow(r), 0.05, "contextual_truth.R")
    }))
  )
  d <- rows_of("contextual_summary")
  d <- d[d$shape == "constant" & d$n == max(d$n), ]
  strata <- do.call(rbind, lapply(split(d, paste(d$group, d$pi_scale)), function(r) {
    about <- paste0(r$group[1], ", n = ", whole(r$n[1]))
    ml <- "mr_two_sample_ml_mre."
    rbind(
      line("mr_contextual: average slope", about, mean(r[[paste0(ml, "covers_mean")]]), nrow(r),
        0.95, "contextual_summary.R"),
      line("mr_contextual: test of the context", about, mean(r[[paste0(ml, "p")]] < 0.05), nrow(r),
        0.05, "contextual_summary.R")
    )
  }))
  d <- rows_of("latent")
  d <- d[!is.na(d$covered) & d$group == "coverage", ]
  latent <- do.call(rbind, lapply(split(d, d[c("hard", "n_env", "option", "method")],
    drop = TRUE), function(r) {
    option <- if (r$option[1] != "none") paste0(", ", r$option[1])
    line(paste0("iv_latent: ", r$method[1], option),
      paste0(r$n_env[1], " environments of ", whole(r$n[1]), if (r$hard[1]) ", hard"),
      mean(r$covered), nrow(r), 0.95, "latent.R")
  }))
  rbind(delivr, context, strata, latent)
}

reliability_lines <- function() {
  t <- rbind(own_rows(), weak_rows(), summary_rows(), curve_rows(), other_rows())
  mark <- ifelse(abs(t$from) > 3, " *", "")
  md_table(data.frame(
    what = t$what, design = t$design, nominal = sprintf("%g", 100 * t$nominal), n = whole(t$n),
    measured = sprintf("%.1f (%.1f)%s", 100 * t$share, 100 * t$error, mark), script = t$script
  ))
}

if (is_script()) {
  path <- "RELIABILITY.md"
  text <- readLines(path)
  marks <- c(match("<!-- table from here -->", text), match("<!-- table to here -->", text))
  stopifnot(!anyNA(marks), marks[1] < marks[2])
  writeLines(c(text[seq_len(marks[1])], "", reliability_lines(), "",
    text[marks[2]:length(text)]), path)
}
