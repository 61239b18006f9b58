/* The arithmetic parser against the same arithmetic in C, and what it refuses. */
#include "ctest.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "expr.h"

static const char *const XY[] = {"x", "y"};
static mrl_expr program;

/* Parses the text with the first n of the variables x, y. */
static mrl_expr_fault parse(const char *text, size_t n)
{
  mrl_expr_fault fault;
  CHECK(mrl_expr_parse(&program, &fault, text, strlen(text), XY, n) == MRL_OK);
  return fault;
}

/* The program's values at rows of columns. */
static void run(double *out, const double *const *column, size_t n)
{
  const mrl_ctx ctx = {1, NULL, NULL};
  void *scratch = malloc(mrl_expr_scratch(&program));
  CHECK(mrl_expr_run(out, &program, column, n, scratch, &ctx) == MRL_OK);
  free(scratch);
}

static double value_at(const char *text, double x, double y)
{
  const double *const column[] = {&x, &y};
  double out = NAN;
  CHECK(parse(text, 2).problem == MRL_EXPR_FINE);
  run(&out, column, 1);
  return out;
}

/* The text is also the C expression that it is compared with, bit for bit: the same operations in
 * the same order. */
#define SAME(expression)                                                                           \
  do {                                                                                             \
    for (int at_ = 0; at_ < 8; at_++) {                                                            \
      const double x = points[at_], y = points[(at_ + 3) % 8];                                     \
      const double want = (expression), got = value_at(#expression, x, y);                         \
      CHECK(got == want || (isnan(got) && isnan(want)));                                           \
      (void)x;                                                                                     \
      (void)y;                                                                                     \
    }                                                                                              \
  } while (0)

static void test_arithmetic(void)
{
  static const double points[] = {-4.5, -1, -.3, 0, .25, 1, 2, 7.75};
  SAME(x);
  SAME(0.3 * x * x + 0.3 * x + 0.4);
  SAME(0.3 * (x + 2) * (x - 1) + 1);
  SAME(1 - 2 - 3);
  SAME(16. / 4 / 2);
  SAME(x - y - 1 + 2 * x / (y + 10));
  SAME(-x - -y);
  SAME(- -x + +y);
  SAME(exp(-x * x) + sin(x) * cos(y) - tan(x / 3));
  SAME(sqrt(x) + log(y));
  SAME(pow(2, -x) + pow(x, 3));
  SAME(1.5e3 * x - 2.5E-2 + .5 + 3. + 7e+1);
  SAME(1 / x);
  SAME((((((((x))))))));
  SAME((x < y) + 2 * (x <= y) + 4 * (x > y) + 8 * (x >= y) + 16 * (x == y) + 32 * (x != y));
  SAME(0.4 * (x - 2) * (x > 2));
}

#define GIVES(text, x, y, want)                                                                    \
  CHECK_NEAR(value_at(text, x, y), want, 1e-15 * (1 + fabs((double)(want))))

static void test_precedence(void)
{
  GIVES("-x^2", 3, 0, -9);
  GIVES("-x**2", 3, 0, -9);
  GIVES("(-x)^2", 3, 0, 9);
  GIVES("2^3^2", 0, 0, 512);
  GIVES("2**3**2", 0, 0, 512);
  GIVES("2^-1", 0, 0, .5);
  GIVES("2^-x^2", 3, 0, pow(2, -9));
  GIVES("-2^-2", 0, 0, -.25);
  GIVES("2*x^2", 3, 0, 18);
  GIVES("-x*y", 3, 2, -6);
  GIVES("2 + 3 < 6 - 2", 0, 0, 0);
  GIVES("1 + 2 * 3 ^ 2 / 9 - 4", 0, 0, -1);
  GIVES("x^2^1", 3, 0, 9);
  GIVES("x^(2)", 3, 0, 9);
  GIVES("x^+2", -3, 0, 9);
}

static void test_names(void)
{
  GIVES("pi", 0, 0, 3.14159265358979323846);
  GIVES("2*e", 0, 0, 2 * 2.71828182845904523536);
  GIVES("2e0*e", 0, 0, 2 * 2.71828182845904523536);
  GIVES("abs(-3) + pow(x, 2)", 2, 0, 7);
  GIVES("max(1, x, y) + 10 * min(x, 2, y, -1)", 3, 4, -6);
  GIVES("where(x > 0, x^2, -x)", 3, 0, 9);
  GIVES("ifelse(x > 0, x^2, -x)", -3, 0, 3);
  GIVES("ifelse(0, log(-1), 5)", 0, 0, 5);
  GIVES("lambda x, y: x - y", 5, 3, 2);
  GIVES("lambda y, x: x - y", 5, 3, -2);
  GIVES("lambda a , b : a - b", 5, 3, 2);
  GIVES("lambda pi, e: pi - e", 5, 3, 2);
  GIVES(" \t\r\n x + \n y ", 1, 2, 3);
  CHECK(parse("lambda x: (0.3 * (x + 2) * (x - 1) + 1)", 1).problem == MRL_EXPR_FINE);
  CHECK(isnan(value_at("max(x, y)", NAN, 1)) && isnan(value_at("min(x, y)", 1, NAN)));
  CHECK(isnan(value_at("x < y", NAN, 1)) && isnan(value_at("where(x, 1, 2)", NAN, 0)));
  static const char *const hidden[] = {"pi", "my.var_2"};
  mrl_expr_fault fault;
  CHECK(mrl_expr_parse(&program, &fault, "pi+my.var_2", 11, hidden, 2) == MRL_OK);
  CHECK(fault.problem == MRL_EXPR_FINE);
  const double one = 1, two = 2, *const column[] = {&one, &two};
  double out;
  run(&out, column, 1);
  CHECK(out == 3);
}

/* Several blocks of rows, the last one not full. */
static void test_rows(void)
{
  enum { N = 2 * MRL_EXPR_BLOCK + 37 };
  double x[N], y[N], out[N + 1];
  for (int i = 0; i < N; i++) {
    x[i] = i / 100. - 2;
    y[i] = sin(i);
  }
  const double *const column[] = {x, y};
  CHECK(parse("where(x > y, x - 1, 2) / (1 + y^2)", 2).problem == MRL_EXPR_FINE);
  out[N] = 77;
  run(out, column, N);
  for (int i = 0; i < N; i++) {
    CHECK(out[i] == (x[i] > y[i] ? x[i] - 1 : 2) / (1 + y[i] * y[i]));
  }
  CHECK(out[N] == 77);
  CHECK(parse("1", 0).problem == MRL_EXPR_FINE);
  run(out, NULL, 3);
  CHECK(out[0] == 1 && out[2] == 1);
}

static void refused(const char *text, mrl_expr_problem problem, size_t at, size_t length)
{
  const mrl_expr_fault fault = parse(text, 1);
  CHECK(fault.problem == problem);
  CHECK(fault.at == at);
  CHECK(fault.length == length);
  if (fault.problem != problem || fault.at != at || fault.length != length) {
    fprintf(stderr, "    \"%s\": problem %d at %zu, length %zu\n", text, (int)fault.problem,
            fault.at, fault.length);
  }
}

static void test_refused(void)
{
  refused("", MRL_EXPR_EMPTY, 0, 0);
  refused("  ", MRL_EXPR_EMPTY, 2, 0);
  refused("system('ls')", MRL_EXPR_FUNCTION, 0, 6);
  refused("x; 1", MRL_EXPR_CHARACTER, 1, 1);
  refused("x$y", MRL_EXPR_CHARACTER, 1, 1);
  refused("x[1]", MRL_EXPR_CHARACTER, 1, 1);
  refused("`x`", MRL_EXPR_CHARACTER, 0, 1);
  refused("\"x\"", MRL_EXPR_CHARACTER, 0, 1);
  refused("x %% 2", MRL_EXPR_CHARACTER, 2, 1);
  refused("x\xc3\xa9", MRL_EXPR_CHARACTER, 1, 1);
  refused("base::system(1)", MRL_EXPR_NAME, 0, 4);
  refused("__import__(1)", MRL_EXPR_FUNCTION, 0, 10);
  refused("exp", MRL_EXPR_NAME, 0, 3);
  refused("y + 1", MRL_EXPR_NAME, 0, 1);
  refused("x + 2 *", MRL_EXPR_UNEXPECTED, 7, 0);
  refused("x + * 2", MRL_EXPR_UNEXPECTED, 4, 1);
  refused("2 x", MRL_EXPR_UNEXPECTED, 2, 1);
  refused("2pi", MRL_EXPR_UNEXPECTED, 1, 2);
  refused("1.5.5", MRL_EXPR_UNEXPECTED, 3, 2);
  refused("(x + 1", MRL_EXPR_UNEXPECTED, 6, 0);
  refused("x + 1)", MRL_EXPR_UNEXPECTED, 5, 1);
  refused("x = 1", MRL_EXPR_UNEXPECTED, 2, 1);
  refused("!x", MRL_EXPR_UNEXPECTED, 0, 1);
  refused("x, 1", MRL_EXPR_UNEXPECTED, 1, 1);
  refused("x ** ", MRL_EXPR_UNEXPECTED, 5, 0);
  refused("x *** 2", MRL_EXPR_UNEXPECTED, 4, 1);
  refused("0x10", MRL_EXPR_UNEXPECTED, 1, 3);
  refused("exp()", MRL_EXPR_ARGUMENTS, 0, 3);
  refused("2 + exp(x, 1)", MRL_EXPR_ARGUMENTS, 4, 3);
  refused("max(x)", MRL_EXPR_ARGUMENTS, 0, 3);
  refused("ifelse(x, 1)", MRL_EXPR_ARGUMENTS, 0, 6);
  refused("exp(x", MRL_EXPR_UNEXPECTED, 5, 0);
  refused("1e999", MRL_EXPR_NUMBER, 0, 5);
  refused("0 < x < 1", MRL_EXPR_CHAIN, 6, 1);
  refused("lambda: 1", MRL_EXPR_UNEXPECTED, 6, 1);
  refused("lambda x x", MRL_EXPR_UNEXPECTED, 9, 1);
  refused("lambda a, b: a", MRL_EXPR_LAMBDA, 7, 4);
  refused("lambda t: x", MRL_EXPR_NAME, 10, 1);
}

/* A long text of `open` repeated n times, then x, then `close` n times. */
static mrl_expr_problem nested(const char *open, const char *close, size_t n)
{
  static char text[16 * MRL_EXPR_LENGTH];
  char *at = text;
  for (size_t i = 0; i < n; i++) {
    at += sprintf(at, "%s", open);
  }
  at += sprintf(at, "x");
  for (size_t i = 0; i < n; i++) {
    at += sprintf(at, "%s", close);
  }
  return parse(text, 1).problem;
}

static void test_bounds(void)
{
  static const char *const opens[] = {"(", "-", "exp(", "2^", "1+(", "max(1,2+("};
  static const char *const closes[] = {")", "", ")", "", ")", "))"};
  for (int i = 0; i < 6; i++) {
    CHECK(nested(opens[i], closes[i], 20) == MRL_EXPR_FINE);
    CHECK(nested(opens[i], closes[i], 300) == MRL_EXPR_DEEP);
    CHECK(nested(opens[i], closes[i], MRL_EXPR_LENGTH) == MRL_EXPR_LONG);
  }
  CHECK(nested("x+", "", MRL_EXPR_LENGTH / 2 - 1) == MRL_EXPR_FINE);
  CHECK(nested("1+", "", MRL_EXPR_LENGTH / 2 - 1) == MRL_EXPR_FINE);
  CHECK(nested("1", "", 62) == MRL_EXPR_UNEXPECTED);
  CHECK(nested("1", "", 64) == MRL_EXPR_NUMBER);
  CHECK(nested(" ", " ", MRL_EXPR_LENGTH / 2 - 1) == MRL_EXPR_FINE);
}

/* Any bytes: no fault of memory, and what is a program runs. */
static void test_noise(void)
{
  static const char letters[] = "xye012.+-*/^(),:<>=! lambda exp max where(\xff";
  uint64_t state = 12345;
  size_t fine = 0;
  for (int i = 0; i < 200000; i++) {
    char text[24];
    size_t length = 0;
    do {
      state = state * 6364136223846793005u + 1442695040888963407u;
      text[length++] = letters[(state >> 33) % (sizeof letters - 1)];
    } while (length < sizeof text && (state >> 60) != 0);
    mrl_expr_fault fault;
    CHECK(mrl_expr_parse(&program, &fault, text, length, XY, 2) == MRL_OK);
    CHECK(fault.at <= length && fault.length <= length - fault.at);
    if (fault.problem == MRL_EXPR_FINE) {
      const double x = .5, y = -2, *const column[] = {&x, &y};
      double out;
      run(&out, column, 1);
      fine++;
    }
  }
  CHECK(fine > 1000);
}

int main(void)
{
  test_arithmetic();
  test_precedence();
  test_names();
  test_rows();
  test_refused();
  test_bounds();
  test_noise();
  return CTEST_DONE();
}
