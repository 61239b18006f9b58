# dev/calls.R is what runs under valgrind and gctorture: it must know every entry of the package.

test_that("every registered entry has a call that reaches it", {
  path <- test_path("..", "..", "dev", "calls.R")
  skip_if_not(file.exists(path), "dev/ not there")
  scripts <- new.env(parent = globalenv())
  scripts$calls_only <- TRUE
  sys.source(path, scripts)
  registered <- names(getDLLRegisteredRoutines("mrlearn")$.Call)
  expect_setequal(names(scripts$calls), registered)
  # copies of the package's functions that see a .Call which writes down what was called
  reached <- character()
  house <- new.env(parent = asNamespace("mrlearn"))
  for (name in ls(asNamespace("mrlearn"), all.names = TRUE)) {
    value <- get(name, asNamespace("mrlearn"))
    if (is.function(value) && identical(environment(value), asNamespace("mrlearn"))) {
      environment(value) <- house
      assign(name, value, house)
    }
  }
  assign(".Call", function(entry, ...) {
    reached <<- c(reached, entry$name)
    base::.Call(entry, ...)
  }, house)
  toys <- mget(ls(scripts, pattern = "^toy"), scripts)
  for (entry in names(scripts$calls)) {
    reached <- character()
    eval(scripts$calls[[entry]], toys, house)
    expect_true(entry %in% reached, label = paste("the call of", entry, "reaches it"))
  }
})
