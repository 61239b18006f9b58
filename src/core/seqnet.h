/*
 * Networks on sequences: a directed list of 1-D layers over one block of parameters.
 *
 * Node 0 is the input, (length, letters) one-hot; node i is made by layer i - 1 from one earlier
 * node, or two for a sum, and has the shape (length, width), position-major (conv.h). Outputs are
 * some of the nodes, flattened one behind the other.
 *
 * Parameters lie in one block of n_params numbers, running statistics of batch norm in another of
 * n_statistics; each piece starts at a multiple of MRL_LANES, what lies between stays 0. Per node,
 * in order: conv and dense layers have weights (taps, in / groups, out) and, with a bias, (out);
 * batch norm has scale and shift (width each), and mean and variance (width each) as statistics.
 * The weights of a dense layer are (in, out) with the input flattened position by position.
 * mrl_seqnet_load() fills both from these pieces one behind the other without gaps, batch norm as
 * scale, shift, mean, variance: the order of weights of Keras.
 */
#ifndef MRL_SEQNET_H
#define MRL_SEQNET_H

#include "arena.h"
#include "conv.h"
#include "seq.h"
#include "seqnet_loops.h"

typedef enum {
  MRL_SEQ_INPUT = 0,
  MRL_SEQ_CONV,
  MRL_SEQ_DENSE, /* of the whole node, flattened */
  MRL_SEQ_BATCH_NORM,
  MRL_SEQ_ACTIVATION,
  MRL_SEQ_DROPOUT,
  MRL_SEQ_MAX_POOL,
  MRL_SEQ_AVERAGE_POOL, /* of the positions there are: padding does not count */
  MRL_SEQ_GLOBAL_MAX,
  MRL_SEQ_GLOBAL_AVERAGE,
  MRL_SEQ_GLOBAL_LSE, /* log of the sum of exp over positions */
  MRL_SEQ_CROP,
  MRL_SEQ_FLATTEN,
  MRL_SEQ_ADD,
  MRL_SEQ_N_KIND
} mrl_seq_kind;

typedef struct {
  mrl_seq_kind kind;
  size_t input[2];           /* nodes; the second of a sum only */
  size_t units;              /* conv, dense */
  size_t taps;               /* conv: width of the kernel; pool: of the window */
  size_t dilation, groups;   /* conv */
  size_t stride;             /* pool */
  int same;                  /* conv, pool: padded so that length / stride outputs, rounded up,
                              * remain; of an odd sum of padding the right gets more */
  int bias;                  /* conv, dense */
  size_t crop[2];            /* positions dropped on the left and on the right */
  mrl_activation activation; /* activation */
  double value;              /* slope of a leaky rectifier; rate of a dropout, in [0, 1); epsilon of
                              * a batch norm */
} mrl_seq_layer;

typedef struct {
  mrl_seq_layer layer;
  size_t length, width;
  size_t pad;          /* positions added on the left */
  size_t weight, bias; /* offsets: weights and bias, or scale and shift of batch norm */
  size_t mean, var;    /* offsets of statistics */
  size_t n_weights;    /* of conv and dense */
  size_t n_users;      /* layers that take this node as an input */
  size_t output_at;    /* place among the outputs; SIZE_MAX: not an output */
} mrl_seq_node;

typedef struct {
  size_t n_nodes, n_outputs; /* n_outputs: numbers */
  size_t n_params, n_statistics, n_load;
  mrl_seq_node *node; /* (n_nodes) */
} mrl_seqnet;

/*
 * Lays a net out over an arena (a measuring one leaves *net unusable, and checks nothing). outputs
 * (n_outputs), all different. MRL_BAD_ARGUMENT for a layer out of range or more letters than
 * MRL_SEQ_MAX_LETTERS, MRL_TOO_FEW where an input is shorter than a layer needs, MRL_NO_MEMORY;
 * *bad is then the number of the layer, from 0, or n_layers if it is an output or a size.
 */
mrl_status mrl_seqnet_carve(mrl_seqnet *net, size_t *bad, mrl_arena *arena,
                            const mrl_seq_layer *layers, size_t n_layers, const size_t *outputs,
                            size_t n_outputs, size_t length, size_t n_letters);

/* params (n_params), statistics (n_statistics) out; values (n_load). */
void mrl_seqnet_load(mrl_real *params, mrl_real *statistics, const mrl_seqnet *net,
                     const double *values);

/*
 * A plan to evaluate a net: layers fused into steps, weights packed. A step computes rows need[0]
 * .. need[1] - 1 of u = a1 z + c1, y = (a2 act(u) + c2) mask.
 */
