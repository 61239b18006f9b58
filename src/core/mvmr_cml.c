#include "mvmr_part.h"
#include "mvmr_q.h"

#include <math.h>

/*
 * Constrained maximum likelihood (Lin, Xue & Pan 2023, Am. J. Hum. Genet. 110:592): K variants may
 * have any direct effect r_i on the outcome, all others none, and BIC chooses K. The likelihood has
 * many local maxima, and which one is found is part of the method: like its authors' program, this
 * one goes up from no effects (and from random starts), by turns in r, the variants' true effects
 * on the exposures mu and theta, till theta moves by less than 1e-4. The maximum for the valid
 * variants so found is then taken exactly, by Newton's steps on their Q.
 *
 * Given mu, the outcome's effect less its error as predicted by those of the exposures is
 * y_i - g_i'(x_i - mu_i), g_i the regression of the former error on the latter, with variance
 * 1 / w_i: r_i is what of that mu_i'theta leaves, and adds w_i r_i^2 / 2 to the log-likelihood.
 */

enum { MAX_TURNS = 100 };

static const double small_move = 1e-4;

typedef struct {
  mrl_mv_q q;
  double *g, *w;        /* (k, n), (n) */
  double *mu;           /* (k, n) */
  double *r;            /* (n) direct effects, 0 of valid variants */
  double *gain, *spare; /* (n) */
  double *theta;        /* (k) */
  int *valid;           /* (n) */
  size_t *row;          /* (n) */
  double *s, *square;   /* (k + 1), (k, k) */
  double *rest;         /* work of the minimiser */
  size_t n, k;
} search;

/* A size and an int are no longer than a double. */
size_t mrl_mv_cml_work(size_t n, size_t k)
{
  return 2 * k * n + 6 * n + k + (k + 1) + k * k + mrl_mv_q_work(k) +
         (k + 1) * n; /* the last: a perturbed copy of the estimates */
}

static search split(double *work, const double *z, const double *cov, size_t n, size_t k)
{
  const mrl_mv_q q = {z, cov, NULL, n, k + 1, 0};
  search s;
  s.q = q;
  s.n = n;
  s.k = k;
  s.g = work;
  s.mu = s.g + k * n;
  s.w = s.mu + k * n;
  s.r = s.w + n;
  s.gain = s.r + n;
  s.spare = s.gain + n;
  s.theta = s.spare + n;
  s.s = s.theta + k;
  s.square = s.s + k + 1;
  s.rest = s.square + k * k;
  s.row = (size_t *)(s.rest + mrl_mv_q_work(k));
  s.valid = (int *)(s.row + n);
  return s;
}

static void swap(double *a, double *b)
{
  const double t = *a;
  *a = *b;
  *b = t;
}

/* What x (n), which is reordered, would have at `place` if it were sorted (Hoare). */
static double select_value(double *x, size_t n, size_t place)
{
  ptrdiff_t low = 0, high = (ptrdiff_t)n - 1;
  const ptrdiff_t at = (ptrdiff_t)place;
  while (low < high) {
    const double pivot = x[low + (high - low) / 2];
    ptrdiff_t i = low, j = high;
    while (i <= j) {
      while (x[i] < pivot) {
        i++;
      }
      while (x[j] > pivot) {
        j--;
      }
      if (i <= j) {
        swap(&x[i++], &x[j--]);
      }
    }
    low = at >= i ? i : low;
    high = at <= j ? j : high;
    if (at > j && at < i) {
      break;
    }
  }
  return x[at];
}

/* g and w of each variant. 0 if the errors of its exposures' effects are collinear. */
static int predict_errors(search *s)
{
  const size_t k = s->k, m = k + 1;
  for (size_t i = 0; i < s->n; i++) {
    const double *cov = s->q.cov + i * m * m;
    double *g = s->g + i * k, left = cov[m * m - 1];
    int related = 0;
    for (size_t j = 0; j < k; j++) {
      g[j] = cov[j + k * m];
      related = related || g[j] != 0;
      for (size_t a = 0; a < k; a++) {
        s->square[a + j * k] = cov[a + j * m];
      }
    }
    if (related) {
      if (!mrl_mv_cholesky(s->square, k)) {
        return 0;
      }
      mrl_mv_back(g, s->square, k, 1);
      mrl_mv_back(g, s->square, k, 0);
      for (size_t j = 0; j < k; j++) {
        left -= g[j] * cov[j + k * m];
      }
    }
    s->w[i] = 1 / left;
  }
  return 1;
}

