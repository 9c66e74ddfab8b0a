#!/usr/bin/env bash
# Builds, from Go modules into a cache, what the tests of operators run: tests of controller-runtime, which most operators are
# made with: a folder for each package with `suite`, the program, and what it reads. Skips what is there and as go.sum says.
# Needs Go >= 1.26 and a module proxy; some two minutes on two cores, once. Exits with 3, saying why, where the modules cannot
# be had.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${OPERATORS_CACHE:-$HOME/.cache/bramble-operators}
export CGO_ENABLED=0 GOFLAGS="-trimpath -mod=readonly -buildvcs=false"
mkdir -p "$cache"

# What was built from other modules is built anew; true where nothing is to be done.
is_built() { # name file...
  local name=$1 file
  shift
  cmp -s "$here/$name/go.sum" "$cache/$name.sum" || return 1
  for file in "$@"; do [ -e "$cache/$file" ] || return 1; done
}

get_modules() { # name
  command -v go >/dev/null || { echo "there is no Go here, and Go 1.26 or newer is needed"; exit 3; }
  cd "$here/$1"
  rm -f "$cache/$1.sum"
  go mod download || { echo "Go could not get the modules of $1"; exit 3; }
}

packages=$(sed -n 's/.*_ "\(.*\)"$/\1/p' "$here/programs/programs.go")
suites=$(for package in $packages; do echo "$(basename "$package")/suite"; done)
# shellcheck disable=SC2086
if ! is_built programs $suites; then
  get_modules programs
  for package in $packages; do
    folder=$cache/$(basename "$package")
    rm -rf "$folder"
    mkdir -p "$folder"
    source=$(go list -f '{{.Dir}}' "$package")
    [ ! -d "$source/testdata" ] || cp -r --no-preserve=mode "$source/testdata" "$folder/"
    timeout 1200 go test -c -ldflags "-s -w" -o "$folder/suite.part" "$package"
    mv "$folder/suite.part" "$folder/suite"
  done
  cp go.sum "$cache/programs.sum"
fi
echo "in $cache: $(cd "$cache" && echo *)"
