/*
 * Parts of deep feature IV (iv_dfiv.h), for the files of iv_dfiv alone: features, ridges with their
 * gradients, one batch.
 *
 * With z, w, x in standardised units and three nets phi(z, w), psi(x), xi(w),
 *   instruments  P = [1, z, w, phi]    (n_p columns)
 *   exposure     E = [x, x^2, psi]     (n_e); [x] of a linear model
 *   covariates   C = [1, w, xi]        (n_c)
 *   outcome      F = [1, E] (x) C      (terms; x and psi meet w only where `crossed`)
 * Rows are in folds; those of fold k take their expected E from the rows A outside it:
 *   V_k = argmin_V mean_A |E - P_k V|^2 + lambda_1 |V_phi|^2,  Ehat = P_k V_k in fold k (rows B),
 *   u = argmin_u mean_B (y - F(Ehat, C) u)^2 + lambda_2 |u_free|^2.
 * Of one sample E is known in rows B too. What the first stage leaves of it, D = (E - Ehat) (x) C,
 * has mean zero given the instruments, so that y - D b serves as well as y whatever b is, with less
 * noise: b comes from the ridge of y on F(Ehat, C) and D together.
 * Losses are exactly what the ridges minimise, so that their gradients at the solution are those at
 * V, u held fixed; but the second depends on psi through V_k = G^-1 P'E as well: with dV =
 * P_B'dEhat the gradient of E_A is P_A G^-1 dV. Terms that a linear model has are under no ridge.
 */
#ifndef MRL_IV_DFIV_PART_H
#define MRL_IV_DFIV_PART_H

#include "mlp.h"
#include "optim.h"

enum { MRL_DFIV_CROSSED = 30, MRL_DFIV_BLOCK = 1024 };

/* The nets; those without hidden layers are not there: n_phi, n_psi or n_xi is 0. */
typedef struct {
  size_t n_z, n_w, n_phi, n_psi, n_xi;
  size_t n_x; /* powers of x in E: 2, or 1 of a linear model */
  size_t n_p, n_e, n_c, terms;
  size_t n_d; /* terms with an exposure feature */
  int crossed;
  mrl_net phi, psi, xi;
} mrl_dfiv_nets;

typedef struct {
  mrl_mlp instrument, exposure, covariate;
} mrl_dfiv_mlps;

/* Over an arena of their own. A linear exposure net (no hidden layers) makes the outcome linear. */
mrl_status mrl_dfiv_nets_carve(mrl_dfiv_nets *nets, mrl_arena *arena, const mrl_dfiv_mlps *mlps,
                               size_t n_z, size_t n_w);
/* Term j of the outcome: column *e of [1, E] times column *c of C; 1 if it is under the ridge. */
int mrl_dfiv_term(size_t *e, size_t *c, const mrl_dfiv_nets *nets, size_t term);

/* What is read of the two samples (the same twice if there is one). */
typedef struct {
  const mrl_real *input[2]; /* (n, n_z + n_w) by row */
  const mrl_real *x, *y;    /* (n1), (n2) */
  const double *weight[2];  /* (n) or NULL */
  const int *fold;          /* (n) of the rows of both, from 0 */
  size_t folds;             /* 1: A and B are all rows */
} mrl_dfiv_data;

/* One net with its optimiser. */
typedef struct {
  const mrl_net *net;
  mrl_real *params, *statistics, *moments;
  uint64_t seed;
} mrl_dfiv_member;

/* Rows of a fold in a batch: which, and their places in it. */
typedef struct {
  size_t *row, *place;
  size_t n;
} mrl_dfiv_rows;

/* A ridge solved: coef (p, q); root (p, p) the Cholesky factor of what was inverted. */
typedef struct {
  double *coef, *root;
} mrl_dfiv_ridge;

typedef struct {
  const mrl_dfiv_nets *nets;
  mrl_dfiv_data data;
  double lambda[2];
  size_t width; /* columns beside y: terms, and n_d of one sample */
  mrl_isa isa;
  mrl_dfiv_member *phi; /* (folds) */
  mrl_dfiv_member psi, xi;
  size_t most; /* rows of a batch, and at least MRL_DFIV_BLOCK */
  mrl_net_run run_phi, run_psi, run_xi;
  mrl_dfiv_rows a, b;               /* (most) */
  mrl_real *feature;                /* (most, widest) by row */
  double *root_weight, *zero, *one; /* (most), (columns), (columns) */
  const double **column;
  double *p;                     /* (folds, 2 most, n_p): A, then B */
  double *e, *de, *ehat, *dehat; /* (most, n_e) */
  double *part, *dpart;          /* (most, n_e), (most, n_p) */
  double *c, *dc;                /* (most, n_c) */
  double *f;                     /* (most, terms + n_d + 1): F, D, y */
  double *gram;                  /* (widest gram)^2 */
  double *dv;                    /* (n_p, n_e) */
  mrl_dfiv_ridge *v;             /* (folds) */
  mrl_dfiv_ridge u;              /* (width, 1) */
  int *free_v, *free_u;          /* (n_p), (terms + n_d) 1: under no ridge */
  void *gemm_scratch, *gram_scratch;
} mrl_dfiv_model;

