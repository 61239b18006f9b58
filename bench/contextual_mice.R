# Does the effect of BMI differ between mice? The heterogeneous stock of Valdar et al. (2006, Nat.
# Genet. 38:879) as the package BGLR ships it: 1,814 mice, 10,346 SNPs.
#
#   Rscript bench/contextual_mice.R   writes bench/contextual_mice.md, vignettes/contextual_mice.csv
#
# SNPs are chosen by association with BMI in every other family, effects estimated in the others:
# BMI on HDL and on glucose, with sex, age, cage density and season as context. For comparison, HDL
# on triglycerides, whose instruments are strong. An illustration, as in dev/demo.R: nothing speaks
# against direct effects of the SNPs.
source(file.path("bench", "contextual_tools.R"))

if (!requireNamespace("BGLR", quietly = TRUE)) {
  cat("BGLR is not installed: no mice\n")
  quit(status = 0)
}
how <- study_options()
data(mice, package = "BGLR")

# Families are groups of full sibs, who share half of their genes by descent.
family <- apply(mice.A > 0.4, 1, function(row) which(row)[1])
family <- match(family, unique(family))

mice_data <- data.frame(
  bmi = mice.pheno$Obesity.BMI, hdl = mice.pheno$Biochem.HDL,
  glucose = mice.pheno$Biochem.Glucose, triglycerides = mice.pheno$Biochem.Triglycerides,
  sex = mice.pheno$GENDER, age = mice.pheno$Biochem.Age, cage_density = mice.pheno$CageDensity,
  season = mice.pheno$Biochem.Date.Season, family
)
mice_context <- ~ sex + age + cage_density + season

# SNPs with |t| above t_min given the context, none in LD (r2 > 0.1) with another, at most `most`.
choose_snps <- function(exposure, rows, most = 5, t_min = 4) {
  given <- qr(stats::model.matrix(mice_context, mice_data[rows, ]))
  x <- qr.resid(given, mice_data[[exposure]][rows])
  z <- qr.resid(given, mice.X[rows, ] + 0)
  r <- drop(crossprod(z, x)) / sqrt(colSums(z^2) * sum(x^2))
  t <- r * sqrt((length(x) - ncol(given$qr) - 1) / (1 - r^2))
  chosen <- integer()
  for (j in order(-abs(t))) {
    if (length(chosen) == most || abs(t[j]) < t_min) {
      break
    }
    if (!length(chosen) || max(stats::cor(z[, j], z[, chosen])^2) < 0.1) {
      chosen <- c(chosen, j)
    }
  }
  colnames(mice.X)[chosen]
}

# One pair in the families that did not choose: linear two-stage least squares, slopes by context
# without instruments (what is associated) and with.
fit_mice <- function(exposure, outcome) {
  complete <- which(stats::complete.cases(mice_data[c(exposure, outcome, all.vars(mice_context))]))
  chooses <- family[complete] %% 2 == 1
  snps <- choose_snps(exposure, complete[chooses])
  rows <- complete[!chooses]
  d <- mice_data[rows, ]
  d$season <- droplevels(d$season)
  d$g <- mice.X[rows, snps, drop = FALSE] + 0
  w <- "sex + age + cage_density + season"
  linear <- stats::as.formula(paste(outcome, "~", exposure, "+", w, "| g +", w))
  short <- stats::as.formula(paste(outcome, "~", exposure, "| g"))
  alone <- stats::as.formula(paste(outcome, "~", exposure))
  contextual <- function(formula, ...) {
    suppressWarnings(
      iv_contextual(formula, d, context = mice_context, cluster = ~family, seed = 1, ...),
      classes = "mrlearn_warning"
    )
  }
  list(
    effect = paste(exposure, "->", outcome), data = d, snps = length(snps),
    linear = suppressMessages(iv_2sls(linear, d, cluster = ~family)),
    without = contextual(alone, stage1 = "none"), with = contextual(short)
  )
}

# Estimates of the average slope.
average_rows <- function(pair) {
  table <- rbind(
    tidy(pair$linear, conf.int = TRUE, exposures_only = TRUE)[1, c("estimate", "std.error",
      "conf.low", "conf.high")],
    average_derivative(pair$with)[c("estimate", "std.error", "conf.low", "conf.high")],
    average_derivative(pair$without)[c("estimate", "std.error", "conf.low", "conf.high")]
  )
  info <- glance(pair$linear)
  data.frame(
    effect = pair$effect, mice = nrow(pair$data), SNPs = pair$snps,
    "effective F" = short(info$statistic.effective.F),
    fit = c("2SLS", "by context", "by context, no instruments"),
    slope = sprintf("%.3f", table$estimate),
    "95 % interval" = sprintf("%.3f to %.3f", table$conf.low, table$conf.high),
    check.names = FALSE
  )
}

# p-values of heterogeneity, of all variables and of each.
test_rows <- function(pair) {
  of <- function(fit) {
    table <- heterogeneity_test(fit)
    stats::setNames(format.pval(table$p.value, digits = 2, eps = 1e-4), table$term)
  }
  both <- rbind(of(pair$without), of(pair$with))
  data.frame(effect = pair$effect, instruments = c("no", "yes"), both, check.names = FALSE)
}

# The slope in mice of one sex, age and so on, the other context as it is.
slope_rows <- function(pair) {
  d <- pair$data
  age <- stats::quantile(d$age, c(0.1, 0.9), names = FALSE)
  density <- stats::quantile(d$cage_density, c(0.1, 0.9), names = FALSE)
  groups <- list(
    female = d$sex == "F", male = d$sex == "M", young = d$age <= age[1], old = d$age >= age[2],
    "few in a cage" = d$cage_density <= density[1], "many in a cage" = d$cage_density >= density[2]
  )
  for (season in levels(d$season)) {
    groups[[season]] <- d$season == season
  }
  mean_in <- function(fit) {
    slopes <- context_effects(fit)$estimate
    vapply(groups, function(rows) sprintf("%.3f", mean(slopes[rows])), "")
  }
  data.frame(effect = pair$effect, instruments = c("no", "yes"),
    rbind(mean_in(pair$without), mean_in(pair$with)), check.names = FALSE)
}

pairs <- list(c("bmi", "hdl"), c("bmi", "glucose"), c("hdl", "triglycerides"))
pairs <- lapply(if (how$trial) pairs[1] else pairs, function(p) fit_mice(p[1], p[2]))
bound <- function(rows) do.call(bind_rows, lapply(pairs, rows))
write_for_vignette(bound(average_rows), "contextual_mice", how)
write_for_vignette(bound(test_rows), "contextual_mice_test", how)
text <- c(
  "# Effects of BMI on HDL and glucose in mice, by context", "",
  "Written by `bench/contextual_mice.R`. SNPs chosen in half of the families, effects estimated in",
  "the other half; standard errors by family. Traits in the units of the data.", "",
  "## Average slope", "", md_table(bound(average_rows)), "",
  "The effective F says how strong instruments are in fresh families: below about 10 intervals are",
  "not to be trusted, and tests have little to work with.", "",
  "## Does the slope depend on context? p-values", "", md_table(bound(test_rows)), "",
  "## Mean slope of groups of mice", "",
  "The same in all groups where no heterogeneity was found.", "", md_table(bound(slope_rows)), "",
  paste("commit", measured_commit())
)
writeLines(text, file.path(study_folder(how$trial), "contextual_mice.md"))
writeLines(text)
