# The study of contextualized MR (Talluri 2025) again: its grid, its nine methods, its metric.
#
#   Rscript bench/contextual.R   writes bench/contextual.csv and .md, vignettes/contextual_*.csv
#
# 5 sizes x 5 numbers of SNPs x context or none = 50 data sets, in ten replicates where the study
# has one (seeds 101 to 110 instead of 7). OLS, 2SLS and 2SLS with a LASSO first stage, each static
# and with an MLP encoder of width 25 or 8. The effect is 0.3 for everybody; a method's error is
# (estimate - 0.3)^2, averaged over people where each has an estimate. Options as in
# bench/study_tools.R; groups are the sizes (n1000 and so on). Two data sets are fitted at a time,
# on one thread each.
source(file.path("bench", "contextual_tools.R"))

stages <- c(OLS = "none", "2SLS" = "ols", LASSO = "lasso")
# "constant" is no method of the study: iv_contextual() with one slope for all. It has the first
# stage and main effects of its contextual fits, so that what these gain over it is context's.
encoders <- c("static", names(encoder_widths), "constant")

list_grid <- function(trial) {
  n <- if (trial) c(1000, 3000) else c(1000, 3000, 5000, 10000, 20000)
  l <- if (trial) c(5, 30) else c(5, 10, 15, 30, 50)
  seeds <- if (trial) 1:2 else 100 + 1:10
  cells <- expand.grid(L = l, context = c(TRUE, FALSE), seed = seeds, n = n)
  data.frame(group = paste0("n", cells$n), cells[c("n", "L", "context", "seed")])
}

# The study's own LASSO: scikit-learn's penalties and contiguous folds, the shrunken fit.
fit_static <- function(stage, sim) {
  switch(stage,
    none = iv_ols(Y ~ X, sim),
    ols = iv_2sls(Y ~ X | g, sim),
    lasso = iv_lasso(Y ~ X | g, sim, folds = "contiguous", nfolds = 5, scaling = "all",
      lambda_min_ratio = 1e-3)
  )
}

slopes_of <- function(stage, encoder, sim, seed) {
  if (encoder == "static") {
    return(stats::coef(fit_static(stage, sim))[["X"]])
  }
  stage2 <- if (encoder == "constant") "constant" else "contextual"
  hidden <- if (encoder == "constant") encoder_widths$MLP else encoder_widths[[encoder]]
  formula <- if (stage == "none") Y ~ X else Y ~ X | g
  fit <- fit_contextual(formula, sim, stage1 = stage, stage2 = stage2, refit = FALSE,
    hidden = hidden, seed = seed)
  context_effects(fit)$estimate
}

# As columns of the csv begin.
column_stem <- function(method, encoder) {
  paste(stages[[method]], sub(" ", "_", encoder), sep = "_")
}

run_grid <- function(cell) {
  sim <- with_instruments(sim_contextual(cell$n, cell$L, use_context = cell$context,
    seed = cell$seed))
  unlist(lapply(names(stages), function(method) {
    lapply(stats::setNames(encoders, column_stem(method, encoders)), function(encoder) {
      fit <- timed(slopes_of(stages[[method]], encoder, sim, cell$seed))
      c(mse = mean((fit$value - 0.3)^2), mean = mean(fit$value), seconds = fit$seconds)
    })
  }))
}

# Long form: a row per data set, method and encoder. Where the LASSO selects nothing there is no
# estimate, and none of the three counts.
grid_long <- function(rows) {
  parts <- lapply(names(stages), function(method) {
    lapply(encoders, function(encoder) {
      value <- function(what) rows[[paste0(column_stem(method, encoder), ".", what)]]
      data.frame(rows[c("n", "L", "context", "seed")], method, encoder, mse = value("mse"),
        estimate = value("mean"), seconds = value("seconds"))
    })
  })
  long <- do.call(rbind, unlist(parts, recursive = FALSE))
  long$method <- factor(long$method, names(stages))
  long$encoder <- factor(long$encoder, encoders)
  set <- paste(long$n, long$L, long$context, long$seed, long$method)
  lost <- set %in% set[!is.finite(long$mse)]
  long[!lost, ]
}

# What the study has: its one seed, 7; contextual errors read off its figures (to 0.0023).
study_static <- data.frame(
  n = c(1000, 3000, 5000, 10000, 20000),
  OLS = c(0.822, 0.787, 0.779, 0.793, 0.789), "2SLS" = c(0.498, 0.474, 0.332, 0.331, 0.357),
  LASSO = c(0.717, 0.559, 0.354, 0.355, 0.363), check.names = FALSE
)
study_overall <- data.frame(
  encoder = encoders, OLS = c(0.2445, 0.2465, 0.2426, NA), "2SLS" = c(0.0226, 0.0352, 0.0284, NA),
  LASSO = c(0.0758, 0.0532, 0.0425, NA), check.names = FALSE
)
study_by_n <- data.frame(
  n = study_static$n,
  "2SLS MLP" = c(0.0563, 0.0391, 0.0320, 0.0329, 0.0155),
  "2SLS small MLP" = c(0.0516, 0.0220, 0.0320, 0.0279, 0.0086),
  "LASSO MLP" = c(0.1284, 0.0467, 0.0482, 0.0233, 0.0195),
  "LASSO small MLP" = c(0.1115, 0.0495, 0.0315, 0.0107, 0.0091), check.names = FALSE
)
study_wins <- c("2SLS MLP" = 12, "2SLS small MLP" = 16, "LASSO MLP" = 15, "LASSO small MLP" = 19)

