# Deep MR for all pairs of outputs: which acts on which, and at what distance.

#' A network of causal effects between the outputs of a model
#'
#' [deep_mr_effects()] for every ordered pair of outputs, with false discovery rates, both
#' directions beside each other and effects by the distance of two motifs.
#'
#' Each edge assumes what a single effect does: a mutation moves the outcome through the exposure
#' alone. Among many factors of the same sequences this fails without `sites`: a mutation in another
#' factor's motif that moves the exposure is taken for an instrument, though it may move the outcome
#' by itself (with B acting on A and C, the edge from A to C is found where there is none). With
#' `sites` only mutations within the exposure's own sites are instruments, and of sequences that
#' have a site of the outcome too, where the outcome is one with sites.
#'
#' @section Direction:
#' The first evidence is the two effects: mutations in the site of A move B, those in the site of B
#' do not move A. This is only as good as the sites, and a true effect that is missed because it is
#' small looks like a direction. The second, `asymmetry`, needs no sites: if A acts on B, all
#' mutations that move A move B in proportion, so that over them the squared uncentred correlation
#' of both effects (`agreement.ab`, mean over sequences) is near 1; among mutations that move B
#' there are also those of B's own motif, which leave A alone, and `agreement.ba` is less. The test
#' is of the difference. It is confused by a third factor that moves both by another ratio (lowers
#' both), by effects in both directions (a difference then says which is more), by sequences where B
#' has no motif of its own (both are 1), by outputs of which one is predicted with more noise, and
#' where nothing acts on anything both are about 0 and the difference is of noise: it is read only
#' where an effect is called. Comparing the shares of variance that mutations explain in both
#' outputs (Steiger) is not offered: where an effect is above 1 in standard deviations, as that of
#' Sox2 on Oct4, it points the wrong way.
#'
#' @section Distance:
#' Strata compare mean effects of sequences whose motifs lie near to each other or apart. They tell
#' whether an effect falls with distance, not by how much: on simulated factors whose effects fall
#' from 1.3 to .65 to .2, an ensemble of small networks that had the twelve mean effects right to a
#' tenth found .70, .59 and .44 (bench/deep_mr_factors.md). A network learns a site's mean effect
#' before it learns what its place changes, and effects of single sequences are then all drawn
#' towards the mean: 95 % intervals by members held .65 of them. Measured pairs show such errors.
#'
#' @param effects As in [deep_mr_effects()], with the effects of more outputs; or a model, as in
#'   [deep_mr()].
#' @param sequences Sequences, if a model is given.
#' @param outputs Names of the outputs whose pairs are asked; `NULL`: all.
#' @param edges Instead: a data.frame `exposure, outcome` of those to ask.
#' @param sites Where motifs are: a data.frame `sequence`, `output`, `start`, `end`, as
#'   [motif_sites()] returns; or, with a model, what it takes as `motifs`. Outputs without rows
#'   (accessibility) can be outcomes only.
#' @param distances A data.frame `sequence`, `exposure`, `outcome`, `distance`, where distances are
#'   known otherwise. `NULL`: with `sites`, the least between centres of the sites of both.
#' @param breaks Limits of the strata of distance, each to its upper limit.
#' @param pairs Measured pairs as in [deep_mr_effects()], or a list of them by the exposure's name
#'   (which mutants are in its site, `keep`, differs between exposures).
#' @param fdr False discovery rate at which an edge is called (Benjamini and Hochberg 1995).
#' @param allowance Mean effects that are no larger than this are not told from none: p-values of
#'   edges are of the hypothesis that the effect lies in `-allowance` to `allowance`. What all
#'   members of an ensemble have wrong no interval by members shows, and where nothing acts it is
#'   found as a small effect with a small p-value. In the published experiment the members' mean was
#'   off by .07 to .17 (root mean square; bench/deep_mr.md): .1 is a sound choice for effects near 1
#'   where there are no `pairs`.
#' @param type,positions,reverse_complement,n_dropout For a model, as in [deep_mr()].
#' @param ... Other arguments of [deep_mr_effects()]: `instruments` and `threshold` (with `sites`,
#'   of the mutations within them), `least`, `interval`, `method`, `conf_level`, .... `levels` need
#'   not be given with a model.
#' @param n_threads Number of threads; results do not depend on it.
#' @return A list of class `deep_mr_network`:
#'   * `edges`: data.frame `exposure, outcome, estimate` (mean effect), `std.error, statistic,
#'     p.value, q.value, conf.low, conf.high, tau` (SD of effects between sequences), `method` (of
#'     the mean effect, see [deep_mr_effects()]), `n_sequences` (with an effect), `called`;
#'   * `direction`: a row for each two outputs asked both ways: `a, b, effect.ab, q.ab, effect.ba,
#'     q.ba, agreement.ab, agreement.ba, asymmetry, std.error, p.value, direction` (by which effects
#'     are called: `"a to b"`, `"b to a"`, `"both"`, `"none"`);
#'   * `distance`: data.frame `exposure, outcome, stratum, low, high, mean_distance, estimate,
#'     std.error, p.value, conf.low, conf.high, n_sequences`;
#'   * `local`: the local effects of all edges with their `distance`;
#'   * `outputs`, `fdr`, `allowance`, `interval`, `conf_level`.
#'
#'   Raises `mrlearn_error_argument` and `mrlearn_error_data`; warns by
#'   `mrlearn_warning_no_interval` where nothing tells the error of effects.
#' @references Malina, S., Cizin, D., Knowles, D. A. (2022). Deep mendelian randomization. PLoS
#'   Comput. Biol. 18:e1009880. Benjamini, Y., Hochberg, Y. (1995). J. R. Stat. Soc. B 57:289.
#' @seealso [motif_sites()], [sim_factors()], [deep_mr_check()]
#' @examples
#' sim <- sim_factors(n = 40, length = 100, mutants = 0, seed = 1)
#' model <- seq_predictor(truth(sim)$oracle) # the simulator itself, without error
#' effects <- mutagenize(model, stats::setNames(sim$sequence, sim$id)[1:20])
#' effects$std.error <- 0.01
#' net <- deep_mr_network(effects, outputs = c("Sox2", "Oct4", "decoy1"),
#'   sites = truth(sim)$sites)
#' net
#' @export
deep_mr_network <- function(effects, sequences = NULL, outputs = NULL, edges = NULL, sites = NULL,
                            distances = NULL, breaks = c(0, 35, 70, 150), pairs = NULL,
                            fdr = 0.05, allowance = 0, type = c("link", "response"),
                            positions = NULL, reverse_complement = FALSE, n_dropout = 0, ...,
                            n_threads = mrl_threads()) {
  check_deep_dots(...)
  fdr <- check_number(fdr, min = 0, max = 1)
  allowance <- check_number(allowance, min = 0)
  n_threads <- check_threads(n_threads)
  given <- list(...)
  if (!is.data.frame(effects)) {
    if (is.list(sites) && !is.data.frame(sites)) {
      sites <- motif_sites(sequences, sites)
    }
    if (is.null(sequences)) {
      stop_argument("sequences", "must be given with a model", "NULL")
    }
    type <- check_choice(type, c("link", "response"))
    if (!is.null(pairs) && is.null(given$levels)) {
      given$levels <- model_levels(effects, sequences, type, reverse_complement, n_threads)
    }
    effects <- model_effects(effects, sequences, type, positions, reverse_complement, n_dropout,
      given$seed, n_threads)
  }
  effects <- check_deep_effects(effects)
  asked <- network_edges(edges, outputs, unique(effects$output))
  sites <- check_sites(sites, effects)
  distances <- check_distances(distances)
  breaks <- check_breaks(breaks)
  if (!is.null(effects[["member"]])) {
    used <- unique(c(asked$exposure, asked$outcome))
    effects <- gather_members(effects[effects$output %in% used, , drop = FALSE], used)
  }
  if (!is.null(sites)) {
    asked <- edges_with_sites(asked, sites)
  }
  each <- without_repeats(lapply(seq_len(nrow(asked)), function(i) {
    edge <- asked[i, ]
    one <- network_edge(effects, edge, sites, distances, pairs_of(pairs, edge), given, n_threads)
    c(one, list(strata = edge_strata(one, breaks)))
  }))
  assemble_network(each, effects, fdr, allowance, given, n_threads)
}

