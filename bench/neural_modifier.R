# An effect that another variable modifies: how far its estimates are off at five values of the
# modifier, how much intervals cover, and the picture of the lines. Options and csv as in
# bench/study_tools.R; groups: large, small, and half (small, with replicates of that type). Lines
# of the first large data set go to bench/neural_modifier_lines.csv, and into a picture.
source(file.path("bench", "study_tools.R"))

modifier_shares <- c(0.01, 0.25, 0.5, 0.75, 0.99)
modifier_names <- sprintf("m%02.0f", 100 * modifier_shares)
first_seed <- 101

list_modifier <- function(trial) {
  # n_boot: of each seed.
  cells <- function(group, n, n_boot, seed) {
    each <- rep(seq_along(seed), each = 2)
    data.frame(group, n, estimator = networks[1:2], n_boot = n_boot[each], seed = seed[each])
  }
  if (trial) {
    return(rbind(cells("large", 5000, c(10, 0), first_seed + 0:1), cells("small", 2000, 10, 1),
      cells("half", 2000, 10, 1)))
  }
  # Intervals for two of the five large data sets.
  rbind(
    cells("large", 1e5, c(50, 50, 0, 0, 0), first_seed + 0:4),
    cells("small", 2e4, rep(50, 20), first_seed + 0:19),
    cells("half", 2e4, rep(50, 20), first_seed + 0:19)
  )
}

lines_path <- function(trial) {
  file.path(study_folder(trial), "neural_modifier_lines.csv")
}

# What the fit says of the mean outcome along the exposure, for each value of the modifier.
keep_lines <- function(fit, sim, estimator, trial) {
  at <- expand.grid(X = seq(-4, 4, length.out = 41), share = modifier_shares)
  at$M <- stats::qnorm(at$share)
  lines <- cbind(estimator, at, estimate = unname(quietly(predict(fit, newdata = at))),
    truth = truth(sim)$slope(at$M) * at$X)
  path <- lines_path(trial)
  other <- if (file.exists(path)) utils::read.csv(path)
  lines <- rbind(other[other$estimator != estimator, ], lines)
  lines$estimate <- signif(lines$estimate, 5)
  utils::write.csv(lines, path, row.names = FALSE)
}

run_modifier <- function(cell) {
  sim <- with_instruments(sim_effect_modifier(cell$n, seed = cell$seed))
  type <- if (cell$group == "half") "half" else "warm"
  boot <- if (cell$n_boot > 0) list(n_boot = cell$n_boot, control = nn_control(boot_type = type))
  fit <- timed(do.call(fit_network, c(list(cell$estimator, Y ~ X + M | g + M, sim,
    seed = cell$seed), boot), quote = TRUE))
  if (cell$group == "large" && cell$seed == first_seed) {
    keep_lines(fit$value, sim, cell$estimator, trial = cell$n < 1e5)
  }
  at <- data.frame(M = stats::qnorm(modifier_shares))
  effect <- quietly(cate(fit$value, 0, 1, newdata = at))
  true <- truth(sim)$cate(at$M)
  error <- effect$estimate - true
  covers <- effect$conf.low <= true & true <= effect$conf.high
  c(
    stats::setNames(effect$estimate, modifier_names),
    stats::setNames(error, paste0("error_", modifier_names)),
    stats::setNames(covers, paste0("covers_", modifier_names)),
    stats::setNames(effect$conf.high - effect$conf.low, paste0("width_", modifier_names)),
    stats::setNames(effect$std.error, paste0("se_", modifier_names)), seconds = fit$seconds
  )
}

modifier_columns <- function(rows, what) {
  as.matrix(rows[paste0(what, modifier_names)])
}

modifier_errors <- function(rows) {
  error <- modifier_columns(rows, "error_")
  at <- short(sqrt(colMeans(error^2, na.rm = TRUE)))
  # Of a mean of squares over data sets, by the delta method.
  squares <- rowMeans(error^2)
  rmse <- sqrt(mean(squares, na.rm = TRUE))
  mc <- stats::sd(squares, na.rm = TRUE) / sqrt(nrow(rows)) / (2 * rmse)
  cbind(
    data.frame(n = whole(rows$n[1]), estimator = rows$estimator[1]),
    as.list(stats::setNames(at, paste0("M at ", 100 * modifier_shares, " %"))),
    all = short(rmse), "its MC error" = short(mc),
    seconds = short(stats::median(rows$seconds)), data = nrow(rows)
  )
}

