# lipid_chd: 28 variants of Waterworth et al. (2010, Arterioscler. Thromb. Vasc. Biol. 30:2264):
# effects on LDL and HDL cholesterol and triglycerides and log odds ratios of coronary heart
# disease, with standard errors. The numbers of the paper, as printed in data-raw/lipid_chd.csv; the
# variants are numbered in the order in which methods papers (Bowden et al. 2016, Genet. Epidemiol.
# 40:304, and the R package MendelianRandomization) list them.
# Run from the package's root: Rscript data-raw/lipid_chd.R
source_table <- read.csv("data-raw/lipid_chd.csv")
pair <- function(column, label) {
  data.frame(
    SNP = source_table$snp,
    effect_allele.exposure = source_table$effect_allele,
    other_allele.exposure = source_table$other_allele,
    effect_allele.outcome = source_table$effect_allele,
    other_allele.outcome = source_table$other_allele,
    beta.exposure = source_table[[column]], beta.outcome = source_table$chd,
    eaf.exposure = source_table$eaf, eaf.outcome = source_table$eaf,
    se.exposure = source_table[[paste0(column, "_se")]], se.outcome = source_table$chd_se,
    id.exposure = label, exposure = label, id.outcome = "CHD", outcome = "CHD", mr_keep = TRUE
  )
}
lipid_chd <- rbind(pair("ldl", "LDL"), pair("hdl", "HDL"), pair("triglycerides", "triglycerides"))
save(lipid_chd, file = "data/lipid_chd.rda", version = 2, compress = "xz")
