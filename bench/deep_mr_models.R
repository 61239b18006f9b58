# Networks, local and mean effects of Deep MR on real models and measurements (the project's shared
# data; MRLEARN_SHARED_DATA names their folder where it is not ../shared/data):
# * "tal1": three networks that were trained on the motifs of GATA and TAL1 to tell which sequences
#   have which of them, or both. By construction either causes "both" and none the other. Edges by
#   deep_mr_network() in sequences with both motifs; instruments are mutations within their places,
#   at least one or three (as for BPNet) standard deviations from the mean. Beside them, what
#   deep_mr_effects() says without places, of a third of all 800 sequences;
# * "dropout": MPRA-DragoNN (145 letters, 12 outputs), expression in K562 on that in HepG2 (minimal
#   promoter, mean of replicates) and back, 20 pieces of human regulatory elements. Members are 20
#   dropout masks;
# * "satmut": measured saturation mutagenesis of human elements, eight pairs of conditions (Kircher
#   et al. 2019): the same local and mean effects from measured effects with standard errors.
#   Substitutions with at least 10 barcodes in both, F of the exposure at least 10; variants whose
#   p-value was written as 0 have no standard error and are not used.
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

# An effect that no interval by members tells from none: what they all have wrong
# (?deep_mr_network).
allowed <- 0.1

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
  small <- study_options()$trial
  data <- tal1_sequences(if (small) 20 else 150)
  effects <- mutagenize(ensemble, data$sequences)
  took <- timed({
    lapply(c(z1 = 1, z3 = 3), function(threshold) {
      ask <- function(allowance) {
        deep_mr_network(effects, sites = data$sites, threshold = threshold,
          allowance = allowance)$edges
      }
      cbind(ask(0), beyond = ask(allowed)$q.value)
    })
  })
  each <- Map(function(edges, name) {
    lapply(seq_len(nrow(edges)), function(i) edge_numbers(edges[i, ], name))
  }, took$value, names(took$value))
  c(unlist(unname(each)), without_places(ensemble, if (small) 40 else 3),
    shared_letters(effects, data$sites), member_slopes(effects, data$sites),
    n_sequences = length(data$sequences), seconds = took$seconds)
}

# Mean effects of all ordered pairs over every nth sequence, whatever motifs it has.
without_places <- function(ensemble, nth) {
  sequences <- read_fasta(shared_data("models", "tal1_gata_sim", "all_test800.fa"))
  effects <- mutagenize(ensemble, sequences[seq(1, length(sequences), by = nth)])
  unlist(unname(lapply(all_edges, function(edge) {
    fit <- deep_mr_effects(effects, edge[1], edge[2], strongest = 3)
    mean_of(fit, paste("any", edge[1], edge[2], sep = "."))
  })))
}

all_edges <- list(c("GATA", "both"), c("TAL1", "both"), c("GATA", "TAL1"), c("TAL1", "GATA"),
  c("both", "GATA"), c("both", "TAL1"))

# Mean slopes of GATA on TAL1's mutations, network by network.
member_slopes <- function(effects, sites) {
  inside <- mrlearn:::in_sites(effects, sites, list(exposure = "TAL1", outcome = "GATA"))
  x <- effects[inside & effects$output == "TAL1", ]
  y <- effects[inside & effects$output == "GATA", ]
  slopes <- vapply(seq_len(ncol(x$members)), function(k) {
    mean(rowsum(x$members[, k] * y$members[, k], x$sequence) /
      rowsum(x$members[, k]^2, x$sequence))
  }, 0)
  stats::setNames(slopes, paste0("slope.", seq_along(slopes)))
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
  value <- unlist(edge[c("estimate", "conf.low", "conf.high", "p.value", "q.value", "n_sequences",
    "beyond")])
  stats::setNames(c(value, edge$called), paste(name, edge$exposure, edge$outcome,
    c("estimate", "low", "high", "p", "q", "n", "beyond", "called"), sep = "."))
}

run_dropout <- function() {
  small <- study_options()$trial
  sequences <- reference(shared_data("models", "mpra_dragonn"), "real20")$sequences
  sequences <- stats::setNames(unname(sequences), paste0("s", seq_along(sequences)))
  took <- timed(mutagenize(mpra_model(), if (small) sequences[1:3] else sequences,
    n_dropout = if (small) 3 else 20, seed = 1))
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
  pred <- fit$global[!is.na(fit$global$pred.low), ][1, c("pred.low", "pred.high")]
  stats::setNames(c(row$estimate, row$conf.low, row$conf.high, tau, n, unlist(pred)),
    paste(name, c("estimate", "low", "high", "tau", "n", "pred.low", "pred.high"), sep = "."))
}

