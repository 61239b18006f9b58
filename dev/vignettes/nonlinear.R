# Tables of vignettes/nonlinear.Rmd: the poster's study, choosing settings, coverage, demand.
source(file.path("dev", "vignettes", "tools.R"))

poster <- study_functions("neural_poster")
rows <- list(poster = study_rows("neural_poster"), sweep = study_rows("sweep_poster"),
  choice = study_rows("model_selection"), dfiv = study_rows("dfiv"))
estimators <- c("Quantile IV", "DeepIV gaussian", "DeepIV mixture", "DFIV")
middle <- function(x) if (length(x)) stats::median(x, na.rm = TRUE) else NA_real_

# The poster's cells: its medians, ours with the default settings; deep feature IV was run in one.
ours <- function(p, estimator) {
  at_default <- p$n == 1e5 && p$h2 == 0.5 && p$beta_ux == 0.35
  if (estimator == "DFIV") {
    return(if (at_default) middle(rows$dfiv$mse[rows$dfiv$group == "poster"]) else NA_real_)
  }
  middle(poster$select_poster(rows$poster, p$n, p$h2, p$beta_ux, estimator = estimator)$full)
}
cells <- poster$published
cell_table <- do.call(rbind, lapply(seq_len(nrow(cells)), function(i) {
  p <- cells[i, ]
  theirs <- unlist(p[c("quantile", "gaussian", "mixture", "dfiv")])
  here <- vapply(estimators, function(e) ours(p, e), 0)
  value <- if (p$row == "n") whole(p$n) else format(p[[p$row]])
  pairs <- as.vector(rbind(theirs, here))
  names(pairs) <- paste0(rep(estimators, each = 2), c(", published", ", here"))
  data.frame(cell = paste(p$row, "=", value), as.list(pairs),
    "2SLS, quadratic" = ours(p, "2SLS, quadratic"),
    "control function" = ours(p, "control function"), check.names = FALSE)
}))
write_table(cell_table, "nonlinear_poster")

# Other curves and numbers of quantiles, default cell.
shapes <- c("quadratic", "linear", "threshold", "sine", "J")
curves <- do.call(rbind, lapply(shapes, function(curve) {
  of <- function(estimator, column) {
    middle(poster$select_poster(rows$poster, curve = curve, estimator = estimator)[[column]])
  }
  data.frame(curve, "Quantile IV" = of("Quantile IV", "full"),
    "Quantile IV, inner" = of("Quantile IV", "inner"),
    "DeepIV gaussian" = of("DeepIV gaussian", "full"),
    "DeepIV gaussian, inner" = of("DeepIV gaussian", "inner"),
    "control function" = of("control function", "full"),
    "control function, inner" = of("control function", "inner"), check.names = FALSE)
}))
write_table(curves, "nonlinear_curves")
n_quantiles <- sort(unique(rows$poster$q))
by_q <- vapply(n_quantiles, function(q) {
  middle(poster$select_poster(rows$poster, q = q, estimator = "Quantile IV")$full)
}, 0)

# The sweep with the poster's networks: in each data set the settings with the least error, and
# those that a criterion chooses.
fine <- rows$sweep[rows$sweep$status == "ok" & is.finite(rows$sweep$mse), ]
chosen <- function(by) {
  parts <- split(fine, list(fine$cell, fine$estimator, fine$data_seed), drop = TRUE)
  picked <- do.call(rbind, lapply(parts, function(one) one[which.min(one[[by]]), ]))
  tapply(picked$mse, list(picked$cell, picked$estimator), stats::median)[, estimators]
}
order <- c("n = 1000", "default", "n = 30000", "h2 = 0.2", "h2 = 0.8", "beta_ux = -0.5",
  "beta_ux = -0.25", "beta_ux = 0.25", "beta_ux = 0.5")
best <- chosen("mse")[order, ]
by_width <- chosen("width")[order, ]
colnames(by_width) <- paste0(estimators, ", by width")
write_table(data.frame(cell = order, best, by_width, check.names = FALSE), "nonlinear_sweep")

