# What the authors of Deep MR left open, on the data of bench/deep_mr.R (networks "motif"): does it
# matter whether the sequences asked were trained on; whether effects are z-scored; what becomes of
# effects that differ between sequences; Egger's regression against the mode. Rounds 6 to 10 of two
# scenarios, each with one effect for all sequences and with effects that differ by 30 %.
#
# Options and csv as in bench/study_tools.R; groups: "same", "differing".
source(file.path("bench", "contextual_tools.R"))
source(file.path("bench", "deep_mr_tools.R"))

list_questions <- function(trial) {
  cells <- expand.grid(group = c("same", "differing"), scenario = c("none", "sequence"),
    round = if (trial) 1 else 6:10, stringsAsFactors = FALSE)
  cells[order(cells$round), ]
}

# As the rounds of bench/deep_mr.R, with differing effects.
draw_question <- function(cell, small) {
  set.seed(100 + cell$round)
  ratio <- max(0, stats::rnorm(1, if (cell$round %% 2) 1 else 10, 0.5))
  alpha <- stats::rnorm(1, 100, 3)
  draw <- function(n, mutants, at) {
    sim_sequences(n, alpha = alpha, ratio = ratio, confounding = cell$scenario, mutants = mutants,
      heterogeneity = if (cell$group == "same") 0 else 0.3, seed = 1e5 * at + 100 + cell$round)
  }
  list(ratio = ratio, train = draw(if (small) 2000 else 1e4, 0.25, 1),
    test = draw(if (small) 300 else 1000, 0, 2), held = draw(if (small) 1500 else 2500, 0.5, 3))
}

# Effects of sequences against their truths.
judge_local <- function(local, sim, prefix, name) {
  truths <- truth(sim)$effects
  beta <- stats::setNames(truths$b1, paste0(prefix, truths$id))
  y <- beta[local$sequence]
  ok <- !is.na(y) & !is.na(local$estimate)
  error <- (local$estimate - y)[ok]
  out <- c(n = sum(ok), bias = mean(error), rmse = sqrt(mean(error^2)),
    cor = stats::cor(local$estimate[ok], y[ok]),
    cover = mean((local$conf.low <= y & local$conf.high >= y)[ok]), sd = stats::sd(y[ok]))
  stats::setNames(out, paste(name, names(out), sep = "."))
}

run_questions <- function(cell) {
  small <- study_options()$trial
  data <- draw_question(cell, small)
  ensemble <- train_ensemble("motif", data$train, 100 + cell$round, epochs = if (small) 4)
  ask <- function(sim, prefix, ...) {
    rows <- utils::head(which(if (is.null(sim$parent)) TRUE else is.na(sim$parent)), 1000)
    sequences <- named_sequences(sim, prefix)[rows]
    effects <- mutagenize(ensemble, sequences)
    list(effects = effects, levels = stats::predict(ensemble, sequences),
      fit = deep_mr_effects(effects, "exposure", "outcome", strongest = 3, interval = "member",
        n_boot = 200, seed = 1, ...))
  }
  held <- ask(data$test, "t", method = c("slope", "mr_egger_regression", "mr_weighted_mode"))
  trained <- ask(data$train, "r")
  pairs <- held_pairs(ensemble, data$held, FALSE)
  by_pairs <- deep_mr_effects(held$effects, "exposure", "outcome", interval = "pairs",
    strongest = 3, pairs = pairs, levels = held$levels)
  z <- held$effects
  sds <- vapply(split(z$effect, z$output), stats::sd, 0)
  scale <- unname(sds[z$output])
  z$effect <- z$effect / scale
  z$members <- z$members / scale
  z_fit <- deep_mr_effects(z, "exposure", "outcome", interval = "member", strongest = 3)
  of <- function(label) held$fit$local[held$fit$local$method == label, ]
  random <- by_pairs$global[by_pairs$global$method == "random effects", ]
  c(
    ratio = data$ratio,
    judge_local(of("slope"), data$test, "t", "held"),
    judge_local(trained$fit$local, data$train, "r", "trained"),
    judge_local(z_fit$local, data$test, "t", "z"),
    z.factor = unname(sds[["outcome"]] / sds[["exposure"]]),
    z.same = max(abs(z_fit$local$slope * sds[["outcome"]] / sds[["exposure"]] -
      of("slope")$slope), na.rm = TRUE),
    judge_local(by_pairs$local, data$test, "t", "pairs"),
    judge_local(of("MR Egger"), data$test, "t", "egger"),
    judge_local(of("Weighted mode"), data$test, "t", "mode"),
    tau = random$tau, prediction = random$pred.high - random$pred.low
  )
}

