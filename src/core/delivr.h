/*
 * DeLIVR's second stage (He et al. 2024, Biostatistics 25:468): a network with a linear skip
 * connection on the exposure predicted from the instruments, h(u) = c0 + c1 u + c2 m(u), for
 * several random splits of the rows into training, validation and test.
 *
 * The skip is solved in closed form: the straight line first, by least squares on the training
 * rows; the network m is trained on what it leaves; then all three coefficients once more by least
 * squares on the training rows. u is the predicted exposure standardised over the training rows.
 */
#ifndef MRL_DELIVR_H
#define MRL_DELIVR_H

#include "loss.h"
#include "mlp.h"
#include "train.h"

typedef enum { MRL_PART_TRAIN = 0, MRL_PART_VALID, MRL_PART_TEST } mrl_part;

typedef struct {
  const double *mu, *y;  /* (n) predicted exposure, outcome */
  const double *weights; /* (n) > 0 or NULL */
  const int *part;       /* (n, n_splits) a mrl_part */
  size_t n, n_splits;
} mrl_delivr_data;

typedef struct {
  const mrl_net *net;       /* of m: one input, one output; see mlp.h */
  mrl_train_settings train; /* its seed is drawn for each split from `seed` */
  mrl_isa isa;
  uint64_t seed;
} mrl_delivr_settings;

/* What a split leaves; memory is the caller's. */
typedef struct {
  mrl_real *params, *statistics; /* of m */
  double *fitted;                /* (n) h of every row */
  double scale[2];               /* mean and standard deviation of mu over the training rows */
  double coef[3];                /* c0, c1, c2; c2 is 0 where m adds nothing to the line */
  size_t epochs, best;
  mrl_status status;
} mrl_delivr_fit;

/* Bytes of scratch; a status if the settings do not suit the net or the data. */
mrl_status mrl_delivr_scratch(size_t *size, const mrl_delivr_data *data,
                              const mrl_delivr_settings *settings, const mrl_ctx *ctx);

/*
 * fit (n_splits). Splits are shared out to the threads and do not depend on them. A split that
 * fails leaves its status: MRL_TOO_FEW with fewer than 3 training rows, MRL_SINGULAR where mu is
 * constant over them, MRL_NOT_FINITE where training diverged. Polls after each epoch.
 */
mrl_status mrl_delivr_run(mrl_delivr_fit *fit, const mrl_delivr_data *data,
                          const mrl_delivr_settings *settings, void *scratch, size_t size,
                          const mrl_ctx *ctx);

#endif
