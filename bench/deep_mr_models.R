# Networks and checks of Deep MR on real models and measurements (the project's shared data;
# MRLEARN_SHARED_DATA names their folder where it is not ../shared/data):
# * "tal1": three networks that were trained on the motifs of GATA and TAL1 to tell which sequences
#   have which of them, or both. By construction either causes "both" and none the other. Sequences
#   with both motifs; instruments are mutations within their places, at least one or three (as for
#   BPNet) standard deviations from the mean;
# * "dropout": MPRA-DragoNN (145 letters, 12 outputs), expression in K562 on that in HepG2 (minimal
#   promoter, mean of replicates) and back, 20 pieces of human regulatory elements. Members are 10
#   dropout masks;
# * "satmut": measured saturation mutagenesis of five human elements, each in two conditions
#   (Kircher et al. 2019): the same local and mean effects from measured effects with standard
#   errors. Substitutions with at least 10 barcodes in both, F of the exposure at least 10.
#
# Options and csv as in bench/study_tools.R; groups as above.
source(file.path("bench", "contextual_tools.R"))
source(file.path("tests", "testthat", "helper-paths.R"))
source(file.path("tests", "testthat", "helper-seq_models.R"))

list_models <- function(trial) {
  data.frame(group = c("tal1", "dropout", "satmut"), seed = 1)
}

run_models <- function(cell) {
  switch(cell$group, tal1 = run_tal1(), dropout = run_dropout(), satmut = run_satmut())
}

tal1_ensemble <- function() {
  dir <- shared_data("models", "tal1_gata_sim")
  members <- lapply(c(dir, file.path(dir, "ensemble", c("member2", "member3"))), tal1_model)
  for (k in seq_along(members)) {
    members[[k]]$output_names <- c("both", "GATA", "TAL1")
  }
  structure(list(members = members, bootstrap = FALSE, seed = 0), class = "seq_ensemble")
}

# Sequences with both motifs, and where these are.
tal1_sequences <- function(n) {
  lines <- readLines(shared_data("models", "tal1_gata_sim", "all_test800.fa"))
  head <- utils::head(grep("^>.*labels=1/1/1", lines), n)
  ids <- sub("^>([^ ]+) .*", "\\1", lines[head])
  sites <- lapply(seq_along(head), function(i) {
    placed <- strsplit(sub(".*embeddings=", "", lines[head[i]]), ",")[[1]]
    parts <- do.call(rbind, strsplit(placed, "-")) # pos, place (from 0) and motif, letters
    start <- as.integer(sub("_.*", "", parts[, 2])) + 1L
    data.frame(sequence = ids[i], output = ifelse(grepl("GATA", placed), "GATA", "TAL1"),
      start = start, end = start + nchar(parts[, 3]) - 1L)
  })
  list(sequences = stats::setNames(lines[head + 1L], ids), sites = do.call(rbind, sites))
}

run_tal1 <- function() {
  ensemble <- tal1_ensemble()
  data <- tal1_sequences(if (study_options()$trial) 20 else 150)
  effects <- mutagenize(ensemble, data$sequences)
  took <- timed({
    lapply(c(z1 = 1, z3 = 3), function(threshold) {
      deep_mr_network(effects, sites = data$sites, threshold = threshold)$edges
    })
  })
  each <- Map(function(edges, name) {
    lapply(seq_len(nrow(edges)), function(i) edge_numbers(edges[i, ], name))
  }, took$value, names(took$value))
  c(unlist(unname(each)), shared_letters(effects, data$sites),
    n_sequences = length(data$sequences), seconds = took$seconds)
}

# What mutations in TAL1's place (CAGATG, letters 6 to 11, is its core) do to GATA for each unit of
# what they do to TAL1: at the letters AGAT, which the motif of GATA has too, and at the others.
shared_letters <- function(effects, sites) {
  sites <- sites[sites$output == "TAL1", ]
  wide <- merge(effects[effects$output == "TAL1", c("sequence", "position", "alt", "effect")],
    effects[effects$output == "GATA", c("sequence", "position", "alt", "effect")],
    by = c("sequence", "position", "alt"))
  wide <- merge(wide, sites[c("sequence", "start", "end")], by = "sequence")
  wide <- wide[wide$position >= wide$start & wide$position <= wide$end, ]
  alike <- (wide$position - wide$start + 1) %in% 7:10
  ratio <- function(use) sum(wide$effect.y[use]) / sum(wide$effect.x[use])
  c(alike = ratio(alike), unlike = ratio(!alike))
}

