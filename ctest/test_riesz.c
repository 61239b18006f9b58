/* Riesz representers: closed forms, and the minimum of the objective itself. */
#include "ctest.h"
#include "riesz.h"
#include "rng.h"

#include <stdlib.h>

enum { N = 400, K = 4, J = 3, MOST = 8 };

typedef struct {
  double x[MOST][N], root[N];
  const double *col[MOST];
  double shift[MOST], scale[MOST];
  double total;
} sample;

static void draw(sample *s, int weighted)
{
  mrl_rng rng = mrl_rng_stream(3, MRL_RNG_TEST, 0);
  s->total = 0;
  for (size_t i = 0; i < N; i++) {
    const double weight = weighted ? 0.5 + mrl_rng_uniform(&rng) : 1;
    double z = mrl_rng_normal(&rng);
    s->root[i] = sqrt(weight);
    s->total += weight;
    for (size_t j = 0; j < MOST; j++) {
      s->x[j][i] = j == 0 ? 1 : z + mrl_rng_normal(&rng);
    }
  }
  for (size_t j = 0; j < MOST; j++) {
    s->col[j] = s->x[j];
    s->shift[j] = 0;
    s->scale[j] = 1;
  }
}

static mrl_columns columns_of(const sample *s, size_t p)
{
  const mrl_columns columns = {s->col, s->shift, s->scale, s->root, N, p};
  return columns;
}

/* Mean of a product of two columns. */
static double moment(const sample *s, size_t a, size_t b)
{
  double sum = 0;
  for (size_t i = 0; i < N; i++) {
    sum += s->root[i] * s->root[i] * s->x[a][i] * s->x[b][i];
  }
  return sum / s->total;
}

/* x := inverse(a) x by elimination; a (n, n) is lost. */
static void solve(double *x, double a[][MOST], size_t n)
{
  for (size_t c = 0; c < n; c++) {
    for (size_t r = c + 1; r < n; r++) {
      const double f = a[r][c] / a[c][c];
      for (size_t k = c; k < n; k++) {
        a[r][k] -= f * a[c][k];
      }
      x[r] -= f * x[c];
    }
  }
  for (size_t c = n; c-- > 0;) {
    for (size_t k = c + 1; k < n; k++) {
      x[c] -= a[c][k] * x[k];
    }
    x[c] /= a[c][c];
  }
}

/* |M - G'rho|^2 in the metric of inverse(E phi phi') plus ridge rho'E[b b']rho; b the first k
 * columns, phi the j after them. */
static double objective(const sample *s, const double *rho, const double *m, size_t k, size_t j,
                        double ridge)
{
  double gap[MOST], solved[MOST], phi[MOST][MOST], value = 0;
  for (size_t c = 0; c < j; c++) {
    gap[c] = m[c];
    for (size_t r = 0; r < k; r++) {
      gap[c] -= moment(s, r, k + c) * rho[r];
    }
    solved[c] = gap[c];
    for (size_t d = 0; d < j; d++) {
      phi[c][d] = moment(s, k + c, k + d);
    }
  }
  solve(solved, phi, j);
  for (size_t c = 0; c < j; c++) {
    value += gap[c] * solved[c];
  }
  for (size_t r = 0; r < k; r++) {
    for (size_t c = 0; c < k; c++) {
      value += ridge * rho[r] * rho[c] * moment(s, r, c);
    }
  }
  return value;
}

static mrl_status run(mrl_riesz *out, double *rho, const sample *s, size_t k, size_t j,
                      const double *m, double ridge, const mrl_ctx *ctx)
{
  const mrl_columns columns = columns_of(s, k + j);
  void *scratch = malloc(mrl_riesz_scratch(k, j, ctx));
  const mrl_status status =
      mrl_riesz_run(out, rho, &columns, k, m, s->total, ridge, scratch, mrl_isa_best(), ctx);
  free(scratch);
  return status;
}

/* With more functions of the instruments than of the exposure and with fewer. */
static void check_minimum(const sample *s, const mrl_ctx *ctx)
{
  static const double m[MOST] = {0.3, 1, -0.5, 0.2, 0.1};
  const double ridge = 0.05;
  for (size_t k = J; k <= K + 1; k += 2) {
    const size_t j = MOST - 1 - k;
    double rho[MOST];
    mrl_riesz out;
    CHECK(run(&out, rho, s, k, j, m, ridge, ctx) == MRL_OK);
    const double least = objective(s, rho, m, k, j, ridge);
    for (size_t r = 0; r < k; r++) {
      for (int side = -1; side <= 1; side += 2) {
        double moved[MOST];
        for (size_t i = 0; i < k; i++) {
          moved[i] = rho[i] + (i == r ? side * 1e-3 : 0);
        }
        /* The objective is quadratic with curvature of order one: 1e-6 beside rounding of 1e-13. */
        CHECK(objective(s, moved, m, k, j, ridge) > least + 1e-9);
      }
    }
    const double none[MOST] = {0};
    const double gap = objective(s, rho, m, k, j, 0) / objective(s, none, m, k, j, 0);
    CHECK_NEAR(out.imbalance, sqrt(gap), 1e-9);
    CHECK(k >= j ? out.relevance > 0 && out.relevance < 1 : out.relevance == 0);
  }
}

/* Where the instruments are the exposure, rho = inverse(E phi phi') M / (1 + ridge). */
static void check_exogenous(sample *s, const mrl_ctx *ctx)
{
  double m[J] = {1, -2, 0.5}, rho[J], phi[MOST][MOST], want[J];
  mrl_riesz out;
  for (size_t c = 0; c < J; c++) {
    s->col[J + c] = s->col[c];
    want[c] = m[c];
    for (size_t d = 0; d < J; d++) {
      phi[c][d] = moment(s, c, d);
    }
  }
  solve(want, phi, J);
  CHECK(run(&out, rho, s, J, J, m, 0.25, ctx) == MRL_OK);
  for (size_t c = 0; c < J; c++) {
    CHECK_NEAR(rho[c], want[c] / 1.25, 1e-10);
  }
  CHECK_NEAR(out.imbalance, 0.2, 1e-10);
  CHECK_NEAR(out.relevance, 1, 1e-10);
  s->col[J + 1] = s->col[J]; /* twice the same function of the exposure */
  CHECK(run(&out, rho, s, J, J, m, 0.25, ctx) == MRL_SINGULAR);
}

static void check_bad(const sample *s, const mrl_ctx *ctx)
{
  const double m[J] = {1, 0, 0};
  double rho[MOST];
  mrl_riesz out;
  CHECK(run(&out, rho, s, K, J, m, 0, ctx) == MRL_BAD_ARGUMENT);
  CHECK(run(&out, rho, s, 0, J, m, 1, ctx) == MRL_BAD_ARGUMENT);
}

int main(void)
{
  const mrl_ctx ctx = {1, NULL, NULL};
  static sample s;
  for (int weighted = 0; weighted < 2; weighted++) {
    draw(&s, weighted);
    check_minimum(&s, &ctx);
    check_bad(&s, &ctx);
    check_exogenous(&s, &ctx);
  }
  return CTEST_DONE();
}
