#!/usr/bin/env bash
# Bramble's master and upstream's control plane in turn on this machine, by the same client:
#   bench/side-by-side.sh --clusterbench FILE --upstream FILE --out DIR [--ops 10000] [--clients 1,16,64]
#                         [--fsync-delay-ms N] [--rounds 2] [--quiet-s 60]
# --upstream names an up.sh that takes a folder and --no-node, keeps process ids in FOLDER/pids and a kubeconfig in
# FOLDER/admin.kubeconfig, its programs from $EXAM_CACHE/bin, with a down.sh beside it (test/conformance). Bramble is
# dist/bramble-linux-x64 (npm run build x64), a master without agent in a network namespace of its own. Needs root; with
# a delay, strace. Each round measures both sides from an empty store; DIR gets a report for each, with the load average.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bench='' upstream='' out='' ops=10000 clients=1,16,64 delay_ms=0 rounds=2 quiet_s=60
while [ $# -gt 0 ]; do
  case $1 in
  --clusterbench) bench=$2 ;;
  --upstream) upstream=$2 ;;
  --out) out=$2 ;;
  --ops) ops=$2 ;;
  --clients) clients=$2 ;;
  --fsync-delay-ms) delay_ms=$2 ;;
  --rounds) rounds=$2 ;;
  --quiet-s) quiet_s=$2 ;;
  *) sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
  shift 2
done
[ -n "$bench" ] && [ -n "$upstream" ] && [ -n "$out" ] || { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
binary=$root/dist/bramble-linux-x64
[ -x "$binary" ] || { echo "build it first: npm run build x64" >&2; exit 2; }
mkdir -p "$out"
space=side-by-side-$$
inside=(nsenter "--net=/run/netns/$space")
work=$(mktemp -d "$out/work.XXXXXX")
stop=()

clean_up() {
  local command
  for command in "${stop[@]}"; do eval "$command" || true; done
  stop=()
}
trap 'clean_up; rm -rf "$work"' EXIT

# delayed COMMAND...: runs it in place of this shell; every sync of it takes so much longer, as on an SD card. Only the syncs
# are stopped, and the process keeps its id.
delayed() {
  [ "$delay_ms" -gt 0 ] || exec "$@"
  exec strace -D -f --seccomp-bpf -qq -o /dev/null -e trace=fsync,fdatasync \
    -e "inject=fsync,fdatasync:delay_exit=$((delay_ms * 1000))" "$@"
}

# A folder of upstream's programs in which etcd is started by `delayed`, for its up.sh.
delayed_programs() {
  local programs=${EXAM_CACHE:-$HOME/.cache/cluster-exam}
  mkdir -p "$work/programs/bin"
  ln -sf "$programs"/bin/* "$work/programs/bin/"
  rm "$work/programs/bin/etcd"
  { echo '#!/usr/bin/env bash'; declare -p delay_ms; declare -f delayed; printf 'delayed %q "$@"\n' "$programs/bin/etcd"; } >"$work/programs/bin/etcd"
  chmod +x "$work/programs/bin/etcd"
  echo "$work/programs"
}

# measure NAME PIDS COMMAND...: memory and idle use, the API, watches, memory two quiet minutes after.
measure() {
  local name=$1 pids=$2 kubeconfig=$3
  shift 3
  local note="side by side, fsync delay $delay_ms ms"
  "$bench" resources --pids "$pids" --seconds "$quiet_s" --note "$note" --json "$out/$name-idle.json"
  "$@" "$bench" api --kubeconfig "$kubeconfig" --clients "$clients" --ops "$ops" --note "$note" --json "$out/$name-api.json"
  "$@" "$bench" watch --kubeconfig "$kubeconfig" --note "$note" --json "$out/$name-watch.json"
  sleep $((2 * quiet_s))
  "$bench" resources --pids "$pids" --seconds "$quiet_s" --note "$note" --json "$out/$name-after.json"
}

measure_bramble() {
  local data=$work/bramble-$1 pid
  ip netns add "$space"
  stop=("ip netns del $space" "${stop[@]}")
  "${inside[@]}" sh -c 'ip link set lo up; ip link add bench0 type veth peer name bench1
    ip addr add 198.18.0.1/24 dev bench0; ip link set bench0 up; ip link set bench1 up'
  mkdir -p "$data/run"
  (delayed "${inside[@]}" "$binary" master --no-agent --data-dir "$data" --run-dir "$data/run" \
    --write-kubeconfig "$data/admin.kubeconfig" --advertise-address 198.18.0.1 --node-ip 198.18.0.1 2>"$out/bramble-$1.log") &
  pid=$!
  stop=("kill $pid; wait $pid 2>/dev/null" "${stop[@]}")
  until grep -q "API server is ready" "$out/bramble-$1.log"; do kill -0 "$pid"; sleep 0.2; done
  sleep "$quiet_s"
  measure "bramble-$1" "bramble=$pid" "$data/admin.kubeconfig" "${inside[@]}"
  clean_up
}

measure_upstream() {
  local folder=$work/upstream-$1 pids='' file
  if [ "$delay_ms" -gt 0 ]; then EXAM_CACHE=$(delayed_programs) bash "$upstream" "$folder" --no-node
  else bash "$upstream" "$folder" --no-node; fi
  stop=("bash '$(dirname "$upstream")/down.sh' '$folder'" "${stop[@]}")
  for file in "$folder"/pids/*; do pids+=${pids:+,}$(basename "$file")=$(cat "$file"); done
  sleep "$quiet_s"
  measure "upstream-$1" "$pids" "$folder/admin.kubeconfig"
  clean_up
}

for round in $(seq "$rounds"); do
  measure_bramble "$round"
  measure_upstream "$round"
  for report in api watch; do
    "$bench" compare "$out/bramble-$round-$report.json" "$out/upstream-$round-$report.json"
  done
done
