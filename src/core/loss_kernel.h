/*
 * The losses of loss.c for one instruction set, on LEN rows at a time; included by real_isa.h.
 * Each returns the rows' losses, not weighted, and unless d is NULL stores factor times the
 * gradient. o, d point to the first of the rows in the first column.
 */

/* Evaluations of a row may lie at any address and end anywhere: `count` <= LEN numbers. */
FN VEC KERNEL(load_some)(const mrl_real *p, size_t count)
{
  if (count == LEN) {
    return CONST_AT(p);
  }
  mrl_real some[LEN] = {0};
  memcpy(some, p, count * sizeof *p);
  return CONST_AT(some);
}

FN void KERNEL(store_some)(mrl_real *p, VEC x, size_t count)
{
  if (count == LEN) {
    AT(p) = x;
    return;
  }
  mrl_real some[LEN];
  AT(some) = x;
  memcpy(p, some, count * sizeof *p);
}

FN VEC KERNEL(huber)(mrl_real *d, const mrl_real *o, VEC y, VEC factor, const mrl_loss *loss)
{
  const VEC delta = SPLAT(loss->delta), r = CONST_AT(o) - y, size = KERNEL(magnitude)(r);
  if (d) {
    AT(d) = factor * KERNEL(at_most)(KERNEL(at_least)(r, -loss->delta), loss->delta);
  }
  const VEC outside = delta * FMA(delta, SPLAT(-0.5), size);
  return WHERE_GREATER(delta, size, r * r * (mrl_real)0.5, outside);
}

FN VEC KERNEL(pinball)(mrl_real *d, const mrl_real *o, size_t ld, VEC y, VEC factor,
                       const mrl_loss *loss)
{
  VEC sum = {0};
  for (size_t j = 0; j < loss->outputs; j++) {
    const VEC r = y - CONST_AT(o + j * ld), up = SPLAT(loss->tau[j]), down = up - 1;
    const VEC slope = WHERE_GREATER(r, SPLAT(0), up, down);
    sum = FMA(slope, r, sum);
    if (d) {
      AT(d + j * ld) = -slope * factor;
    }
  }
  return sum;
}

#define HALF_LOG_2PI ((mrl_real)0.91893853320467274)

FN VEC KERNEL(gaussian)(mrl_real *d, const mrl_real *o, size_t ld, VEC y, VEC factor)
{
  const VEC log_sd = CONST_AT(o + ld), precision = EXP(-log_sd);
  const VEC r = (y - CONST_AT(o)) * precision;
  if (d) {
    AT(d) = -r * precision * factor;
    AT(d + ld) = FMA(-r, r, SPLAT(1)) * factor;
  }
  return FMA(r * (mrl_real)0.5, r, log_sd) + HALF_LOG_2PI;
}

/* Log of exp(logit) times a component's density, without log(2 pi) / 2. */
FN VEC KERNEL(component)(VEC *r, VEC *precision, const mrl_real *o, size_t ld, size_t k, size_t K,
                         VEC y)
{
  const VEC log_sd = CONST_AT(o + (2 * K + k) * ld);
  *precision = EXP(-log_sd);
  *r = (y - CONST_AT(o + (K + k) * ld)) * *precision;
  return FMA(*r * (mrl_real)-0.5, *r, CONST_AT(o + k * ld) - log_sd);
}

/* Both log-sum-exps, of the logits and of logit + log density, are taken after their maxima. */
FN VEC KERNEL(mixture)(mrl_real *d, const mrl_real *o, size_t ld, VEC y, VEC factor,
                       const mrl_loss *loss)
{
  const size_t K = loss->outputs / 3;
  VEC r, precision, most_logit = CONST_AT(o);
  VEC most_joint = KERNEL(component)(&r, &precision, o, ld, 0, K, y);
  for (size_t k = 1; k < K; k++) {
    const VEC logit = CONST_AT(o + k * ld);
    const VEC joint = KERNEL(component)(&r, &precision, o, ld, k, K, y);
    most_logit = WHERE_GREATER(logit, most_logit, logit, most_logit);
    most_joint = WHERE_GREATER(joint, most_joint, joint, most_joint);
  }
  VEC sum_logit = {0}, sum_joint = {0};
  for (size_t k = 0; k < K; k++) {
    const VEC joint = KERNEL(component)(&r, &precision, o, ld, k, K, y);
    sum_logit += EXP(CONST_AT(o + k * ld) - most_logit);
    sum_joint += EXP(joint - most_joint);
  }
  for (size_t k = 0; d && k < K; k++) {
    const VEC joint = KERNEL(component)(&r, &precision, o, ld, k, K, y);
    const VEC weight = EXP(CONST_AT(o + k * ld) - most_logit) / sum_logit;
    const VEC share = EXP(joint - most_joint) / sum_joint;
    AT(d + k * ld) = (weight - share) * factor;
    AT(d + (K + k) * ld) = -share * r * precision * factor;
    AT(d + (2 * K + k) * ld) = share * FMA(-r, r, SPLAT(1)) * factor;
  }
  return (most_logit + LOG(sum_logit)) - (most_joint + LOG(sum_joint)) + HALF_LOG_2PI;
}

