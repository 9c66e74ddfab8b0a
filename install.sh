#!/bin/sh
# shellcheck shell=dash
# Installs Bramble on this machine, or brings it up to date, and starts it. Asks nothing; may be run again at any time.
#
#   sudo ./install.sh                                    a master, which runs pods too
#   sudo BRAMBLE_URL=https://MASTER:6443 BRAMBLE_TOKEN=T ./install.sh
#                                                        a worker of that master; `bramble token create --print-join`
#                                                        on the master prints the whole line
#   sudo BRAMBLE_TOKEN=T ./install.sh                    a worker of the master that answers on this network by mDNS
#   sudo INSTALL_BRAMBLE_EXEC="--store etcd" ./install.sh
#                                                        a master that others can join, with a member of etcd beside it
#   sudo BRAMBLE_URL=https://MASTER:6443 BRAMBLE_TOKEN=T INSTALL_BRAMBLE_EXEC=master ./install.sh
#                                                        a further master; `bramble token create --master --print-join`
#                                                        on the first prints the whole line
# Variables:
#   BRAMBLE_URL                  the master to join; several with commas
#   BRAMBLE_TOKEN                join token
#   BRAMBLE_PIN                  SHA-256 of the master's public key as curl writes it; only for downloads
#   INSTALL_BRAMBLE_EXEC         flags for `bramble master` or `bramble worker`, for instance
#                                "--tls-san pi.example.org --node-label disk=ssd". Kept for later runs
#   INSTALL_BRAMBLE_SOURCE       a folder with a release or a checkout (default: where this script lies)
#   INSTALL_BRAMBLE_URL          where a release is downloaded from: the URL of the folder with SHA256SUMS. The word
#                                VERSION in it stands for INSTALL_BRAMBLE_VERSION. A joining board asks its master
#   INSTALL_BRAMBLE_VERSION      install this version or none
#   INSTALL_BRAMBLE_BIN_DIR      where the program goes (default: /usr/local/bin)
#   INSTALL_BRAMBLE_SKIP_START   1: install, and start nothing
#   INSTALL_BRAMBLE_FIX          1: switch the memory cgroup on in a Raspberry Pi's boot arguments, if it is off
#   INSTALL_BRAMBLE_JOURNAL      spares the card: volatile keeps the system's journal in memory (at most 32 MB), a size such as
#                                64M bounds it on the card; none: leaves it to the system again. Without it nothing is changed
#   INSTALL_BRAMBLE_CLOCK_SAVE   1h, 30min: how often systemd-timesyncd notes the time on the card, instead of each minute; none: as it came.
#                                Without it nothing is changed
#   INSTALL_BRAMBLE_PROBE_FILES  memory: containerd keeps the files by which it hands over exec probes in /run and not in /tmp, which
#                                spares a card that holds /tmp; none: as it came. Without it memory, if this installs Docker
#   INSTALL_BRAMBLE_SKIP_CHECK   1: go on although `bramble check` found something to mend
#   INSTALL_BRAMBLE_SKIP_SIGNATURE 1: take a release that is not of who signed the program that is here
#   INSTALL_BRAMBLE_SKIP_PACKAGES 1: install no packages
#   INSTALL_BRAMBLE_WAIT         seconds to wait for the board to be Ready (default: 300; 0: do not wait)
set -eu

bin_dir=${INSTALL_BRAMBLE_BIN_DIR:-/usr/local/bin}
etc=/etc/bramble
data=/var/lib/bramble
share=/usr/local/share/bramble
lib=/usr/local/lib/bramble
units=/etc/systemd/system
socket=/var/run/docker.sock
url_source='' folder_source='' by_name=''
# What the store is to be, where a flag says it, and whether that is an etcd which runs beside this master.
store='' own_etcd=''

say() { echo "bramble: $*"; }
die() { # what is wrong, then lines that say how to mend it
  echo "bramble: FAIL: $1" >&2
  shift
  for line in "$@"; do echo "    mend: $line" >&2; done
  exit 1
}
# By rename, so that a power cut leaves the old file or the new one, and what runs is not disturbed.
put() { # new old
  sync -f "$1" 2>/dev/null || sync
  mv "$1" "$2"
}
# By rename, as above. `changed` says afterwards whether anything is different.
replace_if_changed() { # new old
  if cmp -s "$1" "$2"; then
    rm "$1"
  else
    put "$1" "$2"
    changed=yes
  fi
}
# What of systemd's we set differently, in a file of its own; without text the file goes. `dropped_in` says afterwards whether
# anything is different.
drop_in() { # folder text
  local before=$changed file=$1/50-bramble.conf
  changed=''
  if [ -n "$2" ]; then
    mkdir -p "$1"
    printf '# bramble-uninstall.sh removes this file.\n%s\n' "$2" >"$1/.bramble.new"
    replace_if_changed "$1/.bramble.new" "$file"
  elif [ -e "$file" ]; then
    rm "$file"
    rmdir "$1" 2>/dev/null || true
    changed=yes
  fi
  dropped_in=$changed changed=$before
}
# What stands at the top. Through a pipe there is no file to read it from.
usage() {
  case $0 in
    */install.sh | install.sh) sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0" ;;
    *) say "run it without arguments; settings are variables, which stand at the top of install.sh" ;;
  esac
}
has() { command -v "$1" >/dev/null 2>&1; }
has_systemd() { [ -d /run/systemd/system ]; }

# ---------------------------------------------------------------- what this machine is

look_at_machine() {
  [ "$(id -u)" = 0 ] || die "this needs root" "put sudo before it"
  [ "$(uname -s)" = Linux ] || die "Bramble runs on Linux"
  case $(uname -m) in
    aarch64 | arm64) arch=arm64 loader=/lib/ld-linux-aarch64.so.1 ;;
    x86_64 | amd64) arch=x64 loader=/lib64/ld-linux-x86-64.so.2 ;;
    arm*) die "this is a 32-bit system" "write the card anew with Raspberry Pi OS (64-bit); a Pi 3, 4, 5 and Zero 2 can run it" ;;
    *) die "there is no Bramble for $(uname -m)" "use a 64-bit ARM or x86 machine" ;;
  esac
  if [ "$(getconf LONG_BIT 2>/dev/null || echo 64)" != 64 ] || { has dpkg && [ "$(dpkg --print-architecture)" = armhf ]; }; then
    die "the kernel is 64-bit but the programs on this card are 32-bit" "write the card anew with Raspberry Pi OS (64-bit)"
  fi
  [ -e "$loader" ] || die "this system has no glibc ($loader)" "use Raspberry Pi OS, Debian, Ubuntu or another system with glibc"
}

