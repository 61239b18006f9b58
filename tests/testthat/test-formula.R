people <- function(n = 400) {
  set.seed(1)
  g <- matrix(rbinom(n * 4, 2, 0.3), n, dimnames = list(NULL, paste0("rs", 1:4)))
  u <- rnorm(n)
  x <- drop(g %*% c(0.5, 0.4, 0.3, 0.2)) + u + rnorm(n)
  d <- data.frame(
    y = 0.3 * x + u + rnorm(n), x = x, sex = rbinom(n, 1, 0.5), age = rnorm(n, 50, 8),
    site = factor(sample(c("a", "b", "c"), n, TRUE)), family = rep(seq_len(n / 4), 4)
  )
  d$g <- g
  d
}

test_that("two parts, three parts and matrices say the same", {
  d <- people()
  two <- iv_2sls(y ~ x + sex + age | g + sex + age, data = d)
  three <- iv_2sls(y ~ sex + age | x | g, data = d)
  matrices <- iv_2sls(y = d$y, x = d$x, z = d$g, w = cbind(sex = d$sex, age = d$age))
  expect_equal(coef(three)[names(coef(two))], coef(two), tolerance = 1e-12)
  expect_equal(coef(matrices)[names(coef(two))], coef(two), tolerance = 1e-12)
  expect_equal(diagnostics(three), diagnostics(two), tolerance = 1e-12)
  expect_equal(diagnostics(matrices), diagnostics(two), tolerance = 1e-12)
  expect_identical(names(coef(two)), c("(Intercept)", "x", "sex", "age"))
  expect_identical(names(coef(three)), c("(Intercept)", "sex", "age", "x"))
  expect_identical(two$instruments, paste0("rs", 1:4))
})

test_that("factors, functions, interactions, a dot and no constant", {
  d <- people()
  fit <- iv_2sls(y ~ log(abs(x) + 1) + site + poly(age, 2) | g[, 1:2] + site + poly(age, 2),
    data = d)
  expect_identical(fit$exposures, "log(abs(x) + 1)")
  expect_identical(fit$n_instruments, 2L)
  expect_length(coef(fit), 6)
  swapped <- iv_2sls(y ~ x + sex:age | g + age:sex, data = d)
  expect_identical(swapped$exposures, "x")
  origin <- iv_2sls(y ~ 0 + x + sex | 0 + g + sex, data = d)
  expect_identical(names(coef(origin)), c("x", "sex"))
  small <- d[c("y", "x", "sex")]
  expect_equal(coef(iv_ols(y ~ ., data = small)), coef(iv_ols(y ~ x + sex, data = d)))
})

test_that("names that are no R names go through", {
  d <- people()
  d[["body mass (kg/m\u00b2)"]] <- d$x
  d[["\u00e2ge"]] <- d$age
  f <- as.formula("y ~ `body mass (kg/m\u00b2)` + `\u00e2ge` | g + `\u00e2ge`")
  fit <- iv_2sls(f, data = d)
  plain <- iv_2sls(y ~ x + age | g + age, data = d)
  expect_equal(unname(coef(fit)), unname(coef(plain)))
  expect_equal(effect_curve(fit, c(0, 1))$estimate, effect_curve(plain, c(0, 1))$estimate)
  by_matrix <- iv_2sls(y = d$y, x = d["body mass (kg/m\u00b2)"], z = d$g, w = d["\u00e2ge"])
  expect_equal(coef(by_matrix)[[2]], coef(plain)[["x"]])
})

test_that("subset, weights and clusters are found in data and outside", {
  d <- people()
  w <- runif(nrow(d))
  outside <- iv_2sls(y ~ x | g, data = d, subset = sex == 1, weights = w, cluster = ~family)
  d$w <- w
  inside <- iv_2sls(y ~ x | g, data = d[d$sex == 1, ], weights = w, cluster = family)
  expect_equal(vcov(outside), vcov(inside))
  by_matrix <- iv_2sls(y = d$y, x = d$x, z = d$g, subset = d$sex == 1, weights = w,
    cluster = d$family)
  expect_equal(unname(vcov(by_matrix)), unname(vcov(inside)))
})

