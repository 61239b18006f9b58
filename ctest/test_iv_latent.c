/* Autoencoders of instruments in double: the whole objective against a slow one, its gradient by
 * central differences; what training promises. */
#include "latent_double.h"

#include "ctest.h"

enum { P = 5, KX = 2, MOST_ROWS = 400, ENVS = 3, DV = 2, DW = 2, D = DV + DW };

static const int hidden[] = {6, 5};
static const double bandwidth[] = {0.7, 2};

typedef struct {
  mrl_real z[MOST_ROWS * P], x[MOST_ROWS * KX];
  int n_row[ENVS];
  mrl_latent_data data;
  mrl_latent_settings settings;
  mrl_latent_nets nets;
  mrl_latent_run run;
  void *net_memory, *memory;
} problem;

static mrl_latent_settings settings_of(mrl_code encoder, mrl_code decoder, mrl_match match,
                                       int whiten)
{
  const mrl_latent_settings s = {
      .encoder = {encoder, 2, hidden, 2},
      .decoder = {decoder, 3, hidden, 1},
      .penalty = {0, 30, DV, DW, match, whiten, 0, 0.7, 0.4, 0.1, bandwidth, bandwidth, 2},
      .reconstruction = 3,
      .epochs = 2,
      .restarts = 2,
      .rate = 1e-3,
      .optimizer = {MRL_ADAMW, 0.9, 0.9, 0.999, 1e-8, 1e-4, 1},
      .schedule = {.kind = MRL_COSINE},
      .n_valid = 20,
      .seed = 11,
      .isa = MRL_ISA_PORTABLE};
  return s;
}

/* Instruments of ENVS environments of unequal sizes whose means and scales differ. */
static problem *problem_new(const mrl_latent_settings *settings)
{
  problem *p = test_bytes(sizeof *p);
  size_t row = 0;
  p->settings = *settings;
  for (size_t e = 0; e < ENVS; e++) {
    p->n_row[e] = 100 + 13 * (int)e;
    for (int i = 0; i < p->n_row[e]; i++, row++) {
      const double shared = test_uniform();
      for (size_t j = 0; j < P; j++) {
        p->z[row * P + j] =
            (1 + 0.3 * (double)e) * test_uniform() + shared + (j % 2 ? 0.5 * (double)e : 0);
      }
      for (size_t j = 0; j < KX; j++) {
        p->x[row * KX + j] = test_uniform() + p->z[row * P + j];
      }
    }
  }
  p->data = (mrl_latent_data){p->z, p->n_row, row, P, ENVS, p->x, KX};
  mrl_arena arena = mrl_arena_measure();
  CHECK(mrl_latent_nets_carve(&p->nets, &arena, &p->settings, P, KX) == MRL_OK);
  p->net_memory = test_bytes(arena.used);
  arena = mrl_arena_over(p->net_memory, arena.used);
  CHECK(mrl_latent_nets_carve(&p->nets, &arena, &p->settings, P, KX) == MRL_OK);
  arena = mrl_arena_measure();
  CHECK(mrl_latent_run_carve(&p->run, &arena, &p->settings, &p->nets, &p->data) == MRL_OK);
  p->memory = test_bytes(arena.used);
  arena = mrl_arena_over(p->memory, arena.used);
  CHECK(mrl_latent_run_carve(&p->run, &arena, &p->settings, &p->nets, &p->data) == MRL_OK);
  mrl_latent_run_start(&p->run, 0);
  shuffle(&p->run);
  take_batch(&p->run);
  return p;
}

static void problem_free(problem *p)
{
  free(p->net_memory);
  free(p->memory);
  free(p);
}

static double objective(void *data)
{
  problem *p = data;
  mrl_latent_epoch loss;
  CHECK(mrl_latent_gradient(&loss, &p->run) == MRL_OK);
  return loss.loss;
}

/* Every parameter of all nets, rectifiers being away from their kinks by more than the step. */
static void check_gradient(mrl_code encoder, mrl_code decoder, mrl_match match, int whiten,
                           size_t neighbours, double relevance)
{
  mrl_latent_settings settings = settings_of(encoder, decoder, match, whiten);
  settings.penalty.neighbours = neighbours;
  settings.relevance = relevance;
  problem *p = problem_new(&settings);
  mrl_real *gradient = test_reals(p->nets.n_params);
  objective(p);
  memcpy(gradient, p->run.gradient, p->nets.n_params * sizeof *gradient);
  const double worst = test_gradient(p->run.params, gradient, p->nets.n_params, objective, p);
  CHECK_NEAR(worst, 0, 1e-6);
  free(gradient);
  problem_free(p);
}

