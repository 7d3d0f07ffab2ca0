#!/bin/sh
# Rebuilds the backbone that the project ships: draws the pretraining stream, trains the architecture
# on it from scratch with a Kennel of its own, cuts the head off, and tells what a new head on it reaches
# on the surface set, beside the same network with random weights.
#
# usage: deploy/backbone/pretrain.sh [--count N] [--classes N] [--epochs N] [--seed N] [--threads N]
#                                    [--state DIR] [--output ONNX] [--data TAR]...
#
# --count pictures of --classes classes are drawn (120000 of 300) and seen --epochs times (4). --data
# names further data sets to try the backbone on. Needs a build in build/release and, in --state
# (build/pretrain), room for 10 kB a picture. Run again, it begins anew.
set -eu
cd "$(dirname "$0")/../.."

count=120000 classes=300 epochs=4 seed=1 threads=2
state=build/pretrain output=deploy/backbone/kennel-small.onnx data=
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --count | --classes | --epochs | --seed | --threads | --state | --output | --data)
        [ $# -gt 1 ] || { echo "pretrain: $1 lacks its value (see --help)" >&2; exit 2; } ;;
    *) echo "pretrain: unknown argument $1 (see --help)" >&2; exit 2 ;;
    esac
    case $1 in
    --count) count=$2 ;;
    --classes) classes=$2 ;;
    --epochs) epochs=$2 ;;
    --seed) seed=$2 ;;
    --threads) threads=$2 ;;
    --state) state=$2 ;;
    --output) output=$2 ;;
    --data) data="$data $2" ;;
    esac
    shift 2
done

here=deploy/backbone
build=$PWD/build/release
python=/usr/bin/python3 # the one that the packages are for
for program in "$build/daemon/kenneld" "$build/api/kennel" "$build/data/kennel-render"; do
    [ -x "$program" ] && continue
    echo "pretrain: no $program; build first: cmake --preset release && cmake --build --preset release" >&2
    exit 2
done
. deploy/packages.sh
# shellcheck disable=SC2086
install_packages $pretrain_packages
PATH="$build/api:$build/data:$PATH"
say() { printf '\n%s  %s\n' "$(date +%T)" "$*"; }
begun=$(date +%s)

rm -rf "$state"
mkdir -p "$state"
"$build/daemon/kenneld" --state "$state" --listen 127.0.0.1:0 --threads "$threads" \
    </dev/null >>"$state/log" 2>&1 &
pid=$!
trap 'kill $pid 2>/dev/null; wait $pid 2>/dev/null || true' EXIT
trap 'exit 1' INT TERM
until port=$(sed -n 's/.*"event":"listening".*"port":"\([0-9]*\)".*/\1/p' "$state/log") && [ -n "$port" ]; do
    kill -0 $pid 2>/dev/null || { tail -n 3 "$state/log" >&2; exit 1; }
    sleep 0.1
done
export KENNEL_URL="http://127.0.0.1:$port"

say "draw $count pictures of $classes classes, and import them"
kennel dataset create stream >/dev/null
kennel-render stream --count "$count" --classes "$classes" --seed "$seed" --val 2 |
    kennel dataset import stream -

say "train from scratch, $epochs epochs"
$python $here/architecture.py >"$state/architecture.onnx"
kennel backbone add "$state/architecture.onnx" --name random >/dev/null
kennel model create stream --dataset stream --backbone random >/dev/null
kennel retrain stream --mode scratch --seed "$seed" --wait \
    --recipe "$(sed "s/EPOCHS/$epochs/" $here/recipe.json)"

say "cut the head off"
kennel version download stream 1 --output "$state/stream.onnx"
$python $here/cut.py "$state/stream.onnx" >"$state/backbone.onnx"
kennel backbone add "$state/backbone.onnx" --name small
size=$(wc -c <"$state/backbone.onnx")
[ "$size" -le 3000000 ] || { echo "pretrain: the backbone has $size bytes, more than 3000000" >&2; exit 1; }

say "a new head on it, and on random weights"
kennel-render surface --count 1800 --seed "$seed" --output "$state/surface.tar"
for file in "$state/surface.tar" $data; do
    name=$(basename "$file" .tar)
    kennel dataset create "$name" >/dev/null
    kennel dataset import "$name" "$file" >/dev/null
    for backbone in random small; do
        kennel model create "$name-$backbone" --dataset "$name" --backbone "$backbone" >/dev/null
        # 3: the gate rejected it, which is an answer, too
        kennel retrain "$name-$backbone" --mode head --seed "$seed" --wait || [ $? = 3 ]
    done
done

cp "$state/backbone.onnx" "$output.part"
mv "$output.part" "$output"
say "$output: $size bytes, $(sha256sum <"$output" | cut -c 1-16)..., after $(($(date +%s) - begun)) s"