/* The outcome's effect less its error as predicted at mu. */
static double expected_outcome(const search *s, size_t i)
{
  const size_t k = s->k;
  const double *z = s->q.z + i * (k + 1);
  double y = z[k];
  for (size_t j = 0; j < k; j++) {
    y -= s->g[j + i * k] * (z[j] - s->mu[j + i * k]);
  }
  return y;
}

/* r := the direct effects of the n_invalid variants that gain most by one, 0 of the others. */
static void free_effects(search *s, size_t n_invalid)
{
  const size_t n = s->n, k = s->k;
  for (size_t i = 0; i < n; i++) {
    double r = expected_outcome(s, i);
    for (size_t j = 0; j < k; j++) {
      r -= s->mu[j + i * k] * s->theta[j];
    }
    s->r[i] = r;
    s->spare[i] = s->gain[i] = r * r * s->w[i];
  }
  const double bound = n_invalid > 0 ? select_value(s->spare, n, n - n_invalid) : INFINITY;
  size_t above = 0;
  for (size_t i = 0; i < n; i++) {
    above += s->gain[i] > bound;
  }
  for (size_t i = 0; i < n; i++) {
    const int equal = s->gain[i] == bound && above < n_invalid;
    above += (size_t)equal;
    s->valid[i] = !(s->gain[i] > bound || equal);
    s->r[i] = s->valid[i] ? 0 : s->r[i];
  }
}

/* mu := the likeliest true effects on the exposures at theta and r. */
static void true_effects(search *s)
{
  const size_t k = s->k, m = k + 1;
  for (size_t i = 0; i < s->n; i++) {
    double v;
    const double e = mrl_mv_q_part(&v, s->s, &s->q, i, s->theta) + s->r[i];
    for (size_t j = 0; j < k; j++) {
      s->mu[j + i * k] = s->q.z[j + i * m] - e / v * s->s[j];
    }
  }
}

/* theta := the likeliest effects at mu and r; how far it moved. NaN if singular. */
static double effects(search *s)
{
  const size_t k = s->k;
  double *sum = s->s, moved = 0;
  for (size_t j = 0; j < k; j++) {
    sum[j] = 0;
    for (size_t a = 0; a < k; a++) {
      s->square[a + j * k] = 0;
    }
  }
  for (size_t i = 0; i < s->n; i++) {
    const double *mu = s->mu + i * k, y = expected_outcome(s, i) - s->r[i];
    for (size_t j = 0; j < k; j++) {
      sum[j] += s->w[i] * y * mu[j];
      for (size_t a = 0; a <= j; a++) {
        s->square[a + j * k] += s->w[i] * mu[a] * mu[j];
      }
    }
  }
  if (!mrl_mv_cholesky(s->square, k)) {
    return NAN;
  }
  mrl_mv_back(sum, s->square, k, 1);
  mrl_mv_back(sum, s->square, k, 0);
  for (size_t j = 0; j < k; j++) {
    moved += fabs(sum[j] - s->theta[j]);
    s->theta[j] = sum[j];
  }
  return moved;
}

/* From theta and mu up to a maximum with n_invalid invalid variants: Q there, or infinity. */
static double climb(search *s, size_t n_invalid)
{
  double moved = INFINITY, value;
  for (int i = 0; i < MAX_TURNS && moved > small_move; i++) {
    free_effects(s, n_invalid);
    true_effects(s);
    moved = effects(s);
  }
  if (!(moved <= small_move)) {
    return INFINITY;
  }
  size_t at = 0;
  for (size_t i = 0; i < s->n; i++) {
    if (s->valid[i]) {
      s->row[at++] = i;
    }
  }
  s->q.row = s->row;
  s->q.n_rows = at;
  const int found = mrl_mv_q_minimise(s->theta, &value, &s->q, s->rest);
  s->q.row = NULL;
  s->q.n_rows = s->n;
  return found ? value : INFINITY;
}

