# The property fuzzer: valid calls (helper-fuzz_calls.R) with one or two arguments made bad or odd.
# Whatever comes in, the outcome must be a value or an error of class mrlearn_error (and not of
# mrlearn_error_internal), with no warning but those of class mrlearn_warning. dev/fuzz/properties.R
# runs it at length, in child processes, and says which errors of R itself are let pass.

# The calls by name: the exports', and those of S3 methods named by generic and class.
fuzz_table <- function(namespace = getNamespaceInfo("mrlearn", "S3methods")) {
  generics <- sub("^.*::", "", namespace[, 1])
  # Two generics are not exported.
  left_out <- c("latent_apply", "sequence_law", setdiff(names(fuzz_guests), fuzz_guests_here()))
  keep <- !generics %in% left_out & namespace[, 2] %in% names(fuzz_classes)
  methods <- Map(fuzz_method_call, generics[keep], namespace[keep, 2])
  names(methods) <- paste(generics[keep], namespace[keep, 2], sep = ".")
  exported <- names(fuzz_calls) %in% getNamespaceExports("mrlearn")
  c(fuzz_calls[exported], Filter(Negate(is.null), methods))
}

fuzz_method_call <- function(generic, class) {
  name <- paste(generic, class, sep = ".")
  if (name %in% names(fuzz_methods) && is.null(fuzz_methods[[name]])) {
    return(NULL)
  }
  own <- if (name %in% names(fuzz_methods)) fuzz_methods[[name]] else fuzz_extra[[generic]]
  if (generic == "Ops") {
    return(call("+", fuzz_classes[[class]], fuzz_classes[[class]]))
  }
  as.call(c(as.name(generic), fuzz_classes[[class]], as.list(own)[-1L]))
}

# Generics of packages that may not be there.
fuzz_guests <- c(autoplot = "ggplot2", knit_print = "knitr")

fuzz_guests_here <- function() {
  names(Filter(function(package) requireNamespace(package, quietly = TRUE), fuzz_guests))
}

# Where calls are evaluated: the objects of fuzz_objects, made when they are first used.
fuzz_room <- function() {
  room <- new.env(parent = asNamespace("mrlearn"))
  for (name in fuzz_guests_here()) {
    room[[name]] <- getExportedValue(fuzz_guests[[name]], name)
  }
  for (name in names(fuzz_objects)) {
    eval(call("delayedAssign", name, fuzz_objects[[name]], room, room))
  }
  room
}

