# Tables of vignettes/latent.Rmd. Groups of bench/latent.csv that were not run are left out.
source(file.path("dev", "vignettes", "tools.R"))
source(file.path("bench", "latent_report.R"))

rows <- study_rows("latent")
latent_names <- c("ssa", "closure", "flow", "autoencoder")
fixed <- function(x, digits = 3) {
  x <- x[!is.na(x)]
  if (length(x)) formatC(mean(x), digits = digits, format = "f") else ""
}

# The published or recomputed values of the design (n = 20,000 per environment, seeds 42 to 61).
published <- data.frame(
  estimator = c("OLS", "2SLS(Z)", "2SLS(V)", "2SLS(W)", "PO(V)-2SLS(W)", "PO(K)-2SLS(Z)"),
  column = c("ols", "z", "v", "oracle", "oracle.po", "k"),
  two = c(0.3034, 0.2967, 0.3142, 0.0013, -0.0001, 0.2271),
  three = c(0.3684, 0.3622, 0.3759, -0.0009, -0.0008, 0.2247)
)
beside <- rows[rows$group == "competitors" & rows$mixing == "poly" & rows$degree == 1, ]
of_environments <- function(column, n_env, hard) {
  fixed(beside[[column]][beside$n_env == n_env & beside$hard == hard], 4)
}
competitors <- do.call(rbind, lapply(seq_len(nrow(published)), function(i) {
  column <- published$column[i]
  data.frame(estimator = published$estimator[i],
    "E = 2, reference" = sprintf("%.4f", published$two[i]),
    "E = 2, here" = of_environments(column, 2, FALSE),
    "E = 3, reference" = sprintf("%.4f", published$three[i]),
    "E = 3, here" = of_environments(column, 3, FALSE),
    "hard, E = 2" = of_environments(column, 2, TRUE),
    "hard, E = 3" = of_environments(column, 3, TRUE), check.names = FALSE)
}))
write_table(competitors, "latent_competitors")

# Each method on the mixing that it is for: one line per mixing, method and variant, over all
# numbers of environments.
labels <- c(poly1 = "linear", poly2 = "polynomial, degree 2", poly3 = "polynomial, degree 3",
  mlp = "invertible network", linear = "linear, more instruments")
recovery <- rows[rows$group %in% c("linear", "poly", "mlp", "autoencoder") & !is.na(rows$bias), ]
recovery$label <- sub(",.*", "", mixing_label(recovery))
recovery <- recovery[order(match(recovery$label, names(labels)), match(recovery$method,
  latent_names), recovery$hard, recovery$n_env), ]
keys <- paste(recovery$label, recovery$method, recovery$hard, recovery$n_env)
recovered <- do.call(rbind, lapply(split(recovery, factor(keys, unique(keys))), function(r) {
  passed <- r[r$passed %in% 1, ]
  data.frame(mixing = labels[[r$label[1]]], method = r$method[1],
    variant = if (r$hard[1]) "hard" else "default", E = r$n_env[1], runs = nrow(r),
    "2SLS(Z)" = fixed(r$z), "2SLS(W)" = mean_se(r$bias, 3),
    "largest" = formatC(max(abs(r$bias)), digits = 3, format = "f"),
    "W found" = fixed(r$r2), leak = formatC(max(r$leak), digits = 3, format = "f"),
    "gate passed" = paste0(nrow(passed), " of ", nrow(r)), check.names = FALSE)
}))
write_table(recovered, "latent_recovery")

# What "auto" took, and what it refused.
chosen <- rows[rows$group %in% c("auto", "laws", "refuse", "discrete") & rows$method == "auto", ]
if (nrow(chosen)) {
  chosen$label <- mixing_label(chosen)
  keys <- paste(chosen$label, chosen$n_env)
  took <- do.call(rbind, lapply(split(chosen, factor(keys, unique(keys))), function(r) {
    used <- ifelse(r$passed %in% 1, latent_names[r$used], "refused")
    accepted <- r$bias[r$passed %in% 1]
    data.frame(instruments = r$label[1], E = r$n_env[1], runs = nrow(r),
      took = paste(names(table(used)), table(used), collapse = ", "), "2SLS(Z)" = fixed(r$z),
      "2SLS(W) where accepted" = mean_se(accepted, 3), "largest" = worst(accepted),
      check.names = FALSE)
  }))
  write_table(took, "latent_auto")
}

# Coverage of 95 % intervals.
covered <- rows[rows$group %in% c("coverage", "small") & !is.na(rows$bias), ]
keys <- paste(covered$method, covered$n, covered$option, covered$n_env, covered$hard)
coverage <- do.call(rbind, lapply(split(covered, factor(keys, unique(keys))), function(r) {
  data.frame(method = r$method[1], variant = if (r$hard[1]) "hard" else "default", E = r$n_env[1],
    "people per environment" = whole(r$n[1]),
    interval = if (r$option[1] == "bootstrap") "bootstrap of the whole" else "cross-fitted",
    runs = nrow(r), coverage = share_and_error(r$covered), "bias / SE" = fixed(mean(r$bias) /
      mean(r$se), 2), "SE / SD" = fixed(mean(r$se) / stats::sd(r$bias), 2),
    "with PO(V)" = sprintf("%.1f", 100 * mean(abs(r$bias.po) < 1.96 * r$se.po)),
    check.names = FALSE)
}))
write_table(coverage, "latent_coverage")

# Traits on real genotypes.
real <- rows[rows$group == "semi", ]
if (nrow(real)) {
  names_real <- c(ols = "OLS", z = "2SLS(Z)", pcs = "2SLS(Z) + PCs", k = "PO(population)-2SLS(Z)",
    liml = "LIML(Z)", egger = "Egger(Z)", bias = "2SLS(W), refused",
    oracle = "2SLS(valid score), oracle", oracle.po = "PO(confounding score), oracle")
  semi <- do.call(rbind, lapply(names(names_real), function(column) {
    of <- function(option) mean_se(real[[column]][real$option == option], 3)
    data.frame(estimator = names_real[[column]], "bias" = of("in all"),
      "bias, populations as covariates" = of("within populations"), check.names = FALSE)
  }))
  write_table(semi, "latent_real")
}
