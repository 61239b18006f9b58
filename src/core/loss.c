#include "loss.h"

#include <string.h>

/* The losses of a strip of at most MRL_LANES rows, see loss_kernel.h. */
typedef struct {
  void (*strip)(mrl_real *, mrl_real *, const mrl_real *, const mrl_real *, const mrl_real *,
                size_t, const mrl_tile *, const mrl_loss *);
} loss_kernels;

#define KERNEL_FILE "loss_kernel.h"
#define KERNEL_OF(name, isa) loss_##name##_##isa
#define KERNELS loss_kernels
#include "real_isa.h"

/* Whether the loss is a sum of losses of single outputs. */
static int is_separable(mrl_loss_kind kind)
{
  return kind == MRL_LOSS_SQUARED || kind == MRL_LOSS_HUBER || kind == MRL_LOSS_BINARY;
}

static int takes_group(mrl_loss_kind kind)
{
  return kind == MRL_LOSS_SQUARED || kind == MRL_LOSS_BINARY || kind == MRL_LOSS_PRODUCT;
}

static int outputs_fit(const mrl_loss *loss)
{
  switch (loss->kind) {
  case MRL_LOSS_GAUSSIAN:
    return loss->outputs == 2;
  case MRL_LOSS_MIXTURE:
    return loss->outputs >= 3 && loss->outputs % 3 == 0;
  case MRL_LOSS_PRODUCT:
    return loss->outputs == 1;
  default:
    return loss->outputs >= 1;
  }
}

static int levels_fit(const mrl_loss *loss)
{
  int ok = loss->tau != NULL;
  for (size_t j = 0; ok && j < loss->outputs; j++) {
    ok = loss->tau[j] > 0 && loss->tau[j] < 1;
  }
  return ok;
}

mrl_status mrl_loss_check(const mrl_loss *loss, size_t group)
{
  int ok = (size_t)loss->kind < MRL_N_LOSS && outputs_fit(loss) && loss->y && group >= 1;
  ok = ok && (loss->targets == 1 || (is_separable(loss->kind) && loss->targets == loss->outputs));
  ok = ok && (group == 1 || takes_group(loss->kind));
  ok = ok && (loss->kind != MRL_LOSS_PRODUCT || group % 2 == 0);
  ok = ok && (loss->kind != MRL_LOSS_PINBALL || levels_fit(loss));
  ok = ok && (loss->kind != MRL_LOSS_HUBER || loss->delta > 0);
  return ok ? MRL_OK : MRL_BAD_ARGUMENT;
}

/* Adds the losses of the rows i .. i + count - 1 (count <= MRL_LANES) in outputs j .. */
static double strip_loss(mrl_real *d, const mrl_real *o, size_t i, size_t count, size_t j,
                         const mrl_tile *tile, const mrl_loss *loss)
{
  mrl_real y[MRL_LANES] = {0}, weight[MRL_LANES] = {0}, value[MRL_LANES];
  const size_t target = loss->targets > 1 ? j : 0;
  for (size_t l = 0; l < count; l++) {
    const size_t row = tile->row[i + l];
    y[l] = loss->y[row * loss->targets + target];
    weight[l] = loss->weight ? loss->weight[row] : 1;
  }
  const size_t at = i + j * tile->ld;
  loss_table_for(tile->isa)->strip(value, d ? d + at : NULL, o + at, y, weight, count, tile, loss);
  double sum = 0;
  for (size_t l = 0; l < count; l++) {
    sum += (double)value[l];
  }
  return sum;
}

mrl_status mrl_loss_tile(double *value, mrl_real *d_output, const mrl_real *output,
                         const mrl_tile *tile, const void *data)
{
  const mrl_loss *loss = data;
  const size_t passes = is_separable(loss->kind) ? loss->outputs : 1;
  *value = 0;
  for (size_t j = 0; j < passes; j++) {
    for (size_t i = 0; i < tile->rows; i += MRL_LANES) {
      const size_t rest = tile->rows - i, count = rest < MRL_LANES ? rest : MRL_LANES;
      *value += strip_loss(d_output, output, i, count, j, tile, loss);
    }
  }
  return MRL_OK;
}
