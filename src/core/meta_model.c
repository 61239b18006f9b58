#include "meta_model.h"

#include <math.h>

void mrl_meta_carve(mrl_meta_model *model, size_t k, size_t p, mrl_arena *arena)
{
  model->y = MRL_TAKE(arena, double, k);
  model->v = MRL_TAKE(arena, double, k);
  model->w = MRL_TAKE(arena, double, k);
  if (p == 0) {
    model->x = model->x_unit = model->q = model->r = model->c = model->h = NULL;
    model->e = model->z = NULL;
    return;
  }
  model->x = MRL_TAKE(arena, double, k *p);
  model->x_unit = MRL_TAKE(arena, double, p);
  model->q = MRL_TAKE(arena, double, k *p);
  model->r = MRL_TAKE(arena, double, p *p);
  model->c = MRL_TAKE(arena, double, p);
  model->h = MRL_TAKE(arena, double, p *p);
  model->e = MRL_TAKE(arena, double, k);
  model->z = MRL_TAKE(arena, double, k);
}

/* The power of two at or below |x|; 1 for 0. */
static double power_of_two(double x)
{
  int exponent;
  return x == 0 ? 1 : (frexp(x, &exponent), ldexp(1, exponent - 1));
}

/* Column j of x, over the power of two that makes its largest value 1 to 2. */
static int load_column(mrl_meta_model *model, const double *x, size_t j)
{
  const size_t k = model->k;
  double largest = 0;
  for (size_t i = 0; i < k; i++) {
    largest = fmax(largest, fabs(x[i]));
  }
  const double unit = power_of_two(largest);
  double *out = model->x + j * k;
  for (size_t i = 0; i < k; i++) {
    out[i] = x[i] / unit;
  }
  const double first = out[model->first];
  out[model->first] = out[0];
  out[0] = first;
  model->x_unit[j] = unit;
  return isfinite(largest);
}

mrl_status mrl_meta_load(mrl_meta_model *model, const double *effect, const double *se,
                         const double *x, size_t k, int constant)
{
  size_t first = 0;
  double largest = 0;
  for (size_t i = 1; i < k; i++) {
    first = se[i] < se[first] ? i : first;
  }
  const double unit = power_of_two(se[first]);
  const double origin = constant ? effect[first] : 0;
  for (size_t i = 0; i < k; i++) {
    const double s = se[i] / unit;
    model->y[i] = (effect[i] - origin) / unit;
    model->v[i] = s * s;
    largest = fmax(largest, fmax(model->v[i], fabs(model->y[i])));
  }
  const double y = model->y[first], v = model->v[first];
  model->y[first] = model->y[0];
  model->v[first] = model->v[0];
  model->y[0] = y;
  model->v[0] = v;
  model->v_min = v;
  model->first = first;
  model->unit = unit;
  model->origin = origin;
  model->k = k;
  int finite = largest < 1e100; /* so that sums of squares, and squares of these, do not overflow */
  for (size_t j = 0; j < model->p && model->x; j++) {
    finite = load_column(model, x + j * k, j) && finite;
  }
  return finite ? MRL_OK : MRL_NOT_FINITE;
}

void mrl_meta_weigh(mrl_meta_model *model, double tau2)
{
  for (size_t i = 0; i < model->k; i++) {
    model->w[i] = 1 / (model->v[i] + tau2);
  }
}

void mrl_meta_weigh_equally(mrl_meta_model *model)
{
  for (size_t i = 0; i < model->k; i++) {
    model->w[i] = 1;
  }
}

/*
 * The model with a constant only. P has a closed form; sums over the studies other than the first,
 * which weighs most, are kept apart, as differences such as sum(w) - w[0] would cancel where it
 * weighs nearly all.
 */
static void evaluate_constant(mrl_meta_moments *m, const mrl_meta_model *model)
{
  const size_t k = model->k;
  const double *w = model->w, *y = model->y, w0 = w[0];
  double rest = 0, rest_y = 0, rest_w2 = 0;
  for (size_t i = 1; i < k; i++) {
    rest += w[i];
    rest_y += w[i] * y[i];
    rest_w2 += w[i] * w[i];
  }
  const double sum = rest + w0, sum_w2 = rest_w2 + w0 * w0;
  const double mean = (rest_y + w0 * y[0]) / sum;
  const double e0 = y[0] - mean, z0 = w0 * e0; /* z = P y = w e */
  double rss = z0 * e0, ypp = z0 * z0, dz = 0, dz2 = 0;
  double tr_p = w0 * rest, same = w0 * w0 * rest * rest, cross = w0 * w0 * rest_w2;
  for (size_t i = 1; i < k; i++) {
    const double e = y[i] - mean, z = w[i] * e, d = z - z0, w2 = w[i] * w[i];
    const double others = sum - w[i];
    rss += z * e;
    ypp += z * z;
    dz += w[i] * d;
    dz2 += w[i] * d * d;
    tr_p += w[i] * others;
    same += w2 * others * others;
    cross += w2 * (sum_w2 - w2);
  }
  m->sum_w = sum;
  m->sum_w2 = sum_w2;
  m->mean = mean;
  m->rss = rss;
  m->ypp = ypp;
  m->yppp = fmax(0, dz2 - dz * dz / sum);
  m->tr_p = tr_p / sum;
  m->tr_pp = (same + cross) / (sum * sum);
  m->log_det = log(sum);
}

