/*
 * Regressions of traits on one variant at a time, with a constant and covariates, each on the
 * people with a genotype (complete cases).
 *
 * The covariates are projected out once: with an orthonormal basis Q of them and residuals r of a
 * trait, a variant needs g'g, Q'g and r'g only, taken for all columns of [Q, r] in one pass over
 * packed genotypes (bed_dot.h). Where genotypes are missing, the crossproducts of the few people
 * that are left out are taken away again, which is exact.
 *
 * Robust variances and logistic regressions go through the people again, variant by variant.
 */
#ifndef MRL_ASSOC_H
#define MRL_ASSOC_H

#include "bed_dot.h"
#include "logit.h"

typedef enum {
  MRL_ASSOC_IID = 0, /* of the errors or of the information */
  MRL_ASSOC_HC0,
  MRL_ASSOC_HC1,    /* n / (n - k) times HC0 */
  MRL_ASSOC_CLUSTER /* G / (G - 1) (n - 1) / (n - k) times that of sums over groups */
} mrl_assoc_vcov;

/* Why there is no estimate. */
typedef enum {
  MRL_ASSOC_OK = 0,
  MRL_ASSOC_MISSING,     /* nobody has a genotype */
  MRL_ASSOC_MONOMORPHIC, /* all genotypes are the same */
  MRL_ASSOC_TOO_FEW,     /* no degree of freedom is left */
  MRL_ASSOC_COLLINEAR,   /* the covariates explain the genotype, or each other among its people */
  MRL_ASSOC_CONSTANT,    /* the trait is explained, or the same for all of these people */
  MRL_ASSOC_SEPARATED,   /* logistic: the genotype tells cases from controls */
  MRL_ASSOC_NO_CONVERGE,
  MRL_ASSOC_N_REASON
} mrl_assoc_reason;

/* Share of a genotype's variance that covariates must leave over: between the rounding of the
 * crossproducts (1e-14) and anything that could be estimated. */
#define MRL_ASSOC_TOLERANCE 1e-10

typedef struct {
  size_t n_file;           /* people in the file */
  const uint32_t *rows;    /* (n) which of them, from 0; NULL: the first n, in order */
  size_t n;                /* people */
  const double *trait;     /* (n, k); logistic: 0 and 1 */
  size_t k;                /* traits, at least 1 */
  const double *covariate; /* (n, kw) without the constant */
  size_t kw;
  const int *cluster; /* (n) 1 .. n_cluster, or NULL */
  size_t n_cluster;
  mrl_assoc_vcov vcov;
  int logistic;
} mrl_assoc_data;

/* One row per variant, `ld` rows from trait to trait. NaN where there is a reason. */
typedef struct {
  double *beta, *se, *pval; /* (m, k) */
  int *reason;              /* (m, k) */
  double *freq;             /* (m) of A1 among those with a genotype; NaN: nobody */
  double *count;            /* (m) people with a genotype */
  size_t ld;
} mrl_assoc_out;

/* What one thread works with. */
typedef struct {
  double *dot;       /* (lanes, MRL_BED_DOT_MOST) */
  double *count;     /* (4, MRL_BED_DOT_MOST) */
  double *mean;      /* (MRL_BED_DOT_MOST) of dosages */
  void *scratch;     /* mrl_bed_dot_scratch() */
  double *a, *bg;    /* (q, q) and (q): of the complete cases */
  double *qm, *br;   /* (q): sums of Q and of Q r over those who are missing */
  uint32_t *missing; /* (n) places of the strips without a genotype, */
  size_t n_missing;
  double *g;           /* (n) one variant; robust and logistic */
  double *part;        /* (n) genotype without covariates; weights of a logistic regression */
  double *slope;       /* (q) */
  double *sums;        /* (n_cluster) */
  const double **col;  /* (q + 1) */
  double *coef, *vcov; /* (q + 2), (q + 2)^2 */
  mrl_logit_work logit;
} mrl_assoc_work;

typedef struct {
  mrl_assoc_data data;
  size_t stride, q;     /* bytes of a variant; covariates kept */
  double *basis;        /* (n, q) orthonormal, orthogonal to the constant; at most kw columns */
  int *kept;            /* (kw) 0: collinear with those before it */
  double *rest;         /* (n, k) residuals of the traits */
  double *rest_ss;      /* (k) */
  double *trait_ss;     /* (k) about the mean */
  double *strip;        /* [basis, rest] in strips */
  double *columns;      /* (n, q + k) what is laid */
  uint64_t *mask;       /* (words) */
  int n_work;           /* threads */
  mrl_assoc_work *work; /* (n_work) */
} mrl_assoc;

void mrl_assoc_carve(mrl_assoc *assoc, const mrl_assoc_data *data, const mrl_ctx *ctx,
                     mrl_arena *arena);
/* Before the first variant. MRL_NOT_FINITE, MRL_TOO_FEW (n < kw + 3). */
mrl_status mrl_assoc_start(mrl_assoc *assoc, const mrl_assoc_data *data, const mrl_ctx *ctx);

/* Variants of packed (stride, m) into rows first .. first + m - 1 of out. */
mrl_status mrl_assoc_packed(mrl_assoc_out *out, size_t first, mrl_assoc *assoc,
                            const uint8_t *packed, size_t m, mrl_isa isa, const mrl_ctx *ctx);
/* The same of dosages g (n, m), any numbers, NaN for missing. data.rows must be NULL. */
mrl_status mrl_assoc_dense(mrl_assoc_out *out, size_t first, mrl_assoc *assoc, const double *g,
                           size_t m, mrl_isa isa, const mrl_ctx *ctx);

#endif
