#include "iv_latent_net.h"

enum { MOST_MONOMIALS = 65535 };

size_t mrl_monomials_count(size_t n_vars, size_t degree)
{
  double count = 1;
  for (size_t k = 1; k <= degree; k++) {
    count = count * (double)(n_vars + k) / (double)k;
    if (!(count - 1 <= MOST_MONOMIALS)) {
      return 0;
    }
  }
  return (size_t)(count + 0.5) - 1;
}

mrl_status mrl_monomials_carve(mrl_monomials *m, mrl_arena *arena, size_t n_vars, size_t degree)
{
  const size_t n = n_vars > 0 && degree > 0 ? mrl_monomials_count(n_vars, degree) : 0;
  if (n == 0) {
    return MRL_BAD_ARGUMENT;
  }
  *m = (mrl_monomials){n_vars, n, MRL_TAKE(arena, size_t, n), MRL_TAKE(arena, size_t, n)};
  if (arena->failed) {
    return MRL_NO_MEMORY;
  }
  if (!m->parent) {
    return MRL_OK;
  }
  for (size_t j = 0; j < n_vars; j++) {
    m->parent[j] = j;
    m->var[j] = j;
  }
  size_t from = 0, end = n_vars; /* those of the degree before */
  for (size_t k = 2, at = n_vars; k <= degree; k++) {
    for (size_t i = from; i < end; i++) {
      for (size_t j = m->var[i]; j < n_vars; j++, at++) {
        m->parent[at] = i;
        m->var[at] = j;
      }
    }
    from = end;
    end = at;
  }
  return MRL_OK;
}

void mrl_monomials_fill(mrl_real *x, const mrl_monomials *m, size_t rows, size_t ld)
{
  for (size_t k = m->n_vars; k < m->n; k++) {
    const mrl_real *a = x + m->parent[k] * ld, *b = x + m->var[k] * ld;
    mrl_real *out = x + k * ld;
    for (size_t i = 0; i < rows; i++) {
      out[i] = a[i] * b[i];
    }
  }
}

void mrl_monomials_back(mrl_real *d, const mrl_real *x, const mrl_monomials *m, size_t rows,
                        size_t ld)
{
  for (size_t k = m->n; k-- > m->n_vars;) {
    const size_t a = m->parent[k] * ld, b = m->var[k] * ld;
    const mrl_real *own = d + k * ld;
    for (size_t i = 0; i < rows; i++) {
      const mrl_real to_a = own[i] * x[b + i], to_b = own[i] * x[a + i];
      d[a + i] += to_a;
      d[b + i] += to_b;
    }
  }
}

mrl_status mrl_coder_carve(mrl_coder_net *to, mrl_arena *arena, const mrl_coder *coder,
                           size_t n_inputs, size_t n_outputs, int with_norm)
{
  mrl_layer layers[3 * MRL_CODE_HIDDEN + 1];
  size_t n = 0;
  const int is_mlp = coder->kind == MRL_CODE_MLP;
  if ((size_t)coder->kind >= MRL_N_CODE || (is_mlp && coder->n_hidden > MRL_CODE_HIDDEN)) {
    return MRL_BAD_ARGUMENT;
  }
  MRL_TRY(mrl_monomials_carve(&to->monomials, arena, n_inputs,
                              coder->kind == MRL_CODE_POLY ? coder->degree : 1));
  for (size_t i = 0; is_mlp && i < coder->n_hidden; i++) {
    if (coder->hidden[i] < 1) {
      return MRL_BAD_ARGUMENT;
    }
    layers[n++] = (mrl_layer){.kind = MRL_LAYER_DENSE, .units = (size_t)coder->hidden[i]};
    if (with_norm) {
      layers[n++] = (mrl_layer){.kind = MRL_LAYER_NORM};
    }
    layers[n++] = (mrl_layer){.kind = MRL_LAYER_ACTIVATION, .activation = MRL_RELU};
  }
  layers[n++] = (mrl_layer){.kind = MRL_LAYER_DENSE, .units = n_outputs};
  return mrl_net_carve(&to->net, arena, layers, n, to->monomials.n);
}

mrl_status mrl_coder_fill_rows(mrl_real *x, const mrl_tile *tile, const void *data)
{
  const mrl_coder_rows *rows = data;
  const size_t p = rows->monomials->n_vars;
  for (size_t i = 0; i < tile->rows; i++) {
    const mrl_real *from = rows->x + tile->row[i] * p;
    for (size_t j = 0; j < p; j++) {
      x[i + j * tile->ld] = from[j];
    }
  }
  mrl_monomials_fill(x, rows->monomials, tile->rows, tile->ld);
  return MRL_OK;
}

/* How many of a tile's rows from `at` on lie in one block of latents of `batch` rows and width d;
 * *place: of the first of them in the block's first column. */
static size_t stretch(size_t *place, const mrl_tile *tile, size_t at, size_t batch, size_t d)
{
  const size_t row = tile->first + at, from = row % batch, left = tile->rows - at;
  *place = row / batch * d * batch + from;
  return batch - from < left ? batch - from : left;
}

mrl_status mrl_coder_fill_latents(mrl_real *x, const mrl_tile *tile, const void *data)
{
  const mrl_coder_latents *latents = data;
  for (size_t at = 0, place, count; at < tile->rows; at += count) {
    count = stretch(&place, tile, at, latents->batch, latents->width);
    for (size_t j = 0; j < latents->monomials->n_vars; j++) {
      const double *column = latents->x + place + (latents->first + j) * latents->batch;
      for (size_t i = 0; i < count; i++) {
        x[at + i + j * tile->ld] = (mrl_real)column[i];
      }
    }
  }
  mrl_monomials_fill(x, latents->monomials, tile->rows, tile->ld);
  return MRL_OK;
}

mrl_status mrl_coder_keep(double *value, mrl_real *d_output, const mrl_real *output,
                          const mrl_tile *tile, const void *data)
{
  const mrl_coder_blocks *to = data;
  (void)d_output;
  *value = 0;
  for (size_t at = 0, place, count; at < tile->rows; at += count) {
    count = stretch(&place, tile, at, to->batch, to->d);
    for (size_t j = 0; j < to->d; j++) {
      double *column = to->x + place + j * to->batch;
      for (size_t i = 0; i < count; i++) {
        column[i] = (double)output[at + i + j * tile->ld];
      }
    }
  }
  return MRL_OK;
}

void mrl_coder_add_input(double *dx, const mrl_real *d, const mrl_tile *tile,
                         const mrl_coder_latents *latents, double weight)
{
  for (size_t at = 0, place, count; at < tile->rows; at += count) {
    count = stretch(&place, tile, at, latents->batch, latents->width);
    for (size_t j = 0; j < latents->monomials->n_vars; j++) {
      double *column = dx + place + (latents->first + j) * latents->batch;
      for (size_t i = 0; i < count; i++) {
        column[i] += weight * (double)d[at + i + j * tile->ld];
      }
    }
  }
}

void mrl_coder_take_output(mrl_real *d, const double *dx, const mrl_tile *tile, size_t d_vars,
                           size_t batch)
{
  for (size_t at = 0, place, count; at < tile->rows; at += count) {
    count = stretch(&place, tile, at, batch, d_vars);
    for (size_t j = 0; j < d_vars; j++) {
      for (size_t i = 0; i < count; i++) {
        d[at + i + j * tile->ld] = (mrl_real)dx[place + i + j * batch];
      }
    }
  }
}
