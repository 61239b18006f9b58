# arithmetic_function(): text as arithmetic, read by the core's parser.

# Random arithmetic that R's parser and ours both know, as text. depth: levels still allowed.
random_arithmetic <- function(depth) {
  pick <- function(...) sample(c(...), 1)
  inner <- function() random_arithmetic(depth - 1L)
  if (depth == 0L || stats::runif(1) < 0.15) {
    return(pick("x", "y", "pi", format(stats::runif(1, 0, 3), digits = 6), "2", "1e-2", ".5"))
  }
  switch(sample(7L, 1),
    paste(inner(), pick("+", "-", "*", "/"), inner()),
    paste0(pick("-", "+", "- "), inner()),
    paste0("(", inner(), ")", pick("^", "**"), pick("2", "3", "-1", ".5", "-x^2")),
    paste0("(", inner(), ")"),
    paste0(pick("exp", "log", "sqrt", "sin", "cos", "tan", "abs"), "(", inner(), ")"),
    paste0(pick("max", "min", "pow"), "(", inner(), ", ", inner(), ")"),
    paste0(pick("where", "ifelse"), "(", inner(), pick(" < ", " >= ", " == ", "!="), inner(), ", ",
      inner(), ", ", inner(), ")")
  )
}

# The same by R's own parser and functions; safe here, as the text is ours.
by_r <- function(text, x, y) {
  # ifelse() has the length of its condition, which may be a number here.
  choose <- function(condition, yes, no) ifelse(rep_len(condition, length(x)), yes, no)
  known <- list(x = x, y = y, max = pmax, min = pmin, pow = `^`, where = choose, ifelse = choose,
    e = exp(1))
  out <- suppressWarnings(eval(str2lang(text), known))
  rep_len(as.double(out), length(x))
}

test_that("arithmetic is what R makes of it (property)", {
  # The same operations on doubles in the same order; R's and C's powers may differ by an ulp, which
  # a chain of 5 levels enlarges little, unless it cancels: of 1500 texts none may differ by 1e-9
  # where it is not the difference of numbers 1e6 times as large.
  set.seed(1)
  x <- c(-2.5, -1, -0.1, 0, 0.3, 1, 2, 4.7)
  y <- c(1, -3, 0.2, 2, 0, -0.5, 2, 0.9)
  for (i in 1:1500) {
    text <- random_arithmetic(5L)
    if (nchar(text) > 4000L) next
    want <- by_r(text, x, y)
    got <- arithmetic_function(text, c("x", "y"))(x, y)
    finite <- is.finite(want)
    ok <- identical(finite, is.finite(got)) && identical(is.na(want), is.na(got)) &&
      all(want[!finite & !is.na(want)] == got[!finite & !is.na(want)]) &&
      all(abs(got - want)[finite] <= 1e-9 * (1 + abs(want[finite])))
    if (!ok) {
      fail(paste(text, "\n  R:", toString(want), "\n  ours:", toString(got)))
    }
  }
  succeed()
})

test_that("the languages of R and Python are both read", {
  x <- c(-2, 0.5, 3)
  expect_equal(arithmetic_function("0.3*x^2")(x), 0.3 * x^2)
  expect_equal(arithmetic_function("0.3*x**2")(x), 0.3 * x^2)
  expect_equal(arithmetic_function("lambda x: 0.3*x**2")(x), 0.3 * x^2)
  expect_equal(arithmetic_function("lambda x: (0.3 * (x + 2) * (x - 1) + 1)")(x),
    0.3 * (x + 2) * (x - 1) + 1)
  expect_equal(arithmetic_function("lambda v: v - 1")(x), x - 1)
  expect_equal(arithmetic_function("a - b", c("a", "b"))(b = 1, a = x), x - 1)
  expect_equal(arithmetic_function("2^3^2 - -x^2")(x), 512 + x^2)
})

test_that("the function is vectorised, keeps NA, and is saved as its text", {
  f <- arithmetic_function("where(x > 0, text, -variables)", c("x", "text", "variables"))
  expect_identical(f(c(1, -1, NA), 5, 7), c(5, -7, NA))
  expect_identical(f(double(), 5, 7), double())
  expect_identical(f(1L, TRUE, 2L), 1)
  g <- unserialize(serialize(f, NULL))
  expect_identical(g(c(2, -2), 1:2, 3:4), c(1, -4))
  expect_lt(length(serialize(f, NULL)), 5000)
  expect_identical(is.nan(arithmetic_function("log(x)")(c(-1, 1)) |> suppressWarnings()),
    c(TRUE, FALSE))
  expect_identical(arithmetic_function("1")(c(4, 5)), c(1, 1))
  expect_identical(arithmetic_function("2 + 3", character())(), 5)
  expect_error(f(1:2, 1:3, 1), class = "mrlearn_error_argument")
  expect_error(f("a", 1, 1), class = "mrlearn_error_argument")
  long <- arithmetic_function("exp(-x^2) + max(x, 0)")
  x <- seq(-3, 3, length.out = 1e5)
  expect_equal(long(x), exp(-x^2) + pmax(x, 0), tolerance = 1e-15)
})

test_that("what is no arithmetic is refused and never run", {
  file <- tempfile()
  attempts <- c(
    paste0("system('touch ", file, "')"), paste0("system(\"touch ", file, "\")"),
    paste0("file.create('", file, "')"), paste0("x + base::file.create('", file, "')"),
    paste0("`file.create`('", file, "')"), paste0("(function() file.create('", file, "'))()"),
    paste0("lambda x: __import__('os').system('touch ", file, "')"),
    paste0("{file.create('", file, "')}"), paste0("x; file.create('", file, "')"),
    "x[1]", "x$a", "x@a", "x <- 1; x", "if (x) 1 else 2", "x %% 2", "Recall(x)", "get(x)", "quit()",
    "x\u00e9", "1i", "0x1F", "Inf", "NA", "TRUE", "1:3", "x = 1", "'a'", "\\(x) x", ""
  )
  for (text in attempts) {
    expect_error(arithmetic_function(text), class = "mrlearn_error_argument")
  }
  expect_false(file.exists(file))
  expect_error(arithmetic_function(NA), class = "mrlearn_error_argument")
  expect_error(arithmetic_function("x", c("x", "x")), class = "mrlearn_error_argument")
  expect_error(arithmetic_function("x", "a b"), class = "mrlearn_error_argument")
  expect_error(arithmetic_function(strrep("(", 200)), class = "mrlearn_error_argument")
  expect_error(arithmetic_function(strrep("x+", 4000)), class = "mrlearn_error_argument")
})

test_that("messages name the place", {
  texts <- c("system('ls')", "0.3*z^2", "x + 2 *", "2 x", "0 < x < 1", "exp(x, 1)", "1e999", "x;1",
    "lambda a, b: a", strrep("-", 100), "")
  expect_snapshot({
    for (text in texts) {
      cat(tryCatch(arithmetic_function(text, arg = "--true-function"), error = conditionMessage),
        "\n")
    }
  })
})