# What the variables at the top may be.
check_variables() {
  case ${INSTALL_BRAMBLE_JOURNAL:-none} in
    none | volatile) ;;
    *[!0-9KMG]* | [KMG]*) die "INSTALL_BRAMBLE_JOURNAL: expected volatile, none or a size such as 64M, got $INSTALL_BRAMBLE_JOURNAL" ;;
  esac
  case ${INSTALL_BRAMBLE_PROBE_FILES:-none} in
    none | memory) ;;
    *) die "INSTALL_BRAMBLE_PROBE_FILES: expected memory or none, got $INSTALL_BRAMBLE_PROBE_FILES" ;;
  esac
  local interval=${INSTALL_BRAMBLE_CLOCK_SAVE:-none}
  case $interval in
    none) ;;
    *min | *h) interval=${interval%min} interval=${interval%h} ;;
    *) interval='' ;;
  esac
  case $interval in
    none) ;;
    '' | *[!0-9]*) die "INSTALL_BRAMBLE_CLOCK_SAVE: expected a time such as 1h or 30min, or none, got $INSTALL_BRAMBLE_CLOCK_SAVE" ;;
  esac
  # They stand in units, scripts and the config file, where a blank or a quote would mean something else.
  one_word INSTALL_BRAMBLE_BIN_DIR "$bin_dir"
  case $bin_dir in /*) ;; *) die "INSTALL_BRAMBLE_BIN_DIR must begin with /, not $bin_dir" ;; esac
  one_word BRAMBLE_URL "${BRAMBLE_URL:-}"
  one_word BRAMBLE_TOKEN "${BRAMBLE_TOKEN:-}"
  one_word BRAMBLE_PIN "${BRAMBLE_PIN:-}"
  one_word INSTALL_BRAMBLE_VERSION "${INSTALL_BRAMBLE_VERSION:-}"
}

# As the program would say it, but before anything is downloaded or installed.
check_token() {
  [ -n "${BRAMBLE_TOKEN:-}" ] || return 0
  printf '%s\n' "$BRAMBLE_TOKEN" | grep -Eqx 'BR1[0-9a-f]{64}::[a-z0-9]{6}\.[a-z0-9]{16}' ||
    die "BRAMBLE_TOKEN is no join token, or a part of one: expected BR1<64 hex digits>::<id>.<secret>" \
      "copy it whole, from bramble token create on the master or its /var/lib/bramble/token"
}

one_word() { # variable value
  case $2 in *[!]A-Za-z0-9.,:/_+=%@~[-]*) die "$1 holds a blank, a quote or another character that has no place there" ;; esac
}

need_space() { # folder MiB
  local free
  free=$(df -Pk "$1" 2>/dev/null | awk 'NR == 2 { print int($4 / 1024) }')
  [ -z "$free" ] || [ "$free" -ge "$2" ] ||
    die "only $free MiB are free at $1; $2 are needed" "sudo apt-get clean; docker system prune; or a larger card"
}

choose_role() {
  local first="${INSTALL_BRAMBLE_EXEC:-}"
  flags=${INSTALL_BRAMBLE_EXEC:-}
  first=${first%% *}
  present=''
  for each in master worker; do
    if [ -e "$units/bramble-$each.service" ] || [ -e "$etc/supervised/bramble-$each" ]; then present=$each; fi
  done
  case $first in
    master | worker)
      role=$first
      flags=${flags#"$first"}
      flags=${flags# }
      ;;
    *)
      if [ -n "${BRAMBLE_URL:-}" ]; then role=worker; else role=${present:-${BRAMBLE_TOKEN:+worker}}; fi
      role=${role:-master}
      ;;
  esac
  case $flags in *'
'*) die "INSTALL_BRAMBLE_EXEC has several lines" "write its flags on one" ;; esac
  choose_data
  choose_store
  if [ -n "$present" ] && [ "$present" != "$role" ]; then
    die "this board is a $present already" "to make it a $role, first run bramble-uninstall.sh"
  fi
  if [ "$role" = worker ] && [ -z "$present" ]; then
    [ -n "${BRAMBLE_URL:-}${BRAMBLE_TOKEN:-}" ] || die "a worker needs its master's address or a join token" "set BRAMBLE_URL=https://MASTER:6443"
    [ -n "${BRAMBLE_TOKEN:-}" ] || [ -e "$data/agent/identity/board.json" ] ||
      die "a worker needs a join token" "run bramble token create --print-join on the master and use its line"
  fi
  case ${BRAMBLE_URL:-https://} in https://*) ;; *) die "BRAMBLE_URL must begin with https://, not ${BRAMBLE_URL}" ;; esac
  say "this board ($(uname -n), $arch) becomes a $role"
}

# The store is a setting of two programs, the master and its member of etcd, so it goes from the flags into the file.
choose_store() {
  local rest='' word next='' present_store
  [ "$role" = master ] || return 0
  case " $flags" in *" --store"[\ =]*)
    set -f
    for word in $flags; do
      if [ -n "$next" ]; then
        store=$word next=''
      else
        case $word in --store) next=yes ;; --store=*) store=${word#--store=} ;; *) rest="$rest $word" ;; esac
      fi
    done
    set +f
    flags=${rest# }
    ;;
  esac
  present_store=${store:-$(setting store)}
  # What a further master took over from the first.
  [ -n "$present_store" ] || present_store=$(sed -n 's/^ *"store": *"\([^"]*\)".*/\1/p' "$data/control-plane.json" 2>/dev/null || true)
  if [ -n "$present_store" ]; then
    [ "$present_store" != etcd ] || own_etcd=yes
  elif [ -n "${BRAMBLE_URL:-}" ]; then
    # Masters share an etcd; one that is not Bramble's has to be named.
    store=etcd own_etcd=yes
  fi
  if [ -n "$own_etcd" ] && [ -e "$data/store/store.db" ]; then
    die "this cluster's state rests in sqlite" "sudo bramble store move etcd"
  fi
}

# What Bramble is started with, now or from an earlier run.
kept_flags() {
  if [ -n "${INSTALL_BRAMBLE_EXEC+given}" ]; then printf '%s\n' "$flags"; else sed -n 's/^BRAMBLE_ARGS="\(.*\)"$/\1/p' "$etc/$role.env" 2>/dev/null || true; fi
}

