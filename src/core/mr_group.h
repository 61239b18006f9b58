/*
 * Rows of a harmonised table to groups of usable rows. Names (of exposures, outcomes, variants) are
 * pointers: two rows have the same name if and only if the pointers are equal, as with R's cached
 * strings. Nothing is read through them.
 */
#ifndef MRL_MR_GROUP_H
#define MRL_MR_GROUP_H

#include "mr.h"

typedef const void *mrl_name;

/* Exposure and outcome of each row. Both (n), n below 2^31. */
typedef struct {
  const mrl_name *exposure, *outcome;
  size_t n;
} mrl_mr_pairs;

/* Stretches of rows with the same pair: at least as many as there are pairs. */
size_t mrl_mr_count_runs(const mrl_mr_pairs *pairs);

/* Pairs in the order in which they appear: group (n) 0 .. n_groups - 1 of each row; first (n_runs):
 * the first row of each group, n_groups of which are set. */
size_t mrl_mr_group_scratch(size_t n_runs);
mrl_status mrl_mr_group(int *group, int *first, size_t *n_groups, const mrl_mr_pairs *pairs,
                        size_t n_runs, void *scratch, size_t scratch_size, const mrl_ctx *ctx);

/* What becomes of a row, by the first of these that holds. */
typedef enum {
  MRL_MR_DROP_KEEP_FALSE = 0, /* mr_keep is false */
  MRL_MR_DROP_KEEP_NA,        /* or missing */
  MRL_MR_DROP_NOT_FINITE,     /* an effect or standard error is NaN or infinite */
  MRL_MR_DROP_SE,             /* a standard error is zero or negative */
  MRL_MR_USABLE,
  MRL_MR_N_FATE
} mrl_mr_fate;

typedef struct {
  mrl_mr_data data; /* effects of all rows */
  const int *keep;  /* (n) 0: drop; 1: keep; else: missing */
  const int *group; /* (n) */
  size_t n_groups;
} mrl_mr_rows;

/* start (n_groups + 1): where the usable rows of each group start if these are sorted by group.
 * count (MRL_MR_N_FATE): rows of each fate. Returns whether the rows are so already, all usable. */
int mrl_mr_usable(size_t *start, size_t *count, const mrl_mr_rows *rows);

/* row (start[n_groups]): the usable rows, by group, in their order; bx, sx, by, sy: theirs. next
 * (n_groups): scratch. */
void mrl_mr_gather(int *row, double *bx, double *sx, double *by, double *sy, size_t *next,
                   const size_t *start, const mrl_mr_rows *rows);

/*
 * How many of the rows `row` (NULL: 0, 1, ...), grouped by start, bear a name that an earlier row
 * of their group bears; *example is the first such row.
 */
size_t mrl_mr_duplicates_scratch(const size_t *start, size_t n_groups);
size_t mrl_mr_duplicates(int *example, const mrl_name *name, const int *row, const size_t *start,
                         size_t n_groups, void *scratch, const mrl_ctx *ctx);

#endif
