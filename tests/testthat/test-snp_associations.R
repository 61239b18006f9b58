association_data <- function(n = 300, p = 24, seed = 1) {
  set.seed(seed)
  g <- matrix(rbinom(n * p, 2, rep(runif(p, 0.05, 0.5), each = n)), n,
    dimnames = list(paste0("i", seq_len(n)), paste0("rs", seq_len(p))))
  people <- data.frame(age = rnorm(n), sex = rbinom(n, 1, 0.5), family = rep(seq_len(n / 5), 5))
  people$y <- drop(g[, 1:3] %*% c(0.3, -0.2, 0.2)) + 0.5 * people$age + rnorm(n)
  people$z <- rnorm(n)
  people$case <- as.numeric(runif(n) < plogis(people$y - 1))
  g[sample(length(g), length(g) / 20)] <- NA
  people$y[3] <- NA
  people$age[7] <- NA
  list(g = g, people = people, bed = bed(write_bed(g, tempfile())))
}

slow_association <- function(d, trait, j, family = "linear") {
  formula <- as.formula(paste(trait, "~ d$g[, j] + age + sex"))
  fit <- if (family == "linear") {
    lm(formula, d$people)
  } else {
    glm(formula, binomial, d$people, control = list(epsilon = 1e-14))
  }
  unname(summary(fit)$coefficients[2, c(1, 2, 4)])
}

test_that("linear and logistic rows are those of lm and glm on complete cases", {
  d <- association_data()
  got <- suppressMessages(snp_associations(d$bed, d$people, c("y", "z"), covariates = ~ age + sex))
  for (trait in c("y", "z")) {
    expected <- t(sapply(seq_len(ncol(d$g)), function(j) slow_association(d, trait, j)))
    # Least squares on well-conditioned columns: rounding of some hundred additions.
    expect_equal(as.matrix(got[got$trait == trait, c("beta", "se", "pval")]), expected,
      tolerance = 1e-11, ignore_attr = TRUE)
  }
  logistic <- suppressMessages(snp_associations(d$bed, d$people, "case",
    covariates = c("age", "sex"), family = "logistic"))
  expected <- t(sapply(seq_len(ncol(d$g)), function(j) slow_association(d, "case", j, "logistic")))
  # Both stop where Newton's step is below 1e-8, whose square is the error.
  expect_equal(as.matrix(logistic[c("beta", "se", "pval")]), expected, tolerance = 1e-8,
    ignore_attr = TRUE)
  expect_equal(logistic$eaf, colMeans(d$g[!is.na(d$people$age), ], na.rm = TRUE) / 2,
    ignore_attr = TRUE)
})

test_that("imputing the mean instead is not what is done", {
  d <- association_data()
  filled <- apply(d$g, 2, function(v) ifelse(is.na(v), mean(v, na.rm = TRUE), v))
  exact <- suppressMessages(snp_associations(d$bed, d$people, "z"))
  imputed <- snp_associations(filled, d$people, "z")
  expect_gt(max(abs(exact$se / imputed$se - 1)), 1e-3)
})

test_that("robust and clustered errors are those of sandwich", {
  skip_if_not_installed("sandwich")
  d <- association_data()
  errors <- function(...) {
    suppressMessages(snp_associations(d$bed, d$people, "y", covariates = ~ age + sex, ...))$se
  }
  slow <- function(f) {
    sapply(seq_len(ncol(d$g)), function(j) {
      data <- cbind(d$people, g = d$g[, j])
      data <- data[complete.cases(data), ]
      fit <- lm(y ~ g + age + sex, data)
      sqrt(f(fit, data)["g", "g"])
    })
  }
  expect_equal(errors(vcov = "HC0"), slow(function(f, d) sandwich::vcovHC(f, "HC0")),
    tolerance = 1e-11)
  expect_equal(errors(vcov = "HC1"), slow(function(f, d) sandwich::vcovHC(f, "HC1")),
    tolerance = 1e-11)
  expect_equal(errors(cluster = "family"),
    slow(function(f, d) sandwich::vcovCL(f, d$family, type = "HC1")), tolerance = 1e-11)
})

