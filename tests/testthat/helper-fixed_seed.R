# A small run of every estimator and of everything that draws or uses threads, and the numbers that
# are compared: with those recorded in fixtures/fixed_seed.csv (data-raw/fixed_seed.R), and between
# 1, 2 and 4 threads.

# Data of the runs: drawn by the package's own generators alone.
fixed_data <- function() {
  people <- sim_nonlinear(n = 600, n_variants = 4, seed = 11)
  people$g <- as.matrix(people[paste0("G", 0:3)])
  people$w <- rng_draw("normal", 600, seed = 12)
  people$dead <- as.numeric(people$Y > 0)
  people$family <- rep(1:150, 4)
  people$iid <- paste0("id", 1:600)
  genotypes <- people$g
  dimnames(genotypes) <- list(people$iid, paste0("rs", 1:4))
  context <- sim_contextual(n = 400, L = 3, seed = 13)
  environments <- as.data.frame(sim_environments(n = 300, seed = 14))
  environments$z <- as.matrix(environments[grep("^Z", names(environments))])
  reads <- sim_sequences(n = 80, length = 40, seed = 15)
  network <- seq_model(list(
    seq_layer("conv", units = 3, taps = 5), seq_layer("activation", activation = "relu"),
    seq_layer("global_max"), seq_layer("dense", units = 2)
  ), 40, output_names = c("a", "b"), parameters = sin(1:71))
  list(
    people = people, context = context, environments = environments, reads = reads,
    network = network, genotypes = genotypes, file = write_bed(genotypes, tempfile()),
    labels = cbind(a = reads$exposure_label, b = reads$outcome_label),
    summary = sim_summary(n_snps = 30, seed = 16)
  )
}

