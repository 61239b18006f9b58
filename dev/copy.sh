#!/bin/sh
# Copy the package's sources into a directory to build in. Usage: dev/copy.sh <directory>
# Only files whose content changed are written, so that objects which lie there stay good; files
# that are gone are removed; a changed header removes all objects, as R's make knows no headers.
set -eu
to=$1
mkdir -p "$to"
rooms="DESCRIPTION NAMESPACE LICENSE README.md NEWS.md .Rbuildignore R src man tests inst vignettes data"
list=$(mktemp)
trap 'rm -f "$list"' EXIT
for room in $rooms; do
  [ ! -e "$room" ] || find "$room" -type f ! -name '*.o' ! -name '*.so'
done | LC_ALL=C sort > "$list"

headers=0
while read -r file; do
  cmp -s "$file" "$to/$file" && continue
  mkdir -p "$to/$(dirname "$file")"
  cp "$file" "$to/$file"
  case $file in *.h | */Makevars*) headers=1 ;; esac
done < "$list"
(cd "$to" && find . -type f ! -name '*.o' ! -name '*.so' | sed 's|^\./||') | LC_ALL=C sort |
  LC_ALL=C comm -13 "$list" - | while read -r file; do rm -f "$to/$file"; done
[ "$headers" = 0 ] || find "$to" -name '*.o' -exec rm -f {} +
