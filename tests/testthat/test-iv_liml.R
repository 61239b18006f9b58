ivmodel_recorded <- function(design) {
  rows <- utils::read.csv(test_path("fixtures", "ivmodel_recorded.csv"))
  rows <- rows[rows$design == design, ]
  stats::setNames(rows$value, rows$quantity)
}

test_that("k-class on Card's data: as ivmodel recorded", {
  for (design in c("both", "one", "many", "weak")) {
    d <- weak_card(design)
    theirs <- ivmodel_recorded(design)
    for (name in c("LIML", "Fuller1", "Fuller4", "k0.5")) {
      for (se in c("iid", "HC0", "cluster")) {
        args <- list(y = d$y, x = d$x, z = d$z, w = d$w, vcov = if (se == "HC0") "HC0" else "iid",
          cluster = if (se == "cluster") d$region)
        fit <- if (name == "k0.5") {
          do.call(iv_kclass, c(args, k = 0.5))
        } else {
          do.call(iv_liml, c(args, fuller = switch(name, LIML = 0, Fuller1 = 1, Fuller4 = 4)))
        }
        their <- function(what) theirs[[paste(name, se, what, sep = ".")]]
        # ivmodel solves normal equations of columns that are not centred: it loses digits (its
        # LIML k is 1e-12 off, which weak instruments magnify); ours are within 1e-6 all over.
        expect_lt(relative_gap(coef(fit)[["x"]], their("estimate")), 1e-6)
        se_ours <- sqrt(vcov(fit)["x", "x"])
        if (se == "cluster") {
          # ivmodel has no finite-sample factor.
          n <- nobs(fit)
          factor <- 9 / 8 * (n - 1) / (n - length(coef(fit)))
          se_ours <- se_ours / sqrt(factor)
        }
        expect_lt(relative_gap(se_ours, their("std.error")), 1e-6, label = paste(design, name, se))
        if (name != "k0.5") {
          expect_lt(relative_gap(fit$kappa, their("kappa")), 1e-9)
        }
      }
    }
  }
})

test_that("k = 1 is 2SLS and k = 0 is OLS, every covariance", {
  d <- iv_two_exposures()
  d$weight <- 1 + (seq_len(nrow(d)) * sqrt(29)) %% 3
  f <- y ~ x1 + x2 + w | z1 + z2 + z3 + z4 + w
  for (vcov in c("iid", "HC0", "HC1", "HC2", "HC3", "cluster")) {
    cluster <- if (vcov == "cluster") d$cluster
    type <- if (vcov == "cluster") "iid" else vcov
    tsls <- iv_2sls(f, d, weights = weight, vcov = type, cluster = cluster)
    ours <- iv_kclass(f, d, k = 1, weights = weight, vcov = type, cluster = cluster)
    # Two roads to the same numbers: rounding, magnified by the condition of the design (about 10).
    expect_equal(coef(ours), coef(tsls), tolerance = 1e-11)
    expect_equal(vcov(ours), vcov(tsls), tolerance = 1e-11)
    expect_equal(residuals(ours), residuals(tsls), tolerance = 1e-11)
    expect_equal(glance(ours)$sigma, glance(tsls)$sigma)
    ols <- iv_ols(y ~ x1 + x2 + w, d, weights = weight, vcov = type, cluster = cluster)
    none <- iv_kclass(f, d, k = 0, weights = weight, vcov = type, cluster = cluster)
    expect_equal(coef(none), coef(ols), tolerance = 1e-11)
    expect_equal(vcov(none), vcov(ols), tolerance = 1e-11)
  }
})