# Per replicate a mean over data sets, then the median over replicates and their range.
over_replicates <- function(long, by, value = "mse", decimals = 4) {
  replicate_means <- stats::aggregate(long[value], long[c(by, "seed")], mean)
  stats::aggregate(replicate_means[value], replicate_means[by], median_range,
    show = function(x) sprintf("%.*f", decimals, x))
}

wide_by <- function(table, row, value) {
  table$column <- paste(table$method, table$encoder)
  table <- table[order(table$method, table$encoder, table[[row]]), ]
  wide <- stats::reshape(table[c(row, "column", value)], direction = "wide", idvar = row,
    timevar = "column")
  names(wide) <- sub(paste0("^", value, "\\."), "", names(wide))
  wide
}

# Ratios of the errors of contextual methods to those of the static method, two ways: of the means
# over the 50 data sets of a replicate, as the study reports them, and data set by data set.
grid_ratios <- function(long) {
  static <- long[long$encoder == "static", ]
  key <- function(d) paste(d$n, d$L, d$context, d$seed, d$method)
  long <- long[long$encoder != "static", ]
  long$static <- static$mse[match(key(long), key(static))]
  long$ratio <- long$mse / long$static
  do.call(rbind, lapply(split(long, long[c("encoder", "method")], drop = TRUE), function(d) {
    means <- stats::aggregate(d[c("mse", "static")], d["seed"], mean)
    wins <- stats::aggregate(list(wins = d$ratio < 1), d["seed"], sum)$wins
    q <- stats::quantile(d$ratio, c(0.25, 0.5, 0.75), names = FALSE)
    data.frame(method = as.character(d$method[1]), encoder = as.character(d$encoder[1]),
      of_means = stats::median(means$mse / means$static), least = min(means$mse / means$static),
      most = max(means$mse / means$static), per_set = q[2], per_set_25 = q[1], per_set_75 = q[3],
      wins = stats::median(wins), wins_least = min(wins), wins_most = max(wins),
      sets = nrow(d) / nrow(means))
  }))
}

ratio_table <- function(ratios) {
  study <- function(i) {
    row <- match(ratios$encoder[i], study_overall$encoder)
    study_overall[[ratios$method[i]]][row] / study_overall[[ratios$method[i]]][1]
  }
  published <- vapply(seq_len(nrow(ratios)), study, 1)
  won <- study_wins[paste(ratios$method, ratios$encoder)]
  data.frame(
    method = ratios$method, encoder = ratios$encoder,
    "means over data sets" = sprintf("%.2f (%.2f - %.2f)", ratios$of_means, ratios$least,
      ratios$most),
    "data set by data set" = sprintf("%.2f (%.2f - %.2f)", ratios$per_set, ratios$per_set_25,
      ratios$per_set_75),
    study = ifelse(is.na(published), "", sprintf("%.2f", published)),
    "better than static" = sprintf("%g (%g - %g) of %g", ratios$wins, ratios$wins_least,
      ratios$wins_most, ratios$sets),
    "study's" = ifelse(is.na(won), "", paste(won, "of 50")), check.names = FALSE
  )
}

