# A network of four factors and two decoys, as in the BPNet experiment of Deep MR (Malina, Cizin and
# Knowles 2022): the twelve published effects are the truth of simulated sequences (sim_factors()),
# decaying with the distance of the sites. Asked: are the twelve found in their order, the strongest
# and the weakest cause, the decay; are the 18 pairs with a decoy left alone at a false discovery
# rate of 5 %? Five members on bootstrap samples, 8,000 sequences and 2,000 mutants of 200 letters,
# effects of 250 new sequences. The network and its training were chosen on seeds 1 and 2.
#
# Options and csv as in bench/study_tools.R; one group, "factors".
source(file.path("bench", "contextual_tools.R"))
source(file.path("bench", "deep_mr_tools_factors.R"))

list_factors <- function(trial) {
  data.frame(group = "factors", seed = if (trial) 1 else 101:105)
}

# Sites by 14 letters, the best in each 10 places; sums over 25 of these see every distance up to
# 120 letters on both sides.
factor_network <- function(outputs) {
  seq_model(c(
    list(seq_layer("conv", units = 48, taps = 14)), batch_normed(),
    list(seq_layer("max_pool", size = 10),
      seq_layer("conv", units = 32, taps = 25, padding = "same")), batch_normed(),
    list(seq_layer("global_average"), seq_layer("dense", units = length(outputs)))
  ), 200, output_names = outputs)
}

run_factors <- function(cell) {
  small <- study_options()$trial
  draw <- function(n, mutants, seed) {
    sim_factors(n, decay = 40, mismatch = 0.03, mutants = mutants, seed = seed)
  }
  train <- draw(if (small) 1500 else 8000, 0.25, cell$seed)
  test <- draw(if (small) 100 else 250, 0, 1e5 + cell$seed)
  trained <- timed(train_factors(factor_network(truth(train)$outputs), train, cell$seed, "squared",
    if (small) 4 else 14, if (small) 2 else 5))
  sequences <- factor_sequences(test)
  sites <- truth(test)$sites
  estimated <- timed({
    effects <- mutagenize(trained$value, sequences, variants = site_variants(sequences, sites))
    deep_mr_network(effects, sites = sites, interval = "moderated")
  })
  c(judge_factors(estimated$value, test), r2 = mean(explained(trained$value, test)),
    seconds_train = trained$seconds, seconds_network = estimated$seconds)
}

judge_factors <- function(net, test) {
  tr <- truth(test)
  edges <- merge(net$edges, tr$network, sort = FALSE)
  true <- edges$nominal > 0
  hit <- edges[true, ]
  by_cause <- tapply(hit$estimate, hit$exposure, mean)
  local <- merge(net$local, data.frame(sequence = as.character(tr$effects$id),
    tr$effects[c("exposure", "outcome")], true = tr$effects$effect))
  local <- local[local$true > 0 & !is.na(local$estimate), ]
  strata <- merge(net$distance, tr$network[tr$network$nominal > 0, c("exposure", "outcome")])
  strata <- strata[order(strata$exposure, strata$outcome, strata$low), ]
  by_edge <- split(strata$estimate, paste(strata$exposure, strata$outcome))
  decays <- vapply(by_edge, function(e) all(diff(e) < 0), NA)
  by_distance <- tapply(strata$estimate, strata$low, mean)
  c(
    judge_calls(edges, true),
    rank = stats::cor(hit$estimate, hit$nominal, method = "spearman"),
    rank_drawn = stats::cor(hit$estimate, hit$effect, method = "spearman"),
    slope = sum(hit$estimate * hit$effect) / sum(hit$effect^2),
    strongest = names(which.max(by_cause)) == "Sox2",
    weakest = names(which.min(by_cause)) == "Klf4", decaying = sum(decays),
    near = by_distance[[1]], middle = by_distance[[2]], far = by_distance[[3]],
    local_rank = stats::cor(local$estimate, local$true, method = "spearman"),
    local_cover = mean(local$conf.low <= local$true & local$conf.high >= local$true),
    mean_cover = mean(hit$conf.low <= hit$effect & hit$conf.high >= hit$effect),
    stats::setNames(edges$estimate, paste("on", edges$exposure, edges$outcome, sep = "."))
  )
}

