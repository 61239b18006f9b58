#include "expr.h"

#include <string.h>

#include "expr_parts.h"

typedef struct {
  const char *name;
  uint8_t operation;
  int least, most; /* arguments; most -1: any number, taken two by two */
} function;

static const function functions[] = {
    {"abs", OP_ABS, 1, 1},   {"cos", OP_COS, 1, 1},      {"exp", OP_EXP, 1, 1},
    {"log", OP_LOG, 1, 1},   {"sin", OP_SIN, 1, 1},      {"sqrt", OP_SQRT, 1, 1},
    {"tan", OP_TAN, 1, 1},   {"max", OP_MAX, 2, -1},     {"min", OP_MIN, 2, -1},
    {"pow", OP_POWER, 2, 2}, {"ifelse", OP_WHERE, 3, 3}, {"where", OP_WHERE, 3, 3},
};

static int next_is(const expr_parser *p, char sign)
{
  return !expr_failed(p) && p->next.kind == TOKEN_SIGN && p->text[p->next.at] == sign;
}

/* Passes the sign if it is next. */
static int accept(expr_parser *p, char sign)
{
  if (!next_is(p, sign)) {
    return 0;
  }
  mrl_expr_advance(p);
  return 1;
}

static void expect(expr_parser *p, char sign)
{
  if (!accept(p, sign)) {
    mrl_expr_fail(p, MRL_EXPR_UNEXPECTED);
  }
}

/* An instruction that takes `taken` numbers off the stack and lays one on it. */
static void emit(expr_parser *p, uint8_t operation, size_t index, size_t taken)
{
  if (expr_failed(p)) {
    return;
  }
  p->out->step[p->out->n_step++] = (mrl_expr_step){operation, (uint16_t)index};
  p->height += 1 - taken;
  if (p->height > p->out->stack) {
    p->out->stack = p->height;
  }
  if (p->height > MRL_EXPR_STACK) {
    mrl_expr_fail(p, MRL_EXPR_DEEP);
  }
}

static void emit_constant(expr_parser *p, double value)
{
  if (!expr_failed(p)) {
    p->out->constant[p->out->n_constant] = value;
    emit(p, OP_CONSTANT, p->out->n_constant++, 0);
  }
}

static int same_name(const expr_parser *p, size_t at, size_t length, const char *name)
{
  return strlen(name) == length && memcmp(p->text + at, name, length) == 0;
}

/* The number of the variable that a name stands for, or n_variable. */
static size_t find_variable(const expr_parser *p, const expr_token *name)
{
  const size_t n = p->out->n_variable;
  if (!p->n_name) {
    size_t i = 0;
    while (i < n && !same_name(p, name->at, name->length, p->variable[i])) {
      i++;
    }
    return i;
  }
  size_t at = p->first_name;
  for (size_t i = 0; i < n; i++) {
    while (mrl_expr_name_end(p, at) == at) {
      at++;
    }
    const size_t end = mrl_expr_name_end(p, at);
    if (end - at == name->length && memcmp(p->text + at, p->text + name->at, end - at) == 0) {
      return i;
    }
    at = end;
  }
  return n;
}

static void parse_name(expr_parser *p, const expr_token *name)
{
  const size_t i = find_variable(p, name);
  if (i < p->out->n_variable) {
    emit(p, OP_VARIABLE, i, 0);
  } else if (same_name(p, name->at, name->length, "pi")) {
    emit_constant(p, 3.14159265358979323846);
  } else if (same_name(p, name->at, name->length, "e")) {
    emit_constant(p, 2.71828182845904523536);
  } else {
    mrl_expr_fail_at(p, MRL_EXPR_NAME, name->at, name->length);
  }
}

static void parse_compare(expr_parser *p);

static void parse_call(expr_parser *p, const expr_token *name)
{
  const size_t n_functions = sizeof functions / sizeof *functions;
  size_t i = 0;
  while (i < n_functions && !same_name(p, name->at, name->length, functions[i].name)) {
    i++;
  }
  if (i == n_functions) {
    mrl_expr_fail_at(p, MRL_EXPR_FUNCTION, name->at, name->length);
    return;
  }
  const function *f = &functions[i];
  expect(p, '(');
  int given = 0;
  if (!next_is(p, ')')) {
    do {
      parse_compare(p);
      given++;
      if (f->most < 0 && given > 1) {
        emit(p, f->operation, 0, 2);
      }
    } while (accept(p, ','));
  }
  if (!expr_failed(p) && next_is(p, ')') &&
      (given < f->least || (f->most > 0 && given > f->most))) {
    mrl_expr_fail_at(p, MRL_EXPR_ARGUMENTS, name->at, name->length);
  }
  expect(p, ')');
  if (f->most > 0) {
    emit(p, f->operation, 0, (size_t)f->most);
  }
}

