# Small data and few epochs: what is tested does not need good networks, except where it says so.
toy_context <- local({
  sim <- sim_contextual(
    n = 800, L = 5, pi_scale = 1, seed = 2,
    beta = function(context) 0.3 + 0.3 * context$bmi
  )
  data <- as.data.frame(sim)
  data$g <- as.matrix(data[truth(sim)$instruments])
  data$sex <- ifelse(data$sex == 1, "m", "f")
  data$family <- rep(1:200, each = 4)
  data$true_slope <- truth(sim)$beta
  data
})
brief <- function(...) context_control(c(4, 4), epochs = 4, batch_size = 100, ...)
contextual <- function(formula = Y ~ X | g, data = toy_context, context = ~ age + sex + bmi,
                       seed = 3, control = brief(), ...) {
  eval(bquote(iv_contextual(.(formula), data, .(context),
    seed = seed, control = control, ...
  )))
}
brief_batches <- function(size) context_control(4, epochs = 2, batch_size = size)
numbers_of <- function(fit) {
  fit[c("coefficients", "vcov", "slopes", "slope_coefficients", "tests", "residuals", "history",
    "estimate", "diagnostics")]
}

# The linear encoder without priors is two-stage least squares with all interactions, by formula.
test_that("all interactions without shrinkage are two-stage least squares", {
  fit <- contextual(encoder = "linear", shrink = FALSE, fuller = 0)
  d <- toy_context
  d$sexm <- as.double(d$sex == "m")
  d$s <- fitted(lm(X ~ g + age + sexm + bmi, d))
  d$X_age <- d$X * d$age
  d$X_sexm <- d$X * d$sexm
  d$X_bmi <- d$X * d$bmi
  all_terms <- Y ~ age + sexm + bmi | X + X_age + X_sexm + X_bmi | s + s:age + s:sexm + s:bmi
  slow <- iv_2sls(all_terms, d, vcov = "HC0")
  at <- c("X", "X_age", "X_sexm", "X_bmi")
  rows <- cbind(1, d$age, d$sexm, d$bmi)
  slopes <- drop(rows %*% coef(slow)[at])
  expect_equal(fit$slopes, slopes, tolerance = 1e-8)
  expect_equal(unname(coef(fit)), mean(slopes), tolerance = 1e-8)
  intercepts <- coef(slow)[["(Intercept)"]] + d$age * coef(slow)[["age"]] +
    d$sexm * coef(slow)[["sexm"]] + d$bmi * coef(slow)[["bmi"]]
  expect_equal(context_effects(fit)$intercept, intercepts, tolerance = 1e-7)
  se <- sqrt(rowSums((rows %*% vcov(slow)[at, at]) * rows))
  # Standard errors differ by the factor of degrees of freedom, n / (n - 5) before the root.
  expect_equal(context_effects(fit)$std.error, se * sqrt(800 / 795), tolerance = 1e-6)
  plain <- contextual(Y ~ X, stage1 = "none", encoder = "linear", shrink = FALSE)
  ols <- lm(Y ~ (age + sexm + bmi) * X, d)
  expect_equal(plain$slopes, coef(ols)[["X"]] + d$age * coef(ols)[["age:X"]] +
    d$sexm * coef(ols)[["sexm:X"]] + d$bmi * coef(ols)[["bmi:X"]], tolerance = 1e-8)
})

