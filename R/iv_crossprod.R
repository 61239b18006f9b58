# Sufficient statistics of a linear instrumental-variable problem with genotypes, which add up.

#' Sufficient statistics of shards
#'
#' Two-stage least squares without bringing the people together: `iv_crossprod()` reduces a shard to
#' sums over its people, `+` adds them, and [iv_2sls()] (or [iv_liml()]) estimates from the total
#' exactly what it would from all people at once. The assumptions are those of [iv_2sls()].
#'
#' A shard is either
#' * some of the people, with all instruments: add the shards' statistics. Each site needs only its
#'   own people. Means (of missing genotypes too, which are imputed to the mean of *all* people) are
#'   only taken of the total; or
#' * some of the instruments, a chromosome say, of all people: besides one call for each chromosome,
#'   the products between two chromosomes are needed, which cannot be had from either alone:
#'   `iv_crossprod(y ~ x | chr1, data, id = "iid", with = chr2)` for each pair reads both files.
#'
#' Both can be combined, people outermost. Memory is O(L^2) for L instruments (four times that where
#' genotypes are missing), besides blocks of the file.
#'
#' The total gives estimates, standard errors for errors of equal variance and all their
#' diagnostics. Robust or clustered standard errors need residuals, hence a second pass over
#' everybody, and are refused: they need [iv_2sls()] on the files themselves. Nearly collinear
#' instruments (less than 1e-4 of the variance left over by the others) cost digits, as the second,
#' orthogonalising pass of [iv_2sls()] is not possible either. People in two shards are counted
#' twice: nobody notices.
#'
#' @param formula As [iv_2sls()]; the instruments are genotypes opened by [bed()].
#' @inheritParams iv_2sls
#' @param with NULL, or genotypes of the same people opened by [bed()]: then only the products
#'   between these and the formula's instruments are taken.
#' @return A list of class `iv_crossprod`: `nobs`, `total` (sum of weights), `mean` and `qq` (means
#'   and centred crossproducts of covariates, exposures and outcome), `parts` (for each set of
#'   instruments its sums alone and with these columns) and `blocks` (sums of products between two
#'   sets); besides names and the formula. Genotypes cannot be told from it where it sums many
#'   people.
#'
#'   `+` raises an error of class `mrlearn_error_argument` if the two are of different variables,
#'   instruments or alleles, or if the same statistics would be added twice.
#' @examples
#' set.seed(1)
#' g <- matrix(rbinom(4000, 2, 0.4), 400)
#' genotypes <- bed(write_bed(g, tempfile()))
#' data <- data.frame(x = rowSums(g) + rnorm(400), iid = genotypes$samples$iid)
#' data$y <- data$x / 2 + rnorm(400)
#' first <- iv_crossprod(y ~ x | genotypes, data[1:150, ], id = "iid")
#' second <- iv_crossprod(y ~ x | genotypes, data[151:400, ], id = "iid")
#' iv_2sls(first + second)
#' @export
iv_crossprod <- function(formula = NULL, data = NULL, subset = NULL, weights = NULL,
                         na.action = NULL, y = NULL, x = NULL, z = NULL, w = NULL, id = NULL,
                         with = NULL, n_threads = mrl_threads()) {
  call <- match.call()
  n_threads <- check_threads(n_threads)
  frame <- iv_frame(call, parent.frame(), list(y = y, x = x, z = z, w = w), "required",
    stream = TRUE
  )
  if (is.null(frame$beds)) {
    stop_argument("formula", "must have genotypes opened by bed() as instruments",
      shorten(frame$z_names))
  }
  other <- if (!is.null(with)) beside_genotypes(check_bed(with, "with"), frame)
  crossprod_of(frame, file_order(frame), n_threads, other)
}

# The genotypes of `with`, joined as those of the frame were.
beside_genotypes <- function(with, frame) {
  mine <- frame$beds[[1]]
  at <- match(paste(mine$samples$fid, mine$samples$iid),
    paste(with$samples$fid, with$samples$iid))
  if (anyNA(at)) {
    stop_argument("with", "must have the people of the other genotypes",
      paste("none called", mine$samples$iid[is.na(at)][1]))
  }
  with <- with[at, ]
  if (!identical(with$rows, mine$rows) || with$n_file != mine$n_file) {
    stop_argument("with", "must be of the same people in the same order as the other genotypes",
      "another .fam")
  }
  out <- list(bed = with, stats = bed_stats(with))
  check_genotypes(list(out$stats), "impute")
  out
}

