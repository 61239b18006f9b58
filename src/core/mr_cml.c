#include "mr_boot_part.h"
#include "mr_cml.h"
#include "mr_order.h"

#include <math.h>
#include <string.h>

/* The fits for each number of invalid variants. */
typedef struct {
  double *theta, *var, *loss; /* (n_k) each; loss: minus the log-likelihood */
} path;

typedef struct {
  double *climb;                     /* (4 n) work of a climb */
  double *mu;                        /* (n) exposure effects */
  double *bx, *by;                   /* (n) perturbed effects */
  unsigned char *invalid, *best_set; /* (n) */
} pieces;

static size_t bytes_as_doubles(size_t n)
{
  return (n + sizeof(double) - 1) / sizeof(double);
}

static size_t pieces_work(size_t n)
{
  return 7 * n + bytes_as_doubles(2 * n);
}

static pieces split(double *work, size_t n)
{
  unsigned char *const sets = (unsigned char *)(work + 7 * n);
  const pieces p = {work, work + 4 * n, work + 5 * n, work + 6 * n, sets, sets + n};
  return p;
}

/* How many numbers of invalid variants there are to try, and which: at most n - 2. */
static size_t n_k(size_t n, const mrl_mr_settings *settings)
{
  const mrl_mr_cml_settings *cml = &settings->cml;
  size_t count = 0;
  if (!cml->k) {
    return n < 2 ? 0 : n - 1;
  }
  while (count < cml->n_k && (size_t)cml->k[count] + 2 <= n) {
    count++;
  }
  return count;
}

static size_t k_at(size_t i, const mrl_mr_settings *settings)
{
  return settings->cml.k ? (size_t)settings->cml.k[i] : i;
}

/* A random start: the effect uniform between the least and the greatest ratio. */
static double draw_start(double *mu, const mrl_mr_data *d, mrl_rng *rng)
{
  double least = INFINITY, most = -INFINITY;
  for (size_t i = 0; i < d->n; i++) {
    least = fmin(least, d->by[i] / d->bx[i]);
    most = fmax(most, d->by[i] / d->bx[i]);
  }
  const double theta = least + (most - least) * mrl_rng_uniform(rng);
  mrl_rng_fill_normal(rng, mu, d->n);
  for (size_t i = 0; i < d->n; i++) {
    mu[i] = d->bx[i] + d->sx[i] * mu[i];
  }
  return theta;
}

/* The best climb of 1 + n_starts; its set in p->best_set. */
static mrl_cml_fit best_climb(const pieces *p, const mrl_mr_data *d, size_t k, size_t n_starts,
                              size_t max_iter, mrl_rng *rng)
{
  mrl_cml_fit best = {NAN, NAN, INFINITY};
  for (size_t s = 0; s <= n_starts; s++) {
    double theta = 0;
    if (s == 0) {
      memset(p->mu, 0, d->n * sizeof *p->mu);
    } else {
      theta = draw_start(p->mu, d, rng);
    }
    const mrl_cml_fit fit = mrl_cml_climb(p->mu, p->invalid, d, k, theta, max_iter, p->climb);
    if (fit.minus_log_likelihood < best.minus_log_likelihood) {
      best = fit;
      memcpy(p->best_set, p->invalid, d->n);
    }
  }
  return best;
}

static void run_path(const path *out, size_t stride, const pieces *p, const mrl_mr_data *d,
                     const mrl_mr_settings *settings, size_t n_starts, mrl_rng *rng)
{
  const size_t count = n_k(d->n, settings);
  for (size_t i = 0; i < count; i++) {
    const mrl_cml_fit fit =
        best_climb(p, d, k_at(i, settings), n_starts, settings->cml.max_iter, rng);
    out->theta[i * stride] = fit.theta;
    out->var[i * stride] = fit.var;
    out->loss[i * stride] = fit.minus_log_likelihood;
  }
}

/* The stream of the random starts on the effects as they are: no draw has this number. */
static mrl_rng start_stream(const mrl_mr_settings *settings, size_t group)
{
  return mrl_mr_boot_stream(settings, group, MRL_MR_MAX_BOOT);
}

static double bic(const path *p, size_t i, double log_n, const mrl_mr_settings *settings)
{
  return log_n * (double)k_at(i, settings) + 2 * p->loss[i];
}

