#!/bin/sh
# Takes the traffic back from a rollout that is open: the canary failed, or nobody approved. Nothing else.
set -eu
. "$(dirname "$0")/model.sh"

case $(rollout_state) in
running | waiting) kennel rollout abort "$MODEL" ;;
*) echo "no rollout is open: production is as it was" ;;
esac