# Where state is, on a board whose root is to be read-only for instance.
choose_data() {
  local word next='' given=''
  set -f
  for word in $(kept_flags); do
    if [ -n "$next" ]; then
      given=$word next=''
    else
      case $word in --data-dir) next=yes ;; --data-dir=*) given=${word#*=} ;; esac
    fi
  done
  set +f
  data=${given:-$(setting data-dir)}
  data=${data:-/var/lib/bramble}
  need_space "$(dirname "$data")" 500
}

setting() { # key of the config file
  sed -n "s/^$1: *\"\{0,1\}\([^\"]*\)\"\{0,1\} *\$/\1/p" "$etc/config.yaml" 2>/dev/null | head -n 1
}

# ---------------------------------------------------------------- packages and Docker

docker_answers() { has curl && curl -fsS -m 5 --unix-socket "$socket" http://localhost/_ping >/dev/null 2>&1; }

# One line of packages that are missing.
missing_packages() {
  has curl || echo curl ca-certificates
  has iptables || echo iptables
  has conntrack || echo conntrack
  has ipset || echo ipset
  has ip || echo iproute2
  has nsenter || echo util-linux
  # A kernel without modules has nothing to load.
  if [ -d "/lib/modules/$(uname -r)" ] && ! has modprobe; then echo kmod; fi
  for plugin in bridge host-local portmap; do
    if [ ! -x "/opt/cni/bin/$plugin" ] && [ ! -x "/usr/lib/cni/$plugin" ]; then
      echo containernetworking-plugins
      break
    fi
  done
  if ! docker_answers && ! has dockerd; then
    echo docker.io
    # Docker refuses containers where the kernel enforces AppArmor and the program that loads its profiles is missing.
    if [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ] && ! has apparmor_parser; then echo apparmor; fi
  fi
  if [ -n "$own_etcd" ] && ! has etcd; then echo etcd-server; fi
  if [ -n "${builder_package:-}" ]; then echo "$builder_package"; fi
  # Without a program it is what finds a master.
  if [ "${role:-}" = worker ] && [ -z "$folder_source$url_source" ] && ! has avahi-browse; then echo avahi-utils; fi
}

# Bramble runs the package's program itself, at the ports that the package's own service takes.
hold_back_etcd() {
  [ -n "$own_etcd" ] || return 0
  if has_systemd; then
    if systemctl --quiet is-active etcd.service; then
      die "an etcd of yours runs on this board (etcd.service)" \
        "to use it, name it: --store etcd=https://HOST:2379 with --etcd-cafile, --etcd-certfile and --etcd-keyfile" \
        "to do without it: sudo systemctl disable --now etcd.service"
    fi
    if [ "$(systemctl is-enabled etcd.service 2>/dev/null)" != masked ]; then
      say "holding back the service that comes with etcd's package (systemctl mask etcd.service)"
      systemctl mask --quiet etcd.service
      mkdir -p "$etc"
      : >"$etc/masked-etcd"
    fi
  elif [ -x /etc/init.d/etcd ] && has update-rc.d; then
    update-rc.d etcd disable >/dev/null 2>&1 || true
  fi
}

install_packages() {
  local packages
  hold_back_etcd
  packages=$(missing_packages | tr '\n' ' ')
  [ -n "$packages" ] || { say "all packages are there"; return 0; }
  [ -z "${INSTALL_BRAMBLE_SKIP_PACKAGES:-}" ] || { say "NOT installed, as you wished: $packages"; return 0; }
  has apt-get || die "these are missing, and this system has no apt: $packages" "install them with your system's package manager, and run this again"
  say "installing with apt: $packages"
  apt_get update || say "apt-get update failed; trying with the lists that are there"
  # Debian 13 has Docker's command line in a package of its own.
  case " $packages" in *" docker.io "*) if apt-cache show docker-cli >/dev/null 2>&1; then packages="$packages docker-cli"; fi ;; esac
  # shellcheck disable=SC2086
  apt_get install -y --no-install-recommends $packages ||
    die "apt could not install: $packages" "look at what apt says above; then run this again"
  case " $packages" in *" docker.io "*) probe_files=memory ;; esac
  case " $packages" in *" etcd-server "*) if ! has_systemd && [ -x /etc/init.d/etcd ]; then /etc/init.d/etcd stop >/dev/null 2>&1 || true; fi ;; esac
  hold_back_etcd
}

apt_get() {
  DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a \
    apt-get -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=5 -o Dpkg::Use-Pty=0 "$@" </dev/null
}

# People's own Docker and its flags stay as they are.
start_docker() {
  docker_answers && { say "Docker is running"; return 0; }
  has dockerd || return 0 # `bramble check` says what to do
  say "starting Docker"
  if has_systemd; then
    systemctl enable --now docker.service || die "Docker does not start" "journalctl -u docker.service"
  else
    # See keep_probe_files.
    supervised dockerd 'export XDG_RUNTIME_DIR=/run; exec dockerd --log-opt max-size=10m --log-opt max-file=3'
    "$lib/supervise" start dockerd
  fi
  for _ in $(seq 60); do
    docker_answers && return 0
    sleep 1
  done
  die "Docker was started but does not answer at $socket" "$(log_command docker dockerd)"
}

# A shim of containerd's hands each exec, so each exec probe, to runc by a file that lives for milliseconds: in XDG_RUNTIME_DIR,
# else in /tmp (go-runc's Exec). Where that is on the card, ext4's journal records that the file came and went, some 20 MB an
# hour. Containers that run go on; those that are started later use the new place.
keep_probe_files() {
  local unit=containerd.service folder settings='' wanted=${INSTALL_BRAMBLE_PROBE_FILES:-$probe_files}
  [ -n "$wanted" ] && has_systemd || return 0
  systemctl cat "$unit" >/dev/null 2>&1 || unit=docker.service
  folder=$units/$unit.d
  if [ "$wanted" = memory ]; then
    settings='[Service]
Environment=XDG_RUNTIME_DIR=/run'
  fi
  drop_in "$folder" "$settings"
  [ -n "$dropped_in" ] || return 0
  if [ -n "$settings" ]; then
    say "exec probes leave no files in /tmp: $folder/50-bramble.conf"
  else
    say "exec probes have their files in /tmp again"
  fi
  systemctl daemon-reload
  # Containers outlive containerd. With Docker itself some would end, so that waits for its next start.
  if [ "$unit" = containerd.service ]; then systemctl try-restart "$unit"; else say "Docker takes it with its next start"; fi
}

# ---------------------------------------------------------------- where the program comes from

