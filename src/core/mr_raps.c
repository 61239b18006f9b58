#include "mr_raps.h"
#include "mr_order.h"

#include <float.h>
#include <math.h>

/* A loss and its moments under the normal: delta = E[Z psi], c1 = E psi^2, c2 = E[Z^2 psi^2] -
 * delta^2, c3 = E[Z^2 psi']. */
typedef struct {
  mrl_mr_loss kind;
  double k;
  double delta, c1, c2, c3;
} loss;

/* t(b) of all variants at a given tau2. correlation: of the two estimates of a variant. */
typedef struct {
  const mrl_mr_data *data;
  const loss *loss;
  double tau2, correlation;
  double b; /* where tau2 is solved for */
} problem;

/* Objective -sum rho(t) and its slope in b. */
typedef struct {
  double b, value, slope;
} place;

static double square(double x)
{
  return x * x;
}

/* E[Z^order; |Z| <= k] for an even order, by parts from order 0 on. */
static double truncated_moment(int order, double k)
{
  double moment = 1 - mrl_normal_p(k), power = k;
  const double edge = 2 * exp(-0.5 * k * k) / 2.50662827463100050242;
  for (int m = 2; m <= order; m += 2) {
    moment = (m - 1) * moment - power * edge;
    power *= k * k;
  }
  return moment;
}

static loss huber(void)
{
  const double k = 1.345, inside = truncated_moment(0, k);
  const double second = truncated_moment(2, k), fourth = truncated_moment(4, k);
  loss out = {MRL_LOSS_HUBER, k, 0, 0, 0, second};
  out.delta = inside; /* E[Z psi] = E psi', by parts */
  out.c1 = second + k * k * (1 - inside);
  out.c2 = fourth + k * k * (1 - second) - square(out.delta);
  return out;
}

/* psi = z (1 - u)^2, psi' = (1 - u)(1 - 5u), u = (z/k)^2. */
static loss tukey(void)
{
  const double k = 4.685;
  double m[7]; /* m[j] = E[Z^2j; |Z| <= k] / k^2j */
  for (int j = 0; j < 7; j++) {
    m[j] = truncated_moment(2 * j, k) / pow(k, 2 * j);
  }
  const double k2 = k * k, k4 = k2 * k2;
  loss out = {MRL_LOSS_TUKEY, k, 0, 0, 0, 0};
  out.delta = k2 * (m[1] - 2 * m[2] + m[3]);
  out.c1 = k2 * (m[1] - 4 * m[2] + 6 * m[3] - 4 * m[4] + m[5]);
  out.c2 = k4 * (m[2] - 4 * m[3] + 6 * m[4] - 4 * m[5] + m[6]) - square(out.delta);
  out.c3 = k2 * (m[1] - 6 * m[2] + 5 * m[3]);
  return out;
}

static loss make_loss(mrl_mr_loss kind)
{
  const loss l2 = {MRL_LOSS_L2, INFINITY, 1, 1, 2, 1};
  return kind == MRL_LOSS_L2 ? l2 : kind == MRL_LOSS_HUBER ? huber() : tukey();
}

/* rho with rho'' (0) = 1, and psi = rho'. */
static double rho(const loss *l, double t, double *psi)
{
  if (l->kind == MRL_LOSS_TUKEY) {
    const double d = fmax(0, 1 - square(t / l->k));
    *psi = t * d * d;
    return square(l->k) / 6 * (1 - d * d * d);
  }
  if (fabs(t) <= l->k) {
    *psi = t;
    return 0.5 * t * t;
  }
  *psi = t > 0 ? l->k : -l->k;
  return l->k * (fabs(t) - 0.5 * l->k);
}

static place look(const problem *at, double b)
{
  const mrl_mr_data *d = at->data;
  place out = {b, 0, 0};
  for (size_t i = 0; i < d->n; i++) {
    const double r = d->by[i] - b * d->bx[i];
    const double cross = b * square(d->sx[i]) - at->correlation * d->sx[i] * d->sy[i];
    const double v =
        square(d->sy[i]) + at->tau2 + b * (cross - at->correlation * d->sx[i] * d->sy[i]);
    const double root = sqrt(v);
    double psi;
    out.value -= rho(at->loss, r / root, &psi);
    out.slope += psi * (d->bx[i] + r * cross / v) / root;
  }
  return out;
}

