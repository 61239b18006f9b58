/*
 * The law of the exposure given instruments and covariates, of each row, as a first stage gives it:
 * a location and a shape around it, read as nodes with weights (for averages) or by draws.
 *
 *   quantile   q deviations of equal weight
 *   gaussian   one standard deviation; 7 Gauss-Hermite nodes
 *   mixture    K weights, K deviations, K standard deviations; 3 Gauss-Hermite nodes each
 *   ridge      as gaussian
 *
 * The weighted mean of the nodes is the location, to rounding of doubles: what is exact in the
 * location stays exact in averages of lines over the nodes.
 */
#ifndef MRL_IV_LAW_H
#define MRL_IV_LAW_H

#include "arena.h"
#include "real.h"
#include "rng.h"
#include "status.h"

enum { MRL_QUANTILES_MOST = 200, MRL_COMPONENTS_MOST = 100, MRL_NODES_MOST = 300 };

typedef enum {
  MRL_FIRST_QUANTILE = 0,
  MRL_FIRST_GAUSSIAN,
  MRL_FIRST_MIXTURE,
  MRL_FIRST_RIDGE,
  MRL_N_FIRST
} mrl_first_kind;

/* Rows of one sample; columns (n) each. */
typedef struct {
  const double *y, *x;    /* NULL where the sample has it not */
  const double *const *z; /* (n_z) */
  const double *const *w; /* (n_w) */
  const double *weights;  /* not negative, or NULL */
  const int *cluster;     /* from 1 on, or NULL */
  size_t n, n_z, n_w;     /* n_z >= 1 */
} mrl_iv_sample;

typedef struct {
  mrl_first_kind kind;
  size_t parts;     /* quantiles, components, or 1 */
  size_t nodes;     /* of a row; at most MRL_NODES_MOST */
  size_t width;     /* numbers of a row's shape */
  double *location; /* (n) */
  mrl_real *shape;  /* (n, width) by row */
} mrl_law;

/* parts: quantiles or components. MRL_BAD_ARGUMENT on numbers out of range. */
mrl_status mrl_law_carve(mrl_law *law, mrl_arena *arena, mrl_first_kind kind, size_t parts,
                         size_t n);

/* node, weight (law->nodes) out; the weights sum to 1. */
void mrl_law_nodes(double *node, double *weight, const mrl_law *law, size_t row);
double mrl_law_variance(const mrl_law *law, size_t row);
double mrl_law_draw(const mrl_law *law, size_t row, mrl_rng *rng);
/* Deviations from the location times a factor >= 0. */
void mrl_law_stretch(mrl_law *law, size_t row, double factor);
/* Row of one law to the same row of another of the same kind. */
void mrl_law_copy(mrl_law *to, const mrl_law *from, size_t row);

/* Levels tau (q) of quantiles and their normal quantiles (q): the midpoints (2k - 1) / 2q, or those
 * with the mean and the variance of the normal law. One quantile is the median either way. */
void mrl_quantile_nodes(double *tau, double *normal, size_t q, int matched);

#endif