test_that("LIML of several exposures and Bekker's errors: as their definitions", {
  d <- iv_two_exposures()
  x <- cbind(d$x1, d$x2)
  z <- as.matrix(d[paste0("z", 1:4)])
  yx <- weak_left(cbind(x, d$y), d$w)
  left <- weak_left(cbind(x, d$y), cbind(d$w, z))
  kappa <- min(Re(eigen(solve(crossprod(left), crossprod(yx)))$values))
  fit <- iv_liml(y ~ x1 + x2 + w | z1 + z2 + z3 + z4 + w, d, vcov = "bekker")
  expect_equal(fit$kappa, kappa, tolerance = 1e-10)
  o <- oracle_kclass(d$y, x, z, d$w, kappa)
  expect_equal(unname(coef(fit)[c("x1", "x2", "(Intercept)", "w")]), unname(o$coef),
    tolerance = 1e-9)
  a <- 1 - sum(o$left(o$u)^2) / sum(o$u^2)
  tilde <- o$d - outer(o$u, drop(crossprod(o$d, o$u))) / sum(o$u^2)
  m <- crossprod(tilde, o$left(tilde))
  p <- crossprod(tilde) - m
  h <- crossprod(o$d) - crossprod(o$d, o$left(o$d)) - a * crossprod(o$d)
  s2 <- sum(o$u^2) / (nrow(d) - 4)
  v <- solve(h) %*% (s2 * ((1 - a)^2 * p + a^2 * m)) %*% solve(h)
  expect_equal(unname(vcov(fit)[c("x1", "x2"), c("x1", "x2")]), unname(v[1:2, 1:2]),
    tolerance = 1e-9)
  # At LIML's k, H is the bread over k: the first term of Bekker's formula is the usual covariance
  # but for D~; the second only adds.
  plain <- iv_liml(y ~ x1 + x2 + w | z1 + z2 + z3 + z4 + w, d)
  expect_equal(coef(plain), coef(fit))
  lr <- diagnostic_row(fit, "Anderson-Rubin")
  expect_equal(lr$statistic, nrow(d) * log(kappa), tolerance = 1e-8)
  expect_equal(lr$df1, 2)
})

test_that("just identified: LIML is 2SLS; threads and units do not matter", {
  d <- iv_two_exposures()
  one <- iv_liml(y ~ x1 + w | z1 + w, d)
  expect_equal(coef(one), coef(iv_2sls(y ~ x1 + w | z1 + w, d)), tolerance = 1e-10)
  f <- y ~ x1 + w | z1 + z2 + z3 + z4 + w
  fit <- iv_liml(f, d, n_threads = 1)
  expect_identical(coef(fit), coef(iv_liml(f, d, n_threads = 2)))
  scaled <- transform(d, x1 = 1e4 * x1 + 7, y = y / 100, z2 = z2 * 1e-5)
  expect_equal(coef(iv_liml(f, scaled))[["x1"]] * 1e6, coef(fit)[["x1"]], tolerance = 1e-9)
  expect_output(print(fit), "LIML: effect of x1 on y")
  expect_s3_class(fit, c("iv_liml", "iv_fit"), exact = TRUE)
  expect_equal(coef(iv_fit("liml", f, d)), coef(fit))
})

test_that("LIML is median-unbiased where 2SLS is not, and Bekker's errors cover with many", {
  # 40 instruments, concentration 80, 400 rows: 2SLS keeps a third of the bias of OLS.
  set.seed(31)
  r <- replicate(300, {
    z <- matrix(rnorm(400 * 40), 400)
    v <- rnorm(400)
    u <- 0.5 * v + sqrt(0.75) * rnorm(400)
    x <- drop(z %*% rep(sqrt(80 / 400 / 40), 40)) + v
    fit <- iv_liml(y = u, x = x, z = z, vcov = "bekker", n_threads = 1)
    c(liml = coef(fit)[["x"]], tsls = coef(iv_2sls(y = u, x = x, z = z, n_threads = 1))[["x"]],
      t = coef(fit)[["x"]] / sqrt(vcov(fit)["x", "x"]),
      plain = coef(fit)[["x"]] / sqrt(vcov(iv_liml(y = u, x = x, z = z, n_threads = 1))["x", "x"]))
  })
  # A median's standard error is 1.25 that of a mean; 4 of them.
  error <- function(v) 4 * 1.2533 * mad(v) / sqrt(300)
  expect_lt(abs(median(r["liml", ])), error(r["liml", ]))
  expect_gt(median(r["tsls", ]), 0.1)
  covered <- mean(abs(r["t", ]) < 1.96)
  expect_gt(covered, 0.95 - 4 * sqrt(0.95 * 0.05 / 300))
  # The usual errors are too small here: by theory about a fifth.
  expect_lt(mean(abs(r["plain", ]) < 1.96), covered)
})

