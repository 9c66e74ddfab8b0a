#!/bin/sh
# What bramble-first-boot.sh does with the settings of a board that has joined, on a folder as the boot partition.
# Arguments: folder, notes, a folder for its functions, what the settings are at first.
# Its functions are taken from a file that is made here, and read what is set here.
# shellcheck disable=SC1090,SC2034
set -eu
folder=$1 notes=$2 functions=$3/functions.sh
# Its functions without what calls them.
sed '/^main "\$@"$/,$d' "$(dirname "$0")/../../systemd/bramble-first-boot.sh" >"$functions"
. "$functions"
state=$3
if [ ! -f "$folder/bramble.conf" ]; then
  printf '%b' "$4" >"$folder/bramble.conf.first"
  put "$folder/bramble.conf.first" "$folder/bramble.conf"
  echo "written" >>"$notes"
fi
forget_token "$folder/bramble.conf"
echo "forgotten" >>"$notes"
