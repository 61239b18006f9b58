#include "flow.h"

#include "blas.h"

#include <math.h>
#include <string.h>

static size_t padded(size_t n)
{
  return (n + MRL_FLOW_LANES - 1) / MRL_FLOW_LANES * MRL_FLOW_LANES;
}

mrl_status mrl_flow_sample_carve(mrl_flow_sample *sample, mrl_arena *arena, const int *n_row,
                                 size_t (*part_of)(size_t n), size_t n_env, size_t d)
{
  *sample = (mrl_flow_sample){d, n_env, 0, MRL_TAKE(arena, mrl_flow_group, n_env)};
  for (size_t e = 0; e < n_env; e++) {
    const size_t n = part_of ? part_of((size_t)n_row[e]) : (size_t)n_row[e], rows = padded(n);
    const mrl_flow_group group = {n, rows, MRL_TAKE(arena, double, rows *d),
                                  MRL_TAKE(arena, double, rows)};
    sample->n += n;
    if (sample->group) {
      sample->group[e] = group;
    }
  }
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

void mrl_flow_sample_take(mrl_flow_sample *sample, size_t e, size_t to, const double *z, size_t ld,
                          size_t from)
{
  const mrl_flow_group *group = sample->group + e;
  for (size_t j = 0; j < sample->d; j++) {
    group->z[to + j * group->rows] = z[from + j * ld];
  }
}

void mrl_flow_sample_finish(mrl_flow_sample *sample)
{
  for (size_t e = 0; e < sample->n_env; e++) {
    const mrl_flow_group *group = sample->group + e;
    for (size_t i = 0; i < group->rows; i++) {
      group->on[i] = i < group->n;
      for (size_t j = 0; i >= group->n && j < sample->d; j++) {
        group->z[i + j * group->rows] = 0;
      }
    }
  }
}

size_t mrl_flow_sample_rows(const mrl_flow_sample *sample)
{
  size_t rows = 0;
  for (size_t e = 0; e < sample->n_env; e++) {
    rows += sample->group[e].rows;
  }
  return rows;
}

mrl_status mrl_flow_work_carve(mrl_flow_work *work, mrl_arena *arena, size_t d, size_t layers,
                               size_t n_env, size_t rows, mrl_isa isa)
{
  if (d < 1 || layers < 1) {
    return MRL_BAD_ARGUMENT;
  }
  *work =
      (mrl_flow_work){.d = d, .layers = layers, .rows = padded(rows), .isa = mrl_isa_usable(isa)};
  work->h = MRL_TAKE(arena, double, layers * work->rows * d);
  work->s = MRL_TAKE(arena, double, layers * work->rows * d);
  work->q = MRL_TAKE(arena, double, layers * work->rows * d);
  work->m = MRL_TAKE(arena, double, layers *d);
  work->dm = MRL_TAKE(arena, double, layers *d);
  work->mean = MRL_TAKE(arena, double, n_env *d);
  work->cov = MRL_TAKE(arena, double, n_env *d *d);
  work->chol = MRL_TAKE(arena, double, d *d);
  work->back = MRL_TAKE(arena, double, (d + 1) * d);
  work->turned = MRL_TAKE(arena, double, (d + 1) * d);
  work->inverse = MRL_TAKE(arena, double, d *d);
  work->lu = MRL_TAKE(arena, double, d *d);
  for (int k = 0; k < 2; k++) {
    work->dx[k] = MRL_TAKE(arena, double, MRL_FLOW_CHUNK *d);
  }
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

/* Gauss-Jordan with exchange of rows: lu (d, d) is lost, inverse (d, d) out, *log_det its log
 * |det|.
 */
static mrl_status invert(double *inverse, double *log_det, double *lu, size_t d)
{
  *log_det = 0;
  for (size_t i = 0; i < d * d; i++) {
    inverse[i] = i % (d + 1) == 0;
  }
  for (size_t c = 0; c < d; c++) {
    size_t best = c;
    for (size_t r = c + 1; r < d; r++) {
      best = fabs(lu[r + c * d]) > fabs(lu[best + c * d]) ? r : best;
    }
    const double pivot = lu[best + c * d];
    if (!(fabs(pivot) > 1e-12)) {
      return MRL_SINGULAR;
    }
    *log_det += log(fabs(pivot));
    for (size_t k = 0; k < d; k++) {
      const double left = lu[best + k * d], right = inverse[best + k * d];
      lu[best + k * d] = lu[c + k * d];
      inverse[best + k * d] = inverse[c + k * d];
      lu[c + k * d] = left / pivot;
      inverse[c + k * d] = right / pivot;
    }
    for (size_t r = 0; r < d; r++) {
      const double factor = r == c ? 0 : lu[r + c * d];
      for (size_t k = 0; k < d; k++) {
        lu[r + k * d] -= factor * lu[c + k * d];
        inverse[r + k * d] -= factor * inverse[c + k * d];
      }
    }
  }
  return MRL_OK;
}

/* Where the tensors of an environment begin: `rows` filled-up rows before it. */
static size_t tensor_at(const mrl_flow_work *work, size_t layer, size_t rows)
{
  return (layer * work->rows + rows) * work->d;
}

static size_t chunk_of(const mrl_flow_group *group, size_t first)
{
  const size_t rest = group->rows - first;
  return rest < MRL_FLOW_CHUNK ? rest : MRL_FLOW_CHUNK;
}

/* All layers of a chunk; returns its sum of log slopes. */
static double forward_chunk(const double *params, const mrl_flow_group *group, size_t before,
                            size_t first, double tau, mrl_flow_work *work)
{
  const size_t d = work->d;
  const mrl_flow_block block = {chunk_of(group, first), group->rows, work->isa};
  const double *in = group->z + first, *on = group->on + first;
  double slopes = 0;
  for (size_t l = 0; l < work->layers; l++) {
    const size_t at = tensor_at(work, l, before) + first;
    mrl_flow_affine(work->h + at, group->rows, on, in, params + l * mrl_flow_layer_params(d), d, d,
                    &block);
    for (size_t j = 0; j < d; j++) {
      const size_t column = at + j * group->rows;
      slopes += mrl_flow_bend(work->h + column, work->s + column, work->q + column, on,
                              work->m[l * d + j], tau, &block);
    }
    in = work->h + at;
  }
  return slopes;
}

/* The latent of an environment, its mean and covariance; returns the sum of log slopes. */
static double forward(const double *params, const mrl_flow_group *group, size_t e, size_t before,
                      double tau, mrl_flow_work *work)
{
  const size_t d = work->d;
  double slopes = 0, *mean = work->mean + e * d, *cov = work->cov + e * d * d;
  memset(mean, 0, d * sizeof *mean);
  memset(cov, 0, d * d * sizeof *cov);
  for (size_t first = 0; first < group->rows; first += MRL_FLOW_CHUNK) {
    const size_t rows = chunk_of(group, first);
    slopes += forward_chunk(params, group, before, first, tau, work);
    const double *h = work->h + tensor_at(work, work->layers - 1, before) + first;
    mrl_flow_cross(mean, 1, group->on + first, group->rows, 1, h, group->rows, d, rows, work->isa);
    mrl_flow_cross(cov, d, h, group->rows, d, h, group->rows, d, rows, work->isa);
  }
  for (size_t j = 0; j < d; j++) {
    mean[j] /= (double)group->n;
  }
  for (size_t j = 0; j < d; j++) {
    for (size_t k = 0; k < d; k++) {
      cov[k + j * d] = cov[k + j * d] / (double)group->n - mean[j] * mean[k];
    }
  }
  return slopes;
}

/* *log_det of the covariance of environment e; work->back so that (1, h) back is the gradient of
 * the likelihood with respect to h. */
static mrl_status whiten(double *log_det, size_t e, double share, mrl_flow_work *work)
{
  const size_t d = work->d;
  const double *mean = work->mean + e * d;
  memcpy(work->chol, work->cov + e * d * d, d * d * sizeof *work->chol);
  *log_det = 0;
  for (size_t i = 0; i < d * d; i++) {
    if (!isfinite(work->chol[i])) {
      return MRL_NOT_FINITE;
    }
  }
  MRL_TRY(mrl_cholesky(work->chol, d));
  for (size_t j = 0; j < d; j++) {
    *log_det += 2 * log(work->chol[j + j * d]);
  }
  MRL_TRY(mrl_cholesky_inverse(work->chol, d));
  for (size_t j = 0; j < d; j++) {
    double *column = work->back + j * (d + 1);
    column[0] = 0;
    for (size_t k = 0; k < d; k++) {
      column[k + 1] = share * work->chol[k + j * d];
      column[0] -= mean[k] * column[k + 1];
    }
  }
  return MRL_OK;
}

/* dh (rows, d) of layer l of a chunk, in work->dx[0], becomes that of the layer before it, or of
 * the input's; gradients are added to. */
static void backward_layer(double *gradient, const double *params, const mrl_flow_group *group,
                           size_t l, size_t before, size_t first, double tau, double share,
                           mrl_flow_work *work)
{
  const size_t d = work->d, at = tensor_at(work, l, before) + first, p = mrl_flow_layer_params(d);
  const mrl_flow_block block = {chunk_of(group, first), group->rows, work->isa};
  const mrl_flow_block own = {block.rows, MRL_FLOW_CHUNK, work->isa};
  double *dx = work->dx[0], *into = gradient + l * p;
  for (size_t j = 0; j < d; j++) {
    const size_t column = at + j * group->rows, unit = l * d + j;
    into[d * (d + 1) + j] +=
        work->dm[unit] * mrl_flow_unbend(dx + j * MRL_FLOW_CHUNK, work->s + column,
                                         work->q + column, work->m[unit], tau, share, &own);
  }
  const double *in = l > 0 ? work->h + tensor_at(work, l - 1, before) + first : group->z + first;
  mrl_flow_cross(into, d + 1, group->on + first, group->rows, 1, dx, MRL_FLOW_CHUNK, d, block.rows,
                 work->isa);
  mrl_flow_cross(into + 1, d + 1, in, group->rows, d, dx, MRL_FLOW_CHUNK, d, block.rows, work->isa);
  if (l > 0) {
    for (size_t j = 0; j < d; j++) { /* B' with no constant */
      work->turned[j * (d + 1)] = 0;
      for (size_t k = 0; k < d; k++) {
        work->turned[k + 1 + j * (d + 1)] = params[l * p + j + 1 + k * (d + 1)];
      }
    }
    mrl_flow_affine(work->dx[1], MRL_FLOW_CHUNK, group->on + first, dx, work->turned, d, d, &own);
    work->dx[0] = work->dx[1];
    work->dx[1] = dx;
  }
}

static void backward(double *gradient, const double *params, const mrl_flow_group *group,
                     size_t before, double tau, double share, mrl_flow_work *work)
{
  for (size_t first = 0; first < group->rows; first += MRL_FLOW_CHUNK) {
    const mrl_flow_block block = {chunk_of(group, first), group->rows, work->isa};
    const double *h = work->h + tensor_at(work, work->layers - 1, before) + first;
    mrl_flow_affine(work->dx[0], MRL_FLOW_CHUNK, group->on + first, h, work->back, work->d, work->d,
                    &block);
    for (size_t l = work->layers; l-- > 0;) {
      backward_layer(gradient, params, group, l, before, first, tau, share, work);
    }
  }
}

/* Slopes of the units; *value less log |det B| of all layers, and its gradient. */
static mrl_status start(double *value, double *gradient, const double *params, mrl_flow_work *work)
{
  const size_t d = work->d, p = mrl_flow_layer_params(d);
  for (size_t l = 0; l < work->layers; l++) {
    const double *b = params + l * p, *a = b + d * (d + 1);
    double log_det;
    for (size_t j = 0; j < d; j++) {
      const double bound = tanh(a[j] / 3), slope = exp(3 * bound);
      work->m[l * d + j] = slope - 1;
      work->dm[l * d + j] = slope * (1 - bound * bound);
      memcpy(work->lu + j * d, b + 1 + j * (d + 1), d * sizeof *b);
    }
    MRL_TRY(invert(work->inverse, &log_det, work->lu, d));
    *value -= log_det;
    for (size_t j = 0; gradient && j < d; j++) {
      for (size_t k = 0; k < d; k++) {
        gradient[l * p + k + 1 + j * (d + 1)] = -work->inverse[j + k * d];
      }
    }
  }
  return MRL_OK;
}

mrl_status mrl_flow_value(double *value, double *gradient, const double *params,
                          const mrl_flow_sample *sample, double tau, mrl_flow_work *work)
{
  const double share = 1 / (double)sample->n;
  double slopes = 0, log_det;
  size_t before = 0;
  *value = 0;
  if (gradient) {
    memset(gradient, 0, mrl_flow_params(work->d, work->layers) * sizeof *gradient);
  }
  MRL_TRY(start(value, gradient, params, work));
  for (size_t e = 0; e < sample->n_env; e++) {
    const mrl_flow_group *group = sample->group + e;
    slopes += forward(params, group, e, before, tau, work);
    MRL_TRY(whiten(&log_det, e, share, work));
    *value += 0.5 * (double)group->n * share * log_det;
    if (gradient) {
      backward(gradient, params, group, before, tau, share, work);
    }
    before += group->rows;
  }
  *value -= share * slopes;
  return isfinite(*value) ? MRL_OK : MRL_NOT_FINITE;
}
