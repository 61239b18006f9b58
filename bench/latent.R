# Confounded instruments from several environments: what iv_latent() finds, on the simulator of
# Huang, Robinson & Locatello (2026), default and hard variant. Options and csv as in
# bench/study_tools.R; the rows lie in bench/latent.csv, the report in bench/latent.md. Groups:
#   competitors   the estimators beside it, n = 20,000 per environment, seeds 42-61, as published
#   linear        ssa, 5, 10 and 50 instruments            poly         closure, degrees 2 and 3
#   mlp           flow, seeds and mixing matrices           autoencoder  random starts and SSA's
#   ablation      autoencoder without HSIC; wrong dimensions of W
#   auto, refuse  "auto" on the mixings above, and on what it must refuse
#   discrete      genotypes 0, 1, 2: all methods
#   coverage      cross-fitted intervals: 200 linear, 60 poly and 60 mlp data sets; bootstrap
#   small         the same by the number of people, with a bootstrap of the whole
#   noise         noise of measurement in the instruments
#   laws          laws of the latents, linear and polynomial
#   semi          traits on the 1000 Genomes' chromosome 22 (shared data), 4 populations
# The report is written from all rows that there are; --minutes=0 writes it alone.
source(file.path("bench", "study_tools.R"))

study_path <- function(name, trial) {
  file.path(study_folder(trial), paste0(name, ".csv"))
}

latent_cells <- function(group, ..., n = 10000, seed = 101:110) {
  cells <- expand.grid(..., n = n, hard = c(FALSE, TRUE), seed = seed, stringsAsFactors = FALSE,
    KEEP.OUT.ATTRS = FALSE)
  default <- data.frame(n_env = 2, mixing = "poly", degree = 1, dim_z = NA_real_, law = "normal",
    shift = 2, condition = NA_real_, mixing_seed = 100, method = "ssa", folds = 1, dim_w = 2,
    option = "none")
  for (name in setdiff(names(default), names(cells))) {
    cells[[name]] <- default[[name]]
  }
  cbind(group = group, cells[c(names(default), "n", "hard", "seed")])
}

list_latent <- function(trial) {
  few <- function(seeds, k = 1) if (trial) utils::head(seeds, k) else seeds
  n <- if (trial) 1000 else 10000
  cells <- function(...) latent_cells(..., n = n)
  rbind(
    latent_cells("competitors", n_env = 2:3, mixing = "poly", degree = 1:3, method = "none",
      n = 2 * n, seed = few(42:61)),
    latent_cells("competitors", n_env = 2:3, mixing = "mlp", method = "none", n = 2 * n,
      seed = few(42:61)),
    cells("linear", n_env = 2:3, seed = few(101:120)),
    cells("linear", n_env = 2:3, mixing = "linear", dim_z = c(10, 50), seed = few(101:120)),
    cells("poly", n_env = 2:3, degree = 2:3, method = "closure", seed = few(101:110)),
    cells("laws", n_env = 2:3, degree = 1:2, law = c("uniform", "laplace", "t5", "exponential"),
      method = "auto", seed = few(101:105)),
    cells("discrete", n_env = 2:3, mixing = "discrete", dim_z = c(4, 20), method = "ssa",
      seed = few(101:110)),
    cells("discrete", n_env = 2:3, mixing = "discrete", dim_z = 4, method = c("closure", "flow"),
      seed = few(101:105)),
    cells("discrete", n_env = 2:3, mixing = "discrete", dim_z = 4,
      method = c("autoencoder", "auto"), seed = few(101:103)),
    cells("coverage", n_env = 2:3, folds = 2, seed = few(101:300)),
    cells("coverage", n_env = 2, folds = 2, option = c("bootstrap", "PO(V), bootstrap"),
      seed = few(101:160)),
    cells("coverage", n_env = 2:3, degree = 2, method = "closure", folds = 2,
      seed = few(101:160)),
    latent_cells("small", folds = 2, n = if (trial) 500 else c(1000, 3000),
      option = c("none", "bootstrap"), seed = few(101:160)),
    cells("auto", n_env = 2:3, degree = 1:3, method = "auto", folds = 2, seed = few(101:105)),
    cells("auto", n_env = 2:3, mixing = "mlp", method = "auto", folds = 2, seed = few(101:105)),
    cells("refuse", shift = 0, method = "auto", folds = 2, seed = few(101:103)),
    cells("refuse", n_env = 2:3, mixing = "mlp", law = "exponential", method = "auto", folds = 2,
      seed = few(101:103)),
    cells("refuse", n_env = 2, mixing = "mlp", condition = c(2000, 1e6), method = "auto", folds = 2,
      seed = few(101:103)),
    cells("mlp", n_env = 2:3, mixing = "mlp", method = "flow", seed = few(101:110)),
    cells("mlp", n_env = 2:3, mixing = "mlp", mixing_seed = if (trial) 101 else 101:110,
      method = "flow", seed = 101),
    cells("coverage", n_env = 2:3, mixing = "mlp", method = "flow", folds = 2,
      seed = few(101:160)),
    cells("autoencoder", n_env = 2:3, method = "autoencoder", option = c("random", "learned"),
      seed = few(101:110)),
    cells("autoencoder", n_env = 3, degree = 2:3, method = "autoencoder",
      option = c("random", "learned"), seed = few(101:105)),
    cells("autoencoder", n_env = 2, degree = 3, method = "autoencoder",
      option = c("random", "learned"), seed = few(101:105)),
    cells("autoencoder", n_env = 2:3, method = "autoencoder", option = c("ssa", "default"),
      seed = few(101:105)),
    cells("ablation", n_env = 2, method = "autoencoder",
      option = c("no hsic", "mlp", "mlp, no hsic", "relevance"), seed = few(101:105)),
    cells("ablation", n_env = 3, degree = 2, method = "autoencoder", dim_w = 1:4,
      option = "wrong dimension", seed = few(101:105)),
    cells("ablation", n_env = 3, degree = 2, method = "auto", dim_w = c(1, 3, 4),
      option = "wrong dimension", seed = few(101:103)),
    cells("noise", n_env = 2:3, degree = 1:2, method = "auto", folds = 2,
      option = c("noise 0.01", "noise 0.05"), seed = few(101:103)),
    cells("noise", n_env = 2:3, mixing = "mlp", method = "auto", folds = 2,
      option = c("noise 0.01", "noise 0.05"), seed = few(101:103)),
    latent_cells("semi", n_env = 4, mixing = "real", dim_z = 60, method = "auto", folds = 2,
      dim_w = 5, n = 5000, option = c("in all", "within populations"), seed = few(101:110))[
      rep(c(TRUE, TRUE, FALSE, FALSE), length(few(101:110))), ]
  )
}

