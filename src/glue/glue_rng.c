/* Random draws for tests of the generator from R. */
#include "glue.h"

#include "../core/rng.h"

#include <string.h>

typedef enum {
  DRAW_UNIFORM,
  DRAW_NORMAL,
  DRAW_EXPONENTIAL,
  DRAW_GAMMA,
  DRAW_GENOTYPE,
  DRAW_BELOW,
  DRAW_PERMUTATION,
  N_DRAW
} draw_law;

static draw_law read_law(SEXP settings)
{
  static const char *const words[N_DRAW] = {"uniform",  "normal", "exponential", "gamma",
                                            "genotype", "below",  "permutation"};
  SEXP word = glue_item(settings, "distribution");
  if (TYPEOF(word) != STRSXP || XLENGTH(word) != 1) {
    Rf_error("internal error: `distribution` is no string");
  }
  for (int law = 0; law < N_DRAW; law++) {
    if (strcmp(words[law], CHAR(STRING_ELT(word, 0))) == 0) {
      return (draw_law)law;
    }
  }
  Rf_error("internal error: unknown `distribution`");
}

static void draw_permutation(double *out, size_t n, mrl_rng *rng)
{
  size_t *order = glue_scratch(n * sizeof *order);
  mrl_rng_permutation(rng, order, n);
  for (size_t i = 0; i < n; i++) {
    out[i] = (double)order[i];
  }
}

static void draw(double *out, size_t n, draw_law law, double parameter, mrl_rng *rng)
{
  switch (law) {
  case DRAW_UNIFORM:
    mrl_rng_fill_uniform(rng, out, n);
    break;
  case DRAW_NORMAL:
    mrl_rng_fill_normal(rng, out, n);
    break;
  case DRAW_EXPONENTIAL:
    for (size_t i = 0; i < n; i++) {
      out[i] = mrl_rng_exponential(rng);
    }
    break;
  case DRAW_GAMMA:
    for (size_t i = 0; i < n; i++) {
      out[i] = mrl_rng_gamma(rng, parameter);
    }
    break;
  case DRAW_GENOTYPE:
    mrl_rng_fill_genotype(rng, out, parameter, n);
    break;
  case DRAW_BELOW:
    for (size_t i = 0; i < n; i++) {
      out[i] = (double)mrl_rng_below(rng, (uint64_t)parameter);
    }
    break;
  default:
    draw_permutation(out, n, rng);
    break;
  }
}

SEXP C_rng_draw(SEXP settings)
{
  const draw_law law = read_law(settings);
  const int n = glue_item_int(settings, "n");
  const double parameter = glue_item_dbl(settings, "parameter");
  const uint64_t stream = (uint64_t)glue_item_dbl(settings, "stream");
  const mrl_rng_purpose purpose =
      glue_item_lgl(settings, "bootstrap") ? MRL_RNG_BOOTSTRAP : MRL_RNG_TEST;
  mrl_rng rng = mrl_rng_stream(glue_item_seed(settings), purpose, stream);
  SEXP out = PROTECT(Rf_allocVector(REALSXP, n));
  draw(REAL(out), (size_t)n, law, parameter, &rng);
  UNPROTECT(1);
  return out;
}