# Every step of the closed form by plain matrices.
slow_test <- function(y, x, z, columns, group) {
  q <- qr(cbind(1, columns))
  out <- function(v) qr.resid(q, v)
  first <- qr(cbind(1, columns, z))
  x_left <- out(x)
  y_left <- out(y)
  v <- qr.resid(first, x)
  u <- qr.resid(first, y)
  kappa <- min(Re(eigen(solve(crossprod(cbind(u, v)), crossprod(cbind(y_left, x_left))))$values))
  kappa <- kappa - 4 / (length(y) - ncol(columns) - 1 - ncol(z))
  s <- x_left - kappa * v
  b <- sum(s * y_left) / sum(s * x_left)
  r <- y_left - b * x_left
  scores <- apply(scale(columns, scale = FALSE), 2, function(f) {
    t <- out(s * f)
    t - sum(t * x_left) / sum(s * x_left) * s
  })
  n <- length(y)
  omega <- crossprod(scores * r) * n / (n - ncol(columns) - 2)
  g <- crossprod(scores, r)
  statistic <- function(at) drop(crossprod(g[at], solve(omega[at, at], g[at])))
  list(b = b, statistic = c(statistic(seq_along(g)),
    vapply(unique(group), function(k) statistic(which(group == k)), 0)))
}

test_that("the test of heterogeneity is its formula", {
  fit <- contextual(encoder = "linear")
  d <- toy_context
  columns <- scale(cbind(d$age, d$sex == "m", d$bmi))
  columns <- cbind(columns, columns[, c(1, 3)]^2)
  slow <- slow_test(d$Y, d$X, d$g, columns, c(1, 2, 3, 1, 3))
  expect_equal(heterogeneity_test(fit)$statistic, slow$statistic, tolerance = 1e-7)
  expect_equal(heterogeneity_test(fit)$df, c(5, 2, 1, 2))
  expect_equal(heterogeneity_test(fit)$p.value,
    pchisq(slow$statistic, c(5, 2, 1, 2), lower.tail = FALSE))
  found <- fit$slope_coefficients$prior.sd > 0
  expect_equal(fit$slope_coefficients$feature[found], "bmi")
  constant <- contextual(stage2 = "constant")
  expect_equal(unique(constant$slopes), unname(coef(constant)))
  expect_equal(unname(constant$constant["estimate"]), unname(coef(constant)))
})

test_that("results do not depend on threads, and the seed makes them", {
  for (encoder in c("mlp", "additive", "archetypes")) {
    one <- contextual(encoder = encoder, n_threads = 1, n_boot = 10)
    two <- contextual(encoder = encoder, n_threads = 2, n_boot = 10)
    expect_identical(numbers_of(one), numbers_of(two))
    expect_identical(one$boot, two$boot)
    expect_identical(context_effects(one), context_effects(two))
    other <- contextual(encoder = encoder, seed = 4)
    expect_false(identical(one$estimate$nets$params, other$estimate$nets$params))
  }
  set.seed(9)
  drawn <- contextual(seed = NULL)
  set.seed(9)
  expect_identical(numbers_of(contextual(seed = NULL)), numbers_of(drawn))
  expect_identical(numbers_of(contextual(seed = drawn$seed)), numbers_of(drawn))
})

test_that("units of context, exposure and outcome do not matter", {
  d <- toy_context
  d$bmi <- 1000 * d$bmi + 7
  d$X <- 8 * d$X - 3
  d$Y <- 4 * d$Y
  base <- contextual(encoder = "linear")
  moved <- contextual(data = d, encoder = "linear")
  expect_equal(8 / 4 * moved$slopes, base$slopes, tolerance = 1e-7)
  expect_equal(moved$tests, base$tests, tolerance = 1e-7)
  expect_equal(context_effects(moved)$std.error * 2, context_effects(base)$std.error,
    tolerance = 1e-6)
  # Networks work in single precision: some 1e-7 per operation, grown by training.
  expect_equal(2 * contextual(data = d)$slopes, contextual()$slopes, tolerance = 1e-3)
  order <- rev(seq_len(nrow(d)))
  turned <- contextual(data = toy_context[order, ], encoder = "linear")
  expect_equal(turned$slopes[order], base$slopes, tolerance = 1e-9)
  matrix <- with(toy_context, cbind(age = age, sexm = as.double(sex == "m"), bmi = bmi))
  by_matrix <- with(toy_context, iv_contextual(y = Y, x = X, z = g, context = matrix,
    encoder = "linear"))
  expect_equal(by_matrix$slopes, base$slopes)
  # Names of matrices are roles only by chance.
  named <- with(toy_context, iv_contextual(y = Y, x = X, z = g,
    context = data.frame(x = age, y = as.double(sex == "m"), bmi = bmi), encoder = "linear"))
  expect_equal(named$slopes, base$slopes)
  doubled <- contextual(data = toy_context[rep(seq_len(800), 2), ], encoder = "linear", fuller = 0,
    shrink = FALSE)
  weighted <- contextual(encoder = "linear", weights = rep(2, 800), fuller = 0, shrink = FALSE)
  expect_equal(doubled$slopes[1:800], weighted$slopes, tolerance = 1e-9)
})

