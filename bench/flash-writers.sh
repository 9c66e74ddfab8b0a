#!/bin/sh
# shellcheck disable=SC3043
# Who writes to this board's card: measures SECONDS (default 1800) of whatever the board does, changes nothing, and prints
#   - the sectors that reached the block device, and ext4's commits;
#   - what each process had the kernel write, to any disk, the children that it waited for among it;
#   - the same by systemd's units, where cgroups v2 account for it; what is the kernel's own is ext4's journal;
#   - the files that changed, and which programs had lines for the system's journal.
# Run as root on the board, idle: sudo sh flash-writers.sh [SECONDS]. The mount that holds FLASH_FOLDER (/var/lib) is looked at. It
# writes to /run alone.
set -eu

seconds=${1:-1800}
target=${FLASH_FOLDER:-/var/lib}
work=$(mktemp -d /run/flash-writers.XXXXXX)
[ "$(id -u)" = 0 ] || { echo "flash-writers: this needs root" >&2; exit 1; }

mount_point=$(df -P "$target" | awk 'NR == 2 { print $6 }')
device_number=$(mountpoint -d "$mount_point")
partition=$(basename "$(readlink -f "/sys/dev/block/$device_number")")
# A partition's own folder in /sys counts what went to it alone.
block=/sys/dev/block/$device_number

now() { cut -d' ' -f1 /proc/uptime; }

trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# ---------------------------------------------------------------- counters, before and after

# One file a kind of counter, `key TAB bytes` a line.
snapshot() { # name
  awk '{ print $7 * 512, $5, $16 + 0 }' "$block/stat" >"$work/$1.device"
  processes >"$work/$1.processes"
  find /sys/fs/cgroup -name io.stat 2>/dev/null | while read -r file; do
    awk -v disk="$(disk_number)" -v unit="${file%/io.stat}" '$1 == disk { sub(/.*wbytes=/, ""); print unit "\t" $1 + 0 }' "$file" 2>/dev/null || true
  done >"$work/$1.units"
  awk 'NR == 1 { commits = $1 } /logged blocks per transaction/ { print commits, $1 }' "/proc/fs/jbd2/$partition-8/info" 2>/dev/null >"$work/$1.journal" || true
}

# Of the whole disk, by which cgroups count.
disk_number() {
  local disk
  disk=$(readlink -f "$block")
  [ ! -e "$disk/partition" ] || disk=$(dirname "$disk")
  cat "$disk/dev"
}

# `PID start TAB written cancelled TAB name (unit)` a line. One grep for all: a slow board takes long to start programs.
processes() {
  grep -s '' /proc/[0-9]*/io /proc/[0-9]*/cgroup /proc/[0-9]*/comm /proc/[0-9]*/stat | awk '
    {
      split($0, path, "/")
      pid = path[3]
      file = path[4]
      sub(/:.*/, "", file)
      line = substr($0, index($0, ":") + 1)
    }
    file == "io" && line ~ /^write_bytes/ { sub(/.*: /, "", line); written[pid] = line }
    file == "io" && line ~ /^cancelled/ { sub(/.*: /, "", line); cancelled[pid] = line }
    file == "cgroup" && line ~ /^0::/ { sub(/.*\//, "", line); unit[pid] = substr(line, 1, 24) }
    file == "comm" { name[pid] = line }
    file == "stat" { sub(/.*\) /, "", line); split(line, field, " "); start[pid] = field[20] }
    END {
      for (pid in written)
        printf "%s %s\t%s %s\t%s (%s)\n", pid, start[pid], written[pid], cancelled[pid], name[pid], (unit[pid] == "" ? "kernel" : unit[pid])
    }'
}

# Bytes more than before, by name; of several processes of one name, their sum.
processes_between() {
  awk -F'\t' '
    { split($2, n, " ") }
    NR == FNR { before[$1] = n[1]; cancelled[$1] = n[2]; next }
    { written[$3] += n[1] - before[$1]; gone[$3] += n[2] - cancelled[$1] }
    END { for (name in written) if (written[name] > 0) printf "%d %s%s\n", written[name], name, (gone[name] > 0 ? ", of it deleted before it was written: " int(gone[name] / 1024) " kB" : "") }
  ' "$work/before.processes" "$work/after.processes" | sort -rn
}

# A unit's own alone: what its children have is told by theirs.
units_between() {
  awk -F'\t' '
    NR == FNR { before[$1] = $2; next }
    { grown[$1] = $2 - before[$1] }
    END {
      for (unit in grown) own[unit] = grown[unit]
      for (unit in grown) { parent = unit; if (sub("/[^/]*$", "", parent) && parent in own) own[parent] -= grown[unit] }
      for (unit in own) if (own[unit] > 0) { name = unit; sub("/sys/fs/cgroup/?", "", name); printf "%d %s\n", own[unit], (name == "" ? "the kernel itself (journal and what it writes for nobody)" : name) }
    }
  ' "$work/before.units" "$work/after.units" | sort -rn
}

table() { # title; `bytes name` lines on stdin
  echo
  echo "## $1 (kB an hour)"
  awk -v s="$elapsed" '{ b = $1; sub(/^[^ ]* /, ""); kb = b / 1024 * 3600 / s; if (kb >= 0.5) printf "%10.0f  %s\n", kb, $0 }' | head -n "${2:-25}"
}

# ---------------------------------------------------------------- the measurement

sync
: >"$work/stamp"
began=$(now) began_s=$(date +%s)
snapshot before
sleep "$seconds"
ended=$(now)
snapshot after
elapsed=$(echo "$ended" | awk -v began="$began" '{ print $1 - began }')

echo "# $(uname -n), $mount_point on $partition ($(awk -v m="$mount_point" '$2 == m { print $3, $4 }' /proc/mounts | tail -n 1)), ${elapsed} s"
paste -d' ' "$work/before.device" "$work/after.device" | awk -v s="$elapsed" '{
  printf "written to the device: %.0f kB in all, %.0f kB an hour, %.3f GB a day; %d writes, %d flushes\n", ($4 - $1) / 1024, ($4 - $1) / 1024 * 3600 / s, ($4 - $1) * 86400 / s / 1e9, $5 - $2, $6 - $3 }'
[ ! -s "$work/after.journal" ] || paste -d' ' "$work/before.journal" "$work/after.journal" |
  awk '{ print "ext4 journal: " $3 - $1 " commits (blocks each, on average since boot: " $4 ")" }'
processes_between | table "by process"
units_between | table "by unit"
echo
echo "## files that changed"
find "$mount_point" -xdev -newer "$work/stamp" -printf '%s bytes  %T+  %p\n' 2>/dev/null | sort -k2 | tail -n 60

if command -v journalctl >/dev/null; then
  echo
  echo "## lines that the system's journal took"
  journalctl --quiet --no-pager --output short --since "@$began_s" |
    awk '{ program = $5; sub(/(\[[0-9]+\])?:$/, "", program); lines[program]++ } END { for (program in lines) print lines[program], program }' |
    sort -rn | head -n 15
fi