edge_numbers <- function(edge, name) {
  value <- unlist(edge[c("estimate", "conf.low", "conf.high", "p.value", "q.value", "n_sequences")])
  stats::setNames(c(value, edge$called), paste(name, edge$exposure, edge$outcome,
    c("estimate", "low", "high", "p", "q", "n", "called"), sep = "."))
}

run_dropout <- function() {
  small <- study_options()$trial
  sequences <- reference(shared_data("models", "mpra_dragonn"), "real20")$sequences
  sequences <- stats::setNames(unname(sequences), paste0("s", seq_along(sequences)))
  took <- timed(mutagenize(mpra_model(), if (small) sequences[1:3] else sequences,
    n_dropout = if (small) 3 else 10, seed = 1))
  effects <- took$value
  forth <- deep_mr_effects(effects, "k562_minp_avg", "hepg2_minp_avg")
  back <- deep_mr_effects(effects, "hepg2_minp_avg", "k562_minp_avg")
  ivw <- deep_mr_effects(effects, "k562_minp_avg", "hepg2_minp_avg", method = "mr_ivw")
  checks <- deep_mr_check(forth, effects)
  value <- function(what, of = "") checks$value[checks$check == what & checks$of == of]
  random <- ivw$global[ivw$global$method == "random effects", ]
  width <- function(fit) stats::median(fit$local$conf.high - fit$local$conf.low, na.rm = TRUE)
  c(
    mean_of(forth, "forth"), mean_of(back, "back"), ivw.estimate = random$estimate,
    ivw.low = random$conf.low, ivw.high = random$conf.high, width = width(forth),
    ivw.width = width(ivw), shared = value("shared error", "k562_minp_avg"),
    line = value("proportionality"), seconds = took$seconds
  )
}

mean_of <- function(fit, name) {
  row <- fit$global[fit$global$main, ]
  tau <- fit$global$tau[!is.na(fit$global$tau)][1]
  n <- sum(!is.na(fit$local$estimate))
  stats::setNames(c(row$estimate, row$conf.low, row$conf.high, tau, n),
    paste(name, c("estimate", "low", "high", "tau", "n"), sep = "."))
}

# Exposure and outcome: the two conditions of an element.
satmut_pairs <- c("LDLR__LDLR.2", "PKLR-24h__PKLR-48h", "SORT1__SORT1.2", "TERT-HEK__TERT-GBM",
  "ZRSh-13__ZRSh-13h2")
satmut_methods <- c(mr_ivw = "Inverse variance weighted", mr_egger_regression = "MR Egger",
  mr_weighted_median = "Weighted median")

satmut_effects <- function() {
  each <- lapply(satmut_pairs, function(name) {
    d <- utils::read.csv(shared_data("satmut", paste0("pair_", name, ".csv.gz")))
    d <- d[d$alt != "-" & pmin(d$barcodes_x, d$barcodes_y) >= 10, ]
    d <- d[is.finite(d$se_x) & is.finite(d$se_y) & d$se_x > 0 & d$se_y > 0, ]
    about <- data.frame(sequence = name, position = d$pos, ref = d$ref, alt = d$alt)
    rbind(cbind(about, output = "first", effect = d$beta_x, std.error = d$se_x),
      cbind(about, output = "second", effect = d$beta_y, std.error = d$se_y))
  })
  do.call(rbind, each)
}

run_satmut <- function() {
  fit <- deep_mr_effects(satmut_effects(), "first", "second", method = names(satmut_methods),
    instruments = "f", n_boot = 300, seed = 1)
  local <- fit$local
  random <- fit$global[fit$global$method == "random effects", ]
  c(
    stats::setNames(local$n_instruments[1:5], paste0(local$sequence[1:5], ".n")),
    stats::setNames(local$estimate, paste(local$sequence, local$method, sep = ".")),
    stats::setNames(random$estimate, paste0("mean.", random$local)),
    stats::setNames(random$conf.low, paste0("low.", random$local)),
    stats::setNames(random$conf.high, paste0("high.", random$local)),
    tau = random$tau[1], pred.low = random$pred.low[1], pred.high = random$pred.high[1]
  )
}

