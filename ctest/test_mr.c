/* Estimators from summary data, without R: probabilities, closed forms by hand, the estimating
 * equations at what was returned, threads, grouping. */
#include "ctest.h"
#include "mr.h"
#include "mr_group.h"
#include "mr_mm.h"

#include <stdlib.h>
#include <string.h>

enum { N = 40 };

typedef struct {
  double bx[N], sx[N], by[N], sy[N];
} effects;

/* Smooth, scattered effects without a generator; every fourth outcome effect is shifted. */
static void fill(effects *e, size_t n, double shift)
{
  for (size_t i = 0; i < n; i++) {
    const double u = fmod(0.618034 * (double)(i + 1), 1), v = fmod(0.754878 * (double)(i + 1), 1);
    e->bx[i] = (i % 3 == 0 ? -1 : 1) * (0.02 + 0.06 * u);
    e->sx[i] = 0.004 + 0.002 * v;
    e->sy[i] = 0.01 + 0.02 * v;
    e->by[i] = 0.4 * e->bx[i] + e->sy[i] * 2 * (fmod(0.569840 * (double)(i + 1), 1) - 0.5) +
               (i % 4 == 0 ? shift : 0);
  }
}

static mrl_mr_data view(const effects *e, size_t n)
{
  const mrl_mr_data data = {e->bx, e->sx, e->by, e->sy, n};
  return data;
}

static const double sizes[] = {1e5, 1e5, 1e5, 1e5, 1e5, 1e5, 1e5, 1e5};

static mrl_mr_settings defaults(void)
{
  const mrl_mr_settings out = {.chisq = 3.84,
                               .lambda = -1,
                               .prior = 0.5,
                               .cml = {.sample_size = sizes, .n_pert = 20, .max_iter = 100},
                               .seed = 7,
                               .n_boot = 50,
                               .phi = 1,
                               .penalty = 20,
                               .over_dispersion = 1,
                               .loss = MRL_LOSS_HUBER};
  return out;
}

static mrl_mr_estimate one(mrl_mr_method method, const mrl_mr_data *data,
                           const mrl_mr_settings *settings)
{
  /* Exactly as much as is asked for, so that the sanitizer sees a step too far. */
  double *work = malloc((mrl_mr_work(method, data->n, settings) + 1) * sizeof *work);
  const mrl_mr_estimate out = mrl_mr_one(method, data, 0, settings, work + 1);
  free(work);
  return out;
}

static void close_to(double ours, double theirs, double relative)
{
  CHECK_NEAR(ours, theirs, relative * fabs(theirs));
}

/* Values of R 4.2.2's pnorm, pt, pchisq, qnorm and binom.test, with 17 digits. The bound is that of
 * prob.h with room for R's own rounding. */
static void test_probabilities(void)
{
  const double tol = 2e-13;
  close_to(mrl_normal_p(1.96), 0.049995790296440856, tol);
  close_to(mrl_normal_p(-30), 9.8134278542963744e-198, tol);
  close_to(mrl_student_p(2, 5), 0.10193947882985828, tol);
  close_to(mrl_student_p(-1e-8, 3), 0.99999999264894801, tol);
  close_to(mrl_student_p(40, 26), 6.9761139042471613e-25, tol);
  close_to(mrl_student_p(3, 1), 0.20483276469913345, tol);
  close_to(mrl_chisq_p(99.530425548498698, 27), 3.0736953905861936e-10, tol);
  close_to(mrl_chisq_p(0.001, 1), 0.97477287936996038, tol);
  close_to(mrl_chisq_p(1000500, 1000000), 0.36168223171030439, 1e-10);
  close_to(mrl_normal_quantile(0.975), 1.9599639845400536, tol);
  close_to(mrl_normal_quantile(1e-200), -30.205594179579634, tol);
  close_to(mrl_sign_p(16, 27), 0.44206833839416532, tol);
  CHECK(mrl_sign_p(5, 10) == 1 && mrl_normal_quantile(0.5) == 0);
  CHECK(isnan(mrl_student_p(1, 0)) && isnan(mrl_chisq_p(NAN, 1)) && isnan(mrl_normal_quantile(2)));
  CHECK(mrl_chisq_p(-1, 2) == 1 && mrl_chisq_p(INFINITY, 2) == 0);
  CHECK(mrl_student_p(INFINITY, 2) == 0);
}