/* z (k) -= q (q'z), the first n columns of q; adds q'z to c (n) unless that is NULL. */
static void project_out(double *z, double *c, const double *q, size_t k, size_t n)
{
  for (size_t j = 0; j < n; j++) {
    const double *qj = q + j * k;
    double dot = 0;
    for (size_t i = 0; i < k; i++) {
      dot += qj[i] * z[i];
    }
    for (size_t i = 0; i < k; i++) {
      z[i] -= dot * qj[i];
    }
    if (c) {
      c[j] += dot;
    }
  }
}

static double norm2(const double *x, size_t k)
{
  double sum = 0;
  for (size_t i = 0; i < k; i++) {
    sum += x[i] * x[i];
  }
  return sum;
}

/* sqrt(W) X = q r by Gram-Schmidt, each column orthogonalised twice, which is enough. */
static mrl_status factor_design(mrl_meta_model *model)
{
  const size_t k = model->k, p = model->p;
  for (size_t j = 0; j < p; j++) {
    double *qj = model->q + j * k, *rj = model->r + j * p;
    for (size_t i = 0; i < k; i++) {
      qj[i] = sqrt(model->w[i]) * model->x[i + j * k];
    }
    for (size_t i = 0; i < p; i++) {
      rj[i] = 0;
    }
    const double before = norm2(qj, k);
    project_out(qj, rj, model->q, k, j);
    project_out(qj, rj, model->q, k, j);
    const double after = norm2(qj, k);
    if (!(after > 1e-24 * before)) { /* the rounding of a column that depends on the others */
      return MRL_SINGULAR;
    }
    rj[j] = sqrt(after);
    for (size_t i = 0; i < k; i++) {
      qj[i] /= rj[j];
    }
  }
  return MRL_OK;
}

/* h (p, p) = q' diag(d) q with d = w, or w v. */
static void weighted_gram(double *h, const mrl_meta_model *model, int times_variance)
{
  const size_t k = model->k, p = model->p;
  for (size_t a = 0; a < p; a++) {
    for (size_t b = 0; b <= a; b++) {
      double sum = 0;
      for (size_t i = 0; i < k; i++) {
        const double d = times_variance ? model->w[i] * model->v[i] : model->w[i];
        sum += d * model->q[i + a * k] * model->q[i + b * k];
      }
      h[a + b * p] = h[b + a * p] = sum;
    }
  }
}

static double leverage(const mrl_meta_model *model, size_t i)
{
  double sum = 0;
  for (size_t j = 0; j < model->p; j++) {
    sum += model->q[i + j * model->k] * model->q[i + j * model->k];
  }
  return sum;
}

static mrl_status evaluate_design(mrl_meta_moments *m, mrl_meta_model *model)
{
  const size_t k = model->k, p = model->p;
  const double *w = model->w;
  double *e = model->e, *z = model->z;
  MRL_TRY(factor_design(model));
  m->log_det = 0;
  for (size_t j = 0; j < p; j++) {
    model->c[j] = 0;
    m->log_det += 2 * log(model->r[j + j * p]);
  }
  for (size_t i = 0; i < k; i++) {
    e[i] = sqrt(w[i]) * model->y[i];
  }
  project_out(e, model->c, model->q, k, p);
  project_out(e, model->c, model->q, k, p);
  m->sum_w = m->sum_w2 = m->tr_p = m->ypp = 0;
  double tr_ww = 0;
  for (size_t i = 0; i < k; i++) {
    const double free = 1 - leverage(model, i);
    m->sum_w += w[i];
    m->sum_w2 += w[i] * w[i];
    m->tr_p += w[i] * free;
    tr_ww += w[i] * w[i] * (2 * free - 1);
    m->ypp += w[i] * e[i] * e[i];
    z[i] = w[i] * e[i];
  }
  m->rss = norm2(e, k);
  project_out(z, NULL, model->q, k, p);
  m->yppp = norm2(z, k);
  weighted_gram(model->h, model, 0);
  m->tr_pp = tr_ww + norm2(model->h, p * p);
  m->mean = NAN;
  return MRL_OK;
}

mrl_status mrl_meta_evaluate(mrl_meta_moments *moments, mrl_meta_model *model)
{
  mrl_poll(model->ctx);
  if (!model->x) {
    evaluate_constant(moments, model);
    return MRL_OK;
  }
  return evaluate_design(moments, model);
}

void mrl_meta_variance_traces(double *tr_pv, double *tr_pvpv, const mrl_meta_model *model)
{
  const size_t k = model->k;
  double sum_w = 0, sum_g = 0; /* for a constant: leverage w / sum(w), q'WVq = sum(w wv) / sum(w) */
  for (size_t i = 0; i < k; i++) {
    sum_w += model->w[i];
    sum_g += model->w[i] * model->w[i] * model->v[i];
  }
  *tr_pv = *tr_pvpv = 0;
  for (size_t i = 0; i < k; i++) {
    const double h = model->x ? leverage(model, i) : model->w[i] / sum_w;
    const double d = model->w[i] * model->v[i];
    *tr_pv += d * (1 - h);
    *tr_pvpv += d * d * (1 - 2 * h);
  }
  if (model->x) {
    weighted_gram(model->h, model, 1);
    *tr_pvpv += norm2(model->h, model->p * model->p);
  } else {
    *tr_pvpv += (sum_g / sum_w) * (sum_g / sum_w);
  }
}

double mrl_meta_log_variances(const mrl_meta_model *model, double tau2)
{
  double sum = 0;
  for (size_t i = 0; i < model->k; i++) {
    sum += log(model->v[i] + tau2);
  }
  return sum;
}
