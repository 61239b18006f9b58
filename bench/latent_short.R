# What bench/latent.R asks of the methods, and what its rows say of both variants: the first table
# of the report.

# Means over 20 seeds by a separate program of the design, for estimators that do not depend on the
# mixing: OLS, 2SLS(Z), 2SLS(V), 2SLS(W), PO(V)-2SLS(W), PO(K)-2SLS(Z), by environments; their
# standard deviations for the default variant.
reference <- list(
  default = list(
    `2` = c(ols = 0.3034, z = 0.2967, v = 0.3142, oracle = 0.0013, oracle.po = -0.0001, k = 0.2271),
    `3` = c(ols = 0.3684, z = 0.3622, v = 0.3759, oracle = -0.0009, oracle.po = -0.0008,
      k = 0.2247)
  ),
  sd = list(`2` = c(0.0009, 0.0009, 0.0010, 0.0068, 0.0035, 0.0013),
    `3` = c(0.0006, 0.0006, 0.0006, 0.0089, 0.0033, 0.0015)),
  hard = list(`2` = c(z = 0.199, v = 0.219, k = 0.170), `3` = c(z = 0.244, v = 0.262, k = 0.160))
)

four <- function(x) formatC(x, digits = 4, format = "f")
out_of <- function(x) paste0(sum(x), " of ", length(x))

# Rows of one design, without seeds.
design_of <- function(rows) {
  paste(rows$mixing, rows$degree, rows$dim_z, rows$n_env, rows$hard, rows$option,
    rows$mixing_seed != 100)
}

by_design <- function(rows, value) {
  vapply(split(rows, design_of(rows)), value, 0)
}

# One line: `measured` of the rows of each variant, as text.
short_line <- function(what, asked, rows, measured) {
  of <- function(hard) {
    own <- rows[rows$hard == hard, ]
    if (nrow(own)) measured(own) else ""
  }
  data.frame(what = what, asked = asked, default = of(FALSE), hard = of(TRUE),
    leak = worst(rows$leak), seconds = short(stats::median(rows$seconds, na.rm = TRUE)))
}

competitors_short <- function(rows) {
  rows <- rows[rows$group == "competitors" & rows$mixing == "poly" & rows$degree == 1, ]
  by_variant <- list(
    default = function(own, e) {
      sd <- reference$sd[[e]]
      (colMeans(own) - reference$default[[e]]) /
        sqrt((vapply(own, stats::var, 0) + sd^2) / nrow(own))
    },
    hard = function(own, e) colMeans(own) - reference$hard[[e]]
  )
  short_line("estimators beside it: largest difference from the reference", "Monte Carlo error",
    rows, function(r) {
      variant <- if (r$hard[1]) "hard" else "default"
      far <- vapply(c("2", "3"), function(e) {
        own <- r[r$n_env == e, names(reference[[variant]][[e]])]
        max(abs(by_variant[[variant]](own, e)))
      }, 0)
      if (variant == "hard") four(max(far)) else paste(short(max(far)), "standard errors, of 12")
    })
}

# The mean of bias minus the oracle's bias over its standard error.
oracle_gap <- function(r) {
  beyond <- r$bias - r$oracle
  abs(mean(beyond)) / stats::sd(beyond) * sqrt(nrow(r))
}

mean_bias <- function(r) mean(r$bias)
worst_mean <- function(r) worst(by_design(r, mean_bias))

methods_short <- function(rows) {
  of <- function(group) rows[rows$group == group, ]
  linear <- of("linear")
  poly <- of("poly")
  mlp <- of("mlp")
  rbind(
    short_line("ssa: bias beyond the oracle's, in standard errors, largest", "3", linear,
      function(r) short(max(by_design(r, oracle_gap)))),
    short_line("ssa: R2(W), least", ".999", linear, function(r) lowest(r$r2)),
    short_line("closure, degrees 2 and 3: R2(W), least", ".99, leak .005", poly,
      function(r) lowest(r$r2)),
    short_line("the same: absolute mean bias, largest", "", poly, worst_mean),
    short_line("flow: absolute bias of a run, largest", ".05, leak .01 or refused", mlp,
      function(r) worst(r$bias)),
    short_line("flow: gates passed", "", mlp, function(r) out_of(r$passed)),
    short_line("flow: seconds of a run on one thread, largest", "5 on two threads", mlp,
      function(r) short(max(r$seconds)))
  )
}

autoencoder_short <- function(rows) {
  rows <- rows[rows$group == "autoencoder", ]
  line <- function(option, degree, n_env, what, asked, measured) {
    r <- rows[rows$option == option & rows$degree %in% degree & rows$n_env %in% n_env, ]
    short_line(paste0("autoencoder, ", what), asked, r, measured)
  }
  both <- function(r) paste0(lowest(r$r2), "; ", worst_mean(r))
  names <- c(random = "random starts", learned = "W as learned", ssa = "started at SSA",
    default = "settings as they are")
  rbind(
    do.call(rbind, lapply(names(names), function(option) {
      line(option, 1, 2:3, paste0(names[[option]], ", linear: R2(W), least; absolute mean bias, ",
        "largest"), if (option %in% c("random", "learned")) ".97; .03" else "", both)
    })),
    do.call(rbind, lapply(c("random", "learned"), function(option) {
      line(option, 2:3, 3, paste0(names[[option]], ", poly-2 and poly-3, E = 3: the same"),
        "bias .05", both)
    })),
    do.call(rbind, lapply(c("random", "learned"), function(option) {
      line(option, 3, 2, paste0(names[[option]], ", poly-3, E = 2: the same"), "", both)
    }))
  )
}

