#!/usr/bin/env bash
# Builds tests of controller-runtime, which most operators are made with, from Go modules into a cache, skipping what is
# there: a folder for each package with `suite`, the program, and what it reads. Needs Go >= 1.26 and a module proxy; some two
# minutes on two cores, once.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${OPERATORS_CACHE:-$HOME/.cache/bramble-operators}
cd "$here/programs"
export CGO_ENABLED=0 GOFLAGS="-trimpath -mod=readonly -buildvcs=false"
for package in $(sed -n 's/.*_ "\(.*\)"$/\1/p' programs.go); do
  folder=$cache/$(basename "$package")
  [ -x "$folder/suite" ] && continue
  mkdir -p "$folder"
  source=$(go list -f '{{.Dir}}' "$package")
  [ ! -d "$source/testdata" ] || cp -r --no-preserve=mode "$source/testdata" "$folder/"
  timeout 1200 go test -c -ldflags "-s -w" -o "$folder/suite.part" "$package"
  mv "$folder/suite.part" "$folder/suite"
done
echo "in $cache: $(ls "$cache" | xargs)"