# rows: those of the problem (in the file's order) to sum over; NULL: all.
crossprod_of <- function(frame, problem, n_threads, with = NULL, rows = NULL) {
  pick <- function(v) {
    if (is.null(rows) || is.null(v)) {
      return(v)
    }
    if (is.null(dim(v))) v[rows] else v[rows, , drop = FALSE]
  }
  weights <- pick(problem$weights)
  q <- cbind(pick(problem$w), pick(problem$x), pick(problem$y))
  total <- if (is.null(weights)) as.double(nrow(q)) else sum(weights)
  mean <- if (is.null(weights)) colMeans(q) else colSums(q * weights) / total
  q <- sweep(q, 2L, mean)
  stats <- problem$stats
  beds <- lapply(problem$beds, select_people, rows)
  if (!is.null(rows)) {
    stats <- lapply(beds, bed_stats)
  }
  keys <- vapply(beds, bed_key, "")
  sums <- function(a, b = NULL, q = NULL, missing = TRUE) {
    settings <- list(missing = missing, n_threads = n_threads, isa = isa_setting())
    out <- .Call(C_bed_sums, bed_source(a), if (!is.null(b)) bed_source(b), q, weights, settings)
    check_status(out$status, "summing over genotypes")
    out$value
  }
  gaps <- vapply(stats, function(s) any(s$n_missing > 0), NA)
  out <- list(
    nobs = nrow(q), total = total, mean = mean,
    qq = crossprod(q, if (is.null(weights)) q else q * weights), parts = list(), blocks = list(),
    roles = list(w = colnames(frame$w), x = colnames(frame$x), outcome = frame$outcome),
    coef_names = frame$coef_names, design = frame$design, formula = frame$formula,
    weighted = !is.null(weights)
  )
  if (!is.null(with)) {
    other <- with$bed
    other$rows <- beds[[1]]$rows
    for (i in seq_along(beds)) {
      value <- sums(beds[[i]], other, missing = gaps[i] || any(with$stats$n_missing > 0))
      out$blocks[[length(out$blocks) + 1L]] <- list(a = keys[[i]], b = bed_key(other), sums = value)
    }
    return(structure(out, class = "iv_crossprod"))
  }
  for (i in seq_along(beds)) {
    for (j in seq_len(length(beds) - i + 1L) + i - 1L) {
      value <- if (i == j) {
        sums(beds[[i]], q = cbind(1, q), missing = gaps[i])
      } else {
        sums(beds[[i]], beds[[j]], missing = gaps[i] || gaps[j])
      }
      if (i == j) {
        out$parts[[keys[i]]] <- c(variants_of(beds[[i]], stats[[i]]), value[c("hq", "mq")])
      }
      pairs <- value[c("hh", "hm", "mh", "mm")]
      out$blocks[[length(out$blocks) + 1L]] <- list(a = keys[[i]], b = keys[[j]], sums = pairs)
    }
  }
  structure(out, class = "iv_crossprod")
}

select_people <- function(bed, rows) {
  if (!is.null(rows)) {
    bed$rows <- (if (is.null(bed$rows)) seq_len(bed$n_file) else bed$rows)[rows]
    bed$samples <- bed$samples[rows, , drop = FALSE]
  }
  bed
}

# Names, alleles, and how many genotypes are known, with their sum of (count - 1).
variants_of <- function(bed, stats) {
  list(
    names = dimnames(bed)[[2]], a1 = bed$variants$a1, a2 = bed$variants$a2,
    known = nrow(bed) - stats$n_missing, sum = stats$hom_a1 - stats$hom_a2
  )
}

# A set of variants by its ends and size.
bed_key <- function(bed) {
  v <- bed$variants
  ends <- paste(v$chr, v$snp, format(v$pos, scientific = FALSE, trim = TRUE), sep = ":")
  paste0(ends[1], "..", ends[length(ends)], " (", length(ends), ")")
}

#' @export
Ops.iv_crossprod <- function(e1, e2) {
  if (.Generic != "+" || missing(e2) || !inherits(e1, "iv_crossprod") ||
    !inherits(e2, "iv_crossprod")) {
    stop_mrl("argument", "Statistics of shards can only be added, to one another.")
  }
  same <- identical(e1$roles, e2$roles) && identical(e1$weighted, e2$weighted)
  if (!same) {
    stop_mrl("argument", "The shards are of different variables: ",
      shorten(unlist(e1$roles), 9L), " and ", shorten(unlist(e2$roles), 9L),
      if (e1$weighted != e2$weighted) "; one is weighted", ".")
  }
  if (are_same_people(e1, e2)) add_instruments(e1, e2) else add_people(e1, e2)
}

# The same people have the same moments of everything but the instruments.
are_same_people <- function(e1, e2) {
  e1$nobs == e2$nobs && isTRUE(all.equal(e1$mean, e2$mean, tolerance = 1e-10)) &&
    isTRUE(all.equal(e1$qq, e2$qq, tolerance = 1e-10))
}

