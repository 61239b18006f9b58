/* The second moments of the exposure along its location. */
#include "iv_first.h"

#include "blas.h"

#include <math.h>

enum { TERMS = 3 }; /* 1, l, l^2 of the location l */

typedef struct {
  double gram[TERMS * TERMS], right[TERMS];
} moments;

void mrl_first_leave_spread(mrl_first_fit *fit)
{
  const double as_it_is[] = {1, 1, 0, 0};
  for (size_t j = 0; j < MRL_FIRST_SPREAD; j++) {
    fit->spread[j] = as_it_is[j];
  }
}

double mrl_first_stretch(const mrl_first_fit *fit, double location)
{
  const double *s = fit->spread, at = s[1] + location * (s[2] + location * s[3]);
  return sqrt(fmax(s[0] / 4, fmin(at, 4 * s[0])));
}

static void add_block(moments *to, const mrl_first_work *work, const mrl_law *law,
                      const mrl_first_rows *rows, const mrl_scale *scale, const size_t *row,
                      size_t n)
{
  for (size_t i = 0; i < n; i++) {
    const double weight = rows->weight ? rows->weight[row[i]] : 1, l = work->root[i];
    const double x = (rows->sample->x[row[i]] - scale->mean) / scale->sd;
    const double within = weight * mrl_law_variance(law, row[i]), term[TERMS] = {1, l, l * l};
    for (size_t j = 0; j < TERMS; j++) {
      to->right[j] += weight * (x * x - l * l) * term[j];
      for (size_t k = 0; k < TERMS; k++) {
        to->gram[j + k * TERMS] += within * term[j] * term[k];
      }
    }
  }
}

/* coefficient (TERMS) out; the constant alone where the location hardly varies. */
static void solve(double *coefficient, moments *of, double constant)
{
  const double unit = sqrt(of->gram[1 + TERMS] / of->gram[0]);
  const double scale[TERMS] = {1, unit, unit * unit};
  coefficient[0] = constant;
  coefficient[1] = coefficient[2] = 0;
  if (!(unit > 1e-4)) {
    return;
  }
  for (size_t j = 0; j < TERMS; j++) {
    of->right[j] /= scale[j];
    for (size_t k = 0; k < TERMS; k++) {
      of->gram[j + k * TERMS] /= scale[j] * scale[k];
    }
  }
  if (mrl_cholesky(of->gram, TERMS) != MRL_OK ||
      mrl_cholesky_solve(of->right, of->gram, TERMS, 1) != MRL_OK) {
    return;
  }
  for (size_t j = 0; j < TERMS; j++) {
    coefficient[j] = of->right[j] / scale[j];
  }
}

mrl_status mrl_first_fit_spread(mrl_first_fit *fit, mrl_first_work *work, const mrl_first *first,
                                const mrl_law *law, const mrl_first_rows *rows,
                                const size_t *const row[2], const size_t n[2], const mrl_ctx *ctx)
{
  const mrl_scale *scale = rows->scale + first->n_inputs;
  moments sum = {{0}, {0}};
  for (int part = 0; part < 2; part++) {
    for (size_t begin = 0; begin < n[part]; begin += MRL_FIRST_BLOCK) {
      const size_t rest = n[part] - begin, count = rest < MRL_FIRST_BLOCK ? rest : MRL_FIRST_BLOCK;
      mrl_poll(ctx);
      MRL_TRY(mrl_first_predict_block(work, first, fit, fit->location, law->location, rows,
                                      row[part] + begin, count, ctx));
      add_block(&sum, work, law, rows, scale, row[part] + begin, count);
    }
  }
  mrl_first_leave_spread(fit);
  if (sum.gram[0] > 0) {
    fit->spread[0] = fmax(sum.right[0], 0) / sum.gram[0];
    solve(fit->spread + 1, &sum, fit->spread[0]);
  }
  return MRL_OK;
}
