/* The contextual simulator: rebuilt from its parts, laws, linkage, threads. Fixed seeds. */
#include "ctest.h"

#include <stdlib.h>
#include <string.h>

#include "sim_contextual.h"

enum { N = 10000, L = 70, SEED = 7 }; /* three chunks, two blocks of columns */

static const double gamma_x[MRL_N_CONTEXT] = {.03, .05, .14, .16, 0, 0, .08, .02, .12, -.06};
static const double zeta_y[MRL_N_CONTEXT] = {.02, .03, .1, .05, 0, 0, .12, .15, .18, .04};

typedef struct {
  double *memory, *genotype[L], *context[MRL_N_CONTEXT];
  mrl_sim_contextual out;
} result;

static mrl_sim_contextual_settings study(void)
{
  const mrl_sim_contextual_settings settings = {.n = N,
                                                .n_snp = L,
                                                .seed = SEED,
                                                .maf_low = .05,
                                                .maf_high = .5,
                                                .pi_sd = .1,
                                                .confounding = 1,
                                                .use_context = 1,
                                                .gamma = gamma_x,
                                                .zeta = zeta_y};
  return settings;
}

static size_t n_doubles(void)
{
  return (size_t)N * (L + 2 * MRL_N_CONTEXT + 5) + 4 * L;
}

/* Everything in one block, so that two results compare by memcmp. The caller frees it. */
static result simulate(const mrl_sim_contextual_settings *settings, int n_threads)
{
  result r;
  double *next = r.memory = calloc(n_doubles(), sizeof(double));
  for (int j = 0; j < L; j++, next += N) {
    r.genotype[j] = next;
  }
  for (int k = 0; k < MRL_N_CONTEXT; k++, next += N) {
    r.context[k] = next;
  }
  double *const after = next + MRL_N_CONTEXT * N, *const snp = after + 5 * N;
  r.out = (mrl_sim_contextual){.genotype = r.genotype,
                               .context = r.context,
                               .context_std = next,
                               .x = after,
                               .rest = after + N,
                               .u = after + 2 * N,
                               .v = after + 3 * N,
                               .e = after + 4 * N,
                               .maf = snp,
                               .pi = snp + L,
                               .alpha = snp + 2 * L,
                               .linkage = snp + 3 * L};
  const mrl_ctx ctx = {n_threads, NULL, NULL};
  CHECK(mrl_sim_contextual_run(&r.out, settings, &ctx) == MRL_OK);
  return r;
}

/* X and the rest of Y from their parts: sums of some 80 terms of order 1, so 1e-13 is generous. */
static void check_rebuild(const mrl_sim_contextual_settings *s, const result *r)
{
  for (size_t i = 0; i < s->n; i++) {
    double x = s->confounding * r->out.u[i] + r->out.v[i];
    double rest = s->confounding * r->out.u[i] + r->out.e[i];
    for (size_t j = 0; j < s->n_snp; j++) {
      x += r->out.pi[j] * r->genotype[j][i];
      rest += r->out.alpha[j] * r->genotype[j][i];
    }
    for (size_t k = 0; k < MRL_N_CONTEXT && s->use_context; k++) {
      x += s->gamma[k] * r->out.context_std[k * s->n + i];
      rest += s->zeta[k] * r->out.context_std[k * s->n + i];
    }
    CHECK_NEAR(r->out.x[i], x, 1e-13);
    CHECK_NEAR(r->out.rest[i], rest, 1e-13);
  }
}

static void test_rebuild(void)
{
  mrl_sim_contextual_settings settings = study();
  result r = simulate(&settings, 2);
  check_rebuild(&settings, &r);
  for (int j = 0; j < L; j++) {
    CHECK(r.out.alpha[j] == 0);
    CHECK(r.out.maf[j] > .05 && r.out.maf[j] < .5);
  }
  free(r.memory);
  settings.use_context = 0;
  settings.confounding = -.5;
  settings.alpha_mean = .1;
  settings.alpha_sd = .2;
  settings.linkage = .4;
  r = simulate(&settings, 1);
  check_rebuild(&settings, &r);
  free(r.memory);
}

