#!/usr/bin/env bash
# Everything that must hold: the checks, the core's tests in three builds, the glue's in two, then the
# package's tests.
set -euo pipefail
cd "$(dirname "$0")/.."

announce() {
    printf '\n=== %s (%d s so far)\n' "$1" "$SECONDS"
}

# The core's tests, built in build/core-$1; the other arguments are cmake's. Several files are compiled in one,
# which takes less than half the time; that none lives on what another includes shows when cargo
# builds the core, each file by itself.
test_core() {
    announce "core, $1"
    local build="build/core-$1"
    cmake -S core -B "$build" -DRAFT3D_BUILD_TESTS=ON -DCMAKE_UNITY_BUILD=ON "${@:2}" \
        -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG="-g1 -O1" >"$build.log" 2>&1 ||
        { cat "$build.log"; exit 1; }
    cmake --build "$build" --parallel "$(nproc)" -- --no-print-directory
    ctest --test-dir "$build" --output-on-failure --parallel "$(nproc)"
}

# The tests of the glue that need no Rust, likewise.
test_glue() {
    announce "glue, $1"
    local build="build/glue-$1"
    cmake -S cpp/tests -B "$build" "${@:2}" \
        -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG="-g1 -O1" >"$build.log" 2>&1 ||
        { cat "$build.log"; exit 1; }
    cmake --build "$build" --parallel "$(nproc)" -- --no-print-directory
    ctest --test-dir "$build" --output-on-failure --parallel "$(nproc)"
}

announce "checks"
scripts/check.sh

mkdir -p build
test_core plain -DRAFT3D_BUILD_BENCH=ON
test_core address -DRAFT3D_SANITIZE=address,undefined
test_core thread -DRAFT3D_SANITIZE=thread
test_glue address -DRAFT3D_SANITIZE=address,undefined
test_glue thread -DRAFT3D_SANITIZE=thread

announce "instructions"
scripts/instructions.sh

announce "package"
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked
else
    cargo test --locked --no-fail-fast
fi
