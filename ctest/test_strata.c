/* Strata: who goes where by a slow rule, associations by hand, threads, odd shapes. Fixed seeds. */
#include "ctest.h"

#include <stdlib.h>
#include <string.h>

#include "rng.h"
#include "strata.h"

enum { N = 997, K = 10, MOST_REPEATS = 3 };

typedef struct {
  double z[N], x[N], y[N], w[N], weights[N], effect[MRL_STRATUM_N_COLUMN * K * MOST_REPEATS];
  int cluster[N], stratum[N];
  const double *col[1];
} problem;

/* An exposure moved by z and a confounder; round: to whole numbers. */
static void fill(problem *p, int rounded)
{
  mrl_rng rng = mrl_rng_stream(5, MRL_RNG_TEST, 0);
  for (int i = 0; i < N; i++) {
    const double u = mrl_rng_normal(&rng);
    p->z[i] = mrl_rng_normal(&rng);
    p->w[i] = mrl_rng_normal(&rng);
    p->x[i] = .5 * p->z[i] + u + mrl_rng_normal(&rng);
    p->x[i] = rounded ? nearbyint(p->x[i]) : p->x[i];
    p->y[i] = .3 * p->x[i] + p->w[i] + u + mrl_rng_normal(&rng);
    p->weights[i] = .5 + mrl_rng_uniform(&rng);
    p->cluster[i] = 1 + i / 4;
  }
  p->col[0] = p->w;
}

static mrl_strata_data data_of(const problem *p, size_t n)
{
  const mrl_strata_data data = {.z = p->z, .rank_by = p->x, .x = p->x, .y = p->y, .n = n};
  return data;
}

static mrl_strata_settings usual(void)
{
  const mrl_strata_settings s = {.n_strata = K, .pre_size = K, .n_repeat = 1, .seed = 3};
  return s;
}

static mrl_strata run(problem *p, const mrl_strata_data *data, const mrl_strata_settings *s,
                      int n_threads, mrl_status expected)
{
  const mrl_ctx ctx = {n_threads, NULL, NULL};
  mrl_strata out = {p->stratum, p->effect, 0, 0};
  const size_t size = mrl_strata_scratch(data, s, &ctx);
  void *scratch = malloc(size);
  CHECK(mrl_strata_run(&out, data, s, scratch, size, &ctx) == expected);
  CHECK(mrl_strata_run(&out, data, s, scratch, size / 2, &ctx) == MRL_NO_MEMORY);
  mrl_strata_run(&out, data, s, scratch, size, &ctx);
  free(scratch);
  return out;
}

/* The place of i among `n` by value, equal ones by `before`. */
static size_t place(const double *value, const size_t *before, size_t i, size_t n)
{
  size_t smaller = 0;
  for (size_t j = 0; j < n; j++) {
    smaller += value[j] < value[i] || (value[j] == value[i] && before[j] < before[i]);
  }
  return smaller;
}

/* The strata that a pre-stratum of `size` fills, in order of rank. */
static void slow_order(int *stratum, size_t size, const mrl_strata_settings *s)
{
  size_t count[64] = {0}, r = 0;
  for (size_t i = 0; i < size; i++) {
    count[s->rule == MRL_STRATA_FILL ? i / (s->pre_size / s->n_strata) : i % s->n_strata]++;
  }
  for (size_t k = 0; k < s->n_strata; k++) {
    for (size_t i = 0; i < count[k]; i++) {
      stratum[r++] = (int)k + 1;
    }
  }
}

static void check_assignment(const problem *p, const mrl_strata_data *data,
                             const mrl_strata_settings *s)
{
  static size_t row[N], by_z[N];
  for (size_t i = 0; i < data->n; i++) {
    row[i] = i;
  }
  for (size_t i = 0; i < data->n; i++) {
    by_z[i] = place(data->z, row, i, data->n);
  }
  for (size_t i = 0; i < data->n; i++) {
    const size_t block = by_z[i] / s->pre_size;
    size_t size = 0, rank = 0;
    for (size_t j = 0; j < data->n; j++) {
      if (by_z[j] / s->pre_size == block) {
        size++;
        rank += data->rank_by[j] < data->rank_by[i] ||
                (data->rank_by[j] == data->rank_by[i] && by_z[j] < by_z[i]);
      }
    }
    int order[N];
    slow_order(order, size, s);
    CHECK(p->stratum[i] == order[rank]);
  }
}

