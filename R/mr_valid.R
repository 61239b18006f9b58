# What robust methods find out about single variants.

valid_methods <- c(
  "mr_conmix", "mr_cML_BIC", "mr_cML_MA_BIC", "mr_cML_BIC_DP", "mr_cML", "mr_lasso"
)

#' Variants that robust methods take for valid instruments
#'
#' Beside an estimate, the contamination mixture, MR-cML and MR-LASSO sort the variants into valid
#' and invalid ones.
#'
#' @inheritParams mr_leave_one_out
#' @param methods Names or labels of [mr_methods()]: contamination mixture, MR-cML (all four; the
#'   variants are those of the number of invalid ones that BIC picks), MR-LASSO.
#' @param per `"snp"` or `"pair"`.
#' @param ... Settings of the methods by name, as in [mr_estimate()]: `control`, `seed`, ...
#' @return By variant a data.frame with the pair's columns `id.exposure, id.outcome, outcome,
#'   exposure`, `method`, `SNP`, `valid` and `direct` (the direct effect on the outcome that the
#'   method leaves an invalid variant, alleles as in `dat`; with MR-LASSO it is shrunken).
#'
#'   By pair the pair's columns, `method`, `nsnp`, `nsnp_valid` and, `NA` where a method does not
#'   have it, `psi` (contamination mixture: standard deviation of invalid ratios), `n_intervals`
#'   (pieces of its confidence set), `lambda` (MR-LASSO), `GOF1_p`, `GOF2_p` (MR-cML with perturbed
#'   data: are the estimates as variable as the model says? Small: the number of invalid variants is
#'   uncertain, and the perturbed form to be preferred).
#' @references See [mr_methods()].
#' @examples
#' ldl <- subset(lipid_chd, exposure == "LDL")
#' head(mr_valid(ldl, "mr_conmix"))
#' mr_valid(ldl, per = "pair", control = mr_control(n = 17723))
#' @export
mr_valid <- function(dat, methods = c("mr_conmix", "mr_cML_BIC", "mr_lasso"),
                     per = c("snp", "pair"), ...) {
  per <- check_choice(per, c("snp", "pair"))
  plan <- mr_plan(methods, "methods", ...)
  without <- setdiff(plan$methods$name, valid_methods)
  if (length(without)) {
    stop_argument("methods", paste0("must sort variants, as ",
      paste0("\"", valid_methods, "\"", collapse = ", ")), paste0("\"", without[1], "\""))
  }
  frame <- mr_frame(dat, "SNP")
  settings <- add_sample_size(plan$settings, dat, frame)
  parts <- lapply(seq_len(nrow(plan$methods)), function(m) {
    settings$methods <- plan$settings$methods[m]
    out <- .Call(C_mr_detail, frame$effects, frame$start, settings)
    check_status(out$status, "sorting the variants")
    by <- if (per == "snp") valid_by_snp else valid_by_pair
    by(out$value, plan$methods[m, ], frame, dat)
  })
  out <- do.call(rbind, parts)
  pair <- match(paste(out$id.exposure, out$id.outcome, sep = "\r"),
    paste(frame$pairs$id.exposure, frame$pairs$id.outcome, sep = "\r"))
  out <- out[order(pair), ]
  rownames(out) <- NULL
  out
}

valid_by_snp <- function(value, method, frame, dat) {
  pair <- rep(seq_len(nrow(frame$pairs)), diff(frame$start))
  data.frame(
    lapply(frame$pairs, `[`, pair), method = rep(method$label, length(pair)),
    SNP = as.character(dat[["SNP"]])[frame$row], valid = as.logical(value$valid),
    direct = value$direct
  )
}

valid_by_pair <- function(value, method, frame, dat) {
  k <- nrow(frame$pairs)
  n <- diff(frame$start)
  pair <- rep(seq_len(k), n)
  only <- function(name, x) if (method$name == name) x else rep(NA_real_, k)
  found <- as.integer(sum_by(as.double(value$valid), pair, k))
  pieces <- value$n_intervals
  data.frame(
    frame$pairs, method = rep(method$label, k), nsnp = n,
    nsnp_valid = replace(found, n == 0L, NA_integer_), psi = only("mr_conmix", value$tuning),
    n_intervals = replace(pieces, pieces == 0L, NA_integer_),
    lambda = only("mr_lasso", value$tuning), GOF1_p = value$gof1, GOF2_p = value$gof2
  )
}
