#!/usr/bin/env bash
# Runs the arm64 binary's self-test on an emulated Cortex-A53 (ARMv8.0, the core of a Pi 3), with Debian's arm64 libc in a
# folder, so that a build with instructions that old boards lack fails here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/bramble-test
libs=$cache/arm64-libs

if [ ! -e "$libs/lib/ld-linux-aarch64.so.1" ]; then
  if ! dpkg --print-foreign-architectures | grep -qx arm64; then
    dpkg --add-architecture arm64
    apt-get update -qq
  fi
  download=$(mktemp -d)
  (cd "$download" && chmod 755 . && apt-get download -qq libc6:arm64 libgcc-s1:arm64)
  for package in "$download"/*.deb; do dpkg -x "$package" "$libs"; done
  # libc's loader path must exist on merged and unmerged layouts alike.
  [ -e "$libs/lib/ld-linux-aarch64.so.1" ] || ln -s aarch64-linux-gnu/ld-linux-aarch64.so.1 "$libs/lib/ld-linux-aarch64.so.1"
  rm -rf "$download"
fi
# With what long-running commands start the engine with: one that does not know it would end at once.
# shellcheck disable=SC2016
options=$(node_modules/.bin/bun --print \
  'Object.entries(require("./shared/process/engine-options.ts").engineOptions).map((option) => `-E ${option.join("=")}`).join(" ")')
# shellcheck disable=SC2086
qemu-aarch64-static -cpu cortex-a53 -L "$libs" $options dist/bramble-linux-arm64 self-test
