#!/usr/bin/env bash
# Installs, into a cache, what the tests of client libraries run: `python`, a virtual environment, and `java`, jars and classes;
# each by the ordinary client of its registry, in the versions that are pinned here. Skips what is there as pins and sources
# say. On two cores that have nothing else to do it takes less than a minute, once. Exits with 3, saying why, where something
# cannot be had.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${CLIENTS_CACHE:-$HOME/.cache/bramble-clients}
mkdir -p "$cache"
lacking=

# What a language's programs are installed from.
sources_of() { # file-or-folder
  (cd "$here" && find "$1" -type f -print0 | sort -z | xargs -0 cat)
}
is_built() { # name file-or-folder
  cmp -s <(sources_of "$2") "$cache/$1.sum"
}

if ! is_built python python/requirements.txt; then
  rm -rf "$cache/python" "$cache/python.sum"
  if ! command -v python3 >/dev/null || ! python3 -m venv "$cache/python"; then
    lacking+="; there is no Python with venv here, and 3.11 or newer is needed"
  elif ! "$cache/python/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: -r "$here/python/requirements.txt"; then
    rm -rf "$cache/python"
    lacking+="; pip could not get the packages of the Python clients"
  else
    sources_of python/requirements.txt >"$cache/python.sum"
  fi
fi

if ! is_built java java; then
  rm -rf "$cache/java" "$cache/java.sum"
  if ! command -v javac >/dev/null || ! command -v mvn >/dev/null; then
    lacking+="; there is no JDK with Maven here, and 17 or newer is needed"
  elif ! mvn -q -B -f "$here/java/pom.xml" dependency:copy-dependencies -DoutputDirectory="$cache/java/jars"; then
    rm -rf "$cache/java"
    lacking+="; Maven could not get the packages of the Java clients"
  else
    # The classes last: the tests run where these are.
    javac -nowarn -Xlint:-options --release 17 -encoding UTF-8 -cp "$cache/java/jars/*" -d "$cache/java/classes" \
      "$here"/java/programs/*.java
    sources_of java >"$cache/java.sum"
  fi
fi

if [ -n "$lacking" ]; then
  echo "${lacking#; }"
  exit 3
fi
echo "in $cache: $(cd "$cache" && echo *)"