interval_text <- function(v) {
  paste0(short(v[1]), " (", short(v[2]), " to ", short(v[3]), ")")
}

report_models <- function(rows) {
  names(rows) <- make.names(names(rows)) # as the csv has them
  of <- function(group) rows[rows$group == group, ]
  c("# Real models and measurements", "", "`Rscript bench/deep_mr_models.R`; design in its head.",
    "",
    if (nrow(of("tal1"))) report_tal1(of("tal1")),
    if (nrow(of("dropout"))) report_dropout(of("dropout")),
    if (nrow(of("satmut"))) report_satmut(of("satmut")),
    notes_of(rows))
}

report_tal1 <- function(row) {
  edges <- c("GATA.both", "TAL1.both", "GATA.TAL1", "TAL1.GATA")
  each <- paste(rep(c("z1", "z3"), each = 4), edges, sep = ".")
  get <- function(what) unlist(row[paste(each, what, sep = ".")])
  mean <- vapply(each, function(e) {
    interval_text(unlist(row[paste(e, c("estimate", "low", "high"), sep = ".")]))
  }, "")
  table <- data.frame(
    `least z` = rep(c("1", "3"), each = 4), edge = sub(".", " on ", rep(edges, 2), fixed = TRUE),
    `mean effect (95 %)` = mean, p = short(get("p")), q = short(get("q")),
    sequences = whole(get("n")), called = ifelse(get("called") == 1, "yes", "no"),
    check.names = FALSE
  )
  c("## GATA and TAL1: three networks, log odds", "", md_table(table), "",
    paste0("TAL1 on GATA is called, though neither acts on the other by construction; the ",
      "networks were not looked at one by one. Mutations of the letters that TAL1's motif has in ",
      "common with GATA's (AGAT) move GATA by ", short(row$alike), " for each unit of TAL1, those ",
      "of its other letters by ", short(row$unlike), ": their likeness can be a part of it only."),
    "")
}

report_dropout <- function(row) {
  mean <- function(name) {
    interval_text(unlist(row[paste(name, c("estimate", "low", "high"), sep = ".")]))
  }
  c("## K562 and HepG2: a network with dropout masks", "",
    paste0("K562 on HepG2: mean effect ", mean("forth"), " over ", whole(row$forth.n),
      " sequences, tau ", short(row$forth.tau), "; HepG2 on K562: ", mean("back"), "; by IVW and ",
      "random effects, which take errors for independent: ", mean("ivw"), ". Median width of ",
      "local 95 % intervals: masks ", short(row$width), ", IVW ", short(row$ivw.width), ". The ",
      "masks' errors of the instruments of a sequence have an intraclass correlation of ",
      short(row$shared), "; the slope explains ", short(row$line), " of the squared effects on ",
      "the outcome (median). Mutagenesis: ", short(row$seconds), " s."), "")
}

report_satmut <- function(row) {
  get <- function(name) unlist(row[make.names(name)])
  table <- do.call(rbind, lapply(satmut_pairs, function(pair) {
    data.frame(element = sub("__", " -> ", pair), instruments = whole(get(paste0(pair, ".n"))),
      t(stats::setNames(short(get(paste(pair, satmut_methods, sep = "."))), satmut_methods)),
      check.names = FALSE)
  }))
  mean <- vapply(satmut_methods, function(m) {
    interval_text(get(paste(c("mean", "low", "high"), m, sep = ".")))
  }, "")
  last <- data.frame(element = "mean effect (95 %)", instruments = "",
    t(stats::setNames(mean, satmut_methods)), check.names = FALSE)
  c("## Measured effects: five elements, each in two conditions", "",
    md_table(rbind(table, last)), "",
    paste0("Of IVW: tau ", short(row$tau), "; a new element's effect lies between ",
      short(row$pred.low), " and ", short(row$pred.high), " (95 % prediction)."), "")
}

if (is_script()) {
  finish_study(list(name = "deep_mr_models", cells = list_models, run = run_models,
    report = report_models))
}
