/* Statuses that core functions return, and the context that they are called in. */
#ifndef MRL_STATUS_H
#define MRL_STATUS_H

#include <stddef.h>
#include <stdint.h>

typedef enum {
  MRL_OK = 0,
  MRL_NOT_FINITE,   /* a result is NaN or infinite although the input was finite */
  MRL_SINGULAR,     /* a matrix that must be inverted is singular to working precision */
  MRL_NO_CONVERGE,  /* an iteration stopped at its limit */
  MRL_TOO_FEW,      /* fewer observations, instruments or degrees of freedom than needed */
  MRL_NO_MEMORY,    /* memory handed in is too small, or a size overflows */
  MRL_BAD_ARGUMENT, /* a caller broke the contract in the header: our bug */
  MRL_N_STATUS
} mrl_status;

/*
 * n_threads: at least 1. poll: called in serial code at least every 0.1 s and never inside a
 * parallel region; it may not return (a longjmp), so nothing may be held when it is called. NULL
 * where nobody can interrupt.
 */
typedef struct {
  int n_threads;
  void (*poll)(void *data);
  void *poll_data;
} mrl_ctx;

static inline void mrl_poll(const mrl_ctx *ctx)
{
  if (ctx->poll) {
    ctx->poll(ctx->poll_data);
  }
}

/*
 * Threads worth starting for a pass over `elements` numbers: one below some milliseconds of work,
 * since waking a team on a busy machine can cost as much.
 */
static inline int mrl_threads_for(const mrl_ctx *ctx, size_t elements)
{
  return elements < ((size_t)1 << 22) ? 1 : ctx->n_threads;
}

/* Returns the status from the calling function unless it is MRL_OK. */
#define MRL_TRY(call)                                                                              \
  do {                                                                                             \
    const mrl_status try_status_ = (call);                                                         \
    if (try_status_ != MRL_OK) {                                                                   \
      return try_status_;                                                                          \
    }                                                                                              \
  } while (0)

#endif
