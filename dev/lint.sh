#!/bin/sh
# The project's own rules, by grep: layers, entries, conditions, lengths. Prints "file:line: rule:
# text" for each breach and fails if there is one. Usage: dev/lint.sh [directory]
# dev/test-lint.sh shows that each rule fires.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "${1:-$here/..}" || exit 2
found=$(mktemp)
trap 'rm -f "$found"' EXIT

# "file:line:text" lines on stdin are breaches of rule $1.
breach() {
  awk -v rule="$1" '{
    match($0, /^[^:]*:[0-9]+:/)
    text = substr($0, RLENGTH + 1)
    sub(/^ +/, "", text)
    print substr($0, 1, RLENGTH) " " rule (text == "" ? "" : ": " text)
  }' >> "$found"
}
# Those of the files named in the arguments that exist, as unmatched patterns do not.
existing() {
  for file in "$@"; do
    [ ! -f "$file" ] || echo "$file"
  done
}
# C files as "file:line:text" without comments.
c_code() {
  [ $# = 0 ] || awk '
    FNR == 1 { inside = 0 }
    {
      rest = $0
      out = ""
      while (rest != "") {
        at = index(rest, inside ? "*/" : "/*")
        if (!inside) out = out (at ? substr(rest, 1, at - 1) : rest)
        rest = at ? substr(rest, at + 2) : ""
        if (at) inside = !inside
      }
      sub(/\/\/.*/, "", out)
      print FILENAME ":" FNR ":" out
    }' "$@"
}
# R files as "file:line:text" without comments.
r_code() {
  [ $# = 0 ] || awk '{ sub(/#.*/, ""); print FILENAME ":" FNR ":" $0 }' "$@"
}
# Lines that call one of the functions in the pattern $1.
calling() {
  grep -E ":[0-9]+:(.*[^A-Za-z0-9_.])?($1)[[:space:]]*\\("
}

core=$(existing src/core/*.[ch])
all_c=$(existing src/*.[ch] src/core/*.[ch] src/glue/*.[ch])
all_r=$(existing R/*.R)
texts=$(existing Makefile .ci/run ./*.md DESCRIPTION README.Rmd)
for room in R src ctest tests dev bench data-raw vignettes inst; do
  [ ! -d "$room" ] || texts="$texts $(find "$room" -type f \( -name '*.[chR]' -o -name '*.sh' \
    -o -name '*.Rmd' -o -name '*.md' -o -name '*.txt' -o -name 'Makevars*' \) | tr '\n' ' ')"
done

# shellcheck disable=SC2086 # lists of files without spaces
layers() {
  c_code $core | grep -E ':#[[:space:]]*include[[:space:]]*[<"](R|S|R_ext/[A-Za-z]+|Rinternals|Rmath|Rdefines|Rconfig|Rversion)\.h' |
    grep -vE '^src/core/blas\.c:[0-9]+:.*(R_ext/BLAS|R_ext/Lapack|Rconfig)\.h' |
    breach "the core includes no R headers"
  c_code $core | grep -E ':#[[:space:]]*include[[:space:]]*"[^"]*/' |
    breach "the core includes from src/core only"
  c_code $all_c | calling 'v?f?printf|puts|putchar|fputs|fopen|getenv|exit|_exit|abort|assert|s?rand|s?random|time|clock' |
    grep -vE '^src/glue/glue_bed\.c:[0-9]+:.*fopen' |
    breach "no output, input, exit, assert, rand or clock in C"
  c_code $all_c | calling 'malloc|calloc|realloc|aligned_alloc|posix_memalign|free|alloca|R_Calloc|R_Free|Calloc|Free' |
    breach "memory comes from an arena or R_alloc"
  c_code $core | calling 'setjmp|longjmp|signal' | breach "the core does not jump"
  c_code $core | grep -E ':[0-9]+:[[:space:]]*(static|_Thread_local)[^(]*(;|=|\[)' | grep -v 'const ' |
    breach "no mutable globals in the core"
  c_code $core | grep -E ':[0-9]+:[A-Za-z_][A-Za-z0-9_]*([ *]+[A-Za-z_][A-Za-z0-9_]*)+(\[[^]]*\])*( =.*|;)' |
    grep -vE ':[0-9]+:(static|const|typedef|extern|struct|enum|union|return|#)[^A-Za-z0-9_]' |
    breach "no mutable globals in the core"
  c_code $all_c | grep -E '[^A-Za-z0-9_]omp_set_[a-z_]+' | breach "threads are set by num_threads()"
}

# The number of the line of levels.txt that names the stem $1; nothing if none does.
level_of() {
  grep -v '^#' "$here/levels.txt" | {
    level=0
    while read -r names; do
      level=$((level + 1))
      set -f
      for name in $names; do
        # shellcheck disable=SC2254 # a pattern
        case $1 in
          $name) echo "$level" && return ;;
        esac
      done
    done
  }
}
# As level_of; a part (gemm_kernel) stands where its family (gemm) does.
level_of_family() {
  level=$(level_of "$1")
  [ -n "$level" ] || level=$(level_of "${1%%_*}")
  echo "$level"
}

# shellcheck disable=SC2086 # lists of files without spaces
arrows() {
  for file in $core; do
    stem=$(basename "${file%.*}")
    level=$(level_of_family "$stem")
    [ -n "$level" ] || echo "$file:1:$stem" | breach "every core file stands in dev/levels.txt"
    c_code "$file" | sed -nE 's/^([^:]*:[0-9]+):#[ ]*include[ ]*"([^"\/]+)\.[a-z]+".*/\1 \2/p' |
      while read -r at to; do
        case $stem/$to in
          mr*/net | mr*/layer | mr*/conv | mr*/loss | mr*/optim | mr*/train | mr*/iv_* | mr*/ism | \
            meta*/net | meta*/layer | meta*/conv | meta*/loss | meta*/optim | meta*/train | \
            meta*/iv_* | meta*/ism | sim*/net | sim*/layer | sim*/conv | sim*/loss | sim*/optim | \
            sim*/train | sim*/iv_* | sim*/ism)
            echo "$at:$to" | breach "mr, meta and sim know no networks"
            ;;
        esac
        [ "$to" != "$stem" ] || continue
        # Parts of a family that have no level of their own include each other as they like.
        if [ "${to%%_*}" = "${stem%%_*}" ]; then
          { [ -n "$(level_of "$to")" ] && [ -n "$(level_of "$stem")" ]; } || continue
        fi
        to_level=$(level_of_family "$to")
        [ "${to_level:-99}" -lt "${level:-99}" ] ||
          echo "$at:$stem to $to" | breach "includes point to a lower level"
      done
  done
}

