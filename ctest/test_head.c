/* The last layer in closed form: against plain Gaussian elimination, limits of the penalties, the
 * choice by BIC, the ridge. */
#include "ctest.h"
#include "head.h"
#include "rng.h"

#include <stdlib.h>
#include <string.h>

enum { N = 300, P = 9, LD = P + 1 };

static const mrl_ctx ctx = {1, NULL, NULL};

/* Rows with weights: features 1, x, x^2, x^3 and bumps; outcome y. */
typedef struct {
  double h[N][P], y[N], weight[N], gram[LD * LD], rough[2][P * P];
  int ridge[P];
  mrl_head_moments moments;
  mrl_head_penalty penalty;
} problem;

static double bump(double x, int j)
{
  return exp(-2 * (x - j) * (x - j));
}

static void fill_features(double *h, double x)
{
  for (int j = 0; j < P; j++) {
    h[j] = j < 4 ? pow(x, j) : 3 * bump(x, j - 6);
  }
}

/* Derivatives by differences, over a grid. */
static void fill_roughness(problem *p, int order)
{
  const double step = 0.05;
  double *rough = p->rough[order - 2];
  memset(rough, 0, sizeof p->rough[0]);
  for (int g = 0; g < 100; g++) {
    double d[4][P];
    for (int k = 0; k <= order; k++) {
      fill_features(d[k], -2.5 + step * (g + k));
    }
    for (int o = 0; o < order; o++) {
      for (int k = 0; k < order - o; k++) {
        for (int j = 0; j < P; j++) {
          d[k][j] = (d[k + 1][j] - d[k][j]) / step;
        }
      }
    }
    for (int i = 0; i < P; i++) {
      for (int j = 0; j < P; j++) {
        rough[i + j * P] += d[0][i] * d[0][j] / 100;
      }
    }
  }
}

static void take_moments(problem *p)
{
  double total = 0, square = 0;
  memset(p->gram, 0, sizeof p->gram);
  for (int r = 0; r < N; r++) {
    double row[LD];
    memcpy(row, p->h[r], sizeof p->h[r]);
    row[P] = p->y[r];
    for (int i = 0; i < LD; i++) {
      for (int j = 0; j < LD; j++) {
        p->gram[i + j * LD] += p->weight[r] * row[i] * row[j];
      }
    }
    total += p->weight[r];
    square += p->weight[r] * p->weight[r];
  }
  const mrl_head_moments moments = {P, p->gram, total, total * total / square, 0};
  p->moments = moments;
}

static problem *make(double (*truth)(double), double noise)
{
  problem *p = calloc(1, sizeof *p);
  mrl_rng rng = mrl_rng_stream(5, MRL_RNG_TEST, 0);
  if (!p) {
    abort();
  }
  for (int r = 0; r < N; r++) {
    const double x = 5 * mrl_rng_uniform(&rng) - 2.5;
    fill_features(p->h[r], x);
    p->y[r] = truth(x) + noise * mrl_rng_normal(&rng);
    p->weight[r] = 1 + r % 3;
  }
  for (int j = 0; j < P; j++) {
    p->ridge[j] = j >= 4;
  }
  fill_roughness(p, 2);
  fill_roughness(p, 3);
  take_moments(p);
  const mrl_head_penalty penalty = {{p->rough[0], p->rough[1]}, p->ridge};
  p->penalty = penalty;
  return p;
}

/* a x = b by elimination with pivots; a (n, n) and b are overwritten. */
static void eliminate(double *a, double *b, int n)
{
  for (int k = 0; k < n; k++) {
    int pivot = k;
    for (int i = k + 1; i < n; i++) {
      pivot = fabs(a[i + k * n]) > fabs(a[pivot + k * n]) ? i : pivot;
    }
    for (int j = 0; j < n; j++) {
      const double t = a[k + j * n];
      a[k + j * n] = a[pivot + j * n];
      a[pivot + j * n] = t;
    }
    const double t = b[k];
    b[k] = b[pivot];
    b[pivot] = t;
    for (int i = 0; i < n; i++) {
      const double f = i == k ? 0 : a[i + k * n] / a[k + k * n];
      for (int j = 0; j < n && f != 0; j++) {
        a[i + j * n] -= f * a[k + j * n];
      }
      b[i] -= f * b[k];
    }
  }
  for (int k = 0; k < n; k++) {
    b[k] /= a[k + k * n];
  }
}

