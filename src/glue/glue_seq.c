/* Sequences as codes; networks on them: shapes, predictions, mutagenesis. */
#include "glue_seq.h"

#include "../core/ism.h"

#include <string.h>

/* Columns of the matrix of layers that R hands over. */
enum {
  KIND,
  INPUT,
  OTHER,
  UNITS,
  TAPS,
  DILATION,
  GROUPS,
  STRIDE,
  SAME,
  BIAS,
  CROP_LEFT,
  CROP_RIGHT,
  ACTIVATION,
  N_FIELDS
};

/* field (N_FIELDS, n): layer after layer. */
static mrl_seq_layer *read_layers(SEXP settings, size_t *n)
{
  SEXP field = glue_item(settings, "layers");
  *n = (size_t)XLENGTH(field) / N_FIELDS;
  const int *f = glue_int(field, (R_xlen_t)(*n * N_FIELDS), "layers");
  const double *value = glue_dbl(glue_item(settings, "values"), (R_xlen_t)*n, "values");
  mrl_seq_layer *layers = glue_scratch(*n * sizeof *layers);
  for (size_t i = 0; i < *n; i++, f += N_FIELDS) {
    const mrl_seq_layer layer = {
        .kind = (mrl_seq_kind)f[KIND],
        .input = {(size_t)f[INPUT], (size_t)f[OTHER]},
        .units = (size_t)f[UNITS],
        .taps = (size_t)f[TAPS],
        .dilation = (size_t)f[DILATION],
        .groups = (size_t)f[GROUPS],
        .stride = (size_t)f[STRIDE],
        .same = f[SAME],
        .bias = f[BIAS],
        .crop = {(size_t)f[CROP_LEFT], (size_t)f[CROP_RIGHT]},
        .activation = (mrl_activation)f[ACTIVATION],
        .value = value[i],
    };
    layers[i] = layer;
  }
  return layers;
}

mrl_status glue_seq_net(mrl_seqnet *net, size_t *bad, SEXP settings)
{
  size_t n_layers;
  const mrl_seq_layer *layers = read_layers(settings, &n_layers);
  SEXP which = glue_item(settings, "outputs");
  const int *output = glue_int(which, -1, "outputs");
  const size_t n_outputs = (size_t)XLENGTH(which);
  size_t *outputs = glue_scratch(n_outputs * sizeof *outputs);
  for (size_t i = 0; i < n_outputs; i++) {
    outputs[i] = (size_t)output[i];
  }
  const size_t length = (size_t)glue_item_int(settings, "length");
  const size_t n_letters = (size_t)glue_item_int(settings, "n_letters");
  mrl_arena arena = mrl_arena_measure();
  MRL_TRY(
      mrl_seqnet_carve(net, bad, &arena, layers, n_layers, outputs, n_outputs, length, n_letters));
  arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
  return mrl_seqnet_carve(net, bad, &arena, layers, n_layers, outputs, n_outputs, length,
                          n_letters);
}

static mrl_status read_plan(mrl_seq_plan *plan, const mrl_seqnet *net, SEXP params, SEXP settings)
{
  const double *values = glue_dbl(params, (R_xlen_t)net->n_load, "params");
  const int with_dropout = glue_item_lgl(settings, "dropout");
  const mrl_isa isa = glue_item_isa(settings);
  mrl_arena arena = mrl_arena_measure();
  MRL_TRY(mrl_seq_plan_steps(plan, &arena, net, with_dropout, isa));
  arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
  MRL_TRY(mrl_seq_plan_steps(plan, &arena, net, with_dropout, isa));
  arena = mrl_arena_measure();
  MRL_TRY(mrl_seq_plan_carve(plan, &arena));
  arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
  MRL_TRY(mrl_seq_plan_carve(plan, &arena));
  mrl_real *weights = glue_scratch(net->n_params * sizeof *weights);
  mrl_real *statistics = glue_scratch(net->n_statistics * sizeof *statistics);
  mrl_seqnet_load(weights, statistics, net, values);
  mrl_seq_plan_fold(plan, weights, statistics, (mrl_real)glue_item_dbl(settings, "unknown"),
                    glue_item_seed(settings), (uint64_t)glue_item_int(settings, "member"));
  return MRL_OK;
}

const uint8_t *glue_seq_codes(SEXP codes, const mrl_seqnet *net, size_t *n)
{
  if (TYPEOF(codes) != RAWSXP || (size_t)XLENGTH(codes) % net->node->length != 0) {
    Rf_error("internal error: `codes` are no raw vector of whole sequences");
  }
  const uint8_t *code = RAW(codes);
  for (R_xlen_t i = 0; i < XLENGTH(codes); i++) {
    if (code[i] > net->node->width) {
      Rf_error("internal error: `codes` has a code that is no letter");
    }
  }
  *n = (size_t)XLENGTH(codes) / net->node->length;
  return code;
}

SEXP C_seq_shape(SEXP settings)
{
  static const char *const names[] = {"bad", "n_load", "n_outputs", "length", "width", "weights"};
  mrl_seqnet net;
  size_t bad = 0;
  const mrl_status status = glue_seq_net(&net, &bad, settings);
  const R_xlen_t n = status == MRL_OK ? (R_xlen_t)net.n_nodes : 0;
  SEXP out = PROTECT(glue_list(names, 6));
  *glue_list_dbl(out, 0, 1) = (double)bad;
  *glue_list_dbl(out, 1, 1) = n > 0 ? (double)net.n_load : 0;
  *glue_list_dbl(out, 2, 1) = n > 0 ? (double)net.n_outputs : 0;
  double *length = glue_list_dbl(out, 3, n), *width = glue_list_dbl(out, 4, n);
  double *weights = glue_list_dbl(out, 5, n);
  for (R_xlen_t i = 0; i < n; i++) {
    length[i] = (double)net.node[i].length;
    width[i] = (double)net.node[i].width;
    weights[i] = (double)net.node[i].n_weights;
  }
  SEXP result = glue_result(status, out);
  UNPROTECT(1);
  return result;
}

