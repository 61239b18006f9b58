/*
 * Medians, modes, bootstrap Egger, SIMEX and cML with perturbed data: the estimators that draw
 * effects anew. See mr.h for data and settings.
 *
 * Draw b of group g takes its normals from item g << 24 | b of MRL_RNG_BOOTSTRAP under the
 * settings' seed, so draws can be computed in any order and on any thread. Medians, Egger and cML
 * draw n normals for the exposure, then n for the outcome (cML's random starts follow); modes draw
 * n normals for the ratios; SIMEX n for each amount of noise.
 *
 * A runner that spreads one group over threads: `draws` (width * count) shared; each thread, with
 * work of its own, calls mrl_mr_boot_draws() on ranges of at most mrl_mr_boot_chunk() draws
 * (polling between ranges); then one thread calls mrl_mr_boot_finish(). mrl_mr_boot_whole() is
 * these two in one call.
 */
#ifndef MRL_MR_BOOT_H
#define MRL_MR_BOOT_H

#include "mr.h"

enum { MRL_MR_MAX_BOOT = (1 << 24) - 1 };

/* Is it one of these? */
int mrl_mr_is_drawn(mrl_mr_method method);

/* Numbers kept per draw: 0 for a method without draws, 2 for Egger (slope, intercept). */
size_t mrl_mr_boot_width(mrl_mr_method method, size_t n, const mrl_mr_settings *settings);

/* Draws that settings ask for. */
size_t mrl_mr_boot_count(mrl_mr_method method, const mrl_mr_settings *settings);

/* Doubles of work that one thread needs for a group of n variants, the draws not included. */
size_t mrl_mr_boot_work(mrl_mr_method method, size_t n, const mrl_mr_settings *settings);

/* About how many nanoseconds a draw takes; draws that take a few milliseconds, at least 1. */
double mrl_mr_boot_time(mrl_mr_method method, size_t n, const mrl_mr_settings *settings);
size_t mrl_mr_boot_chunk(mrl_mr_method method, size_t n, const mrl_mr_settings *settings);

/*
 * Estimates from .. to - 1 of a group: number k of draw b at draws[k * count + b]; other places are
 * not touched. NaN throughout where the method cannot be used.
 */
void mrl_mr_boot_draws(double *draws, mrl_mr_method method, const mrl_mr_data *data, size_t group,
                       const mrl_mr_settings *settings, size_t from, size_t to, double *work);

/* The estimate with its standard error from all n_boot draws, whose order it changes. With n_boot
 * < 2 the standard error and p-value are NaN. */
mrl_mr_estimate mrl_mr_boot_finish(mrl_mr_method method, const mrl_mr_data *data, size_t group,
                                   double *draws, const mrl_mr_settings *settings, double *work);

/* A whole method on one group, in one thread. work: doubles as _work says (draws included). detail:
 * set for cML; may be NULL. */
size_t mrl_mr_boot_whole_work(mrl_mr_method method, size_t n, const mrl_mr_settings *settings);
mrl_mr_estimate mrl_mr_boot_whole(mrl_mr_method method, const mrl_mr_data *data, size_t group,
                                  const mrl_mr_settings *settings, mrl_mr_detail *detail,
                                  double *work);

#endif
