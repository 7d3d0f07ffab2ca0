#!/bin/sh
# From a bare Debian machine to a model that answers: packages, build, daemon on port 5001, then
# the main job: import a backbone and labelled pictures, retrain, gate, promote, score; and once more
# with 1 % new pictures.
#
# usage: deploy/quickstart.sh [--data TAR] [--backbone ONNX] [--picture JPEG] [--state DIR] [--port N]
#
# Without --data it draws pictures of surfaces with faults, without --backbone it takes the small one
# that the project ships. Run again, it builds what changed, starts the daemon anew on the same state
# and retrains; with nothing changed that takes no forward pass, and the gate keeps the model that
# serves.
set -eu
cd "$(dirname "$0")/.."

data=
backbone=deploy/backbone/kennel-small.onnx
picture=
state=build/quickstart
port=5001
while [ $# -gt 0 ]; do
    case $1 in
    --data | --backbone | --picture | --state | --port)
        [ $# -gt 1 ] || { echo "quickstart: $1 lacks its value (see --help)" >&2; exit 2; } ;;
    esac
    case $1 in
    --data) data=$2 ;;
    --backbone) backbone=$2 ;;
    --picture) picture=$2 ;;
    --state) state=$2 ;;
    --port) port=$2 ;;
    -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "quickstart: unknown argument $1 (see --help)" >&2; exit 2 ;;
    esac
    shift 2
done
for file in "$backbone" ${data:+"$data"} ${picture:+"$picture"}; do
    [ -r "$file" ] && continue
    echo "quickstart: no file $file; --data is a tar of train/LABEL/*.jpg, --backbone an ONNX image classifier" >&2
    exit 2
done

. deploy/packages.sh
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

say "1. packages and build"
# shellcheck disable=SC2086
install_packages $build_packages $quickstart_packages
cmake --preset release -DBUILD_TESTING=OFF >/dev/null
cmake --build --preset release
kenneld=$PWD/build/release/daemon/kenneld
export PATH="$PWD/build/release/api:$PWD/build/release/data:$PATH" KENNEL_URL="http://127.0.0.1:$port"

say "2. the daemon"
mkdir -p "$state"
# The number may be another process's by now, after a restart of the machine.
old=$(cat "$state/pid" 2>/dev/null || true)
if [ -n "$old" ] && [ "$(cat "/proc/$old/comm" 2>/dev/null)" = kenneld ] && kill "$old"; then
    tail --pid="$old" -f /dev/null
fi
# Nothing of ours stays open in it: a pipe behind this script ends with the script.
"$kenneld" --state "$state" --listen "127.0.0.1:$port" </dev/null >>"$state/log" 2>&1 &
pid=$!
echo $pid >"$state/pid"
until curl -sf "$KENNEL_URL" >/dev/null; do
    kill -0 $pid 2>/dev/null || { tail -n 3 "$state/log" >&2; exit 1; }
    sleep 0.1
done
echo "listening on $KENNEL_URL, state in $state, log in $state/log"

now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.1f s", b - a }'; }
times=
step() { # NAME BEGUN
    times="$times$(printf '\n  %-28s %s' "$1" "$(since "$2")")"
}

begun=$(now)
if [ -z "$data" ]; then
    say "3. draw 1200 pictures of surfaces with faults"
    data=$state/surface.tar
    new=$state/surface-new.tar
    [ -e "$data" ] || kennel-render surface --count 1200 --seed 1 --output "$data"
    [ -e "$new" ] || kennel-render surface --count 12 --from 1200 --seed 1 --val 0 --output "$new"
    step "draw" "$begun"
fi

# Each step is left out where an earlier run has done it.
say "4. import the backbone and the pictures"
at=$(now)
kennel backbone show backbone >/dev/null 2>&1 || kennel backbone add "$backbone" --name backbone
kennel dataset show pictures >/dev/null 2>&1 || kennel dataset create pictures
kennel dataset import pictures "$data"
kennel model show quickstart >/dev/null 2>&1 ||
    kennel model create quickstart --dataset pictures --backbone backbone
step "import" "$at"

# Retrains, and promotes what the gate passes.
retrain() {
    status=0
    said=$(kennel retrain quickstart --seed 1 --wait) || status=$?
    echo "$said"
    case $status in
    0) kennel promote quickstart "$(echo "$said" | sed -n 's/.*: version \([0-9]*\) of .*/\1/p')" ;;
    3) echo "the gate found no improvement: what is in production stays" ;;
    *) exit $status ;;
    esac
}

say "5. retrain; the gate decides; promote"
at=$(now)
retrain
step "retrain, gate, promote" "$at"

say "6. score a picture"
if [ -z "$picture" ]; then
    # The first that was held out by its folder, else the first.
    members=$(tar tf "$data" | grep -iE '\.(jpe?g|png)$')
    member=$(echo "$members" | grep -m 1 -E '^(\./)?val/' || echo "$members" | head -n 1)
    picture=$state/picture.jpg
    tar xOf "$data" "$member" >"$picture"
    echo "($member)"
fi
at=$(now)
kennel score "$picture"
(printf '{"data": "'; base64 "$picture"; echo '"}') |
    curl -sX POST -H 'Content-Type: application/json' -d @- "$KENNEL_URL/score"
echo
step "score, twice" "$at"

if [ -n "${new:-}" ]; then
    say "7. 1 % new pictures, and once more"
    at=$(now)
    kennel dataset import pictures "$new"
    retrain
    step "import 1 %, retrain, gate" "$at"
fi
printf '\nKennel worked for %s:%s\n' "$(since "$begun")" "$times"
echo "The daemon goes on; stop it with: kill $pid"
