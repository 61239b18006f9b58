/*
 * Sequences of a small alphabet as codes: letter number 0 .. n - 1, or n for an unknown one (N in
 * DNA). DNA is A C G T in this order, so that the complement of code c is 3 - c.
 */
#ifndef MRL_SEQ_H
#define MRL_SEQ_H

#include "real.h"
#include "status.h"

#include <stdint.h>

enum { MRL_SEQ_MAX_LETTERS = 64, MRL_SEQ_NO_LETTER = 255 };

/* Code of each byte: its letter's number, n_letters if unknown, MRL_SEQ_NO_LETTER if none. */
typedef struct {
  size_t n_letters;
  uint8_t code[256];
} mrl_alphabet;

/*
 * letters (n_letters), all different; unknown: those that stand for any letter (may be empty).
 * Lower case counts as upper case; U is read as T, and T as U, where only one of them is a letter.
 * MRL_BAD_ARGUMENT if there are no or too many letters or one stands twice.
 */
mrl_status mrl_alphabet_make(mrl_alphabet *alphabet, const char *letters, const char *unknown);

/* code (n) out; returns n, or the place of the first byte that is no letter. */
size_t mrl_seq_encode(uint8_t *code, const char *text, size_t n, const mrl_alphabet *alphabet);

/*
 * Four letters to a byte, the first in the lowest bits, and one bit of the mask for each letter
 * that is unknown (its two bits are 0). packed (mrl_seq_packed_bytes), mask (mrl_seq_mask_bytes).
 */
static inline size_t mrl_seq_packed_bytes(size_t n)
{
  return n / 4 + (n % 4 != 0);
}

static inline size_t mrl_seq_mask_bytes(size_t n)
{
  return n / 8 + (n % 8 != 0);
}

void mrl_seq_pack(uint8_t *packed, uint8_t *mask, const uint8_t *code, size_t n);
/* code (count): letters first .. first + count - 1. */
void mrl_seq_unpack(uint8_t *code, const uint8_t *packed, const uint8_t *mask, size_t first,
                    size_t count);

/* The other strand (DNA or RNA, in the order of this file); out (n) may be code. */
void mrl_seq_reverse_complement(uint8_t *out, const uint8_t *code, size_t n);

/* x (n rows of ld numbers) out: row i is 1 at its letter, `unknown` at each where it is unknown
 * (0, or 1 / n_letters), and 0 up to ld. */
void mrl_seq_one_hot(mrl_real *x, size_t ld, const uint8_t *code, size_t n, size_t n_letters,
                     mrl_real unknown);

#endif
