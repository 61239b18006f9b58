/* What ism.c and ism_pass.c share: the memory of a thread, and the pass of one batch through it. */
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

#endif