# Values that no argument expects, and some that many do. Each is made when it is drawn.
fuzz_odd <- expression(
  NULL, NA, NaN, Inf, -Inf, 0, -1, 0.5, 1e308, -1e308, 1e-320, 3e9, 2^53, 2^54, 1e5, 7L,
  NA_integer_, -2147483647L, TRUE, FALSE, logical(0), numeric(0), integer(0), character(0), list(),
  NA_character_,
  "", "a", "y", " ", "no such thing", strrep("x", 1e5), "\u00fc\u4e2d\U1F600", "a\nb", "\xff\xfe",
  "`", "1; 2", "%s%n", c("a", "b"), c("a", NA), letters, 1:3, 1:10 / 3, c(1, NA), c(1, Inf),
  c(2, 2, 2), seq_len(1e6), 1:40, sin(1:40), as.character(1:40), rev(sort(runif(80))),
  complex(3), 1i, as.raw(1:3), raw(0), as.Date("2020-02-30", optional = TRUE),
  as.Date("2020-01-01"),
  as.POSIXlt("2020-01-01", tz = "UTC"), as.difftime(3, units = "hours"),
  structure(c(4e-324, 5e-324), class = "integer64"), structure(1, class = "unheard_of"),
  structure(list(), class = "unheard_of"), factor("a", levels = c("a", "b")),
  factor(rep("a", 40), levels = c("a", "b", "c")), factor(character(0)), factor(c(NA, "a")),
  ordered(1:3), list(1), list(NULL), list(a = 1, a = 2), list(1, "a", NULL, list(2)),
  list(NA, Inf), I(list(1, 2)), data.frame(), data.frame(a = 1:3)[0, , drop = FALSE],
  data.frame(a = numeric(0), b = character(0)), data.frame(a = 1:40, a = 2, check.names = FALSE),
  data.frame(x = I(list(1, "a", NULL))), data.frame(x = c(NA, 1), y = Inf), matrix(0, 0, 0),
  matrix(0, 0, 3), matrix(0, 40, 0), matrix(1, 40, 2), matrix(NA, 2, 2), matrix("a", 2, 2),
  matrix(list(1, 2), 1), diag(4), array(1, c(2, 2, 2)), array(1, 3), table(1:3),
  Matrix::Matrix(diag(4), sparse = TRUE), Matrix::Matrix(matrix(1, 40, 1)), function(...) NULL,
  function(...) NA, function(...) "a", function(...) list(), function(...) numeric(0),
  function(x, ...) x, function(...) Inf, function() 1, sum, mean, identity, new.env(),
  globalenv(), expression(x, y), pairlist(a = 1), ~x, ~.,
  ~nowhere, ~ nowhere + x, y ~ x, y ~ x | z, y ~ x + nowhere | z, y ~ x | z | w, y ~ 1, y ~ 0 | z,
  ~ x | z, y ~ x + offset(w) | z, log(y) ~ x | z, y ~ poly(x, 50) | z, cbind(y, x) ~ x | z,
  y ~ x + x:w | z, stop ~ x | z, y ~ get("x") | z, stats::as.formula("y ~ 1 | 1", globalenv()),
  tempfile(), file.path(tempdir(), "not", "there"), "/dev/null",
  numeric_version("1.2"), Sys.time(), as.hexmode(10), "lambda x: x", Negate(is.null)
)

fuzz_one <- function(x) x[[sample.int(length(x), 1L)]]

# Where odd functions are made, by which they are known as the caller's.
fuzz_land <- new.env()

fuzz_draw_odd <- function() {
  suppressWarnings(eval(fuzz_odd[[sample.int(length(fuzz_odd), 1L)]], fuzz_land))
}

# A value like `x` with something wrong with it (or right, but rare).
fuzz_bend <- function(x) {
  if (is.data.frame(x)) {
    fuzz_bend_frame(x)
  } else if (inherits(x, "formula") || is.function(x) || is.object(x) || is.language(x)) {
    fuzz_draw_odd()
  } else if (is.list(x)) {
    fuzz_bend_list(x)
  } else if (is.matrix(x)) {
    fuzz_bend_matrix(x)
  } else if (is.atomic(x) && length(x)) {
    fuzz_bend_vector(x)
  } else {
    fuzz_draw_odd()
  }
}

fuzz_bend_frame <- function(x) {
  column <- if (length(x)) sample.int(length(x), 1L) else 1L
  with_column <- function(value) {
    x[[column]] <- value
    x
  }
  rows <- nrow(x)
  fuzz_one(list(
    function() x[0, , drop = FALSE], function() x[1, , drop = FALSE], function() x[-column],
    function() x[0L], function() with_column(I(as.list(seq_len(rows)))),
    function() with_column(NA), function() with_column(rep_len(c(1, NA), rows)),
    function() with_column(rep_len(c(1, Inf), rows)), function() with_column(1e308),
    function() with_column(-1e308), function() with_column("a"), function() with_column(0),
    function() with_column(factor(rep_len("a", rows), c("a", "b"))), function() with_column(1i),
    function() with_column(as.Date("2020-01-01")), function() with_column(seq_len(rows)),
    function() with_column(as.character(x[[column]])), function() with_column(raw(rows)),
    function() with_column(matrix(1, rows, 2)), function() with_column(matrix(1, rows, 0)),
    function() with_column(fuzz_bend(x[[column]])), function() with_column(data.frame(b = x[[1]])),
    function() stats::setNames(x, rep("a", length(x))), function() stats::setNames(x, NULL),
    function() stats::setNames(x, c("\u00fc", rep_len(names(x), length(x) - 1))),
    function() stats::setNames(x, rep(NA, length(x))),
    function() stats::setNames(x, toupper(names(x))),
    function() as.list(x), function() as.matrix(x), function() rbind(x, x),
    function() structure(x, class = c("tbl_df", "tbl", "data.frame")), function() x[rows:1, ],
    function() x[rep(1L, rows), ], function() cbind(x, x), function() list2env(as.list(x))
  ))()
}

