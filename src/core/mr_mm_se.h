/* The covariance of mr_mm.c's fits. */
#ifndef MRL_MR_MM_SE_H
#define MRL_MR_MM_SE_H

#include "mr_mm_kernel.h"

/*
 * Standard errors of Croux, Dhaene & Hoorelbeke (2003, K.U. Leuven DPS 03.16), eq. "Avar1", which
 * hold under heteroskedastic and asymmetric errors: with A = scale (sum z z' psi')^-1,
 *   A S A - a c'A - A c a' + mean(chi^2 - 1/4) a a' / n,   a = A tilt / mean(chi' u0),
 * S = sum z z' psi^2, c = sum z psi chi / n. A negative variance is 0.
 * b: the M-estimate, s: the S-estimate. Returns 0 where the information is singular.
 */
int mrl_mm_standard_errors(double se[2], const rows *data, const double b[2], const candidate *s);

#endif