/* Brent's (1973) root of slope between two places where it has different signs. */
static double root_between(const problem *at, place low, place high,
                           place (*f)(const problem *at, double b))
{
  place b = high, a = low, c = low;
  double step = b.b - a.b, before = step;
  for (int i = 0; i < 200; i++) {
    if ((b.slope > 0) == (c.slope > 0)) {
      c = a;
      step = before = b.b - a.b;
    }
    if (fabs(c.slope) < fabs(b.slope)) {
      a = b;
      b = c;
      c = a;
    }
    const double tol = 2 * DBL_EPSILON * fabs(b.b), half = 0.5 * (c.b - b.b);
    if (fabs(half) <= tol || b.slope == 0) {
      break;
    }
    const double s = b.slope / a.slope;
    double p = 2 * half * s, q = 1 - s;
    if (a.b != c.b) {
      const double u = a.slope / c.slope, v = b.slope / c.slope;
      p = s * (2 * half * u * (u - v) - (b.b - a.b) * (v - 1));
      q = (u - 1) * (v - 1) * (s - 1);
    }
    q = p > 0 ? -q : q;
    p = fabs(p);
    const int bisect = fabs(before) < tol || fabs(a.slope) <= fabs(b.slope) ||
                       2 * p >= fmin(3 * half * q - fabs(tol * q), fabs(before * q));
    before = bisect ? half : step;
    step = bisect ? half : p / q;
    a = b;
    b = f(at, b.b + (fabs(step) > tol ? step : half > 0 ? tol : -tol));
  }
  return b.b;
}

/* The next local maximum uphill of b, at steps from `step` on that double. */
static double climb(const problem *at, double b, double step)
{
  place here = look(at, b);
  step = here.slope > 0 ? step : -step;
  if (here.slope == 0) {
    return b;
  }
  place there = here;
  for (int i = 0; i < 2000 && isfinite(there.b); i++) {
    there = look(at, here.b + step);
    if ((there.slope > 0) != (here.slope > 0)) {
      return root_between(at, here, there, look);
    }
    if (there.value >= here.value) {
      here = there;
      step *= 2;
    } else {
      step /= 4; /* a maximum and a minimum were passed */
    }
    if (here.b + step == here.b) {
      return here.b;
    }
  }
  return NAN;
}

static double median_size_of_ratios(const mrl_mr_data *d, double *work)
{
  size_t n = 0;
  for (size_t i = 0; i < d->n; i++) {
    if (d->bx[i] != 0) {
      work[n++] = fabs(d->by[i] / d->bx[i]);
    }
  }
  return n > 0 ? mrl_median(work, n) : NAN;
}

/*
 * The global maximum over b: the best of a grid in the angle of b, scaled by the median size of the
 * ratios, and uphill from there. The grid is finer than the peak that any one variant makes unless
 * its ratio is known to a few percent of that median; then the l2 fit, near the heap, leads.
 */
static double maximise(const problem *at, double *work)
{
  enum { N_ANGLE = 128 };
  const double size = median_size_of_ratios(at->data, work);
  const double unit =
      size > 0 ? size : mrl_mean(at->data->sy, at->data->n) / mrl_mean(at->data->sx, at->data->n);
  place best = look(at, 0);
  for (int k = 1; k < N_ANGLE; k++) {
    const place next = look(at, unit * tan(3.14159265358979323846 * ((double)k / N_ANGLE - 0.5)));
    best = next.value > best.value ? next : best;
  }
  return climb(at, best.b, 1e-3 * (fabs(best.b) + 1e-3 * unit));
}

/* The equation of tau2 at at->b, as the slope of a place whose b is tau2. */
static place look_tau(const problem *at, double tau2)
{
  const mrl_mr_data *d = at->data;
  place out = {tau2, 0, 0};
  for (size_t i = 0; i < d->n; i++) {
    const double v = square(d->sy[i]) + tau2 + square(at->b * d->sx[i]);
    const double t = (d->by[i] - at->b * d->bx[i]) / sqrt(v);
    double psi;
    rho(at->loss, t, &psi);
    out.slope += square(d->sx[i]) * (t * psi - at->loss->delta) / v;
  }
  return out;
}

static double solve_tau2(problem *at, double b)
{
  double largest = 0;
  for (size_t i = 0; i < at->data->n; i++) {
    largest = fmax(largest, square(at->data->sy[i]));
  }
  at->b = b;
  const place zero = look_tau(at, 0);
  if (!(zero.slope > 0)) {
    return 0;
  }
  place high = look_tau(at, 10 * largest); /* where mr.raps looks first */
  for (int i = 0; i < 1000 && high.slope > 0; i++) {
    high = look_tau(at, 2 * high.b);
  }
  return root_between(at, zero, high, look_tau);
}

