/* The tests of test_gemm.c that are the same for float and double; included once for each. Needs
 * REAL, EPS, FN(name), SCRATCH. */

/* One product with its matrices; `pad` rows beyond the shapes hold NaN. */
typedef struct {
  size_t m, n, k, ldc, lda, ldb;
  mrl_trans ta, tb;
  REAL *a, *b, *c, *start; /* start: what c held before */
} FN(problem);

static REAL *FN(matrix)(size_t ld, size_t rows, size_t cols)
{
  REAL *x = bytes(ld * cols * sizeof(REAL));
  for (size_t j = 0; j < cols; j++) {
    for (size_t i = 0; i < ld; i++) {
      x[i + j * ld] = i < rows ? (REAL)uniform() : (REAL)NAN;
    }
  }
  return x;
}

static FN(problem)
    FN(problem_new)(size_t m, size_t n, size_t k, mrl_trans ta, mrl_trans tb, size_t pad)
{
  FN(problem) x = {m, n, k, m + pad, (ta ? k : m) + pad, (tb ? n : k) + pad, ta, tb, 0, 0, 0, 0};
  x.a = FN(matrix)(x.lda, ta ? k : m, ta ? m : k);
  x.b = FN(matrix)(x.ldb, tb ? n : k, tb ? k : n);
  x.start = FN(matrix)(x.ldc, m, n);
  x.c = bytes(x.ldc * n * sizeof(REAL));
  return x;
}

static void FN(problem_free)(FN(problem) * x)
{
  free(x->a);
  free(x->b);
  free(x->c);
  free(x->start);
}

static void FN(multiply)(FN(problem) * x, int accumulate, mrl_isa isa, int n_threads)
{
  const mrl_ctx ctx = threads(n_threads);
  const guarded s = guarded_new(SCRATCH(x->m, x->n, x->k, &ctx));
  memcpy(x->c, x->start, x->ldc * x->n * sizeof(REAL));
  CHECK(FN(mrl_gemm)(x->c, x->ldc, x->a, x->lda, x->ta, x->b, x->ldb, x->tb, x->m, x->n, x->k,
                     accumulate, guarded_scratch(s), isa, &ctx) == MRL_OK);
  guarded_free(s);
}

/* Against the naive sum in long double, with the bound of Higham (2002, section 3.1):
 * |error| <= about k eps sum |a b|; and nothing written behind the rows of c. */
static void FN(check)(const FN(problem) * x, int accumulate)
{
  int ok = 1;
  for (size_t j = 0; j < x->n; j++) {
    for (size_t i = 0; i < x->m; i++) {
      long double sum = accumulate ? (long double)x->start[i + j * x->ldc] : 0, size = fabsl(sum);
      for (size_t p = 0; p < x->k; p++) {
        const REAL a = x->ta ? x->a[p + i * x->lda] : x->a[i + p * x->lda];
        const REAL b = x->tb ? x->b[j + p * x->ldb] : x->b[p + j * x->ldb];
        sum += (long double)a * b;
        size += fabsl((long double)a * b);
      }
      const long double bound = ((long double)x->k + 1) * EPS * size;
      ok = ok && fabsl((long double)x->c[i + j * x->ldc] - sum) <= bound;
    }
    for (size_t i = x->m; i < x->ldc; i++) {
      ok = ok && isnan(x->c[i + j * x->ldc]);
    }
  }
  CHECK(ok);
}

static void FN(check_shape)(size_t m, size_t n, size_t k, size_t pad)
{
  for (int form = 0; form < 4; form++) {
    FN(problem) x = FN(problem_new)(m, n, k, (mrl_trans)(form & 1), (mrl_trans)(form >> 1), pad);
    for (int isa = 0; isa < n_isa(); isa++) {
      FN(multiply)(&x, isa % 2, (mrl_isa)isa, 1 + form % 2);
      FN(check)(&x, isa % 2);
      FN(multiply)(&x, 1 - isa % 2, (mrl_isa)isa, 3);
      FN(check)(&x, 1 - isa % 2);
    }
    FN(problem_free)(&x);
  }
}

/* Every edge of the tiles: all heights up to 70, with widths and depths that go round. */
static void FN(test_small)(void)
{
  for (size_t m = 0; m <= 70; m++) {
    for (size_t n = m % 7; n <= 27; n += 7) {
      FN(check_shape)(m, n, below(12), m % 3);
    }
  }
  for (size_t n = 0; n <= 70; n++) {
    FN(check_shape)(1 + n % 35, n, 1 + n % 20, n % 2);
  }
  for (size_t k = 0; k <= 70; k++) {
    FN(check_shape)(1 + below(60), 1 + below(20), k, k % 4);
  }
}

