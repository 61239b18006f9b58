# What the studies share: options, csv, resumed runs. One of the neural estimators,
# bench/neural_<name>.R, is a list:
#   name        its rows lie in bench/neural_<name>.csv
#   cells       function(trial): a data.frame with a row for each thing to run, of which `group` and
#               `seed` are two columns; trial: few and small ones
#   run         function(cell): named numbers
#   report      function(rows): lines of markdown
#   processes   how many cells run at a time, each on one thread; 1 if it is not said
#
# Rscript bench/neural_<name>.R runs the cells that the csv does not have yet. Options:
#   --trial          small cells, into build/neural_trial
#   --only=a,b       these groups
#   --minutes=20     start no cell after 20 minutes
#   --fresh          run all of them again, whatever the csv has
suppressMessages(library(mrlearn))

study_options <- function(given = commandArgs(TRUE)) {
  unknown <- given[!grepl("^--((trial|fresh)$|(only|minutes)=.)", given)]
  if (length(unknown)) {
    stop("unknown option: ", paste(unknown, collapse = " "))
  }
  value <- function(name, otherwise) {
    hit <- grep(paste0("^--", name, "="), given, value = TRUE)
    if (length(hit)) sub("^[^=]*=", "", hit[1]) else otherwise
  }
  only <- value("only", NULL)
  list(
    trial = "--trial" %in% given, fresh = "--fresh" %in% given,
    only = if (!is.null(only)) strsplit(only, ",", fixed = TRUE)[[1]],
    minutes = as.double(value("minutes", "Inf"))
  )
}

study_folder <- function(trial) {
  folder <- if (trial) file.path("build", "neural_trial") else "bench"
  dir.create(folder, showWarnings = FALSE, recursive = TRUE)
  folder
}

study_path <- function(name, trial) {
  file.path(study_folder(trial), paste0("neural_", name, ".csv"))
}

# The last commit of what is measured, with "+" where more than that was.
measured_commit <- function() {
  git <- function(...) suppressWarnings(system2("git", c(...), stdout = TRUE))
  commit <- git("log", "-1", "--format=%h", "--abbrev=10", "--", "R", "src")
  paste0(commit, if (length(git("status", "--porcelain", "--", "R", "src"))) "+")
}

read_rows <- function(path) {
  if (!file.exists(path)) {
    return(NULL)
  }
  rows <- utils::read.csv(path)
  rows$problem <- ifelse(is.na(rows$problem), "", as.character(rows$problem))
  rows
}

# All rows anew and then in place of the old ones, so that a killed run leaves a whole file.
write_rows <- function(rows, path) {
  doubles <- vapply(rows, is.double, NA)
  rows[doubles] <- lapply(rows[doubles], signif, 6)
  utils::write.csv(rows, paste0(path, ".new"), row.names = FALSE)
  file.rename(paste0(path, ".new"), path)
}

# Rows of which some have columns that others lack.
bind_rows <- function(...) {
  parts <- Filter(NROW, list(...))
  columns <- unique(unlist(lapply(parts, names)))
  do.call(rbind, lapply(parts, function(part) {
    part[setdiff(columns, names(part))] <- NA
    part[columns]
  }))
}

# One text per cell, the same before and after the csv.
cell_key <- function(cells) {
  do.call(paste, c(lapply(cells, function(column) {
    if (is.numeric(column)) sprintf("%.10g", column) else as.character(column)
  }), sep = "|"))
}

# The row of a cell. What the package itself finds wrong with the data or the arithmetic is a
# result (`problem`); anything else stops the study.
run_cell <- function(study, cell, commit) {
  problems <- character()
  note <- function(condition) problems <<- union(problems, class(condition)[1])
  started <- proc.time()[["elapsed"]]
  value <- withCallingHandlers(
    tryCatch(study$run(cell), mrlearn_error_data = function(e) note(e),
      mrlearn_error_collinear = function(e) note(e), mrlearn_error_numeric = function(e) note(e)),
    mrlearn_warning = function(w) {
      note(w)
      invokeRestart("muffleWarning")
    }
  )
  value <- if (is.numeric(value)) as.data.frame(as.list(value), check.names = FALSE)
  about <- data.frame(
    n_threads = mrl_threads(), cell_seconds = proc.time()[["elapsed"]] - started,
    problem = paste(problems, collapse = " "), commit = commit
  )
  out <- do.call(cbind, Filter(NROW, list(cell, value, about)))
  row.names(out) <- NULL
  out
}

