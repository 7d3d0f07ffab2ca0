#!/bin/sh
# Formatting, clang's warnings and clang-tidy over all of our C. Prints only what is wrong.
set -eu
cd "$(dirname "$0")/.."
find api daemon data nn tests -name '*.[ch]' -print0 | xargs -0 clang-format --dry-run --Werror
cmake -G Ninja -B build/clang -DCMAKE_C_COMPILER=clang >/dev/null
cmake --build build/clang --target all
find api daemon data nn -name '*.c' -print0 |
    xargs -0 -n 1 -P "$(nproc)" clang-tidy --quiet -p build/clang 2>/dev/null
