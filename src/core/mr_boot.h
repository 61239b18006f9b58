/*
 * Medians, modes and bootstrap Egger: the estimators whose standard error is a parametric
 * bootstrap. See mr.h for data and settings.
 *
 * Draw b of group g takes its normals from item g << 24 | b of MRL_RNG_BOOTSTRAP under the
 * settings' seed, so draws can be computed in any order and on any thread. Medians and Egger draw
 * n normals for the exposure, then n for the outcome; modes draw n normals for the ratios.
 *
 * A runner that spreads one group over threads: `draws` (width * n_boot) shared; each thread, with
 * work of its own, calls mrl_mr_boot_draws() on ranges of at most mrl_mr_boot_chunk() draws
 * (polling between ranges); then one thread calls mrl_mr_boot_finish(). mrl_mr_median(),
 * mrl_mr_mode() and mrl_mr_egger_bootstrap() are these two in one call.
 */
#ifndef MRL_MR_BOOT_H
#define MRL_MR_BOOT_H

#include "mr.h"

enum { MRL_MR_MAX_BOOT = (1 << 24) - 1 };

/* Numbers kept per draw: 0 for a method without a bootstrap, 2 for Egger (slope, intercept). */
size_t mrl_mr_boot_width(mrl_mr_method method);

/* Doubles of work that one thread needs for a group of n variants, the draws not included. */
size_t mrl_mr_boot_work(mrl_mr_method method, size_t n);

/* Draws that take a few milliseconds together; at least 1. */
size_t mrl_mr_boot_chunk(mrl_mr_method method, size_t n);

/*
 * Bootstrap estimates from .. to - 1 of a group: draws[b], and for the second number of Egger
 * draws[n_boot + b]; other places are not touched. NaN throughout where the method cannot be used.
 */
void mrl_mr_boot_draws(double *draws, mrl_mr_method method, const mrl_mr_data *data, size_t group,
                       const mrl_mr_settings *settings, size_t from, size_t to, double *work);

/* The estimate with its standard error from all n_boot draws, whose order it changes. With n_boot
 * < 2 the standard error and p-value are NaN. */
mrl_mr_estimate mrl_mr_boot_finish(mrl_mr_method method, const mrl_mr_data *data, double *draws,
                                   const mrl_mr_settings *settings, double *work);

/* A whole method on one group, in one thread. work: doubles as _work says (draws included). */
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
