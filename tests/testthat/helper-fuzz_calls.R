# One small valid call of every export and of every S3 method, for the property fuzzer in
# helper-fuzz.R, and the objects that they are made from. A test compares the names with NAMESPACE.

# Objects by name; each is made when it is first used.
fuzz_objects <- alist(
  toy = local({
    n <- 40
    z <- matrix((7 * seq_len(3 * n)^2) %% 11 %% 3, n, dimnames = list(NULL, paste0("g", 1:3)))
    w <- sin(1:n)
    x <- drop(z %*% c(1, 0.5, -0.5)) + w + cos(3 * (1:n))
    data <- data.frame(y = 0.5 * x + w + sin(7 * (1:n)), x, w, family = rep(1:8, 5))
    data$group <- factor(rep(c("a", "b"), n / 2))
    data$g1 <- z[, 1]
    data$z <- z
    data
  }),
  net = nn_control(hidden = 2, epochs = 2, batch_norm = FALSE),
  genotypes = bed(write_bed(toy$z, tempfile())),
  summary_data = lipid_chd[lipid_chd$exposure == "LDL", ][1:8, ],
  linear = iv_2sls(y ~ x + w | z + w, toy, vcov = "HC1"),
  lasso = iv_lasso(y ~ x | z, toy, nfolds = 3, nlambda = 5, seed = 1),
  quantile = iv_quantile(y ~ x + w | z + w, toy, n_boot = 10, control = net, seed = 1),
  contextual = iv_contextual(y ~ x | z, toy, context = ~w, encoder = "linear"),
  control_function = iv_control_function(y ~ x + w | z + w, toy, seed = 1),
  delivr = iv_delivr(y ~ x | z, toy, n_splits = 2, control = net, seed = 1),
  ranked = iv_doubly_ranked(y ~ x | g1, toy, n_strata = 3, seed = 1),
  environments = sim_environments(n = 200, seed = 1),
  latent = iv_latent(Y ~ X | z, local({
    d <- as.data.frame(environments)
    d$z <- as.matrix(d[truth(environments)$instruments])
    d
  }), environment = ~environment, latent_dim = c(2, 2), method = "ssa", seed = 1),
  moderated = meta_regression(c(1, 2, 4, 3, 6), c(1, 1, 2, 1, 1), ~dose,
    data = data.frame(dose = 1:5)),
  bands = quantile_regression(y ~ x, toy, tau = c(0.025, 0.5, 0.975), control = net, seed = 1),
  unseen = transform(toy, y = y + 1),
  conformed = conformal(linear, unseen, conf_level = 0.8),
  strata = stratum_associations(toy$z, toy$x, toy$y, toy$w, n_strata = 4),
  by_context = mr_contextual(strata),
  sequences = c(a = "ACGTAC", b = "NNACGT", c = "TTACGA", d = "CCACGT"),
  layers = list(seq_layer("conv", units = 2, taps = 3),
    seq_layer("activation", activation = "relu"), seq_layer("max_pool", size = 2),
    seq_layer("dense", units = 2)),
  network = seq_model(layers, 6, parameters = sin(1:36), output_names = c("x", "y")),
  labels = cbind(x = c(1, 2, 2, 3), y = c(2, 1, 3, 3)),
  trained = fit(network, sequences, labels, control = seq_control(epochs = 2), seed = 1),
  ensemble = seq_ensemble(network, sequences, labels, n = 2, seed = 1,
    control = seq_control(epochs = 1)),
  predictor = seq_predictor(function(s) {
    cbind(x = nchar(gsub("[AT]", "", s)), y = nchar(gsub("[CG]", "", s)))
  }),
  effects = local({
    e <- expand.grid(output = c("x", "y"), position = 1:12, sequence = c("a", "b"),
      stringsAsFactors = FALSE)
    e$alt <- "A"
    e$effect <- sin(seq_len(nrow(e)))
    e$std.error <- 0.1
    e
  }),
  deep = deep_mr_effects(effects, "x", "y", seed = 1),
  deep_net = deep_mr_network(effects),
  deep_check = deep_mr_check(deep),
  law = predicted_law(mean = toy$x, sd = rep(1, 40)),
  calibrated = calibrate(law, toy$y),
  sim = sim_nonlinear(n = 40, n_variants = 3, seed = 1),
  built = add_variable(add_parameter(simulation(10, seed = 1), "b", 0.5), "X", "normal"),
  design = sweep_design(method = c("ols", "2sls"), seed = 1),
  swept = run_sweep(design, Y ~ X | G0 + G1 + G2, sim),
  config_file = local({
    file <- tempfile(fileext = ".json")
    writeLines(paste0('{"sweep": {"model": "quantile_iv", "max_runs": 2, "seed": 1}, "dataset": ',
      '{"simulator": "sim_nonlinear", "n": 50, "n_variants": 3, "seed": 1}, "parameters": ',
      '[{"name": "q", "sampler": "list", "values": [3, 10]}]}'), file)
    file
  }),
  config = read_sweep_config(config_file),
  sums = iv_crossprod(y ~ x | genotypes, toy),
  presso = mr_presso_test(summary_data, 120, seed = 1),
  radial = mr_radial(summary_data),
  scatter = mr_scatter(summary_data, mr_estimate(summary_data, "mr_ivw")),
  single = mr_single_snp(summary_data),
  left_out = mr_leave_one_out(summary_data),
  lipids = mv_data(cbind(1:6, c(2, 1, 4, 3, 6, 5)), matrix(0.1, 6, 2), c(1, 2, 2, 4, 4, 5),
    rep(0.2, 6), exposure = c("a", "b")),
  report = report_table(linear),
  fasta_file = local({
    file <- tempfile(fileext = ".fa")
    writeLines(c(">one", "ACGT", ">two text", "GGGG"), file)
    file
  }),
  vcf_file = local({
    file <- tempfile(fileext = ".vcf")
    writeLines(c("##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
      "chr1\t103\trs1\tG\tA,T\t.\t.\t."), file)
    file
  }),
  effects_dir = local({
    dir <- tempfile()
    mutagenize(predictor, sequences[1:2], dir = dir, per_chunk = 1)
    dir
  }),
  model_file = write_seq_model(network, tempfile()),
  sim_prefix = local({
    prefix <- tempfile()
    write_simulation(built, prefix)
    prefix
  }),
  rich_prefix = local({
    sim <- simulation(8, seed = 1) |>
      add_parameter("maf", "uniform", low = 0.2, high = 0.4, size = 3) |>
      add_variable("G", "variant", frequency = ~maf) |>
      add_variable("N", "mvnormal", mean = c(0, 0), covariance = diag(2)) |>
      add_variable("U", "normal", hidden = TRUE) |>
      add_variable("S", "sum", of = "G", weights = c(1, 2, 3)) |>
      add_variable("Y", ~ 0.3 * S^2 - U)
    prefix <- tempfile()
    write_simulation(sim, prefix)
    prefix
  }),
  windows = data.frame(sequence = "s", chromosome = "chr1", start = 101, end = 104)
)

