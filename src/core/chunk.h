/*
 * Rows in chunks, as the simulators draw them. Each column and chunk has a random stream of its
 * own, so that the same people come whatever the number of rows, columns and threads.
 */
#ifndef MRL_CHUNK_H
#define MRL_CHUNK_H

#include "rng.h"

/* Rows that one stream serves: 4096 doubles of a few columns fit the second-level cache. Chunks per
 * thread between two polls: 32 * 4096 rows times 64 draws of 4 ns are 34 ms. */
enum { MRL_CHUNK_ROWS = 4096, MRL_CHUNK_COLUMNS = 64, MRL_CHUNKS_PER_THREAD = 32 };

/* A job on the rows first .. first + count - 1, which are chunk number `chunk`. It writes only
 * these rows and draws at most MRL_CHUNK_COLUMNS numbers, or does as much work, for each. */
typedef void (*mrl_chunk_job)(const void *data, size_t chunk, size_t first, size_t count);

/* The stream of a column (below 2^24) of a chunk (below 2^32). */
static inline mrl_rng mrl_chunk_stream(uint64_t seed, mrl_rng_purpose purpose, size_t column,
                                       size_t chunk)
{
  return mrl_rng_stream(seed, purpose, (uint64_t)column << 32 | chunk);
}

/* Whether each number is above a cutoff: 1 or 0 in its place. y (count) */
static inline void mrl_above(double *y, double cutoff, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    y[i] = y[i] > cutoff;
  }
}

/* The job on all of n >= 1 rows. */
static inline void mrl_each_chunk(size_t n, mrl_chunk_job job, const void *data, const mrl_ctx *ctx)
{
  const size_t n_chunks = (n - 1) / MRL_CHUNK_ROWS + 1;
  const size_t batch = MRL_CHUNKS_PER_THREAD * (size_t)ctx->n_threads;
  for (size_t start = 0; start < n_chunks; start += batch) {
    const size_t end = n_chunks - start < batch ? n_chunks : start + batch;
#pragma omp parallel for schedule(dynamic) num_threads(ctx->n_threads)
    for (size_t chunk = start; chunk < end; chunk++) {
      const size_t first = chunk * MRL_CHUNK_ROWS;
      job(data, chunk, first, n - first < MRL_CHUNK_ROWS ? n - first : MRL_CHUNK_ROWS);
    }
    mrl_poll(ctx);
  }
}

#endif
