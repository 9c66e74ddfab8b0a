#!/usr/bin/env bash
# `npm run test:guest`: what a new user does on an emulated Debian 13 (systemd, cgroups v2, Docker as it is shipped), then
# the end-to-end suite with such machines as workers. An hour or so: emulated processors are slow. Needs root, and
# qemu-system-x86 and mmdebstrap; the first run makes the machine's image.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/prerequisites.sh
command -v qemu-system-x86_64 >/dev/null || { echo "qemu is missing: apt-get install qemu-system-x86" >&2; exit 1; }
npx bun tools/build.ts >/dev/null
npx bun test --timeout 7200000 ./test/guest
BRAMBLE_E2E_GUESTS=1 npx bun test --timeout 3600000 ./test/e2e/cluster.test.ts ./test/e2e/boards.test.ts
