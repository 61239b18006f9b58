# mrlearn evaluate: saved fits against a known curve.

cli_evaluate_command <- function() {
  list(
    name = "evaluate", title = "compare saved fits with a known causal curve", words = character(),
    about = c(
      "Compares the curves of fits that estimate --output saved with the truth and prints a line",
      "for each: mean squared error, bias, coverage and width of intervals and more",
      "(?evaluation in R). Levels are compared, or contrasts where the fit estimates these.", "",
      "--true-function is arithmetic of x: numbers, + - * / ^ **, comparisons, abs cos exp log",
      "sin sqrt tan pow max min where ifelse, pi, e. It is never run as a program.",
      "Fits are R objects: read only files that you trust."
    ),
    options = c(cli_shared_options(
      cli_option("input", "texts", "DIR", "folders (or .rds files) of fits"),
      cli_option("true-function", "text", "TEXT",
        "the truth: \"0.3*x^2\" or \"lambda x: 0.3*x**2\""),
      cli_option("domain", "text", "WHERE",
        "exposures to compare at: range (default), 95%, or two of them: -3,3"),
      cli_option("points", "count", "N", "number of points (2000)"),
      cli_option("reference", "number", "X", "compare contrasts against this exposure"),
      cli_option("exposure", "text", "COL", "the exposure, where a fit has several"),
      cli_option("conf-level", "number", "LEVEL", "level of the intervals (0.95)"),
      cli_option("plot", "text", "FILE", "draw truth and curves into FILE (.png, .pdf or .svg)",
        bare = TRUE),
      cli_option("overwrite", "flag", "", "replace FILE")
    ), evaluate_aliases()),
    examples = c(
      "mrlearn evaluate --input fit1 --true-function \"0.3*x^2\"",
      "mrlearn evaluate --input sweep1/fit-*.rds --true-function 'lambda x: 0.3*x**2 + 0.3*x' \\",
      "  --domain -3,3 --plot curves.png"
    ),
    run = run_evaluate
  )
}

# ml-mr's options for the same things. Its --plot opens a window or takes --plot-filename.
evaluate_aliases <- function() {
  list(
    cli_option("plot-filename", "text", "", "", function(v) {
      list(hint = "--plot-filename FILE is --plot FILE here.", add = list(plot = v))
    }),
    cli_option("domain-95", "flag", "", "", function(v) {
      list(hint = "--domain-95 is --domain 95% here.", add = list(domain = "95%"))
    }),
    cli_option("alpha", "number", "", "", function(v) {
      list(hint = "--alpha A is --conf-level 1-A here.",
        add = list(`conf-level` = 1 - suppressWarnings(as.double(v))))
    })
  )
}

run_evaluate <- function(given) {
  inputs <- cli_value(given, "input")
  truth <- arithmetic_function(cli_value(given, "true-function"), arg = "--true-function")
  domain <- read_domain(cli_value(given, "domain", "range"))
  file <- picture_file(given)
  fits <- lapply(inputs, read_fit)
  arguments <- list(truth = truth, domain = domain, n_points = cli_value(given, "points", 2000),
    conf_level = cli_value(given, "conf-level", 0.95))
  arguments$reference <- given$values$reference
  arguments$exposure <- given$values$exposure
  rows <- lapply(fits, function(fit) do.call(generics::evaluate, c(list(fit), arguments)))
  table <- cbind(
    data.frame(input = inputs, method = vapply(fits, function(fit) class(fit)[1], "")),
    do.call(rbind, rows)
  )
  if (!is.null(file)) {
    draw_curves(file, fits, inputs, truth, table, given$values$exposure)
    cli_say("Drawn in ", file, ".")
  }
  cli_print(given, table)
}

read_domain <- function(text) {
  if (text %in% c("range", "95%")) {
    return(text)
  }
  ends <- suppressWarnings(as.double(strsplit(text, ",", fixed = TRUE)[[1]]))
  if (length(ends) != 2L || anyNA(ends)) {
    stop_argument("--domain", "must be range, 95% or two numbers such as -3,3",
      paste0("\"", text, "\""))
  }
  check_domain(ends)
}

# Where to draw, checked before the work; NULL: nowhere. --plot alone draws beside the first fit.
picture_file <- function(given) {
  file <- given$values$plot
  if (is.null(file)) {
    return(NULL)
  }
  file <- c(file[nzchar(file)], "")[1]
  if (!nzchar(file)) {
    first <- given$values$input[1]
    file <- file.path(if (dir.exists(first)) first else dirname(first), "evaluation.png")
    cli_say("hint: --plot needs a file here; as it has none, the picture goes beside the fit.")
  } else if (file.exists(file) && !isTRUE(given$values$overwrite)) {
    stop_mrl("data", "--plot: \"", file, "\" is there already; --overwrite replaces it.")
  }
  if (!tolower(tools_extension(file)) %in% c("png", "pdf", "svg")) {
    stop_argument("--plot", "must be a .png, .pdf or .svg file", paste0("\"", file, "\""))
  }
  file
}

tools_extension <- function(file) {
  sub(".*\\.([A-Za-z0-9]+)$", "\\1", basename(file))
}

# Curves with their intervals and the truth, over the domain of the first fit.
draw_curves <- function(file, fits, labels, truth, table, exposure) {
  kind <- tolower(tools_extension(file))
  temporary <- tempfile(fileext = paste0(".", kind))
  on.exit(unlink(temporary))
  open <- switch(kind,
    png = function() grDevices::png(temporary, 1600, 1100, res = 200),
    svg = function() grDevices::svg(temporary, 8, 5.5),
    pdf = function() grDevices::pdf(temporary, 8, 5.5)
  )
  open()
  tryCatch(plot_curves(fits, labels, truth, table, exposure), finally = grDevices::dev.off())
  cli_write(readBin(temporary, "raw", file.size(temporary)), file)
}

plot_curves <- function(fits, labels, truth, table, exposure) {
  at <- seq(table$domain.low[1], table$domain.high[1], length.out = 200)
  centre <- table$reference[1]
  arguments <- list(exposure = exposure)
  if (!is.na(centre)) {
    arguments$reference <- centre
  }
  shown <- seq_len(min(length(fits), 8L)) # more cannot be told apart
  curves <- lapply(fits[shown], call_curve, at, arguments)
  true <- truth(at) - if (is.na(centre)) 0 else truth(centre)
  drawn <- unlist(lapply(curves, function(c) c(c$estimate, c$conf.low, c$conf.high)))
  colours <- grDevices::hcl.colors(max(2L, length(shown)), "Dark 3")
  graphics::par(mar = c(4.2, 4.2, 1, 1))
  graphics::plot(at, true, type = "n", ylim = range(drawn, true, finite = TRUE),
    xlab = c(exposure, fits[[1]]$exposures)[1], ylab = curves[[1]]$estimand[1])
  for (i in shown) {
    curve <- curves[[i]]
    if (!is.null(curve$conf.low) && !all(is.na(curve$conf.low))) {
      graphics::polygon(c(at, rev(at)), c(curve$conf.low, rev(curve$conf.high)), border = NA,
        col = grDevices::adjustcolor(colours[i], 0.15))
    }
    graphics::lines(at, curve$estimate, col = colours[i], lwd = 2)
  }
  graphics::lines(at, true, lty = 2)
  graphics::legend("top", c(labels[shown], "truth"), col = c(colours[shown], "black"),
    lty = c(rep(1, length(shown)), 2), bty = "n")
}
