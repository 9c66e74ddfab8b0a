#!/bin/sh
# The steps of install.sh that write, on a folder: an install, and an upgrade with another address and other flags.
# Arguments: folder, notes, a folder with the releases "1" and "2".
# Its functions are taken from a file that is made here, and read what is set here.
# shellcheck disable=SC1091,SC2034
set -eu
folder=$1 notes=$2 releases=$3
script=$(dirname "$0")/../../install.sh
# Its functions without what calls them.
sed '$d' "$script" >"$releases/functions.sh"

steps() { # release
  . "$releases/functions.sh"
  # Copied by writes, which the log of system calls shows with their content.
  cp() { dd if="$1" of="$2" bs=64k status=none; }
  # Made by its whole path, not from inside its parent.
  mkdir() { [ -d "$2" ] || command mkdir "$2"; }
  has_systemd() { true; }
  systemctl() { true; }
  etc=$folder/etc share=$folder/share bin_dir=$folder/bin units=$folder/units
  role=worker arch=x64 changed='' flags="--node-label release=$1" folder_source=$releases/$1
  BRAMBLE_URL=https://master-$1:6443 BRAMBLE_TOKEN=token-$1 INSTALL_BRAMBLE_EXEC=$flags
  fetch_release
  write_settings
  place_files
  publish
  sync
}
for release in ${4:-1 2}; do
  steps "$release"
  echo "installed $release" >>"$notes"
done
