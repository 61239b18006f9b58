# The tables of bench/deep_mr.R, of the rounds that no rule was fixed on.

interval_names <- c(
  pairs = "pairs", pairs_plain = "pairs, plain", pairs_half = "pairs, half by members",
  pairs_members = "pairs and members",
  designed = "designed", designed_half = "designed, half by members",
  designed_members = "designed and members", member = "members (no pairs)",
  moderated = "members, moderated", member_plain = "members, plain",
  ivw = "IVW", egger = "MR Egger", robust_egger = "MR Egger (robust)",
  median = "weighted median", mode = "weighted mode", raps = "RAPS",
  any_pairs = "pairs, any strength", any_member = "members, any strength"
)
mean_names <- c(
  pair_iv = "pair-IV", members = "members", weighted = "both, by precision",
  reml_pairs = "REML of pairs' intervals", reml_ivw = "REML of IVW",
  reml_egger = "REML of MR Egger"
)

# Text "mean (Monte Carlo error) [range]" over rounds.
over_rounds <- function(x, digits = 3) {
  x <- x[is.finite(x)]
  if (!length(x)) {
    return("")
  }
  show <- function(v) formatC(v, digits = digits, format = "f")
  error <- if (length(x) > 1L) paste0(" (", show(stats::sd(x) / sqrt(length(x))), ")")
  paste0(show(mean(x)), error, " [", show(min(x)), "-", show(max(x)), "]")
}

# Coverage in the rounds seen before the rules were fixed, and since; width and score of all.
local_table <- function(rows) {
  since <- rows$round > last_seen
  line <- function(label, cover, width, score) {
    if (!any(is.finite(cover))) {
      return(NULL)
    }
    data.frame(interval = label, seen = over_rounds(cover[!since]),
      since = over_rounds(cover[since]), width = short(stats::median(width, na.rm = TRUE)),
      score = if (is.null(score)) "" else short(mean(score, na.rm = TRUE)))
  }
  lines <- lapply(names(interval_names), function(name) {
    column <- function(what) rows[[paste(name, what, sep = ".")]]
    line(interval_names[[name]], column("cover"), column("width"), column("score"))
  })
  out <- do.call(rbind, c(lines, list(line("yardstick: SD of the true errors", rows$oracle.cover,
    rows$oracle.width, NULL))))
  names(out)[2:3] <- paste0("coverage, rounds ", c(paste("6 to", last_seen),
    paste(last_seen + 1, "and up")))
  if (any(since)) out else out[-3]
}

global_table <- function(rows) {
  do.call(rbind, lapply(names(mean_names), function(name) {
    column <- function(what) rows[[paste(name, what, sep = ".")]]
    hit <- column("low") <= rows$b1 & column("high") >= rows$b1
    share <- mean(hit, na.rm = TRUE)
    if (is.nan(share)) {
      return(NULL)
    }
    data.frame(mean = mean_names[[name]],
      covered = paste0(sum(hit, na.rm = TRUE), "/", sum(!is.na(hit))),
      share = paste0(short(share), " (", short(sqrt(share * (1 - share) / sum(!is.na(hit)))), ")"),
      bias = short(mean(column("estimate") - rows$b1, na.rm = TRUE)),
      width = short(stats::median(column("high") - column("low"), na.rm = TRUE)))
  }))
}

# Slope of estimates on truths with its standard error, and the root mean square of their distance.
ratio_line <- function(rows, estimate, truth) {
  fit <- summary(stats::lm(rows[[estimate]] ~ rows[[truth]]))$coefficients
  slope <- if (nrow(fit) > 1L) paste0(short(fit[2, 1]), " (", short(fit[2, 2]), ")") else ""
  c(slope, short(sqrt(mean((rows[[estimate]] - rows[[truth]])^2))))
}

ratio_table <- function(rows) {
  groups <- split(rows, ifelse(rows$ratio < 5, "about 1", "about 10"))
  groups$all <- rows
  do.call(rbind, lapply(names(groups), function(group) {
    d <- groups[[group]]
    if (nrow(d) < 3L) {
      return(NULL)
    }
    each <- c("pair-IV" = "pair_iv.estimate", members = "members.estimate",
      "both, by precision" = "weighted.estimate", "naive ratio" = "naive.estimate")
    do.call(rbind, lapply(names(each), function(name) {
      b1 <- ratio_line(d, each[[name]], "b1")
      b0 <- ratio_line(d, each[[name]], "b0")
      data.frame(ratio = group, estimate = name, rounds = nrow(d), "mean b1" = short(mean(d$b1)),
        "mean b0" = short(mean(d$b0)), mean = short(mean(d[[each[[name]]]])),
        "slope on b1" = b1[1], "RMSE b1" = b1[2], "slope on b0" = b0[1], "RMSE b0" = b0[2],
        check.names = FALSE)
    }))
  }))
}