/* (1/n^2) sum of K H L H by the definition; a, b: (n, 2) columns. */
static double slow_hsic(double *const a[DV], double *const b[DW], size_t n)
{
  double k_mean[MOST_ROWS] = {0}, l_mean[MOST_ROWS] = {0}, k_all = 0, l_all = 0, sum = 0;
  for (int pass = 0; pass < 2; pass++) {
    for (size_t i = 0; i < n; i++) {
      for (size_t j = 0; j < n; j++) {
        double k = 1 + a[0][i] * a[0][j] + a[1][i] * a[1][j];
        double l = 1 + b[0][i] * b[0][j] + b[1][i] * b[1][j];
        k *= k;
        l *= l;
        if (pass == 0) {
          k_mean[i] += k / (double)n;
          l_mean[i] += l / (double)n;
          k_all += k / (double)(n * n);
          l_all += l / (double)(n * n);
        } else {
          sum += (k - k_mean[i] - k_mean[j] + k_all) * (l - l_mean[i] - l_mean[j] + l_all);
        }
      }
    }
  }
  return sum / (double)(n * n);
}

/* Mean of (x'y + 1)^2. */
static double slow_kernel(double *const x[DW], double *const y[DW], size_t n)
{
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    for (size_t j = 0; j < n; j++) {
      const double k = 1 + x[0][i] * y[0][j] + x[1][i] * y[1][j];
      sum += k * k / (double)(n * n);
    }
  }
  return sum;
}

static double mean_product(const double *a, const double *b, size_t n)
{
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    sum += a[i] * (b ? b[i] : 1) / (double)n;
  }
  return sum;
}

/* The parts of the published loss by kernel matrices, on the latent that the run left. */
static void check_parts(int whiten)
{
  const mrl_latent_settings settings =
      settings_of(MRL_CODE_LINEAR, MRL_CODE_POLY, MRL_MATCH_POLY, whiten);
  problem *p = problem_new(&settings);
  mrl_latent_epoch parts;
  double mmd = 0, hsic = 0, *v[ENVS][DV], *w[ENVS][DW];
  const size_t b = p->run.batch;
  CHECK(b == 30);
  CHECK(mrl_latent_gradient(&parts, &p->run) == MRL_OK);
  double pooled[D][ENVS * 30], *pv[DV] = {pooled[0], pooled[1]}, *pw[DW] = {pooled[2], pooled[3]};
  for (size_t e = 0; e < ENVS; e++) {
    for (size_t j = 0; j < D; j++) {
      double *column = p->run.judge.x + (e * D + j) * b;
      *(j < DV ? &v[e][j] : &w[e][j - DV]) = column;
      memcpy(pooled[j] + e * b, column, b * sizeof *column);
    }
    hsic += slow_hsic(v[e], w[e], b) / (whiten ? ENVS : 1);
  }
  hsic += whiten ? 0 : 2 * slow_hsic(pv, pw, ENVS * b);
  for (size_t e = 0; e < ENVS; e++) {
    for (size_t f = e + 1; f < ENVS; f++) {
      mmd += (slow_kernel(w[e], w[e], b) + slow_kernel(w[f], w[f], b) -
              2 * slow_kernel(w[e], w[f], b)) /
             3;
    }
  }
  CHECK_NEAR(parts.mmd, mmd, 1e-11 * (1 + mmd)); /* sums of 900 terms */
  CHECK_NEAR(parts.hsic, hsic, 1e-11 * (1 + hsic));
  CHECK_NEAR(parts.loss, 3 * parts.mse + 0.7 * parts.mmd + 0.4 * parts.hsic + 0.1 * parts.entropy,
             1e-12);
  CHECK(parts.relevance == 0);
  if (whiten) { /* mean 0, covariance I, of V and of W */
    for (size_t block = 0; block < 2; block++) {
      double *const *x = block ? pw : pv;
      for (size_t j = 0; j < 2; j++) {
        CHECK_NEAR(mean_product(x[j], NULL, ENVS * b), 0, 1e-10);
        CHECK_NEAR(mean_product(x[j], x[j], ENVS * b), 1, 1e-10);
      }
      CHECK_NEAR(mean_product(x[0], x[1], ENVS * b), 0, 1e-10);
    }
  }
  problem_free(p);
}