/* text: strings of `length` bytes each, none of them NA. */
SEXP C_seq_encode(SEXP text, SEXP settings)
{
  static const char *const names[] = {"codes", "bad_sequence", "bad_position"};
  const size_t length = (size_t)glue_item_int(settings, "length"), n = (size_t)XLENGTH(text);
  const char *letters = CHAR(Rf_asChar(glue_item(settings, "letters")));
  const char *unknown = CHAR(Rf_asChar(glue_item(settings, "unknown_letters")));
  mrl_alphabet alphabet;
  const mrl_status status = mrl_alphabet_make(&alphabet, letters, unknown);
  SEXP out = PROTECT(glue_list(names, 3));
  SEXP codes = Rf_allocVector(RAWSXP, (R_xlen_t)(length * n));
  SET_VECTOR_ELT(out, 0, codes);
  double *bad_sequence = glue_list_dbl(out, 1, 1), *bad_position = glue_list_dbl(out, 2, 1);
  *bad_sequence = *bad_position = 0;
  for (size_t i = 0; status == MRL_OK && i < n && *bad_sequence == 0; i++) {
    SEXP one = STRING_ELT(text, (R_xlen_t)i);
    if ((size_t)LENGTH(one) != length) {
      Rf_error("internal error: `text` has a string of another length");
    }
    const size_t end = mrl_seq_encode(RAW(codes) + i * length, CHAR(one), length, &alphabet);
    *bad_sequence = end < length ? (double)(i + 1) : 0;
    *bad_position = (double)(end + 1);
  }
  SEXP result = glue_result(status, out);
  UNPROTECT(1);
  return result;
}

SEXP C_seq_predict(SEXP codes, SEXP params, SEXP settings)
{
  mrl_seqnet net;
  mrl_seq_plan plan;
  size_t bad, n;
  mrl_status status = glue_seq_net(&net, &bad, settings);
  if (status != MRL_OK) {
    return glue_result(status, R_NilValue);
  }
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const uint8_t *code = glue_seq_codes(codes, &net, &n);
  SEXP out = PROTECT(Rf_allocVector(REALSXP, (R_xlen_t)(n * net.n_outputs)));
  status = read_plan(&plan, &net, params, settings);
  if (status == MRL_OK) {
    void *scratch = glue_scratch(mrl_seq_predict_scratch(&plan, &ctx));
    status = mrl_seq_predict(REAL(out), &plan, code, n, scratch, &ctx);
  }
  SEXP result = glue_result(status, out);
  UNPROTECT(1);
  return result;
}

/* Of whole numbers from 0: sequence, position and code of the letter put there. */
static mrl_variant *read_variants(SEXP variants, size_t *n)
{
  SEXP first = glue_item(variants, "sequence");
  const R_xlen_t count = XLENGTH(first);
  const int *sequence = glue_int(first, count, "sequence");
  const int *position = glue_int(glue_item(variants, "position"), count, "position");
  const int *alt = glue_int(glue_item(variants, "alt"), count, "alt");
  mrl_variant *out = glue_scratch((size_t)count * sizeof *out);
  for (R_xlen_t i = 0; i < count; i++) {
    const mrl_variant variant = {(uint32_t)sequence[i], (uint32_t)position[i], (uint8_t)alt[i]};
    out[i] = variant;
  }
  *n = (size_t)count;
  return out;
}

static void check_variants(const mrl_variant *variants, size_t n, size_t n_sequences)
{
  for (size_t i = 0; i < n; i++) {
    if (variants[i].sequence >= n_sequences) {
      Rf_error("internal error: a variant is of a sequence that is not there");
    }
  }
}

SEXP C_seq_mutate(SEXP codes, SEXP params, SEXP variants, SEXP settings)
{
  mrl_seqnet net;
  mrl_seq_plan plan;
  size_t bad, n_sequences, n;
  mrl_status status = glue_seq_net(&net, &bad, settings);
  if (status != MRL_OK) {
    return glue_result(status, R_NilValue);
  }
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const uint8_t *code = glue_seq_codes(codes, &net, &n_sequences);
  const mrl_variant *variant = read_variants(variants, &n);
  check_variants(variant, n, n_sequences);
  SEXP out = PROTECT(Rf_allocVector(REALSXP, (R_xlen_t)(n * net.n_outputs)));
  status = read_plan(&plan, &net, params, settings);
  mrl_ism ism;
  mrl_arena arena = mrl_arena_measure();
  status = status == MRL_OK ? mrl_ism_carve(&ism, &arena, &plan) : status;
  if (status == MRL_OK) {
    arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
    status = mrl_ism_carve(&ism, &arena, &plan);
  }
  if (status == MRL_OK) {
    mrl_ism_fold(&ism);
    void *scratch = glue_scratch(mrl_ism_scratch(&ism, &ctx));
    status = mrl_ism_run(REAL(out), &ism, code, variant, n, scratch, &ctx);
  }
  SEXP result = glue_result(status, out);
  UNPROTECT(1);
  return result;
}