test_that("bad input of k-class estimators", {
  d <- iv_two_exposures()
  f <- y ~ x1 + w | z1 + z2 + w
  expect_error(iv_liml(f, d, fuller = -1), class = "mrlearn_error_argument")
  expect_error(iv_liml(f, d, vcov = "HC9"), class = "mrlearn_error_argument")
  expect_error(iv_liml(f, d, vcov = "bekker", cluster = ~cluster), class = "mrlearn_error_argument")
  expect_error(iv_kclass(f, d, k = NA), class = "mrlearn_error_argument")
  expect_error(iv_kclass(f, d, k = 100), "k = 100 is too large", class = "mrlearn_error_collinear")
  expect_error(iv_liml(y ~ x1 + x2 | z1, d), class = "mrlearn_error_underidentified")
  d$y <- d$x1
  expect_error(iv_liml(f, d), "collinear", class = "mrlearn_error_collinear")
})

test_that("streamed genotypes and shards give what the imputed matrix gives", {
  g <- made_genotypes(211, 24)[, -(5:6)]
  b <- bed(write_bed(g, tempfile()))
  d <- made_phenotypes(g)
  z <- g[d$iid, ]
  first <- hush(iv_crossprod(y ~ x + w | b + w, d[1:100, ], id = "iid"))
  total <- hush(first + iv_crossprod(y ~ x + w | b + w, d[101:211, ], id = "iid"))
  for (vcov in c("iid", "bekker")) {
    matrix <- hush(iv_liml(y ~ x + w | z + w, d, fuller = 1, vcov = vcov))
    streamed <- hush(iv_liml(y ~ x + w | b + w, d, id = "iid", fuller = 1, vcov = vcov))
    shards <- iv_liml(total, fuller = 1, vcov = vcov)
    for (fit in list(streamed, shards)) {
      # Rounding: the designs are far from collinear.
      for (item in c("coefficients", "vcov", "sigma", "kappa", "diagnostics", "reduced")) {
        expect_equal(fit[[item]], matrix[[item]], tolerance = 1e-9, label = item)
      }
      for (type in c("AR", "CLR")) {
        expect_equal(ar_set(fit, type), ar_set(matrix, type), tolerance = 1e-8)
      }
    }
    expect_equal(residuals(streamed), residuals(matrix), tolerance = 1e-9)
    expect_null(residuals(shards))
  }
  weighted <- hush(iv_kclass(y ~ x | b, d, k = 0.5, id = "iid", weights = weight))
  expect_equal(coef(weighted), coef(hush(iv_kclass(y ~ x | z, d, k = 0.5, weights = weight))),
    tolerance = 1e-9)
  expect_equal(vcov(weighted), vcov(hush(iv_kclass(y ~ x | z, d, k = 0.5, weights = weight))),
    tolerance = 1e-9)
  # Robust ones need the rows, which are decoded.
  for (vcov in c("HC1", "HC3")) {
    robust <- hush(iv_liml(y ~ x | b, d, id = "iid", vcov = vcov))
    expect_equal(vcov(robust), vcov(hush(iv_liml(y ~ x | z, d, vcov = vcov))), tolerance = 1e-9)
  }
  tsls <- hush(iv_2sls(y ~ x | b, d, id = "iid", vcov = "HC1"))
  expect_equal(hush(ar_set(tsls)), ar_set(hush(iv_2sls(y ~ x | z, d, vcov = "HC1"))),
    tolerance = 1e-8)
  expect_equal(ar_set(iv_2sls(total)), ar_set(hush(iv_2sls(y ~ x + w | z + w, d))),
    tolerance = 1e-8)
  expect_error(iv_liml(total, vcov = "HC1"), "\"iid\" or \"bekker\"",
    class = "mrlearn_error_argument")
  expect_error(iv_liml(total, data = d), "`data` came with", class = "mrlearn_error_argument")
})
