#!/bin/sh
# Makes the candidate production: the approved rollout goes to its end, or the first version is promoted.
set -eu
. "$(dirname "$0")/model.sh"

case $(rollout_state) in
running | waiting)
    version=$(rollout_version)
    kennel rollout approve "$MODEL"
    ;;
*)
    version=$(candidate)
    now=$(production)
    if [ -z "$version" ] && [ -n "$now" ]; then
        # The pipeline is run again from here.
        version=$now
    elif [ -z "$version" ]; then
        echo "there is no candidate"
        exit 3
    elif [ -n "$now" ]; then
        echo "version $version has no rollout: run canary.sh first"
        exit 3
    else
        kennel promote "$MODEL" "$version"
    fi
    ;;
esac
end=$(($(date +%s) + ${PROMOTE_TIMEOUT:-600}))
while [ "$(production)" != "$version" ]; do
    case $(rollout_state) in
    running | waiting | completed) ;;
    *) kennel rollout show "$MODEL"; exit 3 ;;
    esac
    [ "$(date +%s)" -lt $end ] || { echo "version $version did not become production in time"; exit 4; }
    sleep 1
done
echo "$MODEL: version $version is production"
