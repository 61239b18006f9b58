# Effects by strata on the 16 cells of Tian et al. (2023): scenarios A to D times curves 1 to 4, n =
# 10,000, 10 strata. For each stratum bias and coverage of 95 % intervals against two targets:
#   own         int h' w of the stratum's own people, cov(Z, h(X)) / cov(Z, X), as the paper has it
#   population  the same over everybody who could be drawn: strata of 1e6 people
# doubly-ranked and residual strata; standard errors by the delta method, of first order (as the
# paper) and, for the target over the population, robust ones (vcov = "HC1"). Then speed against the
# same in plain R.
#
# Rscript bench/doubly_ranked.R writes bench/doubly_ranked.csv (a row for each cell, method and
# block of seeds) and .md. Options: --trial (few and small data sets, into build/), --minutes=20
# (start no block after 20 minutes), --fresh (run all blocks again). It runs what the csv lacks.
source(file.path("bench", "study_tools.R"))

block_size <- 50L

study_cells <- function(trial) {
  cells <- expand.grid(
    block = seq_len(if (trial) 1L else 20L), outcome = 1:4, scenario = c("A", "B", "C", "D"),
    strata = c("doubly_ranked", "residual"), stringsAsFactors = FALSE
  )
  cells <- cells[cells$strata == "doubly_ranked" | cells$block <= 4L, ]
  cells[order(cells$strata, cells$block), c("strata", "scenario", "outcome", "block")]
}

# Targets over the population: 10 strata of 1e6 people.
population_target <- local({
  known <- list()
  function(cell, trial) {
    key <- paste(cell$strata, cell$scenario, cell$outcome)
    if (is.null(known[[key]])) {
      sim <- sim_tian2023(if (trial) 1e5 else 1e6, cell$scenario, cell$outcome, seed = 1)
      fit <- quietly(iv_doubly_ranked(Y ~ X | Z, sim, strata = cell$strata, seed = 1))
      known[[key]] <<- truth(sim)$strata_target(fit$stratum)
    }
    known[[key]]
  }
})

one_data_set <- function(cell, seed, population, n) {
  sim <- sim_tian2023(n, cell$scenario, cell$outcome, seed = seed)
  fit_with <- function(vcov) {
    quietly(iv_doubly_ranked(Y ~ X | Z, sim, strata = cell$strata, vcov = vcov, seed = seed))
  }
  fit <- fit_with("iid")
  robust <- fit_with("HC1")$lace
  own <- truth(sim)$strata_target(fit$stratum)
  s <- fit$lace
  half <- stats::qt(0.975, s$df) * s$std.error
  half_robust <- stats::qt(0.975, robust$df) * robust$std.error
  half_first <- stats::qnorm(0.975) * s$by.se / abs(s$bx)
  inside <- function(target, half) mean(abs(s$estimate - target) <= half, na.rm = TRUE)
  c(
    bias_own = mean(s$estimate - own, na.rm = TRUE),
    bias_population = mean(s$estimate - population, na.rm = TRUE),
    square_own = mean((s$estimate - own)^2, na.rm = TRUE),
    square_population = mean((s$estimate - population)^2, na.rm = TRUE),
    own = inside(own, half), own_first = inside(own, half_first),
    population = inside(population, half), population_first = inside(population, half_first),
    population_robust = inside(population, half_robust),
    se = mean(s$std.error, na.rm = TRUE), worst_F = min(s$F, na.rm = TRUE),
    q_rejects = glance(fit)$q.p < 0.05, estimated = mean(!is.na(s$estimate))
  )
}

run_block <- function(cell, trial) {
  n <- if (trial) 2000 else 10000
  size <- if (trial) 5L else block_size
  population <- population_target(cell, trial)
  seeds <- 100 + (cell$block - 1) * size + seq_len(size)
  started <- proc.time()[["elapsed"]]
  each <- vapply(seeds, function(seed) one_data_set(cell, seed, population, n), numeric(13))
  data.frame(cell, data_sets = size, as.list(rowMeans(each)),
    between = stats::sd(each["population", ]), cell_seconds = proc.time()[["elapsed"]] - started,
    commit = c(measured_commit(), "unknown")[1])
}