fuzz_calls <- alist(
  add_parameter = add_parameter(built, name = "a", value = "uniform", low = 0, high = 1, size = 2),
  add_variable = add_variable(built, name = "V", value = "variant", frequency = 0.3),
  allele_score = allele_score(genotypes, data.frame(SNP = c("g1", "g2"), effect_allele = "A",
    beta = 1:2)),
  ar_set = ar_set(linear, "AR"),
  ar_test = ar_test(linear, beta0 = 0:1, type = "AR"),
  arithmetic_function = arithmetic_function("0.3*x^2 + max(x, 0)", variables = "x"),
  as_twosamplemr = as_twosamplemr(linear),
  ate = ate(linear, from = 0, to = 1),
  augment = augment(linear),
  average_derivative = average_derivative(linear),
  bed = bed(sub("[.]bed$", "", genotypes$path)),
  bed_filter = bed_filter(genotypes, maf = 0, call_rate = 0.5),
  bed_stats = bed_stats(genotypes),
  best_fit = best_fit(swept, by = "mse"),
  calibrate = calibrate(law, y = toy$y),
  cate = cate(linear, 0, 1, newdata = toy[1:3, ]),
  clump = clump(data.frame(SNP = colnames(genotypes), pval = c(0.1, 0.3, 0.2)), genotypes, p = 1),
  compare_fits = compare_fits(linear, truth = function(x) x / 2, n_points = 20),
  conformal = conformal(linear, unseen, conf_level = 0.8),
  context_control = context_control(hidden = 2, epochs = 2),
  context_effects = context_effects(contextual),
  deep_mr = deep_mr(predictor, sequences[c(1, 3)], "x", "y", instruments = "none"),
  deep_mr_check = deep_mr_check(deep, effects),
  deep_mr_control = deep_mr_control(nearest = 50),
  deep_mr_effects = deep_mr_effects(effects, "x", "y", seed = 1),
  deep_mr_network = deep_mr_network(effects, outputs = c("x", "y")),
  deep_mr_pairs = deep_mr_pairs(predictor, c(a = "ACGT", b = "ACGA", c = "TTTT"),
    cbind(x = 1:3, y = 3:1), parent = c(NA, "a", NA)),
  diagnostics = diagnostics(linear),
  effect_curve = effect_curve(linear, x = c(-1, 0, 1)),
  effect_of_context = effect_of_context(contextual, "w", at = c(-1, 1)),
  entropy = entropy(cbind(toy$w, toy$y), k = 3),
  evaluate = evaluate(data.frame(x = 1:3, estimate = c(1, 2, 4)), truth = function(x) x),
  fit = fit(network, sequences, labels, control = seq_control(epochs = 1), seed = 1),
  genotype_pcs = genotype_pcs(genotypes, k = 2),
  glance = glance(linear),
  heterogeneity_test = heterogeneity_test(contextual),
  hsic = hsic(toy$w, toy$y),
  install_cli = install_cli(tempdir(), overwrite = TRUE),
  integers = integers(1, 5),
  iv_2sls = iv_2sls(y ~ x + w | z + w, toy),
  iv_contextual = iv_contextual(y ~ x | z, toy, context = ~w, encoder = "linear", n_folds = 2),
  iv_control_function = iv_control_function(y ~ x | z, toy, seed = 1),
  iv_crossprod = iv_crossprod(y ~ x | genotypes, toy),
  iv_deep = iv_deep(y ~ x | z, toy, control = net, seed = 1),
  iv_delivr = iv_delivr(y ~ x | z, toy, n_splits = 2, control = net, seed = 1),
  iv_dfiv = iv_dfiv(y ~ x | z, toy, cross_fit = 2, control = net, seed = 1),
  iv_doubly_ranked = iv_doubly_ranked(y ~ x | g1, toy, n_strata = 3, seed = 1),
  iv_fit = iv_fit("2sls", y ~ x | z, data = toy),
  iv_jive = iv_jive(y ~ x | z, toy),
  iv_kclass = iv_kclass(y ~ x | z, toy, k = 1),
  iv_lasso = iv_lasso(y ~ x | z, toy, nfolds = 3, nlambda = 5, seed = 1),
  iv_latent = iv_latent(y ~ x | z, toy[rep(1:40, 2), ], environment = ~group, latent_dim = c(1, 2),
    method = "ssa", compare = FALSE, seed = 1),
  iv_liml = iv_liml(y ~ x | z, toy),
  iv_methods = iv_methods(),
  iv_ols = iv_ols(y ~ x + w, toy),
  iv_quantile = iv_quantile(y ~ x | z, toy, control = net, seed = 1),
  kernel_test = kernel_test(toy$w, group = rep(1:2, 20), n_perm = 19, seed = 1),
  latent_control = latent_control(encoder = "mlp", epochs = 2),
  ld_matrix = ld_matrix(genotypes),
  log_uniform = log_uniform(1e-3, 1),
  map_shards = map_shards(list(1:2, 3:4), sum, combine = "+"),
  meta_random = meta_random(c(1, 2, 4, 3), c(1, 1, 2, 1), group = c(1, 1, 1, 2)),
  meta_regression = meta_regression(c(1, 2, 4, 3), c(1, 1, 2, 1), moderators = 1:4),
  mmd = mmd(toy$w, toy$y),
  motif_sites = motif_sites(c(a = "TTTTCTTATCTTTT", b = "TTAGATAAGATTTT"),
    list(GATA = read_motif("GATA1"))),
  mr_contextual = mr_contextual(strata),
  mr_control = mr_control(n = 1000, num_pert = 3),
  mr_correlated = mr_correlated(mr_data(1:4, rep(1, 4), c(1, 3, 2, 4), rep(1, 4)), diag(4)),
  mr_data = mr_data(b_exp = 1:3, se_exp = rep(1, 3), b_out = c(2, 1, 3), se_out = rep(1, 3)),
  mr_diagnose = mr_diagnose(summary_data),
  mr_forest = mr_forest(mr_estimate(summary_data, "mr_ivw")),
  mr_estimate = mr_estimate(summary_data, c("mr_ivw", "mr_weighted_median"), n_boot = 20, seed = 1),
  mr_leave_one_out = mr_leave_one_out(summary_data, method = "mr_ivw"),
  mr_methods = mr_methods(),
  mr_odds_ratios = mr_odds_ratios(mr_estimate(summary_data, "mr_ivw")),
  mr_presso_test = mr_presso_test(summary_data, 120, seed = 1),
  mr_radial = mr_radial(summary_data),
  mr_scatter = mr_scatter(summary_data, mr_estimate(summary_data, "mr_ivw")),
  mr_single_snp = mr_single_snp(summary_data, methods = "mr_ivw"),
  mr_valid = mr_valid(summary_data, "mr_lasso"),
  mrl_method = mrl_method("mr_ivw"),
  mrl_threads = mrl_threads(),
  mutagenize = mutagenize(network, sequences[1], positions = 2:3),
  mv_data = mv_data(cbind(1:4, c(2, 1, 4, 3)), matrix(0.1, 4, 2), 1:4, rep(0.2, 4)),
  mv_diagnose = mv_diagnose(lipids),
  mv_estimate = mv_estimate(lipids, "mv_ivw", seed = 1),
  mv_methods = mv_methods(),
  nn_control = nn_control(hidden = c(4, 2), epochs = 3),
  one_of = one_of(c("a", "b")),
  orthogonal = orthogonal(linear, folds = 2, degree = 1, seed = 1, data = toy),
  predicted_law = predicted_law(mean = 1:3, sd = rep(1, 3)),
  quantile_regression = quantile_regression(y ~ x, toy, tau = 0.5, control = net, seed = 1),
  read_effects = read_effects(effects_dir, chunks = 1),
  read_fasta = read_fasta(fasta_file),
  read_keras_model = read_keras_model(paste0(model_file, ".bin"), length = 6),
  read_motif = read_motif("GATA1", drop = 0.05),
  read_seq_model = read_seq_model(model_file),
  read_simulation = read_simulation(sim_prefix),
  read_sweep = read_sweep(attr(swept, "dir")),
  read_sweep_config = read_sweep_config(config_file),
  read_vcf = read_vcf(vcf_file, windows),
  reliability = reliability(calibrated, levels = c(0.1, 0.9)),
  report_table = report_table(linear, digits = 2),
  resample = resample(built, seed = 2),
  run_sweep = run_sweep(design, Y ~ X | G0 + G1 + G2, sim),
  seq_control = seq_control(epochs = 2),
  seq_ensemble = seq_ensemble(network, sequences, labels, n = 2, seed = 1,
    control = seq_control(epochs = 1)),
  seq_layer = seq_layer("conv", units = 2, taps = 3),
  seq_model = seq_model(layers, length = 6, output_names = c("x", "y")),
  seq_predictor = seq_predictor(function(s) nchar(s), outputs = "n", length = 6),
  seq_preset = seq_preset("simulation", length = 100),
  sim_burgess2014 = sim_burgess2014(n = 20, shape = "J", seed = 1),
  sim_contextual = sim_contextual(n = 20, L = 3, beta = 0.3),
  sim_demand = sim_demand(n = 20, rho = 0.5, seed = 1),
  sim_effect_modifier = sim_effect_modifier(n = 20, n_variants = 3, seed = 1),
  sim_environments = sim_environments(n = 40, mixing = "poly", seed = 1),
  sim_factors = sim_factors(n = 4, length = 100, seed = 1),
  sim_nonlinear = sim_nonlinear(n = 20, n_variants = 3, seed = 1),
  sim_populations = sim_populations(toy$z[rep(1:40, 2), c(1:3, 1:3)], rep(c("a", "b"), each = 40),
    n = 20, n_variants = 4, seed = 1),
  sim_sequences = sim_sequences(n = 4, length = 40, seed = 1),
  sim_summary = sim_summary(n_snps = 5, seed = 1),
  sim_tian2023 = sim_tian2023(n = 20, scenario = "C", seed = 1),
  simulation = simulation(10, seed = 1),
  snp_associations = snp_associations(toy$z, toy, "x", covariates = ~w, cluster = "family"),
  stratum_associations = stratum_associations(toy$z, toy$x, toy$y, toy$w, n_strata = 3),
  successive_halving = successive_halving(from = 10, to = 90),
  sweep_design = sweep_design(rate = uniform(0, 1), size = 1:2, n_runs = 4, seed = 1),
  tidy = tidy(linear, conf.int = TRUE),
  training_history = training_history(quantile),
  truth = truth(sim),
  uniform = uniform(0, 1),
  write_bed = write_bed(toy$z, tempfile()),
  write_seq_model = write_seq_model(network, tempfile()),
  write_simulation = write_simulation(built, tempfile())
)

