#include "mr_mm_se.h"

/* Sums over rows that the covariance needs; z = (a, x), psi at the M-estimate, chi at the S. */
typedef struct {
  double slope[3];   /* z z' psi' */
  double square[3];  /* z z' psi^2 */
  double tilt[2];    /* z psi' u */
  double cross[2];   /* z psi chi */
  double chi_slope;  /* chi' u0 */
  double chi_square; /* chi^2 */
} sums;

static void add_outer(double out[3], double a, double x, double w)
{
  out[0] += w * a * a;
  out[1] += w * a * x;
  out[2] += w * x * x;
}

static sums covariance_sums(const rows *data, const double b[2], const candidate *s)
{
  sums out = {{0}, {0}, {0}, {0}, 0, 0};
  for (size_t i = 0; i < data->n; i++) {
    const double a = data->a[i], x = data->x[i];
    const double u = (data->y[i] - b[0] * a - b[1] * x) / s->scale;
    const double u0 = (data->y[i] - s->b[0] * a - s->b[1] * x) / s->scale;
    const double t = u * u / (tune_psi * tune_psi), t0 = u0 * u0 / (tune_scale * tune_scale);
    const double d = fmax(0, 1 - t), d0 = fmax(0, 1 - t0);
    const double psi = u * d * d, psi_slope = d * (1 - 5 * t), chi = 1 - d0 * d0 * d0;
    add_outer(out.slope, a, x, psi_slope);
    add_outer(out.square, a, x, psi * psi);
    out.tilt[0] += a * psi_slope * u;
    out.tilt[1] += x * psi_slope * u;
    out.cross[0] += a * psi * chi;
    out.cross[1] += x * psi * chi;
    out.chi_slope += 6 * t0 * d0 * d0;
    out.chi_square += chi * chi;
  }
  return out;
}

/* out = inverse of the symmetric m, times scale; 0 if singular. */
static int inverse(double out[3], const double m[3], double scale, int p)
{
  if (p == 1) {
    out[0] = out[1] = 0;
    out[2] = scale / m[2];
    return m[2] != 0;
  }
  const double det = m[0] * m[2] - m[1] * m[1];
  out[0] = scale * m[2] / det;
  out[1] = -scale * m[1] / det;
  out[2] = scale * m[0] / det;
  return fabs(det) > 1e-14 * fabs(m[0] * m[2]);
}

static void apply(double out[2], const double m[3], const double v[2])
{
  out[0] = m[0] * v[0] + m[1] * v[1];
  out[1] = m[1] * v[0] + m[2] * v[1];
}

int mrl_mm_standard_errors(double se[2], const rows *data, const double b[2], const candidate *s)
{
  const double n = (double)data->n;
  const sums sum = covariance_sums(data, b, s);
  double bread[3], a[2], c[2];
  if (!inverse(bread, sum.slope, s->scale, data->p) || !(sum.chi_slope > 0)) {
    return 0;
  }
  apply(a, bread, sum.tilt);
  apply(c, bread, sum.cross);
  for (int k = 0; k < 2; k++) {
    const double unit[2] = {k == 0, k == 1};
    double row[2], meat[2];
    apply(row, bread, unit);
    apply(meat, sum.square, row);
    const double tilt = a[k] * n / sum.chi_slope;
    const double variance = row[0] * meat[0] + row[1] * meat[1] - 2 * tilt * c[k] / n +
                            (sum.chi_square / n - 0.25) * tilt * tilt / n;
    se[k] = sqrt(fmax(0, variance));
  }
  return 1;
}