mrl_status mrl_dfiv_model_carve(mrl_dfiv_model *model, mrl_arena *arena, const mrl_dfiv_nets *nets,
                                const mrl_dfiv_data *data, size_t most, int trains, mrl_isa isa,
                                const mrl_ctx *ctx);

/* Rows of both samples; with one sample the lists are the same. */
typedef struct {
  const size_t *row[2];
  size_t n[2];
  uint64_t step;
} mrl_dfiv_batch;

/* coef (p, q), root of the crossproducts gram (p + q, p + q): sums of weight `total`; lambda on
 * what is not free. MRL_SINGULAR, MRL_NOT_FINITE. */
mrl_status mrl_dfiv_solve(mrl_dfiv_ridge *ridge, const double *gram, size_t p, size_t q,
                          double total, double lambda, const int *is_free);

/* Loss of instrument net k on a batch and its gradient, in run_phi; E must be there
 * (mrl_dfiv_exposures). MRL_TOO_FEW: the fold has not two rows in the batch. */
mrl_status mrl_dfiv_instrument_loss(double *loss, mrl_dfiv_model *model, size_t k,
                                    const mrl_dfiv_batch *batch, const mrl_ctx *ctx);
/* E of a batch by the exposure net, frozen. */
mrl_status mrl_dfiv_exposures(mrl_dfiv_model *model, const mrl_dfiv_batch *batch,
                              const mrl_ctx *ctx);
/* Loss of the outcome and its gradients, in run_psi and run_xi; instrument nets are frozen. */
mrl_status mrl_dfiv_outcome_loss(double *loss, mrl_dfiv_model *model, const mrl_dfiv_batch *batch,
                                 const mrl_ctx *ctx);

/* Parts that passes over all rows share. */
void mrl_dfiv_fold_rows(mrl_dfiv_rows *out, const mrl_dfiv_data *data, const size_t *row, size_t n,
                        size_t fold, int inside);
/* Features of rows by a frozen net: out (n, outputs) by row. which: 0 phi, 1 psi, 2 xi. */
mrl_status mrl_dfiv_evaluate(mrl_real *out, mrl_dfiv_model *model, int which,
                             const mrl_dfiv_member *member, int sample, const size_t *row, size_t n,
                             const mrl_ctx *ctx);
/* A net in training on a batch's rows: forward into out (n, outputs) by row; or, with out NULL,
 * backward from d_out (n, outputs) after the forward pass of the same rows and step. */
mrl_status mrl_dfiv_pass(mrl_real *out, const mrl_real *d_out, mrl_dfiv_model *model, int which,
                         const mrl_dfiv_member *member, int sample, const size_t *row, size_t n,
                         uint64_t step, const mrl_ctx *ctx);
/* P, E, C at rows, from features (n, .) by row; columns with leading dimension n. */
void mrl_dfiv_fill_p(double *p, const mrl_dfiv_model *model, int sample, const size_t *row,
                     size_t n, const mrl_real *feature);
void mrl_dfiv_fill_e(double *e, const mrl_dfiv_model *model, const size_t *row, size_t n,
                     const mrl_real *feature);
void mrl_dfiv_fill_c(double *c, const mrl_dfiv_model *model, const size_t *row, size_t n,
                     const mrl_real *feature);
/* F (n, terms) from ehat (n, n_e) and c (n, n_c). */
void mrl_dfiv_fill_f(double *f, const mrl_dfiv_nets *nets, const double *ehat, const double *c,
                     size_t n);
/* D (n, n_d) from e, ehat (n, n_e) and c (n, n_c). */
void mrl_dfiv_fill_d(double *d, const mrl_dfiv_nets *nets, const double *e, const double *ehat,
                     const double *c, size_t n);
/* Crossproducts of p columns in one piece and q in another, weighted; added to if `more`. */
mrl_status mrl_dfiv_gram(double *gram, mrl_dfiv_model *model, const double *a, size_t p,
                         const double *b, size_t q, int sample, const size_t *row, size_t n,
                         int more, const mrl_ctx *ctx);
mrl_status mrl_dfiv_product(double *out, mrl_dfiv_model *model, const double *a, mrl_trans ta,
                            const double *b, mrl_trans tb, size_t m, size_t n, size_t k,
                            const mrl_ctx *ctx);
double mrl_dfiv_total(const mrl_dfiv_data *data, int sample, const size_t *row, size_t n);

#endif
