/*
 * Arithmetic that a user has written, such as "0.3*x^2 + sin(x)" or "lambda x: 0.3*x**2": read by
 * this parser alone, compiled to a program for a stack of numbers, run over the rows of columns.
 * There is nothing in the language that could reach anything but the numbers handed in.
 *
 *   text    = ["lambda" name {"," name} ":"] compare
 *   compare = sum [("<" | "<=" | ">" | ">=" | "==" | "!=") sum]          1 or 0; not chained
 *   sum     = product {("+" | "-") product}
 *   product = unary {("*" | "/") unary}
 *   unary   = ("+" | "-") unary | power
 *   power   = atom [("^" | "**") unary]                -x^2 is -(x^2), 2^3^2 is 2^9, 2^-1 is .5
 *   atom    = number | name | name "(" compare {"," compare} ")" | "(" compare ")"
 *
 * Functions: abs, cos, exp, log, sin, sqrt, tan of one number; pow of two; max and min of two or
 * more; ifelse or where (condition, yes, no). Constants: pi, e. A variable may hide these.
 * A NaN makes comparisons, max, min and ifelse NaN.
 */
#ifndef MRL_EXPR_H
#define MRL_EXPR_H

#include "status.h"

enum {
  MRL_EXPR_LENGTH = 4096, /* bytes of text; no token makes more than one instruction */
  MRL_EXPR_NESTING = 64,  /* brackets, calls, signs and powers within each other */
  MRL_EXPR_STACK = 128,   /* numbers on the stack at a time */
  MRL_EXPR_BLOCK = 256    /* rows that one pass of a program serves */
};

typedef enum {
  MRL_EXPR_FINE = 0,
  MRL_EXPR_EMPTY,      /* there is nothing to read */
  MRL_EXPR_LONG,       /* longer than MRL_EXPR_LENGTH */
  MRL_EXPR_CHARACTER,  /* a character that no expression has */
  MRL_EXPR_UNEXPECTED, /* a token that cannot stand here; at the end of the text, length is 0 */
  MRL_EXPR_NAME,       /* neither variable nor constant */
  MRL_EXPR_FUNCTION,   /* no function of this name */
  MRL_EXPR_ARGUMENTS,  /* a function with too few or too many arguments */
  MRL_EXPR_NUMBER,     /* a number too long or too large */
  MRL_EXPR_DEEP,       /* nested more than MRL_EXPR_NESTING deep */
  MRL_EXPR_CHAIN,      /* a < b < c, which languages read differently */
  MRL_EXPR_LAMBDA      /* lambda with another number of names than there are variables */
} mrl_expr_problem;

typedef struct {
  uint8_t operation;
  uint16_t index; /* of a constant or variable */
} mrl_expr_step;

/* About 33 kB, all of it here; may be copied. */
typedef struct {
  mrl_expr_step step[MRL_EXPR_LENGTH];
  double constant[MRL_EXPR_LENGTH / 2 + 1]; /* between two numbers stands another token */
  size_t n_step, n_constant;
  size_t n_variable;
  size_t stack; /* numbers on the stack at most */
} mrl_expr;

/* What is wrong with a text, and where: bytes at .. at + length - 1 from 0. */
typedef struct {
  mrl_expr_problem problem;
  size_t at, length;
} mrl_expr_fault;

/*
 * text (length) needs no 0 at its end. variable (n_variable, at most 65535) names that end by 0.
 * Always MRL_OK; out is a program if fault->problem is MRL_EXPR_FINE.
 */
mrl_status mrl_expr_parse(mrl_expr *out, mrl_expr_fault *fault, const char *text, size_t length,
                          const char *const *variable, size_t n_variable);

/* Bytes of scratch, at any address, for mrl_expr_run(). */
size_t mrl_expr_scratch(const mrl_expr *program);

/* out (n): the program's value at each row of column (n_variable) pointers to n doubles. Polls. */
mrl_status mrl_expr_run(double *out, const mrl_expr *program, const double *const *column, size_t n,
                        void *scratch, const mrl_ctx *ctx);

#endif
