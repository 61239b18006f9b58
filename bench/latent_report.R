# The report of bench/latent.R from its rows.

# Mean of runs and its standard error.
mean_se <- function(x, digits = 4) {
  x <- x[!is.na(x)]
  if (!length(x)) {
    return("")
  }
  error <- if (length(x) > 1L) stats::sd(x) / sqrt(length(x)) else NA
  paste0(formatC(mean(x), digits = digits, format = "f"),
    if (!is.na(error)) paste0(" (", formatC(error, digits = digits, format = "f"), ")"))
}

worst <- function(x) {
  if (all(is.na(x))) "" else formatC(max(abs(x), na.rm = TRUE), digits = 4, format = "f")
}

lowest <- function(x) {
  if (all(is.na(x))) "" else formatC(min(x, na.rm = TRUE), digits = 4, format = "f")
}

# What tells cells of a table apart, in words.
mixing_label <- function(rows) {
  paste0(rows$mixing, ifelse(rows$mixing == "poly", rows$degree, ""),
    ifelse(is.na(rows$dim_z), "", paste0(", ", rows$dim_z, " Z")),
    ifelse(rows$law == "normal", "", paste0(", ", rows$law)),
    ifelse(rows$shift == 0, ", identical environments", ""),
    ifelse(is.na(rows$condition), "", paste0(", condition ", rows$condition)),
    ifelse(rows$group == "noise", paste0(", ", rows$option), ""))
}

latent_table <- function(rows, line) {
  keys <- paste(mixing_label(rows), rows$method, rows$n_env, rows$hard, rows$dim_w, rows$option,
    rows$n, rows$mixing_seed != 100, sep = "|")
  parts <- lapply(split(rows, factor(keys, unique(keys))), function(r) {
    cbind(data.frame(mixing = mixing_label(r)[1], E = whole(r$n_env[1]),
      variant = if (r$hard[1]) "hard" else "default", stringsAsFactors = FALSE), line(r))
  })
  md_table(do.call(rbind, parts))
}

competitor_line <- function(r) {
  data.frame(OLS = mean_se(r$ols), "2SLS(Z)" = mean_se(r$z), "2SLS(V)" = mean_se(r$v),
    "2SLS(W)" = mean_se(r$oracle), "PO(V)-2SLS(W)" = mean_se(r$oracle.po),
    "PO(K)-2SLS(Z)" = mean_se(r$k), Egger = mean_se(r$egger), "PO(K)-Egger" = mean_se(r$egger.k),
    check.names = FALSE)
}

recovery_line <- function(r) {
  data.frame(
    method = paste(c(r$method[1],
      if (!r$option[1] %in% c("none", "wrong dimension")) r$option[1],
      if (r$option[1] == "wrong dimension") paste("W", r$dim_w[1]),
      if (r$mixing_seed[1] != 100) "other mixings"),
    collapse = ", "),
    runs = whole(nrow(r)), bias = mean_se(r$bias), "worst" = worst(r$bias),
    "PO(V)" = mean_se(r$bias.po), oracle = mean_se(r$oracle),
    "R2 W" = lowest(r$r2), leak = worst(r$leak),
    gate = paste0(sum(r$passed, na.rm = TRUE), "/", nrow(r)),
    "2SLS(Z)" = mean_se(r$z), "PO(env)" = mean_se(r$k), seconds = short(stats::median(r$seconds)),
    check.names = FALSE)
}

ablation_line <- function(r) {
  line <- recovery_line(r)
  cbind(line[1:3], "abs. PO(V)" = mean_se(abs(r$bias.po)),
    line[c("R2 W", "leak", "gate", "seconds")])
}

