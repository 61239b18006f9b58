# A million rows against QR in long steps: estimates, errors, seconds. RELIABILITY.md has what it
# said last. Rscript dev/large.R, 2 GB.
suppressMessages(library(mrlearn))

people <- sim_nonlinear(n = 1e6, n_variants = 10, f = "linear", seed = 1)
z <- as.matrix(people[truth(people)$instruments])
x <- people$X
y <- people$Y
hat <- qr.fitted(qr(scale(z, scale = FALSE)), x - mean(x))
slow <- sum(hat * (y - mean(y))) / sum(hat^2)
rest <- y - mean(y) - slow * (x - mean(x))
slow_se <- sqrt(sum(rest^2) / (1e6 - 2) / sum(hat^2))

off <- function(shift) {
  seconds <- system.time(fit <- iv_2sls(y = y + shift, x = x + shift, z = z))[["elapsed"]]
  c(estimate = coef(fit)[["x"]] / slow - 1, error = sqrt(vcov(fit)["x", "x"]) / slow_se - 1,
    seconds = seconds)
}
cat("iv_2sls, 1,000,000 rows, 10 instruments; relative differences from QR of centred columns\n")
print(rbind("mean 0" = off(0), "mean 1e8" = off(1e8)), digits = 3)
for (name in c("iv_liml", "iv_jive")) {
  fit <- get(name)(y = y, x = x, z = z)
  cat(name, format(coef(fit)[["x"]], digits = 10), "\n")
}
cat("iv_2sls ", format(slow, digits = 10), "\n")
ranked <- iv_doubly_ranked(y = y, x = x, z = z[, 1], n_strata = 10, seed = 1)
cat("iv_doubly_ranked: estimates of", sum(is.finite(ranked$lace$estimate)), "of 10 strata\n")
