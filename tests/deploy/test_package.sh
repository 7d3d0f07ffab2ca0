#!/bin/sh
# The Debian package, in a container: installed, complete, run, removed (the state stays), purged (nothing stays).
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
cmake -G Ninja -S . -B "$folder/build" -DBUILD_TESTING=OFF >/dev/null
cmake --build "$folder/build" >/dev/null
(cd "$folder/build" && cpack >/dev/null && mv kennel_*.deb "$folder/kennel.deb")
rm -rf "$folder/build"
podman run --rm --network host -v "$folder":/package:ro "$base" sh -euc '
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends /package/kennel.deb >/dev/null
    for file in /usr/sbin/kenneld /usr/bin/kennel /etc/kennel/kennel.conf /usr/lib/systemd/system/kennel.service \
        /usr/share/bash-completion/completions/kennel; do
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
    for left in /var/lib/kennel /etc/kennel /usr/sbin/kenneld; do
        [ ! -e $left ] || { echo "failed: purge left $left"; exit 1; }
    done
    echo installed, run, removed, purged'
