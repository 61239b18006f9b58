/* Robust estimators from summary data: maxima against every point of a grid, conditions of an
 * optimum at what was returned, MR-PRESSO against loops over the same draws. */
#include "ctest.h"
#include "mr.h"
#include "mr_cml.h"
#include "mr_presso.h"
#include "mr_radial.h"

#include <stdlib.h>
#include <string.h>

enum { N = 12, SEED = 20200131 };

static double bx[N], sx[N], by[N], sy[N];
static int valid[N];
static double direct[N];

/* Effects about slope 0.4 of either sign; every fourth variant has a direct effect. */
static mrl_mr_data make_data(uint64_t item)
{
  mrl_rng rng = mrl_rng_stream(SEED, MRL_RNG_TEST, item);
  for (int i = 0; i < N; i++) {
    bx[i] = (i % 3 ? 1 : -1) * (0.05 + 0.1 * mrl_rng_uniform(&rng));
    sx[i] = 0.004 + 0.004 * mrl_rng_uniform(&rng);
    sy[i] = 0.01 + 0.02 * mrl_rng_uniform(&rng);
    by[i] = 0.4 * bx[i] + sy[i] * mrl_rng_normal(&rng) + (i % 4 ? 0 : 0.1);
  }
  const mrl_mr_data data = {bx, sx, by, sy, N};
  return data;
}

static const double sizes[] = {1e5};

static mrl_mr_settings defaults(void)
{
  const mrl_mr_settings out = {.seed = SEED,
                               .n_boot = 100,
                               .chisq = 3.841458820694124,
                               .lambda = -1,
                               .prior = 0.5,
                               .cml = {.sample_size = sizes, .n_pert = 20, .max_iter = 10000}};
  return out;
}

static mrl_mr_estimate run(mrl_mr_detail *detail, mrl_mr_method method, const mrl_mr_data *data,
                           const mrl_mr_settings *settings)
{
  double *work = malloc((mrl_mr_work(method, data->n, settings) + 1) * sizeof *work);
  const mrl_mr_estimate out = mrl_mr_detailed(detail, method, data, 0, settings, work + 1);
  free(work);
  return out;
}

/* The mixture's log-likelihood as the paper has it. */
static double slow_conmix(double theta, double sd)
{
  double sum = 0;
  for (int i = 0; i < N; i++) {
    const double r = by[i] / bx[i], v = sy[i] * sy[i] / (bx[i] * bx[i]);
    const double in = -0.5 * (theta - r) * (theta - r) / v - 0.5 * log(v);
    const double out = -0.5 * r * r / (sd * sd + v) - 0.5 * log(sd * sd + v);
    sum += fmax(in, out);
  }
  return sum;
}

static void test_conmix(void)
{
  const mrl_mr_settings settings = defaults();
  for (uint64_t k = 0; k < 20; k++) {
    const mrl_mr_data data = make_data(k);
    mrl_mr_detail detail = {valid, NULL, 0, 0, 0, 0};
    const mrl_mr_estimate at = run(&detail, MRL_MR_CONMIX, &data, &settings);
    const double sd = detail.tuning, best = slow_conmix(at.estimate, sd);
    const double least = best - 0.5 * settings.chisq * at.sigma * at.sigma;
    int outside = 0;
    CHECK(at.why == MRL_MR_FINE && at.ci_low < at.estimate && at.estimate < at.ci_high);
    for (int i = -4000; i <= 4000; i++) {
      const double theta = 0.001 * i, here = slow_conmix(theta, sd);
      CHECK(here <= best + 1e-12);
      outside += here > least && (theta < at.ci_low || theta > at.ci_high);
    }
    CHECK(outside == 0);
    if (isfinite(at.ci_low)) {
      CHECK_NEAR(slow_conmix(at.ci_low, sd), least, 1e-8);
      CHECK_NEAR(slow_conmix(at.ci_high, sd), least, 1e-8);
    }
    CHECK_NEAR(at.p_value, mrl_chisq_p(2 * (best - slow_conmix(0, sd)) / at.sigma / at.sigma, 1),
               1e-10);
  }
}

/* The density of the mixture over all subsets of two or more, up to a factor. */
static double slow_hetpen(double theta, double prior)
{
  double density = 0;
  for (int set = 1; set < 1 << N; set++) {
    double w = 0, wr = 0, q = 0, weight = 1;
    int n = 0;
    for (int i = 0; i < N; i++) {
      if (set >> i & 1) {
        const double one = bx[i] * bx[i] / (sy[i] * sy[i]);
        w += one;
        wr += one * by[i] / bx[i];
        weight *= sqrt(one);
        n++;
      }
    }
    if (n < 2) {
      continue;
    }
    for (int i = 0; i < N; i++) {
      if (set >> i & 1) {
        const double r = by[i] / bx[i] - wr / w;
        q += bx[i] * bx[i] / (sy[i] * sy[i]) * r * r;
      }
    }
    const double se = sqrt(fmax(1, q / (n - 1)) / w), z = (theta - wr / w) / se;
    density += weight * exp(-0.5 * q - 0.5 * z * z) / se * pow(prior, n) * pow(1 - prior, N - n);
  }
  return density;
}

