# Deep MR on real models and on measured effects, from the shared data (CONTRIBUTING.md says where
# these are searched for): a network trained on simulated GATA and TAL1 sites, three members; the
# MPRA network with Monte Carlo dropout; saturation mutagenesis of human elements measured in pairs
# of conditions. Some 3 minutes on one thread.
#
#   Rscript bench/deep_mr_real.R
suppressMessages(library(mrlearn))

borrowed <- new.env()
for (helper in c("paths", "seq_models")) {
  sys.source(file.path("tests", "testthat", paste0("helper-", helper, ".R")), borrowed)
}
shared <- borrowed$shared_data

# A line of a table: the mean effect to use, and how local effects are spread.
effect_line <- function(fit, about) {
  main <- fit$global[fit$global$main, ]
  random <- fit$global[fit$global$method == "random effects", ][1, ]
  show <- function(x) formatC(x, digits = 2, format = "f")
  local <- fit$local[fit$local$method == fit$local$method[1], ]
  data.frame(data = about, exposure = fit$exposure, outcome = fit$outcome,
    sequences = sum(!is.na(local$estimate)), by = main$method, mean = show(main$estimate),
    interval = paste0("[", show(main$conf.low), ", ", show(main$conf.high), "]"),
    tau = show(random$tau),
    prediction = paste0("[", show(random$pred.low), ", ", show(random$pred.high), "]"))
}

# Three members trained by their authors; a sequence in three of the 800.
tal1_lines <- function() {
  members <- lapply(paste0("member", 1:3), function(member) {
    borrowed$tal1_model(shared("models", "tal1_gata_sim", "ensemble", member))
  })
  ensemble <- structure(list(members = members, bootstrap = FALSE, seed = 0),
    class = "seq_ensemble")
  sequences <- read_fasta(shared("models", "tal1_gata_sim", "all_test800.fa"))
  effects <- mutagenize(ensemble, sequences[seq(1, 800, by = 3)])
  effects$output <- sub("^logit_", "", effects$output)
  edges <- expand.grid(outcome = c("both", "GATA", "TAL1"), exposure = c("GATA", "TAL1", "both"),
    stringsAsFactors = FALSE)
  edges <- edges[edges$outcome != edges$exposure, ]
  do.call(rbind, Map(function(x, y) {
    effect_line(deep_mr_effects(effects, x, y, strongest = 3), "GATA and TAL1 sites")
  }, edges$exposure, edges$outcome))
}

# Twenty human sequences; twenty dropout masks.
mpra_lines <- function() {
  sequences <- read_fasta(shared("models", "mpra_dragonn", "real20.fa"))
  effects <- mutagenize(borrowed$mpra_model(), sequences, n_dropout = 20, seed = 1)
  outputs <- grep("avg", unique(effects$output), value = TRUE)
  pair <- function(cell) grep(paste0("^", cell, ".*minp"), outputs, value = TRUE)
  both <- c(pair("k562"), pair("hepg2"))
  do.call(rbind, lapply(list(both, rev(both)), function(edge) {
    effect_line(deep_mr_effects(effects, edge[1], edge[2], strongest = 3), "MPRA, 20 masks")
  }))
}

# Measured effects of substitutions with at least ten barcodes; instruments have p below 1e-5.
read_element <- function(file) {
  d <- utils::read.csv(file)
  d <- d[d$alt != "-" & pmin(d$barcodes_x, d$barcodes_y) >= 10, ]
  d <- d[is.finite(d$se_x) & is.finite(d$se_y) & d$se_x > 0 & d$se_y > 0, ]
  one <- function(output, effect, se) {
    data.frame(sequence = sub("^pair_(.*)\\.csv\\.gz$", "\\1", basename(file)), position = d$pos,
      ref = d$ref, alt = d$alt, output = output, effect = effect, std.error = se)
  }
  rbind(one("first condition", d$beta_x, d$se_x), one("second condition", d$beta_y, d$se_y))
}

satmut_fit <- function() {
  files <- list.files(shared("satmut"), "^pair_.*gz$", full.names = TRUE)
  effects <- do.call(rbind, lapply(files, read_element))
  deep_mr_effects(effects, "first condition", "second condition", instruments = "f",
    threshold = stats::qnorm(5e-6)^2, method = c("mr_ivw", "mr_egger_regression"))
}

md_lines <- function(table) {
  rows <- do.call(paste, c(unname(lapply(table, as.character)), sep = " | "))
  c(paste0("| ", paste(names(table), collapse = " | "), " |"),
    paste0("|", strrep(" --- |", ncol(table))), paste0("| ", rows, " |"))
}

satmut_table <- function(fit) {
  d <- fit$local[fit$local$method == fit$local$method[1], ]
  egger <- fit$local[fit$local$method == "MR Egger", ]
  egger <- egger[match(d$sequence, egger$sequence), ]
  show <- function(x) formatC(x, digits = 3, format = "f")
  data.frame(element = d$sequence, variants = d$n_variants, instruments = d$n_instruments,
    IVW = show(d$estimate), interval = paste0("[", show(d$conf.low), ", ", show(d$conf.high), "]"),
    "MR Egger" = show(egger$estimate), "naive ratio" = show(d$ratio), check.names = FALSE)
}

main <- function() {
  lines <- rbind(tal1_lines(), mpra_lines())
  satmut <- satmut_fit()
  lines <- rbind(lines, effect_line(satmut, "measured mutagenesis"))
  text <- c("# Deep MR on real models and measured effects", "",
    paste("Written by bench/deep_mr_real.R. Means with 95 % intervals: `members`, by the variation",
      "of members or dropout masks; `random effects`, by REML. tau: SD of effects between",
      "sequences; prediction: for the effect of a new sequence. By construction GATA and TAL1",
      "cause \"both\" and not each other."), "", md_lines(lines), "",
    paste("Measured saturation mutagenesis, element by element (variants whose p-value was written",
      "as 0 have no standard error and are not used):"), "", md_lines(satmut_table(satmut)))
  writeLines(text, file.path("bench", "deep_mr_real.md"))
  writeLines(text)
}

main()
