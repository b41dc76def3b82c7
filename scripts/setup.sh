#!/usr/bin/env bash
# Installs what is missing: Debian packages for building ("build"), for packing ("deb"), for testing
# ("test"), and the program of the same name ("schemathesis").
set -euo pipefail

declare -A packages=(
    [build]="cmake g++ make libasio-dev libssl-dev"
    [deb]="binutils dpkg-dev"
    [test]="libgtest-dev clang-format iproute2 curl openssl procps"
    [schemathesis]="python3-venv"
)

missing=()
for purpose in "$@"; do
    for package in ${packages[$purpose]}; do
        state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
        [[ $state == installed ]] || missing+=("$package")
    done
done

if ((${#missing[@]} > 0)); then
    echo "Installing ${missing[*]}"
    as_root=()
    if [[ $(id -u) != 0 ]]; then
        command -v sudo >/dev/null || {
            echo "Neither root nor sudo: have these packages installed first: ${missing[*]}" >&2
            exit 1
        }
        as_root=(sudo)
    fi
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

# It has no Debian package. Its tests attack a running cluster by the description of its API.
schemathesis=4.32.5
if [[ " $* " == *" schemathesis "* ]]; then
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