static void test_hetpen(void)
{
  mrl_mr_settings settings = defaults();
  for (uint64_t k = 0; k < 4; k++) {
    const mrl_mr_data data = make_data(k);
    settings.prior = k % 2 ? 0.5 : 0.2;
    const mrl_mr_estimate at = run(NULL, MRL_MR_HETPEN, &data, &settings);
    const double best = slow_hetpen(at.estimate, settings.prior);
    const double least = best * exp(-0.5 * settings.chisq);
    for (int i = -20; i <= 40; i++) {
      const double theta = 0.05 * i, here = slow_hetpen(theta, settings.prior);
      CHECK(here <= best * (1 + 1e-12));
      CHECK(here <= least || (theta >= at.ci_low && theta <= at.ci_high));
    }
    CHECK_NEAR(slow_hetpen(at.ci_low, settings.prior) / least, 1, 1e-8);
    CHECK_NEAR(slow_hetpen(at.ci_high, settings.prior) / least, 1, 1e-8);
    CHECK_NEAR(at.p_value, mrl_chisq_p(2 * log(best / slow_hetpen(0, settings.prior)), 1), 1e-10);
  }
}

/* The conditions of an optimum of |M (y - S a)|^2 / 2n + lambda sum sd_j |a_j|, where M takes out
 * the causal effect and sd_j is that of column j of M S, from the matrices themselves. */
static void test_lasso(void)
{
  mrl_mr_settings settings = defaults();
  for (uint64_t k = 0; k < 10; k++) {
    const mrl_mr_data data = make_data(k);
    settings.lambda = k % 2 ? -1 : 0.1 * (double)(1 + k);
    mrl_mr_detail detail = {valid, direct, 0, 0, 0, 0};
    const mrl_mr_estimate at = run(&detail, MRL_MR_LASSO, &data, &settings);
    double x[N], column[N], xx = 0, xe = 0;
    CHECK(at.why == MRL_MR_FINE && detail.tuning > 0);
    for (int i = 0; i < N; i++) {
      x[i] = fabs(bx[i]) / sy[i];
      xx += x[i] * x[i];
      xe += x[i] * (bx[i] < 0 ? -1 : 1) * (by[i] - direct[i]) / sy[i];
      CHECK(valid[i] == (direct[i] == 0));
    }
    for (int j = 0; j < N; j++) {
      const double side = bx[j] < 0 ? -1 : 1;
      const double residual = side * (by[j] - direct[j]) / sy[j] - xe / xx * x[j];
      double mean = 0, square = 0;
      for (int i = 0; i < N; i++) {
        column[i] = ((i == j) - x[i] * x[j] / xx) / sy[j];
        mean += column[i] / N;
        square += column[i] * column[i] / N;
      }
      const double penalty = detail.tuning * sqrt(square - mean * mean);
      const double gradient = residual / sy[j] / N;
      CHECK(fabs(gradient) <= penalty * (1 + 1e-9));
      if (!valid[j]) {
        CHECK_NEAR(gradient, penalty * (side * direct[j] > 0 ? 1 : -1), 1e-9 * penalty);
      }
    }
  }
}

/* With the set of invalid variants held, the climb ends where the profile likelihood of the rest is
 * flat, and no exchange of a valid and an invalid variant raises it at that effect. */
static void test_cml(void)
{
  for (uint64_t k = 0; k < 10; k++) {
    const mrl_mr_data data = make_data(k);
    double mu[N] = {0}, work[4 * N], slope = 0, least = INFINITY, most = 0, loss = 0;
    unsigned char invalid[N];
    const mrl_cml_fit at = mrl_cml_climb(mu, invalid, &data, 4, 0, 100000, work);
    int count = 0;
    for (int i = 0; i < N; i++) {
      const double r = by[i] - at.theta * bx[i];
      const double v = sy[i] * sy[i] + at.theta * at.theta * sx[i] * sx[i];
      count += invalid[i];
      if (invalid[i]) {
        least = fmin(least, r * r / v);
      } else {
        most = fmax(most, r * r / v);
        loss += 0.5 * r * r / v;
        slope += r * (bx[i] + r * at.theta * sx[i] * sx[i] / v) / v;
      }
    }
    CHECK(count == 4 && least > most);
    /* Steps below 1e-7 end it; the effect is known to that over one less the rate. */
    CHECK_NEAR(slope * at.var, 0, 1e-6);
    CHECK_NEAR(at.minus_log_likelihood, loss, 1e-6);
  }
}

