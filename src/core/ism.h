/*
 * In-silico mutagenesis: what substitutions of one letter change in the outputs of a net, exactly
 * and without recomputing what they do not reach.
 *
 * The tensors of the reference are kept, and changes against them are carried from step to step,
 * each on the interval that a substitution reaches: a convolution is linear, so that its change is
 * the convolution of the change, from the first layer's table of letters to the rows of a dense
 * layer's weights that the interval meets. Variants that stand close together go as one batch, all
 * with intervals of one width, each from a start of its own, so that their products are one.
 * Nothing depends on how variants are batched, or on threads.
 */
#ifndef MRL_ISM_H
#define MRL_ISM_H

#include "seqnet.h"

typedef struct {
  uint32_t sequence, position; /* from 0 */
  uint8_t alt;                 /* code of the letter put there */
} mrl_variant;

typedef struct {
  const mrl_seq_plan *plan;
  size_t batch, span;     /* most variants of a batch, and most positions from first to last */
  double cost;            /* products for one variant, about */
  ptrdiff_t *reach;       /* (length, n_steps) first row that a substitution changes; may be < 0 */
  size_t *width;          /* (n_steps) rows from there on */
  size_t *rows;           /* (n_steps) most rows that are computed */
  size_t *slot;           /* (n_steps) the buffer that holds their change */
  size_t *slot_size;      /* (n_steps) */
  size_t n_slots, n_work; /* n_work: numbers of scratch */
  mrl_real **table;       /* (n_steps) (taps, letters + 1, ld): a letter through the first layer */
} mrl_ism;

/* Plans for a plan whose steps are known; the tables need its weights: mrl_ism_fold() fills them,
 * again whenever the plan is folded again. MRL_NO_MEMORY. */
mrl_status mrl_ism_carve(mrl_ism *ism, mrl_arena *arena, const mrl_seq_plan *plan);
void mrl_ism_fold(mrl_ism *ism);

/*
 * effect (n_outputs, n): outputs of the variant less those of its sequence. code (length, number of
 * sequences); variants (n), in order of sequence and position, alt below the number of letters.
 * scratch: mrl_ism_scratch() bytes. MRL_BAD_ARGUMENT if the order is another, MRL_NO_MEMORY,
 * MRL_NOT_FINITE.
 */
size_t mrl_ism_scratch(const mrl_ism *ism, const mrl_ctx *ctx);
mrl_status mrl_ism_run(double *effect, const mrl_ism *ism, const uint8_t *code,
                       const mrl_variant *variants, size_t n, void *scratch, const mrl_ctx *ctx);

#endif
