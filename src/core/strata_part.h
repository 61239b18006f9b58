/* Between the files of strata.c: the associations within one stratum. */
#ifndef MRL_STRATA_PART_H
#define MRL_STRATA_PART_H

#include "arena.h"
#include "strata.h"

/* Bytes for the regressions of a stratum of at most `most` people. */
size_t mrl_strata_effect_scratch(const mrl_strata_data *data, const mrl_strata_settings *settings,
                                 size_t most);
/* effect (MRL_STRATUM_N_COLUMN): all but the Gelman-Rubin statistics. May run in a parallel region,
 * each thread with a scratch of its own. */
mrl_status mrl_strata_effect(double *effect, const mrl_strata_data *data, const size_t *row,
                             size_t n, const mrl_strata_settings *settings, void *scratch,
                             size_t scratch_size);

#endif
