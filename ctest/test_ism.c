/* Fast mutagenesis in double, to 1e-9 of the output's scale. */
#include "seq_double.h"

#include "ctest.h"
#include "conv.c"
#include "ism_pass.c"
#include "ism_pool.c"
#include "seq.c"
#include "seqnet.c"
#include "seqnet_fold.c"
#include "seqnet_forward.c"
#include "seqnet_loops.c"
#include "seqnet_plan.c"
#include "ism.c"

#define TOLERANCE 1e-9
#include "test_ism_type.h"

/* What is out of order, or out of range, is refused. */
static void test_refused(void)
{
  random_case c = {.n_outputs = 1, .output = {1}, .n_layers = 1, .length = 5, .n_letters = 4};
  c.layer[0] = (mrl_seq_layer){.kind = MRL_SEQ_GLOBAL_MAX};
  random_built b;
  random_build(&b, &c, 0, MRL_ISA_AVX512);
  mrl_ism ism;
  mrl_arena arena = mrl_arena_measure();
  mrl_ism_carve(&ism, &arena, &b.plan);
  void *memory = random_bytes(arena.used);
  arena = mrl_arena_over(memory, arena.used);
  CHECK(mrl_ism_carve(&ism, &arena, &b.plan) == MRL_OK);
  mrl_ism_fold(&ism);
  const mrl_ctx ctx = {1, NULL, NULL};
  const uint8_t code[10] = {0};
  double effect[8];
  void *scratch = random_bytes(mrl_ism_scratch(&ism, &ctx));
  const mrl_variant good[] = {{0, 4, 3}, {1, 0, 2}}, turned[] = {{1, 0, 2}, {0, 4, 3}};
  const mrl_variant outside = {0, 5, 0}, no_letter = {0, 0, 4};
  CHECK(mrl_ism_run(effect, &ism, code, good, 2, scratch, &ctx) == MRL_OK);
  CHECK(effect[0] == 0 && effect[3] == 1 && effect[6] == 1); /* all A: the largest A stays 1 */
  CHECK(mrl_ism_run(effect, &ism, code, turned, 2, scratch, &ctx) == MRL_BAD_ARGUMENT);
  CHECK(mrl_ism_run(effect, &ism, code, &outside, 1, scratch, &ctx) == MRL_BAD_ARGUMENT);
  CHECK(mrl_ism_run(effect, &ism, code, &no_letter, 1, scratch, &ctx) == MRL_BAD_ARGUMENT);
  CHECK(mrl_ism_run(effect, &ism, code, good, 2, NULL, &ctx) == MRL_NO_MEMORY);
  free(scratch);
  free(memory);
  random_free(&b);
}

int main(void)
{
  test_random();
  test_refused();
  return CTEST_DONE();
}