# A fortieth of 1600 rows, though replicates have fewer.
test_that("batches follow the rows of the fit, also in replicates", {
  twice <- toy_context[rep(seq_len(800), 2), ]
  by_rows <- contextual(data = twice, n_boot = 10, control = brief_batches(NULL))
  given <- contextual(data = twice, n_boot = 10, control = brief_batches(40))
  expect_identical(by_rows$estimate$nets$params, given$estimate$nets$params)
  expect_identical(by_rows$boot, given$boot)
  other <- contextual(data = twice, control = brief_batches(32))
  expect_false(identical(by_rows$estimate$nets$params, other$estimate$nets$params))
  plain <- contextual(control = nn_control(epochs = 2))
  expect_true(all(is.finite(context_effects(plain, toy_context[3, ])$estimate)))
})

test_that("a fit saved and read says the same, and new people are told the same", {
  for (encoder in c("linear", "mlp", "additive", "archetypes")) {
    fit <- contextual(Y ~ X + smoker | g + smoker, encoder = encoder, shrink = FALSE)
    file <- withr::local_tempfile(fileext = ".rds")
    saveRDS(fit, file)
    read <- readRDS(file)
    some <- toy_context[c(5, 700), ]
    effects <- context_effects(fit)
    expect_named(effects,
      c("row", "estimate", "std.error", "conf.low", "conf.high", "intercept"))
    told <- context_effects(read, some)
    expect_equal(told$estimate, effects$estimate[c(5, 700)])
    expect_equal(told$std.error, effects$std.error[c(5, 700)])
    expect_equal(told$intercept, effects$intercept[c(5, 700)])
    expect_equal(unname(predict(read, some)), unname(fitted(fit))[c(5, 700)])
    expect_equal(mean(effects$estimate), unname(coef(fit)), tolerance = 1e-5)
    expect_equal(unname(fit$fitted.values + fit$residuals), toy_context$Y)
  }
})

test_that("curves, interactions and factors of a context are made for new people as for the fit", {
  d <- toy_context
  d$age_group <- cut(d$age, c(0, 25, 38, 100), c("young", "middle", "old"))
  for (context in c(~ poly(age, 3) + sex, ~ log(bmi) * sex, ~ age_group + bmi)) {
    fit <- contextual(data = d, context = context, shrink = FALSE)
    some <- droplevels(d[c(3, 77, 400), ])
    expect_equal(context_effects(fit, some)[-1], context_effects(fit)[c(3, 77, 400), -1],
      ignore_attr = TRUE, tolerance = 1e-6)
  }
})

test_that("archetypes mix to the slopes", {
  fit <- contextual(encoder = "archetypes", archetypes = 2, shrink = FALSE,
    control = context_control(4, epochs = 20, learning_rate = 0.02))
  expect_equal(sum(fit$archetypes$share), 1, tolerance = 1e-6)
  expect_equal(sum(fit$archetypes$share * fit$archetypes$slope), mean(fit$slopes),
    tolerance = 1e-4)
  # Slopes are averages of those of the archetypes.
  range <- range(fit$archetypes$slope) + c(-1, 1) * 1e-4
  expect_true(all(fit$slopes > range[1] & fit$slopes < range[2]))
})