block_keys <- function(e) {
  vapply(e$blocks, function(block) paste(sort(c(block$a, block$b)), collapse = " | "), "")
}

add_instruments <- function(e1, e2) {
  twice <- intersect(block_keys(e1), block_keys(e2))
  if (length(twice)) {
    stop_mrl("argument", "The shards are of the same people, and both have the products of ",
      twice[1], ".")
  }
  e1$parts <- c(e1$parts, e2$parts)
  e1$blocks <- c(e1$blocks, e2$blocks)
  e1
}

add_people <- function(e1, e2) {
  at <- match(block_keys(e1), block_keys(e2))
  same <- length(e1$blocks) == length(e2$blocks) && !anyNA(at) &&
    setequal(names(e1$parts), names(e2$parts))
  for (key in if (same) names(e1$parts)) {
    shown <- c("names", "a1", "a2")
    same <- same && identical(e1$parts[[key]][shown], e2$parts[[key]][shown])
  }
  if (!same) {
    stop_mrl("argument", "The shards have different people and different instruments or alleles; ",
      "shards of people need the same instruments, in the same order.")
  }
  total <- e1$total + e2$total
  apart <- e2$mean - e1$mean
  mean <- e1$mean + apart * (e2$total / total)
  e1$blocks <- Map(function(a, b) {
    turned <- !identical(a$a, b$a)
    other <- if (turned) turn_block(b$sums) else b$sums
    a$sums <- add_sums(a$sums, other)
    a
  }, e1$blocks, e2$blocks[at])
  for (key in names(e1$parts)) {
    a <- e1$parts[[key]]
    b <- e2$parts[[key]]
    for (item in c("hq", "mq")) {
      a[[item]] <- move_origin(a[[item]], e1$mean - mean) + move_origin(b[[item]], e2$mean - mean)
    }
    a$known <- a$known + b$known
    a$sum <- a$sum + b$sum
    e1$parts[[key]] <- a
  }
  e1$qq <- e1$qq + e2$qq + tcrossprod(apart) * (e1$total / total * e2$total)
  e1$mean <- mean
  e1$total <- total
  e1$nobs <- e1$nobs + e2$nobs
  e1
}

# Sums with columns (1, q - old origin) as those with (1, q - new origin); by = old - new.
move_origin <- function(sums, by) {
  sums[, -1L] <- sums[, -1L] + tcrossprod(sums[, 1L], by)
  sums
}

turn_block <- function(sums) {
  flip <- function(m) if (is.null(m)) NULL else t(m)
  list(hh = flip(sums$hh), hm = flip(sums$mh), mh = flip(sums$hm), mm = flip(sums$mm))
}

# NULL counts as zeros.
add_sums <- function(a, b) {
  lapply(c(hh = "hh", hm = "hm", mh = "mh", mm = "mm"), function(item) {
    given <- list(a[[item]], b[[item]])
    given <- given[!vapply(given, is.null, NA)]
    if (length(given)) Reduce(`+`, given)
  })
}

#' @export
print.iv_crossprod <- function(x, ...) {
  check_no_dots(...)
  cat("Crossproducts of ", format_count(x$nobs), " people: ",
    paste(x$roles$x, collapse = ", "), " -> ", x$roles$outcome, "\n", sep = "")
  for (key in names(x$parts)) {
    cat("  instruments ", key, "\n", sep = "")
  }
  n_pairs <- length(x$blocks) - length(x$parts)
  if (n_pairs > 0L) {
    cat("  products of ", n_pairs, " pairs of sets of instruments\n", sep = "")
  }
  invisible(x)
}

