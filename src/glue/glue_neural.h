/* What the entries of neural IV share: readers of data and settings, nets. */
#ifndef MRL_GLUE_NEURAL_H
#define MRL_GLUE_NEURAL_H

#include "glue_nn.h"

#include "../core/iv_neural.h"

/* As mrl_iv_sample; two is empty with one sample. */
typedef struct {
  mrl_iv_sample one, two;
  int single;
} glue_iv_data;

glue_iv_data glue_neural_data(SEXP data);
mrl_ivn_settings glue_neural_settings(SEXP settings);
const double *const *glue_neural_columns(SEXP x, size_t count, R_xlen_t n, const char *name);
/* Scales from a (2, n) matrix of means and deviations. */
const mrl_scale *glue_neural_scales(SEXP list, const char *name, size_t n);
/* Carves the nets twice, over R_alloc memory the second time, and starts them. */
mrl_status glue_neural_nets(mrl_ivn_nets *nets, const mrl_ivn_settings *how, size_t n_z,
                            size_t n_w);

#endif