# An object of each class with methods.
fuzz_classes <- alist(
  mr_sim = sim, mrl_bed = genotypes, sweep_design = design, iv_crossprod = sums,
  simulation = built, data.frame = mr_estimate(summary_data, "mr_ivw"), default = 1,
  "function" = function(d) d$x,
  list = list(lower = function(d) d$x - 1, upper = function(d) d$x + 1),
  iv_fit = linear, iv_contextual = contextual, iv_control_function = control_function,
  iv_delivr = delivr, iv_doubly_ranked = ranked, iv_neural = quantile, iv_quantile = quantile,
  iv_lasso = lasso, iv_latent = latent, conformal = conformed, predicted_law = law,
  meta_regression = moderated, quantile_regression = bands, mr_contextual = by_context,
  seq_model = network, seq_ensemble = ensemble, seq_predictor = predictor, seq_fit = trained,
  calibration = calibrated, deep_mr = deep, deep_mr_network = deep_net, deep_mr_check = deep_check,
  mr_leave_one_out = left_out, mr_scatter = scatter, mr_single_snp = single, sweep = swept,
  sweep_config = config, mr_presso = presso, mr_radial = radial, mv_data = lipids,
  nn_control = net, report_table = report, estimates = meta_random(c(1, 2, 4, 3), c(1, 1, 2, 1)),
  fit_comparison = compare_fits(linear, truth = function(x) x / 2, n_points = 20),
  variant_effects = mutagenize(network, sequences[1:2]), summary.deep_mr = summary(deep),
  summary.iv_contextual = summary(contextual), summary.iv_doubly_ranked = summary(ranked),
  summary.iv_fit = summary(linear), summary.iv_lasso = summary(lasso),
  summary.iv_neural = summary(quantile)
)

