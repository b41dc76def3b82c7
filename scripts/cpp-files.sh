#!/usr/bin/env bash
# Lists the C++ files whose format is checked.
set -euo pipefail
cd "$(dirname "$0")/.."
find core cpp include \( -name '*.hxx' -o -name '*.cxx' \) -print | sort
