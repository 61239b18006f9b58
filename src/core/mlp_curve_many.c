#include "mlp_curve_many.h"

#ifdef _OPENMP
#include <omp.h>
#endif

/* Work between two polls, about 0.05 s of a slow machine. */
static const double FLOPS_BETWEEN_POLLS = 2e8;

size_t mrl_curve_many_scratch(const mrl_net *net, mrl_isa isa, const mrl_ctx *ctx)
{
  const mrl_ctx one = {1, NULL, NULL};
  const size_t alone = mrl_curve_scratch(net, isa, ctx), each = mrl_curve_scratch(net, isa, &one);
  if (alone == 0 || each == 0 || each > (SIZE_MAX - alone) / 2 / (size_t)ctx->n_threads) {
    return 0;
  }
  return alone + each * (size_t)ctx->n_threads;
}

static mrl_status evaluate(double *out, const mrl_curve_model *model, mrl_curve_what what,
                           const double *x, size_t n_x, const mrl_people *people, mrl_isa isa,
                           void *scratch, size_t size, const mrl_ctx *ctx)
{
  switch (what) {
  case MRL_CURVE_ROWS:
    return mrl_curve_predict(out, model, x, people, isa, scratch, size, ctx);
  case MRL_CURVE_LEVELS:
    return mrl_curve_mean(out, model, x, n_x, people, isa, scratch, size, ctx);
  default:
    return mrl_curve_slope(out, model, x, people, isa, scratch, size, ctx);
  }
}

static size_t thread_number(void)
{
#ifdef _OPENMP
  return (size_t)omp_get_thread_num();
#else
  return 0;
#endif
}

/* Items first .. last - 1: a model, or at levels a model and a level. */
static mrl_status run_items(double *out, const mrl_curve_model *model, mrl_curve_what what,
                            const double *x, size_t n_x, const mrl_people *people, mrl_isa isa,
                            unsigned char *scratch, size_t each, size_t first, size_t last,
                            int threads)
{
  const size_t per_model = what == MRL_CURVE_LEVELS ? n_x : 1;
  const size_t per_item = what == MRL_CURVE_ROWS ? people->n : 1;
  const mrl_ctx one = {1, NULL, NULL};
  mrl_status found = MRL_OK;
  (void)threads;
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
#endif
  for (size_t i = first; i < last; i++) {
    const double *at = what == MRL_CURVE_LEVELS ? x + i % per_model : x;
    const mrl_status status = evaluate(out + i * per_item, model + i / per_model, what, at, 1,
                                       people, isa, scratch + each * thread_number(), each, &one);
    if (status != MRL_OK) {
#ifdef _OPENMP
#pragma omp atomic write
#endif
      found = status;
    }
  }
  return found;
}

mrl_status mrl_curve_many(double *out, const mrl_curve_model *model, size_t n_models,
                          mrl_curve_what what, const double *x, size_t n_x,
                          const mrl_people *people, mrl_isa isa, void *scratch, size_t size,
                          const mrl_ctx *ctx)
{
  const mrl_ctx one = {1, NULL, NULL};
  if (n_models == 1) {
    return evaluate(out, model, what, x, n_x, people, isa, scratch, size, ctx);
  }
  const size_t each = mrl_curve_scratch(model->net, isa, &one);
  const size_t items = n_models * (what == MRL_CURVE_LEVELS ? n_x : 1);
  const double flops = 2 * (double)people->n * (double)(model->net->n_weights + 1);
  const double most = 1 + FLOPS_BETWEEN_POLLS * ctx->n_threads / flops;
  const size_t round = most < (double)items ? (size_t)most : items;
  if (each == 0 || each > size / (size_t)ctx->n_threads) {
    return MRL_NO_MEMORY;
  }
  for (size_t first = 0; first < items; first += round) {
    const size_t last = items - first < round ? items : first + round;
    mrl_poll(ctx);
    MRL_TRY(run_items(out, model, what, x, n_x, people, isa, scratch, each, first, last,
                      ctx->n_threads));
  }
  return MRL_OK;
}
