#!/bin/sh
# The whole suite: packages, style, release, address and undefined-behaviour sanitizers, then the
# threads' sanitizer on what has threads. usage: tests/run.sh [release|asan|tsan|style ...]
# The last line is ctest's summary of everything that ran.
set -eu
cd "$(dirname "$0")/.."
. deploy/packages.sh
# shellcheck disable=SC2086
install_packages $build_packages $test_packages
# ONNX's own operator tests: Debian 12 has them; where they are not to be had that test is skipped.
install_packages libonnx-testdata 2>/dev/null || true

stages=${*:-style release asan tsan}
rm -f build/*.log
log=build/test-summary
mkdir -p build
: >"$log"

# Every stage runs even where an earlier one failed; each leaves ctest's closing lines in the log.
failed=0
suite() { # PRESET CTEST-ARGUMENT...
    preset=$1
    shift
    cmake --preset "$preset" -DBUILD_TESTING=ON >/dev/null
    cmake --build --preset "$preset"
    ctest --preset "$preset" "$@" 2>&1 | tee "build/$preset.log"
    grep -q '^100% tests passed' "build/$preset.log" || failed=1
    echo "$preset: $(grep -E 'tests passed' "build/$preset.log")" >>"$log"
}

for stage in $stages; do
    echo "== $stage"
    case $stage in
    style) tests/style.sh || { failed=1; echo "style: failed" >>"$log"; } ;;
    release) suite release ;;
    asan) suite asan -LE timing ;;
    tsan)
        # The sanitizer's shadow does not fit under more address randomisation than this.
        bits=$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)
        if [ "$bits" -gt 28 ] && ! sysctl -qw vm.mmap_rnd_bits=28 2>/dev/null; then
            echo "tsan: skipped, needs sysctl vm.mmap_rnd_bits=28" | tee -a "$log"
            continue
        fi
        suite tsan -L threads
        ;;
    *) echo "unknown stage: $stage" >&2; exit 2 ;;
    esac
done

echo "== summary"
cat "$log"
exit $failed
