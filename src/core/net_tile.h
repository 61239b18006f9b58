/* The passes of one tile; for net_tile.c and net_step.c only. */
#ifndef MRL_NET_TILE_H
#define MRL_NET_TILE_H

#include "net.h"

/*
 * What a pass does with each tile: fills the input if `fill`; runs the stages forward .. end - 1;
 * takes the moments of the input of batch norm `moments`; judges the output if `loss`; and goes
 * backward from stage `back` - 1 (or from the batch norm `renew`, whose sums are complete) down to
 * the batch norm `stop` or to the input. NONE where there is no such stage.
 */
#define NONE SIZE_MAX

typedef struct {
  mrl_net_run *run;
  const mrl_real *params;
  const mrl_batch *batch;
  int fill, loss, backward;
  size_t forward, end;
  size_t moments;
  size_t renew, back, stop;
  double value[MRL_SLOTS]; /* sums of the loss */
} mrl_pass;

/* Slots among which so many tiles are dealt, and the first tile of each; that of slot number
 * slots_for() is the end. */
static inline size_t slots_for(size_t tiles)
{
  return tiles < MRL_SLOTS ? tiles : MRL_SLOTS;
}

static inline size_t slot_begin(size_t tiles, size_t slot)
{
  return tiles * slot / slots_for(tiles);
}

/* Tile t, the first or a later one of its slot. */
mrl_status mrl_pass_tile(mrl_pass *pass, size_t t, size_t slot, int is_first,
                         mrl_net_thread *thread);

/* Tile t all through the net without keeping anything; adds to the sum of its slot. */
mrl_status mrl_pass_evaluate(mrl_pass *pass, size_t t, size_t slot, mrl_net_thread *thread);

#endif
