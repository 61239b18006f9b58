# Deep MR on a classifier of many labels, as DeepSEA is: binding of four factors, accessibility,
# which two of them open, and three decoys, all 0 or 1 (sim_factors()). Asked: are the two edges to
# accessibility found and no others, on the scale of log odds and on that of probabilities at one
# prevalence (DeepSEA's normalisation: log odds are shifted so that the label's share in training
# becomes 5 %)? Ten members on bootstrap samples, 16,000 sequences and 4,000 mutants of 200 letters,
# effects of 250 new sequences; asked are the seven factors and decoys on accessibility. What came
# before, on other seeds: five members, 8,000 sequences and all 49 pairs asked at once found 3 of 10
# true edges on log odds and 1 on probabilities (seeds 101 to 105, none of 235 others called); ten
# members and the seven pairs 7 and 8 of 10 (seeds 106 to 110, none of 25 others). Group "time":
# mutagenesis of DeepSEA's architecture with its 919 outputs (parameters at random), a sequence of
# 1,000 letters.
#
# Options and csv as in bench/study_tools.R; groups: "labels", "time".
source(file.path("bench", "contextual_tools.R"))
source(file.path("bench", "deep_mr_tools_factors.R"))

opened <- rbind(A = c(open = 0.6), B = c(open = 0.6), C = c(open = 0), D = c(open = 0))

list_labels <- function(trial) {
  rbind(data.frame(group = "labels", seed = if (trial) 1 else 111:115),
    data.frame(group = "time", seed = 1))
}

label_network <- function(outputs) {
  seq_model(c(
    list(seq_layer("conv", units = 32, taps = 14)), batch_normed(),
    list(seq_layer("global_max"), seq_layer("dense", units = 32),
      seq_layer("activation", activation = "relu"),
      seq_layer("dense", units = length(outputs)))
  ), 200, output_names = outputs)
}

draw_labels <- function(n, mutants, seed) {
  sim_factors(n, effects = opened, decoys = 3, decay = Inf, labels = "binary", mismatch = 0.05,
    mutants = mutants, seed = seed)
}

run_labels <- function(cell) {
  small <- study_options()$trial
  if (cell$group == "time") {
    return(time_deepsea(small))
  }
  train <- draw_labels(if (small) 1500 else 16000, 0.25, cell$seed)
  test <- draw_labels(if (small) 100 else 250, 0, 1e5 + cell$seed)
  asked <- data.frame(exposure = setdiff(truth(test)$outputs, "open"), outcome = "open")
  trained <- timed(train_factors(label_network(truth(train)$outputs), train, cell$seed, "binary",
    if (small) 4 else 8, if (small) 2 else 10))
  sequences <- factor_sequences(test)
  sites <- truth(test)$sites
  estimated <- timed({
    effects <- mutagenize(trained$value, sequences, variants = site_variants(sequences, sites))
    net <- deep_mr_network(effects, edges = asked, sites = sites)
  })
  normal <- normalised(effects, trained$value, sequences, colMeans(train$label))
  accuracy <- auroc(trained$value, draw_labels(1000, 0, 2e5 + cell$seed))
  c(judge_labels(net, "logit"),
    judge_labels(deep_mr_network(normal, edges = asked, sites = sites), "normal"),
    auroc = mean(accuracy), auroc.open = accuracy[["open"]], seconds_train = trained$seconds,
    seconds_network = estimated$seconds)
}

# Effects on probabilities after a shift of log odds from the prevalence of each label to `to`.
normalised <- function(effects, ensemble, sequences, prevalence, to = 0.05) {
  level <- predict(ensemble, sequences, members = TRUE)$members
  shift <- stats::qlogis(to) - stats::qlogis(prevalence[effects$output])
  row <- match(effects$sequence, names(sequences))
  column <- match(effects$output, dimnames(level)[[2]])
  for (k in seq_len(ncol(effects$members))) {
    before <- level[, , k][cbind(row, column)] + shift
    effects$members[, k] <- stats::plogis(before + effects$members[, k]) - stats::plogis(before)
  }
  effects$effect <- rowMeans(effects$members)
  effects$std.error <- apply(effects$members, 1, stats::sd)
  effects
}

auroc <- function(ensemble, sim) {
  predicted <- as.matrix(predict(ensemble, factor_sequences(sim))[-1])
  vapply(colnames(predicted), function(output) {
    y <- sim$label[, output] == 1
    (mean(rank(predicted[, output])[y]) - (sum(y) + 1) / 2) / sum(!y)
  }, 0)
}

judge_labels <- function(net, name) {
  edges <- net$edges
  true <- edges$exposure %in% c("A", "B") & edges$outcome == "open"
  out <- c(
    judge_calls(edges, true), largest_p = max(edges$p.value[true]),
    A = edges$estimate[true & edges$exposure == "A"],
    B = edges$estimate[true & edges$exposure == "B"],
    largest_null = max(abs(edges$estimate[!true]))
  )
  stats::setNames(out, paste(name, names(out), sep = "."))
}

time_deepsea <- function(small) {
  model <- if (small) {
    seq_preset("deepsea", length = 200, outputs = 50, filters = 8)
  } else {
    seq_preset("deepsea")
  }
  set.seed(1)
  scale <- 1 / sqrt(50)
  model$parameters <- stats::rnorm(model$n_parameters, sd = scale / 4)
  letters <- sample(c("A", "C", "G", "T"), model$length, replace = TRUE)
  sequence <- c(s = paste(letters, collapse = ""))
  some <- seq(1, model$length, by = 10)
  tenth <- timed(mutagenize(model, sequence, positions = some))
  c(outputs = length(model$output_names), n_variants = 3 * length(some),
    seconds_mutate = tenth$seconds, per_sequence = 10 * tenth$seconds)
}

report_labels <- function(rows) {
  time <- rows[rows$group == "time", ]
  rows <- rows[rows$group == "labels", ]
  scales <- c(logit = "log odds", normal = "probability at a prevalence of 5 %")
  table <- do.call(rbind, lapply(names(scales), function(name) {
    of <- function(what) rows[[paste(name, what, sep = ".")]]
    data.frame(
      scale = scales[[name]], `true edges found` = paste(sum(of("found")), "of", sum(of("true"))),
      `other factors and decoys called` = paste(sum(of("false")), "of", sum(of("null"))),
      `nulls with p <= .05` = short(mean(of("null.p05"))),
      `effects of A and B` = median_range(c(of("A"), of("B"))),
      `largest p of a true edge` = median_range(of("largest_p")),
      `largest null` = median_range(of("largest_null")), check.names = FALSE
    )
  }))
  c(
    "# A classifier of eight labels", "",
    "`Rscript bench/deep_mr_labels.R`; design in its head. On the log odds the true effects of A",
    "and B on accessibility are .6; on probabilities they differ between sequences.", "",
    md_table(table), "",
    paste0(nrow(rows), " seeds. Area under the ROC curve on new sequences, mean over labels: ",
      median_range(rows$auroc), "; of accessibility: ", median_range(rows$auroc.open), "."), "",
    if (nrow(time)) {
      paste0("Mutagenesis of DeepSEA's architecture, ", time$outputs, " outputs: ",
        time$n_variants, " variants (every tenth position) in ", short(time$seconds_mutate),
        " s, that is ", short(time$per_sequence), " s for all of a sequence of 1,000 letters; ",
        time$n_threads, " thread(s).")
    }, "",
    notes_of(rows)
  )
}

if (is_script()) {
  finish_study(list(name = "deep_mr_labels", cells = list_labels, run = run_labels,
    report = report_labels))
}
