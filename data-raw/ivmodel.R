# Outputs of ivmodel on Card's schooling data, recorded for the tests: k-class estimators with their
# standard errors, and Anderson-Rubin and conditional likelihood ratio tests and sets. Run at the
# root of the package; ivmodel (CRAN) is looked for in R_LIBS.
#
# CLR sets: ivmodel finds the critical value by uniroot() to about 1e-4, which its limits inherit;
# they are recorded as "clr_rough". "clr" are limits by ivmodel's own p-value function with the root
# found to 1e-13.

stopifnot(requireNamespace("ivmodel"), file.exists("DESCRIPTION"))
fixtures <- file.path("tests", "testthat", "fixtures")
card <- utils::read.csv(file.path(fixtures, "iv_card.csv"))
covariates <- with(card, cbind(exper, exper^2, black, smsa, south))
region <- with(card, cbind(exper, exper^2, black))
designs <- list(
  both = list(z = cbind(card$nearc2, card$nearc4), w = covariates),
  one = list(z = cbind(card$nearc4), w = covariates),
  many = list(
    z = cbind(card$nearc2, card$nearc4, card$nearc2 * card$nearc4, card$nearc2 * card$exper,
      card$nearc4 * card$exper),
    w = covariates
  ),
  weak = list(z = cbind(card$nearc2, card$nearc2 * card$black), w = region)
)

limits <- function(name, ci) {
  ci <- matrix(ci, ncol = 2)
  values <- as.vector(t(ci[order(ci[, 1]), , drop = FALSE]))
  stats::setNames(values, paste0(name, ".", seq_along(values)))
}

exact_clr <- function(model, alpha) {
  rows <- with(model, cbind(Yadj, Dadj))
  fitted <- qr.fitted(model$ZadjQR, rows)
  df <- model$n - model$p - model$L
  inverse <- solve(crossprod(rows - fitted) / df)
  m <- crossprod(fitted)
  top <- max(Re(eigen(inverse %*% m)$values))
  p <- function(q) ivmodel:::condPvalue(top - q, q, model$L, df) - alpha
  critical <- stats::uniroot(p, c(1e-8, top - 1e-8), tol = 1e-13)$root
  a <- inverse %*% m %*% inverse - critical * inverse
  root <- sort(Re(polyroot(c(a[2, 2], 2 * a[1, 2], a[1, 1]))))
  if (a[1, 1] > 0) c(-Inf, root[1], root[2], Inf) else root
}

record <- function(name) {
  d <- designs[[name]]
  model <- ivmodel::ivmodel(Y = log(card$wage), D = card$educ, Z = d$z, X = d$w)
  out <- c()
  for (k in c("LIML", "Fuller1", "Fuller4", "k0.5")) {
    for (se in c("iid", "HC0", "cluster")) {
      args <- list(model, heteroSE = se == "HC0",
        clusterID = if (se == "cluster") card$region)
      fit <- switch(k,
        LIML = do.call(ivmodel::LIML, args),
        Fuller1 = do.call(ivmodel::Fuller, c(args, b = 1)),
        Fuller4 = do.call(ivmodel::Fuller, c(args, b = 4)),
        k0.5 = do.call(ivmodel::KClass, c(args, k = 0.5))
      )
      out <- c(out, stats::setNames(
        c(fit$point.est, fit$std.err, if (k != "k0.5") fit[[length(fit)]]),
        paste(k, se, c("estimate", "std.error", if (k != "k0.5") "kappa"), sep = ".")
      ))
    }
  }
  for (beta0 in c(0, 0.1, 0.5)) {
    ar <- ivmodel::AR.test(model, beta0 = beta0)
    out <- c(out, stats::setNames(c(ar$Fstat, ar$p.value, ivmodel::CLR(model, beta0)$p.value),
      paste0(c("AR.F.", "AR.p.", "CLR.p."), beta0)))
  }
  for (level in c(0.5, 0.9, 0.95)) {
    out <- c(out,
      limits(paste0("AR.", level), ivmodel::AR.test(model, alpha = 1 - level)$ci),
      limits(paste0("CLR_rough.", level), ivmodel::CLR(model, alpha = 1 - level)$ci),
      if (ncol(d$z) > 1) limits(paste0("CLR.", level), exact_clr(model, 1 - level)))
  }
  data.frame(design = name, quantity = names(out), value = unname(out),
    version = as.character(utils::packageVersion("ivmodel")))
}

recorded <- do.call(rbind, lapply(names(designs), record))
recorded <- recorded[!is.na(recorded$value), ]
recorded$value <- format(recorded$value, digits = 15, trim = TRUE, scientific = TRUE)
utils::write.csv(recorded, file.path(fixtures, "ivmodel_recorded.csv"), row.names = FALSE,
  quote = FALSE)