test_that("curves, contrasts and tables agree", {
  fit <- contextual()
  average <- average_derivative(fit)
  expect_equal(average$estimate, unname(coef(fit)))
  expect_equal(average$std.error, sqrt(vcov(fit)[1, 1]))
  expect_equal(ate(fit, 1, 3)$estimate, 2 * average$estimate)
  expect_equal(cate(fit, 0, 2)$estimate, 2 * fit$slopes)
  curve <- effect_curve(fit, c(0, 1))
  expect_equal(diff(curve$estimate), average$estimate)
  expect_equal(curve$estimate[1], mean(toy_context$Y - fit$slopes * toy_context$X),
    tolerance = 1e-6)
  expect_equal(effect_curve(fit, 2, reference = 1)$conf.low, average$conf.low)
  expect_equal(tidy(fit)$estimate, average$estimate)
  expect_equal(confint(fit)[1, ], c(average$conf.low, average$conf.high), ignore_attr = TRUE)
  expect_equal(glance(fit)$p.value.heterogeneity, fit$tests$p.value[1])
  expect_equal(augment(fit)$.slope, fit$slopes)
  at <- effect_of_context(fit, "bmi", at = c(20, 30))
  same <- lapply(c(20, 30), function(v) {
    mean(context_effects(fit, transform(toy_context[round(seq(1, 800, length.out = 500)), ],
      bmi = v))$estimate)
  })
  expect_equal(at$estimate, unlist(same))
  both <- effect_of_context(fit, c("age", "sex"))
  expect_equal(nrow(both), 24)
  expect_equal(effect_of_context(fit, "sex")$sex, c("f", "m"))
  expect_equal(nobs(fit), 800)
  expect_s3_class(training_history(fit), "data.frame")
})

test_that("known slopes are found, and a constant one is left alone", {
  fit <- contextual(control = context_control())
  expect_gt(cor(fit$slopes, toy_context$true_slope), 0.95)
  expect_lt(fit$tests$p.value[1], 1e-4)
  sim <- sim_contextual(n = 1500, L = 5, pi_scale = 0.4, seed = 4)
  d <- as.data.frame(sim)
  d$g <- as.matrix(d[truth(sim)$instruments])
  flat <- iv_contextual(Y ~ X | g, d, ~ age + bmi + glucose, seed = 1)
  expect_equal(diff(range(flat$slopes)), 0)
  # Ignoring main effects must not pass for heterogeneity: a strong curved one, slope constant.
  d$Y <- d$Y + 2 * scale(d$bmi)[, 1]^2
  expect_gt(iv_contextual(Y ~ X | g, d, ~ age + bmi, encoder = "linear")$tests$p.value[1], 0.001)
  # A common strength by context is undone.
  age <- scale(d$age)[, 1]
  d$X <- d$X + 0.6 * age * drop(d$g %*% truth(sim)$pi)
  d$Y <- 0.3 * d$X + truth(sim)$U + truth(sim)$noise_y
  s <- iv_contextual(Y ~ X | g, d, ~age, encoder = "linear", stage1 = "contextual")
  o <- iv_contextual(Y ~ X | g, d, ~age, encoder = "linear")
  expect_false(isTRUE(all.equal(coef(s), coef(o))))
  expect_lt(abs(coef(s) - 0.3), 4 * sqrt(s$vcov[1]))
})

test_that("first stages and links", {
  full <- contextual(stage1 = "lasso")
  expect_true(all(full$instruments %in% paste0("g", colnames(toy_context$g))) ||
    all(full$instruments %in% colnames(toy_context$g)))
  shrunken <- contextual(stage1 = "lasso", refit = FALSE, encoder = "linear")
  expect_equal(unname(coef(shrunken)), unname(coef(contextual(encoder = "linear", fuller = 0))),
    tolerance = 0.2)
  d <- toy_context
  d$B <- as.double(d$Y > 0.3)
  logit <- contextual(B ~ X, data = d, stage1 = "none", link = "logit", encoder = "linear",
    stage2 = "constant")
  # The exposure without what the context explains has the same coefficient as the exposure.
  slow <- glm(B ~ X + age + sex + bmi, binomial, d)
  expect_equal(unname(coef(logit)), coef(slow)[["X"]], tolerance = 1e-6)
  expect_equal(unname(fitted(logit)), unname(fitted(slow)), tolerance = 1e-6)
  free <- contextual(B ~ X, data = d, stage1 = "none", link = "logit", encoder = "linear",
    shrink = FALSE)
  expect_true(all(is.finite(free$slopes)))
  expect_error(ate(logit, 0, 1), class = "mrlearn_error_argument")
})