# What the true effects of the twelve edges are on average in the three strata.
true_strata <- function() {
  tr <- truth(sim_factors(2000, decay = 40, mismatch = 0.03, mutants = 0, seed = 1))$effects
  tr <- tr[tr$effect > 0, ]
  edges <- tapply(tr$effect, list(tr$exposure, tr$outcome, cut(tr$distance, c(0, 35, 70, 150))),
    mean)
  colMeans(matrix(edges, ncol = 3), na.rm = TRUE)
}

report_factors <- function(rows) {
  strata <- true_strata()
  edge <- grep("^on\\.", names(rows), value = TRUE)
  names <- do.call(rbind, strsplit(edge, ".", fixed = TRUE))
  net <- truth(sim_factors(n = 2, mutants = 0, seed = 1))$network
  nominal <- net$nominal[match(paste(names[, 2], names[, 3]), paste(net$exposure, net$outcome))]
  order <- order(-nominal)
  order <- order[nominal[order] > 0]
  effects <- data.frame(
    cause = names[order, 2], `acts on` = names[order, 3], published = short(nominal[order]),
    estimate = vapply(edge[order], function(e) median_range(rows[[e]]), ""), check.names = FALSE
  )
  seeds <- data.frame(
    seed = as.character(rows$seed), `rank correlation` = short(rows$rank),
    `strongest, weakest right` = paste(rows$strongest, rows$weakest),
    `true edges found` = paste(rows$found, "of", rows$true),
    `nulls called` = paste(rows$false, "of", rows$null), `least p of nulls` =
      short(rows$null.least_p), `edges that decay` = paste(rows$decaying, "of 12"),
    `0-35 / 35-70 / 70-150` = paste(short(rows$near), short(rows$middle), short(rows$far),
      sep = " / "),
    `estimate on truth` = short(rows$slope), `R2 of signals` = short(rows$r2), check.names = FALSE
  )
  c(
    "# Four factors and two decoys", "",
    "`Rscript bench/deep_mr_factors.R`; design in its head. Truths are the twelve effects",
    "published for BPNet; \"rank correlation\" is Spearman's of estimated mean effects with them,",
    "\"strongest, weakest\" whether Sox2 and Klf4 have the largest and the least mean effect on",
    "others, \"edges that decay\" those whose mean effect falls from each stratum of distance to",
    "the next, \"estimate on truth\" the slope through the origin of estimated on true effects.",
    "",
    md_table(seeds), "",
    paste0("True effects in the three strata, mean over the twelve edges: ",
      paste(short(strata), collapse = " / "), ". The decay is found, ",
      short(mean(rows$near - rows$far) / (strata[1] - strata[3])), " as steep as it is: networks ",
      "of this size learn the mean effect of a site before they learn where it is. For users: ",
      "strata tell whether an effect falls with distance, not by how much; effects of single ",
      "sequences are drawn towards the edge's mean, and no member says so (their 95 % intervals ",
      "below), so that measured pairs are needed where single sequences matter; means over ",
      "sequences are right to about a tenth."), "",
    paste0("Nulls called: ", sum(rows$false), " of ", sum(rows$null), "; false among called: ",
      short(sum(rows$false) / sum(rows$false + rows$found)), "; share of nulls with p <= .05: ",
      short(mean(rows$null.p05)), ". Local effects: rank correlation with the truth ",
      median_range(rows$local_rank), ", 95 % intervals of the members cover ",
      median_range(rows$local_cover), "; those of the mean cover the sequences' true mean in ",
      short(mean(rows$mean_cover)), " of true edges."), "",
    "Effects: median over seeds (range)", "", md_table(effects), "", notes_of(rows)
  )
}

if (is_script()) {
  finish_study(list(name = "deep_mr_factors", cells = list_factors, run = run_factors,
    report = report_factors))
}