fuzz_bend_matrix <- function(x) {
  with_value <- function(value) {
    x[sample.int(max(length(x), 1L), 1L)] <- value
    x
  }
  fuzz_one(list(
    function() x[0, , drop = FALSE], function() x[, 0, drop = FALSE],
    function() x[1, , drop = FALSE], function() x[, 1, drop = FALSE], function() x[, 1],
    function() t(x), function() with_value(NA), function() with_value(Inf),
    function() with_value(1e308), function() with_value("a"), function() with_value(-1),
    function() x * 0, function() x * 1e300, function() x > 0, function() x + 0.5,
    function() array(x, c(dim(x), 1)), function() as.data.frame(x), function() unname(x),
    function() Matrix::Matrix(x), function() cbind(x, x), function() rbind(x, x),
    function() structure(x, dimnames = list(NULL, rep("a", ncol(x)))), function() c(x),
    function() structure(x, class = "strange"), function() x + 0i,
    function() apply(x, 2, as.character), function() x[rep(1, nrow(x)), , drop = FALSE]
  ))()
}

fuzz_bend_vector <- function(x) {
  with_value <- function(value) {
    x[sample.int(length(x), 1L)] <- value
    x
  }
  always <- list(
    function() x[0], function() x[1], function() c(x, x), function() rev(x), function() as.list(x),
    function() with_value(NA), function() as.character(x), function() factor(x),
    function() matrix(x), function() matrix(x, 1), function() array(x, c(1, length(x), 1)),
    function() stats::setNames(x, rep("a", length(x))), function() data.frame(x),
    function() rep(x[1], length(x)), function() structure(x, class = "strange"),
    function() unname(x), function() x[-1], function() x[c(seq_along(x), NA)]
  )
  if (is.character(x)) {
    return(fuzz_one(c(always, list(
      function() with_value(""), function() with_value("\u00fc\u4e2d"), function() toupper(x),
      function() with_value(strrep("ab", 5e4)), function() with_value("\xff"),
      function() paste0(x, " "), function() with_value("a/../b"), function() substr(x, 1, 1)
    )))())
  }
  fuzz_one(c(always, list(
    function() with_value(Inf), function() with_value(NaN), function() with_value(-1),
    function() with_value(0), function() with_value(1e308), function() -x, function() x * 1e300,
    function() x + 0.5, function() x > 0, function() as.integer(pmin(pmax(x, -1e9), 1e9)),
    function() x * 1e-300, function() x + 0i, function() 10 * x,
    function() structure(x, class = "integer64"), function() structure(x, class = "Date")
  )))()
}

fuzz_bend_list <- function(x) {
  if (!length(x)) {
    return(fuzz_draw_odd())
  }
  at <- sample.int(length(x), 1L)
  with_element <- function(value) {
    x[at] <- list(value)
    x
  }
  fuzz_one(list(
    function() x[-at], function() with_element(NULL), function() with_element(fuzz_draw_odd()),
    function() with_element(fuzz_bend(x[[at]])), function() unname(x), function() c(x, x),
    function() c(x, list(strange = 1)), function() unlist(x), function() list(x),
    function() stats::setNames(x, rep("a", length(x)))
  ))()
}