# What others found, in the order of the scenarios.
published <- data.frame(
  scenario = c("none", "sequence", "random", "both"), rmse = c(0.184, 0.299, 0.180, NA),
  egger = c(0.87, 0.87, 0.81, 0.81), ivw = c(0.41, 0.29, 0.37, 0.34)
)
prototype <- data.frame(
  scenario = c("none", "sequence", "random", "both"), pairs = c(0.997, 0.978, 0.969, NA),
  pairs_width = c(0.59, 1.01, 1.18, NA), member = c(0.994, 0.943, 0.988, NA),
  pair_iv = c("9/9", "8/9", "7/8", "")
)

beside_table <- function(rows) {
  beside <- function(ours, theirs) paste0(short(ours), " (", short(theirs), ")")
  do.call(rbind, lapply(published$scenario, function(scenario) {
    d <- rows[rows$group == scenario, ]
    if (!nrow(d)) {
      return(NULL)
    }
    paper <- published[published$scenario == scenario, ]
    before <- prototype[prototype$scenario == scenario, ]
    hit <- d$pair_iv.low <= d$b1 & d$pair_iv.high >= d$b1
    data.frame(
      scenario = scenario, rounds = nrow(d),
      "RMSE, pair-IV (paper)" = beside(sqrt(mean((d$pair_iv.estimate - d$b1)^2)), paper$rmse),
      "naive" = short(sqrt(mean((d$naive.estimate - d$b1)^2))),
      "local IVW (paper)" = beside(mean(d$ivw.cover), paper$ivw),
      "local Egger (paper)" = beside(mean(d$egger.cover), paper$egger),
      "local pairs (prototype)" = beside(mean(d$pairs.cover), before$pairs),
      "their width" = beside(stats::median(d$pairs.width), before$pairs_width),
      "local members" = short(mean(d$member.cover)),
      "plain (prototype)" = beside(mean(d$member_plain.cover), before$member),
      "mean by pair-IV (prototype)" = paste0(sum(hit), "/", length(hit), " (", before$pair_iv,
        ")"), check.names = FALSE)
  }))
}

scenario_text <- function(rows, network, scenario) {
  d <- rows[rows$group == scenario & rows$network == network, ]
  if (!nrow(d)) {
    return(character())
  }
  text <- c(paste0("### ", network, ", ", scenario), "",
    paste0(nrow(d), " rounds, ", round(mean(d$n)), " sequences with a local effect each (",
      whole(100 * mean(d$too_few)), " % of the 1,000 have none); measured pairs to calibrate on: ",
      paste(range(d$calibrated), collapse = " to "), "."), "",
    md_table(local_table(d)), "",
    paste0("Intervals by pairs hold b0 in ", over_rounds(d$pairs_b0.cover), "; root mean square ",
      "error of local effects ", short(mean(d$rmse)), ", ", short(mean(d$pairs.rmse)), " with the ",
      "errors expected by `pairs` taken off."), "",
    md_table(global_table(d)), "")
  ratios <- ratio_table(d)
  text <- c(text, if (NROW(ratios)) c(md_table(ratios), ""))
  text
}

# The mean of pair-IV and members weighted by their precision: columns weighted.estimate, low, high.
# Standard errors are those of the intervals (members: five; pairs: some two hundred).
with_weighted <- function(rows) {
  se <- function(name, df) {
    (rows[[paste0(name, ".high")]] - rows[[paste0(name, ".low")]]) / 2 / stats::qt(0.975, df)
  }
  w <- cbind(se("pair_iv", rows$calibrated - 1)^-2, se("members", 4)^-2)
  rows$weighted.estimate <- rowSums(w * cbind(rows$pair_iv.estimate, rows$members.estimate)) /
    rowSums(w)
  rows$weighted.low <- rows$weighted.estimate - stats::qnorm(0.975) / sqrt(rowSums(w))
  rows$weighted.high <- rows$weighted.estimate + stats::qnorm(0.975) / sqrt(rowSums(w))
  rows
}

