/*
 * The first stage: the law of the exposure x given instruments z and covariates w.
 *
 *   quantile   a net's q quantiles, minimising mean_i sum_k rho_{tau_k}(x_i - xhat_ik)
 *   gaussian   a net's mean and log sd, by maximum likelihood
 *   mixture    a net's K logits, means and log sds, by maximum likelihood
 *   ridge      no net: ridge of x on z, w, its penalty given or by generalised cross-validation,
 * and normal noise with the residuals' sd
 *
 * Quantiles: midpoints (2k - 1) / 2q represent the variance of a normal law times v =
 * mean_k Phi^-1(tau_k)^2 < 1 (.77 for q = 5), which biases curved g. Matched nodes tau_k =
 * Phi(Phi^-1((2k - 1) / 2q) / sqrt(v)) have equal weights too, and a normal law's mean and variance
 * exactly. Non-crossing: the net has q + 1 outputs s >= 0 (softplus), and with the normal law's own
 * distances c_k = (Phi^-1(tau_k) - Phi^-1(tau_k-1)) / log 2
 *   xhat_1 = Phi^-1(tau_1) + s_1 - s_0, xhat_k = xhat_k-1 + c_k s_k,
 * so that they start as those of a normal law. softplus(a) - softplus(-a) = a: nothing is lost.
 *
 * Location: a net's mean is a noisy first stage. With `refit` it is replaced by least squares of x
 * on [1, z, w, H], H the net's last hidden layer under a ridge. Whether H is in, how large its
 * ridge is, or whether the net's own mean alone stands for all, is told by the squared error on
 * validation rows after solving on training rows; the choice is solved again on all of them. So
 * residuals are orthogonal to z, w as in two-stage least squares. Spread: variances within rows are
 * then multiplied by s(l) = s_1 + s_2 l + s_3 l^2, l the location (between a quarter and four times
 * their mean factor s_0), such that x^2 less what the nodes say is orthogonal to 1, l, l^2: what a
 * quadratic g leaves is then orthogonal to them, as by two-stage least squares of x and x^2 on l
 * and l^2. A net's variance alone errs along l, and bends g.
 */
#ifndef MRL_IV_FIRST_H
#define MRL_IV_FIRST_H

#include "head.h"
#include "iv_law.h"
#include "loss.h"
#include "mlp_basis.h"
#include "train.h"

enum { MRL_FIRST_BLOCK = 512, MRL_FIRST_SPREAD = 4 };

typedef struct {
  mrl_first_kind kind;
  size_t parts; /* quantiles or components */
  int matched, non_crossing;
  double ridge; /* of kind ridge; NaN: chosen */
  mrl_mlp mlp;
} mrl_first_settings;

/* The nets, over an arena of their own; and constants. */
typedef struct {
  mrl_first_settings settings;
  size_t n_z, n_w, n_inputs;
  size_t n_features; /* of the last hidden layer; 0 for kind ridge */
  size_t n_location; /* 1 + n_z + n_w + n_features + 1: [1, z, w, H, own mean] */
  mrl_net net, trunk;
  double *level, *normal; /* (parts) of quantiles */
  mrl_real *tau, *gap;    /* (parts) */
  mrl_real start;         /* the lowest normal quantile */
} mrl_first;

/* MRL_BAD_ARGUMENT on settings out of range. */
mrl_status mrl_first_carve(mrl_first *first, mrl_arena *arena, const mrl_first_settings *settings,
                           size_t n_z, size_t n_w);
void mrl_first_start(mrl_first *first); /* fills in the constants */

/* What training reads; stays where it is. */
typedef struct {
  const mrl_first *first;
  mrl_rows input;
  const mrl_real *x, *weight; /* (n) standardised; mean one, or NULL */
  mrl_loss loss;
} mrl_first_data;

/* The task of training on rows (n_train), (n_valid); not for kind ridge. */
mrl_task mrl_first_task(mrl_first_data *data, const size_t *train, size_t n_train,
                        const size_t *valid, size_t n_valid);