# Choosing settings: squared correlations of error and criterion with their sign.
choice <- study_functions("model_selection")
signed <- function(r) sign(r) * r^2
within_data <- function(one, by) {
  one <- one[is.finite(one[[by]]) & one[[by]] > 0, ] # DeepIV's loss can be below 0
  group <- paste(one$cell, one$data_seed)
  centred <- function(v) log(v) - stats::ave(log(v), group)
  signed(stats::cor(centred(one$mse), centred(one[[by]])))
}
slides <- list(deep = c(0.01, 0.43), dfiv = c(0, 0.59), quantile = c(0.69, -0.24))
names_here <- list(deep = c("DeepIV gaussian", "DeepIV mixture"), dfiv = "DFIV",
  quantile = "Quantile IV")
selection <- do.call(rbind, lapply(names(slides), function(group) {
  own <- rows$choice[rows$choice$group == group & is.finite(rows$choice$mse), ]
  do.call(rbind, lapply(1:2, function(k) {
    found <- choice$correlation(own, c("validation", "split")[k])
    swept <- vapply(names_here[[group]], function(e) {
      within_data(fine[fine$estimator == e, ], c("loss", "width")[k])
    }, 0)
    data.frame(estimator = choice$estimators[[group]],
      criterion = c("loss held out", "interval width")[k],
      published = sprintf("%+.2f", slides[[group]][k]),
      "20 settings" = sprintf("%+.2f", signed(found[["r"]])), r = found[["r"]],
      "MCSE of r" = found[["se"]],
      sweep = paste(sprintf("%+.2f", swept), collapse = ", "),
      "times the least error" = choice$regret(own, c("validation", "split")[k]),
      "at random" = short(stats::median(unlist(lapply(split(own$mse, own$seed), function(v) {
        v / min(v)
      })))),
      check.names = FALSE)
  }))
}))
write_table(selection, "nonlinear_selection")

# The findings, in words and numbers; a verdict is a rule on the numbers beside it.
rise <- function(middles, hard, easy) middles[hard, ] - middles[easy, ]
least_rise <- function(r) {
  names(r) <- estimators
  r <- sort(r)
  paste0(names(r), " ", short(r), collapse = ", ")
}
said <- function(held) if (held) "holds" else "does not replicate"
is_least <- function(r) which.min(r) == 1L
h2_best <- rise(best, "h2 = 0.2", "h2 = 0.8")
n_best <- rise(best, "n = 1000", "n = 30000")
main <- cell_table[cell_table$cell == "n = 100,000", ]
here <- unlist(main[paste0(estimators, ", here")])
claim <- function(claim, published, here, verdict) data.frame(claim, published, here, verdict)
signs <- function(estimator, criterion) {
  s <- selection[selection$estimator == estimator & selection$criterion == criterion, ]
  sprintf("%s; sweep %s", s[["20 settings"]], s$sweep)
}
tells <- function(estimator, criterion) {
  s <- selection[selection$estimator == estimator & selection$criterion == criterion, ]
  s$r > 2 * s[["MCSE of r"]]
}
at_10000 <- cell_table[[3]][cell_table$cell == "n = 10,000"]
listed <- function(values) paste0(estimators, " ", short(values), collapse = ", ")
published_of <- function(cell) {
  unlist(cell_table[cell_table$cell == cell, paste0(estimators, ", published")])
}
within <- function(value, limit) if (value <= limit) "holds, smaller here" else "does not replicate"
tell_both <- function(criterion) {
  paste0("DeepIV ", signs("DeepIV", criterion), "; DFIV ", signs("DFIV", criterion))
}
both_tell <- function(criterion) c(tells("DeepIV", criterion), tells("DFIV", criterion))
modifier <- study_rows("neural_modifier")
large <- modifier[modifier$group == "large" & modifier$estimator == "Quantile IV", ]
modifier_rmse <- sqrt(mean(as.matrix(large[grepl("^error_", names(large))])^2))
claims <- rbind(
  claim("Error of Quantile IV, 100,000 people", "0.045", short(here[[1]]),
    within(here[[1]], 0.045)),
  claim("The same, 10,000 people", "0.08", short(at_10000), within(at_10000, 0.08)),
  claim("Quantile IV errs least of the four: 100,000 people, default settings here",
    listed(published_of("n = 100,000")), listed(here), said(here[[1]] < 0.9 * min(here[-1]))),
  claim("The same: 10,000 people, best settings of a sweep", listed(published_of("n = 10,000")),
    listed(best["default", ]), said(is_least(best["default", ]))),
  claim("Its error rises least as h2 falls from 0.8 to 0.2 (best settings)",
    least_rise(published_of("h2 = 0.2") - published_of("h2 = 0.8")), least_rise(h2_best),
    said(is_least(h2_best))),
  claim(paste("Its error rises least as n falls (best settings; published 1,000,000 to 10,000,",
    "here 30,000 to 1000)"),
    least_rise(published_of("n = 10,000") - published_of("n = 1,000,000")), least_rise(n_best),
    said(is_least(n_best))),
  claim("Without tuning the number of quantiles rules the error", "2 to 7",
    paste0(short(min(by_q)), " to ", short(max(by_q)), " for ", min(n_quantiles), " to ",
      max(n_quantiles), " quantiles"), said(max(by_q) > 2 * min(by_q))),
  claim("Quantile IV finds effects that a variable modifies", "a figure",
    paste0("effects of 0.1 to 1.2 to within ", short(modifier_rmse), " (RMSE)"),
    if (modifier_rmse < 0.1) "holds; for intervals see below" else "does not replicate"),
  claim("Held-out loss tells nothing of the error of DeepIV and DFIV", "R2 0.01, 0.00",
    tell_both("loss held out"), said(!any(both_tell("loss held out")))),
  claim("The width of conformal intervals does", "R2 0.43, 0.59", tell_both("interval width"),
    if (all(both_tell("interval width"))) "holds; for DFIV not in the sweep" else
      "does not replicate"),
  claim("Held-out loss tells Quantile IV's good curves", "R2 0.69",
    signs("Quantile IV", "loss held out"),
    if (tells("Quantile IV", "loss held out")) "holds, weaker" else "does not replicate"),
  claim("For Quantile IV the width misleads", "R2 0.24, wrong sign",
    signs("Quantile IV", "interval width"), said(!tells("Quantile IV", "interval width")))
)
write_table(claims, "nonlinear_claims")

