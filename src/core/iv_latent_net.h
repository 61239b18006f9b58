/*
 * The networks of an autoencoder of instruments: an encoder to a latent, from which a decoder gives
 * the instruments back; monomials as features of either.
 */
#ifndef MRL_IV_LATENT_NET_H
#define MRL_IV_LATENT_NET_H

#include "iv_latent_loss.h"
#include "loss.h"
#include "net.h"

/* Monomials of degree 1 .. degree: the first n_vars are the variables, each other one is an earlier
 * one times a variable. */
typedef struct {
  size_t n_vars, n;
  size_t *parent, *var; /* (n) of those past the first n_vars */
} mrl_monomials;

/* C(n_vars + degree, degree) - 1, 0 if that is above 65,535. */
size_t mrl_monomials_count(size_t n_vars, size_t degree);
mrl_status mrl_monomials_carve(mrl_monomials *m, mrl_arena *arena, size_t n_vars, size_t degree);
/* x (rows, n; ld): columns past the variables from those before. Back: the gradients d of all are
 * added to those of the variables; d of the others is lost. */
void mrl_monomials_fill(mrl_real *x, const mrl_monomials *m, size_t rows, size_t ld);
void mrl_monomials_back(mrl_real *d, const mrl_real *x, const mrl_monomials *m, size_t rows,
                        size_t ld);

typedef enum { MRL_CODE_LINEAR = 0, MRL_CODE_POLY, MRL_CODE_MLP, MRL_N_CODE } mrl_code;

/* One side. MLP of the encoder: dense, layer norm, rectifier for each hidden layer, then dense; of
 * the decoder without the norm. */
typedef struct {
  mrl_code kind;
  size_t degree;     /* poly, at least 1 */
  const int *hidden; /* (n_hidden) mlp, at most MRL_CODE_HIDDEN of them */
  size_t n_hidden;
} mrl_coder;

enum { MRL_CODE_HIDDEN = 16 };

typedef struct {
  mrl_net net;
  mrl_monomials monomials; /* of its inputs; n = n_vars unless poly */
} mrl_coder_net;

/* MRL_BAD_ARGUMENT on sizes out of range, MRL_NO_MEMORY. */
mrl_status mrl_coder_carve(mrl_coder_net *to, mrl_arena *arena, const mrl_coder *coder,
                           size_t n_inputs, size_t n_outputs, int with_norm);

/* A mrl_fill_fn: rows of the instruments with their monomials; data is a mrl_coder_rows. */
typedef struct {
  const mrl_monomials *monomials;
  const mrl_real *x; /* by row: x[row * n_vars + j] */
} mrl_coder_rows;
mrl_status mrl_coder_fill_rows(mrl_real *x, const mrl_tile *tile, const void *data);

/* The same for the rows' places in the batch, from n_vars columns of the blocks of latents
 * (iv_latent_loss.h), `first` being the first of them. */
typedef struct {
  const mrl_monomials *monomials;
  const double *x;
  size_t batch, width; /* rows and columns of a block */
  size_t first;
} mrl_coder_latents;
mrl_status mrl_coder_fill_latents(mrl_real *x, const mrl_tile *tile, const void *data);

/* A mrl_loss_fn with the value 0 that keeps the output in blocks; data is a mrl_coder_blocks. */
typedef struct {
  double *x;
  size_t batch, d;
} mrl_coder_blocks;
mrl_status mrl_coder_keep(double *value, mrl_real *d_output, const mrl_real *output,
                          const mrl_tile *tile, const void *data);

/* Between a tile's gradient and the blocks: dx += weight d, in the columns that `latents` reads;
 * and d = dx (rows that fill up a tile are not touched). */
void mrl_coder_add_input(double *dx, const mrl_real *d, const mrl_tile *tile,
                         const mrl_coder_latents *latents, double weight);
void mrl_coder_take_output(mrl_real *d, const double *dx, const mrl_tile *tile, size_t d_vars,
                           size_t batch);

#endif
