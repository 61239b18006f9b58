# `make oracle`: outputs of heavier reference packages, recorded for the tests.
#
# Writes tests/testthat/fixtures/iv_card.csv (data) and iv_recorded.csv (one number a row, with the
# package and version that gave it). Run at the root of the package. Missing packages are installed
# from CRAN into build/oracle_lib, never into the library of the machine.
#
# Found on R 4.2.2 (2026): ivreg, fixest, lfe, momentfit, gmm and wooldridge install from CRAN's
# current sources; OneSampleMR (fsw(), another conditional F) needs R >= 4.5; ivDiag (eff_F()) pulls
# in some forty packages for what momentfit's MOPtest() gives with the critical value besides.

stopifnot(file.exists("DESCRIPTION"))
packages <- c("ivreg", "fixest", "lfe", "momentfit", "gmm", "wooldridge")
library_dir <- file.path("build", "oracle_lib")
dir.create(library_dir, recursive = TRUE, showWarnings = FALSE)
.libPaths(c(library_dir, .libPaths()))
for (package in packages) {
  if (!requireNamespace(package, quietly = TRUE)) {
    utils::install.packages(package, lib = library_dir, quiet = TRUE)
  }
}
installed <- vapply(c(packages, "AER"), requireNamespace, NA, quietly = TRUE)
stopifnot(installed)

source(file.path("tests", "testthat", "helper-iv.R"))
fixtures <- file.path("tests", "testthat", "fixtures")

# Card (1995), National Longitudinal Survey of Young Men, 1976: the columns that the tests use.
# region: the one of nine regions of 1966 that reg661 ... reg669 mark.
write_card <- function() {
  card <- get(utils::data("card", package = "wooldridge", envir = environment()))
  card$region <- drop(as.matrix(card[paste0("reg66", 1:9)]) %*% 1:9)
  keep <- c(
    "wage", "educ", "exper", "age", "black", "south", "smsa", "nearc2", "nearc4", "fatheduc",
    "motheduc", "region", "weight"
  )
  utils::write.csv(card[keep], file.path(fixtures, "iv_card.csv"), row.names = FALSE, quote = FALSE)
}

# A design as one frame with columns y, x1 ..., w1 ... (no constant), z1 ..., cluster, for packages
# whose formulas would each need another spelling.
plain_frame <- function(design) {
  blocks <- oracle_blocks(design$formula, design$data)
  blocks$w <- blocks$w[, colnames(blocks$w) != "(Intercept)", drop = FALSE]
  number <- function(block, letter) {
    stats::setNames(as.data.frame(unname(block)), paste0(letter, seq_len(ncol(block))))
  }
  list(
    x = colnames(blocks$x), w = colnames(blocks$w), n_z = ncol(blocks$z),
    data = cbind(
      data.frame(y = blocks$y, cluster = design$data$cluster), number(blocks$x, "x"),
      number(blocks$w, "w"), number(blocks$z, "z")
    )
  )
}

plus <- function(letter, count) {
  if (count == 0L) "1" else paste0(letter, seq_len(count), collapse = " + ")
}

# Rows of the record: what `package` says about `quantity`, one value per term.
record <- function(package, quantity, values, terms = names(values)) {
  data.frame(
    package = package, version = as.character(utils::packageVersion(package)),
    quantity = quantity, term = if (is.null(terms)) "" else terms, value = as.numeric(values)
  )
}

record_ivreg <- function(design) {
  fit <- ivreg::ivreg(design$formula, data = design$data)
  d <- summary(fit, diagnostics = TRUE)$diagnostics
  rbind(
    record("ivreg", "coef", stats::coef(fit)),
    record("ivreg", "se.iid", sqrt(diag(stats::vcov(fit)))),
    record("ivreg", "statistic.iid", d[, "statistic"], rownames(d)),
    record("ivreg", "p.value.iid", d[, "p-value"], rownames(d))
  )
}