# shellcheck disable=SC2086 # lists of files without spaces
r_rules() {
  r_code $all_r | grep -v '^R/conditions\.R:' |
    calling 'stop|warning|message|stopifnot|match\.arg|signalCondition|(rlang::|cli_)?abort|packageStartupMessage' |
    breach "conditions are made in R/conditions.R"
  r_code $all_r | calling 'library|require|attachNamespace' | breach "R/ attaches no package"
  r_code $all_r | calling '\.C|\.Fortran|\.External2?' | breach "C is called by .Call"
  r_code $all_r | sed -nE 's/^([^:]*:[0-9]+):([A-Za-z][A-Za-z0-9_.]*) <- function.*/\1 \2/p' |
    awk 'seen[$2]++ { print $1 ":" $2 }' | breach "a function is defined once in R/"
  r_code $(existing tests/testthat/helper-*.R) |
    sed -nE 's/^([^:]*:[0-9]+):([A-Za-z][A-Za-z0-9_.]*) <- function.*/\1 \2/p' |
    awk 'seen[$2]++ { print $1 ":" $2 }' | breach "a helper of the tests is defined once"
  [ -z "$all_r$all_c" ] || LC_ALL=C grep -nH '[^ -~	]' $all_r $all_c | breach "sources are ASCII"
}

