#!/bin/sh
# From a bare Debian machine to a model that answers: packages, build, daemon on port 5001, then
# the main job: import a backbone and labelled pictures, retrain, gate, promote, score.
#
# usage: deploy/quickstart.sh [--data TAR] [--backbone ONNX] [--picture JPEG] [--state DIR] [--port N]
#
# Run again, it builds what changed, starts the daemon anew on the same state and retrains; with
# nothing changed that takes no forward pass, and the gate keeps the model that serves.
set -eu
cd "$(dirname "$0")/.."

shared=../shared
data=$shared/datasets/stanford-dogs-10.tar
backbone=$shared/backbones/mobilenet_v2_1.0_224.onnx
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
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "quickstart: unknown argument $1 (see --help)" >&2; exit 2 ;;
    esac
    shift 2
done
for file in "$data" "$backbone" ${picture:+"$picture"}; do
    [ -r "$file" ] && continue
    echo "quickstart: no file $file; give a tar of train/LABEL/*.jpg with --data and an ONNX image" \
        "classifier with --backbone" >&2
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
export PATH="$PWD/build/release/api:$PATH" KENNEL_URL="http://127.0.0.1:$port"

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

# Each step is left out where an earlier run has done it.
begun=$(date +%s.%N)
say "3. import the backbone and the pictures"
kennel backbone show backbone >/dev/null 2>&1 || kennel backbone add "$backbone" --name backbone
kennel dataset show pictures >/dev/null 2>&1 || kennel dataset create pictures
kennel dataset import pictures "$data"
kennel model show quickstart >/dev/null 2>&1 ||
    kennel model create quickstart --dataset pictures --backbone backbone

say "4. retrain; the gate decides"
status=0
kennel retrain quickstart --seed 1 --wait || status=$?
case $status in
0)
    version=$(kennel --json version list quickstart | sed -n 's/.*"version": *\([0-9]*\).*/\1/p' | sort -n | tail -n 1)
    say "5. promote version $version"
    kennel promote quickstart "$version"
    ;;
3) say "5. the gate found no improvement: what is in production stays" ;;
*) exit $status ;;
esac

say "6. score a picture"
if [ -z "$picture" ]; then
    # The workshop's own picture where the archive has it, else the first that was held out by its
    # folder, else the first.
    members=$(tar tf "$data" | grep -iE '\.(jpe?g|png)$')
    member=$(echo "$members" | grep -m 1 n02091032_2687 || echo "$members" | grep -m 1 -E '^(\./)?val/' ||
        echo "$members" | head -n 1)
    picture=$state/picture.jpg
    tar xOf "$data" "$member" >"$picture"
    echo "($member)"
fi
kennel score "$picture"
(printf '{"data": "'; base64 "$picture"; echo '"}') |
    curl -sX POST -H 'Content-Type: application/json' -d @- "$KENNEL_URL/score"
echo
awk -v a="$begun" -v b="$(date +%s.%N)" 'BEGIN { printf "\nKennel worked for %.1f s.", b - a }'
echo " The daemon goes on; stop it with: kill $pid"
