#!/bin/sh
# Install what is missing of dev/packages.txt: Debian's packages first, then CRAN.
# Usage: dev/setup.sh run|dev|site|spell|full     (dev includes run, the others dev)
# Quiet, and about half a second, where nothing is missing.
set -u
level=${1:-run}
list=$(dirname "$0")/packages.txt
case $level in
  run) levels=run ;;
  dev) levels='run|dev' ;;
  *) levels="run|dev|$level" ;;
esac
rows=$(grep -E "^($levels) " "$list")
checks=$(echo "$rows" | cut -d ' ' -f 2)

# The checks that fail, one per line.
missing_tools() {
  for tool in $(echo "$checks" | sed -n 's/^tool://p'); do
    command -v "$tool" > /dev/null || echo "tool:$tool"
  done
}
missing_links() {
  for link in $(echo "$checks" | sed -n 's/^link://p'); do
    compiler=${link%%,*}
    # shellcheck disable=SC2046 # the flags are words
    echo 'int main(void) { return 0; }' |
      "$compiler" -x c -o /dev/null - $(echo "${link#*,}" | tr , ' ') 2> /dev/null ||
      echo "link:$link"
  done
}
missing_r() {
  wanted=$(echo "$checks" | sed -n 's/^r://p')
  if command -v Rscript > /dev/null; then
    # shellcheck disable=SC2086 # the packages are words
    Rscript --vanilla -e 'p <- commandArgs(TRUE); q <- p[!nzchar(sapply(p,
      function(name) system.file(package = name)))]; if (length(q)) writeLines(paste0("r:", q))' \
      $wanted
  else
    echo "$wanted" | sed 's/^/r:/'
  fi
}
missing() {
  missing_tools
  missing_links
  missing_r
}

# One line that says what is missing and what to do.
give_up() {
  echo "setup: $1: $(echo "$lacking" | sed 's/^[a-z]*://; s/,.*//' | sort -u | tr '\n' ' ')" >&2
  exit 1
}

lacking=$(missing)
[ -z "$lacking" ] && exit 0
if command -v flock > /dev/null; then # make -j may run two set-ups at once
  exec 9< "$list"
  flock 9
  lacking=$(missing)
  [ -z "$lacking" ] && exit 0
fi
[ "$(id -u)" = 0 ] || give_up "run as root (sudo make setup), or install yourself what is missing"
command -v apt-get > /dev/null || give_up "no apt-get here; install yourself what is missing"

packages=$(echo "$rows" | while read -r _ check package; do
  echo "$lacking" | grep -qxF "$check" && [ "$package" != - ] && echo "$package"
done | sort -u | tr '\n' ' ')
if [ -n "$packages" ]; then
  echo "setup: apt-get install $packages"
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  # shellcheck disable=SC2086 # the packages are words
  if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends $packages; } \
    > "$log" 2>&1 < /dev/null; then
    tail -n 20 "$log" >&2
    give_up "apt-get failed (its last lines are above); missing"
  fi
  rm -f "$log"
fi

from_cran=$(echo "$rows" | while read -r _ check package; do
  [ "$package" = - ] && echo "${check#r:}"
done)
lacking=$(missing)
# shellcheck disable=SC2086 # the packages are words
for name in $from_cran; do
  echo "$lacking" | grep -qx "r:$name" || continue
  echo "setup: install.packages(\"$name\")"
  # The machine's own CRAN mirror if one is set, else the first of R's list.
  Rscript -e 'if (isTRUE(getOption("repos")[["CRAN"]] == "@CRAN@")) chooseCRANmirror(ind = 1)' \
    -e 'options(timeout = 600)' -e "install.packages(\"$name\", quiet = TRUE)" < /dev/null ||
    echo "setup: installing $name failed" >&2
done
lacking=$(missing)
[ -z "$lacking" ] || give_up "still missing"