/* Whitened, nothing but the reconstruction sees a linear map of the encoder's V or W. */
static void check_scale(void)
{
  const mrl_latent_settings settings =
      settings_of(MRL_CODE_LINEAR, MRL_CODE_LINEAR, MRL_MATCH_POLY, 1);
  problem *p = problem_new(&settings);
  mrl_latent_epoch before, after;
  CHECK(mrl_latent_gradient(&before, &p->run) == MRL_OK);
  const size_t n = mrl_pad(P * D);
  for (size_t i = 0; i < P; i++) { /* weights (P, D): W's two columns mixed and scaled */
    mrl_real *w = p->run.params + p->run.piece[0].offset + i;
    const mrl_real keep = w[2 * P];
    w[2 * P] = 10 * keep + w[3 * P];
    w[3 * P] = keep - w[3 * P] / 5;
  }
  CHECK(p->run.piece[0].size == P * D && n >= P * D);
  CHECK(mrl_latent_gradient(&after, &p->run) == MRL_OK);
  CHECK_NEAR(after.mmd, before.mmd, 1e-9 * before.mmd);
  CHECK_NEAR(after.hsic, before.hsic, 1e-9 * before.hsic);
  CHECK_NEAR(after.entropy, before.entropy, 1e-9);
  problem_free(p);
}

/* The predictor sees W alone, and its MSE is that of a slow forward pass. */
static void check_relevance(void)
{
  mrl_latent_settings settings = settings_of(MRL_CODE_LINEAR, MRL_CODE_LINEAR, MRL_MATCH_POLY, 1);
  settings.relevance = 0.5;
  problem *p = problem_new(&settings);
  mrl_latent_epoch loss;
  CHECK(mrl_latent_gradient(&loss, &p->run) == MRL_OK);
  const size_t b = p->run.batch, h = MRL_LATENT_PREDICTOR;
  const mrl_net *net = &p->nets.predictor.net;
  const mrl_real *from = p->run.params + p->nets.n_params - net->n_params;
  const mrl_real *w1 = from + net->piece[0].offset, *b1 = from + net->piece[1].offset;
  const mrl_real *w2 = from + net->piece[2].offset, *b2 = from + net->piece[3].offset;
  CHECK(net->piece[0].size == DW * h && net->piece[2].size == h * KX);
  double sum = 0;
  for (size_t i = 0; i < ENVS * b; i++) {
    const double *w = p->run.judge.x + (i / b * D + DV) * b + i % b;
    for (size_t k = 0; k < KX; k++) {
      double out = b2[k];
      for (size_t j = 0; j < h; j++) {
        out += w2[j + k * h] * tanh(b1[j] + w[0] * w1[j * DW] + w[b] * w1[1 + j * DW]);
      }
      const double miss = p->x[p->run.row[i] * KX + k] - out;
      sum += miss * miss / (double)(ENVS * b * KX);
    }
  }
  CHECK_NEAR(loss.relevance, sum, 1e-12);
  CHECK_NEAR(loss.loss,
             3 * loss.mse + 0.7 * loss.mmd + 0.4 * loss.hsic + 0.1 * loss.entropy + 0.5 * sum,
             1e-12);
  mrl_latent_nets nets;
  mrl_arena arena = mrl_arena_measure();
  CHECK(mrl_latent_nets_carve(&nets, &arena, &settings, P, 0) == MRL_BAD_ARGUMENT);
  p->data.x = NULL;
  mrl_latent_run run;
  CHECK(mrl_latent_run_carve(&run, &arena, &settings, &p->nets, &p->data) == MRL_BAD_ARGUMENT);
  problem_free(p);
}

