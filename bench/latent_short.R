# What bench/latent.R asks of the methods, and what its rows say: the first table of the report.

# Means over 20 seeds and their standard deviations, as published for designs that do not depend on
# the mixing: by environments OLS, 2SLS(Z), 2SLS(V), 2SLS(W), PO(V)-2SLS(W), PO(K)-2SLS(Z).
published <- list(
  `2` = rbind(mean = c(ols = 0.3034, z = 0.2967, v = 0.3142, oracle = 0.0013, oracle.po = -0.0001,
    k = 0.2271), sd = c(0.0009, 0.0009, 0.0010, 0.0068, 0.0035, 0.0013)),
  `3` = rbind(mean = c(ols = 0.3684, z = 0.3622, v = 0.3759, oracle = -0.0009, oracle.po = -0.0008,
    k = 0.2247), sd = c(0.0006, 0.0006, 0.0006, 0.0089, 0.0033, 0.0015))
)

four <- function(x) formatC(x, digits = 4, format = "f")

# Rows of one design, without seeds.
design_of <- function(rows) {
  paste(rows$mixing, rows$degree, rows$dim_z, rows$n_env, rows$hard, rows$option,
    rows$mixing_seed != 100)
}

by_design <- function(rows, value) {
  vapply(split(rows, design_of(rows)), value, 0)
}

short_line <- function(what, measured, asked) {
  data.frame(what = what, measured = measured, asked = asked)
}

competitors_short <- function(rows) {
  rows <- rows[rows$group == "competitors" & rows$mixing == "poly" & rows$degree == 1 &
    !rows$hard, ]
  z <- lapply(c("2", "3"), function(e) {
    own <- rows[rows$n_env == e, colnames(published[[e]])]
    n <- nrow(own)
    (colMeans(own) - published[[e]]["mean", ]) /
      sqrt((vapply(own, stats::var, 0) + published[[e]]["sd", ]^2) / n)
  })
  short_line("competitors, published minus ours, largest of 12", paste(short(max(abs(unlist(z)))),
    "standard errors"), "Monte Carlo error")
}

# The mean of bias minus the oracle's bias over its standard error.
oracle_gap <- function(r) {
  beyond <- r$bias - r$oracle
  abs(mean(beyond)) / stats::sd(beyond) * sqrt(nrow(r))
}

mean_bias <- function(r) mean(r$bias)

methods_short <- function(rows) {
  of <- function(group) rows[rows$group == group, ]
  linear <- of("linear")
  poly <- of("poly")
  mlp <- of("mlp")
  rbind(
    short_line("ssa: bias beyond the oracle's, largest", paste(short(max(by_design(linear,
      oracle_gap))), "standard errors"), "3"),
    short_line("ssa: R2(W), least", four(min(linear$r2)), ".999"),
    short_line("closure: R2(W), least; leak, largest", paste0(four(min(poly$r2)), "; ",
      four(max(poly$leak))), ".99; .005"),
    short_line("flow: absolute bias, leak, largest of all runs; gates passed",
      paste0(four(max(abs(mlp$bias))), "; ", four(max(mlp$leak)), "; ", sum(mlp$passed), "/",
        nrow(mlp)), ".05; .01 or refused"),
    short_line("flow: seconds, median and largest, one thread", paste(short(median(mlp$seconds)),
      "and", short(max(mlp$seconds))), "5 on two")
  )
}

autoencoder_short <- function(rows) {
  rows <- rows[rows$group == "autoencoder" & rows$option %in% c("random", "learned"), ]
  lines <- function(option, label) {
    r <- rows[rows$option == option, ]
    linear <- r[r$degree == 1, ]
    poly <- r[r$degree > 1 & r$n_env == 3, ]
    label <- paste0("autoencoder, ", label)
    rbind(
      short_line(paste0(label, ", linear: R2(W), least; absolute mean bias, largest"),
        paste0(four(min(linear$r2)), "; ", four(max(abs(by_design(linear, mean_bias))))),
        ".97; .03"),
      short_line(paste0(label, ", poly-2 and poly-3, E = 3: the same bias"),
        four(max(abs(by_design(poly, mean_bias)))), ".05")
    )
  }
  rbind(lines("random", "random starts"), lines("learned", "W as learned"))
}

hsic_short <- function(rows) {
  rows <- rows[rows$group == "ablation", ]
  absolute <- function(option) mean_se(abs(rows$bias.po[rows$option == option]))
  short_line("autoencoder, MLP: mean absolute bias of PO(V) with HSIC; without",
    paste0(absolute("mlp"), "; ", absolute("mlp, no hsic")), "biased without")
}

# "auto" in two folds against the method of least |mean bias| on the same data sets.
auto_gap <- function(rows) {
  others <- rows[rows$group %in% c("linear", "poly", "mlp", "autoencoder") &
    rows$mixing_seed == 100, ]
  vapply(split(rows[rows$group == "auto", ], design_of(rows[rows$group == "auto", ])), function(r) {
    same <- others[others$mixing == r$mixing[1] & others$degree == r$degree[1] &
      others$n_env == r$n_env[1] & others$hard == r$hard[1] & is.na(others$dim_z), ]
    means <- vapply(split(same, paste(same$method, same$option)), function(o) {
      abs(mean(o$bias[match(r$seed, o$seed)]))
    }, 0)
    abs(mean(r$bias)) - min(means, na.rm = TRUE)
  }, 0)
}

refused_short <- function(rows) {
  rows <- rows[rows$group == "refuse", ]
  kind <- ifelse(rows$shift == 0, "identical environments", ifelse(rows$law == "exponential",
    "exponential latents, network", paste("network of condition", whole(rows$condition))))
  parts <- split(rows, factor(kind, unique(kind)))
  short_line(paste("\"auto\" refuses:", names(parts)), vapply(parts, function(r) {
    paste0(sum(r$passed == 0), "/", nrow(r), if (any(r$passed == 1)) paste0("; the others' bias ",
      "at most ", four(max(abs(r$bias[r$passed == 1])))))
  }, ""), "all, or solved")
}

coverage_short <- function(rows) {
  rows <- rows[rows$group == "coverage" & !is.na(rows$covered), ]
  lines <- lapply(split(rows, paste(factor(rows$method, latent_names), rows$option)), function(r) {
    cover <- by_design(r, function(d) mean(d$covered))
    short_line(paste0("95 % intervals, ", r$method[1], if (r$option[1] != "none") paste0(", ",
      r$option[1])), paste(formatC(range(cover), digits = 3, format = "f"), collapse = " to "),
    paste(min(by_design(r, nrow)), "runs"))
  })
  do.call(rbind, lines)
}

semi_short <- function(rows) {
  r <- rows[rows$group == "semi" & rows$option == "in all", ]
  short_line("1000 Genomes: refused; bias of 2SLS(W), of PO(environment)-2SLS(Z)",
    paste0(sum(r$passed == 0), "/", nrow(r), "; ", short(mean(r$bias)), "; ", short(mean(r$k))),
    "said plainly")
}

report_short <- function(rows) {
  table <- rbind(competitors_short(rows), methods_short(rows), autoencoder_short(rows),
    hsic_short(rows),
    short_line("\"auto\": absolute mean bias beyond the best method's, largest",
      four(max(auto_gap(rows))), ".02"),
    refused_short(rows), coverage_short(rows), semi_short(rows))
  row.names(table) <- NULL
  c("## In short", "", md_table(table), "")
}
