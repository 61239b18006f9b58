/* Settings of networks, read from R's list; numbers as doubles in R, mrl_real in the core. */
#ifndef MRL_GLUE_NN_H
#define MRL_GLUE_NN_H

#include "glue.h"

#include "../core/mlp.h"
#include "../core/train.h"

/* hidden: the item with the units, as "hidden_first". */
mrl_mlp glue_nn_mlp(SEXP settings, const char *hidden);
/* All but the seed. */
mrl_train_settings glue_nn_train(SEXP settings);

/* Copies of n numbers: into R's memory, and into scratch memory. */
void glue_nn_write(double *out, const mrl_real *x, size_t n);
mrl_real *glue_nn_read(const double *x, size_t n);

#endif
