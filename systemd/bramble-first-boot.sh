#!/bin/sh
# shellcheck shell=dash
# Makes a board join by itself when it starts for the first time: without a screen, with one settings file on the card's boot
# partition. docs/install.md says how; on the card, beside each other:
#
#   bramble.conf             the settings below
#   bramble-first-boot.sh    this script
#   bramble-bundle/          for a board without internet, or a first master: a release or bundle (tools/bundle.sh)
#   install.sh               instead of it, for a worker that is to find its master by mDNS
#
# and as a command for the first boot: sh /boot/firmware/bramble-first-boot.sh
#
#   bramble-first-boot.sh              arms this board: a systemd unit goes on until the board has joined, over restarts and
#                                      power cuts, and then removes itself, and the token from the boot partition
#   bramble-first-boot.sh run          what the unit does
#   bramble-first-boot.sh user-data FILE
#                                      on any computer: prints user-data for cloud-init that holds this script and the settings
#
# Settings, a line each; # begins a comment:
#   role=worker              or master
#   server=https://pi-1.local:6443    the master to join; without it a worker looks by mDNS
#   token=BR1…               from `bramble token create`
#   name=NAME                name of the Node (default: the host name)
#   label=KEY=VALUE          label of the Node; may come again
#   taint=KEY=VALUE:EFFECT   likewise
#   flags=--low-memory on    further flags of `bramble worker` or `bramble master`
#   journal=volatile         as INSTALL_BRAMBLE_JOURNAL of install.sh
#   release=URL              where to download a release, as INSTALL_BRAMBLE_URL (a joining board asks its master)
#   version=VERSION          the version in that URL
# How it goes is in bramble-first-boot.log on the boot partition, on the console and in the journal.
set -eu

boots='/boot/firmware /boot'
etc=/etc/bramble
home=/usr/local/lib/bramble/first-boot
state=/var/lib/bramble-first-boot
units=/etc/systemd/system
unit=bramble-first-boot.service
identity=/var/lib/bramble/agent/identity/board.json
log_bytes=200000
clock_wait_s=120
longest_pause_s=600

has() { command -v "$1" >/dev/null 2>&1; }
has_systemd() { [ -d /run/systemd/system ]; }

# By rename, so that a power cut leaves the old file or the new one. FAT keeps no journal: what it is told goes out at once.
put() { # new old
  sync -f "$1" 2>/dev/null || sync
  mv "$1" "$2"
  sync -f "$2" 2>/dev/null || sync
}

# ---------------------------------------------------------------- what a person sees

say() {
  local line
  line="$(date -u +%FT%TZ) $*"
  echo "bramble-first-boot: $*"
  # A boot partition that cannot be written hides the log, and keeps no board from joining.
  [ -z "$boot" ] || echo "$line" >>"$boot/bramble-first-boot.log" 2>/dev/null || true
}

# Of each attempt the boot partition gets what install.sh itself says; a failure that it has already, not again.
shown() {
  grep -E '^(bramble: |    mend: |FAIL |        mend: )' "$1" || true
}

bound_log() {
  local file=$boot/bramble-first-boot.log
  if [ -n "$boot" ] && [ -f "$file" ] && [ "$(stat -c %s "$file")" -gt "$log_bytes" ]; then
    tail -c $((log_bytes / 4)) "$file" >"$file.new" && put "$file.new" "$file"
  fi
}

# ---------------------------------------------------------------- settings

# The boot partition, if it has settings, what to install from, or the user-data that the settings came with; else nothing.
find_boot() {
  local folder file
  boot=''
  for folder in $boots; do
    for file in bramble.conf bramble-bundle user-data; do
      if [ -e "$folder/$file" ]; then boot=$folder; return 0; fi
    done
  done
}

# What a person mends on the boot partition counts before what was kept.
settings_file() {
  if [ -n "$boot" ] && [ -f "$boot/bramble.conf" ]; then echo "$boot/bramble.conf"; else echo "$etc/first-boot.conf"; fi
}

