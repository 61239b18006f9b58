#' Lipids and coronary heart disease: 28 variants
#'
#' Effects of 28 genetic variants on LDL cholesterol, HDL cholesterol and triglycerides, and on the
#' log odds of coronary heart disease (CHD), as a harmonised data.frame with three exposure-outcome
#' pairs. It is the example on which many summary-data methods have been published.
#'
#' @format A data.frame with 84 rows (28 variants for each of the exposures `LDL`, `HDL` and
#'   `triglycerides`) and TwoSampleMR's columns `SNP, effect_allele.exposure, other_allele.exposure,
#'   effect_allele.outcome, other_allele.outcome, beta.exposure, beta.outcome, eaf.exposure,
#'   eaf.outcome, se.exposure, se.outcome, id.exposure, exposure, id.outcome, outcome, mr_keep`.
#'   Effects on lipids are per allele in the units of the paper, on CHD log odds ratios per allele.
#' @source Waterworth et al. (2010), Genetic variants influencing circulating lipid levels and risk
#'   of coronary artery disease, Arterioscler. Thromb. Vasc. Biol. 30:2264. The script
#'   `data-raw/lipid_chd.R` of the sources makes the data.frame of the paper's numbers.
#' @name lipid_chd
#' @docType data
#' @keywords datasets
#' @examples
#' ldl <- subset(lipid_chd, exposure == "LDL")
#' head(ldl)
NULL
