# Tables of deep_mr(): local effects by methods for summary data, mean effects, variants.

# Rows of a method behind each other. Variants without a standard error are left out.
method_rows <- function(fit, frame, settings) {
  table <- mr_method_table()[settings$methods, ]
  core <- summary_effects(fit, frame, settings, table)
  how <- mr_settings(mr_method_table(), settings$methods, settings$n_boot, 1, 20, TRUE, "huber", 0,
    "delta", "grid", mr_control(), settings$seed, settings$n_threads)
  how$chisq <- stats::qchisq(settings$conf_level, 1)
  groups <- list(start = core$start, pairs = data.frame(
    id.exposure = fit$sequence, id.outcome = frame$outcome, exposure = frame$exposure,
    outcome = frame$outcome
  ))
  each <- mr_results(mr_run(core$effects, core$start, how), groups, table, settings$conf_level)
  of <- rep(seq_along(fit$slope), each = nrow(table))
  sorted <- order(rep(seq_len(nrow(table)), length(fit$slope)), of)
  each <- each[sorted, ]
  of <- of[sorted]
  few <- no_slope_reason(fit, settings)[of]
  each[!is.na(few), c("b", "se", "ci_low", "ci_high", "intercept", "intercept_se")] <- NA
  local_rows(lapply(fit[c("sequence", "n")], `[`, of), frame, each$method, data.frame(
    estimate = each$b, std.error = each$se, conf.low = each$ci_low, conf.high = each$ci_high,
    interval = "method", slope = fit$slope[of], ratio = fit$ratio[of],
    intercept = each$intercept, intercept.se = each$intercept_se,
    reason = ifelse(is.na(few), each$note, few)
  ), diff(frame$at$start)[of])
}

# Effects of the instruments that have standard errors, by sequence.
summary_effects <- function(fit, frame, settings, table) {
  if (is.null(frame$se)) {
    stop_argument("method", "must be \"slope\" where effects have no standard errors",
      shorten(table$name))
  }
  x <- frame$at$x + 1L
  y <- frame$at$y + 1L
  use <- fit$instrument & !is.na(fit$slope)[frame$seq_of]
  bad <- !is.finite(frame$se[x]) | frame$se[x] <= 0 | !is.finite(frame$se[y]) | frame$se[y] <= 0
  dropped <- sum(use & bad)
  if (dropped) {
    inform_mrl("dropped", big(dropped), " of ", big(sum(use)), " instruments are not used by ",
      shorten(table$label), ": their standard error is zero or missing.")
  }
  use <- which(use & !bad)
  list(
    effects = list(bx = frame$effect[x[use]], sx = frame$se[x[use]], by = frame$effect[y[use]],
      sy = frame$se[y[use]]),
    start = c(0L, cumsum(tabulate(frame$seq_of[use], length(fit$slope))))
  )
}

local_rows <- function(fit, frame, method, columns, n_variants = diff(frame$at$start)) {
  data.frame(
    sequence = fit$sequence, exposure = frame$exposure, outcome = frame$outcome, method = method,
    n_variants = n_variants, n_instruments = fit$n, columns
  )
}

# Why sequences have no effect.
no_slope_reason <- function(fit, settings) {
  ifelse(fit$n < settings$least,
    paste0(fit$n, " of at least ", settings$least, " instruments"),
    ifelse(!is.na(fit$strongest) & fit$strongest < settings$strongest,
      paste0("the strongest instrument is below ", format(settings$strongest)),
      ifelse(is.na(fit$slope), "effects on the exposure are too small", NA_character_)))
}

effect_rows <- function(frame, fit) {
  x <- frame$at$x + 1L
  y <- frame$at$y + 1L
  shown <- intersect(c("sequence", "variant", "position", "ref", "alt"), names(frame$table))
  se <- function(rows) if (is.null(frame$se)) NA_real_ else frame$se[rows]
  columns <- c(lapply(frame$table[shown], `[`, x), list(
    beta.exposure = frame$effect[x], se.exposure = rep_len(se(x), length(x)),
    beta.outcome = frame$effect[y], se.outcome = rep_len(se(y), length(y)),
    instrument = fit$instrument
  ))
  structure(columns, class = "data.frame", row.names = .set_row_names(length(x)))
}

# Mean effects, each by its own way; the first row is the one to use.
global_rows <- function(local, fit, wide, settings) {
  level <- settings$conf_level
  pairs <- if (!is.null(wide)) calibration_pairs(wide, fit, settings$control)
  known <- sum(!is.na(fit$slope))
  rows <- list(
    if (length(unique(pairs$sequence)) > 1L) cbind(local = "", pair_iv(pairs, level)),
    if (fit$n_members > 1L && known > 1L) cbind(local = "slope", member_mean(fit, level)),
    meta_rows(local, settings),
    if (known > 1L) {
      ratio <- fit$ratio[is.finite(fit$ratio)]
      cbind(local = "ratio", global_row("mean ratio", mean(ratio),
        stats::sd(ratio) / sqrt(length(ratio)), length(ratio) - 1, length(ratio), level))
    }
  )
  none <- cbind(local = "", global_row("", NA_real_, NA_real_, NA_real_, 0, level))[0, ]
  out <- do.call(rbind, c(list(none), rows))
  first <- c("method", "local")
  out <- out[c(first, setdiff(names(out), first))]
  out$main <- seq_len(nrow(out)) == 1L & out$method != "mean ratio"
  row.names(out) <- NULL
  out
}

meta_rows <- function(local, settings) {
  usable <- is.finite(local$estimate) & is.finite(local$std.error) & local$std.error > 0
  d <- local[usable, ]
  if (!nrow(d)) {
    return(NULL)
  }
  fit <- meta_random(d$estimate, d$std.error, method = settings$meta, group = d$method,
    conf_level = settings$conf_level, n_threads = settings$n_threads)
  data.frame(
    local = fit$group, method = "random effects", estimate = fit$estimate,
    std.error = fit$std.error, conf.low = fit$conf.low, conf.high = fit$conf.high, df = Inf,
    k = fit$k, tau = sqrt(fit$tau2), tau.low = sqrt(fit$tau2.low), tau.high = sqrt(fit$tau2.high),
    pred.low = fit$pred.low, pred.high = fit$pred.high
  )
}
