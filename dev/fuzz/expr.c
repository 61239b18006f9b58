/* libFuzzer's entry to the arithmetic parser: any bytes as text; what is a program is run, at
 * ordinary and at extreme numbers, and reading it again must give the same program. */
#include <stdlib.h>
#include <string.h>

#include "expr.h"

static void check(int fine)
{
  if (!fine) {
    abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static mrl_expr program, again;
  static const char *const variable[] = {"x", "y"};
  static const double x[] = {0, -1.5, 2, 1e308, -1e-308}, y[] = {1, 0, -3, 1e300, 0};
  static const double *const column[] = {x, y};
  mrl_expr_fault fault, fault_again;
  const mrl_ctx ctx = {1, NULL, NULL};
  const char *text = (const char *)data;
  check(mrl_expr_parse(&program, &fault, text, size, variable, 2) == MRL_OK);
  check(fault.at <= size && fault.length <= size - fault.at);
  if (fault.problem != MRL_EXPR_FINE) {
    return 0;
  }
  check(program.n_step > 0 && program.n_step <= size && program.n_constant <= size / 2 + 1);
  check(program.stack > 0 && program.stack <= MRL_EXPR_STACK);
  check(mrl_expr_parse(&again, &fault_again, text, size, variable, 2) == MRL_OK);
  check(again.n_step == program.n_step && again.stack == program.stack);
  double out[5];
  void *scratch = malloc(mrl_expr_scratch(&program));
  check(mrl_expr_run(out, &program, column, 5, scratch, &ctx) == MRL_OK);
  free(scratch);
  return 0;
}
