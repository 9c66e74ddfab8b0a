#!/bin/sh
# Packs the release in dist/ and image archives (as `docker save` makes them; .tar, .tar.gz or .tar.zst) into one file, from whose
# folder install.sh needs no internet for Bramble and these images. An archive whose name begins with arm64- or x64- goes to such
# boards alone.
# usage: tools/bundle.sh BUNDLE.tar [ARCHIVE…]
set -eu
[ $# -ge 1 ] || { sed -n 's/^# usage: /usage: /p' "$0" >&2; exit 2; }
out=$1
shift
dist=$(cd "$(dirname "$0")/../dist" && pwd)
[ -f "$dist/SHA256SUMS" ] || { echo "bundle: there is no release in $dist: npm run build" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
bundle=$folder/bramble-bundle
mkdir "$bundle"
sed 's/^[0-9a-f]* [ *]//' "$dist/SHA256SUMS" | while read -r name; do cp -p "$dist/$name" "$bundle/"; done
cp -p "$dist/SHA256SUMS" "$bundle/"
if [ -f "$dist/SHA256SUMS.sig" ]; then cp -p "$dist/SHA256SUMS.sig" "$bundle/"; fi
for archive in "$@"; do
  name=images-$(basename "$archive")
  case $name in
    *[!A-Za-z0-9._-]*) echo "bundle: $archive: a name of letters, digits, dots and dashes is needed" >&2; exit 1 ;;
    *.tar | *.tgz | *.tar.gz | *.tar.zst) cp "$archive" "$bundle/$name" ;;
    *) echo "bundle: $archive is no .tar, .tgz, .tar.gz or .tar.zst" >&2; exit 1 ;;
  esac
done
(cd "$bundle" && for name in images-*; do if [ -f "$name" ]; then sha256sum "$name"; fi; done >images.sha256)
tar -C "$folder" -cf "$out" bramble-bundle
