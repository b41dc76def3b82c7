#!/usr/bin/env bash
# Formats, warnings as errors, documentation. Changes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

# Other versions lay out the same settings differently.
clang_format_version=14

if clang-format --version | grep -q "version $clang_format_version\."; then
    scripts/cpp-files.sh | xargs --no-run-if-empty clang-format --dry-run -Werror
else
    echo "The C++ format is that of clang-format $clang_format_version, and is not checked by" \
        "$(clang-format --version)."
fi
cargo fmt --all --check
cargo clippy --locked --all-targets -- -D warnings
# Its unit tests are those of the program, and were looked at with them.
cargo clippy --locked --package raft3d-instructions -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet
