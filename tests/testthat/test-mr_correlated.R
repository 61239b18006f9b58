ld_set <- function(name) {
  d <- utils::read.csv(test_path("fixtures", "mr_ld_data.csv"))
  d <- d[d$set == name, ]
  list(dat = mr_data(d$bx, d$sx, d$by, d$sy, snp = paste0("rs", seq_len(nrow(d)))),
    rho = do.call(rbind, lapply(strsplit(d$rho, " "), as.numeric)))
}

named <- function(rho, names) structure(rho, dimnames = list(names, names))

test_that("IVW and Egger: as MendelianRandomization recorded", {
  recorded <- utils::read.csv(test_path("fixtures", "mr_ld_recorded.csv"))
  for (set in c("own", "made")) {
    d <- ld_set(set)
    ours <- mr_correlated(d$dat, d$rho, c("mr_ivw", "mr_egger_regression"))
    theirs <- recorded[recorded$set == set, ]
    theirs <- stats::setNames(theirs$value, theirs$quantity)
    # Both invert the same matrices, of condition 100 or so.
    gap <- relative_gap(c(ours$b, ours$se, ours$Q, ours$intercept[2], ours$intercept_se[2]),
      theirs[c("ivw.b", "egger.b", "ivw.se", "egger.se", "ivw.q", "egger.q", "egger.intercept",
        "egger.intercept_se")])
    expect_lt(gap, 1e-8)
  }
})

test_that("PCA-IVW and the corrected form: as their formulas", {
  d <- ld_set("made")
  dat <- d$dat
  bx <- dat$beta.exposure
  by <- dat$beta.outcome
  sx <- dat$se.exposure
  sy <- dat$se.outcome
  psi <- outer(bx / sy, bx / sy) * d$rho
  e <- eigen(psi)
  k <- which(cumsum(e$values) / sum(e$values) > 0.99)[1]
  w <- e$vectors[, 1:k]
  sigma <- solve(t(w) %*% (outer(sy, sy) * d$rho) %*% w)
  x <- t(w) %*% bx
  y <- t(w) %*% by
  b <- drop(t(x) %*% sigma %*% y / (t(x) %*% sigma %*% x))
  q <- drop(t(y - b * x) %*% sigma %*% (y - b * x))
  ours <- mr_correlated(dat, d$rho, c("mr_pca_ivw", "mr_ivw_overlap"), psi = 0.3)
  expect_equal(ours$b[1], b, tolerance = 1e-9)
  expect_equal(ours$n_components, c(k, 12))
  expect_equal(ours$se[1], max(1, sqrt(q / (k - 1))) / sqrt(drop(t(x) %*% sigma %*% x)),
    tolerance = 1e-9)
  a <- solve(outer(sy, sy) * d$rho)
  cx <- outer(sx, sx) * d$rho
  cxy <- 0.3 * outer(sx, sy) * d$rho
  trace <- function(m) sum(diag(m))
  below <- drop(bx %*% a %*% bx) - trace(a %*% cx)
  b <- (drop(bx %*% a %*% by) - trace(a %*% cxy)) / below
  v <- outer(sy, sy) * d$rho - b * (cxy + t(cxy)) + b^2 * cx
  k <- cxy - b * cx
  variance <- drop(bx %*% a %*% v %*% a %*% bx) + trace(a %*% k %*% a %*% k)
  r <- by - b * bx
  scale <- max(1, sqrt(drop(r %*% solve(v, r)) / 11))
  expect_equal(ours$b[2], b, tolerance = 1e-9)
  expect_equal(ours$se[2], scale * sqrt(variance) / below, tolerance = 1e-9)
})

test_that("without correlation these are the usual estimators", {
  d <- ld_set("made")$dat
  ours <- mr_correlated(d, diag(12), c("mr_ivw", "mr_egger_regression"))
  usual <- mr_estimate(d, c("mr_ivw", "mr_egger_regression"))
  expect_equal(ours$b, usual$b)
  expect_equal(ours$se, usual$se)
})