# Where the naive ratio is nearer to the truth than pair-IV, and why.
naive_text <- function(rows) {
  d <- rows[rows$network == "motif" & rows$group == "random" & rows$ratio < 5, ]
  if (nrow(d) < 3L) {
    return(character())
  }
  root <- function(d, name) short(sqrt(mean((d[[paste0(name, ".estimate")]] - d$b1)^2)))
  pair <- function(d) paste0(root(d, "pair_iv"), " against ", root(d, "naive"))
  idle <- d$b1 < 0.1
  since <- d$round > last_seen
  c(paste0("The naive ratio is nearer to the truth than pair-IV in \"random, about 1\" alone ",
    "(root mean square error of pair-IV ", pair(d), "), because of ", sum(idle), " rounds whose ",
    "ratio was drawn at 0 or near it (mean b1 below .1): nothing acts there, so that the ",
    "network's error, which goes with the effect, is none, while pair-IV has the noise of the ",
    "pairs. In the other rounds it is ", pair(d[!idle, ]),
    if (any(since)) paste0(", in those from ", last_seen + 1, " on ", pair(d[since, ])),
    ". Weighting pair-IV and members by their precision (`both, by precision`) does not mend it: ",
    "root mean square error ", root(d, "weighted"), " there; elsewhere it is now better, now ",
    "worse, and its intervals hold the mean in fewer rounds, as members' variation is small by ",
    "chance where its error is not. On the rounds that rules were made on it was the same, and so ",
    "for the mean of the local effects of `pairs`; pair-IV stays."), "")
}

# Coverage pooled over the scenarios.
pooled_text <- function(rows, network) {
  d <- rows[rows$network == network & rows$group != "both", ]
  if (!nrow(d)) {
    return(character())
  }
  hit <- d$pair_iv.low <= d$b1 & d$pair_iv.high >= d$b1
  hit0 <- d$pair_iv.low <= d$b0 & d$pair_iv.high >= d$b0
  share <- function(hit) {
    paste0(sum(hit), " of ", length(hit), ", ", short(mean(hit)), " (Monte Carlo error ",
      short(sqrt(mean(hit) * mean(!hit) / length(hit))), ")")
  }
  c(paste0("none, sequence and random together, network ", network, ": pair-IV holds the mean ",
    if (network == "count") "effect on counts " else "b1 ", "in ", share(hit),
    if (network != "count") paste0("; b0 in ", share(hit0)), "."), "")
}

report_deep_mr <- function(rows) {
  reported <- with_weighted(rows[!rows$round %in% design_rounds & !nzchar(rows$problem), ])
  networks <- unique(reported$network)
  c("# Deep MR: the published experiment", "",
    paste("Written by bench/deep_mr.R. Coverage: mean over rounds of the share of local 95 %",
      "intervals that hold b1 (network `count`: the effect on counts), its Monte Carlo error and",
      "the range over rounds; width: median over rounds of the median width; score: mean interval",
      "score. `members` are trained on bootstrap samples (not in `published`). Means: shares of",
      "rounds whose 95 % interval of the mean effect holds mean b1, bias and median width."), "",
    paste("`pairs` is the interval that `deep_mr(pairs = )` gives: errors of slopes by predicted",
      "level, and half of the members' variance known beforehand. It and `members` (without pairs)",
      "were fixed on rounds 1 to 5 and on others of seeds 31 to 43. Rounds 6 to", last_seen,
      "had been seen by then, with earlier forms of both; later ones had not, and they are what",
      "the intervals are judged by. `pairs, plain` (one error for all sequences of a round) was",
      "the first form. What failed it in a few rounds of `sequence`: errors there are of two",
      "kinds, of sequences with the confounder's motif and without (up to nine tenths of the",
      "errors' variance, in the design's rounds), which a spread learnt from 200 noisy pairs",
      "underrates by chance; the level that the network predicts tells the two apart."), "",
    unlist(lapply(networks, pooled_text, rows = reported)),
    paste("Beside other numbers: of the paper, its table and its authors' notebooks (50 rounds",
      "each); of a prototype with the same truths b1, another network and 8 or 9 rounds each."), "",
    md_table(beside_table(reported[reported$network == "motif", ])), "",
    unlist(lapply(networks, function(network) {
      unlist(lapply(scenarios, scenario_text, rows = reported, network = network))
    })),
    naive_text(reported),
    paste0("A round takes ", whole(stats::median(reported$cell_seconds)), " s on one thread ",
      "(median; training ", whole(stats::median(reported$seconds_train)), " s, mutagenesis ",
      short(stats::median(reported$seconds_mutate)), " s, all the estimates ",
      short(stats::median(reported$seconds_estimate)), " s); the longest of the network `motif` ",
      "took ", whole(max(reported$cell_seconds[reported$network == "motif"])), " s, beside other ",
      "work."), "",
    notes_of(rows))
}
