/* Registration of the .Call entries; the number of arguments is read off each prototype. */
#include "glue/glue.h"

#include <R_ext/Rdynload.h>
#include <R_ext/Visibility.h>

#define ARITY(entry)                                                                               \
  _Generic(&(entry), SEXP(*)(void) : 0, SEXP(*)(SEXP) : 1, SEXP(*)(SEXP, SEXP) : 2,                \
           SEXP(*)(SEXP, SEXP, SEXP) : 3, SEXP(*)(SEXP, SEXP, SEXP, SEXP) : 4,                     \
           SEXP(*)(SEXP, SEXP, SEXP, SEXP, SEXP) : 5,                                              \
           SEXP(*)(SEXP, SEXP, SEXP, SEXP, SEXP, SEXP) : 6,                                        \
           SEXP(*)(SEXP, SEXP, SEXP, SEXP, SEXP, SEXP, SEXP) : 7)
#define ENTRY(entry)                                                                               \
  {                                                                                                \
#entry, (DL_FUNC)(void (*)(void)) & (entry), ARITY(entry)                                      \
  }

static const R_CallMethodDef entries[] = {ENTRY(C_assoc_bed),
                                          ENTRY(C_assoc_matrix),
                                          ENTRY(C_autoencoder_encode),
                                          ENTRY(C_autoencoder_fit),
                                          ENTRY(C_bed_centre),
                                          ENTRY(C_bed_decode),
                                          ENTRY(C_bed_describe),
                                          ENTRY(C_bed_encode),
                                          ENTRY(C_bed_multiply),
                                          ENTRY(C_bed_sums),
                                          ENTRY(C_conformal_calibrate),
                                          ENTRY(C_control_function_basis),
                                          ENTRY(C_control_function_fit),
                                          ENTRY(C_deepmr_noise),
                                          ENTRY(C_deepmr_reach),
                                          ENTRY(C_deepmr_slopes),
                                          ENTRY(C_delivr_fit),
                                          ENTRY(C_density_mode),
                                          ENTRY(C_dfiv_boot),
                                          ENTRY(C_dfiv_exposure),
                                          ENTRY(C_dfiv_fit),
                                          ENTRY(C_dfiv_outcome),
                                          ENTRY(C_eval_curve),
                                          ENTRY(C_expr_evaluate),
                                          ENTRY(C_flow_fit),
                                          ENTRY(C_genotype_impute),
                                          ENTRY(C_isa_name),
                                          ENTRY(C_isotonic_fit),
                                          ENTRY(C_iv_ar),
                                          ENTRY(C_iv_context_predict),
                                          ENTRY(C_iv_context_slope),
                                          ENTRY(C_iv_context_train),
                                          ENTRY(C_iv_jive),
                                          ENTRY(C_iv_kclass),
                                          ENTRY(C_iv_linear),
                                          ENTRY(C_iv_neural_boot),
                                          ENTRY(C_iv_neural_exposure),
                                          ENTRY(C_iv_neural_fit),
                                          ENTRY(C_iv_neural_outcome),
                                          ENTRY(C_kernel_entropy),
                                          ENTRY(C_kernel_statistic),
                                          ENTRY(C_kernel_test),
                                          ENTRY(C_lasso_fit),
                                          ENTRY(C_lasso_folds),
                                          ENTRY(C_latent_closure),
                                          ENTRY(C_latent_ssa),
                                          ENTRY(C_ld_clump),
                                          ENTRY(C_ld_matrix),
                                          ENTRY(C_logit_fit),
                                          ENTRY(C_meta_random),
                                          ENTRY(C_meta_regression),
                                          ENTRY(C_mr_detail),
                                          ENTRY(C_mr_estimate),
                                          ENTRY(C_mr_frame),
                                          ENTRY(C_mr_ld),
                                          ENTRY(C_mr_presso),
                                          ENTRY(C_mr_radial),
                                          ENTRY(C_mvmr_diagnose),
                                          ENTRY(C_mvmr_estimate),
                                          ENTRY(C_pca_bed),
                                          ENTRY(C_quantreg_fit),
                                          ENTRY(C_quantreg_predict),
                                          ENTRY(C_riesz_solve),
                                          ENTRY(C_rng_draw),
                                          ENTRY(C_score_bed),
                                          ENTRY(C_seq_encode),
                                          ENTRY(C_seq_mutate),
                                          ENTRY(C_seq_predict),
                                          ENTRY(C_seq_shape),
                                          ENTRY(C_seq_train),
                                          ENTRY(C_sim_burgess),
                                          ENTRY(C_sim_contextual),
                                          ENTRY(C_sim_demand),
                                          ENTRY(C_sim_effect_modifier),
                                          ENTRY(C_sim_environment),
                                          ENTRY(C_sim_mix),
                                          ENTRY(C_sim_nonlinear),
                                          ENTRY(C_sim_sequence),
                                          ENTRY(C_sim_sequence_hits),
                                          ENTRY(C_sim_summary),
                                          ENTRY(C_sim_tian),
                                          ENTRY(C_sim_variable),
                                          ENTRY(C_strata_effects),
                                          ENTRY(C_weak_set),
                                          ENTRY(C_weak_test),
                                          {NULL, NULL, 0}};

attribute_visible void R_init_mrlearn(DllInfo *dll)
{
  R_registerRoutines(dll, NULL, entries, NULL, NULL);
  R_useDynamicSymbols(dll, FALSE);
  R_forceSymbols(dll, TRUE);
}
