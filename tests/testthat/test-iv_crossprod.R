made <- function() {
  g <- made_genotypes(211, 24)[, -(5:6)]
  list(g = g, bed = bed(write_bed(g, tempfile())), data = made_phenotypes(g))
}

# Rounding is all that differs: the designs are far from collinear.
expect_same_fit <- function(a, b, tolerance = 1e-10) {
  expect_equal(coef(a), coef(b), tolerance = tolerance)
  expect_equal(vcov(a), vcov(b), tolerance = tolerance)
  expect_equal(a$diagnostics, b$diagnostics, tolerance = tolerance)
  expect_equal(a$first_stage$estimate, b$first_stage$estimate, tolerance = tolerance)
  expect_equal(a$first_stage$std.error, b$first_stage$std.error, tolerance = tolerance)
  expect_equal(a$sigma, b$sigma, tolerance = tolerance)
}

test_that("streamed genotypes give what the imputed matrix gives", {
  m <- made()
  b <- m$bed
  z <- m$g[m$data$iid, ]
  for (vcov in c("iid", "HC0", "HC1", "HC2", "HC3")) {
    streamed <- hush(iv_2sls(y ~ x + w | b + w, m$data, id = "iid", vcov = vcov))
    matrix <- hush(iv_2sls(y ~ x + w | z + w, m$data, vcov = vcov))
    expect_same_fit(streamed, matrix)
    expect_equal(residuals(streamed), residuals(matrix), tolerance = 1e-10)
  }
  two <- list(
    hush(iv_2sls(y ~ w | x + x2 | b, m$data, id = "iid", cluster = ~family)),
    hush(iv_2sls(y ~ w | x + x2 | z, m$data, cluster = ~family))
  )
  expect_same_fit(two[[1]], two[[2]])
  weighted <- hush(iv_2sls(y ~ x + w | b + w, m$data, id = "iid", weights = weight))
  expect_same_fit(weighted, hush(iv_2sls(y ~ x + w | z + w, m$data, weights = weight)))
  given <- hush(iv_2sls(y = m$data$y, x = m$data$x, z = b, w = m$data$w, id = m$data$iid))
  expect_same_fit(given, hush(iv_2sls(y ~ x + w | z + w, m$data)))
  one <- hush(iv_2sls(y ~ x + w | b + w, m$data, id = "iid", n_threads = 1))
  many <- hush(iv_2sls(y ~ x + w | b + w, m$data, id = "iid", n_threads = 3))
  expect_identical(coef(one), coef(many))
})

test_that("people are joined, and what matched is told", {
  m <- made()
  b <- m$bed[11:211, ]
  data <- m$data
  data$iid[data$iid == "p211"] <- "stranger"
  data$w[data$iid == "p100"] <- NA
  expect_message(expect_message(expect_message(
    fit <- iv_2sls(y ~ x + w | b + w, data, id = "iid"),
    "200 of 211 rows have genotypes; 1 of 201 people", class = "mrlearn_message_joined"
  ), "`w` 1, `id` 11"), class = "mrlearn_message_imputed")
  use <- data$iid %in% b$samples$iid & !is.na(data$w)
  z <- m$g[match(data$iid[use], rownames(m$g)), ]
  expect_same_fit(fit, hush(iv_2sls(y ~ x + w | z + w, data[use, ])))
  half <- hush(iv_2sls(y ~ x | b, data, subset = x > 0, id = "iid"))
  use <- use | data$iid == "p100"
  z <- m$g[match(data$iid[use & data$x > 0], rownames(m$g)), ]
  expect_same_fit(half, hush(iv_2sls(y ~ x | z, data[use & data$x > 0, ])))
})

test_that("shards of people and of chromosomes equal the whole", {
  m <- made()
  b <- m$bed
  whole <- hush(iv_2sls(y ~ x + w | b + w, m$data, id = "iid"))
  people <- lapply(split(m$data, rep_len(1:10, nrow(m$data))), function(rows) {
    hush(iv_crossprod(y ~ x + w | b + w, rows, id = "iid"))
  })
  expect_same_fit(iv_2sls(Reduce(`+`, people)), whole)
  expect_same_fit(iv_2sls(Reduce(`+`, rev(people))), whole)

  chromosomes <- lapply(1:22, function(k) b[, k])
  total <- NULL
  for (i in 1:22) {
    z <- chromosomes[[i]]
    for (j in i:22) {
      shard <- hush(iv_crossprod(y ~ x + w | z + w, m$data, id = "iid",
        with = if (j > i) chromosomes[[j]]))
      total <- if (is.null(total)) shard else total + shard
    }
  }
  expect_same_fit(iv_2sls(total), whole)

  # people outermost, two sets of variants, weights
  one <- b[, 1:9]
  two <- b[, 10:22]
  shard <- function(rows) {
    hush(iv_crossprod(y ~ x + w | one + two + w, rows, id = "iid", weights = weight))
  }
  expect_same_fit(
    iv_2sls(shard(m$data[1:60, ]) + shard(m$data[61:211, ])),
    hush(iv_2sls(y ~ x + w | b + w, m$data, id = "iid", weights = weight))
  )
  # the defect that is guarded against: each shard imputing its own means
  own <- lapply(list(1:100, 101:211), function(i) {
    z <- m$g[m$data$iid[i], ]
    apply(z, 2, function(v) replace(v, is.na(v), mean(v, na.rm = TRUE)))
  })
  z <- do.call(rbind, own)
  expect_gt(abs(coef(iv_2sls(y ~ x + w | z + w, m$data))[["x"]] - coef(whole)[["x"]]), 1e-6)
})

