# Published models against predictions recorded in double. The core computes in float: 1e-5 of the
# largest output is some hundred roundings of sums of up to 16,000 products.
tolerance <- 1e-5

check_predictions <- function(model, dir, what, prefix = "predictions_") {
  recorded <- reference(dir, what, prefix)
  found <- predict(model, recorded$sequences)
  expect_identical(found$sequence, names(recorded$sequences))
  expect_lt(relative_error(as.matrix(found[-1]), recorded$values), tolerance)
}

# Recorded saturation mutagenesis: id, position, letters, one column for each output. The scale is
# that of the outputs themselves, of which effects are differences.
check_mutagenesis <- function(model, dir, file, positions = NULL) {
  recorded <- utils::read.csv(file.path(dir, file), colClasses = c(ref = "character",
    alt = "character"))
  sequences <- read_fasta(file.path(dir, "ism3.fa"))
  found <- mutagenize(model, sequences, positions = positions)
  key <- function(x, position) paste(x[[1]], x[[position]], x$ref, x$alt)
  n <- length(model$output_names)
  at <- match(key(recorded, "pos"), key(found, "position")[seq(1, nrow(found), n)])
  expect_false(anyNA(at))
  expect_identical(nrow(recorded) * n, nrow(found))
  effect <- t(matrix(found$effect, n))[at, , drop = FALSE]
  scale <- apply(abs(as.matrix(predict(model, sequences)[-1])), 2, max)
  error <- abs(effect - as.matrix(recorded[-(1:4)])) / rep(scale, each = nrow(recorded))
  expect_lt(max(error), tolerance)
}

test_that("MPRA-DragoNN predicts and mutates as recorded", {
  dir <- shared_data("models", "mpra_dragonn")
  model <- mpra_model()
  for (what in c("random20", "real20", "edge5")) {
    check_predictions(model, dir, what)
  }
  check_mutagenesis(model, dir, "ism3.csv.gz")
})

test_that("the GATA and TAL1 model and its ensemble predict and mutate as recorded", {
  dir <- shared_data("models", "tal1_gata_sim")
  dirs <- c(dir, file.path(dir, "ensemble", paste0("member", 1:3)))
  for (dir in dirs) {
    model <- tal1_model(dir)
    for (what in c("random20", "real20", "edge5")) {
      check_predictions(model, dir, what)
    }
    check_mutagenesis(model, dir, "ism3.csv.gz")
  }
  probabilities <- tal1_model(dirs[1], probability = TRUE)
  check_predictions(probabilities, dirs[1], "random20", "predictions_prob_")
})

# Area under the ROC curve: the share of pairs in order.
auroc <- function(score, label) {
  rank <- rank(score)
  n <- c(sum(label), sum(!label))
  (sum(rank[label]) - n[1] * (n[1] + 1) / 2) / prod(n)
}

test_that("the GATA and TAL1 model tells its 800 test sequences apart as published", {
  dir <- shared_data("models", "tal1_gata_sim")
  recorded <- utils::read.csv(file.path(dir, "predictions_logit_all_test800.csv"))
  sequences <- read_fasta(file.path(dir, "all_test800.fa"))
  found <- as.matrix(predict(tal1_model(), sequences)[-1])
  expect_lt(relative_error(found, as.matrix(recorded[-1])), tolerance)
  text <- grep("^>", readLines(file.path(dir, "all_test800.fa")), value = TRUE)
  label <- do.call(rbind, strsplit(sub(".*labels=([01/]+).*", "\\1", text), "/")) == "1"
  areas <- vapply(1:3, function(j) auroc(found[, j], label[, j]), 0)
  # floats may exchange neighbours: one pair of some 100,000
  expect_equal(areas, c(0.9891813919942, 0.9884463000577, 0.9970644319550), tolerance = 1e-5)
})

test_that("the BPNet example predicts and mutates as recorded", {
  dir <- shared_data("models", "bpnet_lite_example")
  model <- bpnet_model()
  check_predictions(model, dir, "random20")
  check_predictions(model, dir, "real20")
  check_mutagenesis(model, dir, "ism3_central200.csv.gz", 958:1157)
})

test_that("the BPNet example's profile is as recorded", {
  dir <- shared_data("models", "bpnet_lite_example")
  recorded <- utils::read.csv(gzfile(file.path(dir, "profile_logits_random20_first3.csv.gz")))
  sequences <- reference(dir, "random20")$sequences[1:3]
  model <- bpnet_model("profile", NULL)
  found <- as.matrix(predict(model, sequences)[-1])
  logits <- aperm(array(found, c(3, 2, 1000)), c(3, 2, 1))
  values <- as.matrix(recorded[, ncol(recorded) - 1:0])
  long <- rbind(logits[, , 1], logits[, , 2], logits[, , 3])
  expect_identical(dim(values), dim(long))
  expect_lt(relative_error(long, values), tolerance)
})
