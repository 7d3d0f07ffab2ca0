#!/bin/sh
# The systemd units: no key that systemd does not know, and an exposure below 2.0.
set -eu
cd "$(dirname "$0")/../../deploy"
command -v systemd-analyze >/dev/null || { echo "skipped: there is no systemd-analyze"; exit 77; }

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# verify looks for the program that the unit starts.
sed "s|/usr/sbin/kenneld|$KENNELD|" kennel.service >"$folder/kennel.service"
cp kennel.socket "$folder"
said=$(systemd-analyze verify --man=no "$folder/kennel.service" "$folder/kennel.socket" 2>&1 | grep -F kennel || true)
[ -z "$said" ] || { echo "$said"; exit 1; }
said=$(systemd-analyze security --offline=true --threshold=20 kennel.service) ||
    { echo "$said" | tail -n 1; exit 1; }
echo "$said" | tail -n 1