test_that("the LASSO and its second stage stream", {
  m <- made()
  b <- m$bed
  z <- m$g[m$data$iid, ]
  foldid <- rep_len(1:5, nrow(z))
  for (refit in c(TRUE, FALSE)) {
    streamed <- hush(iv_lasso(y ~ x + w | b + w, m$data, id = "iid", foldid = foldid,
      refit = refit, vcov = "HC1"))
    matrix <- hush(iv_lasso(y ~ x + w | z + w, m$data, foldid = foldid, refit = refit,
      vcov = "HC1"))
    expect_identical(streamed$instruments, matrix$instruments)
    expect_equal(streamed$cv, matrix$cv, tolerance = 1e-9)
    expect_same_fit(streamed, matrix, 1e-8) # the path is solved to 1e-10
  }
  streamed <- hush(iv_lasso(y ~ x | b, m$data, id = "iid", lambda = 0.05))
  expect_equal(coef(streamed), coef(hush(iv_lasso(y ~ x | z, m$data, lambda = 0.05))),
    tolerance = 1e-8)
})

test_that("networks decode genotypes", {
  m <- made()
  b <- m$bed
  z <- apply(m$g[m$data$iid, ], 2, function(v) replace(v, is.na(v), mean(v, na.rm = TRUE)))
  control <- nn_control(hidden = 3, epochs = 2)
  fit <- function(...) suppressWarnings(hush(iv_deep(..., control = control, seed = 1)))
  a <- fit(y ~ x | b, m$data, id = "iid")
  expect_equal(effect_curve(a, 0:1)$estimate,
    effect_curve(fit(y ~ x | z, m$data), 0:1)$estimate, tolerance = 1e-6) # float arithmetic
})

test_that("monomorphic variants and those that nobody has", {
  g <- made_genotypes()
  b <- bed(write_bed(g, tempfile()))
  data <- made_phenotypes(g)
  good <- b[, setdiff(20:40, 5:6)]
  some <- b[, c(5, 20:40)]
  expect_message(fit <- iv_2sls(y ~ x | some, data, id = "iid"), "Collinear and left out.*v05")
  expect_same_fit(fit, hush(iv_2sls(y ~ x | good, data, id = "iid")))
  expect_snapshot(error = TRUE, hush(iv_2sls(y ~ x | b, data, id = "iid")))
})

test_that("what cannot be done is refused", {
  m <- made()
  b <- m$bed
  one <- b[, 1:9]
  two <- b[, 10:22]
  data <- m$data
  data$z <- data$w
  shard <- hush(iv_crossprod(y ~ x | one, data, id = "iid"))
  other <- hush(iv_crossprod(y ~ x | two, data, id = "iid"))
  few <- hush(iv_crossprod(y ~ x | two, data[1:50, ], id = "iid"))
  expect_snapshot(error = TRUE, {
    iv_2sls(y ~ x | b, data[1:20, ])
    iv_2sls(y ~ x | b, data, id = "name")
    iv_2sls(y ~ x | b, transform(data, iid = "x"), id = "iid")
    iv_2sls(y ~ x | b, transform(data, iid = paste0("x", iid)), id = "iid")
    iv_2sls(y ~ x | b + z, data, id = "iid")
    iv_2sls(y ~ x + 0 | b + 0, data, id = "iid")
    iv_2sls(y ~ x | one + b[1:2, ], data, id = "iid")
    hush(iv_2sls(y ~ x | b, data, id = "iid", na_genotype = "error"))
    iv_crossprod(y ~ x | z, data)
    iv_2sls(shard, vcov = "HC1")
    iv_2sls(shard, data = data)
    shard + shard
    shard + few
    shard - other
    shard + 1
    shard + hush(iv_crossprod(y ~ x2 | two, data, id = "iid"))
    iv_2sls(shard + other)
  })
  expect_snapshot(print(shard + other))
})