network_edges <- function(edges, outputs, known) {
  if (is.null(edges)) {
    outputs <- if (is.null(outputs)) known else outputs
    if (!is.character(outputs) || length(outputs) < 2L || anyDuplicated(outputs)) {
      stop_argument("outputs", "must be at least two different names", describe(outputs))
    }
    lapply(outputs, check_deep_output, known, "outputs")
    edges <- expand.grid(outcome = outputs, exposure = outputs, stringsAsFactors = FALSE)
    edges <- edges[edges$exposure != edges$outcome, ]
  }
  if (!is.data.frame(edges) || !nrow(edges) ||
    !all(c("exposure", "outcome") %in% names(edges))) {
    stop_argument("edges", "must be a data.frame with the columns exposure and outcome",
      describe(edges))
  }
  edges <- data.frame(exposure = as.character(edges$exposure),
    outcome = as.character(edges$outcome))
  lapply(unique(edges$exposure), check_deep_output, known, "edges$exposure")
  lapply(unique(edges$outcome), check_deep_output, known, "edges$outcome")
  if (any(edges$exposure == edges$outcome) || anyDuplicated(edges)) {
    stop_argument("edges", "must be different pairs of different outputs", "others")
  }
  edges
}

pairs_of <- function(pairs, edge) {
  if (is.null(pairs) || is.data.frame(pairs)) {
    return(pairs)
  }
  if (!is.list(pairs) || is.null(names(pairs))) {
    stop_argument("pairs", "must be a data.frame, or a list of them by the exposure's name",
      describe(pairs))
  }
  pairs[[edge$exposure]]
}