# Bad arguments `odd1`, `odd2` for one call, drawn by R's generator. Returns list(call, values,
# changed): the call with these names in it.
fuzz_mutate <- function(valid, room, methods_only) {
  f <- eval(valid[[1]], room)
  if (is.primitive(f)) {
    arguments <- as.list(valid)[-1L]
    names(arguments) <- rep("", length(arguments))
    formal <- character()
  } else {
    arguments <- as.list(match.call(fuzz_target(f, valid, room), valid, expand.dots = TRUE))[-1L]
    formal <- setdiff(names(formals(fuzz_target(f, valid, room))), "...")
  }
  can <- unique(c(names(arguments)[nzchar(names(arguments))], formal))
  nameless <- which(!nzchar(names(arguments)))
  can <- c(can, sprintf("..%d", nameless))
  # What a method is chosen by stays.
  can <- setdiff(can, if (methods_only) c(names(arguments)[1], "..1"))
  values <- list()
  changed <- character()
  for (i in seq_len(min(length(can), 1L + (stats::runif(1) < 0.3)))) {
    arg <- sample(can, 1L)
    odd <- paste0("odd", i)
    was <- if (grepl("^[.][.]", arg)) nameless[sub("^..", "", arg) == nameless] else arg
    value <- fuzz_new_value(arguments, was, room)
    values[odd] <- list(value)
    arguments[[was]] <- as.name(odd)
    changed <- c(changed, arg)
  }
  list(name = deparse1(valid[[1]]), call = as.call(c(valid[[1]], arguments)), values = values,
    changed = unique(changed))
}

# The method that a generic will call, whose arguments can be given.
fuzz_target <- function(f, valid, room) {
  name <- if (is.name(valid[[1]])) as.character(valid[[1]])
  if (is.null(name) || length(valid) < 2L || !any(all.names(body(f)) == "UseMethod")) {
    return(f)
  }
  object <- eval(valid[[2]], room)
  classes <- c(class(object), if (is.function(object)) "function", "default")
  for (class in classes) {
    method <- utils::getS3method(name, class, optional = TRUE, envir = asNamespace("mrlearn"))
    if (!is.null(method)) {
      return(method)
    }
  }
  f
}

fuzz_new_value <- function(arguments, arg, room) {
  given <- is.numeric(arg) || arg %in% names(arguments)
  if (!given || stats::runif(1) < 0.4) {
    return(fuzz_draw_odd())
  }
  valid <- tryCatch(eval(arguments[[arg]], room), error = function(e) NULL)
  fuzz_bend(valid)
}

# Case number `case` (the seed of all that is drawn): the outcome as a list with `name`, `changed`,
# `kind` ("value", "refused", "warning", "error", "slow"), `class`, `text`, `where` (our innermost
# function) and `seconds`. `before(name)` is told what comes, for the case that it does not return.
fuzz_case <- function(case, table, room, before = NULL, limit = 10) {
  set.seed(case)
  name <- fuzz_one(names(table))
  valid <- table[[name]]
  suppressWarnings(suppressMessages(
    lapply(intersect(all.names(valid), names(fuzz_objects)), get, envir = room)
  ))
  set.seed(case) # objects that were made just now may have drawn
  trial <- tryCatch(fuzz_mutate(valid, room, !name %in% names(fuzz_calls)), error = function(e) {
    list(call = valid, values = list(), changed = paste("mutation:", conditionMessage(e)))
  })
  if (!is.null(before)) before(name)
  outcome <- fuzz_try(trial, room, limit)
  c(list(case = case, name = name, changed = paste(trial$changed, collapse = "+")), outcome)
}

