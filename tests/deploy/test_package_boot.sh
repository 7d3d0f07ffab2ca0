#!/bin/sh
# A machine that boots with systemd, in a container, and the package on it: the unit starts and says so, its state is a
# dynamic user's, the watchdog ends a daemon that hangs, the socket starts one that is not there, weights are set;
# removed, it leaves the state, and purged nothing. KENNEL_BUILD: the build folder to pack.
set -eu
cd "$(dirname "$0")/../.."
for tool in podman cpack help2man dpkg-shlibdeps; do
    command -v $tool >/dev/null || { echo "skipped: there is no $tool"; exit 77; }
done
[ "$(id -u)" = 0 ] || { echo "skipped: only root can do it here"; exit 77; }
. /etc/os-release
base=docker.io/library/debian:$VERSION_CODENAME-slim
image=localhost/kennel-boot:$VERSION_CODENAME
name=kennel-boot-$$
folder=$(mktemp -d)
cleanup() {
    podman rm -f -t 1 $name >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap cleanup EXIT
fail() { echo "failed: $*"; inside journalctl -u kennel --no-pager -n 30 || true; exit 1; }
inside() { podman exec $name "$@"; }
until_says() { # SECONDS WANTED COMMAND...
    seconds=$1 wanted=$2
    shift 2
    end=$(($(date +%s) + seconds))
    until [ "$("$@" 2>/dev/null)" = "$wanted" ]; do
        [ "$(date +%s)" -lt $end ] || fail "$* does not say $wanted"
        sleep 0.2
    done
}
property() { inside systemctl show -P "$1" kennel.service; }

podman image exists "$base" || podman pull -q "$base" 2>/dev/null || {
    mmdebstrap --quiet --variant=minbase --mode=root --dpkgopt='path-exclude=/usr/share/doc/*' "$VERSION_CODENAME" \
        "$folder/base.tar"
    podman import -q "$folder/base.tar" "$base"
}
cpack --config "${KENNEL_BUILD:?the build folder}/CPackConfig.cmake" -B "$folder/pack" >/dev/null
mv "$folder"/pack/kennel_*.deb "$folder/kennel.deb"
# systemd, and what the package depends on: made once, kept.
depends=$(dpkg-deb -f "$folder/kennel.deb" Depends | sed 's/([^)]*)//g; s/,/ /g; s/|[^,]*//g')
podman image exists "$image" || {
    podman run --name $name --network host "$base" sh -euc "apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends systemd systemd-sysv dbus curl $depends" \
        >/dev/null 2>&1
    podman commit -q $name "$image" >/dev/null
    podman rm -f $name >/dev/null
}
podman run -d --name $name --privileged --systemd=always --network host -v "$folder":/package:ro "$image" /sbin/init >/dev/null
end=$(($(date +%s) + 120))
until case $(inside systemctl is-system-running 2>/dev/null) in running | degraded) ;; *) false ;; esac; do
    [ "$(date +%s)" -lt $end ] || fail "it does not boot"
    sleep 0.5
done

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port
inside mkdir -p /etc/kennel /etc/systemd/system/kennel.service.d /etc/systemd/system/kennel.socket.d
printf '[Service]\nWatchdogSec=4\nExecStart=\nExecStart=/usr/sbin/kenneld --config /etc/kennel/kennel.conf --listen 127.0.0.1:%s\n' \
    "$port" | podman exec -i $name tee /etc/systemd/system/kennel.service.d/test.conf >/dev/null
printf '[Socket]\nListenStream=\nListenStream=127.0.0.1:%s\n' "$port" |
    podman exec -i $name tee /etc/systemd/system/kennel.socket.d/test.conf >/dev/null
inside env DEBIAN_FRONTEND=noninteractive dpkg -i /package/kennel.deb >/dev/null || fail "it cannot be installed"

# The package's script started it; Type=notify means that "active" came from the daemon.
until_says 60 active property ActiveState
[ "$(property Type)" = notify ] || fail "Type=$(property Type)"
[ "$(curl -sf "$url")" = Healthy ] || fail "not healthy"
[ "$(inside stat -c %u /var/lib/private/kennel/kennel.db)" -ge 61184 ] || fail "the state is not a dynamic user's"
[ "$(inside readlink /var/lib/kennel)" = private/kennel ] || fail "no StateDirectory"
[ "$(property CPUWeight)" = 200 ] || fail "CPUWeight=$(property CPUWeight)"
[ "$(property MemoryHigh)" != infinity ] || fail "no MemoryHigh"
said=$(inside systemd-analyze security --no-pager --threshold=20 kennel.service) || fail "an exposure of 2.0 or more"
echo "$said" | tail -n 1

# It hangs: the watchdog ends it and systemd starts another.
old=$(property MainPID)
inside systemctl kill -s STOP kennel.service
until_says 60 1 property NRestarts
until_says 60 active property ActiveState
[ "$(property MainPID)" != "$old" ] || fail "the watchdog did nothing"
until_says 30 Healthy curl -sf "$url"
inside journalctl -u kennel --no-pager | grep -qi watchdog || fail "it was not the watchdog"

# Its own end is a clean one, and the next client starts it.
inside systemctl stop kennel.service
[ "$(property Result)" = success ] || fail "SIGTERM ends in $(property Result)"
[ "$(property ActiveState)" = inactive ] || fail "it does not stop"
inside systemctl start kennel.socket
[ "$(property ActiveState)" = inactive ] || fail "the socket alone starts it"
[ "$(curl -sf --max-time 60 "$url")" = Healthy ] || fail "the socket does not start it"
[ "$(property ActiveState)" = active ] || fail "not active after the first request"

inside dpkg --remove kennel >/dev/null
inside test -e /var/lib/private/kennel/kennel.db || fail "removal took the state"
[ -z "$(inside sh -c 'grep -lx kenneld /proc/[0-9]*/comm' || true)" ] || fail "removal left it running"
inside dpkg --purge kennel >/dev/null 2>&1
left=$(inside sh -c 'ls -d /var/lib/kennel /var/lib/private/kennel /etc/kennel /usr/share/kennel 2>/dev/null' || true)
[ -z "$left" ] || fail "purge left $left"
echo "booted, notified, watched, activated, removed, purged"
