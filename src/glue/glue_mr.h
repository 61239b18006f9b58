/* Readers of summary data that several entries share. */
#ifndef MRL_GLUE_MR_H
#define MRL_GLUE_MR_H

#include "glue.h"

#include "../core/mr.h"

/* effects: list of four, each of n. */
mrl_mr_data glue_mr_effects(SEXP effects, R_xlen_t n);
/* Where each group starts, counted from 0, and one past the last row, n; a group may be empty. */
const size_t *glue_mr_start(SEXP start, R_xlen_t n);
mrl_mr_settings glue_mr_settings(SEXP settings, size_t n_groups);
const mrl_mr_method *glue_mr_methods(SEXP settings, size_t *n);

#endif
