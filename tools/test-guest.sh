#!/usr/bin/env bash
# `npm run test:guest`: what a new user does on an emulated Debian 13 (systemd, cgroups v2, Docker as it is shipped), what an
# uninstallation leaves on Debian 13 and 12 and on an arm64 Debian 13 with a Pi 5's pages of 16 KiB, a board that is armed from its card, then the end-to-end suite with such machines as
# workers. Hours: emulated processors are slow. Needs root, qemu-system-x86, qemu-system-arm, mmdebstrap, dosfstools and mtools, and for
# the image of the arm64 machine arch-test and qemu-user-static with binfmt-support; the first run makes the machines' images.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/prerequisites.sh
for program in qemu-system-x86_64:qemu-system-x86 qemu-system-aarch64:qemu-system-arm arch-test:arch-test mkfs.vfat:dosfstools mcopy:mtools; do
  command -v "${program%:*}" >/dev/null || { echo "${program%:*} is missing: apt-get install ${program#*:}" >&2; exit 1; }
done
[ -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ] ||
  { echo "this machine does not run programs for arm64: apt-get install qemu-user-static binfmt-support" >&2; exit 1; }
npx bun tools/build.ts >/dev/null
npx bun test --timeout 7200000 ./test/guest
BRAMBLE_E2E_GUESTS=1 npx bun test --timeout 3600000 ./test/e2e/cluster.test.ts ./test/e2e/boards.test.ts
