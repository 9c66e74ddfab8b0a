#!/usr/bin/env bash
# `npm test`: installs what is missing, then checks and tests everything. Most tests wait more than they compute, so they run in
# lanes beside each other, whose lines begin with the lane's name. Ends with `N passed, N failed, N skipped`.
#   BRAMBLE_TEST_STAGES="check unit"   runs only these stages: check build unit e2e arm64 conformance
# Lanes run functions by their names, which shellcheck does not see:
# shellcheck disable=SC2317
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
stages=${BRAMBLE_TEST_STAGES:-check build unit e2e arm64 conformance}
# shellcheck source=tools/test-lanes.sh
. tools/test-lanes.sh

wanted() { # stage...
  local stage
  for stage in "$@"; do [[ " $stages " != *" $stage "* ]] || return 0; done
  return 1
}

# What others wrote is built once a machine, by minutes of Go that keep all processors busy: the suite first, since the lane that
# waits for it has the most to do. Where it does not build, its stage tries again, and fails.
build_suite() {
  tools/test-conformance.sh build
}

# Where operators' modules or clients' packages cannot be had, their tests are skipped, and this says why; where they do not build,
# that is a failure.
build_others() { # folder
  local status=0
  "test/$1/build.sh" >"$log/$1.build" 2>&1 || status=$?
  if [ "$status" = 3 ]; then
    echo "their tests are skipped: $(tail -n 1 "$log/$1.build")"
  elif [ "$status" != 0 ]; then
    failed=$((failed + 1))
    echo "FAIL  build of $1"
    tail -n 40 "$log/$1.build"
  fi
}
build_operators() {
  until_ended suite
  build_others operators
}
build_clients() {
  build_others clients
}

test_sources() {
  if wanted check; then
    check "types" npx tsc --noEmit
    check "lint and format" npx biome check --error-on-warnings .
    check "import directions" npx bun tools/check-imports.ts
    # Not among the prerequisites: a machine without it tests all the rest.
    command -v shellcheck >/dev/null && check "shell scripts" npm run --silent lint:shell
  fi
  wanted unit && bun_tests unit ./command-line.test.ts ./documents.test.ts ./shared ./master ./agent ./tools
}

test_servers() {
  # With ./ in front they are paths; without, Bun would take them for parts of names.
  mapfile -t folders < <(find ./test -mindepth 1 -maxdepth 1 -type d ! -name e2e ! -name guest ! -name conformance \
    ! -name fixtures ! -name operators ! -name clients ! -name differential | sort)
  bun_tests servers "${folders[@]}"
  until_ended operators
  bun_tests operators ./test/operators
}

# What upstream answered, said again: as long as all other tests with servers.
test_differential() {
  bun_tests differential ./test/differential
}

test_boards() {
  until_ended clients
  wanted e2e && bun_tests e2e --parallel=2 --no-isolate ./test/e2e
  wanted arm64 && check "arm64 binary on a Cortex-A53" tools/test-arm64.sh
  wanted conformance && until_ended suite && conformance
}

conformance() {
  tools/test-conformance.sh 2>&1 | tee "$log/conformance"
  # Without its closing line the suite did not run, whatever the exit code was.
  grep -qE '^[0-9]+ passed, [0-9]+ failed' "$log/conformance" || failed=$((failed + 1))
  count "$log/conformance" '^([0-9]+) passed, .*$' '^[0-9]+ passed, ([0-9]+) failed.*$' '^.*, ([0-9]+) skipped$'
}

tools/prerequisites.sh || { echo "prerequisites are missing"; failed=1; finish; }
wanted conformance && lane suite build_suite
wanted unit && lane operators build_operators
wanted e2e && lane clients build_clients
# What the others run.
wanted build && check "build for x64 and arm64" npx bun tools/build.ts
wanted check unit && lane sources test_sources
wanted unit && lane servers test_servers
wanted unit && lane differential test_differential
wanted e2e arm64 conformance && lane boards test_boards
finish