ablation_short <- function(rows) {
  rows <- rows[rows$group == "ablation" & rows$method == "autoencoder", ]
  absolute <- function(option, what) {
    short_line(paste0("autoencoder, MLP encoder, ", what, ": mean absolute bias of PO(V)"),
      if (option == "mlp") "" else "biased", rows[rows$option == option, ],
      function(r) mean_se(abs(r$bias.po)))
  }
  of_size <- lapply(1:4, function(size) {
    short_line(paste0("autoencoder, W of dimension ", size, " (2 is right): R2(W), least; ",
      "absolute mean bias; gates passed"), "",
      rows[rows$option == "wrong dimension" & rows$dim_w == size, ],
      function(r) paste(lowest(r$r2), worst_mean(r), out_of(r$passed), sep = "; "))
  })
  rbind(absolute("mlp", "with HSIC"), absolute("mlp, no hsic", "without HSIC"),
    do.call(rbind, of_size))
}

# "auto" in two folds against the method of least |mean bias| on the same data sets.
auto_short <- function(rows) {
  others <- rows[rows$group %in% c("linear", "poly", "mlp", "autoencoder") &
    rows$mixing_seed == 100 & is.na(rows$dim_z), ]
  beyond <- function(r) {
    same <- others[others$mixing == r$mixing[1] & others$degree == r$degree[1] &
      others$n_env == r$n_env[1] & others$hard == r$hard[1], ]
    means <- vapply(split(same, paste(same$method, same$option)), function(o) {
      abs(mean(o$bias[match(r$seed, o$seed)]))
    }, 0)
    abs(mean(r$bias)) - min(means, Inf, na.rm = TRUE)
  }
  short_line("\"auto\": absolute mean bias beyond the best method's, largest", ".02",
    rows[rows$group == "auto", ], function(r) four(max(by_design(r, beyond))))
}

refused_short <- function(rows) {
  rows <- rows[rows$group == "refuse", ]
  kind <- ifelse(rows$shift == 0, "identical environments", ifelse(rows$law == "exponential",
    "exponential latents, network", paste("network of condition", whole(rows$condition))))
  parts <- split(rows, factor(kind, unique(kind)))
  do.call(rbind, lapply(names(parts), function(name) {
    short_line(paste("\"auto\" refuses:", name), "all, or solved", parts[[name]], function(r) {
      solved <- r$passed == 1
      paste0(out_of(!solved), if (any(solved)) paste0("; the others' bias at most ",
        worst(r$bias[solved])))
    })
  }))
}

# Beside it the bias of PO(environment)-2SLS(Z) in the same data sets.
discrete_short <- function(rows) {
  rows <- rows[rows$group == "discrete" & rows$dim_z %in% 4, ]
  do.call(rbind, lapply(c(latent_names, "auto"), function(method) {
    short_line(paste0("genotypes 0, 1, 2, ", method, ", E = 2 and 3: mean bias; of PO(environment)",
      "; refused"), "told; an aim: half of it", rows[rows$method == method, ], function(r) {
        of <- function(x) paste(four(tapply(x, r$n_env, mean, na.rm = TRUE)), collapse = ", ")
        paste(c(if (all(is.na(r$bias))) "no estimate" else c(of(r$bias), of(r$k)),
          out_of(!r$passed %in% 1)), collapse = "; ")
      })
  }))
}

coverage_short <- function(rows) {
  rows <- rows[rows$group == "coverage" & !is.na(rows$covered), ]
  key <- paste(factor(rows$method, latent_names), rows$option)
  do.call(rbind, lapply(split(rows, factor(key, unique(key))), function(r) {
    runs <- min(by_design(r, nrow))
    short_line(paste0("95 % intervals, ", r$method[1], if (r$option[1] != "none") paste0(", ",
      r$option[1]), ", ", runs, " runs each: coverage (Monte Carlo error at .95: ",
      short(sqrt(0.95 * 0.05 / runs)), ")"), ".95", r, function(own) {
        cover <- tapply(own$covered, own$n_env, mean)
        paste0(formatC(cover, digits = 3, format = "f"), ", E = ", names(cover), collapse = "; ")
      })
  }))
}

semi_short <- function(rows) {
  short_line("1000 Genomes: refused; bias of 2SLS(W), of PO(environment)-2SLS(Z)", "said plainly",
    rows[rows$group == "semi" & rows$option == "in all", ], function(r) {
      paste(out_of(r$passed == 0), short(mean(r$bias)), short(mean(r$k)), sep = "; ")
    })
}

report_short <- function(rows) {
  table <- rbind(competitors_short(rows), methods_short(rows), autoencoder_short(rows),
    ablation_short(rows), auto_short(rows), refused_short(rows), discrete_short(rows),
    coverage_short(rows), semi_short(rows))
  row.names(table) <- NULL
  c("## In short", "", "Leak: the largest of both variants; seconds: the median of both. What has",
    "no number was not run.", "", md_table(table), "")
}
