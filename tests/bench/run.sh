#!/bin/sh
# Benchmarks, each beside its peer in the same run. usage: tests/bench/run.sh NAME [ARGUMENT...]
# NAME is one of the programs here: infer, retrain, train, serve, registry. `run.sh NAME --help` tells its arguments. They
# measure build/release, and need ../shared (or KENNEL_SHARED).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
name=${1:?usage: tests/bench/run.sh NAME [ARGUMENT...]}
shift
cd "$here/../.."
[ -r "$here/$name.py" ] || { echo "no benchmark $name" >&2; exit 2; }
cmake --preset release -DBUILD_TESTING=ON >/dev/null
cmake --build --preset release >/dev/null
exec /usr/bin/python3 "$here/$name.py" "$@"
