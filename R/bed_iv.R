# Genotypes in PLINK files as the instruments of an iv_*() estimator: found in the formula, joined
# to the people of a phenotype table, streamed or decoded.

# The instruments of a formula that are bed() objects, by their names; NULL if none is. spec: as
# parse_iv_formula() makes it.
bed_variables <- function(spec, data, env) {
  labels <- spec$roles$instruments
  values <- lapply(labels, function(label) {
    symbol <- str2lang(label)
    if (is.name(symbol) && !as.character(symbol) %in% names(data)) {
      get0(as.character(symbol), env)
    }
  })
  is_bed <- vapply(values, inherits, NA, "mrl_bed")
  if (!any(is_bed)) {
    return(NULL)
  }
  if (!all(is_bed)) {
    stop_mrl("formula", "Instruments that are genotypes opened by bed() cannot stand beside ",
      "others: ", shorten(labels[!is_bed]), ".")
  }
  stats::setNames(values, labels)
}

# The same formula without its instruments, which are no variables of the data.
without_instruments <- function(spec, formula) {
  spec$full <- spec$formula
  spec$formula <- Formula::as.Formula(stats::reformulate(spec$regressors, formula[[2]],
    intercept = spec$intercept, env = environment(formula)))
  spec$roles$instruments <- character()
  spec
}

check_bed_constant <- function(intercept) {
  if (!intercept) {
    stop_mrl("formula", "Genotypes opened by bed() need a constant in `formula`.")
  }
}

# Where each row of a model frame stands among the people of the genotypes (NA: nowhere). n: rows of
# the data before `subset`; rows: those of the model frame among them.
join_people <- function(call, env, beds, n, rows) {
  people <- check_same_people(beds)
  id <- row_ids(call, env, n)
  if (is.null(id)) {
    if (n != nrow(people)) {
      stop_argument("id", paste("must name the column with the people's IDs, as data and",
        "genotypes do not have the same number of rows"),
        paste("NULL,", n, "rows and", nrow(people), "people"))
    }
    return(rows)
  }
  id <- as.character(id)[rows]
  twice <- id[duplicated(id) & !is.na(id)]
  if (length(twice)) {
    stop_mrl("data", "`id` has the same person twice: ", shorten(unique(twice)), ".")
  }
  at <- match(id, paste(people$fid, people$iid, sep = "_"))
  by_iid <- !anyDuplicated(people$iid)
  if (by_iid) {
    at <- ifelse(is.na(at), match(id, people$iid), at)
  }
  matched <- sum(!is.na(at))
  if (matched == 0L) {
    stop_argument("id", paste("must be", if (by_iid) "individual IDs (iid) or", "fid_iid of the",
      "genotypes, as", paste0("\"", people$iid[1], "\"")), describe(id[1]), what = "data")
  }
  inform_mrl("joined", format_count(matched), " of ", format_count(length(id)),
    " rows have genotypes; ", format_count(nrow(people) - matched), " of ",
    format_count(nrow(people)), " people with genotypes have no row.")
  at
}

# All genotypes of a call must be of the same people in the same order.
check_same_people <- function(beds) {
  first <- beds[[1]]
  for (other in beds[-1]) {
    same <- identical(first$samples[c("fid", "iid")], other$samples[c("fid", "iid")]) &&
      first$n_file == other$n_file && identical(first$rows, other$rows)
    if (!same) {
      stop_mrl("data", "The genotypes in '", first$path, "' and '", other$path,
        "' are not of the same people in the same order.")
    }
  }
  first$samples
}

# The IDs of all rows: a column of the data, or a vector; NULL: none.
row_ids <- function(call, env, n) {
  id <- eval(call$id, env)
  if (is.null(id)) {
    return(NULL)
  }
  data <- eval(call$data, env)
  if (is.character(id) && length(id) == 1L && n != 1L) {
    if (!id %in% names(data)) {
      stop_argument("id", "must name a column of `data`", describe(id))
    }
    id <- data[[id]]
  }
  if (length(id) != n) {
    stop_argument("id", paste("must have one value for each of the", n, "rows"),
      paste("length", length(id)))
  }
  id
}