# Entries named in "file:line:text" lines on stdin by the pattern $1, as "C_name file:line".
entries_by() {
  awk -v pattern="$1" '{
    match($0, /^[^:]*:[0-9]+:/)
    at = substr($0, 1, RLENGTH - 1)
    rest = substr($0, RLENGTH + 1)
    while (match(rest, pattern)) {
      name = substr(rest, RSTART, RLENGTH)
      rest = substr(rest, RSTART + RLENGTH)
      match(name, /C_[A-Za-z0-9_]+/)
      print substr(name, RSTART, RLENGTH) " " at
    }
  }'
}
# Rule $3: each entry of list $1 stands exactly once in list $2.
each_once() {
  echo "$1" | while read -r name at; do
    [ -z "$name" ] || [ "$(echo "$2" | grep -c "^$name ")" = 1 ] || echo "$at:$name" | breach "$3"
  done
}
# shellcheck disable=SC2086 # lists of files without spaces
entries() {
  declared=$(c_code $(existing src/glue/glue.h) | entries_by '(^|[^A-Za-z0-9_])C_[A-Za-z0-9_]+')
  registered=$(c_code $(existing src/init.c) | entries_by 'ENTRY\(C_[A-Za-z0-9_]+')
  used=$(r_code $all_r | entries_by '(^|[^A-Za-z0-9_.])C_[A-Za-z0-9_]+')
  called=$(r_code $(existing dev/calls.R) | entries_by '(^|[^A-Za-z0-9_.])C_[A-Za-z0-9_]+[ ]*=')
  each_once "$declared" "$registered" "an entry of glue.h is registered once in init.c"
  each_once "$registered" "$declared" "a registered entry is declared once in glue.h"
  each_once "$declared" "$used" "an entry is called once in R/"
  each_once "$used" "$declared" "R/ calls entries of glue.h"
  each_once "$declared" "$called" "an entry has one call in dev/calls.R"
  each_once "$called" "$declared" "dev/calls.R calls entries of glue.h"
  echo "$declared" | grep -vE '^(C_[a-z0-9]+_[a-z0-9_]+ .*)?$' | sed 's/\([^ ]*\) \(.*\)/\2:\1/' |
    breach "entries are C_<topic>_<verb>"
  # A .Call( whose first argument, on this line or the next, is no entry.
  r_code $all_r | awk '
    wait != "" { text = $0; sub(/^[^:]*:[0-9]+:/, "", text)
      if (text !~ /^[ ]*C_[a-z0-9_]+/) print wait
      wait = "" }
    /\.Call\([ ]*$/ { wait = $0; next }
    /\.Call\(/ && !/\.Call\([ ]*C_[a-z0-9_]+/ { print }' |
    breach ".Call goes to an entry by its name"
}

# shellcheck disable=SC2086 # lists of files without spaces
housekeeping() {
  for file in $(existing src/core/*.c src/glue/*.c); do
    object=$(echo "${file#src/}" | sed 's/c$/o/')
    grep -qE "(^|[[:space:]])$object([[:space:]]|\$)" src/Makevars || echo "$file:1:$object" |
      breach "src/Makevars lists every object"
  done
  own='^dev/(lint|test-lint)\.sh:'
  [ -z "$texts" ] || grep -nHE '(^|[^A-Za-z0-9_])(TODO|FIXME|XXX)([^A-Za-z0-9_]|$)' $texts |
    grep -vE "$own" | breach "nothing is left to do in a comment"
  [ -z "$texts" ] || grep -nHE "(^|[\"'\` (=])/(work|home|root|tmp|usr|opt|var|mnt|srv|Users)/" $texts |
    grep -vE ":1:#!|$own" | breach "no absolute paths"
  for file in $texts; do
    case $file in *.[chR] | *.sh) ;; *) continue ;; esac
    length=$(wc -l < "$file")
    if [ "$length" -gt 600 ]; then
      echo "$file:$length:$length lines" | breach "a file has at most 600 lines"
    elif [ "$length" -gt 400 ]; then
      echo "$file:$length: a question, not a breach: $length lines (> 400); does it do one thing?"
    fi
  done
}

layers
arrows
r_rules
entries
housekeeping
sort -u "$found"
[ ! -s "$found" ]