static void FN(test_random)(void)
{
  for (int i = 0; i < 8; i++) {
    FN(check_shape)(1 + below(300), 1 + below(130), 1 + below(700), below(5));
  }
  FN(check_shape)(5, 1100, 9, 1); /* wider than a block of b */
  FN(check_shape)(700, 3, 270, 1);
  FN(check_shape)(2, 8200, 5, 1); /* wider than a region */
}

static void FN(expect_same)(FN(problem) * x, const REAL *c, int accumulate, mrl_isa isa,
                            int n_threads)
{
  FN(multiply)(x, accumulate, isa, n_threads);
  CHECK(memcmp(x->c, c, x->ldc * x->n * sizeof(REAL)) == 0);
}

/* The same bits from any number of threads, from both vector paths, and from a product cut in two
 * along k at any place. */
static void FN(check_bits)(size_t m, size_t n, size_t k, int form)
{
  FN(problem) x = FN(problem_new)(m, n, k, (mrl_trans)(form & 1), (mrl_trans)(form >> 1 & 1), 0);
  REAL *c = bytes(m * n * sizeof(REAL));
  for (int isa = 0; isa < n_isa(); isa++) {
    if (isa != MRL_ISA_AVX512) { /* avx512 is held against avx2, which is still in c */
      FN(multiply)(&x, 1, (mrl_isa)isa, 1);
      memcpy(c, x.c, m * n * sizeof(REAL));
    }
    for (int t = 1; t <= 3; t++) {
      FN(expect_same)(&x, c, 1, (mrl_isa)isa, t);
    }
    FN(problem) left = x, right = x;
    left.k = below(k + 1);
    right.k = k - left.k;
    right.a = x.a + (x.ta ? left.k : left.k * x.lda);
    right.b = x.b + (x.tb ? left.k * x.ldb : left.k);
    FN(multiply)(&left, 1, (mrl_isa)isa, 2);
    right.start = bytes(m * n * sizeof(REAL));
    memcpy(right.start, left.c, m * n * sizeof(REAL));
    FN(expect_same)(&right, c, 1, (mrl_isa)isa, 1);
    free(right.start);
  }
  free(c);
  FN(problem_free)(&x);
}

/* The last four are worth three threads on every path. */
static void FN(test_bits)(void)
{
  for (int i = 0; i < 8; i++) {
    FN(check_bits)(1 + below(400), 1 + below(150), i < 4 ? 600 : 1 + below(600), i);
  }
  FN(check_bits)(3001, 41, 600, 0);
  FN(check_bits)(41, 3001, 600, 3);
  FN(check_bits)(70, 61, 16000, 1);
  FN(check_bits)(20, 512, 7000, 2);
}

/* A NaN or an infinity in a row of a reaches all of that row of c and nothing else; zeros in b do
 * not hide it. */
static void FN(test_not_finite)(void)
{
  for (int isa = 0; isa < n_isa(); isa++) {
    FN(problem) x = FN(problem_new)(19, 6, 300, MRL_NO_TRANS, MRL_NO_TRANS, 0);
    x.a[7 + 280 * x.lda] = (REAL)NAN;
    x.a[18 + 3 * x.lda] = (REAL)INFINITY;
    x.b[3] = 0;
    FN(multiply)(&x, 0, (mrl_isa)isa, 1);
    int ok = 1;
    for (size_t j = 0; j < x.n; j++) {
      for (size_t i = 0; i < x.m; i++) {
        const REAL value = x.c[i + j * x.ldc];
        ok = ok && (i == 7 ? isnan(value) : i == 18 ? !isfinite(value) : isfinite(value));
      }
    }
    CHECK(ok);
    CHECK(isnan(x.c[7]));
    FN(problem_free)(&x);
  }
}

static void FN(test_errors)(void)
{
  const mrl_ctx ctx = threads(1);
  REAL x[4] = {0};
  CHECK(FN(mrl_gemm)(x, 1, x, 2, MRL_NO_TRANS, x, 2, MRL_NO_TRANS, 2, 2, 2, 0, x, MRL_ISA_PORTABLE,
                     &ctx) == MRL_BAD_ARGUMENT);
  CHECK(FN(mrl_gemm)(x, 2, x, 2, MRL_TRANS, x, 2, MRL_NO_TRANS, 2, 2, 3, 0, x, MRL_ISA_PORTABLE,
                     &ctx) == MRL_BAD_ARGUMENT);
  CHECK(FN(mrl_gemm)(x, 2, x, 2, MRL_NO_TRANS, x, 2, MRL_NO_TRANS, 2, 2, 2, 0, NULL,
                     MRL_ISA_PORTABLE, &ctx) == MRL_NO_MEMORY);
}

#undef REAL
#undef EPS
#undef FN
#undef SCRATCH
