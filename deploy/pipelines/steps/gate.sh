#!/bin/sh
# Is there something to release? Shows the version with what the gate decided; ends with 3 when there is none.
set -eu
. "$(dirname "$0")/model.sh"

version=$(candidate)
[ -n "$version" ] || { echo "no version newer than production has passed the gate"; exit 3; }
shown=$(kennel version show "$MODEL" "$version")
echo "$shown"
case $shown in
*'"passed": true'*) ;;
*) echo "the gate refused version $version"; exit 3 ;;
esac