question_line <- function(rows, question, name) {
  column <- function(what) rows[[paste(name, what, sep = ".")]]
  data.frame(scenario = rows$scenario[1], effects = rows$group[1], slopes = question,
    rounds = nrow(rows), bias = short(mean(column("bias"))), RMSE = short(mean(column("rmse"))),
    "correlation with the truth" = short(mean(column("cor"))),
    coverage = short(mean(column("cover"))), "SD of the truth" = short(mean(column("sd"))),
    check.names = FALSE)
}

# What is answered, with the numbers that answer it (means over rounds).
answers_table <- function(rows) {
  over <- function(column, use) short(mean(rows[[column]][use]))
  none <- rows$scenario == "none"
  same <- rows$group == "same"
  two <- function(column, use) {
    paste0(over(column, use & none), " without a confounder and ", over(column, use & !none),
      " with one")
  }
  beside <- function(a, b, use) paste(over(a, use), "and", over(b, use))
  line <- function(question, answer) data.frame(question = question, answer = answer)
  rbind(
    line("Sequences held out, or those trained on?",
      paste0("Either: root mean square errors ", beside("held.rmse", "trained.rmse", same & none),
        " without a confounder, ", beside("held.rmse", "trained.rmse", same & !none),
        " with one. Sequences trained on are no worse, and where effects differ by what the ",
        "sequences do not tell, labels learnt by heart help a little (correlation with the truth ",
        over("held.cor", !same), " against ", over("trained.cor", !same), ").")),
    line("Raw effects, or z-scored ones?",
      paste0("Raw. z-scored slopes are the raw ones times SD(exposure effects) / SD(outcome ",
        "effects), up to ", short(max(rows$z.same)), ": the factor, ",
        short(min(1 / rows$z.factor)), " to ", short(max(1 / rows$z.factor)), " here, differs ",
        "between data sets, so that they are no effects of one unit on another (bias ",
        two("z.bias", same), ").")),
    line("Effects that differ between sequences?",
      paste0("Here by ", over("held.sd", !same & none), " (SD, without a confounder), by chance, ",
        "so that no network can learn it: members agree on the mean and their intervals hold ",
        two("held.cover", !same), "; those by measured pairs, which show the spread, ",
        two("pairs.cover", !same), ". What the sequence does tell, a confounder's ",
        "motif, is learnt in part (correlation ", over("held.cor", same & !none), ").")),
    line("Egger's regression, or the mode?",
      paste0("Neither: coverage ", two("egger.cover", same), " by Egger, whose intervals are far ",
        "wider than its error and which is further off where a confounder is (root mean ",
        "square error ", over("egger.rmse", same & !none), ", least squares ",
        over("held.rmse", same & !none), "); ", two("mode.cover", same), " by the mode (",
        over("mode.rmse", same & !none), "). Effects share the error of the prediction of the ",
        "sequence, which neither expects."))
  )
}

tau_words <- function(rows) {
  differing <- rows$group == "differing"
  paste0("Estimated tau (REML of intervals by pairs; over all sequences asked, those without the ",
    "outcome's motif, whose effect is 0, among them): ", short(mean(rows$tau[!differing])),
    " with one effect, ", short(mean(rows$tau[differing])), " with differing ones; the true SD of ",
    "these, with both motifs, is ", short(mean(rows$held.sd[differing])), ".")
}

report_questions <- function(rows) {
  rows <- rows[!nzchar(rows$problem), ]
  names <- c("sequences held out" = "held", "sequences trained on" = "trained",
    "z-scored effects" = "z", "held out, by pairs" = "pairs", "MR Egger" = "egger",
    "weighted mode" = "mode")
  lines <- do.call(rbind, lapply(split(rows, list(rows$group, rows$scenario), drop = TRUE),
    function(d) {
      do.call(rbind, Map(function(name, label) question_line(d, label, name), names, names(names)))
    }))
  c("# Deep MR: what was left open", "",
    paste("Written by bench/deep_mr_questions.R. Local effects against b1, means over rounds."), "",
    md_table(answers_table(rows)), "",
    paste("The numbers. Intervals: by members (`interval = \"member\"`) unless by pairs",
      "(`\"pairs\"`); Egger and mode have their own."), "",
    md_table(lines), "", tau_words(rows), "", notes_of(rows))
}

if (is_script()) {
  finish_study(list(name = "deep_mr_questions", cells = list_questions, run = run_questions,
    report = report_questions))
}
