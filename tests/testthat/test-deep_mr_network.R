# Networks of effects: against the simulator's truth, single edges, and slow versions.

# Effects of the simulator's own oracle on outputs, with members that err by `error`.
oracle_effects <- function(n = 40, error = 0.02, seed = 1, effects = NULL) {
  sim <- sim_factors(n = n, length = 120, decoys = 1, mutants = 0, effects = effects, seed = seed)
  model <- seq_predictor(truth(sim)$oracle)
  out <- mutagenize(model, stats::setNames(sim$sequence, sim$id))
  set.seed(seed)
  # Each member's errors: a part that all effects of an output share, and one of its own.
  out$members <- vapply(1:4, function(k) {
    shared <- stats::rnorm(length(truth(sim)$outputs), sd = error)
    out$effect * (1 + shared[match(out$output, truth(sim)$outputs)]) +
      stats::rnorm(nrow(out), sd = error / 4)
  }, out$effect)
  out$effect <- rowMeans(out$members)
  out$std.error <- apply(out$members, 1, stats::sd)
  list(effects = out, sim = sim, sites = truth(sim)$sites)
}

few <- oracle_effects(n = 24)

test_that("the simulator's network is found, its decoys are not", {
  data <- oracle_effects(n = 50)
  net <- deep_mr_network(data$effects, sites = data$sites)
  expect_equal(nrow(net$edges), 20)
  tr <- truth(data$sim)$network
  both <- merge(net$edges, tr)
  true <- both$nominal > 0
  expect_true(all(both$called[true]))
  # At a rate of 5 %, of 12 true edges with far smaller p-values .3 of 8 others on average; three
  # or more by chance in less than 1 %.
  expect_lt(sum(both$called[!true]), 3)
  # Means over about 20 sequences differ from those of the simulator by sequences whose site is
  # weak, which have no instruments: SD .5 of the mean between sequences, .1 of the mean's.
  expect_lt(max(abs(both$estimate / both$effect - 1)[true]), 0.35)
  local <- merge(net$local, transform(truth(data$sim)$effects, sequence = as.character(id),
    true = effect, apart = distance))
  known <- !is.na(local$estimate)
  # Slopes of one output's members err by .02 / sqrt(4) together and twice that is rare.
  expect_lt(stats::median(abs(local$estimate - local$true)[known & local$true > 0]), 0.05)
  expect_equal(local$distance, as.double(local$apart))
  sox <- net$distance[net$distance$exposure == "Sox2" & net$distance$outcome == "Oct4", ]
  expect_equal(sox$stratum, c("0-35", "35-70", "70-150"))
  expect_true(all(diff(sox$estimate) < 0))
})

test_that("an edge is what deep_mr_effects() says of the same variants", {
  data <- few
  net <- deep_mr_network(data$effects, outputs = c("Sox2", "Nanog"))
  alone <- deep_mr_effects(data$effects, "Sox2", "Nanog")
  edge <- net$edges[net$edges$exposure == "Sox2", ]
  main <- alone$global[alone$global$main, ]
  expect_equal(edge$estimate, main$estimate)
  expect_equal(edge$std.error, main$std.error)
  expect_equal(edge$p.value, 2 * stats::pt(-abs(main$estimate / main$std.error), main$df))
  expect_equal(net$edges$q.value, stats::p.adjust(net$edges$p.value, "BH"))

  with <- deep_mr_network(data$effects, outputs = c("Sox2", "Nanog"), sites = data$sites)
  x <- data$effects$output == "Sox2"
  moved <- data$effects[x, ]
  strong <- abs(moved$effect - mean(moved$effect)) >= stats::sd(moved$effect)
  inside <- vapply(seq_len(nrow(moved)), function(i) {
    s <- data$sites[data$sites$sequence == moved$sequence[i], ]
    mine <- s[s$output == "Sox2", ]
    any(s$output == "Nanog") && nrow(mine) == 1L && moved$position[i] >= mine$start &&
      moved$position[i] <= mine$end
  }, NA)
  key <- paste(moved$sequence, moved$position, moved$alt)[strong & inside]
  chosen <- paste(data$effects$sequence, data$effects$position, data$effects$alt) %in% key
  slow <- deep_mr_effects(data$effects[chosen, ], "Sox2", "Nanog", instruments = "none")
  main <- slow$global[slow$global$main, ]
  edge <- with$edges[with$edges$exposure == "Sox2", ]
  expect_equal(edge$estimate, main$estimate)
  expect_equal(edge$conf.high, main$conf.high)
  near <- with$local$sequence[with$local$exposure == "Sox2" & with$local$distance <= 35 &
    with$local$distance > 0]
  slow <- deep_mr_effects(data$effects[chosen & data$effects$sequence %in% near, ], "Sox2",
    "Nanog", instruments = "none")
  stratum <- with$distance[with$distance$exposure == "Sox2" & with$distance$high == 35, ]
  expect_equal(stratum$estimate, slow$global$estimate[slow$global$main])
})

