# lintr over the R sources, by .lintr; fails if it finds anything.
rooms <- c("R", "tests", "dev", "bench", "data-raw")
found <- lapply(rooms[dir.exists(rooms)], lintr::lint_dir, parse_settings = TRUE)
for (lints in found) {
  if (length(lints)) print(lints)
}
quit(status = as.integer(sum(lengths(found)) > 0))
