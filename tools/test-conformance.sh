#!/usr/bin/env bash
# Runs a fixed share of Kubernetes' conformance suite (test/conformance/share.txt, which only grows) against a cluster of
# the compiled binary. Needs Go to build the suite, once a machine: about ten minutes.
#   test-conformance.sh build   only builds what the run needs
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
kit=test/conformance
share=$kit/share.txt

if ! command -v go >/dev/null; then
  echo "conformance: Go 1.25 or newer is needed to build the suite; skipped"
  echo "0 passed, 0 failed, $(grep -c . "$share") skipped"
  exit 0
fi
"$kit/build.sh" kubectl ginkgo results e2e.test agnhost nnp pause sample-apiserver etcd coredns | tail -n 3
"$kit/images.sh" | tail -n 1
[ "${1:-}" != build ] || exit 0

out=${CONFORMANCE_OUT:-$(mktemp -d)}
mkdir -p "$out"
name=conformance
trap 'tools/cluster down --name $name >/dev/null 2>&1 || true' EXIT
tools/cluster down --name $name >/dev/null 2>&1 || true
# A prefix that test/support/free-network.ts gives to no other cluster.
tools/cluster up --name $name --prefix 10.127.0 --workers 2 --no-master-agent --kubeconfig "$out/kubeconfig"
# Specs that need two boards would not find them in a cluster that a board has not joined yet. One question a board: of two that are not
# there yet kubectl reports a failure.
for board in worker-1 worker-2; do
  for state in create condition=Ready; do
    "${EXAM_CACHE:-$HOME/.cache/cluster-exam}/bin/kubectl" --kubeconfig "$out/kubeconfig" \
      wait --for="$state" "node/$board" --timeout=600s
  done
done
tools/cluster load --name $name "${EXAM_CACHE:-$HOME/.cache/cluster-exam}/images/conformance.tar"
focus=$(sed 's/[][(){}.*+?^$|\\]/\\&/g' "$share" | paste -sd'|')
status=0
"$kit/run.sh" --kubeconfig "$out/kubeconfig" --focus "^($focus)\$" --procs 4 --out "$out" || status=$?
awk -F'\t' '$2 == "fail" {print "FAIL  " $1}' "$out/results.tsv" 2>/dev/null || true
# run.sh's last line must stay last: the caller reads the counts from it.
exit $status
