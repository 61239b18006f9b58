/* The simulator of summary data: rebuilt from its parts, selection, threads. Fixed seeds. */
#include "ctest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim_summary.h"

enum { N_PAIR = 30, N_SNP = 40, N = N_PAIR * N_SNP };

static mrl_sim_summary_settings study(void)
{
  const mrl_sim_summary_settings settings = {.n_pair = N_PAIR,
                                             .n_snp = N_SNP,
                                             .seed = 5,
                                             .theta = .2,
                                             .n_exposure = 5e4,
                                             .n_outcome = 8e4,
                                             .maf_low = .1,
                                             .maf_high = .4,
                                             .effect_sd = .02,
                                             .invalid = .4,
                                             .pleiotropy_mean = .01,
                                             .pleiotropy_sd = .005,
                                             .through_confounder = 1,
                                             .rho = .3,
                                             .z_threshold = 5.45,
                                             .winners_curse = 1};
  return settings;
}

/* Seven columns in one block, so that two results compare by memcmp. The caller frees it. */
static mrl_status simulate(double *memory, int *valid, const mrl_sim_summary_settings *settings,
                           int n_threads)
{
  mrl_sim_summary out = {memory,         memory + N,     memory + 2 * N, memory + 3 * N,
                         memory + 4 * N, memory + 5 * N, memory + 6 * N, valid};
  const mrl_ctx ctx = {.n_threads = n_threads};
  return mrl_sim_summary_run(&out, settings, &ctx);
}

int main(void)
{
  mrl_sim_summary_settings settings = study();
  double *a = calloc(7 * N, sizeof *a), *b = calloc(7 * N, sizeof *b);
  int valid[N], again[N];

  CHECK(simulate(a, valid, &settings, 1) == MRL_OK);
  CHECK(simulate(b, again, &settings, 3) == MRL_OK);
  CHECK(memcmp(a, b, 7 * N * sizeof *a) == 0 && memcmp(valid, again, sizeof valid) == 0);

  const double *bx = a, *sx = a + N, *sy = a + 3 * N, *maf = a + 4 * N, *alpha = a + 6 * N;
  for (int i = 0; i < N; i++) {
    const double information = 2 * maf[i] * (1 - maf[i]);
    CHECK(maf[i] > .1 && maf[i] < .4);
    CHECK_NEAR(sx[i], 1 / sqrt(information * 5e4), 1e-15);
    CHECK_NEAR(sy[i], 1 / sqrt(information * 8e4), 1e-15);
    CHECK(fabs(bx[i]) / sx[i] > settings.z_threshold);
    CHECK(valid[i] == (alpha[i] == 0));
  }

  /* Selection on another sample lets estimates below the threshold in. */
  settings.winners_curse = 0;
  int below = 0;
  CHECK(simulate(b, again, &settings, 2) == MRL_OK);
  for (int i = 0; i < N; i++) {
    below += fabs(b[i]) / b[N + i] <= settings.z_threshold;
  }
  CHECK(below > 0);

  /* A threshold that nothing passes. */
  settings.z_threshold = 1e6;
  CHECK(simulate(b, again, &settings, 2) == MRL_TOO_FEW);
  free(a);
  free(b);
  return CTEST_DONE();
}
