library(testthat)
library(mrlearn)

test_check("mrlearn")