modifier_coverage <- function(rows) {
  covers <- modifier_columns(rows, "covers_")
  se <- colMeans(modifier_columns(rows, "se_")) / apply(modifier_columns(rows, "error_"), 2,
    stats::sd)
  # The five values of one data set hang together.
  each <- rowMeans(covers)
  cbind(
    data.frame(n = whole(rows$n[1]), estimator = rows$estimator[1],
      replicates = if (rows$group[1] == "half") "half" else "warm"),
    as.list(stats::setNames(sprintf("%d/%d", as.integer(colSums(covers)), nrow(rows)),
      paste0("M at ", 100 * modifier_shares, " %"))),
    all = short(mean(each)), "its MC error" = short(stats::sd(each) / sqrt(nrow(rows))),
    "mean width" = short(mean(modifier_columns(rows, "width_"))),
    "SE / SD" = paste(short(range(se)), collapse = " - "),
    seconds = short(stats::median(rows$seconds))
  )
}

# Estimated lines, the true ones dashed, a colour for each value of the modifier.
draw_lines <- function(trial) {
  if (!file.exists(lines_path(trial))) {
    return(NULL)
  }
  lines <- utils::read.csv(lines_path(trial))
  folder <- if (trial) study_folder(TRUE) else "bench"
  path <- file.path(folder, "effect_modifier.png")
  estimators <- intersect(networks, lines$estimator)
  colours <- grDevices::hcl.colors(length(modifier_shares), "viridis", rev = TRUE)
  grDevices::png(path, width = 450 * length(estimators), height = 400, res = 90)
  graphics::par(mfrow = c(1, length(estimators)), mar = c(4.2, 4.2, 2, 1), las = 1)
  for (estimator in estimators) {
    own <- lines[lines$estimator == estimator, ]
    draw_panel(own, range(lines$estimate, lines$truth), colours)
    graphics::title(estimator, font.main = 1, cex.main = 1)
  }
  grDevices::dev.off()
  path
}

draw_panel <- function(lines, limits, colours) {
  plot(range(lines$X), limits, type = "n", xlab = "exposure", ylab = "mean outcome", bty = "l")
  for (k in seq_along(modifier_shares)) {
    at <- lines[abs(lines$share - modifier_shares[k]) < 1e-6, ]
    graphics::lines(at$X, at$truth, col = colours[k], lty = 2)
    graphics::lines(at$X, at$estimate, col = colours[k], lwd = 2)
  }
  graphics::legend("topleft", paste(100 * modifier_shares, "%"), col = colours, lwd = 2, bty = "n",
    title = "modifier at its", cex = 0.8)
  graphics::legend("bottomright", c("estimated", "true"), lty = 1:2, lwd = 2:1, bty = "n",
    cex = 0.8)
}

report_modifier <- function(rows) {
  split_rows <- function(rows) {
    split(rows, list(factor(rows$estimator, networks[1:2]), factor(rows$group, c("large", "small",
      "half"))), drop = TRUE)
  }
  parts <- split_rows(rows[rows$group != "half", ]) # those of "half" are the same fits
  boot <- split_rows(rows[rows$n_boot > 0, ])
  large <- rows$group == "large"
  verdicts <- vapply(intersect(networks, rows$estimator), function(e) {
    error <- modifier_columns(rows[large & rows$estimator == e, ], "error_")
    paste0("- ", e, ", ", verdict(sqrt(mean(error^2, na.rm = TRUE)), 0.1))
  }, "")
  picture <- draw_lines(trial = rows$n[large][1] < 1e5)
  c(
    "## An effect that another variable modifies", "",
    "`sim_effect_modifier()`, `cate(fit, 0, 1)` at five quantiles of the modifier, true effects",
    paste0(paste(short(truth(sim_effect_modifier(10, seed = 1))$cate(stats::qnorm(
      modifier_shares))), collapse = ", "), ". Target, root mean squared error over the data sets"),
    "and the five values with n = 100,000:", "", unname(verdicts), "",
    md_table(do.call(rbind, lapply(parts, modifier_errors))), "",
    if (length(boot)) {
      c(paste0("Coverage of 95 % intervals (normal, ", max(rows$n_boot), " replicates, with ",
        "`boot_type` of `nn_control()`):"), "",
        md_table(do.call(rbind, lapply(boot, modifier_coverage))), "")
    },
    if (!is.null(picture)) {
      c(paste0("`", picture, "` draws the lines that the first data set of n = 100,000 gives."), "")
    },
    notes_of(rows), ""
  )
}

modifier <- list(name = "modifier", cells = list_modifier, run = run_modifier,
  report = report_modifier)
if (is_script()) {
  invisible(run_study(modifier))
}