# Real genotypes: theta is .5. Within populations: their indicators are covariates everywhere.
run_semi <- function(cell) {
  folder <- Sys.getenv("MRLEARN_SHARED_DATA", file.path("..", "shared", "data"))
  panel <- bed(file.path(folder, "genotypes", "kg_phase1_chr22_maf05"))
  about <- utils::read.delim(file.path(folder, "genotypes", "kg_phase1_chr22.pop.tsv"))
  people <- sub("^.*_", "", dimnames(panel)[[1]])
  sim <- sim_populations(panel, about$super_population[match(people, about$sample)], n = cell$n,
    n_variants = cell$dim_z, seed = cell$seed)
  t <- truth(sim)
  d <- c(as.list(as.data.frame(sim)[c("Y", "X", "environment")]), list(
    z = as.matrix(as.data.frame(sim)[t$instruments]), V = t$V, W = t$W
  ))
  inside <- cell$option != "in all"
  formula <- if (inside) Y ~ X + environment | z + environment else Y ~ X | z
  # One method that can be fitted at all here: many more variants than latents, none noise-free.
  fit <- timed(iv_latent(formula, d, environment = ~environment, latent_dim = c(5, cell$dim_w),
    method = "auto", control = list(methods = c("ssa", "closure")), seed = cell$seed))
  beside <- fit$value$estimators
  value <- stats::setNames(beside$estimate - t$theta, beside$estimator)
  found <- diagnostics(fit$value, truth = t, n_perm = 199, n_sub = 300, seed = cell$seed)
  share <- stats::setNames(found$statistic, found$diagnostic)
  oracle <- function(formula) stats::coef(iv_2sls(formula, d))[["X"]] - t$theta
  c(
    bias = value[["2SLS(W)"]], bias.po = value[["PO(V)-2SLS(W)"]], z = value[["2SLS(Z)"]],
    k = value[["PO(environment)-2SLS(Z)"]], pcs = value[["2SLS(Z) + PCs"]],
    liml = value[["LIML(Z)"]], egger = value[["Egger(Z)"]],
    egger.k = value[["PO(environment)-Egger(Z)"]], ols = value[["OLS"]],
    oracle = oracle(Y ~ X + environment | W + environment),
    oracle.po = oracle(Y ~ X + V + environment | W + V + environment),
    r2 = share[["W explained by latent W"]], leak = share[["V explained by latent W"]],
    passed = fit$value$identified, used = match(fit$value$method, latent_names),
    seconds = sum(fit$value$tried$seconds), total = fit$seconds
  )
}

simulate_cell <- function(cell) {
  given <- function(x) if (is.na(x)) NULL else x
  sim <- sim_environments(n = cell$n, n_env = cell$n_env, mixing = cell$mixing,
    degree = cell$degree, dim_z = given(cell$dim_z), law = cell$law, shift = cell$shift,
    scale = if (cell$shift == 0) 0 else 1, hard = cell$hard, condition = given(cell$condition),
    noise = if (cell$group == "noise") as.double(sub("noise ", "", cell$option)) else 0,
    mixing_seed = cell$mixing_seed, seed = cell$seed)
  data <- as.data.frame(sim)
  list(
    data = c(as.list(data[c("Y", "X", "environment")]), list(
      k = as.double(data$environment), z = as.matrix(data[truth(sim)$instruments]),
      V = truth(sim)$V, W = truth(sim)$W
    )),
    truth = truth(sim)
  )
}