run_blocks <- function(how) {
  folder <- study_folder(how$trial)
  path <- file.path(folder, "doubly_ranked.csv")
  rows <- if (file.exists(path) && !how$fresh) utils::read.csv(path)
  cells <- study_cells(how$trial)
  if (NROW(rows)) {
    cells <- cells[!cell_key(cells) %in% cell_key(rows[names(cells)]), ]
  }
  started <- proc.time()[["elapsed"]]
  for (i in seq_len(nrow(cells))) {
    if ((proc.time()[["elapsed"]] - started) / 60 > how$minutes) {
      cat(how$minutes, "minutes are over\n")
      break
    }
    rows <- bind_rows(rows, run_block(cells[i, ], how$trial))
    write_rows(rows, path)
  }
  rows
}

# Blocks of a cell put together.
cell_table <- function(rows, strata) {
  rows <- rows[rows$strata == strata, ]
  parts <- split(rows, paste0(rows$scenario, rows$outcome))
  percent <- function(x) if (is.nan(x)) "" else formatC(100 * x, digits = 1, format = "f")
  do.call(rbind, lapply(parts, function(r) {
    mean_of <- function(column) {
      stats::weighted.mean(r[[column]], r$data_sets * !is.na(r[[column]]), na.rm = TRUE)
    }
    data.frame(
      cell = paste0(r$scenario[1], r$outcome[1]), data_sets = sum(r$data_sets),
      bias = formatC(mean_of("bias_own"), digits = 3, format = "f"),
      MSE = formatC(mean_of("square_own"), digits = 3, format = "f"),
      "own, %" = percent(mean_of("own")), "own, first order, %" = percent(mean_of("own_first")),
      "bias (population)" = formatC(mean_of("bias_population"), digits = 3, format = "f"),
      "population, %" = percent(mean_of("population")),
      "population, first order, %" = percent(mean_of("population_first")),
      "population, HC1, %" = percent(mean_of("population_robust")),
      "Q rejects, %" = percent(mean_of("q_rejects")),
      "strata with an estimate, %" = percent(mean_of("estimated")), check.names = FALSE
    )
  }))
}

# Strata and associations in plain R, as DRMR does them, for time and for equal numbers.
strata_in_r <- function(d, k = 10) {
  place <- order(order(d$Z))
  block <- (place - 1) %/% k
  stratum <- integer(nrow(d))
  stratum[order(block, d$X)] <- unlist(lapply(tabulate(block + 1), function(m) {
    sort(rep(seq_len(k), length.out = m))
  }))
  vapply(seq_len(k), function(s) {
    part <- d[stratum == s, ]
    bx <- summary(stats::lm(X ~ Z, part))$coefficients[2, 1:2]
    by <- summary(stats::glm(Y ~ Z, data = part))$coefficients[2, 1:2]
    c(by[1] / bx[1], by[2] / abs(bx[1]))
  }, c(0, 0))
}

# The same columns, laws and truths, one vector call each.
tian_in_r <- function(n) {
  z <- rnorm(n, 0, 0.5)
  u1 <- rnorm(n)
  u2 <- rnorm(n)
  u3 <- rnorm(n)
  x <- -10 + (1.5 + 0.4 * u2) * (z + 5) + u2 + u1
  list(data = list2DF(list(Y = 0.1 * x^2 + u2 + u3, X = x, Z = z)), beta = 0.2 * x, u1, u2, u3)
}

burgess_in_r <- function(n) {
  g <- as.double(rbinom(n, 2, 0.3))
  u <- runif(n)
  v <- rexp(n)
  e <- rnorm(n)
  x <- 0.25 * g + u + v
  y <- 0.2 * (x - 1)^2 + 0.8 * u + e
  list(data = list2DF(list(Y = y, X = x, g = g)), beta = 0.4 * (x - 1), u, v, e)
}

