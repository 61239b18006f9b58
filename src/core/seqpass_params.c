#include "seqpass_part.h"

#include <math.h>
#include <string.h>

static const double batch_norm_momentum = 0.1;

/* The weights of the way back: taps and the two kinds of channels exchanged. */
static void turn_conv(mrl_real *turned, const mrl_real *w, const mrl_conv_shape *shape)
{
  const size_t in = shape->in / shape->groups, out = shape->out / shape->groups;
  for (size_t k = 0; k < shape->taps; k++) {
    for (size_t i = 0; i < in; i++) {
      for (size_t o = 0; o < shape->out; o++) {
        const size_t row = (shape->taps - 1 - k) * out + o % out;
        turned[row * shape->in + o / out * in + i] = w[(k * in + i) * shape->out + o];
      }
    }
  }
}

static void turn_dense(mrl_real *turned, const mrl_real *w, const mrl_conv_shape *shape)
{
  const size_t ld = mrl_pad(shape->in), row = shape->taps * ld;
  memset(turned, 0, shape->out * row * sizeof *turned);
  for (size_t t = 0; t < shape->taps; t++) {
    for (size_t i = 0; i < shape->in; i++) {
      for (size_t o = 0; o < shape->out; o++) {
        turned[o * row + t * ld + i] = w[(t * shape->in + i) * shape->out + o];
      }
    }
  }
}

void mrl_pass_pack(mrl_seqpass *run, const mrl_real *params, int with_back)
{
  for (size_t s = 0; s < run->n_steps; s++) {
    mrl_pass_step *step = run->step + s;
    const mrl_real *w = params + run->net->node[step->node].weight;
    if (step->op != MRL_PASS_CONV && step->op != MRL_PASS_DENSE) {
      continue;
    }
    mrl_conv_pack(&step->forward, w);
    if (with_back && run->step[step->in[0]].op != MRL_PASS_INPUT) {
      (step->op == MRL_PASS_CONV ? turn_conv : turn_dense)(run->turned, w, &step->forward.shape);
      mrl_conv_pack(&step->back, run->turned);
    }
  }
}

/* Coefficients of batch norm for channel i; mean: of the input without the bias. */
static void norm_channel(mrl_pass_step *step, const mrl_seq_node *norm, const mrl_real *params,
                         size_t i, double mean, double var)
{
  const double inverse = 1 / sqrt(var + norm->layer.value);
  const double a = (double)params[norm->weight + i] * inverse;
  step->channels.a[i] = (mrl_real)a;
  step->channels.c[i] = (mrl_real)((double)params[norm->bias + i] - mean * a);
  step->channels.mean[i] = (mrl_real)mean;
  step->channels.inverse[i] = (mrl_real)inverse;
}

static double bias_of(const mrl_seqpass *run, const mrl_pass_step *step, const mrl_real *params,
                      size_t i)
{
  return step->bias > 0 ? (double)params[run->net->node[step->bias].bias + i] : 0;
}

/* All coefficients; those of batch norm from running statistics. */
void mrl_pass_set_channels(mrl_seqpass *run, const mrl_real *params, const mrl_real *statistics)
{
  for (size_t s = 0; s < run->n_steps; s++) {
    mrl_pass_step *step = run->step + s;
    mrl_channels *c = &step->channels;
    const mrl_seq_node *norm = run->net->node + step->norm;
    mrl_real *const piece[] = {c->a, c->c, c->mean, c->inverse, c->k1, c->k2};
    for (size_t p = 0; step->op == MRL_PASS_AFFINE && p < sizeof piece / sizeof *piece; p++) {
      memset(piece[p], 0, step->value.ld * sizeof *piece[p]);
    }
    for (size_t i = 0; step->op == MRL_PASS_AFFINE && i < step->width; i++) {
      const double bias = bias_of(run, step, params, i);
      c->a[i] = 1;
      c->c[i] = (mrl_real)bias;
      if (step->norm > 0) {
        norm_channel(step, norm, params, i, (double)statistics[norm->mean + i] - bias,
                     (double)statistics[norm->var + i]);
      }
    }
  }
}