# Coverage, in per cent with its Monte Carlo standard error.
covered <- function(interval, of, estimator, design, nominal, sets, coverage, ratio, script) {
  data.frame(interval, of, estimator, design, nominal, "data sets" = sets, coverage,
    "SE / SD" = ratio, script, check.names = FALSE)
}
ratio_text <- function(se, error) sprintf("%.2f", mean(se) / stats::sd(error))
boot <- study_rows("neural_coverage")
boot_rows <- function(estimator, curve) {
  one <- boot[boot$estimator == estimator & boot$curve == curve, ]
  design <- paste0(curve, ", n = ", whole(one$n[1]))
  quartiles <- unlist(one[paste0("normal_covers_", c("q25", "q50", "q75"))])
  line <- function(interval, of, coverage, ratio = "") {
    covered(interval, of, estimator, design, 95, nrow(one), coverage, ratio,
      "bench/neural_coverage.R")
  }
  # Three points of one curve hang together: the error of their mean from data sets.
  each <- rowMeans(matrix(quartiles, ncol = 3))
  rbind(
    line("bootstrap", "average derivative", share_and_error(one$normal_covers_slope),
      ratio_text(one$se_slope, one$error_slope)),
    line("bootstrap", "curve at the exposure's quartiles", sprintf("%.1f (%.1f)",
      100 * mean(each), 100 * stats::sd(each) / sqrt(nrow(one)))),
    line("simultaneous band", "curve at all three", share_and_error(one$normal_covers_band))
  )
}
modifier_row <- function(estimator, replicates) {
  one <- modifier[modifier$estimator == estimator &
    modifier$group == c(warm = "small", half = "half")[[replicates]], ]
  each <- rowMeans(one[grepl("^covers_", names(one))])
  covered(c(warm = "bootstrap", half = "half-samples")[[replicates]],
    "effect at five values of a modifier", estimator,
    paste0("modifier, n = ", whole(one$n[1])), 95, nrow(one), sprintf("%.1f (%.1f)",
      100 * mean(each), 100 * stats::sd(each) / sqrt(nrow(one))), "",
    "bench/neural_modifier.R")
}
orthogonal <- study_rows("orthogonal")
orthogonal_row <- function(curve) {
  one <- orthogonal[orthogonal$curve == curve & orthogonal$estimand == "average_derivative" &
    orthogonal$estimator == "Quantile IV", ]
  covered("orthogonal()", "average derivative", "Quantile IV", paste0(curve, ", n = ",
    whole(one$n[1])), 95, nrow(one), share_and_error(one$covers), ratio_text(one$std.error,
    one$estimate - one$truth), "bench/orthogonal.R")
}
conformal <- study_rows("conformal")
conformal_row <- function(method) {
  one <- conformal[conformal$group == "iv" & conformal$method == method, ]
  covered(paste0("conformal(\"", method, "\")"), "a new person's outcome", "Quantile IV",
    paste0("quadratic, n = ", whole(one$n[1])), 90, nrow(one), sprintf("%.1f (%.1f)",
      100 * mean(one$coverage), 100 * stats::sd(one$coverage) / sqrt(nrow(one))), "",
    "bench/conformal.R")
}
control <- study_rows("control_function")
control_row <- function(group, name, of) {
  one <- control[control$group == group, ]
  at <- function(what) one[[paste0(name, ".", what)]]
  covered(if (name == "slope") "analytic" else "bootstrap", of, "control function",
    paste0(group, ", n = ", whole(one$n[1])), 95, nrow(one), share_and_error(at("covers")),
    ratio_text(at("se"), at("estimate")), "bench/control_function.R")
}
strata <- study_rows("doubly_ranked")
strata_row <- function() {
  one <- strata[strata$strata == "doubly_ranked" & !is.na(strata$population_robust), ]
  by_cell <- tapply(one$population_robust, paste0(one$scenario, one$outcome), mean)
  covered("HC1", "effects of ten strata", "doubly ranked", "16 of Tian's, n = 10,000", 95,
    sum(one$data_sets), sprintf("%.1f to %.1f", 100 * min(by_cell), 100 * max(by_cell)), "",
    "bench/doubly_ranked.R")
}
write_table(rbind(
  boot_rows("Quantile IV", "linear"), boot_rows("Quantile IV", "quadratic"),
  boot_rows("DeepIV gaussian", "quadratic"), orthogonal_row("linear"),
  orthogonal_row("quadratic"), orthogonal_row("threshold"), modifier_row("Quantile IV", "warm"),
  modifier_row("DeepIV gaussian", "warm"), modifier_row("Quantile IV", "half"),
  modifier_row("DeepIV gaussian", "half"), conformal_row("split"), conformal_row("cqr"),
  control_row("linear", "slope", "effect of 1 against 0"),
  control_row("quadratic", "contrast", "effect of 1 against 0"),
  control_row("quadratic", "tail", "effect of 2 against 0"), strata_row()
), "nonlinear_coverage")

# The demand design: ours beside the authors' own programs.
demand <- study_functions("neural_demand")
demand_rows <- study_rows("neural_demand")
of_demand <- function(n, estimator) {
  middle(demand_rows$mse[demand_rows$n == n & demand_rows$estimator == estimator])
}
dfiv_here <- function(n) middle(rows$dfiv$mse[rows$dfiv$group == n])
theirs <- function(n, name) {
  peers <- demand$demand_peers
  peers$mse[peers$n == n & startsWith(peers$estimator, name)]
}
write_table(do.call(rbind, lapply(c(1000, 5000), function(n) {
  data.frame(n = whole(n), method = c("DFIV", "DeepIV", "Quantile IV", "2SLS", "KIV"),
    "authors' program" = c(theirs(n, "DFIV"), theirs(n, "DeepIV"), NA, NA, theirs(n, "KIV")),
    here = c(dfiv_here(n), of_demand(n, "DeepIV mixture"), of_demand(n, "Quantile IV"),
      of_demand(n, "2SLS"), NA), check.names = FALSE)
})), "nonlinear_demand")
