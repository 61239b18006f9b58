#include "mlp_basis.h"

size_t mrl_mlp_features(const mrl_mlp *mlp)
{
  return mlp->n_hidden > 0 ? (size_t)mlp->hidden[mlp->n_hidden - 1] : 0;
}

mrl_basis mrl_basis_of(const mrl_mlp *mlp, size_t n_w)
{
  const int is_net = mlp->n_hidden > 0;
  const mrl_basis basis = {n_w, mrl_mlp_features(mlp), is_net,
                           is_net && n_w > 0 && n_w <= MRL_BASIS_CROSSED};
  return basis;
}

size_t mrl_basis_polynomial(const mrl_basis *basis)
{
  return 2 + (basis->curved ? 1 : 0) + (basis->crossed ? 2 : 1) * basis->n_w;
}

size_t mrl_basis_terms(const mrl_basis *basis)
{
  return mrl_basis_polynomial(basis) + basis->n_features;
}

void mrl_basis_fill(double *out, size_t stride, const mrl_basis *basis, const double power[3],
                    const double *w, size_t stride_w)
{
  out[0] = power[0];
  out[stride] = power[1];
  out += 2 * stride;
  if (basis->curved) {
    *out = power[2];
    out += stride;
  }
  for (size_t j = 0; j < basis->n_w; j++, out += stride) {
    *out = power[0] * w[j * stride_w];
  }
  for (size_t j = 0; basis->crossed && j < basis->n_w; j++, out += stride) {
    *out = power[1] * w[j * stride_w];
  }
}

void mrl_basis_line(double line[3], const mrl_basis *basis, const double *theta, const double *w,
                    size_t stride_w)
{
  line[0] = theta[0];
  line[1] = theta[1];
  line[2] = basis->curved ? theta[2] : 0;
  theta += 2 + (basis->curved ? 1 : 0);
  for (size_t j = 0; j < basis->n_w; j++) {
    line[0] += theta[j] * w[j * stride_w];
    line[1] += basis->crossed ? theta[basis->n_w + j] * w[j * stride_w] : 0;
  }
}
