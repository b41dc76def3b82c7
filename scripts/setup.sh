#!/usr/bin/env bash
# Installs what is missing: Debian packages for building ("build"), for packing ("deb"), and for testing
# ("test"), with programs for tests and benchmarks ("bench") that are kept below target/ only.
set -euo pipefail

declare -A packages=(
    [build]="cmake g++ make libasio-dev libssl-dev"
    [deb]="binutils dpkg-dev"
    [test]="libgtest-dev clang-format iproute2 curl openssl procps python3-venv valgrind"
    [bench]=""
)

missing=()
for purpose in "$@"; do
    for package in ${packages[$purpose]}; do
        state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
        [[ $state == installed ]] || missing+=("$package")
    done
done

# as_root PACKAGES COMMAND...: runs the command as root, for the sake of the packages.
as_root() {
    if [[ $(id -u) == 0 ]]; then
        "${@:2}"
    elif command -v sudo >/dev/null; then
        sudo "${@:2}"
    else
        echo "Neither root nor sudo: have these packages installed first: $1" >&2
        exit 1
    fi
}

if ((${#missing[@]} > 0)); then
    echo "Installing ${missing[*]}"
    as_root "${missing[*]}" apt-get update -qq
    as_root "${missing[*]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

# take_programs PACKAGE PROGRAM...: takes programs out of a Debian package, into target/PACKAGE. Installed, it
# would start a service.
take_programs() {
    local directory programs=("${@:2}")
    directory=$(dirname "$0")/../target/$1
    [[ -x $directory/$2 ]] && return
    echo "Getting ${programs[*]} for target/$1"
    mkdir -p "$directory"
    (
        cd "$directory"
        if ! apt-get download -qq "$1"; then
            as_root "$1" apt-get update -qq
            apt-get download -qq "$1"
        fi
        dpkg-deb --fsys-tarfile "$1"_*.deb |
            tar -x --strip-components=3 "${programs[@]/#/./usr/bin/}"
        rm "$1"_*.deb
    )
}

if [[ " $* " == *" test "* ]]; then take_programs prometheus promtool prometheus; fi
if [[ " $* " == *" bench "* ]]; then take_programs etcd-server etcd; fi

# It has no Debian package. Its tests attack a running cluster by the description of its API.
schemathesis=4.32.5
if [[ " $* " == *" test "* ]]; then
    environment=$(dirname "$0")/../target/schemathesis
    if ! "$environment/bin/schemathesis" --version 2>/dev/null | grep -qF "$schemathesis"; then
        echo "Installing schemathesis $schemathesis in target/schemathesis"
        /usr/bin/python3 -m venv --clear "$environment"
        "$environment/bin/pip" install --quiet "schemathesis==$schemathesis"
    fi
fi

if ! command -v cargo >/dev/null; then
    echo "There is no cargo: install Rust 1.90 or later, for instance with rustup," >&2
    echo "and open a new shell so that cargo is on the PATH." >&2
    exit 1
fi