/* One trained first stage. */
typedef struct {
  const mrl_real *params, *statistics;
  double *location; /* (n_location) coefficients in standardised units */
  double *outside;  /* (n_location) the same solved on the training rows alone; or NULL */
  double rho;       /* ridge of H; INFINITY: H left out; -1: the net's own mean alone. Kind ridge:
                       its penalty */
  double spread[MRL_FIRST_SPREAD]; /* s_0 .. s_3 */
} mrl_first_fit;

/* A sample as the closed forms read it: in double. */
typedef struct {
  const mrl_iv_sample *sample;
  const mrl_scale *scale; /* (n_inputs + 1): z, w, x */
  const mrl_real *input;  /* (n, n_inputs) by row */
  const double *weight;   /* (n) or NULL */
} mrl_first_rows;

typedef struct {
  mrl_isa isa;
  mrl_net_run run, trunk;
  double *block;               /* (MRL_FIRST_BLOCK, n_location + 1) */
  double *root;                /* (MRL_FIRST_BLOCK) */
  double *gram, *valid, *part; /* (n_location + 1)^2 each */
  double *zero, *one;          /* (n_location + 1) */
  const double **column;       /* (n_location + 1) */
  size_t *use, *which;         /* (n_location + 1) columns of all, of one candidate */
  int *ridge;                  /* (n_location) */
  double *theta, *some;        /* (n_location) */
  double *solve;
  void *gram_scratch;
} mrl_first_work;

mrl_status mrl_first_work_carve(mrl_first_work *work, mrl_arena *arena, const mrl_first *first,
                                mrl_isa isa, const mrl_ctx *ctx);

/* law at the rows (n): the net's own mean and shape (kind ridge: 0 and 1). */
mrl_status mrl_first_read(mrl_law *law, mrl_first_work *work, const mrl_first *first,
                          const mrl_first_fit *fit, const mrl_first_rows *rows, const size_t *row,
                          size_t n, const mrl_ctx *ctx);

/*
 * Location and spread of *fit from a law read at the rows: fit->rho says which if `given`, else it
 * is chosen. Without refit (and but for kind ridge): the net's own.
 */
mrl_status mrl_first_locate(mrl_first_fit *fit, mrl_first_work *work, const mrl_first *first,
                            const mrl_law *law, const mrl_first_rows *rows, const size_t *train,
                            size_t n_train, const size_t *valid, size_t n_valid, int refit,
                            int given, const mrl_ctx *ctx);

/* Moves a law that was read at the rows (n) to the location, and stretches it. */
mrl_status mrl_first_move(mrl_law *law, mrl_first_work *work, const mrl_first *first,
                          const mrl_first_fit *fit, const mrl_first_rows *rows, const size_t *row,
                          size_t n, const mrl_ctx *ctx);
/* out (n of the sample), at the rows: the location by coefficients; own: the net's own means, by
 * row of the sample (only read where their coefficient is not 0). */
mrl_status mrl_first_predict(double *out, mrl_first_work *work, const mrl_first *first,
                             const mrl_first_fit *fit, const double *location, const double *own,
                             const mrl_first_rows *rows, const size_t *row, size_t n,
                             const mrl_ctx *ctx);

/* The parts of these: a block's (n <= MRL_FIRST_BLOCK) location in work->root; the spread of *fit,
 * whose location is solved, over the rows of two lists; a spread that changes nothing; the factor
 * of deviations at a location. */
mrl_status mrl_first_predict_block(mrl_first_work *work, const mrl_first *first,
                                   const mrl_first_fit *fit, const double *location,
                                   const double *own, const mrl_first_rows *rows, const size_t *row,
                                   size_t n, const mrl_ctx *ctx);
mrl_status mrl_first_fit_spread(mrl_first_fit *fit, mrl_first_work *work, const mrl_first *first,
                                const mrl_law *law, const mrl_first_rows *rows,
                                const size_t *const row[2], const size_t n[2], const mrl_ctx *ctx);
void mrl_first_leave_spread(mrl_first_fit *fit);
double mrl_first_stretch(const mrl_first_fit *fit, double location);

#endif