/* tau2 and b in turn until neither moves; b starts at *b. */
static int solve_jointly(problem *at, double *b)
{
  for (int i = 0; i < 500; i++) {
    const double b_old = *b, tau2_old = at->tau2;
    at->tau2 = solve_tau2(at, b_old);
    *b = climb(at, b_old, 1e-4 * (fabs(b_old) + 1e-300));
    if (fabs(*b - b_old) <= 1e-12 * fabs(*b) && fabs(at->tau2 - tau2_old) <= 1e-12 * at->tau2) {
      return 1;
    }
    if (!isfinite(*b)) {
      break;
    }
  }
  return 0;
}

/* I^-1 V I^-T of the two estimating equations, for b. */
static double sandwich(const problem *at, double b, int with_tau2)
{
  const mrl_mr_data *d = at->data;
  const loss *l = at->loss;
  double i11 = 0, i12 = 0, i22 = 0, v11 = 0, v22 = 0;
  for (size_t i = 0; i < d->n; i++) {
    const double s2x = square(d->sx[i]), s2y = square(d->sy[i]) + at->tau2;
    const double a = (square(d->bx[i]) - s2x) * s2y + (square(d->by[i]) - s2y) * s2x;
    const double v2 = square(s2y + b * b * s2x);
    i11 -= l->delta * a / v2;
    i12 -= l->delta * s2x * b / v2;
    i22 -= (l->delta + l->c3) / 2 * s2x / v2;
    v11 += l->c1 * (a + s2x * s2y) / v2;
    v22 += l->c2 * s2x * s2x / v2;
  }
  return v11 / square(i11) + (with_tau2 ? v22 * square(i12 / (i11 * i22)) : 0);
}

size_t mrl_mr_raps_work(size_t n)
{
  return n;
}

mrl_mr_estimate mrl_mr_raps(const mrl_mr_data *data, const mrl_mr_settings *settings, double *work)
{
  const loss l2 = make_loss(MRL_LOSS_L2), final = make_loss(settings->loss);
  problem at = {data, settings->over_dispersion ? &l2 : &final, 0, 0, 0};
  double b = maximise(&at, work);
  if (settings->over_dispersion) {
    if (!solve_jointly(&at, &b)) {
      return mrl_mr_none(MRL_MR_NO_CONVERGE);
    }
    at.loss = &final;
    if (settings->loss != MRL_LOSS_L2 && !solve_jointly(&at, &b)) {
      return mrl_mr_none(MRL_MR_NO_CONVERGE);
    }
  }
  mrl_mr_estimate out = mrl_mr_none(MRL_MR_FINE);
  out.estimate = b;
  out.std_error = sqrt(sandwich(&at, b, settings->over_dispersion));
  out.p_value = mrl_normal_p(b / out.std_error);
  if (settings->over_dispersion) {
    out.tau2 = at.tau2;
  }
  return out;
}

/* Minus the second derivative of the profile log likelihood -sum r^2 / 2v. */
static double information(const problem *at, double b)
{
  const mrl_mr_data *d = at->data;
  double sum = 0;
  for (size_t i = 0; i < d->n; i++) {
    const double x = d->bx[i], s2x = square(d->sx[i]), r = d->by[i] - b * x;
    const double shared = at->correlation * d->sx[i] * d->sy[i];
    const double v = square(d->sy[i]) + b * b * s2x - 2 * b * shared;
    const double slope = 2 * (b * s2x - shared);
    sum += (x * x + 2 * r * x * slope / v - r * r * s2x / v + square(r * slope / v)) / v;
  }
  return sum;
}

mrl_mr_estimate mrl_mr_maxlik(const mrl_mr_data *data, const mrl_mr_settings *settings, int random,
                              double *work)
{
  const loss l2 = make_loss(MRL_LOSS_L2);
  const problem at = {data, &l2, 0, settings->psi, 0};
  mrl_mr_estimate out = mrl_mr_none(MRL_MR_FINE);
  out.estimate = maximise(&at, work);
  out.q = -2 * look(&at, out.estimate).value;
  out.q_df = (double)(data->n - 1);
  out.q_p_value = mrl_chisq_p(out.q, out.q_df);
  out.sigma = sqrt(out.q / out.q_df);
  out.std_error = (random ? fmax(1, out.sigma) : 1) / sqrt(information(&at, out.estimate));
  out.p_value = mrl_normal_p(out.estimate / out.std_error);
  return out;
}