test_that("clusters widen what repeats, and the bootstrap draws them whole", {
  twice <- toy_context[rep(seq_len(800), each = 2), ]
  twice$id <- rep(seq_len(800), each = 2)
  once <- contextual(encoder = "linear", fuller = 0, stage2 = "constant")
  clustered <- contextual(data = twice, encoder = "linear", cluster = ~id, fuller = 0,
    stage2 = "constant")
  plain <- contextual(data = twice, encoder = "linear", fuller = 0, stage2 = "constant")
  expect_equal(coef(clustered), coef(once), tolerance = 1e-9)
  # Equal but for the factors of degrees of freedom, 1 / (G - 1) and 1 / (n - 5).
  expect_equal(clustered$vcov[1], once$vcov[1], tolerance = 0.01)
  expect_equal(plain$vcov[1], once$vcov[1] / 2, tolerance = 0.01)
  boot <- contextual(encoder = "linear", cluster = ~family, n_boot = 30, stage2 = "constant")
  # A standard error from 30 replicates has a relative error of 13 %: four of them.
  analytic <- contextual(encoder = "linear", cluster = ~family, stage2 = "constant")
  expect_equal(sqrt(boot$vcov[1] / analytic$vcov[1]), 1, tolerance = 0.52)
  expect_length(boot$boot$average, 30)
})

test_that("bad input is refused", {
  d <- toy_context
  d$bad <- replace(d$age, 3, NA)
  d$flat <- 1
  d$code <- d$g[, 2]
  d$sum <- d$g[, 1] + 2 * d$g[, 3]
  d$carrier <- rowSums(d$g) > 2
  d$area <- factor(replace(rep(c("a", "b"), 400), 5, NA))
  d$half <- rep(1:2, each = 400)
  d$village <- rep(1:5, each = 160)
  fit <- contextual(encoder = "linear")
  of_factor <- contextual(data = transform(d, sex = factor(sex)), encoder = "linear")
  expect_snapshot(error = TRUE, {
    iv_contextual(Y ~ X | g, d)
    contextual(data = d, context = ~ age + bad)
    contextual(data = d, context = ~ age + area)
    contextual(data = d, context = ~ age + flat)
    contextual(data = d, context = ~ age + code)
    contextual(data = d, context = ~ age + sum)
    contextual(data = d, context = ~ age + carrier)
    contextual(data = d, context = ~ age + X)
    contextual(data = d, context = ~ age + Y)
    contextual(data = d, context = Y ~ age)
    contextual(data = d, context = ~nothing)
    contextual(data = d[1:8, ])
    contextual(data = d, cluster = ~half)
    contextual(data = d, cluster = ~village)
    contextual(data = d, encoder = "deep")
    contextual(Y ~ X + bmi | g, data = d)
    contextual(link = "logit")
    contextual(flat ~ X | g, data = d, link = "logit")
    contextual(penalty = c(slope = 1))
    contextual(n_boot = 1)
    iv_contextual(y = d$Y, x = d$X, z = d$g, context = d$age[1:5])
    iv_contextual(y = d$Y, x = d$X, z = d$g, context = cbind(a = d$age, b = d$bad))
    context_effects(fit, data.frame(age = 20, sex = "x", bmi = 22))
    context_effects(of_factor, data.frame(age = 20, sex = factor("x"), bmi = 22))
    predict(fit, data.frame(X = 1, age = 20, sex = "x", bmi = 22))
    context_effects(fit, data.frame(age = "old", sex = "m", bmi = 22))
    context_effects(fit, as.list(d[1, ]))
    context_effects(3)
    context_effects(fit, data.frame(age = NA_real_, sex = "m", bmi = 22))
    context_effects(fit, data.frame(age = 20, sex = "m"))
    effect_of_context(fit, "weight")
    effect_of_context(fit, "sex", at = "x")
    training_history(fit)
    plot(fit, "heatmap", variables = "age")
  })
  expect_error(contextual(data = d, context = ~ age + bad), class = "mrlearn_error_data")
  expect_error(contextual(data = d, context = ~ age + area), class = "mrlearn_error_data")
  expect_error(contextual(data = d, context = ~ age + flat), class = "mrlearn_error_data")
  unseen <- data.frame(X = 1, age = 20, sex = "x", bmi = 22)
  expect_error(context_effects(fit, unseen), class = "mrlearn_error_data")
  expect_error(context_effects(of_factor, unseen), class = "mrlearn_error_data")
  expect_error(predict(fit, unseen), class = "mrlearn_error_data")
  for (of_instruments in c(~ age + code, ~ age + sum, ~ age + carrier)) {
    expect_error(contextual(data = d, context = of_instruments), class = "mrlearn_error_collinear")
  }
  expect_error(contextual(data = d[1:8, ]), class = "mrlearn_error_data")
  expect_error(contextual(data = d, cluster = ~village), class = "mrlearn_error_data")
})