# Exposure and outcome: the two conditions of an element.
satmut_pairs <- c("LDLR__LDLR.2", "PKLR-24h__PKLR-48h", "SORT1__SORT1-flip", "SORT1__SORT1.2",
  "TERT-GSc__TERT-GAa", "TERT-HEK__TERT-GBM", "TERT-HEK__TERT-GSc", "ZRSh-13__ZRSh-13h2")
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
  first <- local[local$method == satmut_methods[["mr_ivw"]], ]
  c(
    stats::setNames(first$n_instruments, paste0(first$sequence, ".n")),
    stats::setNames(first$conf.low, paste0(first$sequence, ".low")),
    stats::setNames(first$conf.high, paste0(first$sequence, ".high")),
    stats::setNames(first$ratio, paste0(first$sequence, ".ratio")),
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
  yes <- function(x) ifelse(x, "yes", "no")
  table <- data.frame(
    `least z` = rep(c("1", "3"), each = 4), edge = sub(".", " on ", rep(edges, 2), fixed = TRUE),
    `mean effect (95 %)` = mean, p = short(get("p")), q = short(get("q")),
    sequences = whole(get("n")), called = yes(get("called") == 1),
    q1 = short(get("beyond")), called1 = yes(get("beyond") <= 0.05), check.names = FALSE
  )
  names(table)[8:9] <- paste0(c("q", "called"), ", effects beyond ", allowed)
  slopes <- unlist(row[paste0("slope.", 1:3)])
  c("## GATA and TAL1: three networks, log odds", "", md_table(table), "",
    paste0("The edges that are there are found, the others are about a tenth of them or less. ",
      "TAL1 on GATA has p = ", short(get("p")[4]), " all the same: all three networks have it ",
      "(mean slopes ", paste(short(slopes), collapse = ", "), "), so that their variation, with ",
      "Student's t of 2 degrees of freedom, does not hold 0. It is an error that members share, ",
      "as slopes of networks trained on the same data have (root mean square of the members' mean ",
      "in bench/deep_mr.md: .07 to .17), and which no interval by members shows; an ",
      "allowance of ", allowed, " for it (`deep_mr_network(allowance = )`) calls what is there ",
      "and nothing else. Letters do not explain it: mutations of those that TAL1's motif has in ",
      "common with GATA's (AGAT) move GATA by ", short(row$alike), " for each unit of TAL1, those ",
      "of its other letters by ", short(row$unlike), "."),
    "", report_places(row))
}

report_places <- function(row) {
  lines <- do.call(rbind, lapply(all_edges, function(edge) {
    get <- function(what) unlist(row[paste("any", edge[1], edge[2], what, sep = ".")])
    data.frame(edge = paste(edge[1], "on", edge[2]),
      `mean effect (95 %)` = interval_text(get(c("estimate", "low", "high"))),
      tau = short(get("tau")), sequences = whole(get("n")),
      `a new sequence's (95 %)` = paste(short(get("pred.low")), "to", short(get("pred.high"))),
      check.names = FALSE)
  }))
  c("Without places, of a third of all sequences, whatever motifs they have:", "",
    md_table(lines), "",
    paste("None of GATA and TAL1 on each other. \"Both\" seems to act on GATA and TAL1, as its",
      "instruments then are the mutations of their motifs: reverse causation, which places keep",
      "out (\"both\" has none)."), "")
}

report_dropout <- function(row) {
  mean <- function(name) {
    interval_text(unlist(row[paste(name, c("estimate", "low", "high"), sep = ".")]))
  }
  c("## K562 and HepG2: a network with dropout masks", "",
    paste0("K562 on HepG2: mean effect ", mean("forth"), " over ", whole(row$forth.n),
      " sequences, tau ", short(row$forth.tau), ", a new sequence's between ",
      short(row$forth.pred.low), " and ", short(row$forth.pred.high), "; HepG2 on K562: ",
      mean("back"), "; by IVW and random effects, which take errors for independent: ",
      mean("ivw"), ". Median width of local 95 % intervals: masks ", short(row$width), ", IVW ",
      short(row$ivw.width), ". The masks' errors of the instruments of a sequence have an ",
      "intraclass correlation of ", short(row$shared), "; the slope explains ", short(row$line),
      " of the squared effects on the outcome (median). Mutagenesis: ", short(row$seconds),
      " s."), "")
}

report_satmut <- function(row) {
  get <- function(name) unlist(row[make.names(name)])
  table <- do.call(rbind, lapply(satmut_pairs, function(pair) {
    estimates <- short(get(paste(pair, satmut_methods, sep = ".")))
    estimates[1] <- interval_text(get(c(paste(pair, satmut_methods[1], sep = "."),
      paste0(pair, c(".low", ".high")))))
    data.frame(element = sub("__", " -> ", pair), instruments = whole(get(paste0(pair, ".n"))),
      t(stats::setNames(estimates, satmut_methods)),
      `naive ratio` = short(get(paste0(pair, ".ratio"))), check.names = FALSE)
  }))
  mean <- vapply(satmut_methods, function(m) {
    interval_text(get(paste(c("mean", "low", "high"), m, sep = ".")))
  }, "")
  last <- data.frame(element = "mean effect (95 %)", instruments = "",
    t(stats::setNames(mean, satmut_methods)), `naive ratio` = "", check.names = FALSE)
  c("## Measured effects: human elements, each in two conditions", "",
    md_table(rbind(table, last)), "",
    paste0("Of IVW: tau ", short(row$tau), "; a new element's effect lies between ",
      short(row$pred.low), " and ", short(row$pred.high), " (95 % prediction). Pairs that share ",
      "an element (SORT1, TERT) are not independent, which the interval of the mean takes them ",
      "to be."), "")
}

if (is_script()) {
  finish_study(list(name = "deep_mr_models", cells = list_models, run = run_models,
    report = report_models))
}
