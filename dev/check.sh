#!/bin/sh
# R CMD build and R CMD check of the copy in <directory>/src; fails unless the check is spotless.
# Usage: dev/check.sh <directory> <name of the tarball> [full]
# "full" has the manual and the checks of incoming packages as well, and allows one note: that of a
# new submission.
set -eu
unset MAKEFLAGS MAKELEVEL MFLAGS # R runs make by itself
full=${3:-}
cd "$1"
rm -rf ./*.tar.gz ./*.Rcheck
R CMD build src > build.log 2>&1 || {
  cat build.log
  exit 1
}
# No clock on the network; suggested packages that are not there are no fault. Short of "full", no
# network at all.
export _R_CHECK_FORCE_SUGGESTS_=false _R_CHECK_SYSTEM_CLOCK_=0
if [ "$full" = full ]; then
  export R_RD4PDF='times,hyper' # no inconsolata, whose package is large
  # Whether pages elsewhere are there says nothing of the package: set to false to have them tried.
  : "${_R_CHECK_CRAN_INCOMING_SKIP_URL_CHECKS_IF_REMOTE_:=true}"
  export _R_CHECK_CRAN_INCOMING_SKIP_URL_CHECKS_IF_REMOTE_
  manual=
else
  export _R_CHECK_CRAN_INCOMING_=false
  manual=--no-manual
fi
# shellcheck disable=SC2086 # nothing, or one word
R CMD check --as-cran $manual "$2" > check.log 2>&1 || true
grep -E '(NOTE|WARNING|ERROR)$|^Status' check.log || tail -n 20 check.log

# What the check says besides OK.
said=$(sed -n '/\(NOTE\|WARNING\|ERROR\)$/,/^\*/p' check.log)
allowed() {
  grep -qx 'Status: OK' check.log && return
  [ "$full" = full ] && grep -qx 'Status: 1 NOTE' check.log &&
    ! echo "$said" | grep -qvE '^(\*.*| *NOTE|Status: .*|)$|^Maintainer: |^New submission$'
}
if ! allowed; then
  echo "$said"
  cat ./*.Rcheck/tests/*.fail 2> /dev/null | tail -n 60
  ! grep -q 'installed ... ERROR$' check.log || grep -v '^gcc ' ./*.Rcheck/00install.out
  exit 1
fi
[ "$full" != full ] || echo "$said" | grep -E '^Maintainer: |^New submission$' || true