test_that("few rows are fitted or refused by a classed error", {
  # Three terms as main effects and slopes, the constant, a slope, five instruments: 13 columns.
  for (encoder in c("linear", "mlp", "additive", "archetypes")) {
    expect_error(contextual(data = toy_context[1:13 * 3, ], encoder = encoder),
      class = "mrlearn_error_data")
    fit <- contextual(data = toy_context[1:20 * 3, ], encoder = encoder)
    expect_true(all(is.finite(context_effects(fit)$std.error)))
  }
})

test_that("what is printed", {
  fit <- contextual(encoder = "linear")
  replicated <- iv_contextual(Y ~ X | g, toy_context, ~ age + sex + bmi, cluster = ~family,
    encoder = "linear", stage2 = "constant", n_boot = 10, seed = 3)
  expect_snapshot({
    print(fit, digits = 3)
    print(summary(fit), digits = 3)
    print(replicated, digits = 3)
    print(contextual(encoder = "linear", context = ~age), digits = 3)
  })
})

test_that("where instruments contradict each other, two-stage least squares stands in", {
  d <- toy_context
  d$Y <- 0.3 * d$X + drop(d$g %*% c(1, -1, 1, -1, 1)) + d$Y - toy_context$true_slope * d$X
  fits <- lapply(c(4, 0), function(k) contextual(data = d, encoder = "linear", fuller = k))
  expect_identical(fits[[1]]$kappa, 1)
  expect_equal(coef(fits[[1]]), coef(fits[[2]]))
  expect_lt(contextual(encoder = "linear")$kappa, 1.01)
  expect_output(print(fits[[1]]), "Two-stage least squares stands in")
  expect_output(print(fits[[2]]), "instruments may affect the outcome directly.$")
  expect_false(any(grepl("over-identification", capture.output(print(contextual())))))
})

test_that("pictures are drawn", {
  fit <- contextual()
  grDevices::pdf(NULL)
  withr::defer(grDevices::dev.off())
  expect_named(plot(fit, variables = c("age", "sex")),
    c("variable", "value", "level", "estimate", "std.error", "conf.low", "conf.high"))
  expect_equal(nrow(plot(fit, "heatmap", variables = c("sex", "age"))), 24)
  ranked <- plot(fit, "ranked")
  expect_false(is.unsorted(ranked$estimate))
  expect_equal(nrow(plot(fit, "effect")), 50)
  skip_if_not_installed("ggplot2")
  for (type in c("slopes", "heatmap", "ranked", "effect")) {
    expect_s3_class(ggplot2::autoplot(fit, type), "ggplot")
  }
})