test_that("an allowance is what effects must exceed", {
  ask <- function(allowance) {
    deep_mr_network(few$effects, sites = few$sites, allowance = allowance)$edges
  }
  none <- ask(0)
  some <- ask(0.4)
  t <- none$estimate / none$std.error
  df <- 3 # of four members
  expect_equal(none$p.value, 2 * stats::pt(-abs(t), df), tolerance = 1e-12)
  # At an end of the interval the other tail is far away; beyond both ends it is no more than 1.
  ends <- rbind(abs(none$estimate) - 0.4, abs(none$estimate) + 0.4) / rep(none$std.error, each = 2)
  expect_equal(some$p.value, pmin(colSums(stats::pt(ends, df, lower.tail = FALSE)), 1),
    tolerance = 1e-12)
  expect_true(all(some$p.value[abs(none$estimate) < 0.4] > 0.5))
  expect_lt(sum(some$called), sum(none$called))
  expect_identical(some[c("estimate", "conf.low")], none[c("estimate", "conf.low")])
  expect_equal(ask(1e-12)$p.value, none$p.value, tolerance = 1e-6)
})

test_that("without sites another factor's mutations are taken for instruments, with them not", {
  names <- c("A", "B", "C")
  effects <- matrix(0, 3, 3, dimnames = list(names, names))
  effects["B", c("A", "C")] <- 1
  data <- oracle_effects(n = 40, effects = effects, seed = 5)
  edge <- function(...) {
    net <- deep_mr_network(data$effects, edges = data.frame(exposure = "A", outcome = "C"), ...)
    net$edges$estimate
  }
  expect_gt(edge(), 0.1)
  expect_lt(abs(edge(sites = data$sites)), 0.05)
})

test_that("directions: by the effects called, and by agreement without sites", {
  names <- c("A", "B")
  effects <- matrix(c(0, 0, 1, 0), 2, dimnames = list(names, names)) # A on B
  data <- oracle_effects(n = 40, effects = effects, seed = 2)
  net <- deep_mr_network(data$effects, sites = data$sites)
  d <- net$direction[net$direction$a == "A" & net$direction$b == "B", ]
  expect_equal(d$direction, "a to b")
  expect_gt(d$agreement.ab, d$agreement.ba + 0.1)
  expect_lt(d$p.value, 0.05)
  turned <- deep_mr_network(data$effects, outputs = c("B", "A"))$direction
  expect_equal(turned$asymmetry, -d$asymmetry)
  x <- data$effects[data$effects$output == "A", ]
  y <- data$effects[data$effects$output == "B", ]
  moves <- function(v) abs(v - mean(v)) >= stats::sd(v)
  slow <- vapply(split(seq_len(nrow(x)), factor(x$sequence, unique(x$sequence))), function(i) {
    ia <- i[moves(x$effect)[i]]
    ib <- i[moves(y$effect)[i]]
    if (min(length(ia), length(ib)) < 3L) {
      return(NA)
    }
    r2 <- function(i) sum(x$effect[i] * y$effect[i])^2 / sum(x$effect[i]^2) / sum(y$effect[i]^2)
    r2(ia) - r2(ib)
  }, 1)
  expect_equal(d$asymmetry, mean(slow, na.rm = TRUE))
})

test_that("sites are where matrices score, on both strands, once", {
  motif <- matrix(0.01, 6, 4)
  motif[cbind(1:6, c(1, 3, 4, 2, 1, 1))] <- 0.97 # AGTCAA
  found <- motif_sites(c(a = "TTTAGTCAATTTTT", b = "TTTTTTTTGACTTT", c = "TTTTTTTTTTTTTT"),
    list(m = motif))
  expect_equal(found$sequence, c("a", "b"))
  expect_equal(found$start, c(4L, 7L))
  expect_equal(found$end, c(9L, 12L))
  expect_equal(found$strand, c("+", "-"))
  expect_equal(found$score, rep(6 * log2((0.97 + 1e-5) / (1 + 4e-5) / 0.25), 2))
  expect_equal(nrow(motif_sites(c(b = "TTTTTTTTGACTTT"), list(m = motif), both_strands = FALSE)), 0)
  repeats <- matrix(rep(c(0.97, 0.01, 0.01, 0.01), each = 4), 4)
  expect_equal(nrow(motif_sites(c(a = "CCAAAAAACC"), list(m = repeats))), 1)
  sim <- sim_factors(n = 50, length = 120, mutants = 0, mismatch = 0, seed = 1)
  s <- motif_sites(stats::setNames(sim$sequence, sim$id), truth(sim)$motifs, both_strands = FALSE)
  key <- function(d) sort(paste(d$sequence, d$output, d$start, d$end))
  expect_equal(key(s), key(truth(sim)$sites))
})

