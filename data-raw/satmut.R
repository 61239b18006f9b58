# vignettes/satmut.csv: effects of single-letter variants of human regulatory elements on expression
# in one condition against their effects in another, measured by saturation mutagenesis (Kircher et
# al. 2019, Nat. Commun. 10:3583; github.com/kircherlab/MPRA_SaturationMutagenesis). The tables of
# variants are read from the shared data and are not part of the sources; the results are.
# Run from the package's root: Rscript data-raw/satmut.R <folder of the pair_*.csv.gz>
library(mrlearn)
folder <- commandArgs(TRUE)[1]

# One pair of conditions as harmonised effects. Substitutions with at least ten barcodes in both
# conditions are used if they have an effect in the first (p < 1e-5): with all of them, most would
# be weak instruments. Standard errors are |effect| / z; where p is so small that it was written as
# 0, z is at least 38.4, so that is taken and the standard error is rather too large.
read_pair <- function(path) {
  d <- read.csv(path)
  names <- strsplit(sub("^pair_(.*)\\.csv\\.gz$", "\\1", basename(path)), "__")[[1]]
  se <- function(b, p) abs(b) / pmin(38.4, stats::qnorm(p / 2, lower.tail = FALSE))
  dat <- mr_data(d$beta_x, se(d$beta_x, d$p_x), d$beta_y, se(d$beta_y, d$p_y),
    snp = paste0(d$pos, d$ref, ">", d$alt), exposure = names[1], outcome = names[2],
    effect_allele = d$alt, other_allele = d$ref)
  dat$mr_keep <- d$alt != "-" & pmin(d$barcodes_x, d$barcodes_y) >= 10 & d$p_x < 1e-5
  dat
}
paths <- sort(list.files(folder, "^pair_.*\\.csv\\.gz$", full.names = TRUE))
dat <- do.call(rbind, lapply(paths, read_pair))

labels <- c("Inverse variance weighted", "MR Egger", "Weighted median", "Weighted mode")
fits <- mr_estimate(dat, labels, seed = 1)
element <- sub("[-.].*", "", fits$exposure)
# TERT and SORT1 were measured in several conditions: one pair of each goes into the mean over
# elements.
first <- fits$outcome %in% c("LDLR.2", "PKLR-48h", "SORT1.2", "TERT-GBM", "ZRSh-13h2")
over <- meta_random(b, se, test = "knha", group = method, data = fits[first, ])

by_pair <- data.frame(
  element, exposure = fits$exposure, outcome = fits$outcome, in_mean = first,
  method = fits$method, nsnp = fits$nsnp, b = fits$b, se = fits$se, Q = fits$Q,
  intercept_pval = fits$intercept_pval, tau2 = NA, pred.low = NA, pred.high = NA
)
mean_of <- data.frame(
  element = "mean of elements", exposure = NA, outcome = NA, in_mean = FALSE, method = over$group,
  nsnp = NA, b = over$estimate, se = over$std.error, Q = over$q, intercept_pval = NA,
  tau2 = over$tau2, pred.low = over$pred.low, pred.high = over$pred.high
)
table <- rbind(by_pair, mean_of)
numbers <- vapply(table, is.double, NA)
table[numbers] <- lapply(table[numbers], signif, 6)
write.csv(table, file.path("vignettes", "satmut.csv"), row.names = FALSE)
