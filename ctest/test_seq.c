/* Codes of sequences, packing, the other strand, one-hot. */
#include "ctest.h"
#include "seq.h"

#include <string.h>

static void test_codes(void)
{
  mrl_alphabet dna;
  uint8_t code[16];
  CHECK(mrl_alphabet_make(&dna, "ACGT", "N") == MRL_OK);
  CHECK(mrl_seq_encode(code, "ACGTNacgtnUu", 12, &dna) == 12);
  CHECK(memcmp(code, "\0\1\2\3\4\0\1\2\3\4\3\3", 12) == 0);
  CHECK(mrl_seq_encode(code, "ACGX", 4, &dna) == 3);
  CHECK(mrl_seq_encode(code, "A-", 2, &dna) == 1);
  CHECK(mrl_seq_encode(code, "\377", 1, &dna) == 0); /* a byte that is negative as a char */
  CHECK(mrl_seq_encode(code, "", 0, &dna) == 0);
  mrl_alphabet protein;
  CHECK(mrl_alphabet_make(&protein, "ACDEFGHIKLMNPQRSTVWY", "X") == MRL_OK);
  CHECK(mrl_seq_encode(code, "AyTxU", 5, &protein) == 4); /* U is not T here */
  CHECK(code[1] == 19 && code[2] == 16 && code[3] == 20);
  CHECK(mrl_alphabet_make(&dna, "", "N") == MRL_BAD_ARGUMENT);
  CHECK(mrl_alphabet_make(&dna, "ACGA", "N") == MRL_BAD_ARGUMENT);
  CHECK(mrl_alphabet_make(&dna, "ACa", "") == MRL_BAD_ARGUMENT);
  CHECK(mrl_alphabet_make(&dna, "ACGT", "T") == MRL_BAD_ARGUMENT);
}

static void test_packing(void)
{
  enum { MOST = 21 };
  for (size_t n = 0; n <= MOST; n++) {
    uint8_t code[MOST], again[MOST + 1], packed[8], mask[8];
    for (size_t i = 0; i < n; i++) {
      code[i] = (uint8_t)((i * i + 3 * i + n) % 5);
    }
    memset(packed, 0xee, sizeof packed);
    memset(mask, 0xee, sizeof mask);
    mrl_seq_pack(packed, mask, code, n);
    CHECK(packed[mrl_seq_packed_bytes(n)] == 0xee && mask[mrl_seq_mask_bytes(n)] == 0xee);
    for (size_t first = 0; first <= n; first++) {
      again[n - first] = 99;
      mrl_seq_unpack(again, packed, mask, first, n - first);
      CHECK(memcmp(again, code + first, n - first) == 0 && again[n - first] == 99);
    }
  }
}

static void test_other_strand(void)
{
  const uint8_t code[5] = {0, 1, 4, 3, 3}; /* ACNTT: AANGT */
  uint8_t out[5];
  mrl_seq_reverse_complement(out, code, 5);
  CHECK(memcmp(out, "\0\0\4\2\3", 5) == 0);
  mrl_seq_reverse_complement(out, out, 5); /* in place */
  CHECK(memcmp(out, code, 5) == 0);
  mrl_seq_reverse_complement(out, out, 4);
  CHECK(memcmp(out, "\0\4\2\3", 4) == 0);
}

static void test_one_hot(void)
{
  const uint8_t code[3] = {2, 4, 0};
  mrl_real x[3 * 6];
  for (size_t i = 0; i < 18; i++) {
    x[i] = 7;
  }
  mrl_seq_one_hot(x, 6, code, 3, 4, 0.25);
  const mrl_real expected[18] = {0, 0, 1, 0, 0, 0, 0.25, 0.25, 0.25, 0.25, 0, 0, 1, 0, 0, 0, 0, 0};
  CHECK(memcmp(x, expected, sizeof x) == 0);
}

int main(void)
{
  test_codes();
  test_packing();
  test_other_strand();
  test_one_hot();
  return CTEST_DONE();
}
