# shellcheck shell=bash
# What tools/test.sh is made of: lanes that run beside each other, and tests that are counted.
# Each lane counts for itself, which is meant:
# shellcheck disable=SC2030,SC2031

log=$(mktemp -d)
passed=0 failed=0 skipped=0
# Names, and process groups by them.
lanes=()
declare -A groups=()
# So many failed tests may be asked again.
most_again=3

# Runs a function beside the rest. What it counted is in a file once it has come to its end.
lane() { # name function
  local name=$1
  # As a job a lane is a process group of its own, which can be ended as a whole.
  set -m
  {
    passed=0 failed=0 skipped=0 SECONDS=0
    "$2"
    echo "$passed $failed $skipped" >"$log/$name.counts"
    echo "$passed passed, $failed failed, $skipped skipped in $SECONDS s"
  } </dev/null 2>&1 | sed -u "s/^/$name: /" &
  set +m
  lanes+=("$name")
  groups[$name]=$(jobs -p %%)
}

# Waits for another lane's end, whatever became of it; a lane that was not started has ended.
until_ended() { # lane
  [ -z "${groups[$1]:-}" ] || tail --pid="${groups[$1]}" -f /dev/null
}

end_lanes() {
  local group
  for group in "${groups[@]}"; do kill -- "-$group" 2>/dev/null; done
}
trap 'end_lanes; exit 130' INT TERM HUP

# Waits for all lanes, and ends with the sum of what they counted.
finish() {
  local name lane_passed lane_failed lane_skipped
  wait
  for name in "${lanes[@]}"; do
    if { read -r lane_passed lane_failed lane_skipped <"$log/$name.counts"; } 2>/dev/null; then
      passed=$((passed + lane_passed)) failed=$((failed + lane_failed)) skipped=$((skipped + lane_skipped))
    else
      # A crash must not pass for success.
      failed=$((failed + 1))
      echo "FAIL  the lane $name did not come to its end"
    fi
  done
  ask_again
  echo "log: $log"
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
  exit
}

# Lanes share processors, a kernel and a Docker: a few tests that failed beside each other are asked once more, whole files by
# themselves, and what they say then counts. Who failed is named all the same: a test or a program leans on who is quicker there.
ask_again() {
  local count file total=0 chances=()
  cat "$log"/*.failures >"$log/again" 2>/dev/null
  while read -r count _; do total=$((total + count)); done <"$log/again"
  # A crash, a check or a lane that failed is not asked again, nor tests beside them.
  { [ "$total" = "$failed" ] && [ "$total" -gt 0 ] && [ "$total" -le "$most_again" ]; } || return 0
  while read -r count file; do
    echo "again: $file"
    if npx bun test --timeout 300000 "./$file" </dev/null >"$log/again.output" 2>&1; then
      passed=$((passed + count)) failed=$((failed - count))
      chances+=("$file")
    else
      tail -n 60 "$log/again.output"
    fi
  done <"$log/again"
  for file in "${chances[@]}"; do
    echo "CHANCE  $file failed beside other lanes (see above) and passed by itself: find what it leans on"
  done
}

# One check counts as one test; its output shows when it fails.
check() { # name command...
  local name=$1 began=$SECONDS output
  shift
  output=$(mktemp -p "$log" check.XXXXXX)
  if "$@" >"$output" 2>&1; then
    passed=$((passed + 1))
    echo "ok    $name ($((SECONDS - began)) s)"
  else
    failed=$((failed + 1))
    echo "FAIL  $name ($((SECONDS - began)) s)"
    tail -n 60 "$output"
  fi
}

# Runs test files with Bun and adds their counts. Servers and containers take their time on a small machine.
bun_tests() { # name path...
  local name=$1 status
  shift
  echo "$name:"
  npx bun test --timeout 300000 --timings "$log/$name.json" --update-timings "$@" 2>&1 | tee "$log/$name" |
    grep --line-buffered -E '^\(fail\)|^error:|^ +[0-9]+ (pass|fail|skip)'
  status=${PIPESTATUS[0]}
  count "$log/$name" '^ +([0-9]+) pass$' '^ +([0-9]+) fail$' '^ +([0-9]+) skip$'
  # What each failure said before: a chance that struck once may not strike again for who looks for it.
  [ "$status" = 0 ] || grep -B 40 '^(fail)' "$log/$name" | grep -v '^(pass)'
  failures_by_file "$log/$name" >"$log/$name.failures"
  # A crash of the runner itself must not pass for success.
  if [ "$status" != 0 ] && ! grep -qE '^ +[1-9][0-9]* fail$' "$log/$name"; then
    failed=$((failed + 1))
    tail -n 40 "$log/$name"
  fi
  slowest_files "$log/$name.json"
}

# How many tests failed in which file, without what is said once more in the end.
failures_by_file() { # log
  awk '/^[^ ]+\.test\.ts:$/ { file = substr($0, 1, length($0) - 1) }
    /^[0-9]+ tests? failed:$/ { exit }
    /^\(fail\)/ { count[file]++ }
    END { for (file in count) print count[file], file }' "$1"
}

# Where to look for who wants a shorter run.
slowest_files() { # timings of Bun's, in milliseconds, the longest first
  sed -nE 's/^ *"(.+)": ([0-9]+)[0-9]{3}(\.[0-9]+)?,?$/slow  \1: \2 s/p' "$1" 2>/dev/null | head -n 5
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