# The frame with its genotypes: people in the frame's order; streamed, or decoded into z.
with_genotypes <- function(frame, beds, stream, na_genotype, spec) {
  check_bed_constant(frame$intercept)
  beds <- lapply(beds, function(bed) bed[frame$position, ])
  stats <- lapply(beds, bed_stats)
  check_genotypes(stats, na_genotype)
  frame$z_names <- make.unique(unlist(lapply(beds, function(bed) dimnames(bed)[[2]]),
    use.names = FALSE))
  gaps <- unlist(lapply(stats, function(s) s$n_missing), use.names = FALSE)
  frame$imputed <- data.frame(instrument = frame$z_names[gaps > 0], n_missing = gaps[gaps > 0])
  tell_imputed(frame$imputed)
  if (!is.null(spec$full)) {
    frame$formula <- with_environment(stats::formula(spec$full), environment(frame$formula))
  }
  if (stream) {
    frame$beds <- beds
    frame$bed_stats <- stats
  } else {
    frame$z <- lapply(unname(beds), as.matrix, impute = TRUE)
    frame$is_decoded <- TRUE
  }
  frame
}

check_genotypes <- function(stats, na_genotype) {
  for (s in stats) {
    empty <- s$call_rate == 0
    if (any(empty)) {
      stop_mrl("data", "Instrument `", s$snp[empty][1], "` has no value left: everyone's genotype ",
        "is missing", if (sum(empty) > 1L) c(" (and in ", sum(empty) - 1L, " more)"),
        "; bed_filter() removes such variants.")
    }
    if (na_genotype != "impute" && any(s$n_missing > 0)) {
      stop_mrl("data", "Genotypes are missing in `", s$snp[s$n_missing > 0][1],
        "` and na_genotype = \"", na_genotype, "\"; those opened by bed() can only be imputed.")
    }
  }
}

# What the core reads in the order of the file: the columns, the genotypes, and `back`, which puts
# rows into the frame's order again.
file_order <- function(frame) {
  rows <- frame$beds[[1]]$rows
  n <- length(frame$y)
  order <- if (is.unsorted(rows)) order(rows) else seq_len(n)
  pick <- function(v) if (is.null(dim(v))) v[order] else v[order, , drop = FALSE]
  list(
    y = pick(frame$y), x = pick(frame$x), w = pick(frame$w), weights = pick(frame$weights),
    cluster = pick(frame$cluster), order = order,
    beds = lapply(frame$beds, function(bed) {
      bed$rows <- bed$rows[order]
      if (identical(bed$rows, seq_len(bed$n_file))) {
        bed$rows <- NULL
      }
      bed
    }),
    stats = frame$bed_stats
  )
}

# Genotypes as the core streams them: what missing ones are imputed to stands beside each source.
stream_list <- function(problem, keep = NULL) {
  fill <- lapply(problem$stats, function(s) 2 * s$freq)
  beds <- problem$beds
  if (!is.null(keep)) {
    of <- rep(seq_along(beds), vapply(beds, ncol, 1L))
    keep <- lapply(split(keep, factor(of, seq_along(beds))), which)
    fill <- Map(function(f, k) f[k], fill, keep)
    beds <- Map(function(bed, k) bed[, k], beds, keep)
    some <- lengths(keep) > 0L
    beds <- beds[some]
    fill <- fill[some]
  }
  list(sources = unname(lapply(beds, bed_source)), fill = unname(fill))
}

# Rows of the genotypes times coefficients (m), in the frame's order.
multiply_genotypes <- function(problem, coef, n_threads) {
  keep <- coef != 0
  n <- length(problem$y)
  settings <- list(n = n, n_threads = n_threads, isa = isa_setting())
  out <- .Call(C_bed_multiply, stream_list(problem, keep), as.matrix(coef[keep]), settings)
  check_status(out$status, "multiplying genotypes")
  restored <- numeric(n)
  restored[problem$order] <- out$value
  restored
}

# The crossproducts by fold (all rows where there are none) that lasso_fit() takes: means, and those
# of [1, w, z, x] less the means; `crossprod`: the statistics of all rows.
fold_moments <- function(frame, foldid, n_threads) {
  problem <- file_order(frame)
  shards <- if (is.null(foldid)) {
    list(crossprod_of(frame, problem, n_threads))
  } else {
    fold <- foldid[problem$order]
    lapply(seq_len(max(fold)), function(k) {
      crossprod_of(frame, problem, n_threads, rows = which(fold == k))
    })
  }
  total <- Reduce(add_people, shards)
  all <- crossprod_moments(total)
  p <- length(all$mean) # with the constant, without the outcome
  gram <- vapply(shards, function(shard) {
    own <- crossprod_moments(shard, crossprod_fill(total))
    off <- (own$mean - all$mean)[-p]
    inner <- own$gram[-p, -p] + own$total * tcrossprod(off)
    rbind(own$total * c(1, off), cbind(own$total * off, inner))
  }, matrix(0, p, p))
  list(mean = all$mean[-p], gram = gram, l = all$l, crossprod = total)
}
