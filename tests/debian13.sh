#!/bin/sh
# The suite with Debian 13's packages (oneDNN 3.7, libmicrohttpd 1.0, gcc 14): makes a chroot with mmdebstrap, builds
# there and runs tests/run.sh in it. As root. What is built and the chroot stay in DIR for the next time; the
# source and ../shared (or KENNEL_SHARED) are seen in it read-only.
#
# usage: tests/debian13.sh [--root DIR] [--mirror URL] [STAGE ... | -- COMMAND ...]
# DIR is by default build/debian13. STAGE is one of tests/run.sh, by default release, asan and tsan (style is of Debian 12's
# clang-format). COMMAND runs in the source folder instead of tests/run.sh.
set -eu
cd "$(dirname "$0")/.."
root=build/debian13
mirror=http://deb.debian.org/debian
while [ $# -gt 0 ]; do
    case $1 in
    --root | --mirror) [ $# -gt 1 ] || { echo "debian13: $1 lacks its value (see --help)" >&2; exit 2; } ;;
    esac
    case $1 in
    --root) root=$2; shift 2 ;;
    --mirror) mirror=$2; shift 2 ;;
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --) break ;;
    -*) echo "debian13: unknown argument $1 (see --help)" >&2; exit 2 ;;
    *) break ;;
    esac
done
case $root in
/*) ;;
*) root=$PWD/$root ;;
esac
[ "$(id -u)" = 0 ] || { echo "debian13: only root can make a chroot and mount into it" >&2; exit 1; }

# Mounts and processes of a namespace of its own end with this script, whatever ends it.
if [ "${KENNEL_DEBIAN13:-}" != inside ]; then
    command -v mmdebstrap >/dev/null || { echo "debian13: needs mmdebstrap (apt-get install mmdebstrap)" >&2; exit 1; }
    [ $# -gt 0 ] || set -- release asan tsan
    export KENNEL_DEBIAN13=inside
    exec unshare --mount --pid --fork --kill-child "$PWD/tests/debian13.sh" --root "$root" --mirror "$mirror" "$@"
fi

. deploy/packages.sh
if [ ! -e "$root/etc/debian_version" ]; then
    # shellcheck disable=SC2086
    packages=$(echo $build_packages $test_packages | tr ' ' ',')
    trap 'rm -rf --one-file-system "$root.part"' EXIT
    rm -rf --one-file-system "$root.part"
    mkdir -p "$(dirname "$root")"
    mmdebstrap --quiet --variant=minbase --include="$packages" trixie "$root.part" "$mirror"
    mv "$root.part" "$root"
fi

src=$root/src/kennel
mkdir -p build "$src" "$root/build"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -t tmpfs tmpfs "$root/tmp"
mount --bind "$PWD" "$src"
mount -o remount,bind,ro "$src"
mount --bind "$root/build" "$src/build"
shared=${KENNEL_SHARED:-../shared}
rmdir "$root/src/shared" 2>/dev/null || true
if [ -d "$shared" ]; then
    mkdir "$root/src/shared"
    mount --bind "$shared" "$root/src/shared"
    mount -o remount,bind,ro "$root/src/shared"
fi
unset KENNEL_SHARED

if [ "$1" = -- ]; then
    shift
else
    set -- tests/run.sh "$@"
fi
# shellcheck disable=SC2016
chroot "$root" /usr/bin/env -i HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM="${TERM:-dumb}" \
    sh -c 'cd /src/kennel && exec "$@"' sh "$@"