static size_t best_by_bic(const path *p, size_t count, double log_n,
                          const mrl_mr_settings *settings)
{
  size_t best = 0;
  for (size_t i = 1; i < count; i++) {
    best = bic(p, i, log_n, settings) < bic(p, best, log_n, settings) ? i : best;
  }
  return best;
}

/* The estimates weighted by exp(-BIC / 2). A fit without variance gives no standard error, but
 * counts in the mean, as in mr_cML(). */
static void average(mrl_mr_estimate *out, const path *p, size_t count, double log_n,
                    const mrl_mr_settings *settings)
{
  const double least = bic(p, best_by_bic(p, count, log_n, settings), log_n, settings);
  double total = 0, mean = 0, se = 0;
  for (size_t i = 0; i < count; i++) {
    const double w = exp(0.5 * (least - bic(p, i, log_n, settings)));
    total += w;
    mean += w > 0 ? w * p->theta[i] : 0;
  }
  mean /= total;
  for (size_t i = 0; i < count; i++) {
    const double w = exp(0.5 * (least - bic(p, i, log_n, settings))) / total;
    const double away = p->theta[i] - mean;
    if (!isnan(p->var[i])) {
      se += w * sqrt(p->var[i] + away * away);
    }
  }
  out->estimate = mean;
  out->std_error = se;
}

static mrl_mr_estimate conclude(int averaged, const path *p, size_t count, double log_n,
                                const mrl_mr_settings *settings)
{
  mrl_mr_estimate out = mrl_mr_none(MRL_MR_FINE);
  if (averaged) {
    average(&out, p, count, log_n, settings);
  } else {
    const size_t best = best_by_bic(p, count, log_n, settings);
    out.estimate = p->theta[best];
    out.std_error = sqrt(p->var[best]);
  }
  out.p_value = mrl_normal_p(out.estimate / out.std_error);
  return out;
}

/* Why cML cannot be used on a group; MRL_MR_FINE if it can. */
static mrl_mr_why obstacle(const mrl_mr_data *d, size_t group, const mrl_mr_settings *settings)
{
  const double *size = settings->cml.sample_size;
  if (n_k(d->n, settings) == 0) {
    return MRL_MR_TOO_FEW;
  }
  if (!size || !(size[group] > 0)) {
    return MRL_MR_NO_SIZE;
  }
  for (size_t i = 0; i < d->n; i++) {
    if (d->bx[i] != 0) {
      return MRL_MR_FINE;
    }
  }
  return MRL_MR_DEGENERATE;
}

size_t mrl_mr_cml_work(size_t n, const mrl_mr_settings *settings)
{
  return 3 * n_k(n, settings) + pieces_work(n);
}

static path own_path(double *work, size_t count)
{
  const path out = {work, work + count, work + 2 * count};
  return out;
}

static void report(mrl_mr_detail *detail, const pieces *p, const mrl_mr_data *d, const path *fits,
                   size_t best, size_t group, const mrl_mr_settings *settings)
{
  /* The climb to the best number of invalid variants again, from the same random starts. */
  mrl_rng rng = start_stream(settings, group);
  for (size_t i = 0; i <= best; i++) {
    best_climb(p, d, k_at(i, settings), settings->cml.n_starts, settings->cml.max_iter, &rng);
  }
  detail->tuning = (double)k_at(best, settings);
  for (size_t i = 0; i < d->n; i++) {
    if (detail->valid) {
      detail->valid[i] = !p->best_set[i];
    }
    if (detail->direct) {
      detail->direct[i] = p->best_set[i] ? d->by[i] - fits->theta[best] * d->bx[i] : 0;
    }
  }
}

mrl_mr_estimate mrl_mr_cml(mrl_mr_method method, const mrl_mr_data *data, size_t group,
                           const mrl_mr_settings *settings, mrl_mr_detail *detail, double *work)
{
  const mrl_mr_why why = obstacle(data, group, settings);
  if (why != MRL_MR_FINE) {
    return mrl_mr_none(why);
  }
  const size_t count = n_k(data->n, settings);
  const path fits = own_path(work, count);
  const pieces p = split(work + 3 * count, data->n);
  const double log_n = log(settings->cml.sample_size[group]);
  mrl_rng rng = start_stream(settings, group);
  run_path(&fits, 1, &p, data, settings, settings->cml.n_starts, &rng);
  if (detail) {
    report(detail, &p, data, &fits, best_by_bic(&fits, count, log_n, settings), group, settings);
  }
  return conclude(method == MRL_MR_CML_MA_BIC, &fits, count, log_n, settings);
}

