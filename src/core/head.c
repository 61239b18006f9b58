#include "head.h"

#include "blas.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Ridge that learned features always have; what all features get where that does not help. */
static const double BASE_RIDGE = 1e-9;
static const double RESCUE[] = {0, 1e-10, 1e-8, 1e-6};
enum { N_RESCUE = sizeof RESCUE / sizeof RESCUE[0], N_LAMBDA = 23, N_RHO = 8 };

/* Share of a scaled feature's mean square that is left by those before it, below which it counts
 * as collinear: the moments carry about 1e-14 of rounding. */
static const double COLLINEAR = 1e-13;

/* A problem scaled to features of mean square one, in scratch memory. */
typedef struct {
  size_t p;
  double yy, n;
  int is_working;
  double *scale; /* (p) root mean squares */
  double *a, *b; /* (p, p), (p) */
  double *m;     /* (p, p) the matrix to solve, its factor, its inverse */
  double *theta; /* (p) */
  const mrl_head_penalty *penalty;
} scaled;

size_t mrl_head_scratch(size_t p)
{
  return 2 * p * p + 3 * p;
}

static scaled scale_problem(const mrl_head_moments *moments, const mrl_head_penalty *penalty,
                            double *scratch)
{
  const size_t p = moments->p, ld = p + 1;
  const double *g = moments->gram, total = moments->total;
  scaled s = {.p = p,
              .yy = g[p + p * ld] / total,
              .n = moments->n,
              .is_working = moments->is_working,
              .penalty = penalty};
  s.a = scratch;
  s.m = s.a + p * p;
  s.b = s.m + p * p;
  s.scale = s.b + p;
  s.theta = s.scale + p;
  for (size_t j = 0; j < p; j++) {
    const double mean_square = g[j + j * ld] / total;
    s.scale[j] = mean_square > 1e-24 ? sqrt(mean_square) : 1; /* a feature of zeros stays one */
  }
  for (size_t j = 0; j < p; j++) {
    for (size_t i = 0; i < p; i++) {
      s.a[i + j * p] = g[i + j * ld] / (total * s.scale[i] * s.scale[j]);
    }
    s.b[j] = g[j + p * ld] / (total * s.scale[j]);
  }
  return s;
}

static int under_ridge(const scaled *s, size_t j)
{
  return s->penalty->ridge && s->penalty->ridge[j];
}

/* m = a + penalties + rescue; features that are left out become zeros with a one. */
static void fill_matrix(scaled *s, const mrl_head_choice *choice, double rescue)
{
  const size_t p = s->p;
  const int drops = isinf(choice->rho);
  const double *rough =
      choice->order ? s->penalty->rough[choice->order - MRL_HEAD_FIRST_ORDER] : NULL;
  for (size_t j = 0; j < p; j++) {
    for (size_t i = 0; i < p; i++) {
      const double bend =
          rough ? choice->lambda * rough[i + j * p] / (s->scale[i] * s->scale[j]) : 0;
      const int is_out = drops && (under_ridge(s, i) || under_ridge(s, j));
      s->m[i + j * p] = is_out ? i == j : s->a[i + j * p] + bend;
    }
    if (under_ridge(s, j) && !drops) {
      s->m[j + j * p] += choice->rho + BASE_RIDGE;
    }
    s->m[j + j * p] += rescue;
  }
}

static int is_collinear(const scaled *s)
{
  for (size_t j = 0; j < s->p; j++) {
    const double pivot = s->m[j + j * s->p];
    if (!(pivot * pivot > COLLINEAR)) {
      return 1;
    }
  }
  return 0;
}

static mrl_status factor(scaled *s, const mrl_head_choice *choice)
{
  for (int r = 0; r < N_RESCUE; r++) {
    fill_matrix(s, choice, RESCUE[r]);
    if (mrl_cholesky(s->m, s->p) == MRL_OK && !is_collinear(s)) {
      return MRL_OK;
    }
  }
  return MRL_SINGULAR;
}

/* Mean squared error and degrees of freedom of s->theta; s->m: the inverse. */
static mrl_head_fit judge(const scaled *s, const mrl_head_choice *choice)
{
  const size_t p = s->p;
  const int drops = isinf(choice->rho);
  mrl_head_fit fit = {.rss = s->yy};
  for (size_t j = 0; j < p; j++) {
    double part = 0;
    if (drops && under_ridge(s, j)) {
      continue;
    }
    for (size_t i = 0; i < p; i++) {
      if (!(drops && under_ridge(s, i))) {
        part += s->a[i + j * p] * s->theta[i];
        fit.df += s->m[i + j * p] * s->a[i + j * p];
      }
    }
    fit.rss += s->theta[j] * (part - 2 * s->b[j]);
  }
  fit.rss = fmax(fit.rss, 1e-15 * s->yy + DBL_MIN); /* an exact fit, a constant outcome */
  fit.bic = s->n * (s->is_working ? fit.rss : log(fit.rss)) + fit.df * log(s->n);
  return fit;
}