static void moments(const double *x, double *mean, double *sd)
{
  double sum = 0, squares = 0;
  for (int i = 0; i < N; i++) {
    sum += x[i];
  }
  for (int i = 0; i < N; i++) {
    squares += (x[i] - sum / N) * (x[i] - sum / N);
  }
  *mean = sum / N;
  *sd = sqrt(squares / N);
}

/* Means within 4 standard errors; the SD of an SD is below sd/sqrt(2n) for these laws. */
static void test_laws(void)
{
  const double mean[] = {30.5, .5, 25, .5, 170, 70, 120, 200, 90, 7};
  const double sd[] = {sqrt((38. * 38 - 1) / 12), .5, 4, .5, 10, 15, 15, 40, 15, 1.5};
  const mrl_sim_contextual_settings settings = study();
  const result r = simulate(&settings, 2);
  double m, s;
  for (int k = 0; k < MRL_N_CONTEXT; k++) {
    moments(r.context[k], &m, &s);
    CHECK_NEAR(m, mean[k], 4 * sd[k] / sqrt(N));
    CHECK_NEAR(s, sd[k], 4 * sd[k] / sqrt(2.0 * N));
    moments(r.out.context_std + k * N, &m, &s);
    CHECK_NEAR(m, 0, 1e-12);
    CHECK_NEAR(s, 1, 1e-12);
  }
  const double *const noise[] = {r.out.u, r.out.v, r.out.e};
  for (int k = 0; k < 3; k++) {
    moments(noise[k], &m, &s);
    CHECK_NEAR(m, 0, 4 / sqrt(N));
    CHECK_NEAR(s, 1, 4 / sqrt(2.0 * N));
  }
  for (int j = 0; j < L; j++) {
    const double q = r.out.maf[j], law = sqrt(2 * q * (1 - q));
    moments(r.genotype[j], &m, &s);
    CHECK_NEAR(m, 2 * q, 4 * law / sqrt(N));
    CHECK_NEAR(s, law, 4 * law / sqrt(N));
  }
  free(r.memory);
}

static double correlation(const double *a, const double *b)
{
  double ma, sa, mb, sb, sum = 0;
  moments(a, &ma, &sa);
  moments(b, &mb, &sb);
  for (int i = 0; i < N; i++) {
    sum += (a[i] - ma) * (b[i] - mb);
  }
  return sum / (N * sa * sb);
}

/* The SD of a correlation of two genotypes is below 2/sqrt(n) here (1/sqrt(n) without linkage). */
static void test_linkage(void)
{
  mrl_sim_contextual_settings settings = study();
  settings.linkage = .4;
  settings.maf_low = .2; /* two loci in (.2, .5) may have any correlation up to .5 */
  result r = simulate(&settings, 2);
  for (int j = 1; j < L; j++) {
    CHECK_NEAR(r.out.linkage[j - 1], .4, 1e-15);
    CHECK_NEAR(correlation(r.genotype[j - 1], r.genotype[j]), .4, 4 * 2 / sqrt(N));
  }
  for (int j = 2; j < L; j++) {
    CHECK_NEAR(correlation(r.genotype[j - 2], r.genotype[j]), .16, 4 * 2 / sqrt(N));
  }
  free(r.memory);

  settings.linkage = 1; /* as much as the frequencies allow: the rarer allele is never alone */
  r = simulate(&settings, 2);
  for (int j = 1; j < L; j++) {
    const double p = r.out.maf[j - 1], q = r.out.maf[j];
    const double *rare = r.genotype[p < q ? j - 1 : j], *common = r.genotype[p < q ? j : j - 1];
    int alone = 0;
    for (int i = 0; i < N; i++) {
      alone += rare[i] > common[i];
    }
    CHECK(alone == 0);
    CHECK_NEAR(correlation(rare, common), r.out.linkage[j - 1], 4 * 2 / sqrt(N));
  }
  free(r.memory);

  settings.linkage = 0;
  r = simulate(&settings, 2);
  for (int j = 1; j < L; j++) {
    CHECK(r.out.linkage[j - 1] == 0);
    CHECK_NEAR(correlation(r.genotype[j - 1], r.genotype[j]), 0, 4 / sqrt(N));
  }
  free(r.memory);
}

