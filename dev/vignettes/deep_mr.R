# Tables of vignettes/deep_mr.Rmd: the published experiment, real and simulated networks of factors,
# the classifier of eight labels.
source(file.path("dev", "vignettes", "tools.R"))

# The rounds that were run once the rules stood, of the network that the report is of.
rounds <- study_rows("deep_mr")
rounds <- rounds[rounds$round > 44 & rounds$network == "motif" &
  (is.na(rounds$problem) | rounds$problem == ""), ]

# Intervals of local effects (columns .cover, .width) and ways to the mean effect.
local_ways <- c("pairs", "member", "ivw", "egger")
mean_ways <- c("pair_iv", "members", "reml_ivw", "reml_egger")

of_scenario <- function(d) {
  root <- function(estimate) sqrt(mean((d[[estimate]] - d$b1)^2))
  agree <- function(estimate) stats::cor(d[[estimate]], d$b1)
  mean_of <- function(name) mean(d[[name]], na.rm = TRUE)
  cover <- vapply(paste0(local_ways, ".cover"), mean_of, 0)
  least <- vapply(paste0(local_ways, ".cover"), function(name) {
    if (all(is.na(d[[name]]))) NA else min(d[[name]], na.rm = TRUE)
  }, 0)
  width <- vapply(paste0(local_ways, ".width"), function(name) {
    stats::median(d[[name]], na.rm = TRUE)
  }, 0)
  held <- vapply(mean_ways, function(name) {
    sum(d[[paste0(name, ".low")]] <= d$b1 & d[[paste0(name, ".high")]] >= d$b1, na.rm = TRUE)
  }, 0)
  named <- function(x, prefix, ways) as.list(stats::setNames(x, paste0(prefix, ways)))
  data.frame(
    scenario = d$group[1], rounds = nrow(d), sequences = mean(d$n), too_few = mean(d$too_few),
    pairs = mean(d$calibrated), b0 = mean(d$b0), b1 = mean(d$b1),
    cor_pair = agree("pair_iv.estimate"), cor_members = agree("members.estimate"),
    cor_naive = agree("naive.estimate"), bias_b1 = mean(d$pair_iv.estimate - d$b1),
    bias_b0 = mean(d$pair_iv.estimate - d$b0), rmse_pair = root("pair_iv.estimate"),
    rmse_members = root("members.estimate"), rmse_naive = root("naive.estimate"),
    b0_held = mean_of("pairs_b0.cover"), named(cover, "cover_", local_ways),
    named(least, "least_", local_ways), named(width, "width_", local_ways),
    named(held, "held_", mean_ways)
  )
}

scenarios <- c("none", "random", "sequence", "both")
write_table(do.call(rbind, lapply(scenarios, function(scenario) {
  of_scenario(rounds[rounds$group == scenario, ])
})), "deep_mr_rounds")

# Each round's truth and estimates, for the picture.
write_table(rounds[c("group", "b1", "b0", "pair_iv.estimate", "pair_iv.low", "pair_iv.high",
  "naive.estimate")], "deep_mr_truths")

# GATA and TAL1; mutations at least one standard deviation from the mean. `beyond`: q of an effect
# beyond .1.
tal1 <- study_rows("deep_mr_models")
tal1 <- tal1[tal1$group == "tal1", ]
edges <- data.frame(cause = c("GATA", "TAL1", "GATA", "TAL1"),
  on = c("both", "both", "TAL1", "GATA"))
for (item in c("estimate", "low", "high", "q", "n", "called", "beyond")) {
  edges[[item]] <- unlist(tal1[paste("z1", edges$cause, edges$on, item, sep = ".")])
}
write_table(edges, "deep_mr_tal1")

# Four factors with the effects published for BPNet as truths, and two decoys.
factors <- study_rows("deep_mr_factors")
network <- mrlearn::truth(mrlearn::sim_factors(n = 10, seed = 1))$network
network <- network[network$nominal != 0, ]
found <- factors[paste("on", network$exposure, network$outcome, sep = ".")]
write_table(data.frame(
  cause = network$exposure, on = network$outcome, published = network$nominal,
  estimate = vapply(found, stats::median, 0), least = vapply(found, min, 0),
  most = vapply(found, max, 0)
)[order(-network$nominal), ], "deep_mr_factors")
shown <- c("true", "found", "null", "false", "null.p05", "rank", "slope", "near", "middle", "far",
  "local_rank", "local_cover", "mean_cover", "r2")
truths <- study_functions("deep_mr_factors")$true_strata()
write_table(cbind(factors[c("seed", shown)], true_near = truths[[1]], true_middle = truths[[2]],
  true_far = truths[[3]]), "deep_mr_factors_seeds")

labels <- study_rows("deep_mr_labels")
labels <- labels[labels$group == "labels", c("seed", "logit.true", "logit.found", "logit.null",
  "logit.false", "logit.A", "logit.B", "normal.found", "normal.false", "auroc", "auroc.open")]
write_table(labels, "deep_mr_labels")

# Effects that differ between sequences by what the sequences do not tell.
questions <- study_rows("deep_mr_questions")
shown <- c("held.sd", "held.rmse", "held.cor", "held.cover", "pairs.cover")
write_table(stats::aggregate(questions[shown],
  list(effects = questions$group, scenario = questions$scenario), mean), "deep_mr_questions")
