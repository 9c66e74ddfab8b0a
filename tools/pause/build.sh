#!/usr/bin/env bash
# Builds the pause program for both architectures and writes agent/runtime/pause/binaries.generated.ts.
# Needs gcc for x86-64 (gcc, or x86_64-linux-gnu-gcc) and gcc-aarch64-linux-gnu. `--check` compares instead of writing
# (another compiler version may give other bytes; the committed ones are what ships).
set -euo pipefail
cd "$(dirname "$0")"
target=../../agent/runtime/pause/binaries.generated.ts
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# One loadable segment, aligned for kernels with pages of up to 64 KiB (a Pi 5 may run with 16).
flags=(-std=c11 -Os -Wall -Wextra -Werror -ffreestanding -nostdlib -static -no-pie -fno-pic -fno-stack-protector
  -fno-asynchronous-unwind-tables -fcf-protection=none -fno-ident "-Wl,--build-id=none" "-Wl,-z,max-page-size=65536"
  "-Wl,-z,noseparate-code" "-Wl,-z,noexecstack" -s)

x64=$(command -v x86_64-linux-gnu-gcc || command -v gcc)
"$x64" "${flags[@]}" -o "$scratch/x64" pause.c
aarch64-linux-gnu-gcc "${flags[@]/-fcf-protection=none/-mbranch-protection=none}" -o "$scratch/arm64" pause.c

{
  echo "// Written by tools/pause/build.sh from tools/pause/pause.c. Static ELF programs, base64."
  echo "export const pauseBinaries: { readonly x64: string; readonly arm64: string } = {"
  for arch in x64 arm64; do echo "  $arch: \"$(base64 -w0 "$scratch/$arch")\","; done
  echo "};"
} >"$scratch/out.ts"

if [[ ${1:-} == --check ]]; then diff -q "$scratch/out.ts" "$target"; else cp "$scratch/out.ts" "$target"; fi
stat -c '%n %s bytes' "$scratch/x64" "$scratch/arm64"
