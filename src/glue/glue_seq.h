/* Sequence networks and sequences, read from what R hands over. */
#ifndef MRL_GLUE_SEQ_H
#define MRL_GLUE_SEQ_H

#include "glue.h"

#include "../core/seqnet.h"

/* The net in scratch memory; *bad is the layer that does not fit. */
mrl_status glue_seq_net(mrl_seqnet *net, size_t *bad, SEXP settings);
/* Codes (length, n) of which each is at most n_letters. */
const uint8_t *glue_seq_codes(SEXP codes, const mrl_seqnet *net, size_t *n);

#endif