/* Three variants on a line through the origin and one off it, weights 1: worked out by hand. */
static void test_by_hand(void)
{
  const double bx[] = {1, 2, -3}, by[] = {1, 2, -6}, s[] = {1, 1, 1};
  const mrl_mr_data data = {bx, s, by, s, 3};
  const mrl_mr_settings settings = defaults();
  const mrl_mr_estimate fixed = one(MRL_MR_IVW_FIXED, &data, &settings);
  close_to(fixed.estimate, 23.0 / 14, 1e-15);
  close_to(fixed.std_error, 1 / sqrt(14), 1e-15);
  close_to(fixed.q, 41 - 23.0 * 23 / 14, 1e-13);
  CHECK(fixed.q_df == 2);
  const mrl_mr_estimate raw = one(MRL_MR_IVW_RAW, &data, &settings);
  close_to(raw.std_error, sqrt((41 - 23.0 * 23 / 14) / 2 / 14), 1e-13);
  const mrl_mr_estimate egger = one(MRL_MR_EGGER, &data, &settings); /* (1,1), (2,2), (3,6) */
  close_to(egger.estimate, 2.5, 1e-14);
  close_to(egger.intercept, -2, 1e-14);
  close_to(egger.std_error, sqrt(1.5 / 2), 1e-14);
  const mrl_mr_data single = {bx + 1, s, by + 1, s, 1};
  const mrl_mr_estimate wald = one(MRL_MR_WALD, &single, &settings);
  CHECK(wald.estimate == 1 && wald.std_error == 0.5);
}

static void test_failures(void)
{
  effects e;
  fill(&e, N, 0);
  const mrl_mr_settings settings = defaults();
  for (int m = 0; m < MRL_MR_N_METHOD; m++) {
    const size_t least = mrl_mr_min_n((mrl_mr_method)m);
    const mrl_mr_data few = view(&e, least - 1), enough = view(&e, least);
    const mrl_mr_estimate none = one((mrl_mr_method)m, &few, &settings);
    CHECK(none.why == MRL_MR_TOO_FEW && isnan(none.estimate));
    CHECK(one((mrl_mr_method)m, &enough, &settings).why == MRL_MR_FINE);
  }
  for (size_t i = 0; i < N; i++) {
    e.bx[i] = i % 2 == 0 ? 0.1 : -0.1;
  }
  const mrl_mr_data flat = view(&e, N);
  CHECK(one(MRL_MR_EGGER, &flat, &settings).why == MRL_MR_DEGENERATE);
  CHECK(one(MRL_MR_EGGER_ROBUST, &flat, &settings).why == MRL_MR_DEGENERATE);
  CHECK(one(MRL_MR_WALD, &flat, &settings).why == MRL_MR_TOO_MANY);
  memset(e.bx, 0, sizeof e.bx);
  CHECK(one(MRL_MR_IVW, &flat, &settings).why == MRL_MR_DEGENERATE);
  CHECK(one(MRL_MR_SIGN, &flat, &settings).why == MRL_MR_TOO_FEW);
  fill(&e, N, 0);
  for (size_t i = 0; i < N; i++) {
    e.by[i] = 0.5 * e.bx[i];
  }
  CHECK(one(MRL_MR_EGGER_ROBUST, &flat, &settings).why == MRL_MR_DEGENERATE); /* exact fit */
}

/* The estimating equations of RAPS at the result: scores summed in the units of their spread. */
static void test_raps_equations(void)
{
  effects e;
  fill(&e, N, 0.3);
  const mrl_mr_data d = view(&e, N);
  mrl_mr_settings settings = defaults();
  const mrl_mr_estimate at = one(MRL_MR_RAPS, &d, &settings);
  const double k = 1.345, b = at.estimate, delta = 1 - mrl_normal_p(k);
  double score = 0, size = 0, tau = 0, tau_size = 0;
  for (size_t i = 0; i < N; i++) {
    const double s2x = e.sx[i] * e.sx[i];
    const double v = e.sy[i] * e.sy[i] + at.tau2 + b * b * s2x, r = e.by[i] - b * e.bx[i];
    const double t = r / sqrt(v), psi = fmax(-k, fmin(k, t));
    const double slope = (e.bx[i] + r * b * s2x / v) / sqrt(v);
    score += psi * slope;
    size += fabs(psi * slope);
    tau += s2x * (t * psi - delta) / v;
    tau_size += s2x * fabs(t * psi - delta) / v;
  }
  CHECK(at.tau2 > 0);
  CHECK_NEAR(score, 0, 1e-10 * size);
  CHECK_NEAR(tau, 0, 1e-10 * tau_size);
}