test_that("files, matrices, dosages, selections and orders agree", {
  d <- association_data()
  one <- suppressMessages(snp_associations(d$bed, d$people, "y", covariates = ~age))
  two <- suppressMessages(snp_associations(d$g, d$people, "y", covariates = ~age,
    variants = d$bed$variants))
  expect_equal(one, two, tolerance = 1e-12)
  # A selection of people in another order, matched by name, is the same as those rows alone.
  d$people$iid <- rownames(d$g)
  some <- sample(nrow(d$g), 150)
  part <- suppressMessages(snp_associations(d$bed, d$people[some, ], "y", covariates = ~age))
  unnamed <- d$people[some, names(d$people) != "iid"]
  alone <- suppressMessages(snp_associations(d$g[some, ], unnamed, "y", covariates = ~age,
    variants = d$bed$variants))
  expect_equal(part, alone, tolerance = 1e-11)
  # Scale and origin of trait and dosage.
  scaled <- d$people
  scaled$y <- 100 + 10 * scaled$y
  three <- suppressMessages(snp_associations(d$g / 2, scaled, "y", covariates = ~age))
  expect_equal(three$beta, 20 * one$beta, tolerance = 1e-11)
  expect_equal(three$pval, one$pval, tolerance = 1e-9)
})

test_that("threads, instruction sets and many columns do not change a bit of packed results", {
  set.seed(2)
  n <- 3000 # enough genotypes for several threads
  g <- matrix(rbinom(n * 1500, 2, 0.3), n)
  g[sample(length(g), 5000)] <- NA
  genotypes <- bed(write_bed(g, tempfile()))
  people <- as.data.frame(matrix(rnorm(n * 9), n))
  run <- function(n_threads) {
    snp_associations(genotypes, people, paste0("V", 1:7), covariates = ~ V8 + V9,
      n_threads = n_threads)
  }
  one <- run(1)
  expect_identical(run(2), one)
  expect_identical(run(3), one)
  for (isa in c("portable", "avx2")) {
    withr::local_options(mrlearn.isa = isa)
    expect_identical(run(2), one)
  }
  expect_identical(one[one$trait == "V3", -1]$beta,
    snp_associations(genotypes, people, "V3", covariates = ~ V8 + V9)$beta)
})

test_that("rows without an estimate say why", {
  set.seed(3)
  n <- 60
  g <- cbind(0, NA, rbinom(n, 2, 0.4), rep(0:1, each = n / 2), rbinom(n, 2, 0.3), 0)
  g[1:2, 6] <- c(1, NA)
  g[-(1:4), 3] <- NA
  g[1:4, 3] <- c(0, 1, 2, 1)
  w <- g[, 5] * 2 + 1
  people <- data.frame(y = rnorm(n), case = rep(0:1, each = n / 2), w, v = rnorm(n), u = rnorm(n))
  genotypes <- bed(write_bed(g, tempfile()))
  linear <- snp_associations(genotypes, people, "y", covariates = ~ w + v + u)
  expect_identical(linear$reason,
    c("monomorphic", "all missing", "too few people", NA, "collinear with covariates", NA))
  expect_identical(is.na(linear$beta), !is.na(linear$reason))
  expect_identical(is.na(linear$pval), !is.na(linear$reason))
  expect_identical(linear$samplesize, c(60, 0, 4, 60, 60, 59))
  logistic <- snp_associations(genotypes, people, "case", family = "logistic")
  expect_identical(logistic$reason[c(1, 2, 4, 5, 6)],
    c("monomorphic", "all missing", "separated", NA, "separated"))
  people$y[!is.na(g[, 3])] <- 0
  constant <- snp_associations(genotypes, people, "y")
  expect_identical(constant$reason[3], "constant trait")
  # A covariate that is a copy is left out, and said.
  people$w2 <- people$w
  expect_message(again <- snp_associations(genotypes, people, "y", covariates = ~ v + w + w2),
    class = "mrlearn_message_collinear")
  expect_equal(again, snp_associations(genotypes, people, "y", covariates = ~ v + w),
    tolerance = 1e-12)
})