/* The moments of a batch norm's input over the batch: coefficients, and the running statistics. */
void mrl_pass_finish_moments(const mrl_pass_over *pass, mrl_real *statistics)
{
  const mrl_seqpass *run = pass->run;
  mrl_pass_step *step = run->step + pass->moments;
  const mrl_seq_node *norm = run->net->node + step->norm;
  const size_t slots = mrl_pass_slots(mrl_pass_tiles(pass)), ld = step->value.ld;
  for (size_t i = 0; i < step->width; i++) {
    double mean = 0, square = 0, n = 0;
    for (size_t slot = 0; slot < slots; slot++) {
      const double *sums = run->sums + slot * run->n_sums + step->sums;
      const double count = pass->count[slot], share = count / (n + count), delta = sums[i] - mean;
      mean += delta * share;
      square += sums[ld + i] + delta * delta * n * share;
      n += count;
    }
    norm_channel(step, norm, pass->params, i, mean, square / n);
    mean += bias_of(run, step, pass->params, i);
    mrl_real *running_mean = statistics + norm->mean + i, *running_var = statistics + norm->var + i;
    *running_mean += (mrl_real)(batch_norm_momentum * (mean - (double)*running_mean));
    *running_var += (mrl_real)(batch_norm_momentum * (square / (n - 1) - (double)*running_var));
  }
}

/* Over the slots: number `at` of the sums. */
static double total_of(const mrl_pass_over *pass, size_t at)
{
  double sum = 0;
  for (size_t slot = 0; slot < mrl_pass_slots(mrl_pass_tiles(pass)); slot++) {
    sum += pass->run->sums[slot * pass->run->n_sums + at];
  }
  return sum;
}

/* Gradients of bias or batch norm and, of this, what its second part needs. */
void mrl_pass_finish_sums(const mrl_pass_over *pass, mrl_pass_step *step)
{
  mrl_seqpass *run = pass->run;
  const mrl_seq_node *norm = run->net->node + step->norm;
  const size_t ld = step->value.ld;
  const double n = (double)(pass->n * step->length);
  for (size_t i = 0; i < step->width; i++) {
    const double sum_a = total_of(pass, step->sums + i);
    const double sum_c = total_of(pass, step->sums + ld + i);
    if (step->norm > 0) {
      const double a = (double)step->channels.a[i];
      run->gradient[norm->weight + i] = (mrl_real)sum_a;
      run->gradient[norm->bias + i] = (mrl_real)sum_c;
      step->channels.k1[i] = (mrl_real)(a * sum_c / n);
      step->channels.k2[i] = (mrl_real)(a * (double)step->channels.inverse[i] * sum_a / n);
    } else if (step->bias > 0) {
      run->gradient[run->net->node[step->bias].bias + i] = (mrl_real)sum_c;
    }
  }
}

/* One row of a panel's gradient, summed over the slots, into that of the weights of (tap, in). */
static void finish_row(const mrl_pass_over *pass, const mrl_pass_step *step,
                       const mrl_conv_panel *panel, size_t tap, size_t in, size_t at)
{
  const mrl_conv_shape *shape = &step->forward.shape;
  const size_t group_in = shape->in / shape->groups, group_out = shape->out / shape->groups;
  mrl_real *w = pass->run->gradient + pass->run->net->node[step->node].weight +
                (tap * group_in + in % group_in) * shape->out;
  const size_t slots = mrl_pass_slots(mrl_pass_tiles(pass));
  for (size_t j = 0; j < panel->lanes && panel->first_out + j < shape->out; j++) {
    const size_t out = panel->first_out + j;
    if (in / group_in != out / group_out) {
      continue;
    }
    mrl_real sum = 0;
    for (size_t slot = 0; slot < slots; slot++) {
      sum += pass->run->part[slot * pass->run->n_part + at + j];
    }
    w[out] = sum;
  }
}

static void finish_weights(const mrl_pass_over *pass, const mrl_pass_step *step)
{
  size_t at = step->part;
  for (size_t p = 0; p < step->forward.n_panels; p++) {
    const mrl_conv_panel *panel = step->forward.panel + p;
    const size_t quads = (panel->n_in + MRL_QUAD - 1) / MRL_QUAD * MRL_QUAD;
    for (size_t k = 0; k < step->forward.shape.taps; k++) {
      for (size_t i = 0; i < panel->n_in; i++) {
        finish_row(pass, step, panel, k, panel->first_in + i, at + (k * quads + i) * panel->lanes);
      }
    }
    at += step->forward.shape.taps * quads * panel->lanes;
  }
}

void mrl_pass_finish_gradient(const mrl_pass_over *pass)
{
  for (size_t s = 0; s < pass->run->n_steps; s++) {
    mrl_pass_step *step = pass->run->step + s;
    if (step->op == MRL_PASS_CONV || step->op == MRL_PASS_DENSE) {
      finish_weights(pass, step);
    }
    if (step->op == MRL_PASS_AFFINE && step->norm == 0) {
      mrl_pass_finish_sums(pass, step);
    }
  }
}
