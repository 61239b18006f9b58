#include "iv_first.h"

#include <math.h>

static size_t outputs_of(const mrl_first_settings *s)
{
  switch (s->kind) {
  case MRL_FIRST_QUANTILE:
    return s->parts + (s->non_crossing ? 1 : 0);
  case MRL_FIRST_MIXTURE:
    return 3 * s->parts;
  default:
    return 2;
  }
}

mrl_status mrl_first_carve(mrl_first *first, mrl_arena *arena, const mrl_first_settings *s,
                           size_t n_z, size_t n_w)
{
  const size_t most = s->kind == MRL_FIRST_QUANTILE ? MRL_QUANTILES_MOST : MRL_COMPONENTS_MOST;
  mrl_first out = {.settings = *s, .n_z = n_z, .n_w = n_w, .n_inputs = n_z + n_w};
  mrl_mlp mlp = s->mlp;
  if (n_z < 1 || (size_t)s->kind >= MRL_N_FIRST || s->parts < 1 || s->parts > most) {
    return MRL_BAD_ARGUMENT;
  }
  if (s->kind == MRL_FIRST_RIDGE) {
    mlp.n_hidden = 0; /* its net is not used */
  }
  const int ordered = s->kind == MRL_FIRST_QUANTILE && s->non_crossing;
  out.n_features = mrl_mlp_features(&mlp);
  out.n_location = 2 + out.n_inputs + out.n_features;
  out.level = MRL_TAKE(arena, double, s->parts);
  out.normal = MRL_TAKE(arena, double, s->parts);
  out.tau = MRL_TAKE(arena, mrl_real, s->parts);
  out.gap = MRL_TAKE(arena, mrl_real, s->parts);
  *first = out;
  MRL_TRY(mrl_mlp_carve(&first->net, arena, &mlp, out.n_inputs, outputs_of(s),
                        ordered ? MRL_SOFTPLUS : MRL_IDENTITY));
  MRL_TRY(mrl_mlp_trunk_carve(&first->trunk, arena, &mlp, out.n_inputs));
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

void mrl_first_start(mrl_first *first)
{
  const double *normal = first->normal;
  if (first->settings.kind != MRL_FIRST_QUANTILE) {
    return;
  }
  mrl_quantile_nodes(first->level, first->normal, first->settings.parts, first->settings.matched);
  first->start = (mrl_real)normal[0];
  for (size_t k = 0; k < first->settings.parts; k++) {
    first->tau[k] = (mrl_real)first->level[k];
    first->gap[k] = (mrl_real)(k == 0 ? 1 : (normal[k] - normal[k - 1]) / log(2));
  }
}

static double pinball(mrl_real *slope, mrl_real r, mrl_real tau)
{
  *slope = r > 0 ? -tau : r < 0 ? 1 - tau : 0;
  return (double)(r > 0 ? tau * r : (tau - 1) * r);
}

/*
 * The pinball loss of non-crossing quantiles. The gradient of the quantiles stands in d until it is
 * summed from above: quantile k moves with the outputs 1 .. k and against output 0.
 */
static double row_loss(mrl_real *d, const mrl_real *s, size_t ld, mrl_real x, mrl_real factor,
                       const mrl_first *first)
{
  mrl_real quantile = first->start - s[0], sum = 0;
  double value = 0;
  for (size_t k = 0; k < first->settings.parts; k++) {
    mrl_real slope;
    quantile += first->gap[k] * s[(k + 1) * ld];
    value += pinball(&slope, x - quantile, first->tau[k]);
    if (d) {
      d[(k + 1) * ld] = slope * factor;
    }
  }
  for (size_t k = first->settings.parts; d && k > 0; k--) {
    sum += d[k * ld];
    d[k * ld] = sum * first->gap[k - 1];
  }
  if (d) {
    d[0] = -sum;
  }
  return value;
}

static mrl_status ordered_loss(double *value, mrl_real *d_output, const mrl_real *output,
                               const mrl_tile *tile, const void *data)
{
  const mrl_first_data *in = data;
  *value = 0;
  for (size_t i = 0; i < tile->rows; i++) {
    const size_t row = tile->row[i];
    const mrl_real weight = in->weight ? in->weight[row] : 1;
    *value += (double)weight * row_loss(d_output ? d_output + i : NULL, output + i, tile->ld,
                                        in->x[row], weight * tile->scale, in->first);
  }
  return MRL_OK;
}

mrl_task mrl_first_task(mrl_first_data *data, const size_t *train, size_t n_train,
                        const size_t *valid, size_t n_valid)
{
  static const mrl_loss_kind kinds[] = {MRL_LOSS_PINBALL, MRL_LOSS_GAUSSIAN, MRL_LOSS_MIXTURE};
  const mrl_first_settings *s = &data->first->settings;
  const mrl_loss loss = {.kind = kinds[s->kind],
                         .outputs = data->first->net.n_outputs,
                         .targets = 1,
                         .y = data->x,
                         .weight = data->weight,
                         .tau = data->first->tau};
  const int ordered = s->kind == MRL_FIRST_QUANTILE && s->non_crossing;
  data->loss = loss;
  const mrl_task task = {.train = train,
                         .valid = valid,
                         .n_train = n_train,
                         .n_valid = n_valid,
                         .group = 1,
                         .fill = mrl_fill_rows,
                         .fill_data = &data->input,
                         .loss = ordered ? ordered_loss : mrl_loss_tile,
                         .loss_data = ordered ? (const void *)data : &data->loss};
  return task;
}

/* What keeps the net's output as a law. */
typedef struct {
  mrl_law *law;
  const mrl_first *first;
} law_keeper;

/* Shapes are kept as deviations from the mean, which becomes the location. */
static void read_quantiles(const law_keeper *to, size_t row, const mrl_real *output, size_t ld)
{
  const size_t q = to->law->parts;
  const int ordered = to->first->settings.non_crossing;
  mrl_real *shape = to->law->shape + row * q, at = ordered ? to->first->start - output[0] : 0;
  double mean = 0;
  for (size_t k = 0; k < q; k++) {
    at = ordered ? at + to->first->gap[k] * output[(k + 1) * ld] : output[k * ld];
    shape[k] = at;
    mean += (double)at / (double)q;
  }
  for (size_t k = 0; k < q; k++) {
    shape[k] = (mrl_real)((double)shape[k] - mean);
  }
  to->law->location[row] = mean;
}

/* A standard deviation from its log, which far outside the data can be anything. */
static mrl_real sd_from(mrl_real log_sd)
{
  return (mrl_real)exp(fmin(fmax((double)log_sd, -12), 6));
}

static void read_mixture(const law_keeper *to, size_t row, const mrl_real *output, size_t ld)
{
  const size_t parts = to->law->parts;
  mrl_real *shape = to->law->shape + row * 3 * parts;
  double most = (double)output[0], total = 0, mean = 0;
  for (size_t c = 1; c < parts; c++) {
    most = fmax(most, (double)output[c * ld]);
  }
  for (size_t c = 0; c < parts; c++) {
    const double weight = exp((double)output[c * ld] - most);
    shape[c] = (mrl_real)weight;
    total += weight;
    mean += weight * (double)output[(parts + c) * ld];
  }
  mean /= total;
  for (size_t c = 0; c < parts; c++) {
    shape[c] = (mrl_real)((double)shape[c] / total);
    shape[parts + c] = (mrl_real)((double)output[(parts + c) * ld] - mean);
    shape[2 * parts + c] = sd_from(output[(2 * parts + c) * ld]);
  }
  to->law->location[row] = mean;
}

static mrl_status keep_law(double *value, mrl_real *d_output, const mrl_real *output,
                           const mrl_tile *tile, const void *data)
{
  const law_keeper *to = data;
  (void)d_output;
  *value = 0;
  for (size_t i = 0; i < tile->rows; i++) {
    const size_t row = tile->row[i];
    if (to->law->kind == MRL_FIRST_QUANTILE) {
      read_quantiles(to, row, output + i, tile->ld);
    } else if (to->law->kind == MRL_FIRST_MIXTURE) {
      read_mixture(to, row, output + i, tile->ld);
    } else {
      to->law->location[row] = (double)output[i];
      to->law->shape[row] = sd_from(output[i + tile->ld]);
    }
  }
  return MRL_OK;
}

mrl_status mrl_first_read(mrl_law *law, mrl_first_work *work, const mrl_first *first,
                          const mrl_first_fit *fit, const mrl_first_rows *rows, const size_t *row,
                          size_t n, const mrl_ctx *ctx)
{
  const mrl_rows input = {rows->input, first->n_inputs};
  const law_keeper to = {law, first};
  const mrl_batch batch = {.row = row,
                           .n = n,
                           .fill = mrl_fill_rows,
                           .fill_data = &input,
                           .loss = keep_law,
                           .loss_data = &to};
  double none;
  if (first->settings.kind != MRL_FIRST_RIDGE) {
    return n == 0 ? MRL_OK
                  : mrl_net_evaluate(&none, &work->run, fit->params, fit->statistics, &batch, ctx);
  }
  for (size_t i = 0; i < n; i++) {
    law->location[row[i]] = 0;
    law->shape[row[i]] = 1;
  }
  return MRL_OK;
}
