/* What mr_boot.c puts together: each estimator's two halves. Arguments as in mr_boot.h. */
#ifndef MRL_MR_BOOT_PART_H
#define MRL_MR_BOOT_PART_H

#include "mr_boot.h"

size_t mrl_mr_median_part_work(size_t n);
void mrl_mr_median_draws(double *draws, mrl_mr_method method, const mrl_mr_data *data, size_t group,
                         const mrl_mr_settings *settings, size_t from, size_t to, double *work);
mrl_mr_estimate mrl_mr_median_finish(mrl_mr_method method, const mrl_mr_data *data, double *draws,
                                     const mrl_mr_settings *settings, double *work);

size_t mrl_mr_mode_part_work(size_t n);
void mrl_mr_mode_draws(double *draws, mrl_mr_method method, const mrl_mr_data *data, size_t group,
                       const mrl_mr_settings *settings, size_t from, size_t to, double *work);
mrl_mr_estimate mrl_mr_mode_finish(mrl_mr_method method, const mrl_mr_data *data, double *draws,
                                   const mrl_mr_settings *settings, double *work);

size_t mrl_mr_egger_part_work(size_t n);
void mrl_mr_egger_draws(double *draws, mrl_mr_method method, const mrl_mr_data *data, size_t group,
                        const mrl_mr_settings *settings, size_t from, size_t to, double *work);
mrl_mr_estimate mrl_mr_egger_finish(mrl_mr_method method, const mrl_mr_data *data, double *draws,
                                    const mrl_mr_settings *settings, double *work);

enum { MRL_MR_BOOT_MIN_VARIANTS = 3 }; /* of all methods here, as TwoSampleMR has it */

static inline mrl_rng mrl_mr_boot_stream(const mrl_mr_settings *settings, size_t group, size_t draw)
{
  return mrl_rng_stream(settings->seed, MRL_RNG_BOOTSTRAP, (uint64_t)group << 24 | draw);
}

#endif