/* Solves; *fit needs the inverse and is skipped if NULL. */
static mrl_status solve(scaled *s, mrl_head_fit *fit, const mrl_head_choice *choice)
{
  const int drops = isinf(choice->rho);
  MRL_TRY(factor(s, choice));
  for (size_t j = 0; j < s->p; j++) {
    s->theta[j] = drops && under_ridge(s, j) ? 0 : s->b[j];
  }
  MRL_TRY(mrl_cholesky_solve(s->theta, s->m, s->p, 1));
  for (size_t j = 0; j < s->p; j++) {
    if (!isfinite(s->theta[j])) {
      return MRL_NOT_FINITE;
    }
  }
  if (fit) {
    MRL_TRY(mrl_cholesky_inverse(s->m, s->p));
    *fit = judge(s, choice);
  }
  return MRL_OK;
}

static void unscale(double *theta, const scaled *s)
{
  for (size_t j = 0; j < s->p; j++) {
    theta[j] = s->theta[j] / s->scale[j];
  }
}

mrl_status mrl_head_solve(double *theta, mrl_head_fit *fit, const mrl_head_moments *moments,
                          const mrl_head_penalty *penalty, const mrl_head_choice *choice,
                          double *scratch)
{
  scaled s = scale_problem(moments, penalty, scratch);
  MRL_TRY(solve(&s, fit, choice));
  unscale(theta, &s);
  return MRL_OK;
}

/* Keeps a candidate in theta and *choice if it is better than *fit. */
static mrl_status try_choice(double *theta, mrl_head_choice *choice, mrl_head_fit *fit, scaled *s,
                             const mrl_head_choice *candidate)
{
  mrl_head_fit found;
  const mrl_status status = solve(s, &found, candidate);
  if (status == MRL_OK && found.bic < fit->bic) {
    *fit = found;
    *choice = *candidate;
    unscale(theta, s);
  }
  return status == MRL_SINGULAR || status == MRL_NOT_FINITE ? MRL_OK : status;
}

mrl_status mrl_head_choose(double *theta, mrl_head_choice *choice, mrl_head_fit *fit,
                           const mrl_head_moments *moments, const mrl_head_penalty *penalty,
                           int try_ridge, double *scratch, const mrl_ctx *ctx)
{
  scaled s = scale_problem(moments, penalty, scratch);
  const int n_rho = try_ridge && penalty->ridge ? N_RHO : 1;
  const mrl_head_fit none = {.bic = INFINITY};
  *fit = none;
  for (int o = 0; o < MRL_HEAD_ORDERS; o++) {
    const int has = penalty->rough[o] != NULL;
    for (int r = 0; (has || o == 0) && r < n_rho; r++) {
      mrl_poll(ctx);
      for (int l = 0; l < (has ? N_LAMBDA : 1); l++) {
        const mrl_head_choice candidate = {.order = has ? MRL_HEAD_FIRST_ORDER + o : 0,
                                           .lambda = has ? pow(10, -7 + 0.5 * l) : 0,
                                           .rho = r == 0 ? 0 : pow(10, r - 6)};
        MRL_TRY(try_choice(theta, choice, fit, &s, &candidate));
      }
    }
  }
  return isfinite(fit->bic) ? MRL_OK : MRL_SINGULAR;
}

double mrl_head_penalty_value(const double *theta, const mrl_head_moments *moments,
                              const mrl_head_penalty *penalty, const mrl_head_choice *choice)
{
  const size_t p = moments->p, ld = p + 1;
  const double *rough = choice->order ? penalty->rough[choice->order - MRL_HEAD_FIRST_ORDER] : NULL;
  double sum = 0;
  for (size_t j = 0; j < p; j++) {
    for (size_t i = 0; rough && i < p; i++) {
      sum += choice->lambda * theta[i] * rough[i + j * p] * theta[j];
    }
    if (penalty->ridge && penalty->ridge[j] && !isinf(choice->rho)) {
      sum += choice->rho * theta[j] * theta[j] * moments->gram[j + j * ld] / moments->total;
    }
  }
  return sum;
}

double mrl_head_error(const double *theta, const mrl_head_moments *moments)
{
  const size_t p = moments->p, ld = p + 1;
  double sum = moments->gram[p + p * ld];
  for (size_t j = 0; j < p; j++) {
    double part = 0;
    for (size_t i = 0; i < p; i++) {
      part += moments->gram[i + j * ld] * theta[i];
    }
    sum += theta[j] * (part - 2 * moments->gram[j + p * ld]);
  }
  return sum / moments->total;
}

/* The ridge without its constant: centred and scaled, in the axes of its crossproducts. */
typedef struct {
  size_t p; /* without the constant */
  double yy, n;
  double *mean, *scale;   /* (p) */
  double *vector, *value; /* (p, p), (p) */
  double *b, *c;          /* (p) crossproducts with the outcome; in the axes */
  double *work;
} axes;

size_t mrl_head_ridge_scratch(size_t p)
{
  return p * p + 5 * p + mrl_eigen_work(p);
}

