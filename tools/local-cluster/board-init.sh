#!/usr/bin/env bash
# The first process of a board of the local cluster: gives it file trees of its own, starts its container runtime and reaps. When it
# is killed the kernel kills all that runs on the board, as a power cut does.
# usage: board-init.sh BOARD_DIR NAME docker|containerd   (inside fresh mount, UTS, IPC, PID and network namespaces)
set -euo pipefail
dir=$1 name=$2 engine=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# Folders of the machine that are private to a board; their contents outlive a power cut, /run and /tmp do not.
own() { # path
  mkdir -p "$1" "$dir/root$1"
  mount --bind "$dir/root$1" "$1"
}
mount --make-rprivate /
mount -t proc proc /proc
for path in /etc/bramble /etc/cni /etc/docker /opt/cni /var/lib/bramble /var/lib/docker /var/lib/containerd /var/lib/cni /var/lib/kubelet /var/log; do own "$path"; done
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /tmp
mkdir -p /run/lock
printf '127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 %s\n' "$name" >"$dir/hosts"
[ -s "$dir/machine-id" ] || tr -d - </proc/sys/kernel/random/uuid >"$dir/machine-id"
printf '%s\n' "$name" >"$dir/hostname"
[ -e "$dir/resolv.conf" ] || : >"$dir/resolv.conf"
for file in hosts machine-id hostname resolv.conf; do
  [ -e "/etc/$file" ] || : >"/etc/$file"
  mount --bind "$dir/$file" "/etc/$file"
done
hostname "$name"
# Boards of one machine would all show its serial.
serial=/sys/class/dmi/id/product_uuid
if [ -e "$serial" ]; then
  [ -s "$dir/product_uuid" ] || cat /proc/sys/kernel/random/uuid >"$dir/product_uuid"
  mount --bind "$dir/product_uuid" "$serial"
fi
# Volumes that the kubelet mounts must reach containers, as on a machine whose root is shared.
mount --make-rshared /

runtime=()
sys_resource=24
bounds=$(awk '$1 == "CapBnd:" { print $2 }' /proc/self/status)
if (((0x$bounds >> sys_resource & 1) == 0)); then
  runtime=(--add-runtime "within-bounds=$here/runc-within-bounds.sh" --default-runtime within-bounds)
fi
if [ "$engine" = containerd ]; then
  within_bounds=
  [ ${#runtime[@]} -eq 0 ] || within_bounds='BinaryName = "'$here'/runc-within-bounds.sh"'
  cat >/run/containerd.toml <<C
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.10.1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      $within_bounds
C
  containerd --config /run/containerd.toml >>/var/log/containerd.log 2>&1 </dev/null &
else
  dockerd --data-root /var/lib/docker --exec-root /run/docker --pidfile /run/dockerd.pid -H unix:///run/docker.sock \
    --bridge=none --iptables=false --ip-masq=false --cgroup-parent="/bramble-$name" --live-restore=true \
    --log-opt max-size=10m --log-opt max-file=2 "${runtime[@]}" >>/var/log/dockerd.log 2>&1 </dev/null &
fi

# Bash reaps whatever is left to it while it waits.
while :; do
  sleep 3600 &
  wait $! || true
done
