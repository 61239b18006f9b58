#' Put the command line on the PATH
#'
#' Links the script `mrlearn` of the installed package into a folder. It needs bash and Rscript and
#' so assumes a Unix-like system; on Windows it raises an error. The script finds the package that
#' it belongs to, so the link stays good when the package is updated in the same library, and is
#' broken when that is moved.
#'
#' `mrlearn --help` lists the commands: `simulate`, `estimate`, `evaluate`, `mr` and others, each
#' with its own `--help`. Results go to standard output as CSV (`--json`: JSON), messages to
#' standard error, and files are only written where an option names them. The exit status is 0, 1
#' for a wrong command line, 2 for wrong data or files, 3 for arithmetic that failed.
#'
#' @param dir A folder that is there, best one of the `PATH`, such as `~/.local/bin`.
#' @param overwrite Replace a link of that name? A file that is no link is never replaced.
#' @return The path of the link, invisibly. Raises `mrlearn_error_argument` for a folder that cannot
#'   be written to and for a name that is taken.
#' @examples
#' dir <- tempfile()
#' dir.create(dir)
#' if (.Platform$OS.type == "unix") print(basename(install_cli(dir)))
#' @export
install_cli <- function(dir, overwrite = FALSE) {
  check_string(dir)
  check_flag(overwrite)
  if (.Platform$OS.type != "unix") {
    stop_mrl("argument", "install_cli() needs a Unix-like system.")
  }
  if (!dir.exists(dir) || file.access(dir, 2) != 0) {
    stop_argument("dir", "must be a folder that exists and can be written to", describe(dir))
  }
  script <- system.file("cli", "mrlearn", package = "mrlearn", mustWork = TRUE)
  link <- file.path(normalizePath(dir), "mrlearn")
  old <- Sys.readlink(link)
  old <- if (is.na(old)) "" else old # nothing is there
  if (nzchar(old) && (overwrite || identical(old, script))) {
    unlink(link)
  } else if (nzchar(old) || file.exists(link)) {
    stop_argument("dir", "must not have a file called mrlearn", describe(link))
  }
  if (file.access(script, 1) != 0) {
    Sys.chmod(script, "0755") # some ways to install lose the mode
  }
  if (!file.symlink(script, link)) {
    stop_argument("dir", "must be a folder that links can be made in", describe(dir))
  }
  if (!normalizePath(dir) %in% normalizePath(path_folders(), mustWork = FALSE)) {
    inform_mrl("path", "\"", dir, "\" is not on the PATH.")
  }
  invisible(link)
}

path_folders <- function() {
  strsplit(Sys.getenv("PATH"), .Platform$path.sep, fixed = TRUE)[[1]]
}
