#!/usr/bin/env bash
# Builds, from Go modules into a cache, what the tests of operators run: tests of controller-runtime, which most operators are
# made with (a folder for each package with `suite`, the program, and what it reads), and cert-manager and Flux's
# kustomize-controller with what they are installed with, beside a small program on client-go. Skips what is there and as
# go.sum says. Needs Go >= 1.26 and a module proxy; on two cores that have nothing else to do the first takes some two minutes
# and the second some four, once. Exits with 3, saying why, where the modules cannot be had.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${OPERATORS_CACHE:-$HOME/.cache/bramble-operators}
export CGO_ENABLED=0 GOFLAGS="-trimpath -mod=readonly -buildvcs=false"
mkdir -p "$cache"

# What a program is made of: its modules, and what is written here.
sources_of() { # name
  cat "$here/$1/go.sum"
  find "$here/$1" -mindepth 2 -name '*.go' -print0 | sort -z | xargs -0 -r cat --
}

# What was built from other sources is built anew; true where nothing is to be done.
is_built() { # name file...
  local name=$1 file
  shift
  cmp -s <(sources_of "$name") "$cache/$name.sum" || return 1
  for file in "$@"; do [ -e "$cache/$file" ] || return 1; done
}

get_modules() { # name argument-of-go-list...
  local name=$1
  shift
  command -v go >/dev/null || { echo "there is no Go here, and Go 1.26 or newer is needed"; exit 3; }
  cd "$here/$name"
  rm -f "$cache/$name.sum"
  go list -deps "$@" >/dev/null || { echo "Go could not get the modules of $name"; exit 3; }
}

packages=$(sed -n 's/.*_ "\(.*\)"$/\1/p' "$here/programs/programs.go")
suites=$(for package in $packages; do echo "$(basename "$package")/suite"; done)
# shellcheck disable=SC2086
if ! is_built programs $suites; then
  get_modules programs -test $packages
  for package in $packages; do
    folder=$cache/$(basename "$package")
    rm -rf "$folder"
    mkdir -p "$folder"
    source=$(go list -f '{{.Dir}}' "$package")
    [ ! -d "$source/testdata" ] || cp -r --no-preserve=mode "$source/testdata" "$folder/"
    timeout 3600 go test -c -ldflags "-s -w" -o "$folder/suite.part" "$package"
    mv "$folder/suite.part" "$folder/suite"
  done
  sources_of programs >"$cache/programs.sum"
fi

module_folder() { # module
  go list -m -f '{{.Dir}}' "$1"
}

# The definitions of a program's kinds, out of a folder of its module.
take_definitions() { # program folder
  rm -rf "$cache/definitions/$1"
  mkdir -p "$cache/definitions/$1"
  install -m 644 "$2"/*.yaml "$cache/definitions/$1/"
}

if ! is_built installed bin/cert-manager bin/kustomize-controller bin/informers definitions/source-controller; then
  get_modules installed ./cert-manager ./informers github.com/fluxcd/kustomize-controller
  take_definitions cert-manager "$(module_folder github.com/cert-manager/cert-manager)/deploy/crds"
  take_definitions kustomize-controller "$(module_folder github.com/fluxcd/kustomize-controller)/config/crd/bases"
  # Of the program that serves sources the definitions alone are needed, as they are in the version whose types are used here.
  sources=github.com/fluxcd/source-controller
  sources=$sources@$(go list -m -f '{{.Version}}' $sources/api)
  take_definitions source-controller "$(go mod download -json "$sources" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')/config/crd/bases"
  # The programs last: the tests run where these are.
  mkdir -p "$cache/bin"
  timeout 3600 go build -ldflags "-s -w" -o "$cache/bin/" ./cert-manager ./informers github.com/fluxcd/kustomize-controller
  sources_of installed >"$cache/installed.sum"
fi
echo "in $cache: $(cd "$cache" && echo *)"