typedef enum {
  MRL_STEP_INPUT,
  MRL_STEP_COPY,
  MRL_STEP_CONV,
  MRL_STEP_DENSE,
  MRL_STEP_MAX,
  MRL_STEP_AVERAGE,
  MRL_STEP_GLOBAL_MAX,
  MRL_STEP_GLOBAL_AVERAGE,
  MRL_STEP_GLOBAL_LSE,
  MRL_STEP_CROP,
  MRL_STEP_FLATTEN,
  MRL_STEP_ADD
} mrl_step_op;

typedef struct {
  mrl_step_op op;
  size_t node;           /* whose layer it computes, without what is fused behind */
  size_t in[2];          /* steps */
  size_t length, width;  /* of its value */
  size_t ld;             /* mrl_pad(width) */
  size_t need[2];        /* the rows that outputs depend on */
  mrl_conv_weights conv; /* conv, dense */
  mrl_conv_weights spread;
  int spreads, in_is_input; /* conv: by mrl_conv_spread(); straight from letters */
  mrl_seq_affine affine;
  mrl_real *mask;           /* (length, ld) or NULL */
  double rate;              /* of its dropout, 0 where there is no mask */
  int is_linear, is_plain;  /* act is the identity; and y = z */
  int is_output, is_shared; /* is_shared: others see it before all that could follow */
} mrl_seq_step;

typedef struct {
  const mrl_seqnet *net;
  mrl_isa isa;
  size_t n_steps;
  mrl_seq_step *step; /* (n_steps) */
  size_t *of_node;    /* (n_nodes) the step that a node is in */
  int *is_behind;     /* (n_nodes) a batch norm behind the activation of its step */
  mrl_real unknown;   /* what an unknown letter is at each letter */
  mrl_real *turned;   /* scratch of folding */
} mrl_seq_plan;

/*
 * The steps of a net over an arena (a measuring one leaves *plan unusable), and then the memory
 * that they need, which only the steps tell. with_dropout: whether there are masks; without,
 * dropout is the identity. MRL_NO_MEMORY.
 */
mrl_status mrl_seq_plan_steps(mrl_seq_plan *plan, mrl_arena *arena, const mrl_seqnet *net,
                              int with_dropout, mrl_isa isa);
mrl_status mrl_seq_plan_carve(mrl_seq_plan *plan, mrl_arena *arena);

/* Packs the weights and folds batch norm in. Masks are drawn from (seed, member): the same for all
 * sequences, scaled so that the expectation stays. */
void mrl_seq_plan_fold(mrl_seq_plan *plan, const mrl_real *params, const mrl_real *statistics,
                       mrl_real unknown, uint64_t seed, uint64_t member);

/* The tensors of one sequence. */
typedef struct {
  mrl_real **u, **y; /* (n_steps) each (length, ld); u is y where the step is linear */
} mrl_seq_state;

mrl_status mrl_seq_state_carve(mrl_seq_state *state, mrl_arena *arena, const mrl_seq_plan *plan);

/* All steps for the codes (length) of one sequence, on one thread. */
void mrl_seq_forward(mrl_seq_state *state, const mrl_seq_plan *plan, const uint8_t *code);
/* out (n_outputs) of a state. */
void mrl_seq_outputs(double *out, const mrl_seq_state *state, const mrl_seq_plan *plan);
/* Products between two polls, for each thread: it does as many and more in 0.05 s. */
enum { MRL_SEQ_REGION = 1000000000 };
/* About how many products and other operations a forward pass takes. */
double mrl_seq_products(const mrl_seq_plan *plan);

/* The taps range[0] .. range[1] - 1 of a convolution with 0 <= base + tap dilation < length. */
void mrl_seq_taps(size_t range[2], ptrdiff_t base, size_t dilation, size_t taps, size_t length);
/* The positions window[0] .. window[1] - 1 that output t of a pool takes in. */
void mrl_seq_window(size_t window[2], const mrl_seq_plan *plan, const mrl_seq_step *step,
                    ptrdiff_t t);

/* out (n_outputs, n): the outputs of n sequences, whose codes (length, n) lie one behind the other.
 * Threads take sequences. scratch: mrl_seq_predict_scratch() bytes. MRL_NO_MEMORY. */
size_t mrl_seq_predict_scratch(const mrl_seq_plan *plan, const mrl_ctx *ctx);
mrl_status mrl_seq_predict(double *out, const mrl_seq_plan *plan, const uint8_t *code, size_t n,
                           void *scratch, const mrl_ctx *ctx);

#endif
