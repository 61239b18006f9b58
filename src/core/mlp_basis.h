/*
 * Features of a model that is linear in them, behind a net: a small polynomial in x and the
 * covariates w, and what the net's last hidden layer gives:
 *   1, x, [x^2,] w_1 .. w_kw, [x w_1 .. x w_kw,] H_1 .. H_m,
 * all in standardised units. Without hidden layers there are 1, x, w alone, so that the model is
 * linear. Products with the covariates are left out where there are more than MRL_BASIS_CROSSED.
 */
#ifndef MRL_MLP_BASIS_H
#define MRL_MLP_BASIS_H

#include "mlp.h"

enum { MRL_BASIS_CROSSED = 30 };

typedef struct {
  size_t n_w, n_features; /* m: 0 without hidden layers */
  int curved, crossed;    /* whether there are x^2, x w */
} mrl_basis;

/* Units of the last hidden layer, or 0. */
size_t mrl_mlp_features(const mrl_mlp *mlp);

mrl_basis mrl_basis_of(const mrl_mlp *mlp, size_t n_w);
/* Terms before the net's features; all terms. */
size_t mrl_basis_polynomial(const mrl_basis *basis);
size_t mrl_basis_terms(const mrl_basis *basis);

/* out[j * stride]: the polynomial's terms with 1, x, x^2 replaced by their averages power (3); w
 * [j * stride_w]. */
void mrl_basis_fill(double *out, size_t stride, const mrl_basis *basis, const double power[3],
                    const double *w, size_t stride_w);
/* line (3): the polynomial part of theta'h as coefficients of 1, x, x^2, given w. */
void mrl_basis_line(double line[3], const mrl_basis *basis, const double *theta, const double *w,
                    size_t stride_w);

#endif
