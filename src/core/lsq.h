/*
 * Least squares with instruments by the triangular factor of all columns.
 *
 * The columns [1, exogenous | instruments | exposures | outcome] are centred (with a constant) and
 * scaled, their crossproducts taken in one pass, and factored by Cholesky. With C = [1, exogenous,
 * instruments] = Q R_c, the coordinates Q'[exposures, outcome] hold all that OLS, 2SLS and their
 * homoskedastic diagnostics need. Centring and scaling makes the normal equations safe where
 * columns are not nearly collinear; where they are, a second pass orthogonalises the rows by the
 * first factor and factors what is left, which has the accuracy of a QR decomposition (Yamamoto et
 * al. 2015, Electron. Trans. Numer. Anal. 44:306). Coefficients are refined once with residuals
 * taken from the data.
 *
 * Weights: row i counts weights[i] times (0 < weights), as lm() has it.
 */
#ifndef MRL_LSQ_H
#define MRL_LSQ_H

#include "arena.h"
#include "gemm.h"
#include "status.h"

/* A column whose variance share left over by those before it is below this is collinear. The
 * crossproducts carry about 1e-14 of rounding; one thousand times that is told apart safely. */
#define MRL_LSQ_TOLERANCE 1e-11
/* Below this share the crossproducts have lost too many digits: they are taken a second time. */
#define MRL_LSQ_SECOND_PASS 1e-4
enum { MRL_LSQ_BLOCK = 1024 };

typedef struct {
  const double *const *col; /* exogenous (no constant), instruments, exposures, outcome */
  const double *weights;    /* (n) or NULL */
  size_t n, n_exog, n_inst, n_endog;
  int intercept; /* 0 or 1 */
} mrl_lsq_data;

/*
 * Moments instead of columns: means (p) and crossproducts about them (p, p) of the columns without
 * the constant, which there must be; total: the sum of weights. Where a stream is given, col has
 * NULL for the instruments; without one col is NULL, and nothing that takes rows can be asked for.
 *
 * A stream gives the instruments' rows: rows() writes those from `first` on, count <= block, of all
 * n_inst to out (count, n_inst). It is called in serial code and, as poll, may not return.
 */
typedef struct {
  void (*rows)(double *out, void *data, size_t first, size_t count, const mrl_ctx *ctx);
  void *data;
  size_t block;
} mrl_stream;

typedef struct {
  const double *mean, *gram;
  double total;
  const mrl_stream *stream; /* or NULL */
} mrl_moments;

/* The factor. Sizes with _full count every column that came, the others those that were kept. */
typedef struct {
  size_t n, k_full, p;    /* rows; intercept + n_exog; all columns with constant and outcome */
  size_t kw, n_inst, kc;  /* kept exogenous with the constant; kept instruments; their sum */
  size_t kx, n_inst_full; /* exposures; instruments that came */
  mrl_columns all;        /* the p columns, with shift, scale and root */
  mrl_columns c;          /* the kc kept ones of C */
  const double **col;     /* (p) */
  double *shift, *scale;  /* (p) */
  double *root, *ones;    /* (n) square roots of weights or NULL; a constant column or NULL */
  const double **c_col;   /* (kc) */
  double *c_shift, *c_scale;
  size_t *keep;             /* (kc) kept columns of C as indices into all */
  int *aliased;             /* (k_full + n_inst_full) 1: collinear with those before it */
  double *rc;               /* (kc, kc) upper */
  double *rcx;              /* (kc, kx + 1) Q'[exposures, outcome] */
  double *rxx;              /* (kx + 1, kx + 1) upper: factor of what C leaves unexplained */
  double *endog_share;      /* (kx) share of each exposure's variance left by exogenous columns */
  double *gram;             /* (p, p) */
  double *again;            /* (p, p) crossproducts of the second pass */
  double *block;            /* (MRL_LSQ_BLOCK, p) rows that are orthogonalised */
  const double **block_col; /* (p) */
  double *block_zero, *block_one; /* (p) */
  const mrl_stream *stream;       /* or NULL */
  double *streamed;               /* (stream->block, n_inst_full) */
} mrl_lsq;

/* moments NULL: the columns are there. */
void mrl_lsq_carve_moments(mrl_lsq *lsq, const mrl_lsq_data *data, const mrl_moments *moments,
                           mrl_arena *arena);
void mrl_lsq_carve(mrl_lsq *lsq, const mrl_lsq_data *data, mrl_arena *arena);
/* scratch: mrl_gram_scratch(p). MRL_NOT_FINITE where a mean or a variance overflows. */
mrl_status mrl_lsq_factor(mrl_lsq *lsq, const mrl_lsq_data *data, void *scratch, mrl_isa isa,
                          const mrl_ctx *ctx);
/* By moments. Nearly collinear columns are not factored a second time, and cost digits. */
mrl_status mrl_lsq_factor_moments(mrl_lsq *lsq, const mrl_lsq_data *data,
                                  const mrl_moments *moments);

/* A job on some rows of the kept columns of C: those from `first` on, c->n of them. */
typedef mrl_status (*mrl_lsq_job)(void *data, const mrl_columns *c, size_t first,
                                  const mrl_ctx *ctx);
/* The job on all rows in order: in one go where C is in memory, else on blocks of the stream. */
mrl_status mrl_lsq_each_block(const mrl_lsq *lsq, mrl_lsq_job job, void *data, const mrl_ctx *ctx);

/* Sum of squared residuals of the structural equation with the exposures' coefficients beta (kx),
 * in scaled units, by coordinates: those of the exogenous columns are fitted exactly. */
double mrl_lsq_rss(const mrl_lsq *lsq, const double *beta);

/* In the units of the data, with Y = [exposures, outcome], m = kx + 1, and C whole and its
 * exogenous part W: between (m, m) = Y'(P_C - P_W) Y and within (m, m) = Y'M_C Y, weighted. */
void mrl_lsq_reduced(double *between, double *within, const mrl_lsq *lsq);

/* out (n) = base (n) - sum_j coef[j] * (scaled column j); base and out may be the same. */
void mrl_columns_subtract(double *out, const double *base, const mrl_columns *columns,
                          const double *coef, const mrl_ctx *ctx);
/* out (p): sum_i multiplier[i] * (scaled column j)_i, without the columns' own root. */
void mrl_columns_dot(double *out, const mrl_columns *columns, const double *multiplier,
                     const mrl_ctx *ctx);

/* out (n) = x with NaN replaced by the mean of the others; returns how many were replaced. */
size_t mrl_impute_mean(double *out, const double *x, size_t n);

#endif
