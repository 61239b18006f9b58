/* Medians, modes and the bootstraps behind their standard errors. See mr.h for data and settings.
 */
#ifndef MRL_MR_BOOT_H
#define MRL_MR_BOOT_H

#include "mr.h"

/* Each handles all of its variants (see mrl_mr_method) of one group. work: doubles as _work says.
 */
size_t mrl_mr_median_work(size_t n, const mrl_mr_settings *settings);
mrl_mr_estimate mrl_mr_median(mrl_mr_method method, const mrl_mr_data *data, size_t group,
                              const mrl_mr_settings *settings, double *work);

size_t mrl_mr_mode_work(size_t n, const mrl_mr_settings *settings);
mrl_mr_estimate mrl_mr_mode(mrl_mr_method method, const mrl_mr_data *data, size_t group,
                            const mrl_mr_settings *settings, double *work);

size_t mrl_mr_egger_bootstrap_work(size_t n, const mrl_mr_settings *settings);
mrl_mr_estimate mrl_mr_egger_bootstrap(const mrl_mr_data *data, size_t group,
                                       const mrl_mr_settings *settings, double *work);

#endif