choose_source() {
  local here=''
  case $0 in */install.sh | install.sh) if [ -f "$0" ]; then here=$(cd "$(dirname "$0")" && pwd); fi ;; esac
  if [ -n "${INSTALL_BRAMBLE_SOURCE:-}" ]; then
    [ -d "$INSTALL_BRAMBLE_SOURCE" ] || die "INSTALL_BRAMBLE_SOURCE: there is no folder $INSTALL_BRAMBLE_SOURCE"
    here=$(cd "$INSTALL_BRAMBLE_SOURCE" && pwd)
  elif [ -n "${INSTALL_BRAMBLE_URL:-}" ]; then
    here=''
  fi
  if [ -n "$here" ] && [ -f "$here/SHA256SUMS" ]; then
    folder_source=$here
  elif [ -n "$here" ] && [ -f "$here/bramble.ts" ] && [ -f "$here/tools/build.ts" ]; then
    folder_source=$here/dist checkout=$here
    if ! has npm && ! sums_hold "$here/dist" "bramble-linux-$arch"; then builder_package=npm; fi
  elif [ -n "${INSTALL_BRAMBLE_URL:-}" ]; then
    url_source=$(echo "$INSTALL_BRAMBLE_URL" | sed "s/VERSION/${INSTALL_BRAMBLE_VERSION:-VERSION}/g")
    case $url_source in *VERSION*) die "INSTALL_BRAMBLE_URL names no version" "set INSTALL_BRAMBLE_VERSION" ;; esac
  elif [ "$role" = worker ] || [ -n "${BRAMBLE_URL:-}" ]; then
    master_url=${BRAMBLE_URL:-$(server_url)}
    master_url=${master_url%%,*}
    # Else it is looked for when there is something to look with.
    if [ -n "$master_url" ]; then url_source=${master_url%/}/bramble/v1/dist; fi
  else
    die "there is nothing to install from: ${here:-this script} has no SHA256SUMS beside it and is no checkout" \
      "run install.sh from a checkout or a release folder, or set INSTALL_BRAMBLE_URL"
  fi
  url_source=${url_source%/}
}

# Before there is a program: by a tool that many systems have. The token says which of the masters is the right one.
find_by_avahi() {
  has avahi-browse || die "without a program this script finds no master" \
    "set BRAMBLE_URL=https://MASTER:6443, install avahi-utils, or run it from a release folder"
  # An address of IPv6 that is of the link alone is none for a URL.
  for url in $(avahi-browse -rpt _bramble._tcp 2>/dev/null | awk -F';' '
    $1 != "=" || $8 ~ /^fe[89ab]/ { next }
    { print "https://" ($8 ~ /:/ ? "[" $8 "]" : $8) ":" $9 }' | sort -u); do
    master_url=$url
    # shellcheck disable=SC2086
    if (trust_master && curl -fs $trust -m 30 -o /dev/null "$by_name/SHA256SUMS") >/dev/null 2>&1; then
      BRAMBLE_URL=$url url_source=$url/bramble/v1/dist
      say "found the master $url by mDNS"
      return 0
    fi
  done
  die "no master of this token answers by mDNS" "set BRAMBLE_URL=https://MASTER:6443"
}

# A worker that was given a token alone.
find_master() {
  if [ "$role" != worker ] || [ -n "${BRAMBLE_URL:-}" ] || [ -n "$(server_url)" ] || [ -z "${BRAMBLE_TOKEN:-}" ]; then return 0; fi
  chmod 755 "$staged"
  say "looking for the master by mDNS"
  BRAMBLE_URL=$("$staged" discover --token "$BRAMBLE_TOKEN" | head -n 1) || true
  [ -n "$BRAMBLE_URL" ] || die "no master of this token answers by mDNS" "set BRAMBLE_URL=https://MASTER:6443"
  say "found $BRAMBLE_URL"
}

# Whoever owns the checkout builds, so that no file of root's is left in it.
build() {
  [ -n "${checkout:-}" ] || return 0
  if ! has npm; then
    sums_hold "$folder_source" "bramble-linux-$arch" || die "building needs npm" "sudo apt-get install npm"
    say "there is no npm: taking what was built before, in $folder_source"
    return 0
  fi
  say "building from $checkout, which takes some minutes on a Pi"
  local owner other=arm64
  [ "$arch" != arm64 ] || other=x64
  owner=$(stat -c %U "$checkout")
  cd "$checkout"
  if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    say "fetching what building needs (npm ci)"
    # Not every mirror has the packages of other platforms, on which `npm ci` insists; the versions are the lock file's.
    as_user "$owner" npm ci --no-audit --no-fund --loglevel=error ||
      as_user "$owner" npm install --no-save --no-audit --no-fund --loglevel=error ||
      die "npm could not fetch what building needs" "look at what npm says above; is the internet reachable?"
  fi
  # An old binary for the other processor must not be taken for one of this version.
  rm -f "dist/bramble-linux-$other"
  say "building for $arch"
  as_user "$owner" node_modules/.bin/bun tools/build.ts "$arch" >/dev/null || die "the build failed" "look at what it says above"
  say "building for $other too, if what that needs can be fetched"
  as_user "$owner" node_modules/.bin/bun tools/build.ts "$other" >/dev/null 2>&1 ||
    say "note: no binary for $other could be built, so this master hands none to such boards"
  cd /
}

as_user() { # user command…
  local user=$1
  shift
  if [ "$user" = root ] || [ "$user" = UNKNOWN ]; then
    "$@"
  else
    runuser -u "$user" -- env HOME="$(getent passwd "$user" | cut -d: -f6)" "$@"
  fi
}

sums_hold() { # folder name
  [ -f "$1/$2" ] && [ -f "$1/SHA256SUMS" ] && (cd "$1" && grep " [ *]$2\$" SHA256SUMS | sha256sum --check --status)
}

# ---------------------------------------------------------------- downloads

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

# The token holds the hash of the cluster's CA; with the CA, the master is known before anything of it is run.
trust_master() {
  trust='' by_name=''
  [ -n "${master_url:-}" ] || return 0
  ca=$share/.ca.crt
  case ${BRAMBLE_TOKEN:-} in
    BR1*::*)
      local wanted
      wanted=${BRAMBLE_TOKEN#BR1}
      wanted=${wanted%%::*}
      for attempt in 1 2 3 4 5; do
        curl -fsSk --connect-timeout 15 -m 60 --max-filesize 65536 -o "$ca" "$master_url/cacerts" && break
        [ "$attempt" != 5 ] || die "no master answers at $master_url" "is it running, is the address right with its port (6443 unless its master says otherwise), and does nothing block that?"
        say "no master answers at $master_url yet; trying again"
        sleep 3
      done
      pinned_certificate "$ca" "$wanted" >"$ca.pinned"
      mv "$ca.pinned" "$ca"
      [ -s "$ca" ] || die "$master_url is not the cluster that the token was made for" \
        "check the address, and take a new token from that master: bramble token create"
      trust="--cacert $ca"
      know_by_name
      ;;
    *)
      if [ -n "${BRAMBLE_PIN:-}" ]; then
        trust="-k --pinnedpubkey sha256//$BRAMBLE_PIN"
      elif [ -e "$data/agent/identity/ca.crt" ]; then
        trust="--cacert $data/agent/identity/ca.crt"
        know_by_name
      fi
      ;;
  esac
}

