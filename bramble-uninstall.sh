#!/bin/sh
# shellcheck shell=dash
# Removes Bramble from this machine and says what it removes. Docker, its images and everything that is not Bramble's
# stays.
#   --keep-data   keeps /etc/bramble and /var/lib/bramble, so that a later install goes on with the same cluster
# A worker leaves its cluster in good order by `bramble worker leave` before this, one of several masters by
# `bramble master leave`.
set -eu

etc=/etc/bramble
data=/var/lib/bramble
run=/run/bramble
units=/etc/systemd/system
bin_dir=$(cd "$(dirname "$0")" && pwd)
keep_data=''

say() { echo "bramble-uninstall: $*"; }
has() { command -v "$1" >/dev/null 2>&1; }
remove() { # files and folders that are there
  for path in "$@"; do
    if mounted_below "$path"; then
      say "NOT removed, for something is mounted below it: $path"
    elif [ -e "$path" ] || [ -L "$path" ]; then
      say "removing $path"
      rm -rf -- "$path" || say "NOT removed: $path"
    fi
  done
}
# A volume that could not be unmounted must not lose what it holds.
mounted_below() { awk -v folder="$1/" 'index($2, folder) == 1 { found = 1 } END { exit !found }' /proc/mounts; }

stop_bramble() {
  for role in first-boot master worker etcd; do
    if [ -d /run/systemd/system ] && [ -e "$units/bramble-$role.service" ]; then
      say "stopping bramble-$role.service"
      systemctl disable --quiet --now "bramble-$role.service" || say "it does not stop; going on"
    fi
    if [ -e "$etc/supervised/bramble-$role" ] && [ -x /usr/local/lib/bramble/supervise ]; then
      say "stopping bramble-$role"
      /usr/local/lib/bramble/supervise stop "bramble-$role" || say "it does not stop; going on"
    fi
  done
}

# Containers that carry the labels of a kubelet's pods: containers first, then the sandboxes that hold their networks.
remove_containers() {
  if ! has docker || ! docker version >/dev/null 2>&1; then
    say "note: Docker does not answer, so containers of pods cannot be removed. Later: docker rm -f \$(docker ps -aq --filter label=io.kubernetes.pod.uid)"
    return 0
  fi
  for type in container podsandbox; do
    ids=$(docker ps -aq --filter label=io.kubernetes.pod.uid --filter "label=io.kubernetes.docker.type=$type")
    [ -n "$ids" ] || continue
    say "removing $(echo "$ids" | wc -l) containers of pods ($type)"
    echo "$ids" | xargs docker rm -fv >/dev/null || say "some containers are NOT removed: docker ps -a"
  done
  for image in $(docker images -q bramble.local/pause; docker images -q bramble.local/bramble); do docker rmi -f "$image" >/dev/null 2>&1 || true; done
  say "images stay; docker image prune -a removes those that nothing uses"
}

# A folder from the flags or the config file; nothing where it is the usual one.
setting() { # name
  local given
  given=$(sed -n "s/^BRAMBLE_ARGS=.*--$1[= ]\([^ \"]*\).*/\1/p" "$etc/master.env" "$etc/worker.env" 2>/dev/null | head -n 1)
  if [ -n "$given" ]; then echo "$given"; else sed -n "s/^$1: *\"\{0,1\}\([^\"]*\)\"\{0,1\} *\$/\1/p" "$etc/config.yaml" 2>/dev/null || true; fi
}

find_folders() {
  # Such a folder may hold other things too.
  own_data=$(setting data-dir)
  data=${own_data:-$data}
  kubelet=$(setting root-dir)
  kubelet=${kubelet:-/var/lib/kubelet}
  logs=$(setting pod-logs-dir)
  logs=${logs:-/var/log/pods}
  own_run=$(setting run-dir)
}

# Volumes that were mounted for pods; the deepest first.
unmount_volumes() {
  awk -v folders="$data/ $run/ ${own_run:-$run}/ $kubelet/pods/ $kubelet/plugins/kubernetes.io/" '
    BEGIN { count = split(folders, folder, " ") }
    { for (i = 1; i <= count; i++) if (index($2, folder[i]) == 1) { print $2; next } }' /proc/mounts | sort -r |
    while IFS= read -r point; do
      point=$(printf '%b' "$point") # the kernel writes a blank as \040
      say "unmounting $point"
      umount "$point" 2>/dev/null || umount -l "$point" || say "NOT unmounted: $point"
    done
}

