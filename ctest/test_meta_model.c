#include "test_meta_load.h"

/* out (k, k) = P = W - W X (X'WX)^-1 X'W for X (k, 2) by the definition. */
static void dense_p(double *out, const double *w, const double *x, size_t k)
{
  double a = 0, b = 0, d = 0;
  for (size_t i = 0; i < k; i++) {
    a += w[i] * x[i] * x[i];
    b += w[i] * x[i] * x[i + k];
    d += w[i] * x[i + k] * x[i + k];
  }
  const double det = a * d - b * b;
  for (size_t i = 0; i < k; i++) {
    for (size_t j = 0; j < k; j++) {
      const double inner =
          (d * x[i] * x[j] - b * (x[i] * x[j + k] + x[i + k] * x[j]) + a * x[i + k] * x[j + k]) /
          det;
      out[i + j * k] = (i == j ? w[i] : 0) - w[i] * w[j] * inner;
    }
  }
}

static void multiply(double *out, const double *m, const double *v, size_t k)
{
  for (size_t i = 0; i < k; i++) {
    out[i] = 0;
    for (size_t j = 0; j < k; j++) {
      out[i] += m[i + j * k] * v[j];
    }
  }
}

static double dot(const double *a, const double *b, size_t k)
{
  double sum = 0;
  for (size_t i = 0; i < k; i++) {
    sum += a[i] * b[i];
  }
  return sum;
}

/* The moments against P written out; 1e-12 is a hundred times the rounding of 12 x 12 products. */
static void test_moments_by_definition(void)
{
  enum { K = 12 };
  double y[K], se[K], x[2 * K], p[K * K], p1[K], p2[K], p3[K];
  mrl_meta_moments m;
  draw(y, se, x, K, 1);
  loaded l = load(y, se, x, K, 2);
  mrl_meta_model *model = &l.model;
  mrl_meta_weigh(model, 0.7);
  CHECK(mrl_meta_evaluate(&m, model) == MRL_OK);
  dense_p(p, model->w, model->x, K);
  multiply(p1, p, model->y, K);
  multiply(p2, p, p1, K);
  multiply(p3, p, p2, K);
  double trace = 0, pv = 0, pvpv = 0;
  for (size_t i = 0; i < K; i++) {
    trace += p[i + i * K];
    pv += p[i + i * K] * model->v[i];
    for (size_t j = 0; j < K; j++) {
      pvpv += p[i + j * K] * model->v[j] * p[j + i * K] * model->v[i];
    }
  }
  CHECK_NEAR(m.rss, dot(model->y, p1, K), 1e-12 * m.rss);
  CHECK_NEAR(m.ypp, dot(model->y, p2, K), 1e-12 * m.ypp);
  CHECK_NEAR(m.yppp, dot(model->y, p3, K), 1e-12 * m.yppp);
  CHECK_NEAR(m.tr_p, trace, 1e-12 * trace);
  CHECK_NEAR(m.tr_pp, dot(p, p, K * K), 1e-12 * m.tr_pp);
  double tr_pv, tr_pvpv;
  mrl_meta_variance_traces(&tr_pv, &tr_pvpv, model);
  CHECK_NEAR(tr_pv, pv, 1e-12 * pv);
  CHECK_NEAR(tr_pvpv, pvpv, 1e-12 * pvpv);
  free(l.memory);
}

/* The closed forms for a constant against the general code with a column of ones. */
static void test_constant_is_a_column_of_ones(void)
{
  enum { K = 9 };
  double y[K], se[K], x[2 * K];
  mrl_meta_moments a, b;
  draw(y, se, x, K, 2);
  loaded one = load(y, se, NULL, K, 0), two = load(y, se, x, K, 1);
  for (int i = 0; i < 4; i++) {
    const double tau2 = i * i * 0.5;
    mrl_meta_weigh(&one.model, tau2);
    mrl_meta_weigh(&two.model, tau2);
    CHECK(mrl_meta_evaluate(&a, &one.model) == MRL_OK);
    CHECK(mrl_meta_evaluate(&b, &two.model) == MRL_OK);
    CHECK_NEAR(a.rss, b.rss, 1e-12 * a.rss);
    CHECK_NEAR(a.ypp, b.ypp, 1e-12 * a.ypp);
    CHECK_NEAR(a.yppp, b.yppp, 1e-12 * a.yppp);
    CHECK_NEAR(a.tr_p, b.tr_p, 1e-12 * a.tr_p);
    CHECK_NEAR(a.tr_pp, b.tr_pp, 1e-12 * a.tr_pp);
    CHECK_NEAR(a.log_det, b.log_det, 1e-12);
    double pv[2], pvpv[2];
    mrl_meta_variance_traces(&pv[0], &pvpv[0], &one.model);
    mrl_meta_variance_traces(&pv[1], &pvpv[1], &two.model);
    CHECK_NEAR(pv[0], pv[1], 1e-12 * pv[0]);
    CHECK_NEAR(pvpv[0], pvpv[1], 1e-12 * pvpv[0]);
  }
  free(one.memory);
  free(two.memory);
}

/*
 * A study 1e10 times as precise as the others (1e20 in variance), whose weights are u. To 1e-20, P
 * is then [sum(u), -u'; -u, diag(u)]; sum(w) - sum(w^2) / sum(w) in doubles has no digit of its
 * trace.
 */
static void test_dominant_study(void)
{
  const double y[] = {5, 5.5, 4, 7}, se[] = {2, 1e-10, 1, 4};
  mrl_meta_moments m;
  loaded l = load(y, se, NULL, 4, 0);
  const double unit2 = l.model.unit * l.model.unit;
  const double others = 1 / 4.0 + 1 + 1 / 16.0, squares = 1 / 16.0 + 1 + 1 / 256.0;
  mrl_meta_weigh(&l.model, 0);
  CHECK(mrl_meta_evaluate(&m, &l.model) == MRL_OK);
  CHECK_NEAR(m.tr_p / unit2, 2 * others, 1e-14 * others);
  CHECK_NEAR(m.tr_pp / (unit2 * unit2), others * others + 3 * squares, 1e-14 * squares);
  CHECK_NEAR(m.rss, 0.25 / 4 + 2.25 + 2.25 / 16, 1e-14);
  free(l.memory);
}

int main(void)
{
  test_moments_by_definition();
  test_constant_is_a_column_of_ones();
  test_dominant_study();
  return CTEST_DONE();
}