/* One evaluation: log(1 + exp(o)) - y o. */
FN VEC KERNEL(binary)(mrl_real *d, const mrl_real *o, VEC y, VEC factor)
{
  const VEC logit = CONST_AT(o);
  if (d) {
    AT(d) = (KERNEL(sigmoid_of)(logit) - y) * factor;
  }
  return FMA(-y, logit, KERNEL(softplus_of)(logit));
}

/* Several: both p and 1 - p are averages, so that neither loses digits near 0. */
FN VEC KERNEL(binary_mean)(mrl_real *d, const mrl_real *o, size_t step, size_t count, size_t group,
                           const mrl_real *node, VEC y, VEC factor)
{
  const mrl_real equal = 1 / (mrl_real)group;
  VEC p = {0}, q = {0};
  for (size_t k = 0; k < group; k++) {
    const VEC logit = KERNEL(load_some)(o + k * step, count);
    const VEC part = SPLAT(node ? node[k] : equal);
    p = FMA(KERNEL(sigmoid_of)(logit), part, p);
    q = FMA(KERNEL(sigmoid_of)(-logit), part, q);
  }
  p = KERNEL(at_least)(p, MRL_REAL_MIN);
  q = KERNEL(at_least)(q, MRL_REAL_MIN);
  const VEC slope = ((1 - y) / q - y / p) * factor;
  for (size_t k = 0; d && k < group; k++) {
    const VEC logit = KERNEL(load_some)(o + k * step, count);
    const VEC steep = KERNEL(sigmoid_of)(logit) * KERNEL(sigmoid_of)(-logit);
    KERNEL(store_some)(d + k * step, slope * steep * SPLAT(node ? node[k] : equal), count);
  }
  return FMA(y - 1, LOG(q), -y * LOG(p));
}

/* Mean of the evaluations first .. last - 1. */
FN VEC KERNEL(mean_of)(const mrl_real *o, size_t step, size_t count, size_t first, size_t last,
                       const mrl_real *node)
{
  const mrl_real equal = 1 / (mrl_real)(last - first);
  VEC sum = {0};
  for (size_t k = first; k < last; k++) {
    const VEC part = SPLAT(node ? node[k] : equal);
    sum = FMA(KERNEL(load_some)(o + k * step, count), part, sum);
  }
  return sum;
}

FN void KERNEL(spread)(mrl_real *d, VEC slope, size_t step, size_t count, size_t first, size_t last,
                       const mrl_real *node)
{
  const mrl_real equal = 1 / (mrl_real)(last - first);
  for (size_t k = first; d && k < last; k++) {
    KERNEL(store_some)(d + k * step, slope * SPLAT(node ? node[k] : equal), count);
  }
}

FN VEC KERNEL(squared)(mrl_real *d, const mrl_real *o, size_t step, size_t count, size_t group,
                       const mrl_real *node, VEC y, VEC factor)
{
  const VEC r = KERNEL(mean_of)(o, step, count, 0, group, node) - y;
  KERNEL(spread)(d, r * 2 * factor, step, count, 0, group, node);
  return r * r;
}

FN VEC KERNEL(product)(mrl_real *d, const mrl_real *o, size_t step, size_t count, size_t group,
                       VEC y, VEC factor)
{
  const size_t half = group / 2;
  const VEC r1 = KERNEL(mean_of)(o, step, count, 0, half, NULL) - y;
  const VEC r2 = KERNEL(mean_of)(o, step, count, half, group, NULL) - y;
  KERNEL(spread)(d, r2 * factor, step, count, 0, half, NULL);
  KERNEL(spread)(d, r1 * factor, step, count, half, group, NULL);
  return r1 * r2;
}

/* y, weight (MRL_LANES) are those of a strip of `count` rows, from row o on. */
TARGET static void KERNEL(strip)(mrl_real *value, mrl_real *d, const mrl_real *o, const mrl_real *y,
                                 const mrl_real *weight, size_t count, const mrl_tile *tile,
                                 const mrl_loss *loss)
{
  const size_t ld = tile->ld, step = tile->rows, group = tile->group;
  for (size_t i = 0; i < count; i += LEN, o += LEN, d = d ? d + LEN : NULL) {
    const size_t some = count - i < LEN ? count - i : LEN;
    const VEC yi = CONST_AT(y + i), w = CONST_AT(weight + i), factor = w * tile->scale;
    VEC l;
    switch (loss->kind) {
    case MRL_LOSS_HUBER:
      l = KERNEL(huber)(d, o, yi, factor, loss);
      break;
    case MRL_LOSS_PINBALL:
      l = KERNEL(pinball)(d, o, ld, yi, factor, loss);
      break;
    case MRL_LOSS_GAUSSIAN:
      l = KERNEL(gaussian)(d, o, ld, yi, factor);
      break;
    case MRL_LOSS_MIXTURE:
      l = KERNEL(mixture)(d, o, ld, yi, factor, loss);
      break;
    case MRL_LOSS_BINARY:
      l = group == 1 ? KERNEL(binary)(d, o, yi, factor)
                     : KERNEL(binary_mean)(d, o, step, some, group, loss->node, yi, factor);
      break;
    case MRL_LOSS_PRODUCT:
      l = KERNEL(product)(d, o, step, some, group, yi, factor);
      break;
    default:
      l = KERNEL(squared)(d, o, step, some, group, loss->node, yi, factor);
      break;
    }
    AT(value + i) = l * w;
  }
}

static const KERNELS KERNEL(table) = {KERNEL(strip)};

#undef HALF_LOG_2PI
