#!/bin/sh
# Waits until the server is ready, READY_SECONDS (60) at most.
set -eu
end=$(($(date +%s) + ${READY_SECONDS:-60}))
until curl -sf -o /dev/null ${KENNEL_CA:+--cacert "$KENNEL_CA"} "${KENNEL_URL:?of the server}/readyz"; do
    [ "$(date +%s)" -lt $end ] || { echo "$KENNEL_URL is not ready" >&2; exit 5; }
    sleep 1
done
