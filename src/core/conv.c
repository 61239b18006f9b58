#include "conv.h"

#include <string.h>

enum { PANEL_REGISTERS = 3, MOST_COLUMNS = 8 };

typedef struct {
  size_t lanes, n_in, n_taps;
  size_t w_tap, x_col, x_tap, z_col;
} conv_strides;

typedef void conv_kernel(mrl_real *, const mrl_real *, const mrl_real *, const conv_strides *);

typedef struct {
  size_t len;  /* numbers in a register */
  size_t cols; /* columns of a full tile */
  conv_kernel *kernel[PANEL_REGISTERS][MOST_COLUMNS];
  void (*add_to)(mrl_real *, const mrl_real *, size_t);
} conv_kernels;

#define KERNEL_FILE "conv_kernel.h"
#define KERNEL_OF(name, isa) conv_##name##_##isa
#define KERNELS conv_kernels
#include "real_isa.h"

/* Panels of one register where groups are narrow, so that few weights between groups are stored as
 * zeros; else as even as up to three registers allow. */
static size_t count_panels(const mrl_conv_shape *shape)
{
  const size_t registers = mrl_pad(shape->out) / MRL_LANES;
  return shape->groups > 1 ? registers : (registers + PANEL_REGISTERS - 1) / PANEL_REGISTERS;
}

/* Fills the panels in and returns how many numbers they take. */
static size_t lay_panels(mrl_conv_panel *panel, size_t n_panels, const mrl_conv_shape *shape)
{
  const size_t registers = mrl_pad(shape->out) / MRL_LANES;
  const size_t group_in = shape->in / shape->groups, group_out = shape->out / shape->groups;
  size_t at = 0;
  for (size_t p = 0; p < n_panels; p++) {
    const size_t first = registers * p / n_panels * MRL_LANES;
    const size_t end = registers * (p + 1) / n_panels * MRL_LANES;
    const size_t last_group = (mrl_least(end, shape->out) - 1) / group_out;
    const mrl_conv_panel this = {
        .first_out = first,
        .lanes = end - first,
        .first_in = first / group_out * group_in,
        .n_in = (last_group - first / group_out + 1) * group_in,
        .at = at,
    };
    at += shape->taps * this.n_in * this.lanes;
    if (panel) {
      panel[p] = this;
    }
  }
  return at;
}

mrl_status mrl_conv_carve(mrl_conv_weights *weights, mrl_arena *arena, const mrl_conv_shape *shape)
{
  weights->shape = *shape;
  weights->n_panels = count_panels(shape);
  weights->panel = MRL_TAKE(arena, mrl_conv_panel, weights->n_panels);
  const size_t n = lay_panels(weights->panel, weights->n_panels, shape);
  weights->packed = MRL_TAKE(arena, mrl_real, n);
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

/* The weight between an input and an output channel, 0 between groups. */
static mrl_real weight_at(const mrl_real *w, const mrl_conv_shape *shape, size_t tap, size_t in,
                          size_t out)
{
  const size_t group_in = shape->in / shape->groups, group_out = shape->out / shape->groups;
  if (out >= shape->out || in / group_in != out / group_out) {
    return 0;
  }
  return w[(tap * group_in + in % group_in) * shape->out + out];
}

void mrl_conv_pack(mrl_conv_weights *weights, const mrl_real *w)
{
  const mrl_conv_shape *shape = &weights->shape;
  for (size_t p = 0; p < weights->n_panels; p++) {
    const mrl_conv_panel *panel = weights->panel + p;
    mrl_real *to = weights->packed + panel->at;
    for (size_t k = 0; k < shape->taps; k++) {
      for (size_t i = 0; i < panel->n_in; i++) {
        for (size_t j = 0; j < panel->lanes; j++) {
          *to++ = weight_at(w, shape, k, panel->first_in + i, panel->first_out + j);
        }
      }
    }
  }
}

static void multiply_panel(mrl_real *z, const mrl_real *x, const mrl_real *w, size_t n_cols,
                           const conv_strides *s, const conv_kernels *ks)
{
  for (size_t j = 0; j < n_cols; j += ks->cols) {
    const size_t cols = mrl_least(ks->cols, n_cols - j);
    for (size_t i = 0; i < s->lanes; i += PANEL_REGISTERS * ks->len) {
      const size_t registers = mrl_least(PANEL_REGISTERS, (s->lanes - i) / ks->len);
      ks->kernel[registers - 1][cols - 1](z + j * s->z_col + i, x + j * s->x_col, w + i, s);
    }
  }
}

void mrl_conv_product(mrl_real *z, const mrl_real *x, const mrl_conv_weights *weights,
                      const mrl_conv_columns *columns, mrl_isa isa)
{
  for (size_t p = 0; p < weights->n_panels; p++) {
    const mrl_conv_panel *panel = weights->panel + p;
    const conv_strides s = {
        .lanes = panel->lanes,
        .n_in = panel->n_in,
        .n_taps = columns->n_taps,
        .w_tap = panel->n_in * panel->lanes,
        .x_col = columns->x_col,
        .x_tap = columns->x_tap,
        .z_col = columns->z_col,
    };
    const mrl_real *w = weights->packed + panel->at + columns->first_tap * s.w_tap;
    multiply_panel(z + panel->first_out, x + panel->first_in, w, columns->n_cols, &s,
                   conv_table_for(isa));
  }
}

int mrl_conv_spreads(mrl_conv_shape *spread, const mrl_conv_shape *shape, size_t dilation)
{
  spread->taps = 1;
  spread->in = shape->in;
  spread->out = shape->out * mrl_pad(shape->taps);
  spread->groups = 1;
  return dilation == 1 && shape->groups == 1 && shape->taps > 1 &&
         2 * spread->out <= shape->taps * mrl_pad(shape->out);
}

void mrl_conv_turn(mrl_real *turned, const mrl_real *w, const mrl_conv_shape *shape)
{
  const size_t lanes = mrl_pad(shape->taps), row = shape->out * lanes;
  memset(turned, 0, shape->in * row * sizeof *turned);
  for (size_t k = 0; k < shape->taps; k++) {
    for (size_t i = 0; i < shape->in; i++) {
      for (size_t o = 0; o < shape->out; o++) {
        turned[i * row + o * lanes + shape->taps - 1 - k] = w[(k * shape->in + i) * shape->out + o];
      }
    }
  }
}

void mrl_conv_spread(mrl_real *sum, size_t sum_ld, const mrl_real *x, size_t x_row, size_t n_rows,
                     const mrl_conv_weights *weights, size_t out, mrl_real *work, mrl_isa isa)
{
  const conv_kernels *ks = conv_table_for(isa);
  const size_t all = weights->shape.out, lanes = all / out;
  for (size_t r = 0; r < n_rows; r += MRL_SPREAD_ROWS) {
    const size_t rows = mrl_least(MRL_SPREAD_ROWS, n_rows - r);
    const mrl_conv_columns columns = {rows, all, x_row, 0, 0, 1};
    mrl_conv_product(work, x + r * x_row, weights, &columns, isa);
    for (size_t i = 0; i < rows; i++) {
      for (size_t o = 0; o < out; o++) {
        ks->add_to(sum + o * sum_ld + r + i, work + i * all + o * lanes, lanes);
      }
    }
  }
}
