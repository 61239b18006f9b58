/* Environments: traits rebuilt from their parts, laws, mixing by hand, threads. Fixed seeds. */
#include "ctest.h"

#include <string.h>

#include "sim_environment.h"

enum { N0 = 9000, N1 = 5000, N = N0 + N1, D = 2 };

typedef struct {
  double y[N], x[N], v[N * D], w[N * D], h[N * D], noise_x[N], noise_y[N];
} columns;

static columns first, second;

static void simulate(columns *c, mrl_latent_law law, int n_threads)
{
  static const int n[] = {N0, N1};
  static const double shift[] = {0, 2}, eta[] = {1, 0, 0, 1, 2, 0, .5, 3};
  static const double root[] = {1, 0, .5, .8660254037844386}, one[] = {1, 1}, hard[] = {1, .3};
  const mrl_sim_environment_settings s = {.n = n,
                                          .n_env = 2,
                                          .seed = 7,
                                          .dim_v = D,
                                          .dim_w = D,
                                          .dim_h = D,
                                          .shift = shift,
                                          .eta = eta,
                                          .root_v = root,
                                          .root_w = root,
                                          .beta_v = hard,
                                          .beta_w = one,
                                          .alpha_x = one,
                                          .alpha_y = hard,
                                          .theta = .7,
                                          .law = law};
  mrl_sim_environment out = {c->y, c->x, c->v, c->w, c->h, c->noise_x, c->noise_y};
  const mrl_ctx ctx = {n_threads, NULL, NULL};
  CHECK(mrl_sim_environment_run(&out, &s, &ctx) == MRL_OK);
}

static void test_rebuild(void)
{
  simulate(&first, MRL_LATENT_NORMAL, 1);
  for (int i = 0; i < N; i += 7) {
    const columns *c = &first;
    const double x = c->v[i] + .3 * c->v[i + N] + c->w[i] + c->w[i + N] + c->h[i] + c->h[i + N];
    CHECK_NEAR(c->x[i], x + c->noise_x[i], 1e-12);
    CHECK_NEAR(c->y[i], .7 * c->x[i] + c->h[i] + .3 * c->h[i + N] + c->noise_y[i], 1e-12);
  }
  simulate(&second, MRL_LATENT_NORMAL, 3);
  CHECK(memcmp(&first, &second, sizeof first) == 0);
}

static double mean_product(const double *a, const double *b, int from, int to)
{
  double sum = 0;
  for (int i = from; i < to; i++) {
    sum += a[i] * b[i];
  }
  return sum / (to - from);
}

/*
 * W has the covariance (1, .5; .5, 1) under each law; H the mean of its environment. The SD of a
 * mean of products of n standardised variables is at most sqrt(kurtosis / n), 9 for the
 * exponential: 5 of them. The square of t5 has no third moment; its law is told by the mean of |w|,
 * in closed form sqrt(3 / 5) 2 sqrt(5) Gamma(3) / (4 sqrt(pi) Gamma(5 / 2)).
 */
static void test_laws(void)
{
  static const double absolute[] = {.7978846, .8660254, .7071068, .7351052, .7357589};
  for (int law = 0; law < MRL_N_LATENT; law++) {
    simulate(&first, (mrl_latent_law)law, 2);
    const double *w = first.w, tol = 5 * 3 / sqrt(N);
    if (law != MRL_LATENT_T5) {
      CHECK_NEAR(mean_product(w, w, 0, N), 1, tol);
      CHECK_NEAR(mean_product(w + N, w + N, 0, N), 1, tol);
      CHECK_NEAR(mean_product(w, w + N, 0, N), .5, tol);
    }
    double mean = 0, cube = 0, size = 0;
    for (int i = 0; i < N; i++) {
      size += fabs(w[i]) / N;
      mean += w[i] / N;
      cube += w[i] * w[i] * w[i] / N;
    }
    CHECK_NEAR(mean, 0, 5 / sqrt(N));
    CHECK_NEAR(size, absolute[law], 5 / sqrt(N));
    if (law != MRL_LATENT_T5) { /* the third moment: 2 or 0, its SD at most sqrt(265 / n) = .14 */
      CHECK_NEAR(cube, law == MRL_LATENT_EXPONENTIAL ? 2 : 0, .7);
    }
    double h = 0;
    for (int i = N0; i < N; i++) {
      h += first.h[i + N] / N1;
    }
    CHECK_NEAR(h, 2, 5 / sqrt(N1));
    /* V = a + H eta with eta = (2, 0; .5, 3) by columns: column 2 is .5 H1 + 3 H2 + a2. */
    CHECK_NEAR(mean_product(first.v + N, first.h + N, N0, N), .5 * 4 + 3 * 5, 1.5);
  }
}

