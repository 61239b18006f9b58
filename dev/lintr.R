# lintr over the R sources, by .lintr; fails if it finds anything.
rooms <- c("R", "tests", "dev", "bench", "data-raw")
n_found <- 0L
for (room in rooms[dir.exists(rooms)]) {
  for (lint in lintr::lint_dir(room)) {
    lint$filename <- file.path(room, lint$filename)
    print(lint)
    n_found <- n_found + 1L
  }
}
quit(status = as.integer(n_found > 0L))