# What every edge would say again is said once.
without_repeats <- function(expr) {
  said <- character()
  once <- function(condition, restart) {
    text <- conditionMessage(condition)
    if (text %in% said) {
      invokeRestart(restart)
    }
    said <<- c(said, text)
  }
  withCallingHandlers(expr,
    mrlearn_warning = function(w) once(w, "muffleWarning"),
    mrlearn_message = function(m) once(m, "muffleMessage")
  )
}

# Frame, settings and result of one edge, the distance of each of its sequences.
network_edge <- function(effects, edge, sites, distances, pairs, given, n_threads) {
  rows <- effects$output %in% c(edge$exposure, edge$outcome)
  limits <- NULL
  if (!is.null(sites)) {
    x <- effects$effect[effects$output == edge$exposure]
    limits <- list(centre = mean(x), spread = stats::sd(x))
    rows <- rows & in_sites(effects, sites, edge)
  }
  frame <- if (any(rows)) {
    deep_frame(effects[rows, , drop = FALSE], edge$exposure, edge$outcome)
  }
  if (is.null(frame)) {
    return(list(edge = edge, frame = NULL))
  }
  settings <- do.call(deep_settings, c(list(frame, pairs = pairs, n_threads = n_threads), given))
  if (!is.null(sites) && settings$rule == "z") {
    of <- frame$seq_of
    z <- abs(frame$effect[frame$at$x + 1L] - limits$centre) / limits$spread
    frame <- keep_variants(frame, z >= settings$threshold &
      stats::ave(z, of, FUN = max) >= settings$strongest)
    settings$pairs <- strong_pairs(pairs, edge, limits, settings$threshold)
    settings[c("rule", "strongest")] <- list("none", 0)
  }
  distance <- edge_distances(frame$sequence, edge, sites, distances)
  fit <- if (length(frame$at$x) > 1L) deep_run(frame, settings)
  list(edge = edge, frame = frame, settings = settings, distance = distance, fit = fit)
}

# Pairs to calibrate on have a predicted effect on the exposure as instruments have it.
strong_pairs <- function(pairs, edge, limits, threshold) {
  if (!is.data.frame(pairs) || is.null(pairs[["effect"]])) {
    return(pairs) # what is wrong with them is told where they are used
  }
  key <- paste(pairs$sequence, pairs$mutant, sep = "\r")
  weak <- pairs$output == edge$exposure &
    abs(pairs$effect - limits$centre) < threshold * limits$spread
  kept <- if (is.null(pairs[["keep"]])) rep(TRUE, nrow(pairs)) else pairs$keep
  pairs$keep <- kept & !key %in% key[weak]
  pairs
}

# The frame with some of its variants; sequences that lose all of them stay.
keep_variants <- function(frame, keep) {
  frame$seq_of <- frame$seq_of[keep]
  frame$at <- list(x = frame$at$x[keep], y = frame$at$y[keep],
    start = c(0L, cumsum(tabulate(frame$seq_of, length(frame$sequence)))))
  frame
}

# The frame with some of its sequences.
keep_sequences <- function(frame, keep) {
  frame <- keep_variants(frame, keep[frame$seq_of])
  frame$seq_of <- cumsum(keep)[frame$seq_of]
  frame$sequence <- frame$sequence[keep]
  frame$at$start <- c(0L, cumsum(tabulate(frame$seq_of, length(frame$sequence))))
  frame
}