speed_lines <- function(trial) {
  n <- if (trial) 1e5 else 1e6
  sim <- sim_tian2023(n, "C", 2, seed = 1)
  d <- as.data.frame(sim)
  seconds <- function(expr, wall = FALSE) {
    expr <- substitute(expr)
    env <- parent.frame()
    stats::median(vapply(1:5, function(i) {
      gc()
      used <- system.time(eval(expr, env), gcFirst = FALSE)
      if (wall) used[["elapsed"]] else sum(used[c("user.self", "sys.self")])
    }, 0))
  }
  ours <- iv_doubly_ranked(Y ~ X | Z, d, n_threads = 1)$lace
  theirs <- strata_in_r(d)
  all_three <- function(n_threads, wall) {
    c(seconds(sim_tian2023(n, "C", 2, seed = 1, n_threads = n_threads), wall),
      seconds(sim_burgess2014(n, "J", seed = 1, n_threads = n_threads), wall),
      seconds(iv_doubly_ranked(Y ~ X | Z, d, n_threads = n_threads), wall))
  }
  rows <- data.frame(
    what = c("sim_tian2023()", "sim_burgess2014()", "iv_doubly_ranked()"),
    ours = all_three(1L, FALSE), one = all_three(1L, TRUE), two = all_three(2L, TRUE),
    r = c(seconds(tian_in_r(n)), seconds(burgess_in_r(n)), seconds(strata_in_r(d)))
  )
  table <- data.frame(
    what = rows$what, "ours, 1 thread, s" = short(rows$ours), "plain R, s" = short(rows$r),
    "times faster" = short(rows$r / rows$ours), "elapsed, 1 thread, s" = short(rows$one),
    "elapsed, 2 threads, s" = short(rows$two), check.names = FALSE
  )
  c("## Speed", "",
    paste0("n = ", whole(n), ", processor time (user and system) and elapsed time, which other ",
      "work on the machine lengthens; medians of five."), "",
    md_table(table), "",
    paste0("Largest relative difference between the LACE of both: ",
      format(max(abs(ours$estimate / theirs[1, ] - 1)), digits = 2), "."))
}

report <- function(rows, speed) {
  ranked <- cell_table(rows, "doubly_ranked")
  told <- function(column) {
    x <- as.double(ranked[[column]])
    paste0(sum(abs(x - 95) <= 2), " of ", length(x), " cells within 95 +- 2 %, from ", min(x),
      " to ", max(x), " %")
  }
  many <- range(ranked$data_sets)
  robust <- range(tapply(rows$data_sets * !is.na(rows$population_robust),
    paste(rows$strata, rows$scenario, rows$outcome), sum)[paste("doubly_ranked",
    rep(LETTERS[1:4], each = 4), 1:4)])
  blocks <- paste0(unique(rows$commit), collapse = ", ")
  c(
    "# Effects by strata: bias and coverage", "",
    paste0("Tian et al. (2023) say of doubly-ranked strata that they \"can obtain unbiased ",
      "stratum-specific estimates and appropriate coverage rates even when the effect of the ",
      "instrument on the exposure is non-linear or heterogeneous\" and unbiased ones where the ",
      "exposure is coarsened, which \"leads to substantial bias in the residual method\" ",
      "(abstract); the package of the paper has curves 1 to 4. Below: n = ",
      "10,000, 10 strata, seeds from 101, means over strata. `own` is the target of the stratum's ",
      "own people, as theirs; in D it takes the rounded exposure, on which the outcome depends. ",
      "First order: standard errors as theirs."), "",
    "## Doubly-ranked strata", "", md_table(ranked), "",
    paste0("Own target: ", told("own, %"), ". Population target: ", told("population, %"),
      "; with `vcov = \"HC1\"`, the default, ", told("population, HC1, %"), " (",
      paste(unique(robust), collapse = " to "), " data sets). A coverage of ",
      paste(unique(many), collapse = " to "), " data sets times 10 strata has a Monte Carlo error ",
      "of about ", format(100 * sqrt(0.95 * 0.05 / (10 * many[1])), digits = 1),
      " %. Own targets move with ",
      "the sample, so that their intervals are too wide where the curve bends much (curve 4)."), "",
    "## Residual strata", "", md_table(cell_table(rows, "residual")), "",
    speed, "",
    paste0(nrow(rows), " blocks, commit ", blocks, ", ", short(sum(rows$cell_seconds) / 60),
      " minutes.")
  )
}

if (is_script()) {
  how <- study_options()
  options(mrlearn.threads = 1L)
  rows <- run_blocks(how)
  lines <- report(rows, speed_lines(how$trial))
  writeLines(lines)
  writeLines(lines, file.path(study_folder(how$trial), "doubly_ranked.md"))
}