# Boards have certificates of the same CA, for their own addresses: by its name, which no board gets, a master is known.
know_by_name() {
  local place=${master_url#https://}
  place=${place%%/*}
  case ${place##*]} in *:*) ;; *) place=$place:443 ;; esac
  trust="$trust --connect-to ::$place"
  by_name=https://kubernetes/bramble/v1/dist
}

# Whoever sits before it sees how far a large file is.
progress() { # name
  case $1 in bramble-linux-* | images-*) if [ -t 2 ]; then echo --progress-bar && return 0; fi ;; esac
  echo -s
}

# Goes on where a download was cut; gives up after five tries in a row that brought nothing.
download() { # name file
  local part="$2.part" before after idle=0
  while :; do
    before=$(size_of "$part")
    status=0
    # shellcheck disable=SC2046,SC2086
    curl -fSL $(progress "$1") $trust --connect-timeout 15 --speed-limit 100 --speed-time 30 -C - -o "$part" "${by_name:-$url_source}/$1" || status=$?
    [ "$status" != 0 ] || break
    after=$(size_of "$part")
    # 33: the server cannot go on in the middle. 22: it has no such file, or the file is complete.
    case $status in
      33) rm -f "$part" ;;
      22) [ "$before" = 0 ] || rm -f "$part" ;;
      51 | 58 | 60 | 77 | 83 | 90) die "$url_source does not prove who it is (curl says $status)" \
        "check the address, and this machine's clock ($(date -u)); for a master, take a new token: bramble token create --print-join" ;;
    esac
    if [ "$after" -gt "$before" ]; then idle=0; else idle=$((idle + 1)); fi
    [ "$idle" -lt 5 ] || die "$url_source/$1 cannot be downloaded (curl says $status)" "is the address right, and the network up? What came so far is kept: run this again"
    say "the download of $1 was cut at $((after / 1024)) KiB; going on"
    sleep $((idle + 1))
  done
  put "$part" "$2"
}

size_of() { stat -c %s "$1" 2>/dev/null || echo 0; }

# Puts one file of the release into $share, verified against SHA256SUMS.
fetch() { # name
  if [ -n "$folder_source" ]; then
    sums_hold "$folder_source" "$1" || die "$folder_source/$1 is missing or does not match SHA256SUMS" "copy or build the release again"
    [ ! "$folder_source" -ef "$share" ] || return 0
    cp "$folder_source/$1" "$share/.$1.new"
    put "$share/.$1.new" "$share/$1"
    return 0
  fi
  sum_matches "$1" "$share/$1" && return 0
  for attempt in 1 2; do
    say "downloading $1 from $url_source"
    download "$1" "$share/.$1"
    if sum_matches "$1" "$share/.$1"; then
      mv "$share/.$1" "$share/$1"
      return 0
    fi
    rm -f "$share/.$1"
    [ "$attempt" = 1 ] && say "$1 came damaged; once more"
  done
  die "$1 from $url_source does not match its SHA256SUMS" "somebody or something changes files on the way, or the release is broken"
}

sum_matches() { # name file
  local wanted
  wanted=$(sed -n "s/^\([0-9a-f]\{64\}\) [ *]$1\$/\1/p" "$share/.sums")
  [ -n "$wanted" ] && [ -f "$2" ] && [ "$(sha256sum <"$2" | cut -d' ' -f1)" = "$wanted" ]
}

listed() { grep -q " [ *]$1\$" "$share/.sums"; }

fetch_release() {
  mkdir -p "$share"
  if [ -n "$folder_source" ]; then
    cp "$folder_source/SHA256SUMS" "$share/.sums"
  else
    has curl || die "downloads need curl" "sudo apt-get install curl ca-certificates"
    if [ -z "$url_source" ]; then find_by_avahi; fi
    trust_master
    rm -f "$share/.sums" "$share/.sums.part"
    download SHA256SUMS "$share/.sums"
  fi
  listed "bramble-linux-$arch" || die "the release has no binary for $arch" "on the master, install from a release or checkout with both, and run its install.sh again"
  for name in bramble-uninstall.sh bramble-supervise.sh bramble-master.service bramble-etcd.service bramble-worker.service install.sh VERSION; do fetch "$name"; done
  # A worker keeps no copy to hand out; what runs there already needs no download.
  if [ "$role" = worker ] && sum_matches "bramble-linux-$arch" "$bin_dir/bramble"; then
    staged=$bin_dir/bramble
    return 0
  fi
  fetch "bramble-linux-$arch"
  staged=$share/bramble-linux-$arch
  chmod 755 "$staged"
}

# A file that goes with a release where it is signed, or has images.
fetch_beside() { # name file
  rm -f "$2"
  if [ -n "$folder_source" ]; then
    if [ -f "$folder_source/$1" ]; then cp "$folder_source/$1" "$2"; fi
  else
    # shellcheck disable=SC2086
    curl -fsSL $trust --connect-timeout 15 -m 60 -o "$2" "${by_name:-$url_source}/$1" 2>/dev/null || rm -f "$2"
  fi
}

# By the program that is here already: one that comes with what it is to judge proves little. One that nobody signed takes all.
verify_release() {
  local judge=$staged status=0 offered=$share/.offered
  if [ -x "$bin_dir/bramble" ]; then judge=$bin_dir/bramble; fi
  rm -rf "$offered"
  mkdir "$offered"
  cp "$share/.sums" "$offered/SHA256SUMS"
  for name in SHA256SUMS.sig images.sha256 images.sha256.sig; do fetch_beside "$name" "$offered/$name"; done
  # 3: not signed as it must be. A program of before knows no such command.
  "$judge" verify-release "$offered" >"$share/.verified" 2>&1 || status=$?
  if [ "$status" = 3 ]; then
    cat "$share/.verified" >&2
    [ -n "${INSTALL_BRAMBLE_SKIP_SIGNATURE:-}" ] || die "this release is not of who signed the program here" \
      "take one from where the first came from (INSTALL_BRAMBLE_SKIP_SIGNATURE=1 goes on all the same)"
    say "going on with it all the same, as you wished"
  fi
  rm -f "$share/.verified"
}

# Images of a bundle: the agent reads them from its folder when it starts. A master keeps all of them to hand out.
fetch_images() {
  local list=$share/.images own=$data/images home wanted
  # As it was verified.
  if [ -f "$share/.offered/images.sha256" ]; then cp "$share/.offered/images.sha256" "$list"; else rm -f "$list"; fi
  [ -s "$list" ] || { rm -f "$list"; return 0; }
  # What the cluster keeps lies beside it.
  (umask 077 && mkdir -p "$own")
  # shellcheck disable=SC2013
  for name in $(sed -n 's/^[0-9a-f]\{64\} [ *]\(images-[A-Za-z0-9._-]*\)$/\1/p' "$list"); do
    home=$own
    case $name in
      images-$arch-*) ;;
      # Of the other processor: for boards that join.
      images-arm64-* | images-x64-*) [ "$role" = master ] || continue; home=$share ;;
    esac
    wanted=$(sed -n "s/^\([0-9a-f]\{64\}\) [ *]$name\$/\1/p" "$list")
    if ! has_sum "$wanted" "$home/$name"; then
      say "fetching $name"
      if [ -n "$folder_source" ]; then cp "$folder_source/$name" "$home/.$name"; else download "$name" "$home/.$name"; fi
      if ! has_sum "$wanted" "$home/.$name"; then
        rm -f "$home/.$name"
        die "$name does not match images.sha256" "copy or build the bundle again"
      fi
      put "$home/.$name" "$home/$name"
    fi
    # One copy on the card, where both folders are on one file system.
    if [ "$role" = master ] && ! [ "$home/$name" -ef "$share/$name" ]; then
      ln -f "$home/$name" "$share/$name" 2>/dev/null || cp "$home/$name" "$share/$name"
    fi
  done
  if [ "$role" = master ]; then put "$list" "$share/images.sha256"; else rm -f "$list"; fi
}

has_sum() { # sum file
  [ -f "$2" ] && [ "$(sha256sum <"$2" | cut -d' ' -f1)" = "$1" ]
}

# What boards that join ask this master for.
publish() {
  if [ "$role" = worker ]; then
    rm -rf "$share"/bramble-linux-* "$share"/.sums "$share"/.ca.crt "$share/.offered"
    return 0
  fi
  for name in bramble-linux-arm64 bramble-linux-x64 bramble-first-boot.sh; do
    # A bundle may be for one processor.
    if listed "$name" && { [ -z "$folder_source" ] || [ -f "$folder_source/$name" ]; }; then fetch "$name"; else rm -f "$share/$name"; fi
  done
  # As it was signed. Boards whose program is signed ask for the signatures too.
  put "$share/.sums" "$share/SHA256SUMS"
  for name in SHA256SUMS.sig images.sha256.sig; do
    if [ -f "$share/.offered/$name" ]; then put "$share/.offered/$name" "$share/$name"; else rm -f "$share/$name"; fi
  done
  rm -rf "$share/.offered"
  rm -f "$share/.ca.crt"
  chmod -R a+rX "$share"
}

# ---------------------------------------------------------------- settings

# Sets keys of the config file and leaves all others, and their comments, as they are.
set_config() { # key value …
  local file=$etc/config.yaml
  [ -e "$file" ] || echo "# Settings of Bramble; \`bramble help $role\` lists them all." >"$file"
  : >"$file.new"
  chmod 600 "$file" "$file.new"
  # The words are key, value, key, value; none holds a blank. A list below a key goes with the key's old value.
  awk -v words="$*" '
    BEGIN { n = split(words, word, " "); for (i = 1; i <= n; i += 2) value[word[i]] = word[i + 1] }
    { key = $0; sub(/:.*/, "", key) }
    key in value { if (!(key in written)) print key ": \"" value[key] "\""; written[key] = skipping = 1; next }
    skipping && /^[ \t-]/ { next }
    { skipping = 0; print }
    END { for (i = 1; i <= n; i += 2) if (!(word[i] in written)) print word[i] ": \"" word[i + 1] "\"" }
  ' "$file" >>"$file.new"
  replace_if_changed "$file.new" "$file"
}

