/*
 * Tiles: the pieces that a batch is computed in, and the functions that a net is handed to fill its
 * input and to judge its output.
 *
 * A batch of rows passes through a net tile by tile. A tensor of a tile is column-major (net rows,
 * width; ld): the rows are contiguous, so that loops over a column vectorise whatever the width,
 * and a tile of all layers stays in the second-level cache.
 */
#ifndef MRL_TILE_H
#define MRL_TILE_H

#include "gemm.h"
#include "real.h"
#include "status.h"

/*
 * The rows of the data that a tile holds. A net may be evaluated `group` times for each row, as
 * where a loss averages over quantiles or draws: evaluation k of row[i] is net row i + k * rows.
 */
typedef struct {
  const size_t *row; /* (rows) which rows of the data */
  size_t rows;       /* at least 1 */
  size_t group;      /* at least 1 */
  size_t ld;         /* leading dimension of x, output and d_output; a multiple of MRL_LANES */
  size_t first;      /* place of row[0] in the batch */
  size_t epoch;      /* of training, from 0; together with row[i] it keys random streams */
  mrl_real scale;    /* factor of d_output: 1 / rows of the batch */
  mrl_isa isa;       /* usable (see mrl_isa_usable) */
} mrl_tile;

static inline size_t mrl_tile_net_rows(const mrl_tile *tile)
{
  return tile->rows * tile->group;
}

/*
 * Both may be called from several threads at once, for different tiles, and touch no R. A status
 * other than MRL_OK ends the computation and is returned.
 *
 * fill: x (rows * group, inputs; ld) out.
 * loss: *value out, the sum over the rows of weight times loss; unless NULL, d_output (rows *
 * group, outputs; ld) out, scale times the gradient of that sum. output as d_output.
 */
typedef mrl_status mrl_fill_fn(mrl_real *x, const mrl_tile *tile, const void *data);
typedef mrl_status mrl_loss_fn(double *value, mrl_real *d_output, const mrl_real *output,
                               const mrl_tile *tile, const void *data);

#endif
