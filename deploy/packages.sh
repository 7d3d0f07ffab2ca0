# Debian packages, by what needs them. Sourced by deploy/quickstart.sh and tests/run.sh.
# The same names hold on Debian 12 and 13.

build_packages="gcc libc6-dev cmake ninja-build pkg-config libdnnl-dev libjpeg62-turbo-dev libpng-dev
  zlib1g-dev libarchive-dev libmicrohttpd-dev libgnutls28-dev libsqlite3-dev libjansson-dev
  libprotobuf-c-dev protobuf-c-compiler libonnx-dev libcurl4-gnutls-dev libsystemd-dev"

# For the Debian package and the man pages.
package_packages="help2man dpkg-dev file"

quickstart_packages="curl"

# deploy/backbone/pretrain.sh, beside a build
pretrain_packages="python3 python3-numpy python3-onnx"

test_packages="clang clang-format clang-tidy libcmocka-dev python3 python3-yaml procps openssl
  curl ca-certificates"

# install_packages NAME...: installs what is missing; only root can.
install_packages() {
    missing=""
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        echo "missing packages, to be installed as root: apt-get install$missing" >&2
        return 1
    fi
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
}
