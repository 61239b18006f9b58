/* The search for a flow: it finds a mixing that it can express, ends in the same bits for every
 * number of threads, and refuses what it must. */
#include "ctest.h"
#include "flow_search.h"
#include "rng.h"

#include <stdlib.h>
#include <string.h>

enum { D = 3, ENVS = 2, EACH = 700, N = ENVS * EACH };

static const int rows[ENVS] = {EACH, EACH};

static const mrl_flow_settings usual = {.layers = 1,
                                        .starts = 4,
                                        .cycles = 3,
                                        .moves = 1,
                                        .stationary = 1,
                                        .gate = 50,
                                        .seed = 7,
                                        .isa = MRL_ISA_PORTABLE};

/* Latents V (2) that are shifted and stretched in the second environment, W that is not; mixed,
 * bent by leaky rectifiers, mixed again. */
static void draw(double *z)
{
  static const double first[D][D] = {{1, 0.4, -0.3}, {-0.5, 1, 0.6}, {0.2, -0.7, 1}};
  static const double second[D][D] = {{1, -0.6, 0.2}, {0.3, 1, -0.5}, {0.5, 0.2, 1}};
  mrl_rng rng = mrl_rng_stream(9, MRL_RNG_TEST, 0);
  for (size_t i = 0; i < N; i++) {
    double latent[D], middle[D];
    for (size_t j = 0; j < D; j++) {
      latent[j] = mrl_rng_normal(&rng);
      if (i >= EACH && j < 2) {
        latent[j] = 1.5 + (j == 0 ? 2 : 0.5) * latent[j];
      }
    }
    for (size_t j = 0; j < D; j++) {
      const double x = first[j][0] * latent[0] + first[j][1] * latent[1] + first[j][2] * latent[2];
      middle[j] = x > 0 ? x : 0.2 * x;
    }
    for (size_t j = 0; j < D; j++) {
      z[i + j * N] = second[j][0] * middle[0] + second[j][1] * middle[1] + second[j][2] * middle[2];
    }
  }
}

typedef struct {
  double centre[D], transform[D * D], params[D * (D + 2)];
  mrl_flow_try tries[64];
  mrl_flow_result result;
} found;

static mrl_status run(found *to, const mrl_flow_settings *settings, const double *z,
                      const int *n_row, size_t n_env, int n_threads)
{
  const mrl_ctx ctx = {n_threads, NULL, NULL};
  const size_t size = mrl_flow_scratch(settings, n_row, n_env, D, &ctx);
  void *scratch = malloc(size + 1);
  memset(scratch, 0xff, size);
  memset(to, 0, sizeof *to);
  to->result.centre = to->centre;
  to->result.transform = to->transform;
  to->result.params = to->params;
  to->result.tries = to->tries;
  const mrl_status status = mrl_flow_run(&to->result, settings, z, n_row, n_env, D, scratch, &ctx);
  free(scratch);
  return status;
}

static void check_found(const double *z)
{
  static found one, two;
  CHECK(mrl_flow_tries(&usual) <= 64);
  CHECK(run(&one, &usual, z, rows, ENVS, 1) == MRL_OK);
  CHECK(run(&two, &usual, z, rows, ENVS, 2) == MRL_OK);
  CHECK(memcmp(one.params, two.params, sizeof one.params) == 0);
  CHECK(one.result.n_tries == two.result.n_tries && one.result.value == two.result.value);
  /* A wrong optimum leaves an eigenvalue of .1 and more. */
  CHECK(one.result.passed && one.result.statistic <= 50.0 / EACH);
  CHECK(one.result.rank == D && one.result.n_tries >= 6);
  mrl_flow_settings other = usual;
  other.seed = 8;
  CHECK(run(&two, &other, z, rows, ENVS, 1) == MRL_OK);
  CHECK(memcmp(one.params, two.params, sizeof one.params) != 0);
  CHECK(two.result.passed);
}

static void check_bad(double *z)
{
  static found to;
  const int few[ENVS] = {9, EACH};
  mrl_flow_settings bad = usual;
  CHECK(run(&to, &usual, z, few, ENVS, 1) == MRL_TOO_FEW);
  bad.stationary = D;
  CHECK(run(&to, &bad, z, rows, ENVS, 1) == MRL_BAD_ARGUMENT);
  bad = usual;
  bad.layers = 0;
  CHECK(run(&to, &bad, z, rows, ENVS, 1) == MRL_BAD_ARGUMENT);
  for (size_t i = 0; i < N; i++) {
    z[i + 2 * N] = z[i] - z[i + N];
  }
  CHECK(run(&to, &usual, z, rows, ENVS, 1) == MRL_TOO_FEW);
  CHECK(to.result.rank == D - 1);
}

int main(void)
{
  static double z[N * D];
  draw(z);
  check_found(z);
  check_bad(z);
  return CTEST_DONE();
}
