/*
 * Columns that let a regression bend in one variable: powers, cubic splines (the span of B-splines
 * with the same knots) and natural cubic splines.
 */
#ifndef MRL_CF_BASIS_H
#define MRL_CF_BASIS_H

#include "status.h"

typedef enum { MRL_CF_POWERS = 0, MRL_CF_SPLINE, MRL_CF_NATURAL, MRL_CF_N_SHAPE } mrl_cf_shape;

/* With u = (x - centre) / scale. Powers: u, ..., u^degree. Spline: u, u^2, u^3 and, for each knot,
 * the cube of what u exceeds it by. Natural: linear beyond the first and the last knot. */
typedef struct {
  mrl_cf_shape shape;
  size_t degree;        /* powers: at least 1 */
  const double *knot;   /* (n_knots) ascending, in units of u */
  size_t n_knots;       /* natural: at least 2 */
  double centre, scale; /* scale > 0 */
} mrl_cf_basis;

size_t mrl_cf_basis_width(const mrl_cf_basis *basis);
/* out (n, width) from x (n). */
void mrl_cf_basis_fill(double *out, const double *x, size_t n, const mrl_cf_basis *basis);

#endif
