/* What the fuzz targets share: bytes taken from the input, and checks that stop the fuzzer. */
#ifndef MRL_FUZZ_H
#define MRL_FUZZ_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static inline void check(int fine)
{
  if (!fine) {
    abort();
  }
}

/* The input, eaten from the front; 0 once it is eaten up. */
typedef struct {
  const uint8_t *data;
  size_t size;
} fuzz_input;

static inline unsigned eat(fuzz_input *in)
{
  if (in->size == 0) {
    return 0;
  }
  in->size--;
  return *in->data++;
}

/* n bytes of their own memory, so that the sanitizer sees one read or written past them; what the
 * input lacks is 0. */
static inline uint8_t *eat_bytes(fuzz_input *in, size_t n)
{
  uint8_t *out = calloc(n > 0 ? n : 1, 1);
  const size_t some = n < in->size ? n : in->size;
  if (some > 0) {
    memcpy(out, in->data, some);
  }
  in->data += some;
  in->size -= some;
  return out;
}

#endif
