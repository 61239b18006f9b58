/* The moments that the LASSO works on: one pass over the data, one matrix per fold. */
#ifndef MRL_LASSO_MOMENTS_H
#define MRL_LASSO_MOMENTS_H

#include "arena.h"
#include "lasso.h"

/*
 * Columns (p = n_w + n_z + 2): ones, w, z, x, each but the ones read as (value - shift) * scale;
 * shift is the mean (0 without an intercept, which then could not make up for it), scale a power of
 * two near 1 / range, so that no data overflow and units do not matter to the last bit.
 */
typedef struct {
  size_t p, block;      /* columns; rows gathered at once */
  const double **data;  /* (p) columns as they are, NULL for the ones */
  double *shift;        /* (p) */
  double *scale;        /* (p), 0: the column is constant */
  double *total;        /* (p, p) crossproducts over all rows */
  double *fold;         /* (p, p, n_folds) over the rows of each fold */
  double *gathered;     /* (block, p) rows of a block, fold by fold */
  double *root;         /* (block) roots of their weights */
  double *ones;         /* (block) */
  const double **where; /* (p) the block's columns */
  size_t *order;        /* (block) rows of a block, fold by fold */
  size_t *start;        /* (n_folds + 2) where each fold starts in it */
  unsigned char *gram;  /* scratch of the product */
} mrl_lasso_moments;

void mrl_lasso_moments_carve(mrl_lasso_moments *moments, mrl_arena *arena,
                             const mrl_lasso_data *data, const mrl_ctx *ctx);

mrl_status mrl_lasso_moments_make(mrl_lasso_moments *moments, const mrl_lasso_data *data,
                                  mrl_isa isa, const mrl_ctx *ctx);

#endif
