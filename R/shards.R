#' Work through shards
#'
#' Calls a function once for each shard (chromosomes, files, sites, blocks of sequences) and
#' combines what it returns: on the workers of the plan that the package future was given
#' (`future::plan("multisession")`, a cluster, Slurm by future.batchtools), else one after the
#' other. The order of the results is that of the shards whatever runs where, so sums are the same
#' to the last bit. Nothing is assumed of the shards; that nobody is in two of them, say, is for the
#' caller to know.
#'
#' Workers use one thread each. A shard whose worker dies is done once more. What the function draws
#' at random should be keyed by its shard, by `seed = shard` for example, not come from R's
#' generator.
#'
#' @param shards A vector or list.
#' @param f A function of one shard, and of `...`. It is sent to the workers with what it encloses;
#'   files should be named in full.
#' @param ... Further arguments of `f`.
#' @param combine NULL, or a function of two results, `"+"` for [iv_crossprod()].
#' @param workers As in [iv_quantile()].
#' @param progress Show a progress bar (never inside knitr)?
#' @return The results in a list, named as the shards are, or what `combine` made of them. Errors of
#'   `f` are raised as they are; `mrlearn_error_worker` if two workers died at the same shard.
#' @seealso [mutagenize()] with `dir`, [run_sweep()], [seq_ensemble()] and the bootstraps, which use
#'   the same engine by themselves.
#' @examples
#' # Statistics of two sites, added up
#' set.seed(1)
#' g <- matrix(rbinom(4000, 2, 0.4), 400)
#' file <- write_bed(g, tempfile())
#' data <- data.frame(x = rowSums(g) + rnorm(400), iid = bed(file)$samples$iid)
#' data$y <- data$x / 2 + rnorm(400)
#' total <- map_shards(list(1:150, 151:400), function(rows) {
#'   genotypes <- bed(file)
#'   iv_crossprod(y ~ x | genotypes, data[rows, ], id = "iid")
#' }, combine = "+")
#' iv_2sls(total)
#' @export
map_shards <- function(shards, f, ..., combine = NULL, workers = c("auto", "threads", "future"),
                       progress = interactive()) {
  if (!(is.atomic(shards) || is.list(shards)) || !is.vector(shards) || !length(shards)) {
    stop_argument("shards", "must be a vector or list with at least one shard", describe(shards))
  }
  if (!is.function(f)) {
    stop_argument("f", "must be a function of a shard", describe(f))
  }
  if (is.character(combine) && length(combine) == 1L) {
    found <- if (nzchar(combine)) get0(combine, parent.frame(), mode = "function")
    combine <- if (is.null(found)) combine else found
  }
  if (!is.null(combine) && !is.function(combine)) {
    stop_argument("combine", "must be NULL, or a function or the name of one", describe(combine))
  }
  workers <- check_workers(if (missing(workers)) "auto" else workers)
  teller <- count_teller(progress, length(shards), 0L, "Shards")
  on.exit(teller$close())
  out <- lapply_jobs(shards, f, ..., workers = workers, told = teller$tell,
    doing = "working through shards")
  if (is.null(combine)) out else Reduce(combine, unname(out))
}
