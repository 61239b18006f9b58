#include "seq.h"

#include <string.h>

static uint8_t upper(uint8_t c)
{
  return c >= 'a' && c <= 'z' ? (uint8_t)(c - 'a' + 'A') : c;
}

static uint8_t lower(uint8_t c)
{
  return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

/* Both cases of a letter; whether it had no code yet. */
static int set_code(mrl_alphabet *alphabet, uint8_t letter, uint8_t code)
{
  const int is_new = alphabet->code[upper(letter)] == MRL_SEQ_NO_LETTER;
  alphabet->code[upper(letter)] = code;
  alphabet->code[lower(letter)] = code;
  return is_new;
}

static void read_as(mrl_alphabet *alphabet, uint8_t letter, uint8_t other)
{
  if (alphabet->code[letter] == MRL_SEQ_NO_LETTER && alphabet->code[other] != MRL_SEQ_NO_LETTER) {
    set_code(alphabet, letter, alphabet->code[other]);
  }
}

mrl_status mrl_alphabet_make(mrl_alphabet *alphabet, const char *letters, const char *unknown)
{
  const size_t n = strlen(letters);
  if (n == 0 || n > MRL_SEQ_MAX_LETTERS) {
    return MRL_BAD_ARGUMENT;
  }
  alphabet->n_letters = n;
  memset(alphabet->code, MRL_SEQ_NO_LETTER, sizeof alphabet->code);
  int all_new = 1;
  for (size_t i = 0; i < n; i++) {
    all_new = set_code(alphabet, (uint8_t)letters[i], (uint8_t)i) && all_new;
  }
  for (size_t i = 0; unknown[i] != '\0'; i++) {
    all_new = set_code(alphabet, (uint8_t)unknown[i], (uint8_t)n) && all_new;
  }
  if (n == 4) { /* of nucleic acids; in larger alphabets T and U are different things */
    read_as(alphabet, 'U', 'T');
    read_as(alphabet, 'T', 'U');
  }
  return all_new ? MRL_OK : MRL_BAD_ARGUMENT;
}

size_t mrl_seq_encode(uint8_t *code, const char *text, size_t n, const mrl_alphabet *alphabet)
{
  for (size_t i = 0; i < n; i++) {
    code[i] = alphabet->code[(uint8_t)text[i]];
    if (code[i] == MRL_SEQ_NO_LETTER) {
      return i;
    }
  }
  return n;
}

void mrl_seq_pack(uint8_t *packed, uint8_t *mask, const uint8_t *code, size_t n)
{
  memset(packed, 0, mrl_seq_packed_bytes(n));
  memset(mask, 0, mrl_seq_mask_bytes(n));
  for (size_t i = 0; i < n; i++) {
    if (code[i] > 3) {
      mask[i / 8] |= (uint8_t)(1u << i % 8);
    } else {
      packed[i / 4] |= (uint8_t)(code[i] << 2 * (i % 4));
    }
  }
}

void mrl_seq_unpack(uint8_t *code, const uint8_t *packed, const uint8_t *mask, size_t first,
                    size_t count)
{
  for (size_t i = 0; i < count; i++) {
    const size_t at = first + i;
    const int is_unknown = mask[at / 8] >> at % 8 & 1;
    code[i] = is_unknown ? 4 : (uint8_t)(packed[at / 4] >> 2 * (at % 4) & 3);
  }
}

static uint8_t complement(uint8_t code)
{
  return code < 4 ? (uint8_t)(3 - code) : code;
}

void mrl_seq_reverse_complement(uint8_t *out, const uint8_t *code, size_t n)
{
  for (size_t i = 0; i < n - n / 2; i++) { /* both ends at a time, so that out may be code */
    const uint8_t head = complement(code[i]), tail = complement(code[n - 1 - i]);
    out[i] = tail;
    out[n - 1 - i] = head;
  }
}

void mrl_seq_one_hot(mrl_real *x, size_t ld, const uint8_t *code, size_t n, size_t n_letters,
                     mrl_real unknown)
{
  memset(x, 0, n * ld * sizeof *x);
  for (size_t i = 0; i < n; i++) {
    mrl_real *row = x + i * ld;
    if (code[i] < n_letters) {
      row[code[i]] = 1;
      continue;
    }
    for (size_t j = 0; j < n_letters; j++) {
      row[j] = unknown;
    }
  }
}
