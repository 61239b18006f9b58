# Where the density of a weighted sample is largest. exact = FALSE: the first largest of the 512
# points that stats::density(x, weights = weights, bw = bw) has in R up to 4.3 (old.coords = TRUE in
# later ones), which is what the published mode-based estimates use. exact = TRUE: the maximum of
# the sum of normal densities itself.
density_mode <- function(x, weights, bw, exact = FALSE) {
  settings <- list(bw = check_number(bw, min = 0, open = TRUE), exact = check_flag(exact))
  .Call(C_density_mode, check_doubles(x), check_doubles(weights, n = length(x)), settings)
}