/* The first start: no effects, the exposures' effects as they were seen. Others: random. */
static void set_start(search *s, const mrl_mv_settings *settings, size_t start, mrl_rng *rng)
{
  const size_t k = s->k, m = k + 1;
  for (size_t j = 0; j < k; j++) {
    const double range = settings->start_up - settings->start_low;
    s->theta[j] = start == 0 ? 0 : settings->start_low + range * mrl_rng_uniform(rng);
  }
  for (size_t i = 0; i < s->n; i++) {
    for (size_t j = 0; j < k; j++) {
      const double sd = sqrt(s->q.cov[j + j * m + i * m * m]);
      s->mu[j + i * k] = s->q.z[j + i * m] + (start == 0 ? 0 : sd * mrl_rng_normal(rng));
    }
  }
}

int mrl_mv_cml_fit(double *b, int *valid, const double *z, const double *cov, size_t n, size_t k,
                   const mrl_mv_settings *settings, uint64_t item, double *work, const mrl_ctx *ctx)
{
  search s = split(work, z, cov, n, k);
  mrl_rng rng = mrl_rng_stream(settings->seed, MRL_RNG_BOOTSTRAP, item);
  double least = INFINITY;
  if (!predict_errors(&s)) {
    return 0;
  }
  for (size_t c = 0; c < settings->n_choices; c++) {
    const size_t n_invalid = settings->n_invalid[c];
    const double penalty = log(settings->sample_size) * (double)n_invalid;
    if (penalty > least) {
      break; /* Q is not negative */
    }
    for (size_t start = 0; start <= settings->n_starts; start++) {
      set_start(&s, settings, start, &rng);
      const double bic = climb(&s, n_invalid) + penalty;
      if (bic < least) {
        least = bic;
        for (size_t j = 0; j < k; j++) {
          b[j] = s.theta[j];
        }
        for (size_t i = 0; valid && i < n; i++) {
          valid[i] = s.valid[i];
        }
      }
      if (ctx) {
        mrl_poll(ctx);
      }
    }
  }
  return isfinite(least);
}

void mrl_mv_roots(double *roots, const double *cov, size_t n, size_t m)
{
  for (size_t at = 0; at < n; at++) {
    double *l = roots + at * m * m;
    const double *c = cov + at * m * m;
    for (size_t j = 0; j < m; j++) {
      for (size_t i = 0; i < m; i++) {
        double sum = i < j ? 0 : c[i + j * m];
        for (size_t h = 0; i >= j && h < j; h++) {
          sum -= l[i + h * m] * l[j + h * m];
        }
        if (i == j) {
          l[j + j * m] = sum > 1e-12 * c[j + j * m] ? sqrt(sum) : 0;
        } else {
          l[i + j * m] = i > j && l[j + j * m] > 0 ? sum / l[j + j * m] : 0;
        }
      }
    }
  }
}

void mrl_mv_cml_draw(double *b, const double *z, const double *roots, const double *cov, size_t n,
                     size_t k, const mrl_mv_settings *settings, size_t draw, double *work)
{
  const size_t m = k + 1;
  double *moved = work, *rest = work + m * n;
  /* Items of the median's draws are below 2^24. */
  const uint64_t item = (uint64_t)1 << 24 | draw, starts = (uint64_t)1 << 25 | draw;
  mrl_rng rng = mrl_rng_stream(settings->seed, MRL_RNG_BOOTSTRAP, item);
  mrl_rng_fill_normal(&rng, moved, m * n);
  for (size_t i = 0; i < n; i++) {
    const double *l = roots + i * m * m;
    for (size_t a = m; a-- > 0;) {
      double sum = z[a + i * m];
      for (size_t c = 0; c <= a; c++) {
        sum += l[a + c * m] * moved[c + i * m];
      }
      moved[a + i * m] = sum;
    }
  }
  if (!mrl_mv_cml_fit(b, NULL, moved, cov, n, k, settings, starts, rest, NULL)) {
    for (size_t j = 0; j < k; j++) {
      b[j] = NAN;
    }
  }
}
