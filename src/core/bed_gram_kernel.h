/*
 * Tiles of pairs of variants, compiled once for each way of counting bits (no include guard).
 * Before including, define KERNEL(name), TARGET, VEC (a vector of bits) with LOAD, AND, XOR, and
 * TALLY with NO_TALLY, TALLY_LESS_TWICE(tally, a, b) (adds the bits of a less twice those of b, all
 * of which a has) and TALLY_SUM(tally, steps), steps being how often it was added to.
 */
enum { KERNEL(WORDS) = sizeof(VEC) / sizeof(uint64_t) };

/* Sums of h_i h_j. */
TARGET static void KERNEL(both_known)(int64_t *sum, const uint64_t *const *a,
                                      const uint64_t *const *b, size_t words)
{
  TALLY tally[TILE_A][TILE_B];
  for (size_t i = 0; i < TILE_A; i++) {
    for (size_t j = 0; j < TILE_B; j++) {
      tally[i][j] = NO_TALLY;
    }
  }
  for (size_t k = 0; k < words; k += KERNEL(WORDS)) {
    VEC n[TILE_A], s[TILE_A];
    for (size_t i = 0; i < TILE_A; i++) {
      n[i] = LOAD(a[i] + k);
      s[i] = LOAD(a[i] + words + k);
    }
    for (size_t j = 0; j < TILE_B; j++) {
      const VEC n_j = LOAD(b[j] + k), s_j = LOAD(b[j] + words + k);
      for (size_t i = 0; i < TILE_A; i++) {
        const VEC both = AND(n[i], n_j), unlike = AND(both, XOR(s[i], s_j));
        TALLY_LESS_TWICE(tally[i][j], both, unlike);
      }
    }
  }
  for (size_t i = 0; i < TILE_A; i++) {
    for (size_t j = 0; j < TILE_B; j++) {
      sum[i * TILE_B + j] = TALLY_SUM(tally[i][j], words / KERNEL(WORDS));
    }
  }
}

/* Sums of h_i M_j. */
TARGET static void KERNEL(one_missing)(int64_t *sum, const uint64_t *const *a,
                                       const uint64_t *const *b, size_t words)
{
  for (size_t i = 0; i < TILE_A; i++) {
    for (size_t j = 0; j < TILE_B; j++) {
      TALLY tally = NO_TALLY;
      for (size_t k = 0; k < words; k += KERNEL(WORDS)) {
        const VEC m = LOAD(b[j] + 2 * words + k);
        TALLY_LESS_TWICE(tally, AND(LOAD(a[i] + k), m), AND(LOAD(a[i] + words + k), m));
      }
      sum[i * TILE_B + j] = TALLY_SUM(tally, words / KERNEL(WORDS));
    }
  }
}

/* Sums of M_i M_j. */
TARGET static void KERNEL(both_missing)(int64_t *sum, const uint64_t *const *a,
                                        const uint64_t *const *b, size_t words)
{
  for (size_t i = 0; i < TILE_A; i++) {
    for (size_t j = 0; j < TILE_B; j++) {
      TALLY tally = NO_TALLY;
      for (size_t k = 0; k < words; k += KERNEL(WORDS)) {
        const VEC both = AND(LOAD(a[i] + 2 * words + k), LOAD(b[j] + 2 * words + k));
        TALLY_LESS_TWICE(tally, both, AND(both, XOR(both, both)));
      }
      sum[i * TILE_B + j] = TALLY_SUM(tally, words / KERNEL(WORDS));
    }
  }
}

static const tile_table KERNEL(table) = {KERNEL(both_known), KERNEL(one_missing),
                                         KERNEL(both_missing)};

#undef KERNEL
#undef TARGET
#undef VEC
#undef LOAD
#undef AND
#undef XOR
#undef TALLY
#undef NO_TALLY
#undef TALLY_LESS_TWICE
#undef TALLY_SUM