# Means and centred crossproducts of [w, z, x, y] as the core takes them. fill: what each part's
# missing genotypes, less 1, are imputed to; NULL: the mean of the people here.
crossprod_moments <- function(object, fill = NULL, keep = NULL) {
  parts <- object$parts
  check_complete(object)
  if (is.null(fill)) {
    fill <- crossprod_fill(object)
  }
  zq <- Map(function(part, f) part$hq + f * part$mq, parts, fill)
  centre <- lapply(zq, function(v) v[, 1L] / object$total)
  size <- vapply(centre, length, 1L)
  kw <- length(object$roles$w)
  kq <- length(object$mean)
  l <- sum(size)
  at <- split(kw + seq_len(l), rep(factor(names(parts), names(parts)), size))
  q_at <- c(seq_len(kw), kw + l + seq_len(kq - kw))
  gram <- matrix(0, l + kq, l + kq)
  gram[q_at, q_at] <- object$qq
  for (key in names(parts)) {
    gram[at[[key]], q_at] <- zq[[key]][, -1L]
    gram[q_at, at[[key]]] <- t(zq[[key]][, -1L])
  }
  for (block in object$blocks) {
    settings <- list(fill_a = fill[[block$a]], fill_b = fill[[block$b]],
      mean_a = centre[[block$a]], mean_b = centre[[block$b]], total = object$total)
    value <- .Call(C_bed_centre, block$sums[c("hh", "hm", "mh", "mm")], settings)$value
    gram[at[[block$a]], at[[block$b]]] <- value
    if (block$a != block$b) {
      gram[at[[block$b]], at[[block$a]]] <- t(value)
    }
  }
  mean <- numeric(l + kq)
  mean[q_at] <- object$mean
  mean[kw + seq_len(l)] <- 1 + unlist(centre, use.names = FALSE)
  if (!is.null(keep)) {
    left <- c(seq_len(kw), kw + keep, kw + l + seq_len(kq - kw))
    gram <- gram[left, left, drop = FALSE]
    mean <- mean[left]
    l <- length(keep)
  }
  list(mean = mean, gram = gram, total = object$total, n = as.double(object$nobs), kw = kw,
    kx = length(object$roles$x), l = l)
}

crossprod_fill <- function(object) {
  lapply(object$parts, function(part) part$sum / part$known)
}

# All products between the instruments must be there.
check_complete <- function(object) {
  keys <- names(object$parts)
  pairs <- outer(keys, keys, Vectorize(function(a, b) paste(sort(c(a, b)), collapse = " | ")))
  absent <- setdiff(pairs, block_keys(object))
  if (!length(keys) || length(absent)) {
    stop_mrl("argument", "The statistics are not complete: there are none of ",
      if (length(keys)) absent[1] else "any instruments alone",
      if (length(absent) > 1L) c(" (and of ", length(absent) - 1L, " more pairs)"), ".")
  }
}

# Two-stage least squares from statistics alone.
fit_crossprod <- function(object, given, vcov, call) {
  problem <- crossprod_problem(object, given, vcov, "iid")
  frame <- problem$frame
  out <- linear_core(NULL, NULL, moments = problem$moments)
  check_linear(out, frame, FALSE)
  new_linear_fit(out$value, frame, "iid", "2SLS", "iv_2sls", call, FALSE)
}

# A frame without rows and the moments that stand for them. known: covariances that need no rows.
crossprod_problem <- function(object, given, vcov, known) {
  if (length(given)) {
    stop_mrl("argument", "Statistics of shards are given alone; ", shorten(given),
      " came with them.")
  }
  if (!vcov %in% known) {
    stop_argument("vcov", paste("must be", paste0("\"", known, "\"", collapse = " or "),
      "where only statistics of shards are given, as robust standard errors need a second pass",
      "over the people"), describe(vcov))
  }
  moments <- crossprod_moments(object)
  empty <- function(names) matrix(0, 0L, length(names), dimnames = list(NULL, names))
  frame <- list(
    n = object$nobs, x = empty(object$roles$x), w = empty(object$roles$w), intercept = TRUE,
    z_names = make.unique(unlist(lapply(object$parts, `[[`, "names"), use.names = FALSE)),
    coef_names = object$coef_names, outcome = object$roles$outcome, design = object$design,
    formula = object$formula, dropped = list(), imputed = imputed_of(object)
  )
  check_rows(frame)
  list(frame = frame, moments = c(moments, list(stream = NULL)))
}

imputed_of <- function(object) {
  parts <- object$parts
  gaps <- unlist(lapply(parts, function(part) object$nobs - part$known), use.names = FALSE)
  names <- make.unique(unlist(lapply(parts, `[[`, "names"), use.names = FALSE))
  data.frame(instrument = names[gaps > 0], n_missing = gaps[gaps > 0])
}

# Two-stage least squares with streamed instruments: moments, then rows where they are needed.
linear_stream <- function(frame, vcov, n_threads) {
  problem <- file_order(frame)
  object <- frame$crossprod
  if (is.null(object)) {
    object <- crossprod_of(frame, problem, n_threads)
  }
  moments <- crossprod_moments(object, keep = frame$z_keep)
  keep <- if (!is.null(frame$z_keep)) {
    seq_len(sum(vapply(problem$beds, ncol, 1L))) %in% frame$z_keep
  }
  moments$stream <- stream_list(problem, keep)
  out <- linear_core(problem$y, problem$x, problem$w, NULL, problem$weights, problem$cluster,
    frame$n_cluster, vcov, n_threads = n_threads, moments = moments)
  if (!is.null(out$value$residuals)) {
    out$value$residuals[problem$order] <- out$value$residuals
  }
  out
}
