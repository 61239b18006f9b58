/*
 * Jackknife predictions of exposures, whose own row has no part in them. Two-stage least squares
 * with them as the instruments is not drawn to the confounded regression by many weak instruments.
 * With P_C, P_W the projections on C = [1, exogenous, instruments] and W = [1, exogenous], h and g
 * their diagonals:
 *
 *   JIVE1  ((P_C x)_i - h_i x_i) / (1 - h_i)       Angrist, Imbens & Krueger (1999, J. Appl.
 *   JIVE2  ((P_C x)_i - h_i x_i) / (1 - 1/n)       Econometrics 14:57)
 *   UJIVE  JIVE1's less ((P_W x)_i - g_i x_i) / (1 - g_i)              Kolesar (2013)
 *   IJIVE  ((P_C - P_W) x - (h - g) M_W x)_i / (1 - h_i + g_i)   Ackerberg & Devereux (2009, Rev.
 *                                                                Econ. Stat. 91:351)
 */
#ifndef MRL_JIVE_H
#define MRL_JIVE_H

#include "lsq.h"

typedef enum { MRL_JIVE_1, MRL_JIVE_2, MRL_JIVE_U, MRL_JIVE_I, MRL_N_JIVE } mrl_jive_type;

size_t mrl_jive_scratch(const mrl_lsq_data *data, const mrl_ctx *ctx);

/* x_hat (n, n_endog) in the exposures' units up to a shift. MRL_SINGULAR: a row has leverage 1. */
mrl_status mrl_jive_run(double *x_hat, const mrl_lsq_data *data, mrl_jive_type type, mrl_isa isa,
                        void *scratch, size_t size, const mrl_ctx *ctx);

#endif
