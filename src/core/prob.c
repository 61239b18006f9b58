#include "prob.h"

#include <float.h>
#include <math.h>

static const double sqrt_half = 0.70710678118654752440;
static const double sqrt_2_pi = 2.50662827463100050242;
static const double sqrt_pi = 1.77245385090551602730;

double mrl_normal_p(double z)
{
  return erfc(fabs(z) * sqrt_half);
}

/* Continued fractions are evaluated by Lentz's method as modified by Thompson and Barnett (1986, J.
 * Comput. Phys. 64:490); this stands in for a denominator that vanishes. */
static const double tiny = 1e-300;

static double away_from_zero(double x)
{
  return fabs(x) < tiny ? tiny : x;
}

/* Terms that no continued fraction or series here comes near: they need about sqrt(a). */
enum { MAX_TERMS = 1000000 };

/* Gamma(a + 1) / (sqrt(2 pi a) (a / e)^a), by Stirling's series from a = 20 on, where its sixth
 * term is below 1e-13; a smaller a comes down by Gamma(a + 1) = (a + 1) Gamma(a) ... */
static double stirling_ratio(double a)
{
  double down = 1;
  for (; a < 20; a++) {
    /* ratio(a) / ratio(a + 1) = sqrt((a + 1) / a) (1 + 1/a)^a / e */
    down *= sqrt((a + 1) / a) * exp(a * log1p(1 / a) - 1);
  }
  const double r = 1 / a, r2 = r * r;
  const double series =
      r * (1.0 / 12 - r2 * (1.0 / 360 - r2 * (1.0 / 1260 - r2 * (1.0 / 1680 - r2 * (1.0 / 1188)))));
  return down * exp(series);
}

/* x^a exp(-x) / Gamma(a + 1), without the cancellation between its three large factors. */
static double gamma_prefactor(double a, double x)
{
  const double excess = (x - a) / a;
  return exp(-a * (excess - log1p(excess))) / (sqrt(a) * sqrt_2_pi * stirling_ratio(a));
}

/* The lower regularised incomplete gamma function by its series, good for x < a + 1. */
static double gamma_lower(double a, double x)
{
  double term = 1, sum = 1;
  for (int i = 1; i < MAX_TERMS && term > sum * (DBL_EPSILON / 8); i++) {
    term *= x / (a + i);
    sum += term;
  }
  return sum * gamma_prefactor(a, x);
}

/* The upper one by its continued fraction, good for x >= a + 1. */
static double gamma_upper(double a, double x)
{
  double b = x + 1 - a;
  double c = 1 / tiny;
  double d = 1 / b;
  double h = d;
  for (int i = 1; i < MAX_TERMS; i++) {
    const double an = -i * (i - a);
    b += 2;
    d = 1 / away_from_zero(an * d + b);
    c = away_from_zero(b + an / c);
    const double step = c * d;
    h *= step;
    if (fabs(step - 1) < DBL_EPSILON) {
      break;
    }
  }
  return h * a * gamma_prefactor(a, x);
}

double mrl_chisq_p(double x, double df)
{
  if (isnan(x) || !(df > 0)) {
    return NAN;
  }
  if (x <= 0) {
    return 1;
  }
  if (isinf(x)) {
    return 0;
  }
  return x < df + 2 ? 1 - gamma_lower(df / 2, x / 2) : gamma_upper(df / 2, x / 2);
}

/* Gamma(a + 1/2) / Gamma(a): an asymptotic series from a = 20 on. */
static double gamma_half_ratio(double a)
{
  double down = 1;
  for (; a < 20; a++) {
    down *= a / (a + 0.5);
  }
  const double r = 1 / a;
  const double series =
      1 -
      r * (1.0 / 8 -
           r * (1.0 / 128 +
                r * (5.0 / 1024 -
                     r * (21.0 / 32768 + r * (399.0 / 262144 -
                                              r * (869.0 / 4194304 + r * (39325.0 / 33554432)))))));
  return down * sqrt(a) * series;
}

/* The continued fraction of the incomplete beta function (Abramowitz & Stegun 26.5.8), good for x <
 * (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x)
{
  double c = 1;
  double d = 1 / away_from_zero(1 - (a + b) * x / (a + 1));
  double h = d;
  for (int i = 1; i < MAX_TERMS; i++) {
    const double even = i * (b - i) * x / ((a + 2 * i - 1) * (a + 2 * i));
    d = 1 / away_from_zero(1 + even * d);
    c = away_from_zero(1 + even / c);
    h *= d * c;
    const double odd = -(a + i) * (a + b + i) * x / ((a + 2 * i) * (a + 2 * i + 1));
    d = 1 / away_from_zero(1 + odd * d);
    c = away_from_zero(1 + odd / c);
    h *= d * c;
    if (fabs(d * c - 1) < DBL_EPSILON) {
      break;
    }
  }
  return h;
}

double mrl_student_p(double t, double df)
{
  if (isnan(t) || !(df > 0)) {
    return NAN;
  }
  if (isinf(df)) {
    return mrl_normal_p(t);
  }
  const double ratio = t / sqrt(df), square = ratio * ratio;
  if (isinf(square)) {
    return 0;
  }
  /* P(|T| >= |t|) = I_x(df/2, 1/2), x = 1 / (1 + t^2/df); front = x^a (1-x)^b / B(a, b). */
  const double a = df / 2, x = 1 / (1 + square), rest = square / (1 + square);
  const double front = exp(-a * log1p(square)) * sqrt(rest) * gamma_half_ratio(a) / sqrt_pi;
  if (x < (a + 1) / (a + 2.5)) {
    return front * beta_fraction(a, 0.5, x) / a;
  }
  return 1 - front * beta_fraction(0.5, a, rest) / 0.5;
}

/* Halley's method on the tail area, from a rational start (Abramowitz & Stegun 26.2.23) that is
 * good to 5e-4, so that two steps reach rounding. */
static double upper_tail_quantile(double q)
{
  const double t = sqrt(-2 * log(q));
  double z = t - (2.515517 + t * (0.802853 + t * 0.010328)) /
                     (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
  for (int i = 0; i < 3; i++) {
    const double error = 0.5 * erfc(z * sqrt_half) - q;
    const double density = exp(-0.5 * z * z) / sqrt_2_pi;
    if (!(density > 0)) {
      break;
    }
    const double newton = error / density;
    z += newton / (1 + 0.5 * z * newton);
  }
  return z;
}

double mrl_normal_quantile(double p)
{
  if (!(p >= 0 && p <= 1)) {
    return NAN;
  }
  if (p == 0 || p == 1) {
    return p == 0 ? -INFINITY : INFINITY;
  }
  if (p == 0.5) {
    return 0;
  }
  return p < 0.5 ? -upper_tail_quantile(p) : upper_tail_quantile(1 - p);
}

/* Binomial probabilities relative to the largest, each from its neighbour: nothing overflows. */
double mrl_sign_p(size_t k, size_t n)
{
  const size_t below = k < n - k ? k : n - k, middle = n / 2;
  double term = 1, total = 0, tail = 0;
  for (size_t i = middle + 1; i-- > 0 && term > 0;) {
    const double both = 2 * i == n ? 1 : 2; /* i and n - i */
    total += both * term;
    tail += i <= below ? both * term : 0;
    term *= (double)i / (double)(n - i + 1);
  }
  return tail / total;
}

double mrl_logistic(double x)
{
  const double e = exp(-fabs(x));
  return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}
