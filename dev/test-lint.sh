#!/bin/sh
# Each rule of dev/lint.sh fires on a small tree that breaks it, and none on a tree that is well.
set -u
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0

good_tree() {
  rm -rf "$tree"
  mkdir -p "$tree/src/core" "$tree/src/glue" "$tree/R" "$tree/dev"
  cd "$tree" || exit 2
  printf '/* malloc(n) in words, TO-DO */\n#include "status.h"\nstatic const int one = 1;\n' > src/core/rng.c
  printf '#include <R_ext/BLAS.h>\n#include <Rconfig.h>\n' > src/core/blas.c
  printf '#include "gemm_kernel.h"\n' > src/core/gemm.c
  printf '#include "arena.h"\n' > src/core/gemm_kernel.h
  printf 'int f(int a);\n' > src/core/status.h
  printf 'SEXP C_rng_draw(SEXP settings);\n' > src/glue/glue.h
  printf 'ENTRY(C_rng_draw),\n' > src/init.c
  printf 'OBJECTS = init.o core/rng.o core/blas.o core/gemm.o\n' > src/Makevars
  printf 'stop_mrl <- function(x) stop(x)\n' > R/conditions.R
  printf 'draw <- function(s) {\n  # library(x), stop(x)\n  .Call(C_rng_draw, s)\n}\n' > R/rng.R
  printf 'calls <- list(C_rng_draw = function() draw(1))\n' > dev/calls.R
}
# The rule $1 is named, and it alone unless $2 says that others may be.
expect() {
  said=$("$here/lint.sh" "$tree") && said=
  others=$(echo "$said" | grep -vF ": $1" | grep -c .)
  if ! echo "$said" | grep -qF ": $1" || [ "$others" != "${2:-0}" ]; then
    printf 'dev/test-lint.sh: rule "%s" with %s others expected, came:\n%s\n' "$1" "${2:-0}" "$said"
    failed=1
  fi
  good_tree
}
# Append the line $2 to the file $1, then expect the rule $3 ($4 others).
breaks() {
  printf '%s\n' "$2" >> "$1"
  expect "$3" "${4:-0}"
}

good_tree
said=$("$here/lint.sh" "$tree") || {
  printf 'dev/test-lint.sh: a tree that is well, came:\n%s\n' "$said"
  failed=1
}

breaks src/core/rng.c '#include <Rinternals.h>' "the core includes no R headers"
breaks src/core/rng.c '#include <R_ext/BLAS.h>' "the core includes no R headers"
breaks src/core/blas.c '#include <R.h>' "the core includes no R headers"
breaks src/core/rng.c '#include "../glue/glue.h"' "the core includes from src/core only"
for call in 'printf("a")' 'fprintf(stderr, "a")' 'exit(1)' 'abort()' 'assert(x)' 'rand()'; do
  breaks src/core/rng.c "  x = $call;" "no output, input, exit, assert, rand or clock in C"
  breaks src/init.c "  $call;" "no output, input, exit, assert, rand or clock in C"
done
for call in 'malloc(8)' 'calloc(1, 8)' 'free(x)' 'R_Calloc(8, int)'; do
  breaks src/core/rng.c "  x = $call;" "memory comes from an arena or R_alloc"
done
breaks src/core/rng.c '  longjmp(x, 1);' "the core does not jump"
breaks src/core/rng.c 'static int counter;' "no mutable globals in the core"
breaks src/core/rng.c '  static double cache[4];' "no mutable globals in the core"
breaks src/core/rng.c 'int counter = 0;' "no mutable globals in the core"
breaks src/core/rng.c 'double table[4];' "no mutable globals in the core"
breaks src/core/rng.c '  omp_set_num_threads(2);' "threads are set by num_threads()"
breaks src/core/status.h '#include "rng.h"' "includes point to a lower level"
breaks src/core/rng.c '#include "blas.h"' "includes point to a lower level"
breaks src/core/blas.c '#include "gemm_kernel.h"' "includes point to a lower level"
breaks src/core/sim_toy.h '#include "net.h"' "mr, meta and sim know no networks"
breaks src/core/mr.h '#include "layer.h"' "mr, meta and sim know no networks"
breaks src/core/meta.h '#include "train.h"' "mr, meta and sim know no networks" 1
breaks src/core/unheard.h '#include "status.h"' "every core file stands in dev/levels.txt"
breaks R/rng.R 'f <- function() stop("a")' "conditions are made in R/conditions.R"
breaks R/rng.R '  warning("a")' "conditions are made in R/conditions.R"
breaks R/rng.R '  base::message("a")' "conditions are made in R/conditions.R"
breaks R/rng.R '  stopifnot(TRUE)' "conditions are made in R/conditions.R"
breaks R/rng.R 'library(stats)' "R/ attaches no package"
breaks R/rng.R '  if (require(stats)) 1' "R/ attaches no package"
breaks R/rng.R '  .C("f")' "C is called by .Call"
breaks R/rng.R 'draw <- function() 1' "a function is defined once in R/"
mkdir -p tests/testthat && echo 'slow <- function() 1' > tests/testthat/helper-a.R
breaks tests/testthat/helper-b.R 'slow <- function() 2' "a helper of the tests is defined once"
breaks R/rng.R '# caf'"$(printf '\303\251')" "sources are ASCII"
breaks src/core/rng.c '/* caf'"$(printf '\303\251')"' */' "sources are ASCII"
breaks src/glue/glue.h 'SEXP C_rng_more(SEXP x);' "an entry of glue.h is registered once in init.c" 2
breaks src/init.c 'ENTRY(C_rng_more),' "a registered entry is declared once in glue.h"
breaks R/rng.R '  .Call(C_rng_draw, 2)' "an entry is called once in R/"
sed -i '/Call/d' R/rng.R
expect "an entry is called once in R/"
breaks R/rng.R '  .Call(C_rng_more, 2)' "R/ calls entries of glue.h"
: > dev/calls.R
expect "an entry has one call in dev/calls.R"
breaks dev/calls.R 'C_rng_more = function() 1' "dev/calls.R calls entries of glue.h"
sed -i 's/C_rng_draw/C_draw/' src/glue/glue.h src/init.c R/rng.R dev/calls.R
expect "entries are C_<topic>_<verb>"
breaks R/rng.R '  .Call("rng_draw", 2)' ".Call goes to an entry by its name"
printf '  .Call(\n    entry, 2)\n' >> R/rng.R
expect ".Call goes to an entry by its name"
sed -i 's, core/blas.o,,' src/Makevars
expect "src/Makevars lists every object"
for word in TODO FIXME XXX; do
  breaks R/rng.R "# $word later" "nothing is left to do in a comment"
done
breaks dev/calls.R 'x <- "/home/me/data"' "no absolute paths"
yes '# long' | head -n 601 >> R/rng.R
expect "a file has at most 600 lines"
exit "$failed"
