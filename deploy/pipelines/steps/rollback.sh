#!/bin/sh
# After the promotion or the smoke test of a release failed: takes the traffic back from a rollout that is open, or the
# version out of production that the newest rollout brought there, less than ROLLBACK_SECONDS (3600) ago: what is older
# is not this release's.
set -eu
. "$(dirname "$0")/model.sh"

if [ "$(rollout_state)" = completed ] && [ "$(rollout_version)" = "$(production)" ]; then
    ended=$(date -d "$(rollout_ended)" +%s)
    if [ $(($(date +%s) - ended)) -lt "${ROLLBACK_SECONDS:-3600}" ]; then
        kennel rollback "$MODEL" --reason "${REASON:-the release failed after the promotion}"
        exit
    fi
fi
exec "$(dirname "$0")/withdraw.sh"