/* Maximum likelihood is no lower than at any b of a fine grid, and its score is 0. */
static void test_maxlik(void)
{
  effects e;
  fill(&e, N, 0.02);
  const mrl_mr_data d = view(&e, N);
  mrl_mr_settings settings = defaults();
  settings.psi = 0.3;
  const mrl_mr_estimate at = one(MRL_MR_MAXLIK, &d, &settings);
  for (int k = -300; k <= 300; k++) {
    const double b = 0.01 * k;
    double q = 0;
    for (size_t i = 0; i < N; i++) {
      const double r = e.by[i] - b * e.bx[i];
      q += r * r / (e.sy[i] * e.sy[i] + b * b * e.sx[i] * e.sx[i] - 0.6 * b * e.sx[i] * e.sy[i]);
    }
    CHECK(q >= at.q - 1e-9);
  }
}

/* Sum of rho over n - p at given coefficients and scale. */
static double mean_rho(const effects *e, double intercept, double slope, double scale)
{
  double sum = 0;
  for (size_t i = 0; i < N; i++) {
    const double by = e->bx[i] < 0 ? -e->by[i] : e->by[i];
    const double u = (by - intercept - slope * fabs(e->bx[i])) / e->sy[i] / scale / 1.54764;
    const double d = fmax(0, 1 - u * u);
    sum += 1 - d * d * d;
  }
  return sum / (N - 2);
}

/* No line of a lattice about the data has a smaller scale than the one found: the minimum of the
 * S step is global. Two clouds on lines of slopes 0.4 and -0.3 make several minima. */
static void test_mm_global(void)
{
  effects e;
  fill(&e, N, 0);
  for (size_t i = 0; i < N; i += 2) {
    e.by[i] -= 0.7 * e.bx[i];
  }
  const mrl_mr_data d = view(&e, N);
  const mrl_mr_settings settings = defaults();
  const mrl_mr_estimate at = one(MRL_MR_EGGER_ROBUST, &d, &settings);
  CHECK(at.why == MRL_MR_FINE);
  for (int i = -60; i <= 60; i++) {
    for (int j = -60; j <= 60; j++) {
      CHECK(mean_rho(&e, 0.001 * i, 0.025 * j, at.sigma * (1 - 1e-9)) >= 0.5);
    }
  }
}

static double largest_gap(const mrl_mr_estimate *x, const mrl_mr_estimate *y, size_t n)
{
  double worst = 0;
  for (size_t i = 0; i < n; i++) {
    if (x[i].why != y[i].why || isnan(x[i].estimate) != isnan(y[i].estimate)) {
      return INFINITY;
    }
    if (!isnan(x[i].estimate)) {
      worst = fmax(worst, fabs(x[i].estimate - y[i].estimate));
    }
  }
  return worst;
}

/* All methods on groups of 40, 1, 0, 7 and 12 variants: the same on one and three threads, and the
 * same as one by one; also where a bootstrap is long enough that its draws are shared out. */
