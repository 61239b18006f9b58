/* What every .Call entry needs: readers, context, scratch memory, results; and all the entries. */
#ifndef MRL_GLUE_H
#define MRL_GLUE_H

#define R_NO_REMAP
#include <R.h>
#include <Rinternals.h>

#include "../core/status.h"
#include "../core/gemm.h"

/*
 * Readers. R code has checked what a user can get wrong; here type and length are checked again and
 * a failure is our bug, reported as "internal error: ...". n < 0 accepts any length.
 */
const double *glue_dbl(SEXP x, R_xlen_t n, const char *name);
const int *glue_int(SEXP x, R_xlen_t n, const char *name);
/* As glue_dbl / glue_int, and R's NULL gives a NULL pointer. */
const double *glue_dbl_or_null(SEXP x, R_xlen_t n, const char *name);
const int *glue_int_or_null(SEXP x, R_xlen_t n, const char *name);
/* Columns of a double matrix with n rows; NULL counts as no columns. */
size_t glue_ncol(SEXP x, R_xlen_t n, const char *name);

/*
 * Columns that may be scattered: NULL, a double vector or matrix with n rows, or a list of these.
 * add lays pointers to them from col[at] on and returns the next free place.
 */
size_t glue_count_columns(SEXP x, R_xlen_t n, const char *name);
size_t glue_add_columns(const double **col, size_t at, SEXP x, R_xlen_t n, const char *name);

/* One named item of a settings list. */
SEXP glue_item(SEXP settings, const char *name);
double glue_item_dbl(SEXP settings, const char *name);
int glue_item_int(SEXP settings, const char *name);
int glue_item_lgl(SEXP settings, const char *name);
/* The whole number in a double, as 64 bits. */
uint64_t glue_item_seed(SEXP settings);
/* The instruction set that settings ask for ("isa"), or the best. */
mrl_isa glue_item_isa(SEXP settings);

/* Context that polls R for interrupts. */
mrl_ctx glue_ctx(int n_threads);

/* R_alloc memory: freed when .Call returns, by an error or an interrupt too. */
void *glue_scratch(size_t bytes);

/* Results: list(status = "ok" | ..., value = value). */
SEXP glue_result(mrl_status status, SEXP value);
/* A named list with n items, all NULL; the caller protects it. names (n) */
SEXP glue_list(const char *const *names, int n);
/* Allocates a double vector or matrix into slot i of a list and returns its memory. */
double *glue_list_dbl(SEXP list, int i, R_xlen_t n);
double *glue_list_matrix(SEXP list, int i, size_t nrow, size_t ncol);
int *glue_list_int(SEXP list, int i, R_xlen_t n);

/* Entries: C_<topic>_<verb>, the same word in R. */
SEXP C_assoc_bed(SEXP source, SEXP data, SEXP settings);
SEXP C_assoc_matrix(SEXP genotypes, SEXP data, SEXP settings);
SEXP C_autoencoder_encode(SEXP z, SEXP params, SEXP settings);
SEXP C_autoencoder_fit(SEXP z, SEXP n_row, SEXP exposure, SEXP start, SEXP settings);
SEXP C_bed_centre(SEXP sums, SEXP settings);
SEXP C_bed_decode(SEXP source, SEXP settings);
SEXP C_bed_describe(SEXP source, SEXP settings);
SEXP C_bed_encode(SEXP genotypes);
SEXP C_bed_multiply(SEXP stream, SEXP coef, SEXP settings);
SEXP C_bed_sums(SEXP a, SEXP b, SEXP q, SEXP weights, SEXP settings);
SEXP C_conformal_calibrate(SEXP y, SEXP low, SEXP high, SEXP scale, SEXP settings);
SEXP C_control_function_basis(SEXP x, SEXP basis);
SEXP C_control_function_fit(SEXP y, SEXP x, SEXP w, SEXP z, SEXP weights, SEXP cluster,
                            SEXP settings);
SEXP C_deepmr_noise(SEXP at, SEXP level, SEXP e, SEXP settings);
SEXP C_deepmr_reach(SEXP errors, SEXP to_come, SEXP settings);
SEXP C_deepmr_slopes(SEXP effect, SEXP se, SEXP members, SEXP at, SEXP settings);
SEXP C_delivr_fit(SEXP mu, SEXP y, SEXP weights, SEXP part, SEXP settings);
SEXP C_density_mode(SEXP x, SEXP weight, SEXP settings);
SEXP C_dfiv_boot(SEXP data, SEXP settings, SEXP fit, SEXP from, SEXP count);
SEXP C_dfiv_exposure(SEXP network, SEXP z, SEXP w, SEXP settings);
SEXP C_dfiv_fit(SEXP data, SEXP settings, SEXP state);
SEXP C_dfiv_outcome(SEXP network, SEXP x, SEXP w, SEXP weights, SEXP settings);
SEXP C_eval_curve(SEXP x, SEXP estimate, SEXP truth, SEXP limits, SEXP quantiles, SEXP settings);
SEXP C_expr_evaluate(SEXP text, SEXP variables, SEXP columns, SEXP settings);
SEXP C_flow_fit(SEXP x, SEXP n_row, SEXP settings);
SEXP C_genotype_impute(SEXP genotypes);
SEXP C_isa_name(SEXP settings);
SEXP C_isotonic_fit(SEXP y, SEXP weight);
SEXP C_iv_ar(SEXP data, SEXP beta, SEXP settings);
SEXP C_iv_context_predict(SEXP context, SEXP params, SEXP statistics, SEXP settings);
SEXP C_iv_context_slope(SEXP data, SEXP settings);
SEXP C_iv_context_train(SEXP context, SEXP e, SEXP s, SEXP fold, SEXP unit, SEXP weights,
                        SEXP settings);
