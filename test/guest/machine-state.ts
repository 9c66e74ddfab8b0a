/**
 * What a machine is, in lines that can be compared: one shell script for each thing that an installation may leave behind. Of what
 * changes by itself (logs, caches, Docker's own folders, times) nothing is in them.
 */
const aspects = {
  // With what is in them: here settings and programs are.
  files: `find /etc /usr/local /opt /root /boot -xdev \\( -name .cache -prune \\) -o -printf '%y %m %U:%G %p %l\\n' |
    grep -vE ' (/etc/(resolv.conf|ld.so.cache)) '
    find /etc /usr/local /opt -xdev -type f ! -name ld.so.cache -exec sha256sum {} +`,
  programs: "find /usr -xdev -path /usr/local -prune -o -printf '%y %m %U:%G %s %p %l\\n'",
  // Of Docker's folders only what is at their tops: below are its images and containers, which are told by it.
  data: `find /var /srv /home /mnt -xdev \\( -path /var/log/journal -o -path '/var/cache/*' -o -path '/var/lib/apt/*' \\
    -o -path '/var/lib/docker/*/*' -o -path '/var/lib/containerd/*/*' -o -path '/var/lib/systemd/*' -o -path '/var/tmp/systemd-*' \\
    -o -path '/mnt/*' \\) -prune -o -printf '%y %m %U:%G %p\\n'`,
  runtime: `find /run -xdev \\( -path /run/log -o -path /run/user -o -path '/run/udev/*' -o -path '/run/docker/*' -o -path '/run/containerd/*' \\
    -o -path '/run/systemd/*' -o -path '/run/credentials' \\) -prune -o -printf '%y %m %U:%G %p\\n'`,
  transient: "find /run/systemd /var/lib/systemd -iname '*bramble*' -o -iname '*kube*' -o -iname '*.d' -printf '%p\\n'",
  "unit files": "systemctl list-unit-files --no-legend --no-pager | awk '{ print $1, $2 }'",
  units: `systemctl list-units --all --plain --no-legend --no-pager --type=service,socket,timer,slice,mount,path |
    awk '{ print $1, $2, $3 }' | grep -vE '^(session-|user@|user-|run-|systemd-|apt-|dpkg-|fstrim|ldconfig|e2scrub|proc-sys-fs-binfmt_misc.mount|init.scope|mnt-|initrd-|ssh)'`,
  users: "getent passwd; getent group; getent shadow | cut -d: -f1,2",
  "iptables rules": rulesOf("iptables"),
  "ip6tables rules": rulesOf("ip6tables"),
  "address sets": "ipset list -name",
  // What docker0 has of the link's alone comes with the first container.
  network: `ip -br link | awk '{ print "link", $1 }'; ip -br address | sed 's/ fe80:[^ ]*//g' | awk '{ $2 = ""; print "address", $0 }'
    ip route | sed 's/ linkdown//; s/ metric [0-9]*//'; ip -6 route | grep -v fe80 | sed 's/ expires .*//'; ip rule; ip -6 rule; ip netns`,
  // containerd has a port that is another at each start.
  listeners: "ss -Hlntu | awk '{ print $1, $5 }' | grep -vE '%eth0|127.0.0.1:[345]'",
  // systemd mounts binfmt_misc for whoever looks at it.
  mounts: "awk '{ print $1, $2, $3 }' /proc/mounts | grep -vE ' /run/user|binfmt_misc'",
  "control groups":
    "find /sys/fs/cgroup -maxdepth 2 -type d | grep -vE '/(user|system)[.]slice/|init.scope|binfmt_misc'",
  processes: "ps -eo comm= | grep -iE 'bramble|shim|pause|kube|httpd'",
  containers: "docker ps --all --format '{{.Names}}'; docker volume ls -q; docker network ls --format '{{.Name}}'",
  images: "docker images --all --format '{{.Repository}}:{{.Tag}}'",
  modules: "lsmod | awk 'NR > 1 { print $1 }'",
  settings: `sysctl -a 2>/dev/null |
    grep -vE '^(fs[.](dentry|file|inode|aio|epoll|mqueue|quota)|kernel[.](random|ns_last|pty[.]nr|tainted|sched_domain)|net[.]netfilter[.]nf_conntrack_count|net[.]ipv4[.]tcp_fastopen_key|dev[.])' |
    grep -vE '^net[.]ipv[46][.](conf|neigh)[.](veth|br-)'`,
} as const;

export type Aspect = keyof typeof aspects;
export type MachineState = Readonly<Record<Aspect, readonly string[]>>;

/** One line for each difference: `+ aspect: line` for what came, `-` for what went. */
export type Difference = string;

/** @param run gives what a shell line prints on the machine. */
export function machineState(run: (line: string) => string): MachineState {
  const read = (line: string): string[] => [...new Set(run(`{ ${line}\n} || true`).split("\n"))].filter(Boolean).sort();
  return Object.fromEntries(Object.entries(aspects).map(([aspect, line]) => [aspect, read(line)])) as Record<
    Aspect,
    string[]
  >;
}

export function differences(before: MachineState, after: MachineState): Difference[] {
  return (Object.keys(aspects) as Aspect[]).flatMap((aspect) => {
    const had = new Set(before[aspect]);
    const has = new Set(after[aspect]);
    return [
      ...before[aspect].filter((line) => !has.has(line)).map((line) => `- ${aspect}: ${line}`),
      ...after[aspect].filter((line) => !had.has(line)).map((line) => `+ ${aspect}: ${line}`),
    ];
  });
}

/** Without counters, and without tables and chains of the kernel's own that let all pass: asking for one makes it. */
function rulesOf(program: string): string {
  return `${program}-save | grep -vE '^(#|[*]|COMMIT)' | sed -E 's/ \\[[0-9]+:[0-9]+\\]$//' | grep -vE '^:[A-Z]+ ACCEPT$'`;
}
