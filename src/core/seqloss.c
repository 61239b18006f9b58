#include "seqloss.h"

#include <math.h>
#include <string.h>

/* One output: its loss, and *d its derivative. */
static double one_loss(double *d, mrl_seqloss_kind kind, double out, double label)
{
  const double down = exp(-fabs(out)), share = out > 0 ? 1 / (1 + down) : down / (1 + down);
  switch (kind) {
  case MRL_LOSS_HEAD_BINARY:
    *d = share - label;
    return (out > 0 ? out : 0) - label * out + log1p(down);
  case MRL_LOSS_HEAD_POISSON:
    *d = exp(out) - label;
    return exp(out) - label * out;
  default:
    *d = 2 * (out - label);
    return (out - label) * (out - label);
  }
}

static double each_output(mrl_real *d, const mrl_real *out, const mrl_real *label,
                          const mrl_seqloss_head *head, double scale)
{
  double sum = 0, slope;
  for (size_t i = 0; i < head->count; i++) {
    sum += one_loss(&slope, head->kind, (double)out[i], (double)label[i]);
    if (d) {
      d[i] = (mrl_real)(scale * slope);
    }
  }
  return sum;
}

/* One channel: every step-th of n outputs. */
static double one_profile(mrl_real *d, const mrl_real *out, const mrl_real *label, size_t n,
                          size_t step, double scale)
{
  double top = -INFINITY, sum = 0, total = 0, product = 0;
  for (size_t i = 0; i < n; i += step) {
    top = (double)out[i] > top ? (double)out[i] : top;
  }
  for (size_t i = 0; i < n; i += step) {
    sum += exp((double)out[i] - top);
    total += (double)label[i];
    product += (double)label[i] * ((double)out[i] - top);
  }
  for (size_t i = 0; d && i < n; i += step) {
    d[i] = (mrl_real)(scale * (total * exp((double)out[i] - top) / sum - (double)label[i]));
  }
  return total * log(sum) - product;
}

static double profiles(mrl_real *d, const mrl_real *out, const mrl_real *label,
                       const mrl_seqloss_head *head, double scale)
{
  double sum = 0;
  for (size_t c = 0; c < head->channels; c++) {
    sum +=
        one_profile(d ? d + c : NULL, out + c, label + c, head->count - c, head->channels, scale);
  }
  return sum;
}

double mrl_seqloss(mrl_real *d, const mrl_real *out, const mrl_real *label, size_t n_outputs,
                   const mrl_seqloss_head *heads, size_t n_heads, double scale)
{
  double sum = 0;
  if (d) {
    memset(d, 0, n_outputs * sizeof *d);
  }
  for (size_t h = 0; h < n_heads; h++) {
    const mrl_seqloss_head *head = heads + h;
    const size_t at = head->first;
    const double factor = head->weight / (double)head->count;
    mrl_real *dh = d ? d + at : NULL;
    sum += factor * (head->kind == MRL_LOSS_HEAD_MULTINOMIAL
                         ? profiles(dh, out + at, label + at, head, scale * factor)
                         : each_output(dh, out + at, label + at, head, scale * factor));
  }
  return sum;
}
