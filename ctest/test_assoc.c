/* Associations, disequilibrium and components from packed genotypes against slow loops. */
#include "ctest.h"

#include "assoc.h"
#include "bed_score.h"
#include "ld.h"
#include "pca.h"
#include "rng.h"

#include <stdlib.h>
#include <string.h>

static const mrl_ctx ctx = {2, NULL, NULL};

/* Genotypes of n people (NaN: missing with probability `holes`) and their bytes. */
static void draw(double *g, uint8_t *packed, size_t n, size_t m, double holes, uint64_t seed)
{
  for (size_t j = 0; j < m; j++) {
    mrl_rng rng = mrl_rng_stream(seed, MRL_RNG_TEST, j);
    for (size_t i = 0; i < n; i++) {
      g[i + j * n] = mrl_rng_genotype(&rng, 0.2 + 0.1 * (double)(j % 5));
      g[i + j * n] = mrl_rng_uniform(&rng) < holes ? NAN : g[i + j * n];
    }
  }
  CHECK(mrl_bed_encode(packed, g, n, m, &ctx) == MRL_OK);
}

/* Table look-ups against decoded genotypes, on every instruction set: the same bits. */
static void dots_are_sums(size_t n, size_t c)
{
  enum { M = 7 };
  const size_t stride = mrl_bed_stride(n), ld = MRL_LANES * mrl_strips(c);
  double *g = malloc(n * M * sizeof *g), *x = malloc(n * c * sizeof *x);
  uint8_t *packed = malloc(stride * M);
  double *strip = aligned_alloc(MRL_ALIGN, ld * 4 * stride * sizeof *strip);
  double *dot = aligned_alloc(MRL_ALIGN, ld * M * sizeof *dot), *first = malloc(ld * M * 8);
  void *scratch = malloc(mrl_bed_dot_scratch());
  const double zero[M] = {0};
  mrl_rng rng = mrl_rng_stream(2, MRL_RNG_TEST, n);
  draw(g, packed, n, M, 0.1, 1);
  mrl_rng_fill_normal(&rng, x, n * c);
  mrl_strip_lay(strip, stride, x, NULL, n, c);
  for (int isa = MRL_ISA_PORTABLE; isa < MRL_N_ISA; isa++) {
    mrl_bed_dot(dot, packed, stride, strip, c, M, scratch, (mrl_isa)isa);
    if (isa == MRL_ISA_PORTABLE) {
      memcpy(first, dot, ld * M * sizeof *dot);
    }
    CHECK(memcmp(first, dot, ld * M * sizeof *dot) == 0);
    for (size_t j = 0; j < M; j++) {
      for (size_t k = 0; k < c; k++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++) {
          sum += isnan(g[i + j * n]) ? 0 : g[i + j * n] * x[i + k * n];
        }
        CHECK_NEAR(dot[k + j * ld], sum, 1e-12 * (double)(n + 1));
      }
    }
    mrl_dense_dot(dot, g, zero, n, stride, strip, c, M, (mrl_isa)isa);
    for (size_t j = 0; j < ld * M; j++) {
      CHECK_NEAR(dot[j], first[j], 1e-12 * (double)(n + 1));
    }
  }
  free(g);
  free(x);
  free(packed);
  free(strip);
  free(dot);
  free(first);
  free(scratch);
}

/* beta of y on [1, w, g] among those with a genotype, by elimination on the normal equations. */
static double slow_beta(double *se, const double *g, const double *w, const double *y, size_t n)
{
  double a[3][4] = {{0}}, yy = 0, count = 0;
  for (size_t i = 0; i < n; i++) {
    if (!isnan(g[i])) {
      const double row[4] = {1, w[i], g[i], y[i]};
      for (int p = 0; p < 3; p++) {
        for (int q = 0; q < 4; q++) {
          a[p][q] += row[p] * row[q];
        }
      }
      yy += y[i] * y[i];
      count++;
    }
  }
  for (int p = 0; p < 3; p++) {
    yy -= a[p][3] * a[p][3] / a[p][p];
    for (int r = p + 1; r < 3; r++) {
      const double f = a[r][p] / a[p][p];
      for (int q = p; q < 4; q++) {
        a[r][q] -= f * a[p][q];
      }
    }
  }
  *se = sqrt(yy / (count - 3) / a[2][2]);
  return a[2][3] / a[2][2];
}

typedef struct {
  double beta[20], se[20], pval[20], freq[20], count[20];
  int reason[20];
} rows;