test_that("distances can be given, pairs by exposure, and measured effects do", {
  data <- few
  measured <- data$effects[data$effects$output %in% c("Oct4", "Sox2"), names(data$effects) !=
    "members"]
  measured$std.error <- 0.05
  distances <- data.frame(sequence = as.character(1:24), exposure = "Sox2", outcome = "Oct4",
    distance = c(rep(10, 12), rep(100, 12)))
  net <- deep_mr_network(measured, distances = distances)
  expect_equal(unique(net$edges$method), "random effects")
  expect_equal(sum(net$distance$n_sequences > 0), 2)
  expect_equal(sum(net$distance$n_sequences), net$edges$n_sequences[net$edges$exposure == "Sox2"])
  set.seed(1)
  pairs <- toy_pairs()
  pairs$output <- c(x = "Sox2", y = "Oct4")[pairs$output]
  edge <- data.frame(exposure = "Sox2", outcome = "Oct4")
  given <- deep_mr_network(data$effects, edges = edge, pairs = list(Sox2 = pairs))
  whole <- deep_mr_network(data$effects, edges = edge, pairs = pairs)
  expect_equal(given$edges$method, "pair-IV")
  expect_equal(given$edges, whole$edges)
  # With sites, pairs with weak predicted effects do not count, as without.
  sited <- deep_mr_network(data$effects, edges = edge, pairs = pairs, sites = data$sites)
  x <- data$effects$effect[data$effects$output == "Sox2"]
  mine <- pairs[pairs$output == "Sox2", ]
  strong <- mine$keep & abs(mine$effect - mean(x)) >= stats::sd(x)
  expect_equal(sited$edges$estimate, {
    y <- pairs[pairs$output == "Oct4", ]
    sum(mine$effect[strong] * y$observed[strong]) / sum(mine$effect[strong] * mine$observed[strong])
  })
  expect_error(deep_mr_network(data$effects, edges = edge, sites = data$sites, strongest = 1e3),
    "has a sequence with instruments", class = "mrlearn_error_data")
})

test_that("results print, tidy and draw", {
  data <- few
  net <- deep_mr_network(data$effects, outputs = c("Sox2", "Oct4", "decoy1"), sites = data$sites)
  expect_snapshot(print(net, digits = 2))
  edges <- tidy(net, conf.int = TRUE)
  expect_equal(edges$term[1], "Sox2 -> Oct4")
  expect_true(all(c("estimate", "p.value", "q.value", "conf.low") %in% names(edges)))
  expect_equal(nrow(tidy(net, "direction")), 3)
  expect_equal(nrow(tidy(net, "distance")), 18)
  expect_equal(nrow(tidy(net, "local")), nrow(net$local))
  grDevices::pdf(NULL)
  on.exit(grDevices::dev.off())
  expect_equal(nrow(plot(net)), 6)
  expect_true(all(plot(net, "distance")$estimate != 0))
  skip_if_not_installed("ggplot2")
  expect_s3_class(ggplot2::ggplot_build(ggplot2::autoplot(net))$plot, "ggplot")
  expect_s3_class(ggplot2::ggplot_build(ggplot2::autoplot(net, "distance"))$plot, "ggplot")
})

test_that("bad input is refused by class", {
  set.seed(1)
  effects <- toy_effects()
  bad <- function(...) expect_error(deep_mr_network(effects, ...), class = "mrlearn_error_argument")
  bad(outputs = "x")
  bad(outputs = c("x", "z"))
  bad(edges = data.frame(exposure = "x", outcome = "x"))
  bad(breaks = c(3, 1))
  bad(sites = 1)
  bad(pairs = 1)
  bad(foo = 1)
  bad(allowance = -1)
  expect_error(deep_mr_network(effects, sites = data.frame(sequence = "s1", output = "z", start = 1,
    end = 2)), class = "mrlearn_error_data")
  expect_error(deep_mr_network(seq_predictor(nchar)), "`sequences` must be given",
    class = "mrlearn_error_argument")
  expect_error(motif_sites("ACGT", list(matrix(1, 2, 4))), class = "mrlearn_error_argument")
  one <- effects[setdiff(names(effects), c("members", "std.error"))]
  warned <- testthat::capture_warnings(net <- deep_mr_network(one))
  expect_length(warned, 1)
  expect_true(all(is.na(net$edges$p.value)) && !any(net$edges$called))
  expect_false(anyNA(net$edges$estimate))
  expect_error(tidy(net, "distance"), class = "mrlearn_error_argument")
  expect_error(plot(net, "distance"), class = "mrlearn_error_argument")
})