test_that("rows that miss something are dropped, counted and told", {
  d <- people()
  d$y[1:2] <- NA
  d$sex[2:3] <- NA
  expect_message(fit <- iv_2sls(y ~ x + sex | g + sex, data = d),
    "3 of 400 rows have missing values \\(`y` 2, `sex` 2\\)",
    class = "mrlearn_message_rows_dropped")
  expect_identical(nobs(fit), 397L)
  expect_output(print(fit), "3 of 400 rows")
  padded <- suppressMessages(iv_2sls(y ~ x + sex | g + sex, data = d, na.action = na.exclude))
  expect_identical(which(is.na(residuals(padded))), c(`1` = 1L, `2` = 2L, `3` = 3L))
  expect_length(fitted(padded), 400)
  expect_error(iv_2sls(y ~ x + sex | g + sex, data = d, na.action = na.fail),
    class = "mrlearn_error_data")
  expect_equal(coef(fit), coef(iv_2sls(y ~ x + sex | g + sex, data = d[-(1:3), ])))
})

test_that("missing genotypes are imputed to the mean of their variant", {
  d <- people()
  d$g[1:3, 1] <- NA
  d$g[4, 2] <- NA
  expect_message(fit <- iv_2sls(y ~ x | g, data = d),
    "4 missing genotypes in 2 instruments", class = "mrlearn_message_imputed")
  expect_identical(fit$imputed, data.frame(instrument = c("rs1", "rs2"), n_missing = c(3L, 1L)))
  by_hand <- d
  by_hand$g[1:3, 1] <- mean(d$g[, 1], na.rm = TRUE)
  by_hand$g[4, 2] <- mean(d$g[, 2], na.rm = TRUE)
  expect_equal(coef(fit), coef(iv_2sls(y ~ x | g, data = by_hand)))
  dropped <- suppressMessages(iv_2sls(y ~ x | g, data = d, na_genotype = "drop"))
  expect_identical(nobs(dropped), 396L)
  expect_error(iv_2sls(y ~ x | g, data = d, na_genotype = "error"), class = "mrlearn_error_data")
  expect_identical(nobs(suppressMessages(iv_2sls(y = d$y, x = d$x, z = d$g))), 400L)
})

test_that("what is no genotype is not imputed", {
  d <- people()
  d$near <- rbinom(nrow(d), 1, 0.5) # an indicator: 0 and 1 only
  d$dose <- d$g[, 1] + runif(nrow(d), 0, 0.1)
  d$near[1] <- NA
  d$dose[2] <- NA
  d$snp <- d$g[, 2]
  d$snp[3] <- NA
  expect_identical(nobs(suppressMessages(iv_2sls(y ~ x | near, data = d))), 399L)
  expect_identical(nobs(suppressMessages(iv_2sls(y ~ x | dose, data = d))), 399L)
  expect_identical(nobs(suppressMessages(iv_2sls(y ~ x | snp, data = d))), 400L)
})

test_that("fits travel: saveRDS, update, iv_fit, no genotypes inside", {
  d <- people(4000)
  fit <- iv_2sls(y ~ x + sex | g + sex, data = d)
  file <- withr::local_tempfile()
  saveRDS(fit, file)
  back <- readRDS(file)
  expect_equal(predict(back, d[1:3, ]), predict(fit, d[1:3, ]))
  expect_equal(coef(update(fit, vcov = "HC1")), coef(fit))
  by_name <- iv_fit("2sls", y ~ x + sex | g + sex, data = d)
  expect_equal(coef(by_name), coef(fit))
  expect_identical(by_name$call[[1]], as.name("iv_2sls"))
  expect_false(any(c("g", "rs1") %in% unlist(lapply(fit, names))))
  expect_lt(length(serialize(iv_2sls(y ~ x | g, data = d, model = FALSE), NULL)), 4e5)
})