static void test_assignment(void)
{
  static problem p;
  for (int rounded = 0; rounded < 2; rounded++) {
    fill(&p, rounded);
    const mrl_strata_data data = data_of(&p, N);
    mrl_strata_settings s = usual();
    const size_t sizes[] = {K, 13, 40, N, 100000};
    for (int k = 0; k < 5; k++) {
      s.pre_size = sizes[k];
      s.rule = MRL_STRATA_SPREAD;
      const mrl_strata out = run(&p, &data, &s, 2, MRL_OK);
      CHECK(out.tied_z == 0 && (out.tied_ranks > 0) == rounded);
      check_assignment(&p, &data, &s);
      if (s.pre_size % K == 0 && s.pre_size < N) {
        s.rule = MRL_STRATA_FILL;
        run(&p, &data, &s, 1, MRL_OK);
        check_assignment(&p, &data, &s);
      }
    }
  }
}

/* Ratios of centred sums, without covariates; with weights too. 100 people: rounding of 1e-12. */
static void test_associations(void)
{
  static problem p;
  fill(&p, 0);
  mrl_strata_data data = data_of(&p, N);
  for (int weighted = 0; weighted < 2; weighted++) {
    data.weights = weighted ? p.weights : NULL;
    const mrl_strata_settings s = usual();
    run(&p, &data, &s, 1, MRL_OK);
    for (int k = 0; k < K; k++) {
      const double *e = p.effect + k * MRL_STRATUM_N_COLUMN;
      double total = 0, mz = 0, mx = 0, my = 0, zz = 0, zx = 0, zy = 0, n = 0;
      for (int i = 0; i < N; i++) {
        const double v = p.stratum[i] != k + 1 ? 0 : weighted ? p.weights[i] : 1;
        n += v > 0;
        total += v;
        mz += v * p.z[i];
        mx += v * p.x[i];
        my += v * p.y[i];
      }
      for (int i = 0; i < N; i++) {
        const double v = p.stratum[i] != k + 1 ? 0 : weighted ? p.weights[i] : 1;
        const double z = p.z[i] - mz / total;
        zz += v * z * z;
        zx += v * z * (p.x[i] - mx / total);
        zy += v * z * (p.y[i] - my / total);
      }
      CHECK(e[MRL_STRATUM_N] == n && e[MRL_STRATUM_DF] == n - 2);
      CHECK_NEAR(e[MRL_STRATUM_MEAN], mx / total, 1e-13);
      CHECK_NEAR(e[MRL_STRATUM_BX], zx / zz, 1e-12);
      CHECK_NEAR(e[MRL_STRATUM_BY], zy / zz, 1e-12);
      double rxx = 0, rxy = 0, ryy = 0;
      for (int i = 0; i < N; i++) {
        const double v = p.stratum[i] != k + 1 ? 0 : weighted ? p.weights[i] : 1;
        const double z = p.z[i] - mz / total;
        const double rx = p.x[i] - mx / total - zx / zz * z;
        const double ry = p.y[i] - my / total - zy / zz * z;
        rxx += v * rx * rx;
        rxy += v * rx * ry;
        ryy += v * ry * ry;
      }
      CHECK_NEAR(e[MRL_STRATUM_VXX], rxx / (n - 2) / zz, 1e-12);
      CHECK_NEAR(e[MRL_STRATUM_VXY], rxy / (n - 2) / zz, 1e-12);
      CHECK_NEAR(e[MRL_STRATUM_VYY], ryy / (n - 2) / zz, 1e-12);
    }
  }
}

