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

/* Items of result lists. Each function fills a slot, so that all is protected by the list. */
void glue_put_int(SEXP list, int i, int value);
void glue_put_dbl(SEXP list, int i, double value);
void glue_put_doubles(SEXP list, int i, const double *x, size_t n);
SEXP glue_put_list(SEXP list, int i, const char *const *names, int n);

/* The slots of what every neural fit says of its rows: exposures as predicted, in and out of fold,
 * in the data's units; outcomes as predicted; scales (2, inputs + 2); folds from 1. */
typedef struct {
  int x_hat, x_out, y_hat, scale, fold;
} glue_neural_slots;
/* x_hat, x_out (n of the first sample) in standardised units; y_hat (n of the second). */
void glue_neural_rows(SEXP value, const glue_neural_slots *slots, const mrl_ivn_problem *problem,
                      const double *x_hat, const double *x_out, const double *y_hat);

#endif