static void test_monomials(void)
{
  CHECK(mrl_n_monomial(4, 1) == 5 && mrl_n_monomial(4, 2) == 15 && mrl_n_monomial(4, 3) == 35);
  CHECK(mrl_n_monomial(2, 0) == 1 && mrl_n_monomial(32, 6) == 0);
  /* Three variables 2, 3, 5 to degree 3: the products of all multisets, each once. */
  static const double x[] = {2, 3, 5};
  static double identity[20 * 20], z[20];
  static const int width[] = {20};
  const double *weights[] = {identity}, *bias[] = {NULL};
  for (int j = 0; j < 20; j++) {
    identity[j * 21] = 1;
  }
  const mrl_mixing g = {
      .degree = 3, .n_layer = 1, .width = width, .weights = weights, .bias = bias, .slope = .2};
  const mrl_ctx ctx = {1, NULL, NULL};
  CHECK(mrl_mix(z, x, 1, 3, &g, &ctx) == MRL_OK);
  int found = 0;
  for (int a = 0; a <= 3; a++) {
    for (int b = 0; a + b <= 3; b++) {
      for (int c = 0; a + b + c <= 3; c++) {
        const double product = pow(2, a) * pow(3, b) * pow(5, c);
        for (int j = 0; j < 20; j++) {
          found += z[j] == product;
        }
      }
    }
  }
  CHECK(found == 20); /* 2, 3, 5: products of different multisets differ */
}

/* Two layers with a rectifier of slope .2 between, and the place of the greatest of three. */
static void test_layers(void)
{
  static const double x[] = {1, -2}, w1[] = {1, 1, 2, -1}, w2[] = {1, 0, 0, 1, -1, 1},
                      b2[] = {0, 5, 0};
  static const int width[] = {2, 3};
  const double *weights[] = {w1, w2}, *bias[] = {NULL, b2};
  double z[3];
  mrl_mixing g = {.n_layer = 2, .width = width, .weights = weights, .bias = bias, .slope = .2};
  const mrl_ctx ctx = {1, NULL, NULL};
  CHECK(mrl_mix(z, x, 1, 2, &g, &ctx) == MRL_OK); /* hidden: (1 - 2, 2 + 2) -> (-.2, 4) */
  CHECK_NEAR(z[0], -.2, 1e-15);
  CHECK_NEAR(z[1], 4 + 5, 1e-15);
  CHECK_NEAR(z[2], .2 + 4, 1e-15);
  g.ternary = 1;
  CHECK(mrl_mix_width(2, &g) == 1);
  CHECK(mrl_mix(z, x, 1, 2, &g, &ctx) == MRL_OK);
  CHECK(z[0] == 1);
}

static void test_noise(void)
{
  simulate(&first, MRL_LATENT_NORMAL, 1);
  static double clean[N * D], noisy[N * D];
  mrl_mixing g = {.n_layer = 0, .seed = 3};
  const mrl_ctx ctx = {2, NULL, NULL};
  CHECK(mrl_mix(clean, first.v, N, D, &g, &ctx) == MRL_OK);
  CHECK(memcmp(clean, first.v, sizeof clean) == 0);
  g.noise = .5;
  CHECK(mrl_mix(noisy, first.v, N, D, &g, &ctx) == MRL_OK);
  for (int j = 0; j < D; j++) {
    double mean = 0, square = 0, error = 0;
    for (int i = 0; i < N; i++) {
      mean += clean[i + j * N] / N;
      square += clean[i + j * N] * clean[i + j * N] / N;
      error += pow(noisy[i + j * N] - clean[i + j * N], 2) / N;
    }
    /* A variance of n normals has the relative SD sqrt(2 / n): 5 of them. */
    CHECK_NEAR(error / (.25 * (square - mean * mean)), 1, 5 * sqrt(2. / N));
  }
}

int main(void)
{
  test_rebuild();
  test_laws();
  test_monomials();
  test_layers();
  test_noise();
  return CTEST_DONE();
}