bias_of <- function(...) {
  suppressMessages(stats::coef(iv_2sls(...)))[["X"]] - 1
}

# As published: the environment's number as one covariate.
run_competitors <- function(sim) {
  d <- sim$data
  egger <- function(covariates) {
    egger_individual(list(w = NULL, weights = NULL, x = cbind(d$X), y = d$Y), d$z, covariates) - 1
  }
  c(
    ols = stats::coef(iv_ols(Y ~ X, d))[["X"]] - 1, z = bias_of(Y ~ X | z, d),
    v = bias_of(Y ~ X | V, d), oracle = bias_of(Y ~ X | W, d),
    oracle.po = bias_of(Y ~ X + V | W + V, d), k = bias_of(Y ~ X + k | z + k, d),
    egger = egger(NULL), egger.k = egger(cbind(d$k))
  )
}

# The package's own function: published, but not exported.
egger_individual <- utils::getFromNamespace("egger_individual", "mrlearn")

# Degree and decoder of the autoencoder fit the mixing, as published, but where the option says
# "default". Ablations and "learned" take W as the penalties made it.
cell_control <- function(cell) {
  if (cell$method != "autoencoder" || cell$option == "default") {
    return(latent_control())
  }
  decoder <- if (cell$mixing == "poly" && cell$degree > 1) "polynomial" else "linear"
  given <- list(decoder = decoder, degree = cell$degree)
  if (cell$mixing == "discrete") {
    given <- list(encoder = "mlp", decoder = "mlp", epochs = 300, restarts = 2)
  }
  if (cell$option == "ssa") given$start <- "ssa"
  if (grepl("no hsic", cell$option)) given$hsic <- 0
  if (cell$option == "relevance") given$relevance <- 0.1
  if (grepl("mlp", cell$option)) given <- c(given, encoder = "mlp", epochs = 300, restarts = 3)
  if (grepl("mlp|hsic|relevance|learned", cell$option)) given$split <- "learned"
  do.call(latent_control, given)
}

run_latent <- function(cell) {
  if (cell$group == "semi") {
    return(run_semi(cell))
  }
  sim <- simulate_cell(cell)
  if (cell$group == "competitors") {
    return(run_competitors(sim))
  }
  fit <- timed(iv_latent(Y ~ X | z, sim$data, environment = ~environment,
    latent_dim = c(2, cell$dim_w), method = cell$method, cross_fit = cell$folds,
    partial_out = grepl("PO(V)", cell$option, fixed = TRUE), control = cell_control(cell),
    seed = cell$seed, n_boot = if (grepl("bootstrap", cell$option)) 50 else 0))
  tests <- !cell$group %in% c("coverage", "small")
  found <- diagnostics(fit$value, truth = sim$truth, n_perm = if (tests) 199 else 19,
    n_sub = if (tests) 300 else 50, seed = cell$seed)
  value <- stats::setNames(found$statistic, found$diagnostic)
  beside <- fit$value$estimators
  of <- function(name, column) beside[[column]][beside$estimator == name]
  row <- tidy(fit$value, conf.int = TRUE, exposures_only = TRUE)
  c(
    bias = row$estimate - 1, se = row$std.error, covered = row$conf.low < 1 & row$conf.high > 1,
    bias.po = of("PO(V)-2SLS(W)", "estimate") - 1, se.po = of("PO(V)-2SLS(W)", "std.error"),
    z = of("2SLS(Z)", "estimate") - 1, k = of("PO(environment)-2SLS(Z)", "estimate") - 1,
    pcs = of("2SLS(Z) + PCs", "estimate") - 1, liml = of("LIML(Z)", "estimate") - 1,
    oracle = bias_of(Y ~ X | W, sim$data), oracle.po = bias_of(Y ~ X + V | W + V, sim$data),
    r2 = value[["W explained by latent W"]], leak = value[["V explained by latent W"]],
    passed = fit$value$identified, used = match(fit$value$method, latent_names),
    mmd.p = min(found$p.value[grepl("MMD", found$diagnostic)]),
    hsic.p = min(found$p.value[grepl("HSIC", found$diagnostic)]),
    seconds = sum(fit$value$tried$seconds), total = fit$seconds
  )
}

latent_names <- c("ssa", "closure", "flow", "autoencoder")

latent <- list(name = "latent", cells = list_latent, run = run_latent)
if (is_script()) {
  how <- study_options()
  rows <- run_study(latent, how)
  cells <- list_latent(how$trial)
  rows <- rows[order(match(cell_key(rows[names(cells)]), cell_key(cells))), ]
  source(file.path("bench", "latent_short.R"))
  source(file.path("bench", "latent_report.R"))
  writeLines(report_latent(rows), file.path(study_folder(how$trial), "latent.md"))
}