# The study's claims, each with the number that decides it.
grid_claims <- function(long, ratios) {
  overall <- stats::aggregate(long["mse"], long[c("method", "encoder", "seed")], mean)
  middle <- function(method, encoder) {
    stats::median(overall$mse[overall$method == method & overall$encoder == encoder])
  }
  ratio <- function(method, encoder) {
    ratios$of_means[ratios$method == method & ratios$encoder == encoder]
  }
  nine <- long[long$encoder != "constant", ]
  best <- stats::aggregate(nine["mse"], nine[c("method", "encoder", "n", "L", "context")],
    stats::median)
  best <- do.call(rbind, lapply(split(best, best[c("n", "L", "context")]),
    function(d) d[which.min(d$mse), ]))
  holds <- function(value) if (isTRUE(value)) "holds" else "does not hold"
  by_size <- stats::aggregate(long["mse"], long[c("method", "encoder", "n")], mean)
  two <- function(encoder, small) {
    d <- by_size[by_size$method == "2SLS" & (by_size$n <= 3000) == small, ]
    sum(d$mse[d$encoder == encoder]) / sum(d$mse[d$encoder == "static"])
  }
  row <- function(claim, found, verdict) data.frame(claim, found, verdict)
  rbind(
    row("Context does not remove confounding: contextual OLS stays near 0.24",
      sprintf("%.3f static, %.3f MLP, %.3f small MLP", middle("OLS", "static"),
        middle("OLS", "MLP"), middle("OLS", "small MLP")),
      holds(min(middle("OLS", "MLP"), middle("OLS", "small MLP")) > 0.2)),
    row("Instruments cut the error about tenfold",
      sprintf("OLS / 2SLS: %.1f static, %.1f MLP, %.1f small MLP",
        middle("OLS", "static") / middle("2SLS", "static"),
        middle("OLS", "MLP") / middle("2SLS", "MLP"),
        middle("OLS", "small MLP") / middle("2SLS", "small MLP")),
      holds(middle("OLS", "MLP") / middle("2SLS", "MLP") > 5)),
    row("OLS is never the best of the nine",
      sprintf("best in %d of %d designs (medians over replicates)", sum(best$method == "OLS"),
        nrow(best)), holds(!any(best$method == "OLS"))),
    row("With one effect for all, contextual 2SLS costs: worse than 2SLS overall",
      sprintf("ratio %.2f MLP, %.2f small MLP", ratio("2SLS", "MLP"), ratio("2SLS", "small MLP")),
      holds(ratio("2SLS", "MLP") > 1)),
    row("and gains at n <= 3000 only",
      sprintf("MLP / static %.2f at n <= 3000, %.2f above", two("MLP", TRUE), two("MLP", FALSE)),
      holds(two("MLP", TRUE) < 1 && two("MLP", FALSE) > 1)),
    row("The small encoder does no worse than the large one",
      sprintf("2SLS %.4f and %.4f, LASSO %.4f and %.4f", middle("2SLS", "small MLP"),
        middle("2SLS", "MLP"), middle("LASSO", "small MLP"), middle("LASSO", "MLP")),
      holds(middle("2SLS", "small MLP") <= middle("2SLS", "MLP") &&
        middle("LASSO", "small MLP") <= middle("LASSO", "MLP"))),
    row("LASSO gains from context: 0.076 to 0.053 and 0.043",
      sprintf("%.4f to %.4f and %.4f; %.4f with one slope for all", middle("LASSO", "static"),
        middle("LASSO", "MLP"), middle("LASSO", "small MLP"), middle("LASSO", "constant")),
      if (isTRUE(middle("LASSO", "MLP") < 0.95 * middle("LASSO", "constant"))) "holds" else if (
        isTRUE(ratio("LASSO", "MLP") < 1)) "gains, but not by context" else "does not hold")
  )
}

report_grid <- function(rows) {
  long <- grid_long(rows)
  ratios <- grid_ratios(long)
  claims <- grid_claims(long, ratios)
  by_n <- over_replicates(long, c("n", "method", "encoder"))
  estimates <- over_replicates(long[long$encoder == "static", ], c("n", "method", "encoder"),
    "estimate", 3)
  seconds <- over_replicates(long, c("n", "method", "encoder"), "seconds", 3)
  overall <- over_replicates(long, c("method", "encoder"))
  overall <- stats::reshape(overall, direction = "wide", idvar = "encoder", timevar = "method")
  names(overall) <- sub("^mse\\.", "", names(overall))
  overall$encoder <- as.character(overall$encoder)
  write_for_vignette(ratios, "contextual_ratios")
  write_for_vignette(claims, "contextual_claims")
  write_for_vignette(stats::aggregate(long[c("mse", "estimate", "seconds")],
    long[c("n", "L", "context", "method", "encoder")], stats::median), "contextual_grid")
  limit <- function(method, at_most) {
    r <- ratios[ratios$method == method & ratios$encoder == "MLP", ]
    paste0("- ", method, ", MLP: ", verdict(r$of_means, at_most), " (data set by data set ",
      short(r$per_set), ")")
  }
  with_n <- function(table) {
    table$n <- whole(table$n)
    table
  }
  shown <- function(table) {
    with_n(wide_by(table, "n", setdiff(names(table), c("n", "method", "encoder"))))
  }
  c(
    "# The study of contextualized MR, in ten replicates", "",
    "Written by `bench/contextual.R`: the study's 50 data sets (n x L x context), in replicates",
    "where it has one. Errors are (estimate - 0.3)^2, averaged over people; numbers are medians",
    "over replicates (range), each the mean over its data sets. *Constant* is no method of the",
    "study: `iv_contextual(stage2 = \"constant\")`, with the first stage and the main effects of",
    "the contextual fits and one slope for all.", "",
    "## Claims", "", md_table(claims), "",
    "## Ratios of the error with context to the static one", "",
    "Medians over replicates (range); data set by data set: median (quartiles).", "",
    md_table(ratio_table(ratios)), "", "Wanted:", "", limit("2SLS", 1.1), limit("LASSO", 0.75), "",
    "## Static estimates by n", "", md_table(shown(estimates)), "", "The study's:", "",
    md_table(with_n(study_static)), "",
    "## Errors by n", "", md_table(shown(by_n)), "", "The study's:", "",
    md_table(with_n(study_by_n)), "",
    "## Errors overall", "", md_table(overall), "", "The study's:", "",
    md_table(study_overall[1:3, ]), "",
    "## Seconds of a fit", "", md_table(shown(seconds)), "", notes_of(rows)
  )
}

if (is_script()) {
  finish_study(list(name = "contextual", cells = list_grid, run = run_grid, report = report_grid,
    processes = 2L))
}
