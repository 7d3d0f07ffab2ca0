#!/bin/sh
# The Debian package, in a container: installed, complete, run, removed (the state stays), purged (nothing stays).
# KENNEL_BUILD: a build folder to pack; without it one is made.
set -eu
cd "$(dirname "$0")/../.."
for tool in podman cpack help2man dpkg-shlibdeps; do
    command -v $tool >/dev/null || { echo "skipped: there is no $tool"; exit 77; }
done
[ "$(id -u)" = 0 ] || { echo "skipped: only root can do it here"; exit 77; }
. /etc/os-release
base=docker.io/library/debian:$VERSION_CODENAME-slim
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
podman image exists "$base" || podman pull -q "$base" 2>/dev/null || {
    mmdebstrap --quiet --variant=minbase --mode=root --dpkgopt='path-exclude=/usr/share/doc/*' "$VERSION_CODENAME" \
        "$folder/base.tar"
    podman import -q "$folder/base.tar" "$base"
}
if [ -z "${KENNEL_BUILD:-}" ]; then
    KENNEL_BUILD=$folder/build
    cmake -G Ninja -S . -B "$KENNEL_BUILD" -DBUILD_TESTING=OFF >/dev/null
    cmake --build "$KENNEL_BUILD" >/dev/null
fi
cpack --config "$KENNEL_BUILD/CPackConfig.cmake" -B "$folder/pack" >/dev/null
mv "$folder"/pack/kennel_*.deb "$folder/kennel.deb"
rm -rf "$folder/build" "$folder/pack"
podman run --rm --network host -v "$folder":/package:ro "$base" sh -euc '
    apt-get update -qq
    # What is there but for the package: its libraries, and what their packages and apt write.
    apt-get install -y -qq --no-install-recommends $(dpkg-deb -f /package/kennel.deb Depends |
        sed "s/([^)]*)//g; s/,/ /g; s/|[^,]*//g") >/dev/null 2>&1
    files() { find / -xdev \( -path /proc -o -path /sys -o -path /package -o -path /tmp -o -path /var/lib/dpkg \
        -o -path /var/cache -o -path /var/lib/apt -o -path /var/log \) -prune -o -print | sort; }
    files >/tmp/before
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends /package/kennel.deb >/dev/null
    for file in /usr/sbin/kenneld /usr/bin/kennel /etc/kennel/kennel.conf /usr/lib/systemd/system/kennel.service \
        /usr/share/bash-completion/completions/kennel /usr/share/zsh/vendor-completions/_kennel /usr/share/kennel/pipelines/retrain.sh; do
        [ -e $file ] || { echo "failed: there is no $file"; exit 1; }
    done
    for page in man8/kenneld.8 man1/kennel.1 man5/kennel.conf.5; do
        dpkg -L kennel | grep -q "/usr/share/man/$page" || { echo "failed: there is no page $page"; exit 1; }
    done
    kenneld --version
    kenneld & pid=$!
    until kennel status >/dev/null 2>&1 || [ $? = 4 ]; do sleep 0.1; done
    kill $pid; wait $pid
    [ -e /var/lib/kennel/kennel.db ] || { echo "failed: no state"; exit 1; }
    apt-get remove -y -qq kennel >/dev/null
    [ -e /var/lib/kennel/kennel.db ] || { echo "failed: removal took the state"; exit 1; }
    [ -e /etc/kennel/kennel.conf ] || { echo "failed: removal took the configuration"; exit 1; }
    apt-get purge -y -qq kennel >/dev/null
    files >/tmp/after
    left=$(comm -13 /tmp/before /tmp/after)
    [ -z "$left" ] || { echo "failed: purge left" $left; exit 1; }
    echo installed, run, removed, purged'
