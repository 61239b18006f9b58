# Outputs of kernlab (MMD), dHSIC (HSIC) and FNN (entropy), recorded for the tests. Run at the root
# of the package; the three (CRAN) are looked for in R_LIBS. The samples are made by the same
# formula in tests/testthat/helper-kernel.R, from which they are read here.

stopifnot(file.exists("DESCRIPTION"))
source(file.path("tests", "testthat", "helper-kernel.R"))
samples <- kernel_samples()

# kmmd() gives the root of the biased statistic; the unbiased one is put together of its matrices.
biased <- function(x, y, kernel) {
  kernlab::mmdstats(kernlab::kmmd(x, y, kernel = kernel))[1]^2
}
unbiased <- function(x, y, kernel) {
  within <- function(k) (sum(k) - sum(diag(k))) / (nrow(k) * (nrow(k) - 1))
  within(kernlab::kernelMatrix(kernel, x)) + within(kernlab::kernelMatrix(kernel, y)) -
    2 * mean(kernlab::kernelMatrix(kernel, x, y))
}
poly_kernel <- function(x, y) (sum(x * y) + 1)^2

rows <- lapply(names(samples), function(name) {
  s <- samples[[name]]
  h <- kernel_bandwidths
  paired <- s$y[rep_len(seq_len(nrow(s$y)), nrow(s$x)), , drop = FALSE]
  gaussian <- kernlab::rbfdot(sigma = 1 / (2 * h[1]^2))
  value <- c(
    mmd_poly = biased(s$x, s$y, kernlab::polydot(degree = 2, scale = 1, offset = 1)),
    mmd_gaussian = unbiased(s$x, s$y, gaussian),
    hsic_gaussian = dHSIC::dhsic(s$x, paired, kernel = "gaussian.fixed", bandwidth = h)$dHSIC,
    hsic_poly = dHSIC::dhsic(s$x, paired, kernel = "poly_kernel")$dHSIC,
    entropy_1 = FNN::entropy(s$x, 1)[1],
    entropy_5 = FNN::entropy(s$x, 5)[5]
  )
  data.frame(sample = name, quantity = names(value), value = sprintf("%.17g", value))
})
versions <- vapply(c("kernlab", "dHSIC", "FNN"), function(p) {
  paste(p, utils::packageVersion(p))
}, "")
out <- do.call(rbind, rows)
out$versions <- c(paste(versions, collapse = ", "), rep("", nrow(out) - 1))
utils::write.csv(out, file.path("tests", "testthat", "fixtures", "kernel_recorded.csv"),
  row.names = FALSE)
