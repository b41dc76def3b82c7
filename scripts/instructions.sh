#!/usr/bin/env bash
# Counts the instructions that a write takes, by case: in the rules of Raft (core/tests/instructions), and in
# those and the formats of the farm (benches/instructions). Each has a baseline.txt: more than
# TOLERANCE per cent (3) above it is a failure. Unlike times, counts are the same on a busy machine.
# Another compiler than the baseline's makes other counts, which are then only shown.
# WRITE=1 writes the baselines anew.
set -euo pipefail
cd "$(dirname "$0")/.."

tolerance=${TOLERANCE:-3}
counts=$(mktemp)
trap 'rm -f "$counts"' EXIT

# Runs the command, showing its output only if it fails.
quietly() {
    "$@" >build/instructions.log 2>&1 || { cat build/instructions.log; exit 1; }
}

# The instructions that case $2 of program $1 takes inside `measured`.
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --collect-atstart=no \
        '--toggle-collect=*measured*' "$1" "$2" 2>&1 | sed -n 's/.*Collected : //p'
}

# Counts all cases of the program $2, made by the compiler $3; their baseline is in the directory $1.
check() {
    local baseline=$1/baseline.txt program=$2 name rounds collected
    echo "compiler $3" >"$counts"
    "$program" | while read -r name rounds; do
        collected=$(count "$program" "$name")
        [[ -n $collected ]] || { echo "$name did not run to its end" >&2; exit 1; }
        echo "$name $((collected / rounds))" >>"$counts"
    done
    if [[ -n ${WRITE:-} ]]; then
        cp "$counts" "$baseline"
        cat "$baseline"
    else
        compare "$baseline"
    fi
}

# Shows the counts, and fails if one is above the baseline $1.
compare() {
    awk -v tolerance="$tolerance" '
        $1 == "compiler" { if (NR == FNR) expected = $0; else same = $0 == expected; next }
        NR == FNR { before[$1] = $2; next }
        {
            change = ($1 in before) ? ($2 / before[$1] - 1) * 100 : 0
            above = !($1 in before) || change > tolerance
            printf "%-24s %8d instructions, %+.1f %%%s\n", $1, $2, change, above ? "  ABOVE THE BASELINE" : ""
            failed += above
        }
        END {
            if (!same) { print "Another compiler than the baseline'"'"'s: nothing is compared."; exit 0 }
            if (failed) { print "If that is meant: WRITE=1 scripts/instructions.sh"; exit 1 }
        }' "$1" "$counts"
}

mkdir -p build
rules=core/tests/instructions
quietly cmake -S "$rules" -B build/instructions
quietly cmake --build build/instructions --parallel "$(nproc)"
quietly cargo build --release --locked --package raft3d-instructions
check "$rules" build/instructions/instruction_cases "$("${CXX:-c++}" --version | head -n 1)"
check benches/instructions "${CARGO_TARGET_DIR:-target}/release/raft3d-instructions" "$(rustc --version)"