static void test_radial(void)
{
  const mrl_mr_data data = make_data(3);
  double root[N], part[N], work[2 * N + 64];
  const mrl_radial_fit fit = mrl_radial_exact(&data, 0, work);
  const mrl_radial_fit random = mrl_radial_exact(&data, 1, work);
  double q[3] = {0, 0, 0}, least = 0;
  for (int i = 0; i < N; i++) {
    for (int k = 0; k < 3; k++) {
      const double b = fit.slope + 1e-4 * (k - 1);
      q[k] += pow(by[i] - b * bx[i], 2) / (sy[i] * sy[i] + b * b * sx[i] * sx[i]);
    }
    const double phi = random.sigma * random.sigma, noise = random.slope * sx[i];
    least += pow(by[i] - random.slope * bx[i], 2) / (phi * sy[i] * sy[i] + noise * noise);
  }
  CHECK(q[1] < q[0] && q[1] < q[2]);
  CHECK_NEAR(q[1], fit.q, 1e-10);
  CHECK(random.sigma > 1);
  CHECK_NEAR(least, N - 1, 1e-6);
  size_t count;
  const mrl_radial_fit end = mrl_radial_iterate(&count, &data, 1e-12);
  double xx = 0, xy = 0;
  for (int i = 0; i < N; i++) {
    const double w = 1 / (sy[i] * sy[i] + pow(end.slope * sx[i], 2));
    xx += w * bx[i] * bx[i];
    xy += w * bx[i] * by[i];
  }
  CHECK_NEAR(end.slope, xy / xx, 1e-11);
  CHECK(count > 2 && count < 50);
  const mrl_radial_fit egger = mrl_radial_fit_run(root, part, &data, MRL_RADIAL_SECOND, 1);
  double sum = 0, weighted = 0;
  for (int i = 0; i < N; i++) {
    const double r = root[i] * (by[i] / bx[i] - egger.slope) - egger.intercept;
    sum += r;
    weighted += r * root[i];
    CHECK_NEAR(part[i], r * r, 1e-12);
  }
  CHECK_NEAR(sum, 0, 1e-10);
  CHECK_NEAR(weighted, 0, 1e-8);
}

static double slow_left_over(const double *x, const double *y, const double *w)
{
  double rss = 0;
  for (int i = 0; i < N; i++) {
    double xx = 0, xy = 0;
    for (int j = 0; j < N; j++) {
      xx += j == i ? 0 : w[j] * x[j] * x[j];
      xy += j == i ? 0 : w[j] * x[j] * y[j];
    }
    rss += w[i] * pow(y[i] - xy / xx * x[i], 2);
  }
  return rss;
}

