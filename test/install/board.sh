#!/usr/bin/env bash
# The first process of a machine without systemd to install on: this machine's own file tree under a layer in memory, so
# that nothing done there is seen outside or left behind. When it is killed, all that runs there dies.
# usage: board.sh NAME   (inside fresh mount, UTS, IPC, PID and network namespaces)
set -euo pipefail
name=$1

mount --make-rprivate /
layer=$(mktemp -d)
mount -t tmpfs -o mode=755 tmpfs "$layer"
mkdir "$layer"/{upper,work,root,docker,bramble}
mount -t overlay overlay -o "lowerdir=/,upperdir=$layer/upper,workdir=$layer/work" "$layer/root"
for path in dev sys; do mount --rbind "/$path" "$layer/root/$path"; done
mount -t proc proc "$layer/root/proc"
mount -t tmpfs -o mode=755 tmpfs "$layer/root/run"
mount -t tmpfs -o mode=1777 tmpfs "$layer/root/tmp"
# Docker's own layers do not lie on an overlay.
for path in docker bramble; do
  mkdir -p "$layer/root/var/lib/$path"
  mount --bind "$layer/$path" "$layer/root/var/lib/$path"
done
# What the machine itself has of Bramble and of pods is not there.
for path in etc/bramble etc/cni etc/docker etc/cron.d opt/cni var/log/bramble usr/local/share/bramble usr/local/lib/bramble; do
  rm -rf "${layer:?}/root/$path"
done
mkdir -p "$layer/root/etc/cron.d" "$layer/root/host-root"
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$name" >"$layer/root/etc/hosts"
: >"$layer/root/etc/resolv.conf"
cd "$layer/root"
pivot_root . host-root
umount -l /host-root
# As on a booted machine: what is mounted for pods reaches containers.
mount --make-rshared /
hostname "$name"
touch /run/board-ready
while :; do
  sleep 3600 &
  wait $! || true
done
