# Real data: the effect of BMI on lipids and glucose of the heterogeneous-stock mice of Valdar et
# al. (2006, Nat. Genet. 38:879), which the package BGLR ships. Options and csv as in
# bench/study_tools.R; groups: the outcomes.
#
# The instrument is a score of all SNPs for BMI, learnt by ridge regression in one half of the
# families and applied in the other. Its strength in fresh families is real, but nothing speaks
# against its reaching the outcome by other roads: a demonstration, and no evidence about mice.
source(file.path("bench", "study_tools.R"))

mice_outcomes <- c("HDL", "Tot.Cholesterol", "Triglycerides", "Glucose")

list_mice <- function(trial) {
  cells <- expand.grid(estimator = c("2SLS", networks[1:2]), group = mice_outcomes,
    n_boot = if (trial) 20 else 200, seed = if (trial) 1 else 101, stringsAsFactors = FALSE)
  if (trial) cells[cells$group == mice_outcomes[1], ] else cells
}

# The score's weights are those of a heritability of one third, close to what is known of BMI.
score_of <- function(bmi, covariates, genotypes, learn) {
  residual <- stats::lm.fit(covariates[learn, ], bmi[learn])$residuals
  relation <- tcrossprod(genotypes, genotypes[learn, ]) / ncol(genotypes)
  drop(relation %*% solve(relation[learn, ] + diag(2, sum(learn)), residual))
}

# Those whose age is known.
load_mice <- function() {
  held <- new.env()
  utils::data("mice", package = "BGLR", envir = held)
  # Full sibs share half of their genes by descent: families are the groups of full sibs.
  family <- apply(held$mice.A > 0.4, 1, function(row) which(row)[1])
  known <- which(!is.na(held$mice.pheno$Biochem.Age))
  pheno <- held$mice.pheno[known, ]
  genotypes <- scale(held$mice.X[known, ] + 0)
  genotypes <- genotypes[, is.finite(colSums(genotypes))]
  outcomes <- lapply(pheno[paste0("Biochem.", mice_outcomes)], function(y) drop(scale(y)))
  mice <- data.frame(bmi = drop(scale(pheno$Obesity.BMI)), sex = pheno$GENDER,
    age = pheno$Biochem.Age, family = match(family, unique(family))[known],
    stats::setNames(outcomes, mice_outcomes))
  covariates <- stats::model.matrix(~ sex + age, mice)
  odd <- mice$family %% 2 == 1
  mice$score <- ifelse(odd, score_of(mice$bmi, covariates, genotypes, !odd),
    score_of(mice$bmi, covariates, genotypes, odd))
  mice
}

# They are loaded once.
mice_data <- local({
  held <- NULL
  function() {
    if (is.null(held)) held <<- load_mice()
    held
  }
})

run_mice <- function(cell) {
  mice <- mice_data()
  mice <- mice[!is.na(mice[[cell$group]]), ]
  formula <- stats::as.formula(paste(cell$group, "~ bmi + sex + age | score + sex + age"))
  linear <- iv_2sls(formula, mice, cluster = ~family)
  fit <- timed(if (cell$estimator == "2SLS") {
    linear
  } else {
    fit_network(cell$estimator, formula, mice, cluster = ~family, n_boot = cell$n_boot,
      seed = cell$seed)
  })
  slope <- quietly(average_derivative(fit$value))
  steps <- quietly(list(ate(fit$value, -1, 0), ate(fit$value, 0, 1)))
  parts <- c("estimate", "std.error", "conf.low", "conf.high")
  numbers <- function(row, name) stats::setNames(unlist(row[parts]), paste(name, parts, sep = "_"))
  c(
    numbers(slope, "slope"), numbers(steps[[1]], "lower"), numbers(steps[[2]], "upper"),
    mice = nobs(fit$value), families = length(unique(mice$family)),
    effective_f = glance(linear)$statistic.effective.F, seconds = fit$seconds
  )
}

mice_interval <- function(rows, name) {
  part <- function(what) rows[[paste(name, what, sep = "_")]]
  sprintf("%.2f (%.2f to %.2f)", part("estimate"), part("conf.low"), part("conf.high"))
}

report_mice <- function(rows) {
  table <- data.frame(
    outcome = rows$group, estimator = rows$estimator,
    "average derivative" = mice_interval(rows, "slope"),
    "BMI from -1 to 0" = mice_interval(rows, "lower"),
    "BMI from 0 to 1" = mice_interval(rows, "upper"), mice = whole(rows$mice),
    "effective F" = short(rows$effective_f), seconds = short(rows$seconds), check.names = FALSE
  )
  c(
    "## Real data: mice", "",
    "Effect of BMI on lipids and glucose with sex and age as covariates, all in standard",
    paste0("deviations; 95 % intervals by ", max(rows$n_boot), " replicates of whole families (",
      max(rows$families), "; 2SLS:"),
    "cluster-robust). The instrument is a score of all SNPs for BMI, learnt in one half of the",
    "families and applied in the other. A demonstration, and no evidence about mice: such a score",
    "may reach the outcome by other roads.", "",
    md_table(table), "", notes_of(rows), ""
  )
}

mice <- list(name = "mice", cells = list_mice, run = run_mice, report = report_mice)
if (is_script()) {
  invisible(run_study(mice))
}
