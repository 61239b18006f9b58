/*
 * Memory carving. An algorithm has one carve() that lays its arrays out over an arena. Called with
 * an arena whose base is NULL it only measures (`used` says how much is needed); called again with
 * that much memory it assigns. The core thus allocates nothing itself.
 */
#ifndef MRL_ARENA_H
#define MRL_ARENA_H

#include <stddef.h>
#include <stdint.h>

enum { MRL_ALIGN = 64 }; /* a cache line, and the widest vector register */

typedef struct {
  unsigned char *base; /* NULL: measure only. Any alignment: pieces are aligned on their address. */
  size_t used;         /* bytes handed out so far, padding included */
  size_t size;         /* bytes that base holds (ignored while measuring) */
  int failed;          /* a piece did not fit, or a size overflowed; all later pieces are NULL */
} mrl_arena;

/* A measuring arena. */
static inline mrl_arena mrl_arena_measure(void)
{
  const mrl_arena arena = {NULL, 0, 0, 0};
  return arena;
}

static inline mrl_arena mrl_arena_over(void *base, size_t size)
{
  const mrl_arena arena = {(unsigned char *)base, 0, size, 0};
  return arena;
}

/* The next `count` items of `size` bytes, aligned to MRL_ALIGN, not cleared; NULL while measuring.
 */
static inline void *mrl_take(mrl_arena *arena, size_t count, size_t size)
{
  if (arena->failed || (size != 0 && count > (SIZE_MAX - MRL_ALIGN) / size)) {
    arena->failed = 1;
    return NULL;
  }
  const size_t need = count * size;
  if (!arena->base) {
    if (arena->used > SIZE_MAX - need - MRL_ALIGN) {
      arena->failed = 1;
      return NULL;
    }
    arena->used += need + MRL_ALIGN; /* the worst padding, as the address is not known yet */
    return NULL;
  }
  const uintptr_t at = (uintptr_t)(arena->base + arena->used);
  const size_t pad = (size_t)((MRL_ALIGN - at % MRL_ALIGN) % MRL_ALIGN);
  if (need > arena->size - arena->used || pad > arena->size - arena->used - need) {
    arena->failed = 1;
    return NULL;
  }
  void *piece = arena->base + arena->used + pad;
  arena->used += pad + need;
  return piece;
}

#define MRL_TAKE(arena, type, count) ((type *)mrl_take((arena), (count), sizeof(type)))

#endif