static void parse_atom(expr_parser *p)
{
  const expr_token here = p->next;
  if (expr_failed(p)) {
    return;
  }
  if (here.kind == TOKEN_NUMBER) {
    mrl_expr_advance(p);
    emit_constant(p, here.number);
  } else if (here.kind == TOKEN_NAME) {
    mrl_expr_advance(p);
    if (next_is(p, '(')) {
      parse_call(p, &here);
    } else {
      parse_name(p, &here);
    }
  } else if (accept(p, '(')) {
    parse_compare(p);
    expect(p, ')');
  } else {
    mrl_expr_fail(p, MRL_EXPR_UNEXPECTED);
  }
}

static void parse_unary(expr_parser *p);

static void parse_power(expr_parser *p)
{
  parse_atom(p);
  if (expr_failed(p) || p->next.kind != TOKEN_POWER) {
    return;
  }
  mrl_expr_advance(p);
  const size_t before = p->out->n_step;
  parse_unary(p);
  if (expr_failed(p)) {
    return;
  }
  const mrl_expr *out = p->out;
  const mrl_expr_step last = out->step[out->n_step - 1];
  if (out->n_step == before + 1 && last.operation == OP_CONSTANT &&
      out->constant[last.index] == 2) {
    p->out->n_step--;
    p->out->n_constant--;
    p->height--;
    emit(p, OP_SQUARE, 0, 1);
  } else {
    emit(p, OP_POWER, 0, 2);
  }
}

/* Every way to nest passes here. */
static void parse_unary(expr_parser *p)
{
  if (++p->nesting > MRL_EXPR_NESTING) {
    mrl_expr_fail(p, MRL_EXPR_DEEP);
  }
  if (accept(p, '-')) {
    parse_unary(p);
    emit(p, OP_NEGATE, 0, 1);
  } else if (accept(p, '+')) {
    parse_unary(p);
  } else {
    parse_power(p);
  }
  p->nesting--;
}

static void parse_product(expr_parser *p)
{
  parse_unary(p);
  while (next_is(p, '*') || next_is(p, '/')) {
    const uint8_t operation = next_is(p, '*') ? OP_MULTIPLY : OP_DIVIDE;
    mrl_expr_advance(p);
    parse_unary(p);
    emit(p, operation, 0, 2);
  }
}

static void parse_sum(expr_parser *p)
{
  parse_product(p);
  while (next_is(p, '+') || next_is(p, '-')) {
    const uint8_t operation = next_is(p, '+') ? OP_ADD : OP_SUBTRACT;
    mrl_expr_advance(p);
    parse_product(p);
    emit(p, operation, 0, 2);
  }
}

static void parse_compare(expr_parser *p)
{
  parse_sum(p);
  if (expr_failed(p) || p->next.kind != TOKEN_COMPARE) {
    return;
  }
  const uint8_t operation = p->next.operation;
  mrl_expr_advance(p);
  parse_sum(p);
  emit(p, operation, 0, 2);
  if (!expr_failed(p) && p->next.kind == TOKEN_COMPARE) {
    mrl_expr_fail(p, MRL_EXPR_CHAIN);
  }
}

/* Its names take the place of the variables', in their order. */
static void parse_lambda(expr_parser *p)
{
  const expr_token word = p->next;
  if (expr_failed(p) || word.kind != TOKEN_NAME || !same_name(p, word.at, word.length, "lambda")) {
    return;
  }
  mrl_expr_advance(p);
  p->first_name = p->next.at;
  do {
    if (expr_failed(p) || p->next.kind != TOKEN_NAME) {
      mrl_expr_fail(p, MRL_EXPR_UNEXPECTED);
      return;
    }
    p->n_name++;
    mrl_expr_advance(p);
  } while (accept(p, ','));
  const size_t end = p->next.at;
  expect(p, ':');
  if (p->n_name != p->out->n_variable) {
    mrl_expr_fail_at(p, MRL_EXPR_LAMBDA, p->first_name, end - p->first_name);
  }
}

mrl_status mrl_expr_parse(mrl_expr *out, mrl_expr_fault *fault, const char *text, size_t length,
                          const char *const *variable, size_t n_variable)
{
  expr_parser p = {
      .text = text, .length = length, .variable = variable, .out = out, .fault = fault};
  out->n_step = out->n_constant = out->stack = 0;
  out->n_variable = n_variable;
  *fault = (mrl_expr_fault){MRL_EXPR_FINE, 0, 0};
  if (length > MRL_EXPR_LENGTH) {
    mrl_expr_fail_at(&p, MRL_EXPR_LONG, MRL_EXPR_LENGTH, 0);
    return MRL_OK;
  }
  mrl_expr_advance(&p);
  if (!expr_failed(&p) && p.next.kind == TOKEN_END) {
    mrl_expr_fail(&p, MRL_EXPR_EMPTY);
  }
  parse_lambda(&p);
  parse_compare(&p);
  if (!expr_failed(&p) && p.next.kind != TOKEN_END) {
    mrl_expr_fail(&p, MRL_EXPR_UNEXPECTED);
  }
  return MRL_OK;
}
