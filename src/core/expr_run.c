#include "expr.h"

#include <math.h>
#include <string.h>

#include "arena.h"
#include "expr_parts.h"

static double *carve_stack(mrl_arena *arena, const mrl_expr *program)
{
  return MRL_TAKE(arena, double, program->stack *MRL_EXPR_BLOCK);
}

size_t mrl_expr_scratch(const mrl_expr *program)
{
  mrl_arena arena = mrl_arena_measure();
  carve_stack(&arena, program);
  return arena.used;
}

/* The larger (or with less = 1 the smaller) of two; NaN if one is. */
static double extreme(double a, double b, int less)
{
  if (isnan(a) || isnan(b)) {
    return NAN;
  }
  return (a < b) == less ? a : b;
}

/* As R has it: -0 is 0; where a is below 0 and one of both infinite, b must be a whole number. */
static double power(double a, double b)
{
  if (a < 0 && (isinf(b) || (isinf(a) && b != rint(b)))) {
    return NAN;
  }
  return pow(a == 0 ? 0 : a, b);
}

static double compare(uint8_t operation, double a, double b)
{
  if (isnan(a) || isnan(b)) {
    return NAN;
  }
  switch (operation) {
  case OP_LESS:
    return a < b;
  case OP_LESS_EQUAL:
    return a <= b;
  case OP_GREATER:
    return a > b;
  case OP_GREATER_EQUAL:
    return a >= b;
  case OP_EQUAL:
    return a == b;
  default:
    return a != b;
  }
}

/* a (m) in place. */
static void run_unary(uint8_t operation, double *a, size_t m)
{
#define EACH(value)                                                                                \
  for (size_t i = 0; i < m; i++) {                                                                 \
    a[i] = (value);                                                                                \
  }                                                                                                \
  break
  switch (operation) {
  case OP_NEGATE:
    EACH(-a[i]);
  case OP_SQUARE:
    EACH(a[i] * a[i]);
  case OP_ABS:
    EACH(fabs(a[i]));
  case OP_COS:
    EACH(cos(a[i]));
  case OP_EXP:
    EACH(exp(a[i]));
  case OP_LOG:
    EACH(log(a[i]));
  case OP_SIN:
    EACH(sin(a[i]));
  case OP_SQRT:
    EACH(sqrt(a[i]));
  default:
    EACH(tan(a[i]));
  }
}

/* a (m) from a and b (m). */
static void run_binary(uint8_t operation, double *a, const double *b, size_t m)
{
  switch (operation) {
  case OP_ADD:
    EACH(a[i] + b[i]);
  case OP_SUBTRACT:
    EACH(a[i] - b[i]);
  case OP_MULTIPLY:
    EACH(a[i] * b[i]);
  case OP_DIVIDE:
    EACH(a[i] / b[i]);
  case OP_POWER:
    EACH(power(a[i], b[i]));
  case OP_MAX:
    EACH(extreme(a[i], b[i], 0));
  case OP_MIN:
    EACH(extreme(a[i], b[i], 1));
  default:
    EACH(compare(operation, a[i], b[i]));
  }
#undef EACH
}

static void run_where(double *condition, const double *yes, const double *no, size_t m)
{
  for (size_t i = 0; i < m; i++) {
    if (!isnan(condition[i])) {
      condition[i] = condition[i] != 0 ? yes[i] : no[i];
    }
  }
}

/* The rows first .. first + m - 1, m at most MRL_EXPR_BLOCK. stack (program->stack) blocks. */
static void run_block(double *out, const mrl_expr *program, const double *const *column,
                      size_t first, size_t m, double *stack)
{
  double *top = stack; /* the first block that is free */
  for (size_t s = 0; s < program->n_step; s++) {
    const mrl_expr_step step = program->step[s];
    if (step.operation == OP_CONSTANT) {
      for (size_t i = 0; i < m; i++) {
        top[i] = program->constant[step.index];
      }
      top += MRL_EXPR_BLOCK;
    } else if (step.operation == OP_VARIABLE) {
      memcpy(top, column[step.index] + first, m * sizeof *top);
      top += MRL_EXPR_BLOCK;
    } else if (step.operation == OP_WHERE) {
      top -= 2 * MRL_EXPR_BLOCK;
      run_where(top - MRL_EXPR_BLOCK, top, top + MRL_EXPR_BLOCK, m);
    } else if (expr_is_binary(step.operation)) {
      top -= MRL_EXPR_BLOCK;
      run_binary(step.operation, top - MRL_EXPR_BLOCK, top, m);
    } else {
      run_unary(step.operation, top - MRL_EXPR_BLOCK, m);
    }
  }
  memcpy(out + first, stack, m * sizeof *out);
}

mrl_status mrl_expr_run(double *out, const mrl_expr *program, const double *const *column, size_t n,
                        void *scratch, const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_over(scratch, mrl_expr_scratch(program));
  double *stack = carve_stack(&arena, program);
  if (arena.failed) {
    return MRL_NO_MEMORY;
  }
  for (size_t first = 0; first < n; first += MRL_EXPR_BLOCK) {
    const size_t left = n - first;
    run_block(out, program, column, first, left < MRL_EXPR_BLOCK ? left : MRL_EXPR_BLOCK, stack);
    mrl_poll(ctx);
  }
  return MRL_OK;
}