# Sets the variables of the settings. Editors of other systems end lines with CR and may begin the file with a mark.
read_settings() { # file
  local line key value number=0 mark
  role=worker server='' token='' flags='' journal='' release='' version=''
  problem=''
  mark=$(printf '\357\273\277')
  [ -f "$1" ] || { problem="there is no $1"; return 0; }
  while IFS= read -r line || [ -n "$line" ]; do
    number=$((number + 1))
    line=$(printf %s "$line" | tr -d '\r')
    line=${line#"$mark"}
    case $line in '' | \#*) continue ;; esac
    key=$(trimmed "${line%%=*}")
    value=$(trimmed "${line#*=}")
    case $line in *=*) ;; *) wrong "$1" "$number" "expected KEY=VALUE"; continue ;; esac
    case $key in
      role)
        case $value in master | worker) role=$value ;; *) wrong "$1" "$number" "role: expected master or worker, got $value" ;; esac ;;
      server)
        case $value in https://?*) server=$value ;; *) wrong "$1" "$number" "server: expected https://HOST:6443, got $value" ;; esac ;;
      token) token=$value ;;
      name) is_word "$value" && flags="$flags --node-name $value" || wrong "$1" "$number" "name: expected one word, got $value" ;;
      label) is_word "$value" && flags="$flags --node-label $value" || wrong "$1" "$number" "label: expected KEY=VALUE, got $value" ;;
      taint) is_word "$value" && flags="$flags --node-taint $value" || wrong "$1" "$number" "taint: expected KEY=VALUE:EFFECT, got $value" ;;
      flags) flags="$flags $value" ;;
      journal) journal=$value ;;
      release) release=$value ;;
      version) version=$value ;;
      *) wrong "$1" "$number" "there is no setting named $key" ;;
    esac
  done <"$1"
  if [ -z "$problem" ] && [ "$role" = worker ] && [ -z "$token" ] && [ ! -e "$identity" ]; then
    problem="$1: a worker needs token=…, from \`bramble token create\` on the master"
  fi
}

trimmed() { printf %s "$1" | sed 's/^[[:blank:]]*//; s/[[:blank:]]*$//'; }
is_word() { case $1 in '' | *[!A-Za-z0-9._/=:-]*) return 1 ;; esac }
wrong() { problem=${problem:-"$1, line $2: $3"}; }

# ---------------------------------------------------------------- network, clock and the installer

has_network() { ip route show default 2>/dev/null | grep -q . || ip -6 route show default 2>/dev/null | grep -q .; }

# Only told, for a board in a network without a router has a master to reach too.
wait_for_network() {
  local waited=0
  while ! has_network && [ "$waited" -lt 60 ]; do
    [ "$waited" != 0 ] || say "waiting for the network"
    sleep 2
    waited=$((waited + 2))
  done
  has_network || say "there is no default route after $waited s; going on"
}

# Certificates look invalid to a board without a clock. FAT keeps local time, so up to 14 hours are missing in a file's time.
wait_for_clock() {
  local waited=0 written
  written=$(stat -c %Y "$(settings_file)")
  has timedatectl && has_systemd || waited=$clock_wait_s
  while [ "$waited" -lt "$clock_wait_s" ] && [ "$(timedatectl show -p NTPSynchronized --value 2>/dev/null)" = no ]; do
    # A clock that was kept or set needs no time server.
    [ "$(date +%s)" -lt "$written" ] || return 0
    [ "$waited" != 0 ] || say "waiting for the time"
    sleep 2
    waited=$((waited + 2))
  done
  if [ "$(date +%s)" -lt "$written" ]; then
    date -u -s "@$((written + 50400))" >/dev/null && say "no time server answers; the clock is put forward to when the settings were written"
  fi
}

