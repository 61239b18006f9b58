#!/bin/sh
# R CMD build and R CMD check of the copy in <directory>/src; fails unless the check is spotless.
# Usage: dev/check.sh <directory> <name of the tarball>
set -eu
unset MAKEFLAGS MAKELEVEL MFLAGS # R runs make by itself
cd "$1"
rm -rf ./*.tar.gz ./*.Rcheck
R CMD build src > build.log 2>&1 || {
  cat build.log
  exit 1
}
# No network, no clock on the network; suggested packages that are not there are no fault.
export _R_CHECK_CRAN_INCOMING_=false _R_CHECK_FORCE_SUGGESTS_=false _R_CHECK_SYSTEM_CLOCK_=0
R CMD check --as-cran --no-manual "$2" > check.log 2>&1 || true
grep -E '(NOTE|WARNING|ERROR)$|^Status' check.log || tail -n 20 check.log
if ! grep -qx 'Status: OK' check.log; then
  sed -n '/\(NOTE\|WARNING\|ERROR\)$/,/^\*/p' check.log
  cat ./*.Rcheck/tests/*.fail 2> /dev/null | tail -n 60
  ! grep -q 'installed ... ERROR$' check.log || grep -v '^gcc ' ./*.Rcheck/00install.out
  exit 1
fi