# Run what is missing and return all rows.
run_study <- function(study, how = study_options()) {
  path <- study_path(study$name, how$trial)
  rows <- read_rows(path)
  cells <- study$cells(how$trial)
  if (!is.null(how$only)) {
    cells <- cells[cells$group %in% how$only, ]
  }
  if (how$fresh) {
    rows <- rows[!rows$group %in% cells$group, ]
  }
  if (NROW(rows)) {
    cells <- cells[!cell_key(cells) %in% cell_key(rows[names(cells)]), ]
  }
  processes <- if (is.null(study$processes)) 1L else study$processes
  if (processes > 1L) {
    options(mrlearn.threads = 1L)
  }
  commit <- measured_commit()
  started <- proc.time()[["elapsed"]]
  # Several rounds of the processes at once, so that they wait for each other less.
  size <- if (processes > 1L) 4L * processes else 1L
  for (batch in split(seq_len(nrow(cells)), ceiling(seq_len(nrow(cells)) / size))) {
    minutes <- (proc.time()[["elapsed"]] - started) / 60
    if (minutes > how$minutes) {
      cat(study$name, ": ", how$minutes, " minutes are over\n", sep = "")
      break
    }
    rows <- do.call(bind_rows, c(list(rows), run_batch(study, cells[batch, ], commit, processes)))
    write_rows(rows, path)
    took <- (proc.time()[["elapsed"]] - started) / 60
    cat(sprintf("%s %d/%d after %.1f minutes: %s\n", study$name, max(batch), nrow(cells), took,
      cell_key(cells[max(batch), ])))
  }
  rows
}

run_batch <- function(study, cells, commit, processes) {
  each <- split(cells, seq_len(nrow(cells)))
  if (processes == 1L) {
    return(lapply(each, run_cell, study = study, commit = commit))
  }
  out <- parallel::mclapply(each, run_cell, study = study, commit = commit, mc.cores = processes,
    mc.preschedule = FALSE)
  failed <- vapply(out, inherits, NA, "try-error")
  if (any(failed)) {
    stop(out[[which(failed)[1]]])
  }
  out
}

# Run as a script, and not sourced by the driver?
is_script <- function() {
  sys.nframe() <= 1L && !interactive()
}

# The estimators by the names that tables have.
networks <- c("Quantile IV", "DeepIV gaussian", "DeepIV mixture")

fit_network <- function(estimator, formula, data, ...) {
  switch(estimator,
    "Quantile IV" = iv_quantile(formula, data, ...),
    "DeepIV gaussian" = iv_deep(formula, data, first_stage = "gaussian", ...),
    "DeepIV mixture" = iv_deep(formula, data, first_stage = "mixture", ...)
  )
}

# Functions (and constants) that another script defines.
borrow <- function(script, names) {
  for (expression in parse(script, keep.source = FALSE)) {
    is_wanted <- is.call(expression) && identical(expression[[1]], quote(`<-`)) &&
      as.character(expression[[2]])[1] %in% names
    if (is_wanted) {
      eval(expression, globalenv())
    }
  }
}

# Value and seconds.
timed <- function(expr) {
  seconds <- system.time(value <- expr)[["elapsed"]]
  list(value = value, seconds = seconds)
}

# Without the package's warnings, as of points beyond the data: for looking at a fit that exists.
quietly <- function(expr) {
  suppressWarnings(expr, classes = "mrlearn_warning")
}

with_instruments <- function(sim) {
  sim$g <- as.matrix(sim[truth(sim)$instruments])
  sim
}

# A markdown table of a data.frame of text and numbers; text stands left.
md_table <- function(table) {
  left <- vapply(table, is.character, NA) & seq_along(table) < 4L
  lines <- do.call(paste, c(unname(lapply(table, as.character)), sep = " | "))
  c(
    paste0("| ", paste(names(table), collapse = " | "), " |"),
    paste0("| ", paste(ifelse(left, ":---", "---:"), collapse = " | "), " |"),
    paste0("| ", lines, " |")
  )
}

# Numbers with three digits, none as nothing.
short <- function(x) {
  ifelse(is.na(x), "", formatC(x, digits = 3, format = "fg", flag = "#"))
}

whole <- function(x) {
  ifelse(is.na(x), "", formatC(x, digits = 0, format = "f", big.mark = ","))
}

# Median of the replicates, and their range.
median_range <- function(x, show = short) {
  x <- x[!is.na(x)]
  if (!length(x)) {
    return("")
  }
  if (length(x) == 1L) {
    return(show(x))
  }
  paste0(show(stats::median(x)), " (", show(min(x)), " - ", show(max(x)), ")")
}

verdict <- function(value, limit, show = short) {
  paste0("at most ", show(limit), ": ", if (!length(value) || is.na(value)) "not run" else if (
    value <= limit) paste("met,", show(value)) else paste("missed,", show(value)))
}

# What went wrong, and which code the rows are of.
notes_of <- function(rows) {
  failed <- table(rows$problem[nzchar(rows$problem)])
  c(
    if (length(failed)) {
      paste0("Noted: ", paste0(names(failed), " in ", failed, " of ", nrow(rows), " cells",
        collapse = "; "), ".")
    },
    paste0(nrow(rows), " cells, commit ", paste(unique(rows$commit), collapse = ", "), ", ",
      paste(unique(rows$n_threads), collapse = " or "), " threads, ",
      short(sum(rows$cell_seconds) / 60), " minutes of cells, one after the other.")
  )
}