record_fixest <- function(design) {
  plain <- plain_frame(design)
  k <- length(plain$x)
  formula <- stats::as.formula(paste(
    "y ~", plus("w", length(plain$w)), "|", plus("x", k), "~", plus("z", plain$n_z)
  ))
  fit <- fixest::feols(formula, data = plain$data, nthreads = 1, notes = FALSE)
  terms <- c("(Intercept)", plain$x, plain$w)
  se <- function(...) fixest::se(fit, ...)
  fitted <- fixest::fitstat(fit, ~ ivf1 + wh + sargan, verbose = FALSE)
  first <- if (k > 1L) paste0("Weak instruments (", plain$x, ")") else "Weak instruments"
  labels <- c(first, "Wu-Hausman", if (plain$n_z > k) "Sargan")
  robust <- fixest::fitstat(summary(fit, vcov = "hetero"), ~ivwald1, verbose = FALSE)
  statistic <- function(x) vapply(x[!is.na(x)], function(s) s$stat, 0)
  rbind(
    record("fixest", "coef", stats::coef(fit), terms),
    record("fixest", "se.iid", se(vcov = "iid"), terms),
    record("fixest", "se.HC1", se(vcov = "hetero"), terms),
    record("fixest", "se.cluster", se(vcov = ~cluster), terms),
    record("fixest", "statistic.iid", statistic(fitted), labels),
    record("fixest", "statistic.HC1", statistic(robust), first)
  )
}

# lfe::condfstat() divides by a residual variance with n - (excluded instruments) degrees of freedom
# where Sanderson and Windmeijer take off the covariates too: rescaled here to theirs.
record_conditional <- function(design) {
  plain <- plain_frame(design)
  k <- length(plain$x)
  w <- plus("w", length(plain$w))
  felm <- stats::as.formula(paste(
    "y ~", w, "| 0 | (", paste0("x", seq_len(k), collapse = "|"), "~", plus("z", plain$n_z), ")"
  ))
  theirs <- drop(lfe::condfstat(do.call(lfe::felm, list(felm, data = plain$data)))["iid F", ])
  df <- nrow(plain$data) - plain$n_z
  factor <- (df - 1 - length(plain$w)) / df
  model <- moment_model(plain, "MDS")
  sw <- vapply(seq_len(k), function(j) momentfit::SWtest(model, j, print = FALSE), 0)
  terms <- paste0("Conditional F (", plain$x, ")")
  rbind(
    record("lfe", "statistic.iid", theirs * factor, terms),
    record("momentfit", "statistic.iid", sw, terms)
  )
}

moment_model <- function(plain, vcov) {
  x <- plus("x", length(plain$x))
  w <- plus("w", length(plain$w))
  z <- plus("z", plain$n_z)
  momentfit::momentModel(
    stats::as.formula(paste("y ~", x, "+", w)), stats::as.formula(paste("~", z, "+", w)),
    data = plain$data, vcov = vcov
  )
}

# momentfit's covariance has no small-sample factor: HC0.
record_effective <- function(design) {
  test <- momentfit::MOPtest(moment_model(plain_frame(design), "MDS"), print = FALSE)
  record("momentfit", c("statistic.HC0", "critical.HC0", "k_eff.HC0"),
    test[c("Feff", "critValue", "Keff")], "Effective F")
}

# gmm() keeps the weights of the first step in its J; momentfit's specTest() renews them.
record_hansen <- function(design) {
  plain <- plain_frame(design)
  data <- plain$data
  g <- stats::as.formula(paste("y ~", plus("x", length(plain$x)), "+", plus("w", length(plain$w))))
  x <- stats::as.formula(paste("~", plus("z", plain$n_z), "+", plus("w", length(plain$w))))
  fit <- gmm::gmm(g, x, data = data, type = "twoStep", vcov = "MDS", centeredVcov = FALSE)
  record("gmm", "statistic.HC0", gmm::specTest(fit)$test[1, 1], "Hansen J")
}

record_design <- function(name) {
  message(name)
  design <- iv_design(name)
  k <- design$n_exposures
  over <- design$n_instruments > k
  rows <- rbind(
    record_ivreg(design), record_fixest(design),
    if (k > 1L) record_conditional(design),
    if (k == 1L && design$moments) record_effective(design),
    if (over && design$moments) record_hansen(design)
  )
  cbind(design = name, rows)
}

write_recorded <- function() {
  rows <- do.call(rbind, lapply(iv_design_names(), record_design))
  rows <- rows[is.finite(rows$value), ]
  rows$value <- formatC(rows$value, digits = 17, format = "g")
  utils::write.csv(rows, file.path(fixtures, "iv_recorded.csv"), row.names = FALSE)
}

write_card()
write_recorded()