# What a generic needs beside its object, where it needs something.
fuzz_extra <- alist(
  ate = list(from = 0, to = 1), cate = list(from = 0, to = 1), "[" = list(1:2, 1:2),
  calibrate = list(y = toy$y), effect_curve = list(x = c(-1, 0, 1)), mutagenize = list(sequences),
  sequence_law = list(sequences), conformal = list(data = unseen),
  evaluate = list(truth = function(x) x), Ops = list(1),
  diagnostics = list(), fit = list(sequences, labels, control = seq_control(epochs = 1), seed = 1)
)

# What a method needs that others of its generic do not; NULL leaves the method out.
fuzz_methods <- alist(
  predict.calibration = list(law), predict.conformal = list(toy[1:3, ]),
  predict.seq_model = list(sequences), predict.seq_ensemble = list(sequences),
  predict.seq_predictor = list(sequences), augment.conformal = list(unseen),
  conformal.function = list(data = toy, outcome = "y", conf_level = 0.8),
  conformal.list = list(data = toy, outcome = "y", conf_level = 0.8),
  evaluate.data.frame = NULL, evaluate.iv_fit = list(truth = function(x) x, n_points = 20),
  calibrate.default = NULL, report_table.data.frame = list(summary_data),
  "[.mr_sim" = list(1:2), "[.sweep_design" = list(1:2), as_twosamplemr.default = NULL,
  as_twosamplemr.data.frame = NULL,
  diagnostics.iv_latent = list(n_perm = 19, seed = 1)
)
