/* Simulated regulatory sequences, and what the simulator's factors see in others. */
#include "glue.h"

#include <string.h>

#include "../core/seq.h"
#include "../core/sim_sequence.h"

/* Motifs: a list of MRL_N_MOTIF vectors, (length, 4) by row, their letters' probabilities. */
static void read_motifs(mrl_pwm *motif, SEXP motifs, const double *background)
{
  for (int k = 0; k < MRL_N_MOTIF; k++) {
    SEXP given = VECTOR_ELT(motifs, k);
    const size_t length = (size_t)XLENGTH(given) / 4;
    double *odds = glue_scratch(5 * length * sizeof *odds);
    motif[k].p = glue_dbl(given, XLENGTH(given), "motif");
    motif[k].odds = odds;
    motif[k].length = length;
    mrl_pwm_odds(odds, motif[k].p, background, length);
  }
}

static mrl_sim_sequence_settings read_sequence_settings(SEXP motifs, SEXP settings)
{
  mrl_sim_sequence_settings s = {
      .n = (size_t)glue_item_int(settings, "n"),
      .n_mutants = (size_t)glue_item_int(settings, "n_mutants"),
      .length = (size_t)glue_item_int(settings, "length"),
      .keep_confounder = glue_item_dbl(settings, "keep_confounder"),
      .keep = glue_item_dbl(settings, "keep"),
      .mu = glue_item_dbl(settings, "mu"),
      .alpha = glue_item_dbl(settings, "alpha"),
      .beta = glue_item_dbl(settings, "beta"),
      .eta = glue_item_dbl(settings, "eta"),
      .nu = glue_item_dbl(settings, "nu"),
      .tau_x = glue_item_dbl(settings, "tau_x"),
      .tau_y = glue_item_dbl(settings, "tau_y"),
      .sd = glue_item_dbl(settings, "heterogeneity"),
      .seed = glue_item_seed(settings),
  };
  memcpy(s.background, glue_dbl(glue_item(settings, "drawn"), 4, "drawn"), sizeof s.background);
  read_motifs(s.motif, motifs, glue_dbl(glue_item(settings, "background"), 4, "background"));
  return s;
}

static void set_text(SEXP to, const uint8_t *code, size_t length)
{
  char *text = glue_scratch(length + 1);
  for (R_xlen_t i = 0; i < XLENGTH(to); i++) {
    for (size_t j = 0; j < length; j++) {
      text[j] = "ACGT"[code[(size_t)i * length + j]];
    }
    SET_STRING_ELT(to, i, Rf_mkCharLen(text, (int)length));
  }
}

static int *list_ints(SEXP list, int i, R_xlen_t n)
{
  SEXP column = Rf_allocVector(INTSXP, n);
  SET_VECTOR_ELT(list, i, column);
  return INTEGER(column);
}

SEXP C_sim_sequence(SEXP motifs, SEXP settings)
{
  static const char *const names[] = {"sequence", "place",   "parent",     "hit",
                                      "factor",   "b",       "expected_x", "expected_y",
                                      "count_x",  "count_y", "effect"};
  const mrl_sim_sequence_settings s = read_sequence_settings(motifs, settings);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const size_t m = s.n + s.n_mutants;
  SEXP value = PROTECT(glue_list(names, 11));
  SEXP text = Rf_allocVector(STRSXP, (R_xlen_t)m);
  SET_VECTOR_ELT(value, 0, text);
  mrl_sim_sequence out = {.code = glue_scratch(m * s.length)};
  out.place = list_ints(value, 1, (R_xlen_t)m * MRL_N_PLACE);
  out.parent = list_ints(value, 2, (R_xlen_t)m);
  out.hit = glue_list_matrix(value, 3, m, MRL_N_MOTIF);
  double **const slots[] = {&out.factor,      &out.b,        &out.expected[0],
                            &out.expected[1], &out.count[0], &out.count[1]};
  for (int i = 0; i < 6; i++) {
    *slots[i] = glue_list_dbl(value, 4 + i, (R_xlen_t)m);
  }
  double *effect = glue_list_matrix(value, 10, m, 3);
  mrl_status status = mrl_sim_sequence_run(&out, &s, &ctx);
  set_text(text, out.code, s.length);
  if (status == MRL_OK) {
    status = mrl_sim_sequence_effects(effect, &out, &s, &ctx);
  }
  SEXP result = glue_result(status, value);
  UNPROTECT(1);
  return result;
}

/* (n, MRL_N_MOTIF) hits of sequences of equal length; R has checked their letters. */
SEXP C_sim_sequence_hits(SEXP sequences, SEXP motifs, SEXP settings)
{
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const size_t n = (size_t)XLENGTH(sequences);
  const size_t length = (size_t)LENGTH(STRING_ELT(sequences, 0));
  mrl_pwm motif[MRL_N_MOTIF];
  mrl_alphabet dna;
  read_motifs(motif, motifs, glue_dbl(glue_item(settings, "background"), 4, "background"));
  mrl_status status = mrl_alphabet_make(&dna, "ACGT", "N");
  uint8_t *code = glue_scratch(n * length);
  for (size_t i = 0; i < n; i++) {
    SEXP one = STRING_ELT(sequences, (R_xlen_t)i);
    if ((size_t)LENGTH(one) != length ||
        mrl_seq_encode(code + i * length, CHAR(one), length, &dna) != length) {
      status = MRL_BAD_ARGUMENT;
    }
  }
  SEXP hit = PROTECT(Rf_allocMatrix(REALSXP, (int)n, MRL_N_MOTIF));
  if (status == MRL_OK) {
    status = mrl_sim_sequence_hits(REAL(hit), code, n, length, motif, glue_item_dbl(settings, "mu"),
                                   &ctx);
  }
  SEXP result = glue_result(status, hit);
  UNPROTECT(1);
  return result;
}
