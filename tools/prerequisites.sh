#!/usr/bin/env bash
# Installs what tests and builds need on a Debian machine, saying what it adds. Idempotent; needs root only when
# something is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# program | Debian package
needed="
dockerd|docker.io
docker|docker.io
iptables|iptables
ipset|ipset
conntrack|conntrack
ip|iproute2
nsenter|util-linux
mkfs.ext4|e2fsprogs
mkfs.xfs|xfsprogs
/usr/lib/cni/bridge|containernetworking-plugins
mosquitto|mosquitto
mosquitto_pub|mosquitto-clients
docker-registry|docker-registry
podman|podman
/bin/busybox|busybox-static
etcd|etcd-server
etcdctl|etcd-client
sqlite3|sqlite3
strace|strace
openssl|openssl
curl|curl
unzip|unzip
git|git
mmdebstrap|mmdebstrap
gcc|gcc
chromium|chromium
qemu-aarch64-static|qemu-user-static
dbus-daemon|dbus-daemon
"
missing=
while IFS='|' read -r program package; do
  [ -n "$program" ] || continue
  command -v "$program" >/dev/null || [[ " $missing " == *" $package "* ]] || missing+=" $package"
done <<<"$needed"
if [ -n "$missing" ]; then
  echo "installing with apt:$missing"
  [ "$(id -u)" = 0 ] || { echo "this needs root: apt-get install$missing" >&2; exit 1; }
  # Debian's packages would start their services; tests start their own.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  apt-get update -qq
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

# The lock file says what belongs into node_modules; a copy there says what it was installed from.
installed_from=node_modules/.installed-package-lock.json
if ! cmp -s package-lock.json "$installed_from"; then
  echo "installing node packages"
  # Not `npm ci`: that insists on packages of other platforms, which not every registry mirror has. The versions come
  # from the lock file all the same.
  npm install --no-save --no-audit --no-fund --loglevel=error
  cp package-lock.json "$installed_from"
fi