/* Every kind of regression on every number of threads, bit for bit. */
static void test_threads(void)
{
  static problem one, other;
  fill(&one, 1);
  for (int i = 0; i < N; i++) {
    one.y[i] = one.y[i] > 0;
  }
  other = one;
  other.col[0] = other.w;
  mrl_strata_settings s = usual();
  s.n_repeat = MOST_REPEATS;
  s.leave_out = 10;
  s.random_ties = 1;
  for (int kind = 0; kind < 6; kind++) {
    s.vcov = (mrl_strata_vcov)(kind % 3);
    s.logistic = kind > 2;
    mrl_strata_data a = data_of(&one, N), b = data_of(&other, N);
    a.w = one.col;
    b.w = other.col;
    a.n_w = b.n_w = 1;
    a.cluster = b.cluster = one.cluster;
    a.n_cluster = b.n_cluster = N / 4 + 1;
    run(&one, &a, &s, 1, MRL_OK);
    run(&other, &b, &s, 3, MRL_OK);
    CHECK(memcmp(one.effect, other.effect, sizeof one.effect) == 0);
    CHECK(memcmp(one.stratum, other.stratum, sizeof one.stratum) == 0);
    int left_out = 0;
    for (int i = 0; i < N; i++) {
      left_out += one.stratum[i] == 0;
    }
    CHECK(left_out == 10);
    const size_t repeat = MRL_STRATUM_N_COLUMN * K;
    CHECK(one.effect[MRL_STRATUM_BX] != one.effect[repeat + MRL_STRATUM_BX]);
    for (int k = 0; k < K * MOST_REPEATS; k++) {
      CHECK(isfinite(one.effect[k * MRL_STRATUM_N_COLUMN + MRL_STRATUM_VYY]));
    }
  }
  s.seed++;
  s.vcov = MRL_STRATA_IID;
  s.logistic = 0;
  const mrl_strata_data a = data_of(&other, N);
  run(&other, &a, &s, 1, MRL_OK);
  CHECK(memcmp(one.stratum, other.stratum, sizeof one.stratum) != 0);
}

/* Collinear covariates, constant instruments, few people, separated and infinite outcomes. */
static void test_odd_shapes(void)
{
  static problem p;
  fill(&p, 0);
  mrl_strata_data data = data_of(&p, 100);
  mrl_strata_settings s = usual();
  const double *twice[] = {p.w, p.w};
  data.w = twice;
  data.n_w = 2;
  s.pre_size = 20;
  for (int logistic = 0; logistic < 2; logistic++) {
    s.n_strata = 2;
    s.logistic = logistic;
    for (int i = 0; i < 100 && logistic; i++) {
      p.y[i] = p.y[i] > 0;
    }
    run(&p, &data, &s, 1, MRL_OK);
    CHECK(p.effect[MRL_STRATUM_DF] == 50 - 3 && isfinite(p.effect[MRL_STRATUM_VYY]));
  }
  for (int i = 0; i < 100; i++) {
    p.y[i] = p.z[i] > 0;
  }
  run(&p, &data, &s, 1, MRL_OK);
  CHECK(p.effect[MRL_STRATUM_SEPARATED] == 1 && isnan(p.effect[MRL_STRATUM_BY]));
  CHECK(isfinite(p.effect[MRL_STRATUM_BX]) && isnan(p.effect[MRL_STRATUM_VYY]));
  s.vcov = MRL_STRATA_HC1;
  run(&p, &data, &s, 1, MRL_OK);
  CHECK(isfinite(p.effect[MRL_STRATUM_VXX]) && isnan(p.effect[MRL_STRATUM_VYY]));
  s = usual();
  data = data_of(&p, 15); /* strata of 2 and 1 */
  run(&p, &data, &s, 3, MRL_OK);
  CHECK(p.effect[MRL_STRATUM_N] == 2 && isnan(p.effect[MRL_STRATUM_BX]));
  CHECK(isfinite(p.effect[MRL_STRATUM_MEAN]) && isnan(p.effect[MRL_STRATUM_GR_LOW]));
  data = data_of(&p, 100);
  data.z = p.w;
  for (int i = 0; i < 100; i++) {
    p.w[i] = 1;
  }
  CHECK(run(&p, &data, &s, 1, MRL_OK).tied_z == 100);
  CHECK(isnan(p.effect[MRL_STRATUM_BX]) && p.effect[MRL_STRATUM_N] == 10);
  fill(&p, 0);
  p.y[0] = 1e300;
  p.y[1] = -1e300;
  data = data_of(&p, 100);
  run(&p, &data, &s, 1, MRL_NOT_FINITE);
}

int main(void)
{
  test_assignment();
  test_associations();
  test_threads();
  test_odd_shapes();
  return CTEST_DONE();
}
