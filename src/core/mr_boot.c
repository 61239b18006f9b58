#include "mr_boot_part.h"

typedef struct {
  size_t width;
  size_t (*work)(size_t n);
  void (*draws)(double *draws, mrl_mr_method method, const mrl_mr_data *data, size_t group,
                const mrl_mr_settings *settings, size_t from, size_t to, double *work);
  mrl_mr_estimate (*finish)(mrl_mr_method method, const mrl_mr_data *data, double *draws,
                            const mrl_mr_settings *settings, double *work);
} estimator;

static const estimator median = {1, mrl_mr_median_part_work, mrl_mr_median_draws,
                                 mrl_mr_median_finish};
static const estimator mode = {1, mrl_mr_mode_part_work, mrl_mr_mode_draws, mrl_mr_mode_finish};
static const estimator egger = {2, mrl_mr_egger_part_work, mrl_mr_egger_draws, mrl_mr_egger_finish};

static const estimator *estimator_of(mrl_mr_method method)
{
  switch (method) {
  case MRL_MR_SIMPLE_MEDIAN:
  case MRL_MR_WEIGHTED_MEDIAN:
  case MRL_MR_PENALISED_MEDIAN:
    return &median;
  case MRL_MR_SIMPLE_MODE:
  case MRL_MR_WEIGHTED_MODE:
  case MRL_MR_SIMPLE_MODE_NOME:
  case MRL_MR_WEIGHTED_MODE_NOME:
    return &mode;
  case MRL_MR_EGGER_BOOTSTRAP:
    return &egger;
  default:
    return NULL;
  }
}

size_t mrl_mr_boot_width(mrl_mr_method method)
{
  const estimator *e = estimator_of(method);
  return e ? e->width : 0;
}

size_t mrl_mr_boot_work(mrl_mr_method method, size_t n)
{
  const estimator *e = estimator_of(method);
  return e ? e->work(n) : 0;
}

size_t mrl_mr_boot_chunk(mrl_mr_method method, size_t n)
{
  (void)method;
  /* Nanoseconds of a draw: the mode's density does not grow with n, normals and sorting do. */
  const double chunk = 4e6 / (4000 + 60 * (double)n);
  return chunk < 1 ? 1 : (size_t)chunk;
}

void mrl_mr_boot_draws(double *draws, mrl_mr_method method, const mrl_mr_data *data, size_t group,
                       const mrl_mr_settings *settings, size_t from, size_t to, double *work)
{
  const estimator *e = estimator_of(method);
  if (e && from < to) {
    e->draws(draws, method, data, group, settings, from, to, work);
  }
}

mrl_mr_estimate mrl_mr_boot_finish(mrl_mr_method method, const mrl_mr_data *data, double *draws,
                                   const mrl_mr_settings *settings, double *work)
{
  const estimator *e = estimator_of(method);
  return e ? e->finish(method, data, draws, settings, work) : mrl_mr_none(MRL_MR_DEGENERATE);
}

static size_t whole_work(const estimator *e, size_t n, const mrl_mr_settings *settings)
{
  return e->width * settings->n_boot + e->work(n);
}

static mrl_mr_estimate whole(const estimator *e, mrl_mr_method method, const mrl_mr_data *data,
                             size_t group, const mrl_mr_settings *settings, double *work)
{
  double *const draws = work, *const rest = work + e->width * settings->n_boot;
  e->draws(draws, method, data, group, settings, 0, settings->n_boot, rest);
  return e->finish(method, data, draws, settings, rest);
}

size_t mrl_mr_median_work(size_t n, const mrl_mr_settings *settings)
{
  return whole_work(&median, n, settings);
}

mrl_mr_estimate mrl_mr_median(mrl_mr_method method, const mrl_mr_data *data, size_t group,
                              const mrl_mr_settings *settings, double *work)
{
  return whole(&median, method, data, group, settings, work);
}

size_t mrl_mr_mode_work(size_t n, const mrl_mr_settings *settings)
{
  return whole_work(&mode, n, settings);
}

mrl_mr_estimate mrl_mr_mode(mrl_mr_method method, const mrl_mr_data *data, size_t group,
                            const mrl_mr_settings *settings, double *work)
{
  return whole(&mode, method, data, group, settings, work);
}

size_t mrl_mr_egger_bootstrap_work(size_t n, const mrl_mr_settings *settings)
{
  return whole_work(&egger, n, settings);
}

mrl_mr_estimate mrl_mr_egger_bootstrap(const mrl_mr_data *data, size_t group,
                                       const mrl_mr_settings *settings, double *work)
{
  return whole(&egger, MRL_MR_EGGER_BOOTSTRAP, data, group, settings, work);
}