write_settings() {
  local before=$changed
  changed=''
  mkdir -p "$etc"
  if [ -n "$store" ]; then set_config store "$store"; fi
  if [ -n "${BRAMBLE_URL:-}" ]; then
    set_config server "$BRAMBLE_URL" ${BRAMBLE_TOKEN:+token "$BRAMBLE_TOKEN"}
  fi
  env_file=$etc/$role.env
  if [ -n "${INSTALL_BRAMBLE_EXEC+given}" ] || [ ! -e "$env_file" ]; then
    # A flag may be a token.
    : >"$env_file.new"
    chmod 600 "$env_file.new"
    printf 'BRAMBLE_ARGS="%s"\n' "$(printf %s "$flags" | sed 's/[\\"$`]/\\&/g')" >>"$env_file.new"
    replace_if_changed "$env_file.new" "$env_file"
  fi
  settings_changed=$changed
  # With --as-pods, etcd is a pod too.
  etcd_unit=$own_etcd
  if grep -qs -e --as-pods "$env_file" || grep -qs '^as-pods: *true' "$etc/config.yaml"; then etcd_unit=''; fi
  changed=$before$changed
}

check_machine() {
  say "looking at this machine"
  chmod 755 "$staged"
  local version
  version=$("$staged" --version) || die "the program does not run on this machine" "an illegal instruction on an old processor, or a damaged card; please report it with the output of: uname -a"
  if [ -n "${INSTALL_BRAMBLE_VERSION:-}" ] && [ "$version" != "$INSTALL_BRAMBLE_VERSION" ] && [ "${version%%+*}" != "$INSTALL_BRAMBLE_VERSION" ]; then
    die "this is version $version, not $INSTALL_BRAMBLE_VERSION" "choose another INSTALL_BRAMBLE_URL or INSTALL_BRAMBLE_SOURCE"
  fi
  # shellcheck disable=SC2046,SC2086
  "$staged" check --role "$role" ${INSTALL_BRAMBLE_FIX:+--fix cgroups} $(kept_flags) </dev/null && return 0
  [ -z "${INSTALL_BRAMBLE_SKIP_CHECK:-}" ] || { say "going on all the same, as you wished"; return 0; }
  die "this board cannot run Bramble yet" "do what the lines with \"mend\" say, then run this again (INSTALL_BRAMBLE_SKIP_CHECK=1 goes on all the same)"
}

# ---------------------------------------------------------------- putting it in place

place() { # from to mode
  cmp -s "$1" "$2" && return 0
  mkdir -p "$(dirname "$2")"
  cp "$1" "$2.new"
  chmod "$3" "$2.new"
  put "$2.new" "$2"
  changed=yes
}

place_files() {
  if ! cmp -s "$staged" "$bin_dir/bramble"; then
    if [ -e "$bin_dir/bramble" ]; then say "upgrading $("$bin_dir/bramble" --version 2>/dev/null || echo an older version) to $("$staged" --version)"; else say "installing $bin_dir/bramble $("$staged" --version)"; fi
    # One copy on the card serves both paths.
    mkdir -p "$bin_dir"
    ln -f "$staged" "$bin_dir/.bramble.new" 2>/dev/null || cp "$staged" "$bin_dir/.bramble.new"
    put "$bin_dir/.bramble.new" "$bin_dir/bramble"
    changed=yes
  fi
  place "$share/bramble-uninstall.sh" "$bin_dir/bramble-uninstall.sh" 755
  if has_systemd; then
    place_unit "bramble-$role.service"
    # A master that keeps its state in sqlite may move later.
    if [ "$role" = master ]; then place_unit bramble-etcd.service; fi
    systemctl daemon-reload
    systemctl enable --quiet "bramble-$role.service"
    if [ -n "$etcd_unit" ]; then systemctl enable --quiet bramble-etcd.service; fi
  fi
}

place_unit() { # name
  sed "s|/usr/local/bin/|$bin_dir/|" "$share/$1" >"$share/.unit"
  place "$share/.unit" "$units/$1" 644
  rm "$share/.unit"
}

place_supervisor() {
  has_systemd && return 0
  say "there is no systemd here: Bramble comes with a small supervisor of its own, $lib/supervise"
  place "$share/bramble-supervise.sh" "$lib/supervise" 755
  if [ -d /etc/cron.d ]; then
    printf '# Starts Bramble with this machine, which has no systemd.\n@reboot root %s start\n' "$lib/supervise" >/etc/cron.d/bramble
  else
    say "note: to start Bramble with this machine, let it run \`$lib/supervise start\` when it boots"
  fi
}

supervised() { # name script [mode]: what the supervisor runs under this name, if it may be executed
  mkdir -p "$etc/supervised"
  printf '#!/bin/sh\n%s\n' "$2" >"$etc/supervised/$1.new"
  chmod "${3:-755}" "$etc/supervised/$1.new"
  if [ -e "$etc/supervised/$1" ]; then chmod "${3:-755}" "$etc/supervised/$1"; fi
  replace_if_changed "$etc/supervised/$1.new" "$etc/supervised/$1"
}

# The flags are words, as on a command line.
with_flags() { # command of bramble's
  # shellcheck disable=SC2016
  printf 'BRAMBLE_ARGS=; . %s\neval "exec %s %s $BRAMBLE_ARGS"' "$env_file" "$bin_dir/bramble" "$1"
}

start() {
  if ! has_systemd; then
    if [ "$role" = master ]; then supervised bramble-etcd "$(with_flags etcd)" "$([ -n "$etcd_unit" ] && echo 755 || echo 644)"; fi
    supervised "bramble-$role" "$(with_flags "$role")"
  fi
  [ -z "${INSTALL_BRAMBLE_SKIP_START:-}" ] || { say "installed and not started, as you wished"; exit 0; }
  # Another version of Bramble is no reason to stop etcd.
  if [ -n "$etcd_unit" ] && { [ -n "$settings_changed" ] || ! is_running etcd; }; then start_program etcd; fi
  if is_running && [ -z "$changed" ]; then
    say "it is running already, and nothing has changed"
  else
    start_program "$role"
  fi
}

# journald's own default is a tenth of the card.
bound_journal() {
  local folder=/etc/systemd/journald.conf.d settings
  case ${INSTALL_BRAMBLE_JOURNAL:-} in
    '') return 0 ;;
    none) settings='' ;;
    volatile) settings='[Journal]
Storage=volatile
RuntimeMaxUse=32M' ;;
    *) settings="[Journal]
SystemMaxUse=$INSTALL_BRAMBLE_JOURNAL
RuntimeMaxUse=32M" ;;
  esac
  drop_in "$folder" "$settings"
  [ -n "$dropped_in" ] || return 0
  if [ -n "$settings" ]; then
    say "the system's journal is bounded ($INSTALL_BRAMBLE_JOURNAL): $folder/50-bramble.conf"
  else
    say "the system's journal is no longer bounded by Bramble"
  fi
  if has_systemd; then systemctl restart systemd-journald.service || say "journald takes it with the next boot"; fi
}

# timesyncd notes the time in a file so that a board without a clock begins there after a power cut; each note is a commit of the
# file system. Bramble does not need it: it begins at the newest time that its own files show.
space_clock_saves() {
  local folder=/etc/systemd/timesyncd.conf.d settings
  case ${INSTALL_BRAMBLE_CLOCK_SAVE:-} in
    '') return 0 ;;
    none) settings='' ;;
    *) settings="[Time]
SaveIntervalSec=$INSTALL_BRAMBLE_CLOCK_SAVE" ;;
  esac
  drop_in "$folder" "$settings"
  [ -n "$dropped_in" ] || return 0
  if [ -n "$settings" ]; then
    say "systemd-timesyncd notes the time each $INSTALL_BRAMBLE_CLOCK_SAVE: $folder/50-bramble.conf"
  else
    say "systemd-timesyncd notes the time as it came"
  fi
  if has_systemd; then systemctl try-restart systemd-timesyncd.service || say "it takes that with the next boot"; fi
}

start_program() { # role, or etcd
  started=$(date +%s)
  if has_systemd; then
    say "starting bramble-$1.service"
    systemctl restart "bramble-$1.service" || die "it does not start" "$(log_command "bramble-$1" "bramble-$1")"
  else
    say "starting bramble-$1"
    "$lib/supervise" restart "bramble-$1"
  fi
}

is_running() { # [role, or etcd]
  if has_systemd; then systemctl --quiet is-active "bramble-${1:-$role}.service"; else "$lib/supervise" status "bramble-${1:-$role}" >/dev/null; fi
}

log_command() { # [unit name-of-supervised]
  if has_systemd; then echo "journalctl -n 50 -u ${1:-bramble-$role}.service"; else echo "tail -n 50 /var/log/bramble/${2:-bramble-$role}.log"; fi
}

# ---------------------------------------------------------------- waiting

# What the program has said since it was started here, without the times.
said() {
  if has_systemd; then
    journalctl -o cat --since "@$started" -u "bramble-$role.service"
  else
    awk -v since="$(date -u -d "@$started" +%FT%TZ)" '$1 >= since { sub(/^[^ ]* /, ""); print }' "/var/log/bramble/bramble-$role.log"
  fi 2>/dev/null
}

# Why it ended last, in the words that it has for people.
why_it_ended() { said | sed -n 's/^bramble: //p' | tail -n 1; }

why_it_has_not_joined() { said | sed -n 's/^WARN .*waiting for the master.* error="\(.*\)".*/: \1/p' | tail -n 1; }

# Asks the API as this board: nothing but what a kubelet may see.
ask_api() { # path
  local identity=$data/agent/identity
  # To curl by its own name the API server answers in lines for people.
  curl -fsS -A bramble-install -m 20 --cacert "$identity/ca.crt" --cert "$identity/client.pem" "$(server_url)$1" 2>/dev/null
}

server_url() {
  if [ "$role" = master ]; then
    sed -n 's/^ *server: *"\{0,1\}\(https:[^"]*\)"\{0,1\} *$/\1/p' "$etc/kubeconfig.yaml" 2>/dev/null | head -n 1
  else
    sed -n 's/^server: *"\{0,1\}\(https:[^",]*\).*/\1/p' "$etc/config.yaml" 2>/dev/null | head -n 1
  fi
}

# Nothing where no agent runs.
node_name() { sed -n 's/.*"nodeName": *"\([^"]*\)".*/\1/p' "$data/agent/identity/board.json" 2>/dev/null || true; }

# What is still to wait for, in words; nothing when all is well.
waiting_for() {
  if ! is_running; then
    local why
    why=$(why_it_ended)
    echo "the program to stay up${why:+: $why}"
  elif [ -n "$etcd_unit" ] && ! is_running etcd; then
    echo "its member of etcd to stay up ($(log_command bramble-etcd bramble-etcd))"
  elif [ "$role" = master ] && { [ ! -s "$etc/kubeconfig.yaml" ] || ! curl -fsk -m 5 "$(server_url)/readyz" >/dev/null 2>&1; }; then
    echo "the API server"
  elif [ -n "$own_etcd" ] && ! sh -c "$(with_flags 'etcd ready')" >/dev/null 2>&1; then
    echo "its member of etcd to catch up with the others and vote"
  elif [ "$role" = master ] && { grep -q -e --no-agent "$etc/master.env" || grep -qs '^no-agent: *true' "$etc/config.yaml"; }; then
    return 0
  elif [ -z "$(node_name)" ]; then
    echo "this board to get its identity from the master$(why_it_has_not_joined)"
  else
    local node condition
    node=$(ask_api "/api/v1/nodes/$(node_name)") || { echo "Node $(node_name)"; return 0; }
    # One condition a line. Field names elsewhere have their quotes escaped.
    condition=$(printf %s "$node" | tr '{' '\n' | grep '"type":"Ready"' | head -n 1)
    case $condition in
      *'"status":"True"'*) ;;
      *) echo "Node $(node_name) to be Ready: $(printf %s "$condition" | sed -n 's/.*"message":"\(\([^"\\]\|\\.\)*\)".*/\1/p')" ;;
    esac
  fi
}

# A program that ends again and again for a reason that it has words for is waited for no longer than it takes to be sure.
most_times_down=15

wait_until_ready() {
  local limit=${INSTALL_BRAMBLE_WAIT:-300} began now told='' left down=0
  [ "$limit" != 0 ] || return 0
  began=$(cut -d. -f1 /proc/uptime)
  while :; do
    left=$(waiting_for)
    [ -n "$left" ] || break
    now=$(cut -d. -f1 /proc/uptime)
    case $left in "the program to stay up: "?*) down=$((down + 1)) ;; esac
    [ "$down" -lt "$most_times_down" ] || die "bramble-$role ends again and again: $(why_it_ended)" \
      "see to that and run this again; meanwhile it is tried on and on ($(log_command))"
    if [ "$left" != "$told" ]; then say "waiting for $left"; fi
    told=$left
    if [ $((now - began)) -ge "$limit" ]; then
      say "the last lines of its log:"
      sh -c "$(log_command)" 2>&1 | tail -n 15 >&2 || true
      die "after $limit s still waiting for $left" "$(log_command)"
    fi
    sleep 1
  done
}

report() {
  if [ "$role" = worker ]; then
    say "this board is Node $(node_name) and Ready. On the master: bramble kubectl get nodes"
    return 0
  fi
  local name address
  name=$(node_name)
  say "the cluster runs${name:+, and this board is its Node $name}"
  address=$(server_url)
  address=${address#https://}
  case $address in \[*) address=${address%%]*}] ;; *) address=${address%%:*} ;; esac
  cat <<END

  Here:             sudo bramble status        sudo bramble kubectl get nodes
  From a laptop:    ssh ${SUDO_USER:-root}@$address sudo cat $etc/kubeconfig.yaml >bramble.yaml
                    kubectl --kubeconfig bramble.yaml get nodes
  Another board:    sudo bramble token create --print-join        prints the line to run there
$(if [ -n "$own_etcd" ]; then echo "  Another master:   sudo bramble token create --master --print-join"; fi)
  Other names of this master (a DNS name, a second address): run this again with INSTALL_BRAMBLE_EXEC="--tls-san NAME"
END
}

main() {
  changed='' probe_files='' started=$(date +%s)
  case ${1:-} in
    '') ;;
    # What `bramble store move etcd` needs of this script.
    etcd)
      own_etcd=yes
      install_packages
      return 0
      ;;
    -h | --help | help)
      usage
      return 0
      ;;
    *) die "install.sh takes no argument $1" "flags of Bramble go into a variable: INSTALL_BRAMBLE_EXEC=\"$*\"; install.sh --help lists all" ;;
  esac
  look_at_machine
  check_variables
  need_space "$(dirname "$bin_dir")" 300
  choose_role
  check_token
  choose_source
  install_packages
  build
  fetch_release
  verify_release
  place_supervisor
  keep_probe_files
  start_docker
  find_master
  write_settings
  check_machine
  place_files
  bound_journal
  space_clock_saves
  fetch_images
  publish
  # What is said to be installed is still there when the power goes now.
  sync
  start
  wait_until_ready
  report
}

# Everything is read before anything runs: a script cut short on its way through a pipe does nothing.
main "$@"