static void test_threads(void)
{
  mrl_sim_contextual_settings settings = study();
  settings.linkage = .3;
  settings.alpha_sd = .1;
  const result one = simulate(&settings, 1), two = simulate(&settings, 2);
  const result three = simulate(&settings, 3);
  CHECK(memcmp(one.memory, two.memory, n_doubles() * sizeof(double)) == 0);
  CHECK(memcmp(one.memory, three.memory, n_doubles() * sizeof(double)) == 0);
  free(two.memory);
  free(three.memory);
  /* The first people and SNPs of a smaller simulation are the same. */
  settings.n = 4500;
  settings.n_snp = 3;
  const result fewer = simulate(&settings, 2);
  for (int j = 0; j < 3; j++) {
    CHECK(fewer.out.pi[j] == one.out.pi[j]);
    CHECK(memcmp(fewer.genotype[j], one.genotype[j], 4500 * sizeof(double)) == 0);
  }
  CHECK(memcmp(fewer.context[2], one.context[2], 4500 * sizeof(double)) == 0);
  CHECK(memcmp(fewer.out.u, one.out.u, 4500 * sizeof(double)) == 0);
  free(fewer.memory);
  /* Another seed shares nothing. */
  settings.seed++;
  const result other = simulate(&settings, 2);
  CHECK(other.out.pi[0] != one.out.pi[0] && other.out.u[0] != one.out.u[0]);
  free(other.memory);
  free(one.memory);
}

static void test_edges(void)
{
  mrl_sim_contextual_settings settings = study();
  settings.n = 2;
  settings.n_snp = 1;
  int constant = 0;
  for (settings.seed = 0; settings.seed < 8; settings.seed++) {
    const result r = simulate(&settings, 2);
    if (r.context[1][0] == r.context[1][1]) { /* sex of both the same */
      constant = 1;
      CHECK(r.out.context_std[2] == 0 && r.out.context_std[3] == 0);
    }
    free(r.memory);
  }
  CHECK(constant);
  double *const memory = calloc(n_doubles(), sizeof(double));
  double *genotype[1] = {memory}, *context[MRL_N_CONTEXT];
  for (int k = 0; k < MRL_N_CONTEXT; k++) {
    context[k] = memory + 2 + 2 * k;
  }
  double parts[10] = {0}, snp[3];
  mrl_sim_contextual out = {.genotype = genotype,
                            .context = context,
                            .context_std = memory + 100,
                            .x = parts,
                            .rest = parts + 2,
                            .u = parts + 4,
                            .v = parts + 6,
                            .e = parts + 8,
                            .maf = snp,
                            .pi = snp + 1,
                            .alpha = snp + 2};
  const mrl_ctx ctx = {1, NULL, NULL};
  settings.confounding = 1.7e308;
  mrl_status status = MRL_OK;
  for (settings.seed = 0; settings.seed < 8; settings.seed++) { /* |U| > 1.06 somewhere */
    const mrl_status now = mrl_sim_contextual_run(&out, &settings, &ctx);
    status = now != MRL_OK ? now : status;
  }
  CHECK(status == MRL_NOT_FINITE);
  free(memory);
}

int main(void)
{
  test_rebuild();
  test_laws();
  test_linkage();
  test_threads();
  test_edges();
  return CTEST_DONE();
}
