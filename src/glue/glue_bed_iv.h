/* Instruments in PLINK files, as rows for the linear estimators. */
#ifndef MRL_GLUE_BED_IV_H
#define MRL_GLUE_BED_IV_H

#include "glue.h"

#include "../core/lsq.h"

/* The rows of all the genotypes of `stream`, a list of sources and of what their missing values are
 * imputed to; n: people. NULL gives NULL. Memory is R_alloc's. */
const mrl_stream *glue_bed_stream(SEXP stream, size_t n);

/* Means (p), crossproducts and perhaps a stream of the instruments; NULL gives NULL. */
const mrl_moments *glue_moments(SEXP list, size_t p, size_t n);

#endif
