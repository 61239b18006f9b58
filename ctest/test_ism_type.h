/*
 * Fast mutagenesis against predictions of every mutated sequence, on random networks; included by
 * test_ism.c (double) and test_ism_float.c after the core. Before including, define TOLERANCE, of
 * the output's scale: the largest reference output, or 1.
 */
#include "seq_random.h"

enum { N_SEQUENCES = 2 };

/* All substitutions, or some of them. variants (n) out. */
static size_t list_variants(mrl_variant *variants, const random_case *c, size_t keep)
{
  size_t n = 0;
  for (size_t i = 0; i < N_SEQUENCES * c->length * c->n_letters; i++) {
    const mrl_variant v = {(uint32_t)(i / c->n_letters / c->length),
                           (uint32_t)(i / c->n_letters % c->length), (uint8_t)(i % c->n_letters)};
    if (random_below(keep) == 0) {
      variants[n++] = v; /* the reference letter itself is among them */
    }
  }
  return n;
}

static double check_variant(const double *effect, const random_built *b, const uint8_t *code,
                            const mrl_variant *v, const double *reference, void *scratch,
                            const mrl_ctx *ctx)
{
  const size_t length = b->c.length, n_outputs = b->net.n_outputs;
  uint8_t *mutant = random_bytes(length);
  double *out = random_bytes(n_outputs * sizeof *out), worst = 0, scale = 1;
  memcpy(mutant, code + v->sequence * length, length);
  const int is_same = mutant[v->position] == v->alt;
  mutant[v->position] = v->alt;
  CHECK(mrl_seq_predict(out, &b->plan, mutant, 1, scratch, ctx) == MRL_OK);
  for (size_t k = 0; k < n_outputs; k++) {
    const double before = reference[v->sequence * n_outputs + k];
    const double error = fabs(out[k] - before - effect[k]);
    scale = fmax(scale, fabs(before));
    worst = error > worst || error != error ? error : worst;
    CHECK(!is_same || effect[k] == 0);
  }
  free(out);
  free(mutant);
  return worst / scale;
}

/* The largest error over the variants of a net. */
static double check_effects(const double *effect, const random_built *b, const uint8_t *code,
                            const mrl_variant *variants, size_t n)
{
  const mrl_ctx ctx = {1, NULL, NULL};
  double *reference = random_bytes(N_SEQUENCES * b->net.n_outputs * sizeof *reference), worst = 0;
  void *scratch = random_bytes(mrl_seq_predict_scratch(&b->plan, &ctx));
  CHECK(mrl_seq_predict(reference, &b->plan, code, N_SEQUENCES, scratch, &ctx) == MRL_OK);
  for (size_t i = 0; i < n; i++) {
    const double error = check_variant(effect + i * b->net.n_outputs, b, code, variants + i,
                                       reference, scratch, &ctx);
    worst = error > worst || error != error ? error : worst;
  }
  free(reference);
  free(scratch);
  return worst;
}

static void check_case(const random_case *c, int i)
{
  random_built b;
  random_build(&b, c, i % 4 == 0, (mrl_isa)(i % 3));
  mrl_ism ism;
  mrl_arena arena = mrl_arena_measure();
  CHECK(mrl_ism_carve(&ism, &arena, &b.plan) == MRL_OK);
  void *memory = random_bytes(arena.used);
  arena = mrl_arena_over(memory, arena.used);
  CHECK(mrl_ism_carve(&ism, &arena, &b.plan) == MRL_OK);
  mrl_ism_fold(&ism);

  const mrl_ctx one = {1, NULL, NULL}, three = {3, NULL, NULL};
  uint8_t *code = random_bytes(N_SEQUENCES * c->length);
  random_codes(code, N_SEQUENCES * c->length, c->n_letters);
  mrl_variant *variants = random_bytes(N_SEQUENCES * c->length * c->n_letters * sizeof *variants);
  const size_t n = list_variants(variants, c, i % 3 == 0 ? 5 : 1);
  const size_t bytes = n * b.net.n_outputs * sizeof(double);
  double *effect = random_bytes(bytes), *again = random_bytes(bytes);
  void *scratch = random_bytes(mrl_ism_scratch(&ism, &three));
  CHECK(mrl_ism_run(effect, &ism, code, variants, n, scratch, &one) == MRL_OK);
  CHECK(mrl_ism_run(again, &ism, code, variants, n, scratch, &three) == MRL_OK);
  CHECK(memcmp(effect, again, bytes) == 0);
  if (n > 0) { /* alone, the last one is the same */
    CHECK(mrl_ism_run(again, &ism, code, variants + n - 1, 1, scratch, &one) == MRL_OK);
    CHECK(memcmp(effect + (n - 1) * b.net.n_outputs, again, bytes / n) == 0);
  }
  CHECK_NEAR(check_effects(effect, &b, code, variants, n), 0, TOLERANCE);
  free(scratch);
  free(effect);
  free(again);
  free(variants);
  free(code);
  free(memory);
  random_free(&b);
}

static void test_random(void)
{
  for (int i = 0; i < 240; i++) {
    const random_case c = random_net();
    check_case(&c, i);
  }
}
