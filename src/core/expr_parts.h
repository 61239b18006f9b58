/* What the parts of expr.c share: instructions, tokens, the state of the parser. */
#ifndef MRL_EXPR_PARTS_H
#define MRL_EXPR_PARTS_H

#include "expr.h"

enum {
  OP_CONSTANT,
  OP_VARIABLE,
  OP_NEGATE,
  OP_SQUARE, /* as x * x, which is exact to rounding */
  OP_ADD,
  OP_SUBTRACT,
  OP_MULTIPLY,
  OP_DIVIDE,
  OP_POWER,
  OP_LESS,
  OP_LESS_EQUAL,
  OP_GREATER,
  OP_GREATER_EQUAL,
  OP_EQUAL,
  OP_NOT_EQUAL,
  OP_ABS,
  OP_COS,
  OP_EXP,
  OP_LOG,
  OP_SIN,
  OP_SQRT,
  OP_TAN,
  OP_MAX,
  OP_MIN,
  OP_WHERE
};

/* Takes two numbers. */
static inline int expr_is_binary(uint8_t operation)
{
  return (operation >= OP_ADD && operation <= OP_NOT_EQUAL) || operation == OP_MAX ||
         operation == OP_MIN;
}

typedef enum {
  TOKEN_END,
  TOKEN_NUMBER,
  TOKEN_NAME,
  TOKEN_POWER,
  TOKEN_COMPARE,
  TOKEN_SIGN /* one character: text[at] says which */
} token_kind;

typedef struct {
  token_kind kind;
  size_t at, length;
  uint8_t operation; /* of TOKEN_COMPARE */
  double number;     /* of TOKEN_NUMBER */
} expr_token;

/* Where the parser stands. After the first fault nothing is read any more. */
typedef struct {
  const char *text;
  size_t length;
  expr_token next;
  size_t nesting, height; /* height: numbers on the stack */
  const char *const *variable;
  size_t first_name, n_name; /* of lambda: where its names begin; 0 names without lambda */
  mrl_expr *out;
  mrl_expr_fault *fault;
} expr_parser;

static inline int expr_failed(const expr_parser *p)
{
  return p->fault->problem != MRL_EXPR_FINE;
}

/* Notes the first fault. */
void mrl_expr_fail_at(expr_parser *p, mrl_expr_problem problem, size_t at, size_t length);
/* At the token that is next. */
void mrl_expr_fail(expr_parser *p, mrl_expr_problem problem);

/* Reads the token after the one that is next. */
void mrl_expr_advance(expr_parser *p);
/* The end of the name that begins at a place. */
size_t mrl_expr_name_end(const expr_parser *p, size_t at);

#endif
