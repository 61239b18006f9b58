/* libFuzzer's entry to sequences: any bytes as an alphabet and a text; what is encoded, packed and
 * unpacked from any place must be the same letters, and so must the other strand's other strand. */
#include "fuzz.h"
#include "seq.h"

/* A string of up to `most` bytes, ended by a zero. */
static char *eat_string(fuzz_input *in, size_t most)
{
  const size_t n = eat(in) % (most + 1);
  char *out = (char *)eat_bytes(in, n + 1);
  out[n] = '\0';
  return out;
}

static void check_packing(const uint8_t *code, size_t n, size_t first)
{
  uint8_t *packed = malloc(mrl_seq_packed_bytes(n) + 1), *mask = malloc(mrl_seq_mask_bytes(n) + 1);
  packed[mrl_seq_packed_bytes(n)] = mask[mrl_seq_mask_bytes(n)] = 0xee;
  mrl_seq_pack(packed, mask, code, n);
  check(packed[mrl_seq_packed_bytes(n)] == 0xee && mask[mrl_seq_mask_bytes(n)] == 0xee);
  uint8_t *again = malloc(n - first + 1);
  mrl_seq_unpack(again, packed, mask, first, n - first);
  for (size_t i = first; i < n; i++) {
    check(again[i - first] == (code[i] > 3 ? 4 : code[i]));
  }
  free(packed);
  free(mask);
  free(again);
}

static void check_strand(const uint8_t *code, size_t n)
{
  uint8_t *other = malloc(n + 1);
  mrl_seq_reverse_complement(other, code, n);
  mrl_seq_reverse_complement(other, other, n);
  check(memcmp(other, code, n) == 0);
  free(other);
}

static void check_one_hot(const uint8_t *code, size_t n, size_t n_letters)
{
  const size_t ld = mrl_pad(n_letters);
  mrl_real *x = malloc((n * ld + 1) * sizeof *x);
  mrl_seq_one_hot(x, ld, code, n, n_letters, 0);
  for (size_t i = 0; i < n; i++) {
    mrl_real sum = 0;
    for (size_t j = 0; j < ld; j++) {
      sum += x[i * ld + j];
    }
    check(sum == (code[i] < n_letters));
  }
  free(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  fuzz_input in = {data, size};
  mrl_alphabet alphabet;
  char *letters = eat_string(&in, MRL_SEQ_MAX_LETTERS + 2), *unknown = eat_string(&in, 4);
  const int is_dna = eat(&in) & 1;
  const mrl_status status =
      mrl_alphabet_make(&alphabet, is_dna ? "ACGT" : letters, is_dna ? "N" : unknown);
  check(status == MRL_OK || status == MRL_BAD_ARGUMENT);
  const size_t from = eat(&in), n = in.size;
  char *text = (char *)eat_bytes(&in, n);
  uint8_t *code = malloc(n + 1);
  if (status == MRL_OK) {
    const size_t end = mrl_seq_encode(code, text, n, &alphabet);
    check(end <= n);
    for (size_t i = 0; i < end; i++) {
      check(code[i] <= alphabet.n_letters);
    }
    check_packing(code, end, end > 0 ? from % (end + 1) : 0);
    check_strand(code, end);
    check_one_hot(code, end, alphabet.n_letters);
  }
  free(letters);
  free(unknown);
  free(text);
  free(code);
  return 0;
}