# Chains that Bramble's service proxy and pod network made, and host ports of its pods; others' rules are not touched.
ours='(KUBE|BRAMBLE)-[A-Za-z0-9-]+'
remove_rules() { # iptables|ip6tables
  has "$1-save" || return 0
  for table in nat filter mangle raw; do
    saved=$("$1-save" -t "$table" 2>/dev/null) || continue
    # A pod's host port has a chain of its own, which names the network.
    ports=$(printf '%s\n' "$saved" | sed -nE 's/^-A (CNI-HOSTPORT-DNAT) .*dnat name: "?\\?"bramble\\?".* -j (CNI-DN-[0-9a-f]+)$/\2/p' | sort -u)
    # The plugin makes those that lead there once and leaves them; it makes them again where it needs them.
    shared='' others=$(printf '%s\n' "$saved" | grep '^-A CNI-HOSTPORT-DNAT ' | grep -cvE 'dnat name: "?\\?"bramble\\?"') || true
    if [ "$others" = 0 ]; then shared='CNI-HOSTPORT-(DNAT|SETMARK|MASQ)'; fi
    chains=$(printf '%s\n' "$saved" | sed -nE "s/^:($ours${shared:+|$shared}) .*/\1/p"; echo "$ports")
    chains=$(echo "$chains" | sed '/^$/d')
    [ -n "$chains" ] || continue
    say "removing $(echo "$chains" | wc -l) chains from $1's table $table"
    {
      echo "*$table"
      for chain in $chains; do echo ":$chain - [0:0]"; done
      printf '%s\n' "$saved" | grep -E -- " -[jg] ($(echo "$chains" | tr '\n' '|' | sed 's/|$//'))( |\$)" |
        grep -vE "^-A ($(echo "$chains" | tr '\n' '|' | sed 's/|$//')) " | sed 's/^-A /-D /'
      for chain in $chains; do echo "-X $chain"; done
      echo COMMIT
    } | "$1-restore" --noflush -w 10 || say "NOT all rules are removed: $1-save -t $table"
  done
}

# What Bramble set of the kernel's network, as its agent noted it since this boot: the last first. Forwarding stays where Docker
# runs, which needs it too.
restore_kernel_settings() {
  [ -f "${own_run:-$run}/kernel-settings" ] || return 0
  tac "${own_run:-$run}/kernel-settings" | while read -r path value; do
    case $path in
      /proc/sys/net/ipv4/ip_forward) if has docker && docker version >/dev/null 2>&1; then continue; fi ;;
      /proc/sys/net/*) [ -e "$path" ] || continue ;;
      *) continue ;;
    esac
    say "setting $path to $value, as it was"
    echo "$value" >"$path" || say "NOT set: $path"
  done
}

# Interfaces, routes (marked with our protocol number) and the DNS address.
remove_network() {
  restore_kernel_settings
  has ip || return 0
  for link in bramble0 bramble.vxlan; do
    if ip link show "$link" >/dev/null 2>&1; then
      say "removing interface $link"
      ip link delete "$link" || true
    fi
  done
  for family in -4 -6; do
    ip "$family" route show proto 66 2>/dev/null | while read -r network _; do
      say "removing the route to $network"
      ip "$family" route delete "$network" proto 66 || true
    done
  done
  dns=$(sed -n 's/^cluster-dns: *"\{0,1\}\([0-9a-fA-F.:]*\).*/\1/p' "$etc/config.yaml" 2>/dev/null || true)
  for address in "${dns:-10.43.0.10}/32" 169.254.43.1/32 fd43:b4a9::1/128; do # DNS, and relays of Services
    ip address delete "$address" dev lo 2>/dev/null && say "removing $address from lo"
  done
  remove /etc/cni/net.d/99-bramble.conflist
  # containerd makes these folders when it starts, and watches them.
  has containerd || rmdir /etc/cni/net.d /etc/cni 2>/dev/null || true
  remove_rules iptables
  remove_rules ip6tables
  if has ipset; then
    for set in $(ipset list -name 2>/dev/null | grep '^BRAMBLE-'); do
      say "removing the address set $set"
      ipset destroy "$set" || true
    done
  fi
}

# Control groups of pods, empty once their containers are gone; slices are systemd's to stop.
remove_groups() {
  for group in /sys/fs/cgroup/kubepods /sys/fs/cgroup/kubepods.slice /sys/fs/cgroup/*/kubepods /sys/fs/cgroup/*/kubepods.slice; do
    [ -d "$group" ] || continue
    if [ -n "$(find "$group" -name cgroup.procs -exec cat {} + 2>/dev/null)" ]; then
      say "keeping the control group $group: somebody else's processes are in it"
      continue
    fi
    say "removing the control group $group"
    case $group in *.slice) if [ -d /run/systemd/system ]; then systemctl stop kubepods.slice || true; fi ;; esac
    find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true
  done
}