/* The same by its definition, with the little ridge that features under the ridge always have. */
static void slow_solve(double *theta, const problem *p, const mrl_head_choice *choice)
{
  double a[P * P];
  const double total = p->moments.total;
  for (int j = 0; j < P; j++) {
    for (int i = 0; i < P; i++) {
      a[i + j * P] = p->gram[i + j * LD] / total;
      a[i + j * P] += choice->order ? choice->lambda * p->rough[choice->order - 2][i + j * P] : 0;
    }
    const double square = p->gram[j + j * LD] / total;
    a[j + j * P] += p->ridge[j] ? (choice->rho + 1e-9) * square : 0;
    theta[j] = p->gram[j + P * LD] / total;
  }
  eliminate(a, theta, P);
}

static double cubic(double x)
{
  return 1 - x + 0.5 * x * x - 0.2 * x * x * x;
}
static double line(double x)
{
  return 2 + 0.7 * x;
}
static double wave(double x)
{
  return bump(x, 1) - bump(x, -1);
}

/* Elimination loses eps times the condition of these matrices, below 1e6. */
static void check_oracle(void)
{
  static const mrl_head_choice choices[] = {
      {2, 0.01, 0}, {3, 1, 0}, {2, 1e-5, 0.1}, {0, 0, 1}, {3, 1e-3, 10}};
  problem *p = make(wave, 0.1);
  double theta[P], slow[P], *scratch = malloc(mrl_head_scratch(P) * sizeof *scratch);
  for (size_t c = 0; c < sizeof choices / sizeof choices[0]; c++) {
    mrl_head_fit fit;
    CHECK(mrl_head_solve(theta, &fit, &p->moments, &p->penalty, choices + c, scratch) == MRL_OK);
    slow_solve(slow, p, choices + c);
    for (int j = 0; j < P; j++) {
      CHECK_NEAR(theta[j], slow[j], 1e-8 * (1 + fabs(slow[j])));
    }
    CHECK_NEAR(fit.rss, mrl_head_error(theta, &p->moments), 1e-11);
    CHECK(fit.df > 1 && fit.df < P);
  }
  free(scratch);
  free(p);
}

/* rss and df of an unpenalised fit are those of least squares: residuals are orthogonal to the
 * features, and df counts them. */
static void check_least_squares(void)
{
  problem *p = make(cubic, 0.3);
  const mrl_head_choice plain = {0, 0, INFINITY};
  double theta[P], *scratch = malloc(mrl_head_scratch(P) * sizeof *scratch);
  mrl_head_fit fit;
  CHECK(mrl_head_solve(theta, &fit, &p->moments, &p->penalty, &plain, scratch) == MRL_OK);
  CHECK_NEAR(fit.df, 4, 1e-10);
  for (int j = 0; j < P; j++) {
    double dot = 0;
    for (int r = 0; r < N && j < 4; r++) {
      double residual = p->y[r];
      for (int i = 0; i < P; i++) {
        residual -= theta[i] * p->h[r][i];
      }
      dot += p->weight[r] * residual * p->h[r][j] / N;
    }
    CHECK_NEAR(dot, 0, 1e-10);
    CHECK(j < 4 || theta[j] == 0);
  }
  free(scratch);
  free(p);
}

/* A large lambda leaves the polynomials that order o does not see; the choice by BIC finds lines
 * and waves, and beats the truth by no more than noise. */
static void check_limits(void)
{
  double theta[P], *scratch = malloc(mrl_head_scratch(P) * sizeof *scratch);
  mrl_head_fit fit;
  mrl_head_choice choice;
  for (int order = 2; order <= 3; order++) {
    problem *p = make(wave, 0.1);
    const mrl_head_choice stiff = {order, 1e6, 0};
    double h[P], value[5];
    CHECK(mrl_head_solve(theta, &fit, &p->moments, &p->penalty, &stiff, scratch) == MRL_OK);
    CHECK_NEAR(fit.df, order, 1e-3);
    for (int i = 0; i < 5; i++) {
      fill_features(h, -2 + i);
      value[i] = 0;
      for (int j = 0; j < P; j++) {
        value[i] += theta[j] * h[j];
      }
    }
    const double third = value[3] - 3 * value[2] + 3 * value[1] - value[0];
    const double second = value[2] - 2 * value[1] + value[0];
    CHECK_NEAR(order == 2 ? second : third, 0, 1e-3);
    free(p);
  }
  problem *p = make(line, 0.5);
  CHECK(mrl_head_choose(theta, &choice, &fit, &p->moments, &p->penalty, 0, scratch, &ctx) ==
        MRL_OK);
  CHECK(fit.df < 2.2 && choice.lambda > 1);
  free(p);
  p = make(wave, 0.1);
  CHECK(mrl_head_choose(theta, &choice, &fit, &p->moments, &p->penalty, 1, scratch, &ctx) ==
        MRL_OK);
  CHECK(fit.df > 5 && fit.rss < 0.02);
  mrl_head_fit other;
  const mrl_head_choice stiff = {2, 10, 0};
  CHECK(mrl_head_solve(theta, &other, &p->moments, &p->penalty, &stiff, scratch) == MRL_OK);
  CHECK(other.bic > fit.bic);
  CHECK_NEAR(other.bic, p->moments.n * log(other.rss) + other.df * log(p->moments.n), 1e-9);
  free(scratch);
  free(p);
}

