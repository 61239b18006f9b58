# One tiny call per .Call entry, under the entry's name: what dev/torture.R and valgrind run.
# The expressions are evaluated where the package's own functions are seen. test-calls.R checks that
# there is one for each entry that is registered, and that it runs. Arguments of dev/torture.R are
# the entries to run, if not all.
library(mrlearn)

toy <- local({
  set.seed(1)
  n <- 24
  z <- matrix(stats::rbinom(3 * n, 2, 0.4), n, dimnames = list(NULL, paste0("g", 1:3)))
  w <- stats::rnorm(n)
  x <- drop(z %*% c(1, 0.5, -0.5)) + w + stats::rnorm(n)
  data <- data.frame(y = 0.5 * x + w + stats::rnorm(n), x, w, family = rep(1:8, 3))
  data$z <- z
  data
})
toy_missing <- toy
toy_missing$z[2, 1] <- NA
toy_bed <- bed(write_bed(toy_missing$z, tempfile()))

toy_network <- seq_model(list(
  seq_layer("conv", units = 2, taps = 3), seq_layer("activation", activation = "relu"),
  seq_layer("max_pool", size = 2), seq_layer("dense", units = 1)
), 6, parameters = seq(-1, 1, length.out = 31))

toy_mutations <- data.frame(sequence = rep(c("a", "b"), each = 10),
  position = rep(1:5, each = 2), alt = "A", output = c("x", "y"), effect = sin(1:20))
toy_mutations$members <- toy_mutations$effect + cbind(cos(1:20), -cos(1:20)) / 9
toy_pairs <- data.frame(sequence = rep(c("a", "b"), each = 12),
  mutant = rep(c(1:12), each = 2), output = c("x", "y"), effect = sin(1:24), observed = cos(1:24),
  level = 1:24)
toy_few <- deep_mr_control(null_below = 0.9, nearest = 2, least_pairs = 2)