test_that("order, names, alleles and perfect correlation", {
  d <- ld_set("made")
  ids <- d$dat$SNP
  base <- mr_correlated(d$dat, d$rho)
  turned <- named(d$rho, ids)[12:1, 12:1]
  expect_equal(mr_correlated(d$dat, turned), base)
  # Other alleles counted: signs turn back.
  dat <- transform(d$dat, effect_allele.exposure = "A", other_allele.exposure = "G")
  flip <- rep(c(1, -1, -1), 4)
  suffix <- ifelse(flip > 0, "_A_G", "_G_A")
  flipped <- d$rho * outer(flip, flip)
  expect_equal(mr_correlated(dat, named(flipped, paste0(ids, suffix))), base)
  table <- data.frame(SNP = ids, effect_allele = ifelse(flip > 0, "a", "g"),
    other_allele = ifelse(flip > 0, "g", "a"))
  expect_equal(mr_correlated(dat, named(flipped, ids), alleles = table), base)
  # The test above fails without the turning: signs matter.
  expect_gt(max(abs(mr_correlated(d$dat, flipped)$b - base$b)), 0.01)
  # The first variant a second time adds nothing.
  twice <- d$dat[c(1:12, 1), ]
  twice$SNP[13] <- "copy"
  again <- mr_correlated(twice, d$rho[c(1:12, 1), c(1:12, 1)], c("mr_ivw", "mr_ivw_overlap"))
  expect_equal(again$b, base$b[c(1, 4)], tolerance = 1e-7)
  expect_equal(again$n_components, c(12, 12))
  # Two pairs, one matrix.
  two <- rbind(d$dat, transform(d$dat[1:6, ], id.outcome = "other"))
  out <- mr_correlated(two, named(d$rho, ids))
  expect_equal(out$b[1:4], base$b)
  expect_equal(out$nsnp, rep(c(12L, 6L), each = 4))
})

test_that("coverage: a region in strong correlation, weak variants, overlap", {
  # Errors and effects by their law: b_x = rho g + e, cor(e_i, f_i) = psi. 60 variants, r2 to 0.9.
  set.seed(61)
  n <- 60
  rho <- 0.95^abs(outer(seq_len(n), seq_len(n), "-"))
  root <- chol(rho)
  psi <- 0.4
  g <- drop(rho %*% replace(numeric(n), c(7, 20, 33, 50), c(0.1, -0.08, 0.09, 0.07)))
  draw <- function() drop(crossprod(root, rnorm(n)))
  s <- 0.01
  hits <- replicate(400, {
    e <- draw()
    f <- psi * e + sqrt(1 - psi^2) * draw()
    dat <- mr_data(g + s * e, rep(s, n), 0.5 * g + s * f, rep(s, n))
    out <- mr_correlated(dat, rho, psi = psi)
    out$ci_low < 0.5 & out$ci_high > 0.5
  })
  bound <- 4 * sqrt(0.95 * 0.05 / 400)
  # The scale that is never below 1 makes intervals somewhat wide: the lower bound is what counts.
  expect_gt(mean(hits[4, ]), 0.95 - bound)
  expect_lt(mean(hits[4, ]), 0.985)
})

test_that("bad input of correlated variants", {
  d <- ld_set("made")
  ids <- d$dat$SNP
  rho <- named(d$rho, ids)
  argument <- "mrlearn_error_argument"
  expect_error(mr_correlated(d$dat, d$rho[1:5, ]), "square", class = argument)
  expect_error(mr_correlated(d$dat, d$rho[1:5, 1:5]), "without names", class = argument)
  expect_error(mr_correlated(d$dat, rho[1:5, 1:5]), "lacks 7 of 12", class = "mrlearn_error_data")
  expect_error(mr_correlated(d$dat, rho[, 12:1]), "same row and column names", class = argument)
  expect_error(mr_correlated(d$dat, named(d$rho, rep(ids[1], 12))), class = "mrlearn_error_data")
  expect_error(mr_correlated(d$dat, rho * 2), "diagonal", class = argument)
  expect_error(mr_correlated(d$dat, replace(rho, 5, NA)), class = "mrlearn_error_data")
  bad <- rho
  bad[bad < 1] <- -0.9
  expect_error(mr_correlated(d$dat, bad), "negative eigenvalues", class = argument)
  dat <- transform(d$dat, effect_allele.exposure = "A", other_allele.exposure = "G")
  expect_error(mr_correlated(dat, named(d$rho, paste0(ids, "_A_T"))), "alleles",
    class = "mrlearn_error_data")
  expect_error(mr_correlated(dat, rho, alleles = 1), class = argument)
  expect_error(mr_correlated(d$dat, rho, "ivw"), class = argument)
  expect_error(mr_correlated(d$dat, rho, psi = 1), class = argument)
  expect_error(mr_correlated(d$dat, rho, share = 2), class = argument)
  one <- mr_correlated(d$dat[1, ], diag(1))
  expect_equal(is.na(one$b), c(FALSE, TRUE, FALSE, TRUE))
})
