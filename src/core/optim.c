#include "optim.h"

#include <math.h>

enum { NORM_BLOCK = 4096 }; /* squares that are added in mrl_real before a double takes them */

/* The constants of one step, as the loops need them. */
typedef struct {
  mrl_real scale;          /* of the gradient */
  mrl_real decay, shrink;  /* added to the gradient per weight; factor of the weight */
  mrl_real beta1;          /* momentum of SGD */
  mrl_real fresh1, fresh2; /* 1 - beta1, 1 - beta2 */
  mrl_real beta2;
  mrl_real rate, root, eps; /* w -= rate m / (sqrt(v) root + eps) */
} step_numbers;

typedef struct {
  mrl_real (*squares)(const mrl_real *, size_t);
  void (*sgd)(mrl_real *, mrl_real *, const mrl_real *, size_t, const step_numbers *);
  void (*adam)(mrl_real *, mrl_real *, mrl_real *, mrl_real *, const mrl_real *, size_t,
               const step_numbers *);
} optim_kernels;

#define KERNEL_FILE "optim_kernel.h"
#define KERNEL_OF(name, isa) optim_##name##_##isa
#define KERNELS optim_kernels
#include "real_isa.h"

size_t mrl_optimizer_blocks(mrl_optimizer_kind kind)
{
  return kind == MRL_SGD ? 1 : kind == MRL_AMSGRAD ? 3 : 2;
}

static double norm_of(const mrl_real *x, size_t n, mrl_isa isa)
{
  double sum = 0;
  for (size_t i = 0; i < n; i += NORM_BLOCK) {
    const size_t rest = n - i;
    sum += (double)optim_table_for(isa)->squares(x + i, rest < NORM_BLOCK ? rest : NORM_BLOCK);
  }
  return sqrt(sum);
}

/* `coupled`: the decay goes into the gradient. */
static step_numbers numbers_of(const mrl_optimizer *o, double rate, uint64_t step, double scale)
{
  const int coupled = o->kind != MRL_ADAMW;
  step_numbers s = {.scale = (mrl_real)scale,
                    .decay = (mrl_real)(coupled ? o->decay : 0),
                    .shrink = (mrl_real)(coupled ? 1 : 1 - rate * o->decay),
                    .beta1 = (mrl_real)o->momentum,
                    .fresh1 = (mrl_real)(1 - o->beta1),
                    .fresh2 = (mrl_real)(1 - o->beta2),
                    .beta2 = (mrl_real)o->beta2,
                    .rate = (mrl_real)rate,
                    .root = 1,
                    .eps = (mrl_real)o->eps};
  if (o->kind != MRL_SGD) {
    s.rate = (mrl_real)(rate / (1 - pow(o->beta1, (double)step)));
    s.root = (mrl_real)(1 / sqrt(1 - pow(o->beta2, (double)step)));
  }
  return s;
}

mrl_status mrl_optimizer_step(mrl_real *params, mrl_real *moments, double *norm,
                              const mrl_real *gradient, const mrl_param *piece, size_t n_pieces,
                              size_t n_params, const mrl_optimizer *optimizer, double rate,
                              uint64_t step, mrl_isa isa)
{
  *norm = norm_of(gradient, n_params, isa);
  if (!isfinite(*norm)) {
    return MRL_NOT_FINITE;
  }
  const int clips = optimizer->clip > 0 && *norm > optimizer->clip;
  const step_numbers decayed =
      numbers_of(optimizer, rate, step, clips ? optimizer->clip / *norm : 1);
  step_numbers plain = decayed;
  plain.decay = 0;
  plain.shrink = 1;
  for (size_t p = 0; p < n_pieces; p++) {
    const size_t at = piece[p].offset, n = mrl_pad(piece[p].size);
    const step_numbers *s = piece[p].is_weight ? &decayed : &plain;
    mrl_real *m = moments + at, *v = m + n_params;
    if (optimizer->kind == MRL_SGD) {
      optim_table_for(isa)->sgd(params + at, m, gradient + at, n, s);
    } else {
      optim_table_for(isa)->adam(params + at, m, v,
                                 optimizer->kind == MRL_AMSGRAD ? v + n_params : NULL,
                                 gradient + at, n, s);
    }
  }
  return MRL_OK;
}

double mrl_schedule_rate(const mrl_schedule *schedule, const mrl_plateau *plateau, size_t epoch,
                         size_t epochs)
{
  const double pi = 3.14159265358979323846;
  switch (schedule->kind) {
  case MRL_COSINE:
    return schedule->floor +
           (1 - schedule->floor) * 0.5 * (1 + cos(pi * (double)epoch / (double)epochs));
  case MRL_PLATEAU:
    return plateau->factor;
  default:
    return 1;
  }
}

void mrl_plateau_update(mrl_plateau *plateau, const mrl_schedule *schedule, int is_best)
{
  plateau->bad = is_best ? 0 : plateau->bad + 1;
  if (schedule->kind == MRL_PLATEAU && plateau->bad > schedule->patience) {
    plateau->factor = fmax(schedule->floor, plateau->factor * schedule->factor);
    plateau->bad = 0;
  }
}