edge_strata <- function(one, breaks) {
  if (is.null(one$fit) || all(is.na(one$distance))) {
    return(NULL)
  }
  of <- cut(one$distance, breaks, labels = FALSE)
  each <- lapply(seq_along(breaks[-1]), function(s) {
    inside <- !is.na(of) & of == s
    frame <- keep_sequences(one$frame, inside)
    about <- data.frame(exposure = one$edge$exposure, outcome = one$edge$outcome,
      stratum = paste0(format(breaks[s]), "-", format(breaks[s + 1L])), low = breaks[s],
      high = breaks[s + 1L],
      mean_distance = if (any(inside)) mean(one$distance[inside]) else NA_real_)
    if (length(frame$at$x) < 2L) {
      return(cbind(about, empty_mean()))
    }
    settings <- one$settings
    settings$pairs <- settings$pairs[settings$pairs$sequence %in% frame$sequence, ]
    if (!NROW(settings$pairs)) {
      settings["pairs"] <- list(NULL)
    }
    settings$interval <- if (is.null(frame$members)) "none" else "member_plain"
    cbind(about, mean_effect(deep_run(frame, settings)))
  })
  do.call(rbind, each)
}

# One row with the mean effect to use: of the global rows the main one, else the naive one's slope.
# The p-value is that of the end of -allowance to allowance that is nearer to the estimate.
mean_effect <- function(fit, allowance = 0) {
  main <- which(fit$global$main)
  first <- fit$local[fit$local$method == fit$local$method[1], ]
  known <- !is.na(first$estimate)
  if (!length(main)) {
    out <- empty_mean()
    out$estimate <- if (any(known)) mean(first$estimate[known]) else NA_real_
    out$n_sequences <- sum(known)
    return(out)
  }
  d <- fit$global[main, ]
  statistic <- d$estimate / d$std.error
  tau <- fit$global$tau[!is.na(fit$global$tau)][1]
  data.frame(estimate = d$estimate, std.error = d$std.error, statistic = statistic,
    p.value = interval_p(d$estimate, d$std.error, d$df, allowance), conf.low = d$conf.low,
    conf.high = d$conf.high, tau = tau, method = d$method, n_sequences = sum(known))
}

# Both tails of the law around an end of the interval, beyond the estimate.
interval_p <- function(estimate, std_error, df, allowance) {
  if (allowance == 0) {
    return(meta_p(estimate / std_error, df))
  }
  beyond <- function(x) stats::pt(x / std_error, df, lower.tail = FALSE)
  pmin(beyond(abs(estimate) - allowance) + beyond(abs(estimate) + allowance), 1)
}

empty_mean <- function() {
  data.frame(estimate = NA_real_, std.error = NA_real_, statistic = NA_real_, p.value = NA_real_,
    conf.low = NA_real_, conf.high = NA_real_, tau = NA_real_, method = NA_character_,
    n_sequences = 0L)
}

assemble_network <- function(each, effects, fdr, allowance, given, n_threads) {
  edges <- do.call(rbind, lapply(each, function(one) {
    cbind(one$edge, if (is.null(one$fit)) empty_mean() else mean_effect(one$fit, allowance))
  }))
  edges$q.value <- stats::p.adjust(edges$p.value, "BH")
  edges$called <- !is.na(edges$q.value) & edges$q.value <= fdr
  first <- c("exposure", "outcome", "estimate", "std.error", "statistic", "p.value", "q.value")
  edges <- edges[c(first, setdiff(names(edges), first))]
  row.names(edges) <- NULL
  strata <- do.call(rbind, lapply(each, `[[`, "strata"))
  if (!is.null(strata)) {
    strata <- strata[setdiff(names(strata), c("statistic", "tau", "method"))]
    row.names(strata) <- NULL
  }
  fitted <- Filter(function(one) !is.null(one$fit), each)
  if (!length(fitted)) {
    stop_mrl("data", "No pair of outputs has a sequence with instruments.")
  }
  settings <- fitted[[1]]$settings
  local <- do.call(rbind, lapply(fitted, function(one) {
    d <- one$fit$local
    cbind(d, distance = one$distance[match(d$sequence, one$frame$sequence)])
  }))
  row.names(local) <- NULL
  structure(class = "deep_mr_network", list(
    edges = edges, direction = network_directions(edges, effects, given, n_threads),
    distance = strata, local = local, outputs = unique(c(edges$exposure, edges$outcome)),
    fdr = fdr, allowance = allowance, interval = fitted[[1]]$fit$interval,
    conf_level = settings$conf_level
  ))
}