static void check_monomials(void)
{
  CHECK(mrl_monomials_count(4, 1) == 4 && mrl_monomials_count(4, 2) == 14);
  CHECK(mrl_monomials_count(4, 3) == 34 && mrl_monomials_count(2000, 3) == 0);
  size_t parent[34], var[34];
  mrl_arena arena = mrl_arena_measure();
  mrl_monomials m;
  CHECK(mrl_monomials_carve(&m, &arena, 3, 0) == MRL_BAD_ARGUMENT);
  CHECK(mrl_monomials_carve(&m, &arena, 4, 3) == MRL_OK);
  void *memory = test_bytes(arena.used);
  arena = mrl_arena_over(memory, arena.used);
  CHECK(mrl_monomials_carve(&m, &arena, 4, 3) == MRL_OK);
  mrl_real x[34] = {2, 3, 5, 7}, sum = 0; /* distinct products: all of them occur once */
  memcpy(parent, m.parent, sizeof parent);
  memcpy(var, m.var, sizeof var);
  mrl_monomials_fill(x, &m, 1, 1);
  for (size_t k = 0; k < m.n; k++) {
    sum += x[k];
    CHECK(k < 4 || x[k] == x[parent[k]] * x[var[k]]);
  }
  /* (2 + 3 + 5 + 7) and the complete homogeneous polynomials of degree 2 and 3 of 2, 3, 5, 7. */
  CHECK_NEAR(sum, 17 + 188 + 1726, 0);
  free(memory);
}

/* The bits of training do not depend on the number of threads, and restarts differ. */
static void check_train(void)
{
  const mrl_latent_settings settings = settings_of(MRL_CODE_MLP, MRL_CODE_MLP, MRL_MATCH_POLY, 1);
  problem *p = problem_new(&settings);
  const size_t n_params = p->nets.n_params;
  mrl_real *params[2];
  mrl_latent_verdict verdict[2][2];
  mrl_latent_epoch history[2][4];
  size_t held_out[ENVS * 20];
  for (int k = 0; k < 2; k++) {
    const mrl_ctx ctx = {k + 1, NULL, NULL};
    void *scratch = test_bytes(mrl_latent_scratch(&settings, &p->nets, &p->data));
    params[k] = test_reals(2 * n_params);
    CHECK(mrl_latent_train(params[k], history[k], verdict[k], held_out, &settings, &p->nets,
                           &p->data, NULL, scratch, &ctx) == MRL_OK);
    free(scratch);
  }
  CHECK(memcmp(params[0], params[1], 2 * n_params * sizeof *params[0]) == 0);
  CHECK(memcmp(params[0], params[0] + n_params, n_params * sizeof *params[0]) != 0);
  CHECK(held_out[0] < 100 && held_out[20] >= 100 && held_out[20] < 213 && held_out[59] < 339);
  for (int r = 0; r < 2; r++) {
    CHECK(verdict[0][r].mmd == verdict[1][r].mmd && isfinite(verdict[0][r].mmd));
    CHECK(isfinite(verdict[0][r].mse) && isfinite(history[0][2 * r + 1].loss));
  }
  for (int k = 0; k < 2; k++) {
    free(params[k]);
  }
  problem_free(p);
}

static void check_bad(void)
{
  mrl_latent_settings settings = settings_of(MRL_CODE_MLP, MRL_CODE_MLP, MRL_MATCH_POLY, 1);
  problem *p = problem_new(&settings);
  mrl_arena arena = mrl_arena_measure();
  mrl_latent_run run;
  p->n_row[1] = 9; /* fewer than 5 held out and 5 of a batch */
  CHECK(mrl_latent_run_carve(&run, &arena, &settings, &p->nets, &p->data) == MRL_TOO_FEW);
  p->n_row[1] = 10;
  CHECK(mrl_latent_run_carve(&run, &arena, &settings, &p->nets, &p->data) == MRL_OK);
  settings.encoder.kind = MRL_N_CODE;
  mrl_latent_nets nets;
  CHECK(mrl_latent_nets_carve(&nets, &arena, &settings, P, KX) == MRL_BAD_ARGUMENT);
  problem_free(p);
}

int main(void)
{
  check_monomials();
  check_parts(0);
  check_parts(1);
  check_scale();
  for (int whiten = 0; whiten < 2; whiten++) {
    check_gradient(MRL_CODE_LINEAR, MRL_CODE_LINEAR, MRL_MATCH_POLY, whiten, 0, 0);
    check_gradient(MRL_CODE_LINEAR, MRL_CODE_POLY, MRL_MATCH_MOMENTS, whiten, 3, 0.8);
    check_gradient(MRL_CODE_POLY, MRL_CODE_MLP, MRL_MATCH_POLY, whiten, 0, 0);
    check_gradient(MRL_CODE_MLP, MRL_CODE_POLY, MRL_MATCH_GAUSSIAN, whiten, 5, 2);
  }
  check_relevance();
  check_train();
  check_bad();
  return CTEST_DONE();
}