test_that("individual data to summary effects to a causal effect: close to 2SLS", {
  set.seed(4)
  n <- 6000
  p <- 12
  g <- matrix(rbinom(n * p, 2, 0.35), n, dimnames = list(NULL, paste0("g", seq_len(p))))
  u <- rnorm(n)
  x <- drop(g %*% rep(0.25, p)) + u + rnorm(n)
  people <- data.frame(x, y = 0.4 * x - u + rnorm(n), age = rnorm(n))
  genotypes <- bed(write_bed(g, tempfile()))
  dat <- snp_associations(genotypes, people, exposure = "x", outcome = c("y", "age"))
  ours <- mr_estimate(dat, "mr_ivw")
  fit <- iv_2sls(y ~ x | g, data = c(people, list(g = g)))
  # With independent variants IVW weighs the ratios as 2SLS does but for sample correlations of
  # variants, of size 1/sqrt(n): the estimates differ by a small share of their standard error.
  expect_lt(abs(ours$b[1] - coef(fit)[["x"]]), 0.25 * ours$se[1])
  expect_lt(abs(ours$b[1] - 0.4), 4 * ours$se[1])
  observed <- coef(lm(y ~ x, people))[["x"]]
  expect_gt(abs(observed - 0.4), 10 * ours$se[1])
  expect_identical(ours$outcome, c("y", "age"))
  needed <- c("SNP", "effect_allele.exposure", "other_allele.outcome", "eaf.exposure",
    "samplesize.outcome", "pval.exposure", "id.exposure", "action", "mr_keep", "palindromic")
  expect_true(all(needed %in% names(dat)))
  expect_true(all(dat$action == 1 & dat$mr_keep))
  # Half of the people know the exposure, the others the outcome: two samples.
  people$x[1:3000] <- NA
  people$y[3001:6000] <- NA
  split <- suppressMessages(snp_associations(genotypes, people, exposure = "x", outcome = "y"))
  expect_identical(unique(split$samplesize.exposure + split$samplesize.outcome), 6000)
  expect_lt(abs(mr_estimate(split, "mr_ivw")$b - 0.4), 4 * mr_estimate(split, "mr_ivw")$se)
  missing <- g
  missing[, 2] <- NA
  part <- suppressMessages(mr_estimate(
    snp_associations(missing, people, exposure = "x", outcome = "y"), "mr_ivw"
  ))
  expect_equal(part$nsnp, p - 1)
})

test_that("what cannot be analysed is refused by name", {
  d <- association_data(20, 4)
  d$people$iid <- rownames(d$g)
  run <- function(...) suppressMessages(snp_associations(...))
  expect_snapshot(error = TRUE, {
    run("file", d$people, "y")
    run(d$bed, as.list(d$people), "y")
    run(d$bed, transform(d$people, iid = paste0("x", iid)), "y")
    run(d$bed, transform(d$people, iid = "i1"), "y")
    run(d$bed, d$people[1:5, names(d$people) != "iid"], "y")
    run(d$bed, d$people, "height")
    run(d$bed, d$people, "y", covariates = "height")
    run(d$bed, d$people, "y", covariates = z ~ age)
    run(d$bed, transform(d$people, y = 1), "y")
    run(d$bed, transform(d$people, y = NA_real_), "y")
    run(d$bed, transform(d$people, y = Inf), "y")
    run(d$bed, transform(d$people, y = ifelse(sex == 1, z, NA), sex = NA), "y", covariates = ~sex)
    run(d$bed, d$people, "y", family = "logistic")
    run(d$bed, d$people, "y", family = "poisson")
    run(d$bed, d$people, "case", family = "logistic", cluster = "family")
    run(d$bed, d$people, exposure = "y")
    run(d$bed, d$people, "y", exposure = "y", outcome = "z")
    run(d$bed, d$people, "y", id = "name")
    run(d$g, d$people, "y", variants = data.frame(a1 = "A"))
    run(d$bed, d$people, "y", vcov = "HC4")
    run(d$bed[1:3, ], d$people, "z", covariates = ~ age + sex)
  })
})
