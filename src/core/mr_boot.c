#include "mr_boot_part.h"

typedef struct {
  size_t (*width)(size_t n, const mrl_mr_settings *settings);
  size_t (*work)(size_t n, const mrl_mr_settings *settings);
  void (*draws)(double *draws, mrl_mr_method method, const mrl_mr_data *data, size_t group,
                const mrl_mr_settings *settings, size_t from, size_t to, double *work);
  mrl_mr_estimate (*finish)(mrl_mr_method method, const mrl_mr_data *data, size_t group,
                            double *draws, const mrl_mr_settings *settings, double *work);
} estimator;

static size_t width_one(size_t n, const mrl_mr_settings *settings)
{
  (void)n;
  (void)settings;
  return 1;
}

static size_t width_egger(size_t n, const mrl_mr_settings *settings)
{
  return 2 * width_one(n, settings);
}

static size_t width_simex(size_t n, const mrl_mr_settings *settings)
{
  return mrl_mr_simex_part_width() * width_one(n, settings);
}

static size_t work_median(size_t n, const mrl_mr_settings *settings)
{
  (void)settings;
  return mrl_mr_median_part_work(n);
}

static size_t work_mode(size_t n, const mrl_mr_settings *settings)
{
  (void)settings;
  return mrl_mr_mode_part_work(n);
}

static size_t work_egger(size_t n, const mrl_mr_settings *settings)
{
  (void)settings;
  return mrl_mr_egger_part_work(n);
}

static size_t work_simex(size_t n, const mrl_mr_settings *settings)
{
  (void)settings;
  return mrl_mr_simex_part_work(n);
}

static const estimator median = {width_one, work_median, mrl_mr_median_draws, mrl_mr_median_finish};
static const estimator mode = {width_one, work_mode, mrl_mr_mode_draws, mrl_mr_mode_finish};
static const estimator egger = {width_egger, work_egger, mrl_mr_egger_draws, mrl_mr_egger_finish};
static const estimator simex = {width_simex, work_simex, mrl_mr_simex_draws, mrl_mr_simex_finish};
static const estimator cml = {mrl_mr_cml_part_width, mrl_mr_cml_part_work, mrl_mr_cml_draws,
                              mrl_mr_cml_finish};

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
  case MRL_MR_EGGER_SIMEX:
    return &simex;
  case MRL_MR_CML_BIC_DP:
  case MRL_MR_CML_MA_BIC_DP:
    return &cml;
  default:
    return NULL;
  }
}

int mrl_mr_is_drawn(mrl_mr_method method)
{
  return estimator_of(method) != NULL;
}

size_t mrl_mr_boot_width(mrl_mr_method method, size_t n, const mrl_mr_settings *settings)
{
  const estimator *e = estimator_of(method);
  return e ? e->width(n, settings) : 0;
}

size_t mrl_mr_boot_count(mrl_mr_method method, const mrl_mr_settings *settings)
{
  const estimator *e = estimator_of(method);
  return e == &cml ? settings->cml.n_pert : e ? settings->n_boot : 0;
}

size_t mrl_mr_boot_work(mrl_mr_method method, size_t n, const mrl_mr_settings *settings)
{
  const estimator *e = estimator_of(method);
  return e ? e->work(n, settings) : 0;
}

double mrl_mr_boot_time(mrl_mr_method method, size_t n, const mrl_mr_settings *settings)
{
  const estimator *e = estimator_of(method);
  const double size = (double)n;
  if (e == &cml) {
    const double climbs = 1 + (double)settings->cml.n_starts_pert;
    return climbs * (double)e->width(n, settings) * (100 + 20 * size);
  }
  /* The mode's density does not grow with n, normals and sorting do. */
  return e == &simex ? 200 + 70 * size : 4000 + 60 * size;
}

size_t mrl_mr_boot_chunk(mrl_mr_method method, size_t n, const mrl_mr_settings *settings)
{
  const double chunk = 4e6 / mrl_mr_boot_time(method, n, settings);
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

mrl_mr_estimate mrl_mr_boot_finish(mrl_mr_method method, const mrl_mr_data *data, size_t group,
                                   double *draws, const mrl_mr_settings *settings, double *work)
{
  const estimator *e = estimator_of(method);
  return e ? e->finish(method, data, group, draws, settings, work) : mrl_mr_none(MRL_MR_DEGENERATE);
}

static size_t draws_size(mrl_mr_method method, size_t n, const mrl_mr_settings *settings)
{
  return mrl_mr_boot_width(method, n, settings) * mrl_mr_boot_count(method, settings);
}

size_t mrl_mr_boot_whole_work(mrl_mr_method method, size_t n, const mrl_mr_settings *settings)
{
  return draws_size(method, n, settings) + mrl_mr_boot_work(method, n, settings);
}

mrl_mr_estimate mrl_mr_boot_whole(mrl_mr_method method, const mrl_mr_data *data, size_t group,
                                  const mrl_mr_settings *settings, mrl_mr_detail *detail,
                                  double *work)
{
  double *const draws = work, *const rest = work + draws_size(method, data->n, settings);
  mrl_mr_boot_draws(draws, method, data, group, settings, 0, mrl_mr_boot_count(method, settings),
                    rest);
  const mrl_mr_estimate out = mrl_mr_boot_finish(method, data, group, draws, settings, rest);
  if (detail && out.why == MRL_MR_FINE && estimator_of(method) == &cml) {
    mrl_mr_cml_check(detail, data, group, draws, settings, rest);
  }
  return out;
}