/* All three tests by loops over the same draws, on one thread and on three. */
static void test_presso(void)
{
  enum { DRAWS = 36000 }; /* so many that threads share them out */
  mrl_mr_data data = make_data(5);
  by[4] += 0.3;
  const mrl_presso_settings settings = {SEED, DRAWS, 0.05, 1, 1};
  double rss[2][N], p[2][N], w[N], x[N], y[N], slope[N], observed;
  int outlier[2][N], count[N] = {0}, total = 0;
  mrl_presso at[2];
  for (int k = 0; k < 2; k++) {
    const mrl_ctx ctx = {k == 0 ? 1 : 3, NULL, NULL};
    const size_t size = mrl_presso_scratch(N, &ctx);
    void *scratch = malloc(size);
    const mrl_presso start = {0, 0, rss[k], p[k], outlier[k], 0, 0, 0, {0, 0, 0}, {0, 0, 0}};
    at[k] = start;
    CHECK(mrl_presso_run(&at[k], &data, 2, &settings, scratch, size, &ctx) == MRL_OK);
    CHECK(mrl_presso_run(&at[k], &data, 2, &settings, scratch, size / 2, &ctx) == MRL_NO_MEMORY);
    free(scratch);
  }
  CHECK(memcmp(p[0], p[1], sizeof p[0]) == 0 && at[0].p_total == at[1].p_total);
  CHECK(at[0].p_distortion == at[1].p_distortion && at[0].n_outliers > 0);
  for (int i = 0; i < N; i++) {
    double xx = 0, xy = 0;
    w[i] = 1 / (sy[i] * sy[i]);
    for (int j = 0; j < N; j++) {
      xx += j == i ? 0 : bx[j] * bx[j] / (sy[j] * sy[j]);
      xy += j == i ? 0 : bx[j] * by[j] / (sy[j] * sy[j]);
    }
    slope[i] = xy / xx;
  }
  observed = slow_left_over(bx, by, w);
  CHECK_NEAR(at[0].rss_total, observed, 1e-9 * observed);
  for (uint64_t b = 0; b < DRAWS; b++) {
    mrl_rng rng = mrl_rng_stream(SEED, MRL_RNG_BOOTSTRAP, (uint64_t)2 << 24 | b);
    double z[2 * N];
    mrl_rng_fill_normal(&rng, z, 2 * N);
    for (int i = 0; i < N; i++) {
      x[i] = fabs(bx[i]) + sx[i] * z[i];
      y[i] = slope[i] * fabs(bx[i]) + sy[i] * z[N + i];
      count[i] += pow(y[i] - slope[i] * x[i], 2) > pow(by[i] - slope[i] * bx[i], 2);
    }
    total += slow_left_over(x, y, w) > observed;
  }
  CHECK_NEAR(at[0].p_total, (double)total / DRAWS, 1e-15);
  size_t n_outliers = 0;
  for (int i = 0; i < N; i++) {
    CHECK_NEAR(p[0][i], fmin(1, (double)count[i] / DRAWS * N), 1e-15);
    n_outliers += p[0][i] <= 0.05;
  }
  CHECK(n_outliers == at[0].n_outliers && outlier[0][4]);
  CHECK_NEAR(at[0].distortion, (at[0].all.slope - at[0].without.slope) / fabs(at[0].without.slope),
             1e-14);
  CHECK(at[0].p_distortion >= 0 && at[0].p_distortion <= 1);
}

/* Variants alike in all, and groups that are too large or have no size. */
static void test_edges(void)
{
  static const mrl_mr_method methods[] = {
      MRL_MR_CONMIX,        MRL_MR_CML_BIC, MRL_MR_CML_MA_BIC, MRL_MR_CML_BIC_DP,
      MRL_MR_CML_MA_BIC_DP, MRL_MR_LASSO,   MRL_MR_HETPEN,     MRL_MR_IVW_RADIAL};
  mrl_mr_settings settings = defaults();
  mrl_mr_data data = make_data(1);
  for (int i = 0; i < N; i++) {
    bx[i] = 0.1;
    sx[i] = 0.01;
    by[i] = 0.05;
    sy[i] = 0.01;
  }
  for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
    const mrl_mr_estimate at = run(NULL, methods[m], &data, &settings);
    CHECK(at.why == MRL_MR_FINE || methods[m] == MRL_MR_IVW_RADIAL);
    /* Perturbed data vary about the common ratio. */
    CHECK_NEAR(at.estimate, 0.5, m == 3 || m == 4 ? 0.1 : 1e-6);
  }
  CHECK(run(NULL, MRL_MR_GRIP, &data, &settings).why == MRL_MR_DEGENERATE);
  bx[3] = 0;
  CHECK(run(NULL, MRL_MR_CONMIX, &data, &settings).why == MRL_MR_DEGENERATE);
  CHECK(run(NULL, MRL_MR_HETPEN, &data, &settings).why == MRL_MR_DEGENERATE);
  CHECK(run(NULL, MRL_MR_LASSO, &data, &settings).why == MRL_MR_FINE);
  settings.cml.sample_size = NULL;
  CHECK(run(NULL, MRL_MR_CML_BIC, &data, &settings).why == MRL_MR_NO_SIZE);
  settings.cml.sample_size = sizes;
  static const int none[] = {11};
  settings.cml.k = none;
  settings.cml.n_k = 1;
  CHECK(run(NULL, MRL_MR_CML_MA_BIC_DP, &data, &settings).why == MRL_MR_TOO_FEW);
  double many[21];
  for (int i = 0; i < 21; i++) {
    many[i] = 1;
  }
  const mrl_mr_data large = {many, many, many, many, 21};
  CHECK(run(NULL, MRL_MR_HETPEN, &large, &settings).why == MRL_MR_TOO_MANY);
  settings.lambda = 0;
  CHECK(run(NULL, MRL_MR_LASSO, &data, &settings).why == MRL_MR_FINE ||
        run(NULL, MRL_MR_LASSO, &data, &settings).why == MRL_MR_TOO_FEW_VALID);
}

int main(void)
{
  test_conmix();
  test_hetpen();
  test_lasso();
  test_cml();
  test_radial();
  test_presso();
  test_edges();
  return CTEST_DONE();
}