coverage_line <- function(r) {
  r <- r[!is.na(r$bias), ]
  p <- mean(r$covered)
  data.frame(method = r$method[1], n = whole(r$n[1]),
    interval = if (r$option[1] != "none") r$option[1] else "cross-fitted", runs = whole(nrow(r)),
    coverage = paste0(formatC(p, digits = 3, format = "f"), " (",
      formatC(sqrt(p * (1 - p) / nrow(r)), digits = 3, format = "f"), ")"),
    bias = mean_se(r$bias), SD = short(stats::sd(r$bias)), "mean SE" = short(mean(r$se)),
    "coverage PO(V)" = formatC(mean(abs(r$bias.po) < 1.96 * r$se.po), digits = 3, format = "f"),
    gate = paste0(sum(r$passed), "/", nrow(r)), seconds = short(stats::median(r$seconds)),
    check.names = FALSE)
}

auto_line <- function(r) {
  used <- ifelse(r$passed == 1, latent_names[r$used], "refused")
  used <- ifelse(is.na(used), r$problem, used)
  data.frame(runs = whole(nrow(r)), took = paste(names(table(used)), table(used), collapse = ", "),
    bias = mean_se(r$bias), worst = worst(r$bias), oracle = mean_se(r$oracle), leak = worst(r$leak),
    "2SLS(Z)" = mean_se(r$z), seconds = short(stats::median(r$seconds)), check.names = FALSE)
}

semi_line <- function(r) {
  data.frame(regressions = r$option[1], runs = whole(nrow(r)),
    refused = paste0(sum(r$passed == 0), "/", nrow(r)), "2SLS(W)" = mean_se(r$bias, 3),
    "PO(V)" = mean_se(r$bias.po, 3), "2SLS(Z)" = mean_se(r$z, 3), "PO(env)" = mean_se(r$k, 3),
    "+ PCs" = mean_se(r$pcs, 3), LIML = mean_se(r$liml, 3), Egger = mean_se(r$egger, 3),
    "PO(env)-Egger" = mean_se(r$egger.k, 3), OLS = mean_se(r$ols, 3),
    "2SLS(g_X)" = mean_se(r$oracle, 3), "PO(g_H)-2SLS(g_X)" = mean_se(r$oracle.po, 3),
    seconds = short(stats::median(r$seconds)), check.names = FALSE)
}

report_section <- function(rows, groups, title, text, line) {
  rows <- rows[rows$group %in% groups, ]
  if (!nrow(rows)) {
    return(NULL)
  }
  c(paste("##", title), "", strwrap(paste(text, collapse = " "), 96), "",
    latent_table(rows, line), "")
}