/* Features that repeat each other, and one of zeros: solved, finite, the fit as without them. */
static void check_collinear(void)
{
  problem *p = make(cubic, 0.1);
  const mrl_head_choice plain = {0, 0, INFINITY};
  double theta[P], *scratch = malloc(mrl_head_scratch(P) * sizeof *scratch);
  mrl_head_fit all, fewer;
  CHECK(mrl_head_solve(theta, &all, &p->moments, &p->penalty, &plain, scratch) == MRL_OK);
  for (int r = 0; r < N; r++) {
    p->h[r][4] = p->h[r][1];
    p->h[r][5] = 0;
  }
  p->ridge[4] = p->ridge[5] = 0;
  take_moments(p);
  CHECK(mrl_head_solve(theta, &fewer, &p->moments, &p->penalty, &plain, scratch) == MRL_OK);
  CHECK_NEAR(fewer.rss, all.rss, 1e-7);
  CHECK(theta[5] == 0);
  free(scratch);
  free(p);
}

/* The ridge of y on the features 1 .. P-1, centred; with a mutant that has no intercept. */
static double ridge_at(const problem *p, double *theta, double rho, double shift)
{
  static double moved[LD * LD];
  double *scratch = malloc(mrl_head_ridge_scratch(P) * sizeof *scratch), used = rho;
  mrl_head_moments moments = p->moments;
  memcpy(moved, p->gram, sizeof moved);
  for (int j = 0; j < LD; j++) { /* the outcome plus a constant */
    const double cross = p->gram[j] * shift;
    moved[j + P * LD] += cross;
    moved[P + j * LD] += j < P ? cross : cross + shift * shift * p->moments.total;
  }
  moments.gram = moved;
  CHECK(mrl_head_ridge(theta, &used, &moments, scratch, &ctx) == MRL_OK);
  free(scratch);
  return used;
}

static void check_ridge(void)
{
  problem *p = make(cubic, 0.3);
  double theta[P], moved[P], slow[P], a[P * P];
  ridge_at(p, theta, 0.2, 0);
  ridge_at(p, moved, 0.2, 1000);
  CHECK_NEAR(moved[0], theta[0] + 1000, 1e-7);
  double mutant = 0;
  for (int j = 1; j < P; j++) {
    CHECK_NEAR(moved[j], theta[j], 1e-7);
  }
  const double total = p->moments.total; /* the mutant: the constant is shrunk like the others */
  for (int j = 0; j < P; j++) {
    for (int i = 0; i < P; i++) {
      a[i + j * P] = p->gram[i + j * LD] / total + (i == j ? 0.2 : 0);
    }
    slow[j] = p->gram[j + P * LD] / total + 1000 * p->gram[j] / total;
  }
  eliminate(a, slow, P);
  for (int j = 1; j < P; j++) {
    mutant = fmax(mutant, fabs(slow[j] - theta[j]));
  }
  CHECK(mutant > 1);
  for (int j = 0; j < P; j++) { /* by definition: scaled by sd, the constant free */
    for (int i = 0; i < P; i++) {
      a[i + j * P] = p->gram[i + j * LD] / total;
    }
    const double mean = p->gram[j] / total;
    a[j + j * P] += j > 0 ? 0.2 * (p->gram[j + j * LD] / total - mean * mean) : 0;
    slow[j] = p->gram[j + P * LD] / total;
  }
  eliminate(a, slow, P);
  for (int j = 0; j < P; j++) {
    CHECK_NEAR(theta[j], slow[j], 1e-8);
  }
  const double chosen = ridge_at(p, theta, NAN, 0); /* by eigenvalues; then by Cholesky */
  ridge_at(p, slow, chosen, 0);
  for (int j = 0; j < P; j++) {
    CHECK_NEAR(theta[j], slow[j], 1e-8);
  }
  CHECK(chosen < 0.01); /* a clear signal is hardly shrunk */
  free(p);
  p = make(line, 30);
  CHECK(ridge_at(p, theta, NAN, 0) > 0.3); /* and noise is */
  free(p);
}

int main(void)
{
  check_oracle();
  check_least_squares();
  check_limits();
  check_collinear();
  check_ridge();
  return CTEST_DONE();
}