SEXP C_iv_jive(SEXP data, SEXP settings);
SEXP C_iv_kclass(SEXP data, SEXP settings);
SEXP C_iv_linear(SEXP y, SEXP x, SEXP w, SEXP z, SEXP weights, SEXP cluster, SEXP settings);
SEXP C_iv_neural_boot(SEXP data, SEXP settings, SEXP fit, SEXP from, SEXP count);
SEXP C_iv_neural_exposure(SEXP network, SEXP z, SEXP w, SEXP settings);
SEXP C_iv_neural_fit(SEXP data, SEXP settings, SEXP state);
SEXP C_iv_neural_outcome(SEXP network, SEXP x, SEXP w, SEXP weights, SEXP settings);
SEXP C_kernel_entropy(SEXP x, SEXP settings);
SEXP C_kernel_statistic(SEXP x, SEXP y, SEXP settings);
SEXP C_kernel_test(SEXP x, SEXP y, SEXP group, SEXP settings);
SEXP C_lasso_fit(SEXP x, SEXP w, SEXP z, SEXP weights, SEXP foldid, SEXP settings);
SEXP C_lasso_folds(SEXP settings);
SEXP C_latent_closure(SEXP x, SEXP settings);
SEXP C_latent_ssa(SEXP x, SEXP n_row, SEXP settings);
SEXP C_ld_clump(SEXP source, SEXP position, SEXP order, SEXP settings);
SEXP C_ld_matrix(SEXP source, SEXP settings);
SEXP C_logit_fit(SEXP y, SEXP x, SEXP weights, SEXP offset, SEXP settings);
SEXP C_meta_random(SEXP effect, SEXP se, SEXP start, SEXP q_low, SEXP q_high, SEXP settings);
SEXP C_meta_regression(SEXP effect, SEXP se, SEXP x, SEXP settings);
SEXP C_mr_detail(SEXP effects, SEXP start, SEXP settings);
SEXP C_mr_estimate(SEXP effects, SEXP start, SEXP settings);
SEXP C_mr_frame(SEXP keys, SEXP keep, SEXP effects);
SEXP C_mr_ld(SEXP effects, SEXP ld, SEXP settings);
SEXP C_mr_presso(SEXP effects, SEXP start, SEXP settings);
SEXP C_mr_radial(SEXP effects, SEXP start, SEXP settings);
SEXP C_mvmr_diagnose(SEXP effects);
SEXP C_mvmr_estimate(SEXP effects, SEXP settings);
SEXP C_pca_bed(SEXP source, SEXP value, SEXP settings);
SEXP C_quantreg_fit(SEXP y, SEXP x, SEXP weights, SEXP settings);
SEXP C_quantreg_predict(SEXP network, SEXP x, SEXP settings);
SEXP C_riesz_solve(SEXP b, SEXP phi, SEXP m, SEXP root, SEXP settings);
SEXP C_rng_draw(SEXP settings);
SEXP C_score_bed(SEXP source, SEXP value, SEXP weight, SEXP settings);
SEXP C_seq_encode(SEXP text, SEXP settings);
SEXP C_seq_mutate(SEXP codes, SEXP params, SEXP variants, SEXP settings);
SEXP C_seq_predict(SEXP codes, SEXP params, SEXP settings);
SEXP C_seq_shape(SEXP settings);
SEXP C_seq_train(SEXP codes, SEXP labels, SEXP start, SEXP level, SEXP state, SEXP settings);
SEXP C_sim_burgess(SEXP settings);
SEXP C_sim_contextual(SEXP settings);
SEXP C_sim_demand(SEXP settings);
SEXP C_sim_effect_modifier(SEXP settings);
SEXP C_sim_environment(SEXP settings);
SEXP C_sim_mix(SEXP latent, SEXP settings);
SEXP C_sim_nonlinear(SEXP settings);
SEXP C_sim_sequence(SEXP motifs, SEXP settings);
SEXP C_sim_sequence_hits(SEXP sequences, SEXP motifs, SEXP settings);
SEXP C_sim_summary(SEXP settings);
SEXP C_sim_tian(SEXP settings);
SEXP C_sim_variable(SEXP a, SEXP b, SEXP settings);
SEXP C_strata_effects(SEXP data, SEXP settings);
SEXP C_weak_set(SEXP settings);
SEXP C_weak_test(SEXP beta, SEXP settings);

#endif