report_latent <- function(rows) {
  section <- function(...) report_section(rows, ...)
  c(
    "# Confounded instruments from several environments", "",
    "`bench/latent.R`: `sim_environments()`, 10,000 people per environment unless said. Biases are",
    "means over runs with their Monte Carlo standard errors in brackets; worst: the largest",
    "|bias|; R2 W: the least share of W explained by the latent W over runs; leak: the largest",
    "share of V explained by it; gate: runs whose gate was passed; seconds: median of learning,",
    "one thread. The hard variant makes a leak of V1 - V2 count, which the other hides.", "",
    "Where it helps: simulated mixtures whose form one of the methods has. Where it does not: real",
    "genotypes. On chromosome 22 of the 1000 Genomes (theta .5) no method passes its gate, and the",
    "nearest one would have a bias of .58, where 2SLS with all variants has .69 and the same with",
    "the populations as covariates .51: no estimator here is of use, and iv_latent() refuses.",
    "Genotypes 0, 1, 2 made from latents by a network: see below.", "",
    "Not measured: flows of more than one layer on smooth or deeper mixings, the published grid of",
    "penalties and its other laws of genotypes.", "", report_short(rows),
    section("competitors", "The estimators beside it", c(
      "20,000 per environment, seeds 42 to 61. Reference, by a separate program of the",
      "published design, default variant, two environments: OLS .3034, 2SLS(Z) .2967 to .2982,",
      "2SLS(V) .3142, 2SLS(W) .0013, PO(V)-2SLS(W) -.0001, PO(K)-2SLS(Z) .2271 to .2281 (K: the",
      "environment's number); three: .3684, .3622 to .3670, .3759, -.0009, -.0008, .2247 to",
      ".2350. Hard variant, two: 2SLS(Z) .199, 2SLS(V) .219, PO(K)-2SLS(Z) .170; three: .244,",
      ".262, .160. Egger, and with a network all but the oracles, depend on the drawn mixing."),
    competitor_line),
    section("linear", "Linear mixing: ssa", "All rows learned from and used (no cross-fitting).",
      recovery_line),
    section("poly", "Polynomial mixing: closure", "No cross-fitting.", recovery_line),
    section("mlp", "Invertible network: flow", "No cross-fitting.", recovery_line),
    section("autoencoder", "Autoencoder", c(
      "No cross-fitting; five restarts. random: random starts, W the most stationary directions",
      "of the latent (the default); learned: W as the penalties made it, as published; decoder",
      "and degree are those of the mixing. default: latent_control() as it is, a cubic decoder.",
      "ssa: the linear encoder starts at SSA's. A published reproduction of poly-3 has a mean",
      "bias of .0117 (3 seeds, E not stated)."), recovery_line),
    section("ablation", "Ablations", c(
      "Linear mixing, W as learned: without HSIC; with an MLP as encoder (300 epochs, 3",
      "restarts), with and without HSIC; with relevance .1. Without HSIC the V that was learned",
      "contains some of W, and partialling it out takes the instrument away: the bias of PO(V)",
      "has either sign, so abs. PO(V) is its mean absolute value. Poly-2, E = 3: W of 1 to 4",
      "dimensions where 2 are right. With 1 a part of W is found and refused; with 3 or 4 all of",
      "it and products of it, which are polynomials of the instruments too, and next to nothing",
      "of V, so that most of these pass."), ablation_line),
    section("discrete", "Genotypes 0, 1, 2", c(
      "Each genotype is the largest of three outputs of a network of the latents, so nothing",
      "maps back. autoencoder: MLP both ways, 300 epochs, 2 restarts. No method helps, and",
      "every run is refused: biases are like those of 2SLS(Z) and PO(env), not half of them as",
      "is aimed at. (ssa with 20 genotypes of two environments is so by chance in the default",
      "variant: with the same latents the hard one has the bias of 2SLS(Z).) closure finds no",
      "directions, and most flows for two environments collapse to fewer dimensions: no",
      "estimate."), recovery_line),
    section("laws", "Laws of the latents", "By \"auto\".", auto_line),
    section("auto", "\"auto\"", "Two folds.", auto_line),
    section("refuse", "What \"auto\" must refuse", c(
      "Two folds. condition: of the mixing's first layer; 2000 is solved, so that nothing is to",
      "be refused."), auto_line),
    section("coverage", "95 % intervals", c(
      "Two folds, HC1; Monte Carlo standard errors in brackets. PO(V): the same with V",
      "partialled out. bootstrap: 50 replicates of the whole, whose standard errors have the",
      "error of the representation in them; PO(V), bootstrap: of the estimate with V partialled",
      "out. Without a bootstrap the standard errors of PO(V) are too small: with two",
      "environments by a tenth to a third, with three by up to a fifth. Those of W are too",
      "small in the hard variant with two environments by a fifteenth; elsewhere they are too",
      "large, as the W that is learned correlates less with V than the true one does by chance."),
    coverage_line),
    section("noise", "Noise of measurement", c(
      "By \"auto\", two folds; noise in units of each column's standard deviation."), auto_line),
    section("small", "95 % intervals with fewer people", "Linear mixing, two folds.",
      coverage_line),
    section("semi", "Real genotypes: 1000 Genomes, chromosome 22", c(
      "`sim_populations()`: 60 variants, half of them invalid (they make the confounder), four",
      "populations of 5,000, three generations of mating with correlation .4; theta = .5.",
      "Biases; the oracles (scores g_X, g_H known) have populations as covariates. Latents V 5,",
      "W 5."), semi_line),
    strwrap(notes_of(rows), 96)
  )
}
