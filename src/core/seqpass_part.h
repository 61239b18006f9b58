/* What the files of the passes share (seqpass.h). */
#ifndef MRL_SEQPASS_PART_H
#define MRL_SEQPASS_PART_H

#include "seqpass.h"

#define MRL_PASS_NONE SIZE_MAX

/* One tile on its way: sequences first .. first + n - 1 of the batch, their tensors at `place`. */
typedef struct {
  const mrl_seqpass *run;
  const mrl_seqpass_data *data;
  const size_t *row; /* (n) sequences of the data */
  size_t n, place;
  uint64_t seed, step, number; /* of dropout; number: the tile's in its batch */
  int is_training;
  mrl_pass_thread *thread;
} mrl_seq_tile;

/* The value and the gradient of a step for sequence j of a tile, at its first position. */
static inline mrl_real *mrl_pass_value(const mrl_seq_tile *tile, size_t s, size_t j)
{
  const mrl_pass_rows *rows = &tile->run->step[s].value;
  return tile->run->value[s] + (tile->place * tile->run->tile + j) * rows->size +
         rows->left * rows->ld;
}

static inline mrl_real *mrl_pass_d(const mrl_seq_tile *tile, size_t s, size_t j)
{
  const mrl_pass_rows *rows = &tile->run->step[s].gradient;
  return tile->run->d[s] + (tile->place * tile->run->tile + j) * rows->size + rows->left * rows->ld;
}

/* The window of a pool at output t. */
static inline void mrl_pass_window(size_t window[2], const mrl_pass_step *step, size_t length,
                                   size_t t)
{
  const size_t first = t * step->stride, end = first + step->taps;
  window[0] = first > step->pad ? first - step->pad : 0;
  window[1] = mrl_least(end - mrl_least(end, step->pad), length);
}

/* Numbers of a quad row of panel p; quads of it. */
static inline size_t mrl_pass_quads(const mrl_conv_weights *weights, size_t p)
{
  return weights->shape.taps * ((weights->panel[p].n_in + MRL_QUAD - 1) / MRL_QUAD);
}

/* Values of step s of a tile; affine steps have their coefficients. */
void mrl_pass_forward(const mrl_seq_tile *tile, size_t s);
/* The gradient of the inputs of step s from its own, and of its weights, added to part (n_part) and
 * sums (n_sums). Of a batch norm: only du and its sums. */
void mrl_pass_backward(const mrl_seq_tile *tile, size_t s, mrl_real *part, double *sums);
/* The rest of a batch norm, its k1 and k2 being known. */
void mrl_pass_finish_norm(const mrl_seq_tile *tile, size_t s);

/* Whether an output depends on it. */
static inline int mrl_pass_is_live(const mrl_pass_step *step)
{
  return step->n_users > 0 || step->output_at != SIZE_MAX;
}

/* One pass over all tiles: steps forward .. end - 1; moments of the input of step `moments`; the
 * loss; the rest of batch norm `renew`; steps back - 1 .. stop, of which stop is the first part of
 * a batch norm; each where it is not MRL_PASS_NONE or 0. */
typedef struct {
  mrl_seqpass *run;
  const mrl_real *params;
  const mrl_seqpass_data *data;
  const size_t *row;
  size_t n;
  uint64_t seed, step;
  int is_training, loss;
  size_t forward, end, moments, renew, back, stop;
  double value[MRL_SEQPASS_SLOTS], count[MRL_SEQPASS_SLOTS];
  mrl_real *out; /* (n_outputs, n), or NULL */
} mrl_pass_over;

static inline size_t mrl_pass_tiles(const mrl_pass_over *pass)
{
  return (pass->n + pass->run->tile - 1) / pass->run->tile;
}

static inline size_t mrl_pass_slots(size_t tiles)
{
  return mrl_least(tiles, MRL_SEQPASS_SLOTS);
}

/* Packs the weights, for the way back too if with_back. */
void mrl_pass_pack(mrl_seqpass *run, const mrl_real *params, int with_back);
/* All coefficients; those of batch norm from running statistics. */
void mrl_pass_set_channels(mrl_seqpass *run, const mrl_real *params, const mrl_real *statistics);
/* What slots have gathered: moments of pass->moments, into coefficients and running statistics;
 * sums of an affine step, into gradients and k1, k2; all that is left of the gradient. */
void mrl_pass_finish_moments(const mrl_pass_over *pass, mrl_real *statistics);
void mrl_pass_finish_sums(const mrl_pass_over *pass, mrl_pass_step *step);
void mrl_pass_finish_gradient(const mrl_pass_over *pass);

#endif
