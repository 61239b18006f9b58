/*
 * Passes that train networks on sequences (seqnet.h): outputs, loss and gradient of a batch.
 *
 * Layers become steps: a convolution or dense layer without its bias, then bias, batch norm and
 * activation as one, as far as they follow each other; other layers are steps of their own. The
 * value of a step for a sequence is (length, ld) position-major, with rows of zeros before and
 * behind (margins) as far as convolutions reach over the ends, so that none has borders; so have
 * gradients for the way back.
 *
 * A batch is cut into tiles of some sequences, which stay in the second-level cache. A pass takes
 * each tile through as many steps as it can, up to the next batch norm, which must have seen all;
 * the last forward pass, the loss and the first backward pass are one. Without batch norm a thread
 * has memory for one tile only. Tiles are dealt to at most MRL_SEQPASS_SLOTS slots in a way that
 * follows from the number of sequences alone; sums run within a slot in the order of its tiles and
 * then over the slots, so nothing depends on the number of threads.
 */
#ifndef MRL_SEQPASS_H
#define MRL_SEQPASS_H

#include "seqloss.h"
#include "seqnet.h"
#include "seqpass_loops.h"

enum { MRL_SEQPASS_SLOTS = 8 };

typedef enum {
  MRL_PASS_INPUT = 0,
  MRL_PASS_CONV,
  MRL_PASS_DENSE,
  MRL_PASS_AFFINE, /* bias, batch norm, activation; each may lack */
  MRL_PASS_DROPOUT,
  MRL_PASS_MAX,
  MRL_PASS_AVERAGE,
  MRL_PASS_LSE,
  MRL_PASS_CROP,
  MRL_PASS_FLATTEN,
  MRL_PASS_ADD
} mrl_pass_op;

/* Rows of a tensor for one sequence: left of zeros, the value's, and zeros behind. */
typedef struct {
  size_t left, right, ld;
  size_t size; /* numbers of a sequence: (left + length + right) ld */
} mrl_pass_rows;

typedef struct {
  mrl_pass_op op;
  size_t node, in[2]; /* the layer's node; steps */
  size_t length, width;
  size_t bias, norm;        /* affine: nodes whose bias and batch norm it has, or 0 */
  size_t taps, stride, pad; /* pools; a global one is a window over all */
  size_t n_users;
  size_t output_at; /* place among the outputs; SIZE_MAX: not an output */
  int in_place;     /* its gradient lies where that of its input does */
  int adds[2];      /* the gradient of that input has been begun by a later step */
  mrl_pass_rows value, gradient;
  mrl_conv_weights forward, back; /* conv, dense */
  size_t part, *quad;             /* offset of its weights' gradient in a slot; offsets of x */
  mrl_channels channels;          /* affine */
  size_t sums;                    /* affine: offset of its 2 ld sums in a slot */
} mrl_pass_step;

/* What one thread needs beside tensors. */
typedef struct {
  mrl_real *d;              /* a gradient of one tile */
  mrl_real *out, *d_out;    /* (n_outputs) */
  mrl_real *sum[2], *shift; /* (widest ld) */
} mrl_pass_thread;

typedef struct {
  const mrl_seqnet *net;
  mrl_isa isa;
  size_t n_steps, batch, tile, places; /* batch: most sequences; tile: of a tile */
  int n_threads, has_cut;
  mrl_pass_step *step;           /* (n_steps) */
  size_t *of_node;               /* (n_nodes) */
  mrl_real **value, **d, **keep; /* (n_steps): (places, tile, size); keep: of dropout */
  mrl_real *tensors;             /* all of these, n_tensors numbers */
  size_t n_tensors, n_part, n_sums;
  mrl_real *part;          /* (MRL_SEQPASS_SLOTS, n_part) gradients of weights */
  double *sums;            /* (MRL_SEQPASS_SLOTS, n_sums) */
  mrl_real *turned;        /* scratch of packing */
  mrl_real *gradient;      /* (n_params) out */
  mrl_pass_thread *thread; /* (n_threads) */
  double products;         /* of one sequence, forward */
} mrl_seqpass;

/*
 * Two carves, as of a plan: the steps of a net, then the memory that they need for batches of up to
 * `batch` sequences. mrl_seqpass_steps over a measuring arena leaves *run unusable. MRL_NO_MEMORY.
 */
mrl_status mrl_seqpass_steps(mrl_seqpass *run, mrl_arena *arena, const mrl_seqnet *net,
                             mrl_isa isa);
mrl_status mrl_seqpass_carve(mrl_seqpass *run, mrl_arena *arena, size_t batch, const mrl_ctx *ctx);
/* Clears margins; once before the first batch. */
void mrl_seqpass_start(mrl_seqpass *run);

typedef struct {
  const uint8_t *code;   /* (length) of each sequence */
  const mrl_real *label; /* (n_outputs) of each */
  mrl_real unknown;      /* what an unknown letter is at each letter */
  const mrl_seqloss_head *heads;
  size_t n_heads;
} mrl_seqpass_data;

typedef struct {
  const size_t *row;   /* (n) sequences of the data */
  size_t n;            /* at least 1, at most run->batch */
  uint64_t seed, step; /* of dropout; step below 2^40 */
} mrl_seqpass_batch;

/*
 * *loss, the mean over the sequences, and run->gradient; batch norm uses the batch's moments and
 * updates the running statistics by a tenth, dropout drops. params (n_params), statistics
 * (n_statistics). MRL_TOO_FEW where a batch norm sees a single number. Does not check that numbers
 * are finite.
 */
mrl_status mrl_seqpass_step(double *loss, mrl_seqpass *run, const mrl_real *params,
                            mrl_real *statistics, const mrl_seqpass_data *data,
                            const mrl_seqpass_batch *batch, const mrl_ctx *ctx);

/* The sum of the losses of any number of sequences, with running statistics and no dropout. out
 * (n_outputs, n), unless NULL: the outputs. */
mrl_status mrl_seqpass_evaluate(double *sum, mrl_real *out, mrl_seqpass *run,
                                const mrl_real *params, const mrl_real *statistics,
                                const mrl_seqpass_data *data, const size_t *row, size_t n,
                                const mrl_ctx *ctx);

#endif
