#!/usr/bin/env bash
# Keeps Bramble, and Docker where nothing else starts it, running on a machine without systemd.
#   supervise start|stop|restart|status [NAME]     without a NAME: each that is there
# NAME is a script in /etc/bramble/supervised. What fails is started again, later each time. Its output goes, with the
# time, to /var/log/bramble/NAME.log; at 5 MB that becomes NAME.log.1, so that a log never takes more than 10 MB.
set -euo pipefail

programs=/etc/bramble/supervised
state=/run/bramble/supervise
logs=/var/log/bramble
most_log_bytes=5000000
longest_pause_s=60
stop_within_s=60
# What Bramble ends with when its state is damaged and somebody must decide.
gives_up_status=78

# The PID in a file, if that process is still there and is what it was: PIDs come again after a reboot.
alive() { # file
  local pid began
  [ -r "$1" ] || return 1
  read -r pid began <"$1" || return 1
  [ "$(began_at "$pid")" = "$began" ] && echo "$pid"
}

began_at() { # pid
  # Field 22 of /proc/PID/stat; the name before it may hold blanks.
  local stat
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 0
  # shellcheck disable=SC2086
  set -- ${stat##*) }
  echo "${20}"
}

remember() { # pid file
  echo "$1 $(began_at "$1")" >"$2"
}

write_log() { # name
  local file=$logs/$1.log size line
  # The Z after a time says so.
  export TZ=UTC0
  size=$(stat -c %s "$file" 2>/dev/null || echo 0)
  while IFS= read -r line; do
    printf '%(%FT%TZ)T %s\n' -1 "$line" >>"$file"
    size=$((size + ${#line} + 22))
    if [ "$size" -gt "$most_log_bytes" ]; then
      mv "$file" "$file.1"
      size=0
    fi
  done
}

# Runs in the background, in a session of its own, until it is told to end.
run() { # name
  local name=$1 child='' pause=1 began status ending=''
  remember $$ "$state/$name.pid"
  exec > >(exec "$0" log "$name") 2>&1 </dev/null
  # Keys and Secrets are in its memory: none of that is written to the card if it crashes. What Docker runs may.
  case $name in bramble-*) ulimit -c 0 ;; esac
  # The program alone is told: what it started for pods goes on.
  trap 'ending=yes; [ -z "$child" ] || kill "$child" 2>/dev/null || true' TERM INT
  trap '' HUP
  while [ -z "$ending" ]; do
    began=$SECONDS status=0
    "$programs/$name" &
    child=$!
    remember "$child" "$state/$name.child"
    # A signal ends `wait` before the child ends.
    while :; do
      status=0
      wait "$child" || status=$?
      kill -0 "$child" 2>/dev/null || break
    done
    rm -f "$state/$name.child"
    [ -z "$ending" ] || break
    if [ "$status" = "$gives_up_status" ]; then
      echo "supervise: $name ended with status $status: its state is damaged, and it says above what to do. It is not started again by itself"
      break
    fi
    # What ends in good order asks to be started anew, as an agent does that was upgraded: that is no failure.
    if [ "$status" = 0 ] || [ $((SECONDS - began)) -ge "$longest_pause_s" ]; then pause=1; fi
    echo "supervise: $name ended with status $status; starting it again in $pause s"
    sleep "$pause" &
    child=$!
    wait "$child" || true
    pause=$((pause * 2 > longest_pause_s ? longest_pause_s : pause * 2))
  done
  rm -f "$state/$name.pid"
}

start() { # name
  if alive "$state/$1.pid" >/dev/null; then
    echo "$1 is running"
    return 0
  fi
  [ -x "$programs/$1" ] || { echo "supervise: there is no $programs/$1" >&2; return 1; }
  mkdir -p "$state" "$logs"
  setsid "$0" run "$1" </dev/null >/dev/null 2>&1 &
  disown
  for ((i = 0; i < 50; i++)); do
    if alive "$state/$1.pid" >/dev/null; then
      echo "$1 started; its log: $logs/$1.log"
      return 0
    fi
    sleep 0.1
  done
  echo "supervise: $1 does not start" >&2
  return 1
}

stop() { # name
  local pid
  pid=$(alive "$state/$1.pid") || { echo "$1 is not running"; return 0; }
  kill "$pid"
  for ((i = 0; i < stop_within_s * 10; i++)); do
    alive "$state/$1.pid" >/dev/null || { echo "$1 stopped"; return 0; }
    sleep 0.1
  done
  echo "supervise: $1 does not end within $stop_within_s s; killing it" >&2
  local child
  child=$(alive "$state/$1.child") && kill -KILL "$child"
  kill -KILL "$pid" 2>/dev/null || true
  rm -f "$state/$1.pid" "$state/$1.child"
}

status() { # name
  local child
  if child=$(alive "$state/$1.child"); then
    echo "$1 runs (PID $child)"
  else
    echo "$1 does not run"
    return 1
  fi
}

names() {
  local program
  # Docker comes before who uses it.
  for program in "$programs"/dockerd "$programs"/bramble-*; do
    if [ -x "$program" ]; then basename "$program"; fi
  done
}

case ${1:-} in
  run) run "$2" ;;
  log) write_log "$2" ;;
  start | stop | status | restart)
    failed=0
    for name in ${2:-$(names)}; do
      case $1 in
        restart)
          stop "$name"
          start "$name" || failed=1
          ;;
        *) "$1" "$name" || failed=1 ;;
      esac
    done
    exit "$failed"
    ;;
  *)
    echo "usage: $0 start|stop|restart|status [NAME]" >&2
    exit 2
    ;;
esac