static void fit(rows *r, const mrl_assoc_data *data, const uint8_t *packed, const double *g)
{
  enum { M = 20 };
  mrl_assoc assoc;
  mrl_arena measure = mrl_arena_measure();
  mrl_assoc_carve(&assoc, data, &ctx, &measure);
  void *memory = malloc(measure.used);
  mrl_arena arena = mrl_arena_over(memory, measure.used);
  mrl_assoc_carve(&assoc, data, &ctx, &arena);
  CHECK(!arena.failed);
  mrl_assoc_out out = {r->beta, r->se, r->pval, r->reason, r->freq, r->count, M};
  CHECK(mrl_assoc_start(&assoc, data, &ctx) == MRL_OK);
  CHECK((packed ? mrl_assoc_packed(&out, 0, &assoc, packed, M, mrl_isa_best(), &ctx)
                : mrl_assoc_dense(&out, 0, &assoc, g, M, mrl_isa_best(), &ctx)) == MRL_OK);
  free(memory);
}

static void slopes_are_least_squares(void)
{
  enum { N = 203, M = 20 };
  static double g[N * M], some[N * M], w[N], y[N];
  static uint8_t packed[(N / 4 + 1) * M];
  static uint32_t keep[N];
  rows all, part, dense;
  draw(g, packed, N, M, 0.08, 3);
  for (size_t i = 0; i < N; i++) {
    g[i] = i % 7 ? 1 : NAN; /* the first variant does not vary */
  }
  CHECK(mrl_bed_encode(packed, g, N, M, &ctx) == MRL_OK);
  mrl_rng rng = mrl_rng_stream(4, MRL_RNG_TEST, 0);
  mrl_rng_fill_normal(&rng, w, N);
  mrl_rng_fill_normal(&rng, y, N);
  mrl_assoc_data data = {N, NULL, N, y, 1, w, 1, NULL, 0, MRL_ASSOC_IID, 0};
  fit(&all, &data, packed, NULL);
  fit(&dense, &data, NULL, g);
  CHECK(all.reason[0] == MRL_ASSOC_MONOMORPHIC && isnan(all.beta[0]));
  for (size_t j = 1; j < M; j++) {
    double se;
    const double beta = slow_beta(&se, g + j * N, w, y, N);
    CHECK(all.reason[j] == MRL_ASSOC_OK);
    CHECK_NEAR(all.beta[j], beta, 1e-12);
    CHECK_NEAR(all.se[j], se, 1e-12);
    CHECK_NEAR(dense.beta[j], beta, 1e-12);
    CHECK_NEAR(dense.se[j], se, 1e-12);
  }
  /* Two of three people, from the last: as if the others were not in the file. */
  size_t n = 0;
  for (size_t i = N; i-- > 0;) {
    if (i % 3) {
      keep[n++] = (uint32_t)i;
    }
  }
  double *w_part = malloc(n * sizeof *w_part), *y_part = malloc(n * sizeof *y_part);
  for (size_t i = 0; i < n; i++) {
    w_part[i] = w[keep[i]];
    y_part[i] = y[keep[i]];
    for (size_t j = 0; j < M; j++) {
      some[i + j * n] = g[keep[i] + j * N];
    }
  }
  const mrl_assoc_data chosen = {N, keep, n, y_part, 1, w_part, 1, NULL, 0, MRL_ASSOC_HC1, 0};
  fit(&part, &chosen, packed, NULL);
  mrl_assoc_data alone = chosen;
  alone.rows = NULL;
  alone.n_file = n;
  fit(&dense, &alone, NULL, some);
  for (size_t j = 1; j < M; j++) {
    double se;
    CHECK_NEAR(part.beta[j], slow_beta(&se, some + j * n, w_part, y_part, n), 1e-12);
    CHECK_NEAR(part.se[j], dense.se[j], 1e-12);
    CHECK(part.count[j] == dense.count[j]);
  }
  free(w_part);
  free(y_part);
}

static void correlations_are_those_of_counts(void)
{
  enum { N = 131, M = 6 };
  static double g[N * M], r[M * M];
  static uint8_t packed[(N / 4 + 1) * M];
  static uint64_t planes[M * 3 * (N / 64 + 1)];
  draw(g, packed, N, M, 0.1, 5);
  mrl_ld_planes(planes, packed, mrl_bed_stride(N), NULL, N, M, &ctx);
  mrl_ld_matrix(r, planes, N, M, MRL_LD_GENOTYPE, mrl_isa_best(), &ctx);
  for (size_t a = 0; a < M; a++) {
    for (size_t b = 0; b < M; b++) {
      double n = 0, x = 0, y = 0, xx = 0, yy = 0, xy = 0;
      for (size_t i = 0; i < N; i++) {
        const double u = g[i + a * N], v = g[i + b * N];
        if (!isnan(u) && !isnan(v)) {
          n += 1;
          x += u;
          y += v;
          xx += u * u;
          yy += v * v;
          xy += u * v;
        }
      }
      CHECK_NEAR(r[a + b * M], (n * xy - x * y) / sqrt((n * xx - x * x) * (n * yy - y * y)), 1e-14);
      CHECK(mrl_ld_correlation(planes, N, a, b, MRL_LD_GENOTYPE, MRL_ISA_PORTABLE) == r[a + b * M]);
      /* No haplotype correlation leaves [-1, 1]; with itself it is 1. */
      const double h = mrl_ld_correlation(planes, N, a, b, MRL_LD_HAPLOTYPE, mrl_isa_best());
      CHECK(a == b ? fabs(h - 1) < 1e-12 : fabs(h) <= 1);
    }
  }
}