static void test_run(void)
{
  enum { N_GROUPS = 5 };
  const size_t start[] = {0, 40, 41, 41, 48, 60};
  effects e[2];
  fill(&e[0], N, 0.05);
  double all[4][60];
  for (size_t i = 0; i < 60; i++) {
    all[0][i] = e[0].bx[i % N];
    all[1][i] = e[0].sx[i % N];
    all[2][i] = e[0].by[i % N] * (i < N ? 1 : 1.5);
    all[3][i] = e[0].sy[i % N];
  }
  const mrl_mr_data data = {all[0], all[1], all[2], all[3], 60};
  mrl_mr_method methods[MRL_MR_N_METHOD];
  for (int m = 0; m < MRL_MR_N_METHOD; m++) {
    methods[m] = (mrl_mr_method)m;
  }
  static mrl_mr_estimate out[2][N_GROUPS * MRL_MR_N_METHOD];
  mrl_mr_settings settings = defaults();
  for (int round = 0; round < 2; round++) {
    settings.n_boot = round == 0 ? 50 : 40000;
    settings.cml.n_pert = round == 0 ? 20 : 2000;
    settings.cml.n_starts_pert = 1;
    for (int k = 0; k < 2; k++) {
      const mrl_ctx ctx = {k == 0 ? 1 : 3, NULL, NULL};
      const size_t size =
          mrl_mr_run_scratch(start, N_GROUPS, methods, MRL_MR_N_METHOD, &settings, &ctx);
      void *scratch = malloc(size);
      CHECK(mrl_mr_run(out[k], &data, start, N_GROUPS, methods, MRL_MR_N_METHOD, &settings, scratch,
                       size, &ctx) == MRL_OK);
      CHECK(mrl_mr_run(out[k], &data, start, N_GROUPS, methods, MRL_MR_N_METHOD, &settings, scratch,
                       size / 2, &ctx) == MRL_NO_MEMORY);
      free(scratch);
    }
    CHECK(largest_gap(out[0], out[1], N_GROUPS * MRL_MR_N_METHOD) == 0);
  }
  const mrl_mr_data last = {all[0] + 48, all[1] + 48, all[2] + 48, all[3] + 48, 12};
  const mrl_mr_estimate alone = one(MRL_MR_RAPS, &last, &settings);
  CHECK(out[0][4 + N_GROUPS * MRL_MR_RAPS].estimate == alone.estimate);
  CHECK(out[0][2 + N_GROUPS * MRL_MR_IVW].why == MRL_MR_TOO_FEW);
}

static void test_groups(void)
{
  const mrl_ctx ctx = {1, NULL, NULL};
  const char *const names = "abcdef";
  const mrl_name exposure[] = {names, names, names + 1, names, names + 1, names + 1};
  const mrl_name outcome[] = {names, names, names, names, names, names + 1};
  const mrl_name variant[] = {names, names + 1, names, names, names + 2, names};
  const mrl_mr_pairs pairs = {exposure, outcome, 6};
  const size_t runs = mrl_mr_count_runs(&pairs), size = mrl_mr_group_scratch(runs);
  CHECK(runs == 5);
  int group[6], first[5], row[6], example = -1;
  size_t n_groups, start[4], count[MRL_MR_N_FATE], next[3];
  void *scratch = malloc(size);
  CHECK(mrl_mr_group(group, first, &n_groups, &pairs, runs, scratch, size, &ctx) == MRL_OK);
  CHECK(mrl_mr_group(group, first, &n_groups, &pairs, runs, scratch, 0, &ctx) == MRL_NO_MEMORY);
  free(scratch);
  const int groups[] = {0, 0, 1, 0, 1, 2};
  CHECK(n_groups == 3 && memcmp(group, groups, sizeof groups) == 0);
  CHECK(first[0] == 0 && first[1] == 2 && first[2] == 5);

  const double bx[] = {1, 2, 3, 4, INFINITY, 6}, s[] = {1, 1, 1, 1, 1, 0};
  const int keep[] = {1, 1, 1, 1, 1, 1}, drop[] = {1, 0, 1, -5, 1, 1};
  mrl_mr_rows rows = {{bx, s, bx, s, 6}, keep, group, 3};
  double out[4][6];
  CHECK(!mrl_mr_usable(start, count, &rows));
  CHECK(count[MRL_MR_USABLE] == 4 && count[MRL_MR_DROP_NOT_FINITE] == 1 &&
        count[MRL_MR_DROP_SE] == 1);
  mrl_mr_gather(row, out[0], out[1], out[2], out[3], next, start, &rows);
  const int expected[] = {0, 1, 3, 2};
  CHECK(memcmp(row, expected, sizeof expected) == 0 && out[0][3] == 3);
  void *table = malloc(mrl_mr_duplicates_scratch(start, 3));
  CHECK(mrl_mr_duplicates(&example, variant, row, start, 3, table, &ctx) == 1 && example == 3);
  free(table);
  rows.keep = drop;
  CHECK(!mrl_mr_usable(start, count, &rows));
  CHECK(count[MRL_MR_DROP_KEEP_FALSE] == 1 && count[MRL_MR_DROP_KEEP_NA] == 1);
  const mrl_mr_rows sorted = {{bx, s, bx, s, 2}, keep, groups, 1};
  CHECK(mrl_mr_usable(start, count, &sorted) && start[1] == 2);
}

int main(void)
{
  test_probabilities();
  test_by_hand();
  test_failures();
  test_raps_equations();
  test_maxlik();
  test_mm_global();
  test_run();
  test_groups();
  return CTEST_DONE();
}