static axes centre_problem(const mrl_head_moments *moments, double *scratch)
{
  const size_t p = moments->p - 1, ld = moments->p + 1;
  const double *g = moments->gram, total = moments->total;
  const double mean_y = g[(p + 1) * ld] / total;
  axes s = {.p = p, .n = moments->n, .vector = scratch};
  s.yy = g[p + 1 + (p + 1) * ld] / total - mean_y * mean_y;
  s.mean = s.vector + p * p;
  s.scale = s.mean + p;
  s.value = s.scale + p;
  s.b = s.value + p;
  s.c = s.b + p;
  s.work = s.c + p;
  for (size_t j = 0; j < p; j++) {
    s.mean[j] = g[(j + 1) * ld] / total;
    const double var = g[j + 1 + (j + 1) * ld] / total - s.mean[j] * s.mean[j];
    s.scale[j] = var > 1e-12 ? sqrt(var) : 1;
  }
  for (size_t j = 0; j < p; j++) {
    for (size_t i = 0; i < p; i++) {
      const double cross = g[i + 1 + (j + 1) * ld] / total - s.mean[i] * s.mean[j];
      s.vector[i + j * p] = cross / (s.scale[i] * s.scale[j]);
    }
    s.b[j] = (g[j + 1 + (p + 1) * ld] / total - s.mean[j] * mean_y) / s.scale[j];
  }
  return s;
}

/* Mean squared error and degrees of freedom under a penalty. */
static mrl_head_fit ridge_fit(const axes *s, double rho)
{
  mrl_head_fit fit = {.rss = s->yy};
  for (size_t j = 0; j < s->p; j++) {
    const double value = fmax(s->value[j], 0), under = value + rho;
    if (value > 1e-12) {
      fit.rss -= s->c[j] * s->c[j] * (value + 2 * rho) / (under * under);
      fit.df += value / under;
    }
  }
  fit.rss = fmax(fit.rss, 0);
  return fit;
}

static double choose_ridge(const axes *s)
{
  double best = INFINITY, rho = 0;
  for (int r = 0; r <= 48; r++) {
    const double at = pow(10, -8 + 0.25 * r);
    const mrl_head_fit fit = ridge_fit(s, at);
    const double left = 1 - (fit.df + 1) / s->n, gcv = fit.rss / (left * left);
    if (left > 0 && gcv < best) {
      best = gcv;
      rho = at;
    }
  }
  return isfinite(best) ? rho : 1e4; /* not even the largest leaves a degree of freedom */
}

/* theta from coefficients c of the centred and scaled features. */
static mrl_status finish_ridge(double *theta, const axes *s, const double *c, double mean_y)
{
  theta[0] = mean_y;
  for (size_t j = 0; j < s->p; j++) {
    theta[j + 1] = c[j] / s->scale[j];
    theta[0] -= theta[j + 1] * s->mean[j];
  }
  return isfinite(theta[0]) ? MRL_OK : MRL_NOT_FINITE;
}

/* Under a given penalty: by Cholesky; MRL_SINGULAR where features are collinear and it is too
 * small. */
static mrl_status solve_given(double *theta, axes *s, double rho, double mean_y)
{
  for (size_t j = 0; j < s->p; j++) {
    s->vector[j + j * s->p] += rho;
    s->c[j] = s->b[j];
  }
  MRL_TRY(mrl_cholesky(s->vector, s->p));
  for (size_t j = 0; j < s->p; j++) {
    const double pivot = s->vector[j + j * s->p];
    if (!(pivot * pivot > COLLINEAR)) {
      return MRL_SINGULAR;
    }
  }
  MRL_TRY(mrl_cholesky_solve(s->c, s->vector, s->p, 1));
  return finish_ridge(theta, s, s->c, mean_y);
}

mrl_status mrl_head_ridge(double *theta, double *rho, const mrl_head_moments *moments,
                          double *scratch, const mrl_ctx *ctx)
{
  const size_t p = moments->p - 1, ld = moments->p + 1;
  const double mean_y = moments->gram[(p + 1) * ld] / moments->total;
  axes s = centre_problem(moments, scratch);
  mrl_poll(ctx);
  if (!isnan(*rho)) {
    const mrl_status status = solve_given(theta, &s, *rho, mean_y);
    if (status != MRL_SINGULAR) {
      return status;
    }
    s = centre_problem(moments, scratch);
  }
  MRL_TRY(mrl_eigen(s.value, s.vector, p, s.work));
  mrl_small_gemm(s.c, p, s.vector, p, 1, s.b, p, 0, p, 1, p, 1, 0);
  if (isnan(*rho)) {
    *rho = choose_ridge(&s);
  }
  for (size_t j = 0; j < p; j++) {
    const double value = fmax(s.value[j], 0);
    s.c[j] = value > 1e-12 ? s.c[j] / (value + *rho) : 0;
  }
  mrl_small_gemm(s.b, p, s.vector, p, 0, s.c, p, 0, p, 1, p, 1, 0);
  return finish_ridge(theta, &s, s.b, mean_y);
}
