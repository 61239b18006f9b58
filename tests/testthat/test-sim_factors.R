# The simulator of factors that recruit each other: its truths are its own oracle's.

test_that("true effects are slopes over the letters of the exposure's site", {
  sim <- sim_factors(n = 60, length = 120, mutants = 0, seed = 3)
  tr <- truth(sim)
  oracle <- tr$oracle
  some <- tr$effects[tr$effects$exposure == "Sox2" & tr$effects$outcome %in% c("Oct4", "decoy1"), ]
  expect_gt(nrow(some), 20)
  slopes <- vapply(seq_len(nrow(some)), function(i) {
    site <- tr$sites[tr$sites$sequence == some$id[i] & tr$sites$output == "Sox2", ]
    whole <- sim$sequence[some$id[i]]
    mutants <- unlist(lapply(site$start:site$end, function(at) {
      vapply(c("A", "C", "G", "T"), function(letter) {
        substr(whole, at, at) <- letter
        whole
      }, "")
    }))
    change <- sweep(oracle(mutants), 2, oracle(whole)[1, ])
    x <- change[, "Sox2"]
    if (sum(x^2) < 1e-8) NA else sum(x * change[, some$outcome[i]]) / sum(x^2)
  }, 1)
  known <- !is.na(slopes)
  expect_gt(mean(known), 0.7)
  expect_equal(slopes[known], some$effect[known], tolerance = 1e-10)
  expect_true(any(some$effect > 1) && any(some$effect == 0))
})

test_that("the design says what it says", {
  sim <- sim_factors(n = 2000, mutants = 0.1, seed = 1)
  tr <- truth(sim)
  expect_equal(nrow(sim), 2200)
  expect_equal(tr$outputs, c("Oct4", "Sox2", "Nanog", "Klf4", "decoy1", "decoy2"))
  # Effects by distance have an SD of about half of the mean; each is a mean over .36 x 2000
  # sequences: a standard error of .02 of it. Sites beside a third one are a little nearer than
  # two alone, hence .1.
  net <- tr$network[tr$network$nominal > 0, ]
  expect_equal(nrow(net), 12)
  expect_lt(max(abs(net$effect / net$nominal - 1)), 0.1)
  expect_true(all(tr$network$effect[tr$network$nominal == 0] == 0))
  # Normal errors of .3: the SD of 13,200 has a standard error of .0018.
  expect_lt(abs(sd(sim$label - tr$signal) - 0.3), 0.008)
  changed <- mapply(function(a, b) sum(a != b), strsplit(sim$sequence[2001:2200], ""),
    strsplit(sim$sequence[sim$parent[2001:2200]], ""))
  expect_true(all(changed == 1))
  expect_identical(sim, sim_factors(n = 2000, mutants = 0.1, seed = 1))
  expect_equal(tr$oracle(sim$sequence[1:20]), tr$signal[1:20, ])
})

test_that("outputs without sites, binary labels and no decay", {
  effects <- rbind(A = c(open = 0.6), B = c(open = 0), C = c(open = 0.8))
  sim <- sim_factors(n = 500, length = 100, effects = effects, decoys = 1, decay = Inf,
    labels = "binary", mutants = 0, seed = 1)
  tr <- truth(sim)
  expect_equal(colnames(sim$label), c("A", "B", "C", "decoy1", "open"))
  expect_true(all(sim$label %in% 0:1))
  expect_equal(unique(tr$effects$effect[tr$effects$exposure == "A" & tr$effects$outcome == "open"]),
    0.6)
  # Counts of 500 with the expected probabilities: their mean has a standard error below .023.
  expect_lt(max(abs(colMeans(sim$label) - colMeans(plogis(-3 + 5 * tr$signal)))), 0.09)
})

test_that("what does not fit is refused", {
  expect_error(sim_factors(length = 50), class = "mrlearn_error_argument")
  expect_error(sim_factors(effects = diag(2)), class = "mrlearn_error_argument")
  names <- c("A", "B")
  expect_error(sim_factors(effects = matrix(1, 2, 2, dimnames = list(names, names))),
    "on itself", class = "mrlearn_error_argument")
  expect_error(sim_factors(decay = 0), class = "mrlearn_error_argument")
})
