#!/bin/sh
# Imports what is new and retrains. Pictures that the server has cost nothing, nor does a retrain with nothing new.
# DATA: pictures to import first, as for check.sh. ONLY_NEW=yes: no retrain unless pictures came with it.
# RETRAIN: more options of `kennel retrain`, as "--mode fine_tune --epochs 5".
# A version that the gate refuses is no failure: production stays, and a release finds no candidate.
set -eu
. "$(dirname "$0")/model.sh"

if [ -n "${DATA:-}" ]; then
    shown=$(kennel model show "$MODEL")
    said=$(kennel dataset import "$(field dataset "$shown")" "$DATA")
    echo "$said"
    case $said in
    *" 0 added"*)
        [ "${ONLY_NEW:-}" != yes ] || { echo "no new pictures: nothing to retrain for"; exit 0; }
        ;;
    esac
fi
status=0
# shellcheck disable=SC2086
kennel retrain "$MODEL" --wait ${RETRAIN:-} || status=$?
[ $status = 3 ] || exit $status
echo "the gate found it no better: production stays"
