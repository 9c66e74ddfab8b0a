#!/usr/bin/env bash
# Starts upstream's etcd and kube-apiserver alone, on loopback: the oracle that record.ts asks.
#   upstream.sh DIR        starts them; DIR/url, DIR/ca.crt and DIR/token are what a client needs
#   upstream.sh DIR stop
#   upstream.sh DIR restart    starts kube-apiserver anew over the same etcd
# UPSTREAM_ADMISSION=default leaves all admission plugins on; without it those are off that need controllers or add defaults.
# UPSTREAM_CONTROLLERS=1 starts kube-controller-manager too, UPSTREAM_SCHEDULER=1 with it kube-scheduler.
# UPSTREAM_CONTROLLER_FLAGS are further flags of kube-controller-manager.
# UPSTREAM_FLAGS are further flags of kube-apiserver.
# UPSTREAM_BIN is the folder with etcd and kube-apiserver v1.35.4; ports are UPSTREAM_PORT and the two above it.
set -euo pipefail
dir=$1
if [ "${2:-}" = stop ]; then
  for name in kube-scheduler kube-controller-manager kube-apiserver etcd; do
    [ -e "$dir/$name.pid" ] && kill "$(cat "$dir/$name.pid")" 2>/dev/null || true
    rm -f "$dir/$name.pid"
  done
  exit 0
fi
restart=
if [ "${2:-}" = restart ]; then
  restart=1
  kill "$(cat "$dir/kube-apiserver.pid")"
  while kill -0 "$(cat "$dir/kube-apiserver.pid")" 2>/dev/null; do sleep 0.1; done
fi
bin=${UPSTREAM_BIN:-$HOME/.cache/cluster-exam/bin}
port=${UPSTREAM_PORT:-17443}
admission=("--disable-admission-plugins=ServiceAccount,DefaultTolerationSeconds,Priority,TaintNodesByCondition,StorageObjectInUseProtection")
[ "${UPSTREAM_ADMISSION:-}" = default ] && admission=()
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
if [ -z "$restart" ]; then
  rm -rf "$dir/etcd"
  openssl genrsa -out "$dir/sa.key" 2048 2>/dev/null
  openssl req -x509 -newkey rsa:2048 -nodes -keyout "$dir/server.key" -out "$dir/ca.crt" -days 30 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null
  head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$dir/token"
  echo "$(cat "$dir/token"),oracle,oracle,system:masters" >"$dir/tokens.csv"
  setsid nohup "$bin/etcd" --data-dir "$dir/etcd" --unsafe-no-fsync \
    --listen-client-urls "http://127.0.0.1:$((port + 1))" --advertise-client-urls "http://127.0.0.1:$((port + 1))" \
    --listen-peer-urls "http://127.0.0.1:$((port + 2))" --initial-advertise-peer-urls "http://127.0.0.1:$((port + 2))" \
    --initial-cluster "default=http://127.0.0.1:$((port + 2))" >"$dir/etcd.log" 2>&1 </dev/null &
  echo $! >"$dir/etcd.pid"
fi
# shellcheck disable=SC2086
setsid nohup "$bin/kube-apiserver" --secure-port="$port" --bind-address=127.0.0.1 --advertise-address=127.0.0.1 \
  --endpoint-reconciler-type=none --allow-privileged --etcd-servers="http://127.0.0.1:$((port + 1))" \
  --service-cluster-ip-range=10.43.0.0/16 --authorization-mode=RBAC \
  "${admission[@]}" ${UPSTREAM_FLAGS:-} \
  --token-auth-file="$dir/tokens.csv" --tls-cert-file="$dir/ca.crt" --tls-private-key-file="$dir/server.key" \
  --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$dir/sa.key" \
  --service-account-signing-key-file="$dir/sa.key" >"$dir/kube-apiserver.log" 2>&1 </dev/null &
echo $! >"$dir/kube-apiserver.pid"
echo "https://127.0.0.1:$port" >"$dir/url"
ready=
for _ in $(seq 300); do
  curl -sf --cacert "$dir/ca.crt" -H "Authorization: Bearer $(cat "$dir/token")" "$(cat "$dir/url")/readyz" >/dev/null && ready=1 && break
  sleep 0.2
done
if [ -n "$ready" ]; then
  [ -n "${UPSTREAM_CONTROLLERS:-}" ] || exit 0
  cat >"$dir/kubeconfig" <<K
apiVersion: v1
kind: Config
clusters: [{name: oracle, cluster: {server: "$(cat "$dir/url")", certificate-authority: $dir/ca.crt}}]
users: [{name: oracle, user: {token: $(cat "$dir/token")}}]
contexts: [{name: oracle, context: {cluster: oracle, user: oracle}}]
current-context: oracle
K
  # shellcheck disable=SC2086
  setsid nohup "$bin/kube-controller-manager" --kubeconfig="$dir/kubeconfig" --leader-elect=false --secure-port=0 \
    --use-service-account-credentials --service-account-private-key-file="$dir/sa.key" --root-ca-file="$dir/ca.crt" \
    --cluster-signing-cert-file="$dir/ca.crt" --cluster-signing-key-file="$dir/server.key" \
    ${UPSTREAM_CONTROLLER_FLAGS:-} >"$dir/kube-controller-manager.log" 2>&1 </dev/null &
  echo $! >"$dir/kube-controller-manager.pid"
  [ -n "${UPSTREAM_SCHEDULER:-}" ] || exit 0
  setsid nohup "$bin/kube-scheduler" --kubeconfig="$dir/kubeconfig" --leader-elect=false --secure-port=0 \
    >"$dir/kube-scheduler.log" 2>&1 </dev/null &
  echo $! >"$dir/kube-scheduler.pid"
  exit 0
fi
echo "kube-apiserver is not ready; see $dir/kube-apiserver.log" >&2
exit 1
