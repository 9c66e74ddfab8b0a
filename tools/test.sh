#!/usr/bin/env bash
# `npm test`: installs what is missing, then checks and tests everything. Ends with `N passed, N failed, N skipped`.
#   BRAMBLE_TEST_STAGES="check unit"   runs only these stages: check build unit e2e arm64 conformance
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
stages=${BRAMBLE_TEST_STAGES:-check build unit e2e arm64 conformance}
log=$(mktemp -d)
passed=0 failed=0 skipped=0

wanted() { [[ " $stages " == *" $1 "* ]]; }

# One check counts as one test; its output shows when it fails.
check() { # name command...
  local name=$1 began=$SECONDS
  shift
  if "$@" >"$log/check" 2>&1; then
    passed=$((passed + 1))
    echo "ok    $name ($((SECONDS - began)) s)"
  else
    failed=$((failed + 1))
    echo "FAIL  $name ($((SECONDS - began)) s)"
    tail -n 60 "$log/check"
  fi
}

# Adds the counts that a log ends with, by the patterns of its runner.
count() { # log pass-pattern fail-pattern skip-pattern
  passed=$((passed + $(last_number "$1" "$2")))
  failed=$((failed + $(last_number "$1" "$3")))
  skipped=$((skipped + $(last_number "$1" "$4")))
}
last_number() { # log pattern
  local number
  number=$(sed -nE "s/$2/\\1/p" "$1" | tail -n 1)
  echo "${number:-0}"
}

finish() {
  echo "log: $log"
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
  exit
}

tools/prerequisites.sh || { echo "prerequisites are missing"; failed=1; finish; }

if wanted check; then
  check "types" npx tsc --noEmit
  check "lint and format" npx biome check --error-on-warnings .
  check "import directions" npx bun tools/check-imports.ts
  # Not among the prerequisites: a machine without it tests all the rest.
  command -v shellcheck >/dev/null && check "shell scripts" npm run --silent lint:shell
fi
wanted build && check "build for x64 and arm64" npx bun tools/build.ts

# Runs test files with Bun and adds their counts. Servers and containers take their time on a small machine.
bun_tests() { # name path...
  local name=$1 status
  shift
  echo "$name:"
  npx bun test --timeout 300000 "$@" 2>&1 | tee "$log/$name" | grep -E '^\(fail\)|^error:|^ +[0-9]+ (pass|fail|skip)' || true
  status=${PIPESTATUS[0]}
  count "$log/$name" '^ +([0-9]+) pass$' '^ +([0-9]+) fail$' '^ +([0-9]+) skip$'
  # What each failure said before: a chance that struck once may not strike again for who looks for it.
  [ "$status" = 0 ] || grep -B 40 '^(fail)' "$log/$name" | grep -v '^(pass)'
  # A crash of the runner itself must not pass for success.
  if [ "$status" != 0 ] && ! grep -qE '^ +[1-9][0-9]* fail$' "$log/$name"; then
    failed=$((failed + 1))
    tail -n 40 "$log/$name"
  fi
}

# Operators are programs that others wrote, built once a machine. Where their modules cannot be had, their tests are skipped,
# and this says why; where they do not build, that is a failure.
build_operators() {
  local status=0
  test/operators/build.sh >"$log/operators" 2>&1 || status=$?
  if [ "$status" = 3 ]; then
    echo "operators: their tests are skipped: $(tail -n 1 "$log/operators")"
  elif [ "$status" != 0 ]; then
    failed=$((failed + 1))
    echo "FAIL  build of operators"
    tail -n 40 "$log/operators"
  fi
}

# With ./ in front they are paths; without, Bun would take them for parts of names.
mapfile -t folders < <(find ./test -mindepth 1 -maxdepth 1 -type d ! -name e2e ! -name guest ! -name conformance ! -name fixtures ! -name support | sort)
wanted unit && build_operators
wanted unit && bun_tests unit ./command-line.test.ts ./documents.test.ts ./shared ./master ./agent ./tools "${folders[@]}"
wanted e2e && bun_tests e2e ./test/e2e

wanted arm64 && check "arm64 binary on a Cortex-A53" tools/test-arm64.sh

if wanted conformance; then
  tools/test-conformance.sh 2>&1 | tee "$log/conformance"
  # Without its closing line the suite did not run, whatever the exit code was.
  grep -qE '^[0-9]+ passed, [0-9]+ failed' "$log/conformance" || failed=$((failed + 1))
  count "$log/conformance" '^([0-9]+) passed, .*$' '^[0-9]+ passed, ([0-9]+) failed.*$' '^.*, ([0-9]+) skipped$'
fi
finish
