/* What the files of mutagenesis share: the memory of a thread, and the pass of one batch through
 * it. */
#ifndef MRL_ISM_PART_H
#define MRL_ISM_PART_H

#include "ism.h"

typedef struct {
  mrl_seq_state state;
  size_t sequence;   /* whose tensors the state holds; SIZE_MAX: none */
  size_t n_variants; /* of the batch */
  mrl_real **change; /* (n_slots) row t of variant v at (t * n_variants + v) * ld */
  ptrdiff_t *start;  /* (batch, n_steps) position of row 0 */
  size_t *rows;      /* (n_steps) */
  mrl_real **before; /* (n_steps) of global pools (length + 1, ld): over the rows before */
  mrl_real **behind; /* (n_steps) the same over this row and those behind */
  mrl_real *work;
} mrl_ism_thread;

mrl_status mrl_ism_thread_carve(mrl_ism_thread *thread, mrl_arena *arena, const mrl_ism *ism);
/* The reference of a sequence with these codes (length). */
void mrl_ism_refer(mrl_ism_thread *thread, const mrl_ism *ism, const uint8_t *code);
/* effect (n_outputs, n_variants): of n_variants that fit a batch. */
void mrl_ism_pass(double *effect, mrl_ism_thread *thread, const mrl_ism *ism, const uint8_t *code,
                  const mrl_variant *variants, size_t n_variants);

static inline int is_global(const mrl_seq_step *step)
{
  return step->op == MRL_STEP_GLOBAL_MAX || step->op == MRL_STEP_GLOBAL_LSE;
}

/* A batch on its way: n variants of one sequence, whose codes are (length). */
typedef struct {
  mrl_ism_thread *thread;
  const mrl_ism *ism;
  const mrl_seq_plan *plan;
  const uint8_t *code;
  const mrl_variant *variants;
  size_t n;
} ism_batch;

/* Positions (n) of row 0 of a step, and its rows. */
static inline ptrdiff_t *start_of(const ism_batch *b, size_t s)
{
  return b->thread->start + s * b->ism->batch;
}

static inline mrl_real *change_of(const ism_batch *b, size_t s)
{
  return b->thread->change[b->ism->slot[s]];
}

/* Change of input position `at` of variant v, or NULL where there is none. */
static inline const mrl_real *row_at(const ism_batch *b, size_t s, size_t v, size_t at)
{
  const ptrdiff_t row = (ptrdiff_t)at - start_of(b, s)[v];
  if (row < 0 || row >= (ptrdiff_t)b->thread->rows[s]) {
    return NULL;
  }
  return change_of(b, s) + ((size_t)row * b->n + v) * b->plan->step[s].ld;
}

/* The part of an interval inside the sequence. */
static inline void inside(size_t range[2], const ism_batch *b, size_t s, size_t v)
{
  const ptrdiff_t first = start_of(b, s)[v], end = first + (ptrdiff_t)b->thread->rows[s];
  const ptrdiff_t length = (ptrdiff_t)b->plan->step[s].length;
  range[0] = first < 0 ? 0 : first < length ? (size_t)first : (size_t)length;
  range[1] = end < 0 ? 0 : end < length ? (size_t)end : (size_t)length;
}

/* From z to y in rows first .. end - 1 of step s. */
void mrl_ism_finish(const ism_batch *b, size_t s, size_t first, size_t end);
/* The steps of ism_pool.c: rows are pooled, added or moved. mrl_ism_sum also copies and crops. */
void mrl_ism_pool(const ism_batch *b, size_t s);
void mrl_ism_mean(const ism_batch *b, size_t s);
void mrl_ism_global(const ism_batch *b, size_t s);
void mrl_ism_flatten(const ism_batch *b, size_t s);
void mrl_ism_sum(const ism_batch *b, size_t s);
/* Of the reference, what a global pool needs of the rows beside an interval. */
void mrl_ism_accumulate(mrl_ism_thread *thread, const mrl_ism *ism, size_t s);

#endif