calls <- alist(
  C_assoc_bed = suppressMessages(snp_associations(toy_bed, toy, c("x", "y"), covariates = ~w)),
  C_assoc_matrix = snp_associations(toy$z, toy, "x", covariates = ~w, cluster = "family"),
  C_autoencoder_encode = latent_apply(latent_autoencoder(toy$z, rep(1:2, 12), c(V = 1L, W = 1L),
    list(epochs = 2, restarts = 1, degree = 2, start = "ssa"), 1
  ), toy$z[1:3, ]),
  C_autoencoder_fit = latent_autoencoder(toy$z, rep(1:2, 12), c(V = 1L, W = 1L),
    list(encoder = "mlp", hidden = 2, epochs = 2, restarts = 2, relevance = 1), 1, 1L,
    cbind(toy$x)),
  C_bed_centre = suppressMessages(iv_2sls(y ~ x | toy_bed, toy, vcov = "HC1")),
  C_bed_decode = as.matrix(toy_bed[3:9, 2:1], impute = TRUE),
  C_bed_describe = bed_stats(toy_bed),
  C_bed_encode = write_bed(toy$z, tempfile()),
  C_bed_multiply = suppressMessages(iv_lasso(y ~ x | toy_bed, toy, lambda = 0.01)),
  C_bed_sums = suppressMessages(iv_crossprod(y ~ x | toy_bed, toy)),
  C_conformal_calibrate = conformal(function(d) d$x, toy, outcome = "y", conf_level = 0.8),
  C_control_function_basis = effect_curve(
    suppressWarnings(iv_control_function(y ~ x + w | z + w, toy)), x = 0:1
  ),
  C_control_function_fit = suppressWarnings(iv_control_function(I(1 * (y > 1)) ~ x | z, toy,
    family = "binomial", n_boot = 10, cluster = ~family, seed = 1
  )),
  C_deepmr_noise = deep_mr_effects(toy_mutations, "x", "y", pairs = toy_pairs, control = toy_few),
  C_deepmr_reach = deep_mr_effects(toy_mutations, "x", "y", pairs = toy_pairs,
    instruments = "none", interval = "pairs_half", control = toy_few
  ),
  C_deepmr_slopes = deep_mr_effects(toy_mutations, "x", "y"),
  C_delivr_fit = suppressWarnings(iv_delivr(y ~ x | z, toy, n_splits = 2, seed = 1,
    control = nn_control(hidden = 2, epochs = 2, batch_norm = FALSE)
  )),
  C_density_mode = density_mode(c(1, 2, 4), c(0.2, 0.5, 0.3), bw = 0.5, exact = TRUE),
  C_dfiv_boot = suppressWarnings(iv_dfiv(y ~ x + w | z + w, toy, cross_fit = 2,
    n_boot = 10, cluster = ~family, control = nn_control(hidden = 2, epochs = 2)
  )),
  C_dfiv_exposure = predict(suppressWarnings(iv_dfiv(y ~ x + w | z + w, toy, cross_fit = 1,
    control = nn_control(hidden = 2, epochs = 2)
  )), toy, type = "exposure"),
  C_dfiv_fit = suppressWarnings(iv_dfiv(y ~ x + w | z + w, toy, cross_fit = 2,
    progress = function(...) NULL, control = nn_control(hidden = 2, epochs = 2)
  )),
  C_dfiv_outcome = run_network(list(
    hidden_exposure = integer(0), hidden_covariate = integer(0), activation = 0L,
    batch_norm = FALSE, dropout = 0, params = numeric(), statistics = numeric(),
    theta = c(0, 1), scale_x = c(0, 1), scale_w = matrix(0, 2, 0), scale_y = c(0, 1)
  ), toy$x, NULL, NULL, "slope"),
  C_eval_curve = evaluate(
    data.frame(x = 1:3, estimate = c(1, 2, 4), conf.low = 0, conf.high = 5), function(x) x,
    quantiles = cbind(1:3), levels = 0.5
  ),
  C_expr_evaluate = arithmetic_function("lambda a, b: where(a < b, 2^-a, exp(b))", c("x", "y"))(
    toy$x, toy$w
  ),
  C_flow_fit = latent_flow(cbind(toy$x, toy$y), rep(1:2, 12), c(V = 1L, W = 1L),
    list(flow_starts = 2, flow_cycles = 1, flow_moves = 0), 1),
  C_genotype_impute = suppressMessages(suppressWarnings(iv_2sls(y ~ x | z, toy_missing))),
  C_isa_name = isa_used(),
  C_isotonic_fit = calibrate(predicted_law(toy$x, rep(1, 24)), toy$y),
  C_iv_ar = suppressWarnings(ar_set(iv_2sls(y ~ x + w | z + w, toy, vcov = "HC1"))),
  C_iv_context_predict = iv_contextual(y ~ x | z, toy, context = ~w, encoder = "archetypes",
    archetypes = 2, n_folds = 2, control = context_control(2, epochs = 2), n_boot = 10, seed = 1
  ),
  C_iv_context_slope = iv_contextual(y ~ x | z, toy, context = ~w, encoder = "linear",
    cluster = ~family
  ),
  C_iv_context_train = iv_contextual(y ~ x | z, toy, context = ~w, encoder = "additive",
    n_folds = 2, control = context_control(2, epochs = 2, batch_norm = TRUE), seed = 1
  ),
  C_iv_jive = iv_jive(y ~ x + w | z + w, toy),
  C_iv_kclass = iv_liml(y ~ x + w | z + w, toy, vcov = "HC3"),
  C_iv_linear = suppressWarnings(iv_2sls(y ~ x + w | z + w, toy, cluster = ~family)),
  C_iv_neural_boot = suppressWarnings(iv_quantile(y ~ x + w | z + w, toy,
    n_boot = 10, cluster = ~family, control = nn_control(hidden = 2, epochs = 2)
  )),
  C_iv_neural_exposure = first_stage_nodes(suppressWarnings(iv_deep(y ~ x + w | z + w, toy,
    first_stage = "mixture", control = nn_control(hidden = 2, epochs = 2)
  )), list(toy$z + 0), cbind(toy$w), 24L),
  C_iv_neural_fit = suppressWarnings(iv_deep(I(y > 0) ~ x + w | z + w, toy,
    binary = TRUE, cross_fit = 2, progress = function(...) NULL,
    control = nn_control(hidden = 2, epochs = 2, batch_norm = FALSE)
  )),
  C_iv_neural_outcome = run_network(list(
    hidden = integer(0), activation = 0L, batch_norm = FALSE, dropout = 0,
    params = c(1, rep(0, 31)), statistics = numeric(), theta = NULL, scale_x = c(0, 1),
    scale_w = matrix(0, 2, 0), scale_y = c(0, 1), binary = FALSE
  ), toy$x, NULL, NULL, "slope"),
  C_kernel_entropy = entropy(cbind(toy$w, toy$y)),
  C_kernel_statistic = hsic(toy$w, toy$y),
  C_kernel_test = kernel_test(toy$w, toy$y, rep(1:2, 12), n_perm = 19, seed = 1),
  C_lasso_fit = lasso_fit(toy$x, toy$z + 0, foldid = rep(1:3, 8), nlambda = 5L),
  C_lasso_folds = lasso_folds(7L, 3L, seed = 1),
  C_latent_closure = latent_closure(cbind(toy$w, toy$w^2, toy$x, toy$x^2, toy$w * toy$x),
    rep(1:2, 12), c(V = 1L, W = 1L), list(closure_starts = 30), 1),
  C_latent_ssa = ssa_rotation(toy$z + 0, rep(1:2, 12), c(V = 1L, W = 1L)),
  C_ld_clump = clump(data.frame(SNP = colnames(toy_bed), pval = c(0.1, 0.3, 0.2)), toy_bed, p = 1),
  C_ld_matrix = ld_matrix(toy_bed),
  C_logit_fit = logit_core(rep(0:1, 12), cbind(toy$w)),
  C_meta_random = meta_random(c(1, 2, 4, 3), c(1, 1, 2, 1), group = c(1, 1, 1, 2)),
  C_meta_regression = meta_regression(c(1, 2, 4, 3), c(1, 1, 2, 1), 1:4),
  C_mr_detail = mr_valid(lipid_chd[1:6, ], c("mr_cML", "mr_lasso", "mr_conmix"),
    control = mr_control(n = 100, num_pert = 3)),
  C_mr_estimate = mrl_method("mr_egger_robust")(toy$x, toy$y, rep(0.1, 24), rep(0.2, 24)),
  C_mr_frame = suppressMessages(mr_frame(data.frame(
    id.exposure = "x", id.outcome = "y", exposure = "x", outcome = "y", SNP = 1:24,
    mr_keep = rep(c(TRUE, FALSE), 12), beta.exposure = toy$x, se.exposure = 0.1,
    beta.outcome = toy$y, se.outcome = 0.1
  ))),
  C_mr_ld = mr_correlated(mr_data(1:4, rep(1, 4), c(1, 3, 2, 4), rep(1, 4)), diag(4)),
  C_mr_presso = mr_presso_test(lipid_chd[1:6, ], 150, seed = 1),
  C_mr_radial = mr_radial(lipid_chd[1:6, ]),
  C_mvmr_diagnose = mv_diagnose(lipid_chd),
  C_mvmr_estimate = mv_estimate(lipid_chd, mv_methods()$name, n = 1000, n_boot = 3, num_pert = 2,
    K_vec = 0:2, random_start = 1, seed = 1
  ),
  C_pca_bed = genotype_pcs(toy_bed, k = 2),
  C_quantreg_fit = suppressWarnings(quantile_regression(y ~ x, toy, tau = c(0.2, 0.8),
    control = nn_control(hidden = 2, epochs = 2), seed = 1
  )),
  C_quantreg_predict = predict(suppressWarnings(quantile_regression(y ~ x + w, toy,
    simultaneous = TRUE, control = nn_control(hidden = 2, epochs = 2), seed = 1
  ))),
  C_riesz_solve = suppressWarnings(orthogonal(iv_2sls(y ~ x + w | z + w, toy), folds = 2,
    degree = 1, seed = 1, data = toy
  )),
  C_rng_draw = rng_draw("normal", 5, seed = 1),
  C_score_bed = allele_score(toy_bed, data.frame(SNP = "g1", effect_allele = "A", beta = 1)),
  C_seq_encode = seq_codes(c("ACGN", "acgu"), list(
    length = 4L, alphabet = list(letters = "ACGT", unknown = "N")
  )),
  C_seq_mutate = mutagenize(toy_network, c("ACGTAC", "NNACGT"), reverse_complement = TRUE),
  C_seq_predict = predict(toy_network, c("ACGTAC", "NNACGT")),
  C_seq_shape = seq_model(list(seq_layer("conv", units = 2, taps = 3)), 4),
  C_seq_train = fit(toy_network, c("ACGTAC", "NNACGT", "TTACGA", "CCACGT"), c(1, 2, 2, 3),
    control = seq_control(epochs = 2), seed = 1),
  C_sim_burgess = sim_burgess2014(n = 12, type = "logistic", seed = 1),
  C_sim_contextual = sim_contextual(n = 12, L = 3, seed = 1),
  C_sim_demand = sim_demand(n = 12, seed = 1),
  C_sim_effect_modifier = sim_effect_modifier(n = 12, n_variants = 3, seed = 1),
  C_sim_environment = sim_environments(n = 12, seed = 1),
  C_sim_mix = sim_environments(n = 12, mixing = "discrete", noise = 0.1, seed = 1),
  C_sim_nonlinear = sim_nonlinear(n = 12, n_variants = 3, seed = 1),
  C_sim_sequence = sim_sequences(n = 4, length = 40, seed = 1),
  C_sim_sequence_hits = truth(sim_sequences(n = 2, length = 40, seed = 1))$oracle(strrep("AG", 20)),
  C_sim_summary = sim_summary(n_snps = 4, seed = 1),
  C_sim_tian = sim_tian2023(n = 12, scenario = "D", outcome = 4, seed = 1),
  C_sim_variable = add_variable(simulation(12, seed = 1), "G", "ld", frequency = c(0.2, 0.3),
    r = 0.5
  ),
  C_strata_effects = suppressWarnings(iv_doubly_ranked(I(y > 0) + 0 ~ x + w | z + w, toy,
    family = "binomial", n_strata = 2, n_repeats = 2, leave_out = 1, cluster = ~family, seed = 1
  )),
  C_weak_set = ar_set(iv_liml(y ~ x + w | z + w, toy), "CLR"),
  C_weak_test = ar_test(iv_liml(y ~ x + w | z + w, toy), 0:1, "CLR")
)

# Run the calls with the functions of `house`; says which entries were tried.
run_calls <- function(house = asNamespace("mrlearn"), entries = names(calls)) {
  for (entry in entries) {
    started <- proc.time()[["elapsed"]]
    eval(calls[[entry]], list(toy = toy, toy_missing = toy_missing), house)
    cat(sprintf("%-20s %6.2f s\n", entry, proc.time()[["elapsed"]] - started))
  }
}

if (!exists("calls_only")) {
  run_calls()
}