# name = list(run = function(d, t) with t threads, tolerance = relative one of its numbers). Exact
# up to the last digits of the system's mathematics: 1e-10; through BLAS 1e-7; networks in single
# precision, on the portable instruction set, 1e-4.
fixed_runs <- function() {
  brief <- nn_control(hidden = c(6, 4), epochs = 3, batch_norm = FALSE, batch_size = 100)
  run <- function(f, tolerance = 1e-7) list(run = f, tolerance = tolerance)
  draw <- function(f) run(f, 1e-10)
  net <- function(f) run(f, 1e-4)
  two <- function(f, ...) {
    run(function(d, t) f(Y ~ X + w | g + w, d$people, ..., n_threads = t))
  }
  deep <- function(f, ...) {
    net(function(d, t) {
      f(Y ~ X + w | g + w, d$people, control = brief, ..., seed = 1, n_threads = t)
    })
  }
  effects_of <- function(d) mutagenize(d$network, d$reads$sequence[1:6])
  list(
    iv_ols = run(function(d, t) iv_ols(Y ~ X + w, d$people, n_threads = t)),
    iv_2sls = two(iv_2sls, vcov = "HC3"),
    iv_2sls_cluster = two(iv_2sls, cluster = ~family),
    iv_liml = two(iv_liml),
    iv_kclass = two(iv_kclass, k = 0.5),
    iv_jive = two(iv_jive),
    iv_lasso = two(iv_lasso, seed = 1, nfolds = 5),
    iv_crossprod = run(function(d, t) {
      chip <- bed(d$file)
      iv_2sls(iv_crossprod(Y ~ X + w | chip + w, d$people, id = "iid", n_threads = t))
    }),
    ar_set = run(function(d, t) ar_set(iv_liml(Y ~ X | g, d$people), "CLR", n_threads = t)),
    ar_test = run(function(d, t) ar_test(iv_liml(Y ~ X | g, d$people), 0.1, n_threads = t)),
    iv_control_function = run(function(d, t) {
      iv_control_function(dead ~ X | g, d$people, family = "binomial", n_boot = 10, seed = 1,
        n_threads = t)
    }),
    iv_doubly_ranked = run(function(d, t) {
      iv_doubly_ranked(Y ~ X | G0 + G1, d$people, n_strata = 4, n_repeats = 3, seed = 1,
        n_threads = t)
    }),
    iv_quantile = deep(iv_quantile, n_boot = 10),
    iv_deep = deep(iv_deep, first_stage = "mixture", n_boot = 10),
    iv_dfiv = deep(iv_dfiv, cross_fit = 2, n_boot = 10),
    iv_delivr = net(function(d, t) {
      iv_delivr(Y ~ X | g, d$people, n_splits = 2, control = brief, seed = 1, n_threads = t)
    }),
    iv_contextual = net(function(d, t) {
      iv_contextual(Y ~ X | G0 + G1 + G2, d$context, context = ~ age + sex, n_boot = 10,
        n_folds = 2, control = context_control(3, epochs = 3), seed = 1, n_threads = t)
    }),
    iv_latent = run(function(d, t) {
      iv_latent(Y ~ X | z, d$environments, environment = ~environment, latent_dim = c(2, 2),
        method = "ssa", seed = 1, n_threads = t)
    }, 1e-5),
    quantile_regression = net(function(d, t) {
      quantile_regression(Y ~ X, d$people, control = brief, seed = 1, n_threads = t)
    }),
    orthogonal = run(function(d, t) {
      orthogonal(iv_2sls(Y ~ X + w | g + w, d$people), folds = 2, degree = 2, seed = 1,
        data = d$people, n_threads = t)
    }),
    mr_estimate = run(function(d, t) {
      mr_estimate(d$summary, mr_methods()$name, n_boot = 50, seed = 1, n_threads = t,
        control = mr_control(n = 1e5, num_pert = 5))
    }),
    mr_presso_test = draw(function(d, t) {
      suppressWarnings(mr_presso_test(d$summary, 200, seed = 1, n_threads = t))
    }),
    mv_estimate = run(function(d, t) {
      mv_estimate(lipid_chd, mv_methods()$name, n = 1e5, n_boot = 20, num_pert = 3, seed = 1,
        n_threads = t)
    }),
    meta_random = draw(function(d, t) {
      meta_random(sin(1:40), 1 + (1:40) / 40, "REML", "knha", group = rep(1:4, 10), n_threads = t)
    }),
    kernel_test = draw(function(d, t) {
      kernel_test(d$people$X[1:60], d$people$Y[1:60], n_perm = 50, seed = 1, n_threads = t)
    }),
    snp_associations = draw(function(d, t) {
      snp_associations(d$genotypes, d$people, c("X", "Y"), covariates = ~w, n_threads = t)
    }),
    allele_score = draw(function(d, t) {
      allele_score(bed(d$file), data.frame(SNP = c("rs1", "rs3"), effect_allele = "A",
        beta = c(0.1, -0.3)), n_threads = t)
    }),
    bed_stats = draw(function(d, t) bed_stats(bed(d$file), n_threads = t)),
    bed_filter = draw(function(d, t) as.matrix(bed_filter(bed(d$file), n_threads = t))),
    clump = draw(function(d, t) {
      clump(data.frame(SNP = paste0("rs", 1:4), pval = c(0.3, 0.1, 0.2, 0.4)), bed(d$file), p = 1,
        r2 = 0.01, n_threads = t)
    }),
    ld_matrix = draw(function(d, t) ld_matrix(bed(d$file), n_threads = t)),
    genotype_pcs = run(function(d, t) genotype_pcs(bed(d$file), k = 2, n_threads = t)),
    fit = net(function(d, t) {
      fit(d$network, d$reads$sequence, d$labels, seed = 1, control = seq_control(epochs = 3),
        n_threads = t)
    }),
    seq_ensemble = net(function(d, t) {
      predict(seq_ensemble(d$network, d$reads$sequence, d$labels, n = 2, bootstrap = TRUE, seed = 1,
        control = seq_control(epochs = 2), n_threads = t), d$reads$sequence[1:5])
    }),
    mutagenize = net(function(d, t) mutagenize(d$network, d$reads$sequence[1:3], n_threads = t)),
    deep_mr = net(function(d, t) {
      deep_mr(d$network, d$reads$sequence[1:6], "a", "b", interval = "none", n_threads = t)
    }),
    deep_mr_effects = run(function(d, t) {
      deep_mr_effects(effects_of(d), "a", "b", interval = "none", n_threads = t)
    }, 1e-4),
    deep_mr_network = run(function(d, t) {
      deep_mr_network(effects_of(d), outputs = c("a", "b"), n_threads = t)
    }, 1e-4),
    sim_nonlinear = draw(function(d, t) {
      sim_nonlinear(n = 9000, n_variants = 3, seed = 1, n_threads = t)
    }),
    sim_contextual = draw(function(d, t) sim_contextual(n = 9000, L = 3, seed = 1, n_threads = t)),
    sim_environments = draw(function(d, t) sim_environments(n = 5000, seed = 1, n_threads = t)),
    sim_demand = draw(function(d, t) sim_demand(n = 9000, seed = 1, n_threads = t)),
    sim_effect_modifier = draw(function(d, t) {
      sim_effect_modifier(n = 9000, n_variants = 3, seed = 1, n_threads = t)
    }),
    sim_tian2023 = draw(function(d, t) {
      sim_tian2023(n = 9000, scenario = "D", seed = 1, n_threads = t)
    }),
    sim_burgess2014 = draw(function(d, t) sim_burgess2014(n = 9000, seed = 1, n_threads = t)),
    sim_summary = draw(function(d, t) sim_summary(n_snps = 40, seed = 1, n_threads = t)),
    sim_sequences = draw(function(d, t) {
      sim_sequences(n = 50, length = 60, seed = 1, n_threads = t)
    }),
    sim_factors = draw(function(d, t) sim_factors(n = 60, length = 120, seed = 1)),
    sim_populations = draw(function(d, t) {
      sim_populations(d$genotypes, d$people$family %% 2, n = 200, n_variants = 4, block = 2,
        seed = 1)
    }),
    add_variable = draw(function(d, t) {
      add_variable(simulation(9000, seed = 1), "X", "normal", n_threads = t)$values
    }),
    add_parameter = draw(function(d, t) {
      add_parameter(simulation(9, seed = 1), "b", "normal", size = 40, n_threads = t)$values
    }),
    resample = draw(function(d, t) {
      sim <- add_variable(simulation(9000, seed = 1), "X", "normal")
      resample(sim, seed = 2, n_threads = t)$values
    })
  )
}

# All numbers of a result, one after the other, but not those that say how it was made.
numbers_in <- function(x) {
  told <- c("n_threads", "isa", "seconds", "settings", "control", "data", "model_frame")
  if (is.list(x) && !is.data.frame(x) && !is.null(names(x))) {
    x <- x[!names(x) %in% told]
  }
  flat <- unlist(lapply(unclass(x), function(part) {
    if (is.list(part)) numbers_in(part) else if (is.numeric(part)) as.double(part)
  }), use.names = FALSE)
  as.double(if (is.numeric(x)) x else flat)
}

# What is recorded of them: how many are finite, first and last, mean, and a sum in which order
# counts.
figures_of <- function(result) {
  v <- numbers_in(untimed(result))
  v <- v[is.finite(v)]
  c(count = length(v), first = v[1], last = v[length(v)], mean = mean(v),
    weighted = sum(v * cos(seq_along(v))))
}

on_portable <- function(expr) {
  withr::with_options(list(mrlearn.isa = "portable"), suppressMessages(suppressWarnings(expr)))
}
