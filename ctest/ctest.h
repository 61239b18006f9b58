/* A minimal harness: each test program counts its checks and fails if one failed. */
#ifndef CTEST_H
#define CTEST_H

#include <math.h>
#include <stdio.h>

static int ctest_run, ctest_failed;

static inline void ctest_check(int ok, const char *what, const char *file, int line)
{
  ctest_run++;
  if (!ok) {
    ctest_failed++;
    fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
  }
}

static inline void ctest_near(double a, double b, double tol, const char *what, const char *file,
                              int line)
{
  const int ok = fabs(a - b) <= tol; /* false for NaN */
  ctest_check(ok, what, file, line);
  if (!ok) {
    fprintf(stderr, "    %.17g against %.17g, difference %.3g, tolerance %.3g\n", a, b, a - b, tol);
  }
}

#define CHECK(cond) ctest_check((cond) ? 1 : 0, #cond, __FILE__, __LINE__)
#define CHECK_NEAR(a, b, tol) ctest_near((a), (b), (tol), #a " ~ " #b, __FILE__, __LINE__)
#define CTEST_DONE()                                                                               \
  (printf("%d passed, %d failed\n", ctest_run - ctest_failed, ctest_failed), ctest_failed != 0)

#endif
