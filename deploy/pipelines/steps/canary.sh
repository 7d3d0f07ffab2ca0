#!/bin/sh
# Gives the candidate a share of the traffic and waits until the tests of that share have passed; the rollout then
# waits for promote.sh. Ends with 3 when the traffic was taken back, or did not suffice in time.
# CANARY_PERCENT (5), CANARY_REQUESTS (100) and CANARY_SECONDS (600) at least, CANARY_TIMEOUT (7200) seconds at most.
set -eu
. "$(dirname "$0")/model.sh"

version=$(candidate)
[ -n "$version" ] || { echo "there is no candidate"; exit 3; }
if [ -z "$(production)" ]; then
    echo "nothing is in production yet: version $version has nothing to be compared with"
    exit 0
fi
# A pipeline that is run again goes on where it was.
case $(rollout_state) in
running | waiting) [ "$(rollout_version)" = "$version" ] || { echo "another rollout is open"; exit 3; } ;;
*)
    kennel rollout start "$MODEL" "$version" --manual --steps "${CANARY_PERCENT:-5},100" \
        --min-requests "${CANARY_REQUESTS:-100}" --min-seconds "${CANARY_SECONDS:-600}"
    ;;
esac
end=$(($(date +%s) + ${CANARY_TIMEOUT:-7200}))
while :; do
    case $(rollout_state) in
    waiting) break ;;
    running) ;;
    *) kennel rollout show "$MODEL"; exit 3 ;;
    esac
    if [ "$(date +%s)" -ge $end ]; then
        kennel rollout show "$MODEL"
        kennel rollout abort "$MODEL"
        echo "the canary did not get enough traffic in ${CANARY_TIMEOUT:-7200} seconds" >&2
        exit 3
    fi
    sleep 1
done
kennel rollout show "$MODEL"
