#!/bin/sh
# Packs the release in dist/ and images into one file, from whose folder install.sh needs no internet for Bramble and these images.
# It is here and no command of Bramble's, for it needs the programs for both processors and, where releases are signed, the key,
# which only who builds releases has.
# usage: tools/bundle.sh [--arch arm64|x64] [--image IMAGE]… BUNDLE.tar [ARCHIVE…]
#   --image IMAGE   one to pull here, with Docker, for --arch (both if that is not given)
#   --arch          the processor of the boards; the release of the other is left out
#   ARCHIVE         images as `docker save` makes them (.tar, .tar.gz or .tar.zst). One whose name begins with arm64- or x64- goes to
#                   such boards alone
# BRAMBLE_SIGNING_KEY names the PEM file of the key that signed the release; the images are signed with it too.
set -eu
usage() { sed -n 's/^# usage: /usage: /p' "$0" >&2; exit 2; }
fail() { echo "bundle: $*" >&2; exit 1; }
images='' wanted='arm64 x64'
while [ $# -gt 0 ]; do
  case $1 in
    --image) [ $# -ge 2 ] || usage; images="$images $2"; shift 2 ;;
    --arch) case ${2:-} in arm64 | x64) wanted=$2 ;; *) usage ;; esac; shift 2 ;;
    -*) usage ;;
    *) break ;;
  esac
done
[ $# -ge 1 ] || usage
out=$1
shift
dist=$(cd "$(dirname "$0")/../dist" && pwd)
[ -f "$dist/SHA256SUMS" ] || fail "there is no release in $dist: npm run build"
if [ -f "$dist/SHA256SUMS.sig" ] && [ -z "${BRAMBLE_SIGNING_KEY:-}" ]; then
  fail "the release is signed: set BRAMBLE_SIGNING_KEY, for the images are to be signed by the same key"
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
bundle=$folder/bramble-bundle
mkdir "$bundle"
# The list stays as it was signed; install.sh asks for what a board and its fleet need, if it is there.
sed 's/^[0-9a-f]* [ *]//' "$dist/SHA256SUMS" | while read -r name; do
  case $name in bramble-linux-*) case " $wanted " in *" ${name#bramble-linux-} "*) ;; *) continue ;; esac ;; esac
  cp -p "$dist/$name" "$bundle/"
done
cp -p "$dist/SHA256SUMS" "$bundle/"
if [ -f "$dist/SHA256SUMS.sig" ]; then cp -p "$dist/SHA256SUMS.sig" "$bundle/"; fi

for archive in "$@"; do
  name=images-$(basename "$archive")
  case $name in
    *[!A-Za-z0-9._-]*) fail "$archive: a name of letters, digits, dots and dashes is needed" ;;
    *.tar | *.tgz | *.tar.gz | *.tar.zst) cp "$archive" "$bundle/$name" ;;
    *) fail "$archive is no .tar, .tgz, .tar.gz or .tar.zst" ;;
  esac
done
# A name of Docker's stands for one processor at a time: what it stood for before is given back.
for image in $images; do
  before=$(docker image inspect --format '{{.Id}}' "$image" 2>/dev/null || true)
  for arch in $wanted; do
    platform=linux/$arch
    [ "$arch" != x64 ] || platform=linux/amd64
    docker pull --quiet --platform "$platform" "$image" >/dev/null || fail "$image cannot be pulled for $platform"
    found=$(docker image inspect --format '{{.Os}}/{{.Architecture}}' "$image")
    [ "$found" = "$platform" ] || fail "$image is for $found, and there is none for $platform"
    docker save "$image" | gzip -n >"$bundle/images-$arch-$(echo "$image" | tr -c 'A-Za-z0-9._\n-' '-').tar.gz"
  done
  if [ -n "$before" ]; then docker tag "$before" "$image"; fi
done

(cd "$bundle" && for name in images-*; do if [ -f "$name" ]; then sha256sum "$name"; fi; done >images.sha256)
if [ -n "${BRAMBLE_SIGNING_KEY:-}" ]; then
  openssl pkeyutl -sign -rawin -inkey "$BRAMBLE_SIGNING_KEY" -in "$bundle/images.sha256" -out "$folder/signature" || fail "the images could not be signed"
  base64 -w0 "$folder/signature" >"$bundle/images.sha256.sig"
fi
tar -C "$folder" -cf "$out" bramble-bundle
