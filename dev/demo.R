# The demonstration: causal effects from real genotypes, the heterogeneous-stock mice of Valdar et
# al. (2006, Nat. Genet. 38:879) as the package BGLR ships them: 1,814 mice, 10,346 SNPs, 169
# families.
#
# It shows how an analysis goes, and is no evidence about mice: the SNPs were picked by association
# alone, so that nothing speaks against their reaching the outcome by other roads.
options(width = 130)
suppressPackageStartupMessages({
  library(mrlearn)
  library(BGLR)
})
data(mice)

# Full sibs share half of their genes by descent: families are the groups of full sibs.
sibs <- mice.A > 0.4
family <- apply(sibs, 1, function(row) which(row)[1])
family <- match(family, unique(family))
choose_here <- family %% 2 == 1 # instruments are chosen in every other family

phenotypes <- data.frame(
  bmi = mice.pheno$Obesity.BMI, hdl = mice.pheno$Biochem.HDL,
  triglycerides = mice.pheno$Biochem.Triglycerides, sex = mice.pheno$GENDER,
  season = mice.pheno$Obesity.Date.Season, cage_density = mice.pheno$CageDensity, family = family
)

# The SNPs most associated with an exposure given the covariates, none in LD (r2 > 0.1) with
# another, all with |t| above `t_min`, in the families that choose.
choose_snps <- function(exposure, most = 3, t_min = 4) {
  rows <- choose_here & !is.na(phenotypes[[exposure]])
  covariates <- qr(model.matrix(~ sex + season + cage_density, phenotypes)[rows, ])
  x <- qr.resid(covariates, phenotypes[[exposure]][rows])
  z <- qr.resid(covariates, mice.X[rows, ] + 0)
  r <- drop(crossprod(z, x)) / sqrt(colSums(z^2) * sum(x^2))
  t <- r * sqrt((sum(rows) - ncol(covariates$qr) - 1) / (1 - r^2))
  chosen <- integer()
  for (j in order(-abs(t))) {
    if (length(chosen) == most || abs(t[j]) < t_min) break
    if (!length(chosen) || max(cor(z[, j], z[, chosen])^2) < 0.1) chosen <- c(chosen, j)
  }
  colnames(mice.X)[chosen]
}

analyse <- function(exposure, outcome) {
  snps <- choose_snps(exposure)
  d <- phenotypes[!choose_here, ]
  d$snps <- mice.X[!choose_here, snps, drop = FALSE] + 0
  w <- "sex + season + cage_density"
  f <- as.formula(paste0(outcome, " ~ ", exposure, " + ", w, " | snps + ", w))
  fits <- suppressMessages(list(
    iv_ols(f, data = d, cluster = ~family), iv_2sls(f, data = d, cluster = ~family)
  ))
  rows <- lapply(fits, function(fit) {
    info <- glance(fit)
    data.frame(
      effect = paste(exposure, "->", outcome), method = info$estimator, mice = nobs(fit),
      snps = info$n.instruments,
      tidy(fit, conf.int = TRUE, exposures_only = TRUE)[c("estimate", "std.error", "conf.low",
        "conf.high", "p.value")],
      effective.F = info$statistic.effective.F, critical.F = info$critical.effective.F,
      p.overid = info$p.value.Sargan
    )
  })
  list(table = do.call(rbind, rows), fit = fits[[2]])
}

strong <- analyse("hdl", "triglycerides")
weak <- analyse("bmi", "hdl")
results <- rbind(strong$table, weak$table)

cat("Instruments chosen in", length(unique(family[choose_here])), "families, effects estimated in",
  "the other", length(unique(family[!choose_here])), "(standard errors by family):\n\n")
print(format(results, digits = 3), row.names = FALSE)
cat("\nHDL has strong loci: its F holds in fresh families. For BMI it does not, and the fit says",
  "so:\n\n")
print(weak$fit)
cat("\nA demonstration, not evidence: see the head of dev/demo.R.\n")

dir.create("build", showWarnings = FALSE)
png("build/demo.png", width = 1100, height = 440, res = 100)
par(mfrow = c(1, 2), mar = c(4.2, 4.5, 2.2, 1), cex.main = 1)
plot(strong$fit, "effect", main = "Mean triglycerides if HDL were set")
plot(strong$fit, "first_stage", main = "First stage in fresh families")
invisible(dev.off())
cat("Picture: build/demo.png\n")
