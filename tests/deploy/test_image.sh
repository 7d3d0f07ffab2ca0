#!/bin/sh
# The image: built twice with the same digest, at most 120 MB above its base, not root, on a read-only root, with the
# main job and the workshop's two curl lines in it; SIGTERM drains. Where the base cannot be pulled it is made by
# mmdebstrap from Debian's archive.
set -eu
cd "$(dirname "$0")/../.."
for tool in buildah podman mmdebstrap; do
    command -v $tool >/dev/null || { echo "skipped: there is no $tool"; exit 77; }
done
[ "$(id -u)" = 0 ] || { echo "skipped: only root can build it here"; exit 77; }

base=docker.io/library/debian:trixie-slim
image=localhost/kennel-test
name=kennel-test-$$
folder=$(mktemp -d)
cleanup() {
    podman rm -f -t 1 $name >/dev/null 2>&1 || true
    podman volume rm -f $name >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap cleanup EXIT
fail() { echo "failed: $*"; exit 1; }

podman image exists $base || podman pull -q $base 2>/dev/null || {
    mmdebstrap --quiet --variant=minbase --mode=root --dpkgopt='path-exclude=/usr/share/doc/*' trixie "$folder/base.tar"
    podman import -q "$folder/base.tar" $base
}

build() {
    buildah bud -q --isolation chroot --format docker --timestamp 1700000000 --no-cache -f deploy/Dockerfile -t $image . \
        >/dev/null
}
# Not the image's own digest: in Docker's format buildah notes the random name of its working container in it.
layers() { podman image inspect --format '{{json .RootFS.Layers}} {{json .Labels}} {{json .Config.Cmd}}' $image; }
build
first=$(layers)
if [ -n "${KENNEL_TWICE:-}" ]; then
    build
    [ "$first" = "$(layers)" ] || fail "two builds differ"
fi
above=$(($(podman image inspect --format '{{.Size}}' $image) - $(podman image inspect --format '{{.Size}}' $base)))
echo "$((above / 1000000)) MB above the base"
[ $above -le 120000000 ] || fail "more than 120 MB above the base"
[ "$(podman image inspect --format '{{index .Labels "org.opencontainers.image.title"}}' $image)" = kennel ] || fail "no label"

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
podman run -d --name $name --network host --read-only --cap-drop all --no-healthcheck --pids-limit 200 \
    -v $name:/var/lib/kennel $image --listen 127.0.0.1:"$port" >/dev/null
n=0
until curl -sf localhost:"$port" >/dev/null; do
    n=$((n + 1))
    [ $n -lt 300 ] || { podman logs $name; fail "it does not answer"; }
    sleep 0.1
done
[ "$(curl -sf localhost:"$port")" = Healthy ] || fail "not healthy"
[ "$(podman exec $name id -u)" != 0 ] || fail "it runs as root"
podman exec $name curl -sf http://127.0.0.1:"$port"/livez >/dev/null || fail "the health check cannot run"

inside() { podman exec -e KENNEL_URL=http://127.0.0.1:"$port" $name "$@"; }
export KENNEL_URL=http://127.0.0.1:"$port"
"$KENNEL" backbone add tests/unit/nn/tiny.onnx --name tiny >/dev/null
"$KENNEL" dataset create parts >/dev/null
inside kennel-render surface --count 120 --size 64 | "$KENNEL" dataset import parts - >/dev/null
"$KENNEL" model create parts --dataset parts --backbone tiny >/dev/null
"$KENNEL" retrain parts --wait >/dev/null || [ $? = 3 ]
"$KENNEL" promote parts 1 --force --reason "a test" >/dev/null
inside kennel-render surface --count 1 --size 64 --val 0 | tar xO >"$folder/picture.jpg"
answer=$( (printf '{"data": "'; base64 "$folder/picture.jpg"; echo '"}') |
    curl -sf -X POST -H 'Content-Type: application/json' -d @- localhost:"$port"/score)
case $answer in
'"{\"label\": \"'*'\", \"probability\": \"'*) ;;
*) fail "the score is $answer" ;;
esac
echo "$answer"
podman stop -t 30 $name >/dev/null
[ "$(podman inspect --format '{{.State.ExitCode}}' $name)" = 0 ] || fail "SIGTERM does not end it well"