# Of the certificates in a file the one with that hash, written anew: curl trusts all that it finds in a file, and takes more for a
# certificate than stands between these lines (`BEGIN X509 CERTIFICATE`).
pinned_certificate() { # file hash
  awk '{ gsub(/\r/, "") }
    /^-----BEGIN CERTIFICATE-----$/ { inside = 1; body = ""; next }
    /^-----END CERTIFICATE-----$/ { if (inside) print body; inside = 0; next }
    inside { body = body $0 }' "$1" | while IFS= read -r body; do
    printf %s "$body" | base64 -d >"$1.der" 2>/dev/null || continue
    [ "$(sha256sum <"$1.der" | cut -d' ' -f1)" = "$2" ] || continue
    echo "-----BEGIN CERTIFICATE-----"
    base64 -w 64 "$1.der"
    echo "-----END CERTIFICATE-----"
    break
  done
  rm -f "$1.der"
}

# Where install.sh lies: beside the settings, or fetched from the master, which proves itself by the CA whose hash is in the token.
# Nothing is run of a master that does not.
find_installer() {
  local folder wanted url place ca=$state/fetched/ca.crt
  for folder in ${boot:+"$boot/bramble-bundle" "$boot"}; do
    installer=$folder/install.sh
    if [ -f "$installer" ]; then return 0; fi
  done
  mkdir -p "$state/fetched"
  installer=$state/fetched/install.sh
  has curl || { apt_get update && apt_get install -y --no-install-recommends curl ca-certificates; } || return 1
  if [ -n "$release" ]; then
    url=$(echo "$release" | sed "s/VERSION/$version/g")
    curl -fsSL --connect-timeout 15 -m 120 -o "$installer" "${url%/}/install.sh" || { problem="${url%/}/install.sh cannot be downloaded"; return 1; }
    return 0
  fi
  url=${server%%,*}
  url=${url%/}
  [ -n "$url" ] || { problem="there is nothing to install from: name server=, or put install.sh or bramble-bundle/ beside bramble.conf"; return 1; }
  case $token in BR1*::*) ;; *) problem="the token names no cluster: take one from \`bramble token create\`"; return 1 ;; esac
  curl -fsk --connect-timeout 15 -m 60 --max-filesize 65536 -o "$ca" "$url/cacerts" || { problem="no master answers at $url"; return 1; }
  wanted=${token#BR1}
  pinned_certificate "$ca" "${wanted%%::*}" >"$ca.pinned"
  mv "$ca.pinned" "$ca"
  [ -s "$ca" ] || { problem="$url is not the cluster that the token was made for"; return 1; }
  # Boards have certificates of the same CA, for their own addresses: by its name, which no board gets, a master is known.
  place=${url#https://}
  place=${place%%/*}
  case ${place##*]} in *:*) ;; *) place=$place:443 ;; esac
  curl -fsS --cacert "$ca" --connect-to "::$place" --connect-timeout 15 -m 120 -o "$installer" https://kubernetes/install.sh 2>"$state/fetched/curl" ||
    { problem="$url/install.sh cannot be downloaded: $(cat "$state/fetched/curl"); this board's clock shows $(date -u)"; return 1; }
}

apt_get() { DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" </dev/null; }

# install.sh takes what it finds beside itself for a release; alone, it asks the master.
install_once() { # file for its output
  # A variable that is given empty says something else than one that is not given.
  set -- "$1" INSTALL_BRAMBLE_FIX=1 "INSTALL_BRAMBLE_EXEC=$role$flags"
  [ -z "$server" ] || set -- "$@" "BRAMBLE_URL=$server"
  [ -z "$token" ] || set -- "$@" "BRAMBLE_TOKEN=$token"
  [ -z "$journal" ] || set -- "$@" "INSTALL_BRAMBLE_JOURNAL=$journal"
  [ -z "$release" ] || set -- "$@" "INSTALL_BRAMBLE_URL=$release"
  [ -z "$version" ] || set -- "$@" "INSTALL_BRAMBLE_VERSION=$version"
  local output=$1 status=0
  shift
  { env "$@" sh "$installer" </dev/null 2>&1 || echo $? >"$output.status"; } | tee "$output"
  if [ -f "$output.status" ]; then status=1; rm "$output.status"; fi
  return $status
}

# ---------------------------------------------------------------- going on until it has joined

# What install.sh wrote into the boot arguments counts from the next boot on. Once: a board that has it off then tells so.
needs_restart() {
  local folder
  [ ! -e "$state/restarted" ] || return 1
  ! grep -qw cgroup_enable=memory /proc/cmdline || return 1
  for folder in $boots; do
    if grep -qsw cgroup_enable=memory "$folder/cmdline.txt"; then return 0; fi
  done
  return 1
}

restart_board() {
  say "restarting, for the boot arguments that switch the memory cgroup on"
  mkdir -p "$state"
  : >"$state/restarted"
  sync
  if has_systemd; then systemctl reboot; else reboot; fi
}

attempt() {
  local output=$state/output told=''
  mkdir -p "$state"
  find_boot
  read_settings "$(settings_file)"
  if [ -z "$problem" ]; then
    wait_for_network
    wait_for_clock
  fi
  if [ -n "$problem" ] || ! find_installer; then
    : >"$output"
    echo "bramble: FAIL: ${problem:-curl could not be installed}" | tee "$output"
  elif install_once "$output"; then
    shown "$output" | while IFS= read -r line; do say "$line"; done
    return 0
  fi
  if needs_restart; then
    restart_board
    exit 0
  fi
  [ ! -f "$state/told" ] || told=$(cat "$state/told")
  shown "$output" | grep -F FAIL >"$state/told" || echo "install.sh ended without a word" >"$state/told"
  if [ "$told" != "$(cat "$state/told")" ]; then
    shown "$output" | while IFS= read -r line; do say "$line"; done
    say "it does not go on; trying again, less and less often. What is mended in bramble.conf counts with the next try"
    [ -z "$boot" ] || sync -f "$boot" 2>/dev/null || sync
  fi
  return 1
}

run() {
  local pause=10
  find_boot
  bound_log
  say "this board joins by itself: begun, or gone on with after a restart"
  rm -f "$state/told"
  until [ -e "$state/joined" ] || attempt; do
    sleep "$pause"
    pause=$((pause * 2 > longest_pause_s ? longest_pause_s : pause * 2))
  done
  finish
}

# What says that this is to be done, last: after a power cut it is gone on with.
finish() {
  local file
  : >"$state/joined"
  sync
  # Known by nobody after a restart.
  read_settings "$(settings_file)"
  forget_copies
  for file in ${boot:+"$boot/bramble.conf" "$boot/user-data"}; do forget_token "$file"; done
  say "done: this board has joined. The token is removed from the boot partition"
  [ -z "$boot" ] || sync -f "$boot" 2>/dev/null || sync
  rm -f "$units/multi-user.target.wants/$unit" "$units/$unit" "$etc/first-boot.conf"
  rm -rf "$state" "$home"
  sync
  # The unit, which runs this, ends by itself.
  if has_systemd; then systemctl daemon-reload; fi
}

# In what cloud-init keeps of user-data: by as many other letters, so that also a file that is no text stays what it is.
forget_copies() {
  local kept=/var/lib/cloud file
  if [ -z "$token" ] || [ ! -d "$kept" ]; then return 0; fi
  grep -rlF -e "$token" "$kept" 2>/dev/null | while IFS= read -r file; do
    LC_ALL=C sed "s/$(printf %s "$token" | sed 's/[.]/\\./g')/$(printf %s "$token" | tr '[:graph:]' x)/g" "$file" >"$state/blank"
    dd if="$state/blank" of="$file" conv=notrunc,fsync bs=64k status=none
  done
}

# In its place on the card first, for a file that is written anew leaves the old text behind on FAT.
forget_token() { # file
  [ -f "$1" ] || return 0
  grep -q '^[[:blank:]]*token[[:blank:]]*=[[:blank:]]*[^[:blank:]]' "$1" || return 0
  LC_ALL=C awk '/^[[:blank:]]*token[[:blank:]]*=/ { at = index($0, "="); rest = substr($0, at + 1); gsub(/[^\r]/, "x", rest); $0 = substr($0, 1, at) rest } { print }' \
    "$1" >"$state/blank"
  # Without a last line end, awk adds one.
  dd if="$state/blank" of="$1" conv=notrunc,fsync bs=64k count="$(stat -c %s "$1")" iflag=count_bytes,fullblock status=none
  sed 's/^\([[:blank:]]*\)token[[:blank:]]*=.*/\1# the token was removed when this board had joined/' "$1" >"$1.new"
  put "$1.new" "$1"
}

# ---------------------------------------------------------------- arming a board

arm() {
  local own
  own=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
  [ "$(id -u)" = 0 ] || { echo "bramble-first-boot: this needs root" >&2; exit 1; }
  find_boot
  [ -f "$(settings_file)" ] || { echo "bramble-first-boot: there is neither bramble.conf on the boot partition ($boots) nor $etc/first-boot.conf" >&2; exit 1; }
  mkdir -p "$home" "$units/multi-user.target.wants" "$state"
  cp "$own" "$home/first-boot.sh.new"
  chmod 755 "$home/first-boot.sh.new"
  put "$home/first-boot.sh.new" "$home/first-boot.sh"
  unit_text >"$units/.$unit.new"
  put "$units/.$unit.new" "$units/$unit"
  # What makes it count, last; `systemctl enable` does the same, and asks for a system that runs.
  ln -sfn "../$unit" "$units/multi-user.target.wants/$unit"
  sync
  say "armed: this board joins by itself, from now on and after each restart until it has"
  # While Raspberry Pi OS runs commands of its boot arguments it has no network yet, and restarts afterwards.
  if has_systemd && ! grep -q 'systemd\.run=' /proc/cmdline; then
    systemctl daemon-reload
    systemctl start --no-block "$unit"
  fi
}

# No oneshot: the boot, and what comes after it in cloud-init, does not wait for it.
unit_text() {
  cat <<END
[Unit]
Description=Bramble: joins this board to its cluster when it starts for the first time
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=/bin/sh $home/first-boot.sh run
Restart=on-failure
RestartSec=30
StandardOutput=journal+console
StandardError=journal+console

[Install]
WantedBy=multi-user.target
END
}

# ---------------------------------------------------------------- for cloud-init

# Printed on the computer at which a card is prepared: only what each POSIX shell has, and base64.
user_data() { # settings
  boot=''
  identity=/nonexistent
  read_settings "$1"
  [ -z "$problem" ] || { echo "bramble-first-boot: $problem" >&2; exit 1; }
  cat <<END
#cloud-config
write_files:
  - path: /etc/bramble/first-boot.conf
    permissions: "0600"
    content: |
$(tr -d '\r' <"$1" | sed 's/^/      /')
  - path: /usr/local/lib/bramble/bramble-first-boot.sh
    permissions: "0755"
    encoding: b64
    content: $(base64 <"$0" | tr -d '\n')
runcmd:
  - [sh, /usr/local/lib/bramble/bramble-first-boot.sh]
END
}

main() {
  boot=''
  case ${1:-arm} in
    arm) arm ;;
    run) run ;;
    user-data)
      [ $# = 2 ] || { echo "usage: $0 user-data FILE" >&2; exit 2; }
      user_data "$2"
      ;;
    *)
      sed -n '/^#   bramble-first-boot.sh/,/^# Settings/p' "$0" | sed '$d; s/^# \{0,1\}//' >&2
      exit 2
      ;;
  esac
}

# Everything is read before anything runs, for this file is removed in the end.
main "$@"
exit
