#include "expr_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void mrl_expr_fail_at(expr_parser *p, mrl_expr_problem problem, size_t at, size_t length)
{
  if (!expr_failed(p)) {
    *p->fault = (mrl_expr_fault){problem, at, length};
  }
}

void mrl_expr_fail(expr_parser *p, mrl_expr_problem problem)
{
  mrl_expr_fail_at(p, problem, p->next.at, p->next.length);
}

/* ASCII by hand: <ctype.h> goes by the locale. */
static int is_digit(char c)
{
  return c >= '0' && c <= '9';
}

static int is_letter(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static int is_space(char c)
{
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The character at a place, 0 beyond the end. */
static char peek(const expr_parser *p, size_t at)
{
  return at < p->length ? p->text[at] : 0;
}

static size_t skip_digits(const expr_parser *p, size_t at)
{
  while (is_digit(peek(p, at))) {
    at++;
  }
  return at;
}

/* digits [. digits] [e [sign] digits], digits on one side of the point at least. strtod() also
 * knows hexadecimal numbers, infinities and NaN, so it only sees what was recognised here. */
static void read_number(expr_parser *p, size_t at)
{
  size_t end = skip_digits(p, at);
  if (peek(p, end) == '.') {
    end = skip_digits(p, end + 1);
  }
  if (peek(p, end) == 'e' || peek(p, end) == 'E') {
    const size_t sign = end + 1 + (peek(p, end + 1) == '+' || peek(p, end + 1) == '-');
    if (is_digit(peek(p, sign))) {
      end = skip_digits(p, sign);
    }
  }
  char digits[64];
  p->next = (expr_token){.kind = TOKEN_NUMBER, .at = at, .length = end - at};
  if (end - at >= sizeof digits) {
    mrl_expr_fail(p, MRL_EXPR_NUMBER);
    return;
  }
  memcpy(digits, p->text + at, end - at);
  digits[end - at] = 0;
  p->next.number = strtod(digits, NULL);
  if (!isfinite(p->next.number)) {
    mrl_expr_fail(p, MRL_EXPR_NUMBER);
  }
}

/* R's names have points in them. */
size_t mrl_expr_name_end(const expr_parser *p, size_t at)
{
  while (is_letter(peek(p, at)) || is_digit(peek(p, at)) || peek(p, at) == '.') {
    at++;
  }
  return at;
}

static void read_comparison(expr_parser *p, size_t at)
{
  const char first = peek(p, at);
  const int equal = peek(p, at + 1) == '=';
  p->next = (expr_token){.kind = TOKEN_COMPARE, .at = at, .length = equal ? 2 : 1};
  switch (first) {
  case '<':
    p->next.operation = equal ? OP_LESS_EQUAL : OP_LESS;
    break;
  case '>':
    p->next.operation = equal ? OP_GREATER_EQUAL : OP_GREATER;
    break;
  case '=':
    p->next.operation = OP_EQUAL;
    break;
  default:
    p->next.operation = OP_NOT_EQUAL;
  }
  if (!equal && (first == '=' || first == '!')) {
    mrl_expr_fail(p, MRL_EXPR_UNEXPECTED);
  }
}

void mrl_expr_advance(expr_parser *p)
{
  size_t at = p->next.at + p->next.length;
  while (is_space(peek(p, at))) {
    at++;
  }
  const char c = peek(p, at);
  if (at >= p->length) {
    p->next = (expr_token){.kind = TOKEN_END, .at = p->length};
  } else if (is_digit(c) || (c == '.' && is_digit(peek(p, at + 1)))) {
    read_number(p, at);
  } else if (is_letter(c)) {
    p->next = (expr_token){.kind = TOKEN_NAME, .at = at, .length = mrl_expr_name_end(p, at) - at};
  } else if (c == '<' || c == '>' || c == '=' || c == '!') {
    read_comparison(p, at);
  } else if (c == '^' || (c == '*' && peek(p, at + 1) == '*')) {
    p->next = (expr_token){.kind = TOKEN_POWER, .at = at, .length = c == '^' ? 1 : 2};
  } else {
    p->next = (expr_token){.kind = TOKEN_SIGN, .at = at, .length = 1};
    if (!c || !strchr("+-*/(),:", c)) {
      mrl_expr_fail(p, MRL_EXPR_CHARACTER);
    }
  }
}
