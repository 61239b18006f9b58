/* What mr_boot.c puts together: each estimator's two halves. Arguments as in mr_boot.h. */
#ifndef MRL_MR_BOOT_PART_H
#define MRL_MR_BOOT_PART_H

#include "mr_boot.h"

size_t mrl_mr_median_part_work(size_t n);
void mrl_mr_median_draws(double *draws, mrl_mr_method method, const mrl_mr_data *data, size_t group,
                         const mrl_mr_settings *settings, size_t from, size_t to, double *work);
mrl_mr_estimate mrl_mr_median_finish(mrl_mr_method method, const mrl_mr_data *data, size_t group,
                                     double *draws, const mrl_mr_settings *settings, double *work);

size_t mrl_mr_mode_part_work(size_t n);
void mrl_mr_mode_draws(double *draws, mrl_mr_method method, const mrl_mr_data *data, size_t group,
                       const mrl_mr_settings *settings, size_t from, size_t to, double *work);
mrl_mr_estimate mrl_mr_mode_finish(mrl_mr_method method, const mrl_mr_data *data, size_t group,
                                   double *draws, const mrl_mr_settings *settings, double *work);

size_t mrl_mr_egger_part_work(size_t n);
void mrl_mr_egger_draws(double *draws, mrl_mr_method method, const mrl_mr_data *data, size_t group,
                        const mrl_mr_settings *settings, size_t from, size_t to, double *work);
mrl_mr_estimate mrl_mr_egger_finish(mrl_mr_method method, const mrl_mr_data *data, size_t group,
                                    double *draws, const mrl_mr_settings *settings, double *work);

size_t mrl_mr_simex_part_width(void);
size_t mrl_mr_simex_part_work(size_t n);
void mrl_mr_simex_draws(double *draws, mrl_mr_method method, const mrl_mr_data *data, size_t group,
                        const mrl_mr_settings *settings, size_t from, size_t to, double *work);
mrl_mr_estimate mrl_mr_simex_finish(mrl_mr_method method, const mrl_mr_data *data, size_t group,
                                    double *draws, const mrl_mr_settings *settings, double *work);

size_t mrl_mr_cml_part_width(size_t n, const mrl_mr_settings *settings);
size_t mrl_mr_cml_part_work(size_t n, const mrl_mr_settings *settings);
void mrl_mr_cml_draws(double *draws, mrl_mr_method method, const mrl_mr_data *data, size_t group,
                      const mrl_mr_settings *settings, size_t from, size_t to, double *work);
mrl_mr_estimate mrl_mr_cml_finish(mrl_mr_method method, const mrl_mr_data *data, size_t group,
                                  double *draws, const mrl_mr_settings *settings, double *work);
/* The two tests of fit: does theta vary among the perturbed as the fit to the effects says? The
 * rest of detail as mrl_mr_cml() sets it. */
void mrl_mr_cml_check(mrl_mr_detail *detail, const mrl_mr_data *data, size_t group,
                      const double *draws, const mrl_mr_settings *settings, double *work);

enum { MRL_MR_BOOT_MIN_VARIANTS = 3 }; /* of all methods here, as TwoSampleMR has it */

static inline mrl_rng mrl_mr_boot_stream(const mrl_mr_settings *settings, size_t group, size_t draw)
{
  return mrl_rng_stream(settings->seed, MRL_RNG_BOOTSTRAP, (uint64_t)group << 24 | draw);
}

#endif
