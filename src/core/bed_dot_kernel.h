/*
 * The kernels of bed_dot.c for one instruction set; included once for each (no include guard).
 * Before including, define
 *
 *   KERNEL(name)  the function's name, made unique
 *   TARGET        the attribute that switches the instruction set on for one function, or nothing
 *   LEN           doubles in a register, 8 at most
 *
 * Rows of MRL_LANES numbers are handled in ROW_PARTS registers, one after the other. Each lane sums
 * alone, so all sets give the same bits (multiply to rounding: the compiler may fuse).
 */
typedef double KERNEL(row) __attribute__((vector_size(LEN * sizeof(double)), may_alias));
#define ROW_PARTS (MRL_LANES / LEN)

/* table (ROW_PARTS, 16, pairs): what a pair of people adds, by their two codes. */
TARGET static void KERNEL(fill)(KERNEL(row) * table, const KERNEL(row) * x, size_t pairs)
{
  const KERNEL(row) zero = {0};
  for (size_t i = 0; i < pairs; i++) {
    for (size_t part = 0; part < ROW_PARTS; part++) {
      const KERNEL(row) x0 = x[2 * i * ROW_PARTS + part], x1 = x[(2 * i + 1) * ROW_PARTS + part];
      const KERNEL(row) low[4] = {x0 + x0, zero, x0, zero}, high[4] = {x1 + x1, zero, x1, zero};
      for (size_t k = 0; k < 16; k++) {
        table[(i * 16 + k) * ROW_PARTS + part] = low[k & 3] + high[k >> 2];
      }
    }
  }
}

/* dot += the shares of `bytes` bytes of m variants. ld: rows of dot from variant to variant. */
TARGET static void KERNEL(look_up)(KERNEL(row) * dot, size_t ld, const uint8_t *packed,
                                   size_t stride, const KERNEL(row) * table, size_t bytes, size_t m)
{
  for (size_t part = 0; part < ROW_PARTS; part++) {
    for (size_t j = 0; j < m; j++) {
      const uint8_t *p = packed + j * stride;
      KERNEL(row) a = {0}, b = {0};
      for (size_t i = 0; i < bytes; i++) {
        a += table[(32 * i + (p[i] & 15)) * ROW_PARTS + part];
        b += table[(32 * i + 16 + (p[i] >> 4)) * ROW_PARTS + part];
      }
      dot[j * ld * ROW_PARTS + part] += a + b;
    }
  }
}

/* dot += (g - shift)' x over n people, NaN as 0, for m columns of g. */
TARGET static void KERNEL(multiply)(KERNEL(row) * dot, size_t ld, const double *g, size_t ldg,
                                    const double *shift, const KERNEL(row) * x, size_t n, size_t m)
{
  for (size_t part = 0; part < ROW_PARTS; part++) {
    for (size_t j = 0; j < m; j++) {
      const double *gj = g + j * ldg, mean = shift[j];
      KERNEL(row) a = {0}, b = {0};
      for (size_t i = 0; i < n; i += 2) {
        const double even = gj[i] == gj[i] ? gj[i] - mean : 0;
        a += even * x[i * ROW_PARTS + part];
        if (i + 1 < n) {
          const double odd = gj[i + 1] == gj[i + 1] ? gj[i + 1] - mean : 0;
          b += odd * x[(i + 1) * ROW_PARTS + part];
        }
      }
      dot[j * ld * ROW_PARTS + part] += a + b;
    }
  }
}

TARGET static void KERNEL(tally)(size_t *count, const uint8_t *packed, size_t stride,
                                 const uint64_t *mask)
{
  const size_t words = stride / 8, rest = stride % 8;
  for (size_t i = 0; i < words + (rest > 0); i++) {
    uint64_t word = 0;
    memcpy(&word, packed + 8 * i, i < words ? 8 : rest);
    const uint64_t low = word & mask[i], high = word >> 1 & mask[i];
    count[MRL_BED_MISSING] += (size_t)__builtin_popcountll(low & ~high);
    count[MRL_BED_HET] += (size_t)__builtin_popcountll(high & ~low);
    count[MRL_BED_HOM_A2] += (size_t)__builtin_popcountll(low & high);
    count[MRL_BED_HOM_A1] += (size_t)__builtin_popcountll(mask[i] & ~(low | high));
  }
}

#undef ROW_PARTS
#undef LEN
#undef KERNEL
#undef TARGET
