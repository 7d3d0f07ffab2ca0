#!/bin/sh
# Does production answer as a client would have it? PICTURE: a file. LABEL: what must come out, where it is known.
# SCORE_URL: where clients score, when that is not KENNEL_URL.
set -eu
. "$(dirname "$0")/model.sh"
: "${PICTURE:?a picture to score}"

KENNEL_URL=${SCORE_URL:-$KENNEL_URL}
export KENNEL_URL
"$(dirname "$0")/ready.sh"
body=$(mktemp)
trap 'rm -f "$body"' EXIT
(printf '{"data": "'; base64 "$PICTURE"; echo '"}') >"$body"
# The key goes in by a pipe: a command line can be seen by others.
answer=$({
    echo 'Content-Type: application/json'
    [ -z "${KENNEL_KEY:-}" ] || echo "Authorization: Bearer $KENNEL_KEY"
} | curl -sSf --max-time 30 ${KENNEL_CA:+--cacert "$KENNEL_CA"} -H @- -d @"$body" \
    "$KENNEL_URL/api/v1/service/$MODEL/score")
echo "$answer"
answered=$(printf '%s\n' "$answer" |
    sed -n 's/^"{\\"label\\": \\"\(.*\)\\", \\"probability\\": \\"[0-9.e-]*\\"}"$/\1/p')
if [ -z "$answered" ] || [ "$answered" != "${LABEL:-$answered}" ]; then
    echo "that is not the answer: label ${LABEL:-of any name} was expected" >&2
    exit 4
fi