fuzz_try <- function(trial, room, limit) {
  scope <- list2env(trial$values, parent = room)
  told <- list(error = NULL, warning = NULL)
  tell <- function(c) {
    kind <- if (inherits(c, "error")) "error" else "warning"
    ours <- inherits(c, paste0("mrlearn_", kind)) && !inherits(c, "mrlearn_error_internal")
    if (kind == "error" || !ours) {
      told[[kind]] <<- list(class = class(c)[1], text = conditionMessage(c)[1], ours = ours,
        where = if (ours) "" else fuzz_where(sys.calls()),
        given = !ours && fuzz_in_given(lapply(seq_len(sys.nframe()), sys.function), room))
    }
    if (kind == "warning") invokeRestart("muffleWarning")
  }
  # Time of the processor, since other programs may have it too.
  started <- sum(proc.time()[1:2])
  setTimeLimit(cpu = limit, elapsed = 20 * limit, transient = TRUE)
  on.exit(setTimeLimit())
  failed <- tryCatch(
    {
      # Prints what comes, so that the print methods are called too.
      withCallingHandlers(utils::capture.output(eval(trial$call, scope)),
        error = tell, warning = tell, message = function(m) invokeRestart("muffleMessage")
      )
      FALSE
    },
    error = function(e) TRUE
  )
  setTimeLimit()
  seconds <- sum(proc.time()[1:2]) - started
  told <- if (failed) told$error else told$warning
  kind <- fuzz_kind(failed, told, seconds, limit, trial)
  list(kind = kind, class = told$class, text = told$text, where = told$where, seconds = seconds)
}

fuzz_kind <- function(failed, told, seconds, limit, trial) {
  if (failed && grepl("reached (elapsed|CPU) time limit", told$text)) {
    # A size that is valid and large is work that was asked for; that it could be stopped is enough.
    large <- vapply(trial$values, function(v) any(fuzz_sizes(v) > 999), NA)
    return(if (any(large) && seconds < limit + 2) "refused" else "slow")
  }
  if (failed) {
    # Selecting from a data.frame and naming its rows is left to R.
    # So are sums of what has two classes with sums of their own.
    by_r <- any(c("[", "as.data.frame") %in% trial$name) ||
      "+" %in% trial$name && told$where == ""
    pass <- told$ours || told$given || by_r || fuzz_let_pass(told, trial)
    return(if (pass) "refused" else "error")
  }
  # Of what the caller's formula computes R may warn, and of integer64 its package.
  by_r <- !is.null(told) && (told$where == "model_variables" ||
    grepl("^integer precision lost", told$text))
  if (is.null(told) || by_r) "value" else "warning"
}

fuzz_sizes <- function(v) {
  c(length(v), if (is.numeric(v)) abs(as.double(v[!is.na(v)])))
}

# Errors that R makes before our code runs, or in a function that the caller gave.
fuzz_let_pass <- function(told, trial) {
  text <- told$text
  gave_function <- any(vapply(trial$values, function(v) {
    is.function(v) || is.list(v) && any(vapply(v, is.function, NA))
  }, NA))
  grepl("^(argument .* is missing, with no default|cannot allocate )", text) ||
    grepl("^no applicable method for '(augment|evaluate|fit|glance|tidy)'", text) ||
    "map_shards" %in% trial$name && (gave_function || told$where == "lapply_here") ||
    gave_function && grepl("unused argument", text)
}

# Is one of the functions under way the caller's: made in the room, or an odd one?
fuzz_in_given <- function(functions, room) {
  from <- function(env) {
    while (!identical(env, emptyenv()) && !isNamespace(env)) {
      if (identical(env, room) || identical(env, fuzz_land)) {
        return(TRUE)
      }
      env <- parent.env(env)
    }
    FALSE
  }
  any(vapply(functions, function(f) !is.primitive(f) && from(environment(f)), NA))
}

# The innermost of our functions among the calls.
fuzz_where <- function(calls) {
  names <- vapply(calls, function(call) {
    if (is.name(call[[1]])) as.character(call[[1]]) else ""
  }, "")
  ours <- names[names %in% ls(asNamespace("mrlearn"), all.names = TRUE)]
  if (length(ours)) ours[length(ours)] else ""
}