# Where Bramble's supervisor also runs Docker, that much of it stays, for others' containers may run there.
remove_files() {
  supervised_docker=''
  remove "$units/bramble-first-boot.service" /var/lib/bramble-first-boot
  if [ -e "$etc/supervised/dockerd" ]; then supervised_docker=yes; fi
  remove "$units/bramble-master.service" "$units/bramble-worker.service" "$units/bramble-etcd.service"
  remove_drop_in "${units%/system}/logind.conf.d/99-bramble.conf"
  if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
  give_back_etcd
  unbound_journal
  unspace_clock_saves
  move_probe_files_back
  remove_kubelet_folders
  remove "$etc/supervised/bramble-master" "$etc/supervised/bramble-worker" "$etc/supervised/bramble-etcd"
  if [ -n "$keep_data" ]; then
    say "keeping $etc and $data"
  else
    if [ -n "$own_data" ]; then say "keeping $data, where you had the state put; remove it yourself"; else remove "$data"; fi
    remove_below "$etc" "$etc/supervised*"
  fi
  remove_below "$run" "$run/supervise*"
  if [ -n "$own_run" ]; then say "keeping $own_run, where you had sockets put; remove it yourself"; fi
  remove /usr/local/share/bramble /var/log/bramble/bramble-* "$bin_dir/bramble" "$bin_dir/.bramble.previous" "$bin_dir/.bramble.upgrade" \
    "$bin_dir/bramble-uninstall.sh"
  if [ -n "$supervised_docker" ]; then
    say "Docker goes on, with what supervises it here: /usr/local/lib/bramble, $etc/supervised, /etc/cron.d/bramble"
    say "to end that too: /usr/local/lib/bramble/supervise stop dockerd; rm -r /usr/local/lib/bramble $etc /etc/cron.d/bramble"
  else
    remove /usr/local/lib/bramble /var/log/bramble /etc/cron.d/bramble "$run"
    if [ -z "$keep_data" ]; then remove "$etc"; fi
  fi
}

remove_drop_in() { # file
  remove "$1"
  rmdir "${1%/*}" 2>/dev/null || true
}

# Where drivers and plug-ins met the kubelet, and log collectors found the logs of pods. What others have there stays.
remove_kubelet_folders() {
  local folder dead
  remove "$kubelet/device-plugins/kubelet.sock" "$kubelet/device-plugins/kubelet_internal_checkpoint" \
    "$kubelet/pod-resources/kubelet.sock" "$kubelet/pods" "$kubelet/plugins/kubernetes.io/csi"
  for folder in "$logs" "${logs%/*}/containers"; do
    [ -d "$folder" ] || continue
    dead=$(find "$folder" -xtype l | wc -l)
    [ "$dead" = 0 ] || say "removing $dead links to logs of pods from $folder"
    find "$folder" -xtype l -delete
    find "$folder" -depth -type d -empty -delete
  done
  for folder in plugins/kubernetes.io plugins plugins_registry device-plugins pod-resources ''; do
    rmdir "$kubelet/$folder" 2>/dev/null || true
  done
}

# What bounded the system's journal.
unbound_journal() {
  [ -e /etc/systemd/journald.conf.d/50-bramble.conf ] || return 0
  remove_drop_in /etc/systemd/journald.conf.d/50-bramble.conf
  if [ -d /run/systemd/system ]; then systemctl restart systemd-journald.service || true; fi
}

# What had systemd-timesyncd note the time more rarely.
unspace_clock_saves() {
  [ -e /etc/systemd/timesyncd.conf.d/50-bramble.conf ] || return 0
  remove_drop_in /etc/systemd/timesyncd.conf.d/50-bramble.conf
  if [ -d /run/systemd/system ]; then systemctl try-restart systemd-timesyncd.service || true; fi
}

# Where containerd keeps the files by which it hands over exec probes. It takes that with its next start: nothing waits for it.
move_probe_files_back() {
  local unit file
  for unit in containerd.service docker.service; do
    file=$units/$unit.d/50-bramble.conf
    [ -e "$file" ] || continue
    remove_drop_in "$file"
    if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
  done
}

# The service of etcd's package was held back for ours. It would start with the next boot.
give_back_etcd() {
  [ -e "$etc/masked-etcd" ] || return 0
  say "unmasking etcd.service, which came with etcd's package, and leaving it disabled; apt-get purge etcd-server removes it"
  systemctl unmask --quiet etcd.service || true
  systemctl disable --quiet etcd.service 2>/dev/null || true
  rm -f "$etc/masked-etcd"
}

remove_below() { # folder pattern-of-paths-that-stay
  [ -d "$1" ] || return 0
  say "removing what is in $1"
  find "$1" -mindepth 1 -depth ! -path "$2" -delete || say "NOT all removed: $1"
}

main() {
  for argument in "$@"; do
    case $argument in
      --keep-data) keep_data=yes ;;
      *)
        # What stands at the top.
        sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0"
        case $argument in -h | --help | help) exit 0 ;; *) exit 2 ;; esac
        ;;
    esac
  done
  [ "$(id -u)" = 0 ] || { echo "bramble-uninstall: this needs root: put sudo before it" >&2; exit 1; }
  find_folders
  if [ ! -e "$data" ] && [ ! -e "$etc" ] && [ ! -e "$bin_dir/bramble" ]; then
    say "Bramble is not installed here"
    exit 0
  fi
  stop_bramble
  remove_containers
  remove_groups
  unmount_volumes
  remove_network
  remove_files
  for folder in /boot/firmware /boot; do
    [ ! -e "$folder/cmdline.txt.before-bramble" ] ||
      say "note: the memory cgroup stays switched on; $folder/cmdline.txt.before-bramble is the file of before"
  done
  say "done. Packages that install.sh added (docker.io and others) stay, for others may use them"
}

# The script removes its own file: all of it is read before.
main "$@"
exit