/* Draws hold theta, var and loss of each number of invalid variants. */
size_t mrl_mr_cml_part_width(size_t n, const mrl_mr_settings *settings)
{
  return 3 * n_k(n, settings);
}

size_t mrl_mr_cml_part_work(size_t n, const mrl_mr_settings *settings)
{
  return mrl_mr_cml_work(n, settings);
}

void mrl_mr_cml_draws(double *draws, mrl_mr_method method, const mrl_mr_data *data, size_t group,
                      const mrl_mr_settings *settings, size_t from, size_t to, double *work)
{
  (void)method;
  const size_t n = data->n, count = n_k(n, settings), n_pert = settings->cml.n_pert;
  const pieces p = split(work, n);
  const mrl_mr_data drawn = {p.bx, data->sx, p.by, data->sy, n};
  for (size_t b = from; b < to; b++) {
    mrl_rng rng = mrl_mr_boot_stream(settings, group, b);
    mrl_rng_fill_normal(&rng, p.bx, n);
    mrl_rng_fill_normal(&rng, p.by, n);
    for (size_t i = 0; i < n; i++) {
      p.bx[i] = data->bx[i] + data->sx[i] * p.bx[i];
      p.by[i] = data->by[i] + data->sy[i] * p.by[i];
    }
    const path fits = {draws + b, draws + count * n_pert + b, draws + 2 * count * n_pert + b};
    run_path(&fits, n_pert, &p, &drawn, settings, settings->cml.n_starts_pert, &rng);
  }
}

/* Means of theta and loss over the draws, variances of theta. */
static void summarise(const path *out, const double *draws, size_t count, size_t n_pert)
{
  for (size_t i = 0; i < count; i++) {
    const double *theta = draws + i * n_pert, *loss = draws + (2 * count + i) * n_pert;
    const double sd = mrl_sd(theta, n_pert);
    out->theta[i] = mrl_mean(theta, n_pert);
    out->loss[i] = mrl_mean(loss, n_pert);
    out->var[i] = sd * sd;
  }
}

mrl_mr_estimate mrl_mr_cml_finish(mrl_mr_method method, const mrl_mr_data *data, size_t group,
                                  double *draws, const mrl_mr_settings *settings, double *work)
{
  const mrl_mr_why why = obstacle(data, group, settings);
  if (why != MRL_MR_FINE) {
    return mrl_mr_none(why);
  }
  const size_t count = n_k(data->n, settings);
  const path means = own_path(work, count);
  summarise(&means, draws, count, settings->cml.n_pert);
  return conclude(method == MRL_MR_CML_MA_BIC_DP, &means, count,
                  log(settings->cml.sample_size[group]), settings);
}

void mrl_mr_cml_check(mrl_mr_detail *detail, const mrl_mr_data *data, size_t group,
                      const double *draws, const mrl_mr_settings *settings, double *work)
{
  const size_t n = data->n, count = n_k(n, settings), n_pert = settings->cml.n_pert;
  const path fits = own_path(work, count);
  const double log_n = log(settings->cml.sample_size[group]), b = (double)n_pert;
  /* Leaves the fits to the effects as they are at the front of work. */
  mrl_mr_cml(MRL_MR_CML_BIC, data, group, settings, detail, work);
  const size_t best = best_by_bic(&fits, count, log_n, settings);
  const double *theta = draws + best * n_pert;
  const double var = pow(mrl_sd(theta, n_pert), 2), mean = mrl_mean(theta, n_pert);
  const double of_var = pow(mrl_sd(draws + (count + best) * n_pert, n_pert), 2);
  double fourth = 0;
  for (size_t i = 0; i < n_pert; i++) {
    fourth += pow(theta[i] - mean, 4) / b;
  }
  const double gap = fits.var[best] - var;
  const double by_moments = sqrt((fourth - (b - 3) / (b - 1) * var * var) / b + of_var);
  detail->gof1 = mrl_normal_p(gap / by_moments);
  detail->gof2 = mrl_normal_p(gap / sqrt(2 / (b - 1) * var * var + of_var));
}