/* A variant that is the same as another is clumped with it; a window that ends before it is not. */
static void clumps_have_windows(void)
{
  enum { N = 90, M = 4 };
  static double g[N * M];
  static uint8_t packed[(N / 4 + 1) * M];
  static uint64_t planes[M * 3 * 2];
  int clump[M];
  double square[M], scratch[M];
  draw(g, packed, N, M, 0, 6);
  memcpy(g + 2 * N, g, N * sizeof *g);
  CHECK(mrl_bed_encode(packed, g, N, M, &ctx) == MRL_OK);
  mrl_ld_planes(planes, packed, mrl_bed_stride(N), NULL, N, M, &ctx);
  const double position[M] = {0, 5, 10, 10};
  const int order[M] = {2, 0, 1, 3};
  mrl_clump_problem problem = {position, M, N, 10, 0.5, MRL_LD_HAPLOTYPE, order, M};
  mrl_ld_clump(clump, square, scratch, &problem, planes, mrl_isa_best(), &ctx);
  CHECK(clump[0] == 2 && clump[1] == 1 && clump[2] == 2 && clump[3] == 3);
  CHECK_NEAR(square[0], 1, 1e-12);
  problem.radius = 9;
  mrl_ld_clump(clump, square, scratch, &problem, planes, mrl_isa_best(), &ctx);
  CHECK(clump[0] == 0 && clump[2] == 2);
}

/* K v = value v, length 1, and the trace bounds the values. */
static void components_are_eigenvectors(size_t n, size_t m, size_t k)
{
  const size_t stride = mrl_bed_stride(n);
  double *g = malloc(n * m * sizeof *g), *z = malloc(n * m * sizeof *z);
  double *value = malloc(4 * m * sizeof *value), *vectors = malloc(n * k * sizeof *vectors);
  double *values = malloc(k * sizeof *values);
  uint8_t *packed = malloc(stride * m);
  draw(g, packed, n, m, 0.05, 7);
  for (size_t j = 0; j < m; j++) {
    const double p = 0.2 + 0.1 * (double)(j % 5), s = sqrt(2 * p * (1 - p));
    const double table[4] = {(2 - 2 * p) / s, 0, (1 - 2 * p) / s, -2 * p / s};
    memcpy(value + 4 * j, table, sizeof table);
  }
  mrl_bed_values(z, packed, stride, NULL, n, value, m, &ctx);
  mrl_pca pca;
  mrl_arena measure = mrl_arena_measure();
  mrl_pca_carve(&pca, n, m, k, &ctx, &measure);
  void *memory = malloc(measure.used);
  mrl_arena arena = mrl_arena_over(memory, measure.used);
  mrl_pca_carve(&pca, n, m, k, &ctx, &arena);
  mrl_pca_start(&pca, &ctx);
  while (!pca.done) {
    CHECK(mrl_pca_add(&pca, packed, stride, NULL, value, m, mrl_isa_best(), &ctx) == MRL_OK);
    const mrl_status status = mrl_pca_pass(&pca, mrl_isa_best(), &ctx);
    CHECK(status == MRL_OK);
    if (status != MRL_OK) {
      break;
    }
  }
  mrl_pca_result(vectors, values, &pca);
  for (size_t l = 0; l < k; l++) {
    const double *v = vectors + l * n;
    double length = 0, worst = 0;
    for (size_t i = 0; i < n; i++) {
      double image = 0;
      for (size_t j = 0; j < m; j++) {
        double product = 0;
        for (size_t r = 0; r < n; r++) {
          product += z[r + j * n] * v[r];
        }
        image += z[i + j * n] * product / (double)m;
      }
      length += v[i] * v[i];
      worst = fmax(worst, fabs(image - values[l] * v[i]));
    }
    CHECK_NEAR(length, 1, 1e-12);
    CHECK(worst <= 2 * MRL_PCA_TOLERANCE * values[0]);
    CHECK(l == 0 || values[l] <= values[l - 1]);
  }
  free(g);
  free(z);
  free(value);
  free(vectors);
  free(values);
  free(packed);
  free(memory);
}

int main(void)
{
  const size_t people[] = {1, 4, 63, 64, 65, 257, 1000};
  for (size_t i = 0; i < sizeof people / sizeof *people; i++) {
    dots_are_sums(people[i], 1 + i);
    dots_are_sums(people[i], 8 + i);
  }
  slopes_are_least_squares();
  correlations_are_those_of_counts();
  clumps_have_windows();
  components_are_eigenvectors(40, 70, 3);
  components_are_eigenvectors(12, 5, 4);
  components_are_eigenvectors(5, 130, 2);
  return CTEST_DONE();
}
