# What the authors of Deep MR (Malina, Cizin and Knowles 2022) leave open, on their own simulation
# without confounding (ratio 1): are effects better asked of held-out sequences than of those that
# the networks were trained on; raw or z-scored (each output's effects less their mean, over their
# standard deviation, the slope put back on the raw scale); what of local effects that differ
# between sequences (`heterogeneity`); Egger's regression or the mode? Ensembles of five on
# bootstrap samples of 5,000 sequences and 1,250 mutants; 400 sequences of each kind, of which those
# count that have a true effect and an instrument of three standard deviations.
#
# Options and csv as in bench/study_tools.R; groups: "same" (one effect up to what motifs do),
# "different" (effects differ by a standard deviation of half the mean).
source(file.path("bench", "contextual_tools.R"))
source(file.path("bench", "deep_mr_tools.R"))

question_methods <- c(
  ivw = "mr_ivw", egger = "mr_egger_regression", median = "mr_weighted_median",
  mode = "mr_weighted_mode"
)

list_questions <- function(trial) {
  expand.grid(group = c("same", "different"), seed = if (trial) 1 else 101:103,
    stringsAsFactors = FALSE)
}

run_questions <- function(cell) {
  small <- study_options()$trial
  draw <- function(n, mutants, seed) {
    sim_sequences(n, ratio = 1, heterogeneity = if (cell$group == "same") 0 else 0.5,
      mutants = mutants, seed = seed)
  }
  train <- draw(if (small) 1500 else 5000, 0.25, cell$seed)
  new <- draw(if (small) 100 else 400, 0, 1e5 + cell$seed)
  ensemble <- train_ensemble("motif", train, cell$seed, members = if (small) 2 else 5,
    epochs = if (small) 3 else 15)
  c(judge_set(ensemble, new, seq_len(nrow(new)), "new"),
    judge_set(ensemble, train, seq_len(nrow(new)), "seen"))
}

# Accuracy and intervals of each way to estimate, for some of a simulation's sequences.
judge_set <- function(ensemble, sim, some, name) {
  effects <- mutagenize(ensemble, named_sequences(sim, "t")[some])
  beta <- stats::setNames(truth(sim)$effects$b1[some], paste0("t", sim$id[some]))
  ask <- function(effects, ...) {
    deep_mr_effects(effects, "exposure", "outcome", strongest = 3, n_boot = 200, seed = 1,
      ...)$local
  }
  raw <- ask(effects)
  scaled <- z_scored(effects)
  z <- ask(scaled$effects)
  shown <- c("estimate", "conf.low", "conf.high")
  z[shown] <- z[shown] * scaled$back
  others <- ask(effects, method = unname(question_methods))
  table <- mr_methods()
  sets <- c(list(slope = raw, z_scored = z), lapply(question_methods, function(method) {
    others[others$method == table$label[table$name == method], ]
  }))
  unlist(unname(Map(function(local, way) {
    judge_way(local, beta[local$sequence], paste(name, way, sep = "."))
  }, sets, names(sets))))
}

judge_way <- function(local, beta, name) {
  ok <- !is.na(beta) & is.finite(local$estimate)
  d <- local[ok, ]
  error <- d$estimate - beta[ok]
  out <- c(
    n = sum(ok), bias = mean(error), rmse = sqrt(mean(error^2)),
    correlation = stats::cor(d$estimate, beta[ok]),
    cover = mean(d$conf.low <= beta[ok] & d$conf.high >= beta[ok]),
    width = stats::median(d$conf.high - d$conf.low)
  )
  stats::setNames(out, paste(name, names(out), sep = "."))
}

# Effects of both outputs less their mean over their SD; what puts a slope back.
z_scored <- function(effects) {
  unit <- c()
  for (output in output_pair) {
    at <- effects$output == output
    centre <- mean(effects$effect[at])
    unit[output] <- stats::sd(effects$effect[at])
    effects$effect[at] <- (effects$effect[at] - centre) / unit[output]
    effects$members[at, ] <- (effects$members[at, ] - centre) / unit[output]
    effects$std.error[at] <- effects$std.error[at] / unit[output]
  }
  list(effects = effects, back = unit[["outcome"]] / unit[["exposure"]])
}

report_questions <- function(rows) {
  ways <- c(slope = "slope, raw", z_scored = "slope, z-scored", egger = "MR Egger",
    mode = "weighted mode", median = "weighted median", ivw = "IVW")
  cells <- expand.grid(set = c("new", "seen"), way = names(ways), group = c("same", "different"),
    stringsAsFactors = FALSE)
  cells <- cells[cells$group %in% rows$group, ]
  table <- do.call(rbind, lapply(seq_len(nrow(cells)), function(i) {
    cell <- cells[i, ]
    d <- rows[rows$group == cell$group, ]
    get <- function(what) mean(d[[paste(cell$set, cell$way, what, sep = ".")]])
    data.frame(
      `true effects` = cell$group, sequences = c(new = "held out", seen = "trained on")[[cell$set]],
      method = ways[[cell$way]], n = whole(get("n")), bias = short(get("bias")),
      RMSE = short(get("rmse")), correlation = short(get("correlation")),
      coverage = short(get("cover")), `median width` = short(get("width")), check.names = FALSE
    )
  }))
  c(
    "# What the authors left open", "",
    "`Rscript bench/deep_mr_questions.R`; design in its head. Local effects against the true ones",
    "(b1 of sim_sequences()), means over seeds; coverage and width of 95 % intervals, of slopes by",
    "the members, of the others as the methods have them. \"different\": true effects differ",
    "between sequences by chance, which no network can see in their letters.", "",
    md_table(table), "", notes_of(rows)
  )
}

if (is_script()) {
  finish_study(list(name = "deep_mr_questions", cells = list_questions, run = run_questions,
    report = report_questions))
}
