/* PLINK files as the core's buffers: what every entry that takes genotypes reads them with. */
#ifndef MRL_GLUE_BED_H
#define MRL_GLUE_BED_H

#include "glue.h"

#include "../core/bed.h"

/* The genotypes that an R `source` (bed_source()) means. All memory is R_alloc's. */
typedef struct {
  const char *path;      /* the .bed */
  size_t n_file, p_file; /* people and variants in the file */
  size_t stride;         /* bytes of a variant */
  const uint32_t *rows;  /* (n) people, from 0, or NULL: all, in order */
  size_t n;
  const uint32_t *variants; /* (m) variants, from 0, or NULL: all */
  size_t m;
} glue_bed;

glue_bed glue_bed_source(SEXP source);

/* packed (stride, count): the selected variants first .. first + count - 1. Opens and closes the
 * file; an R error if it cannot be read. */
void glue_bed_read(uint8_t *packed, const glue_bed *bed, size_t first, size_t count);

/* packed (bytes, m): of each selected variant the bytes from .. from + bytes - 1, which are the
 * people 4 from .. */
void glue_bed_read_people(uint8_t *packed, const glue_bed *bed, size_t from, size_t bytes);

/* Some of the selected people, who must be in the file's order, and the bytes that hold them. */
typedef struct {
  size_t first, count;  /* of the selected people */
  size_t from, bytes;   /* of each variant */
  const uint32_t *rows; /* (count) positions within these bytes, or NULL: the first `count` */
} glue_bed_part;

/* The people from `first` on, none from `end` on, whose genotypes lie in GLUE_BED_SPAN bytes.
 * local: room for 4 GLUE_BED_SPAN positions. */
enum { GLUE_BED_SPAN = 4096 };
glue_bed_part glue_bed_next(const glue_bed *bed, size_t first, size_t end, uint32_t *local);

/* Variants of a block of about 16 MB, at least 1. */
size_t glue_bed_block(const glue_bed *bed);

#endif
