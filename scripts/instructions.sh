#!/usr/bin/env bash
# Counts the instructions that the protocol takes for one write, by case, and compares them with
# core/tests/instructions/baseline.txt: more than TOLERANCE per cent (3) above it is a failure. Unlike
# times, counts are the same on a busy machine. Another compiler than the baseline's makes other
# counts, which are then only shown. WRITE=1 writes the baseline anew.
set -euo pipefail
cd "$(dirname "$0")/.."

cases=core/tests/instructions
build=build/instructions
program=$build/instruction_cases
baseline=$cases/baseline.txt
tolerance=${TOLERANCE:-3}
compiler=$("${CXX:-c++}" --version | head -n 1)
counts=$(mktemp)
trap 'rm -f "$counts"' EXIT

count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --collect-atstart=no \
        '--toggle-collect=*measured*' "$program" "$1" 2>&1 | sed -n 's/.*Collected : //p'
}

mkdir -p build
{ cmake -S "$cases" -B "$build" && cmake --build "$build" --parallel "$(nproc)"; } >"$build.log" 2>&1 ||
    { cat "$build.log"; exit 1; }
echo "compiler $compiler" >"$counts"
"$program" | while read -r name rounds; do
    collected=$(count "$name")
    [[ -n $collected ]] || { echo "$name did not run to its end" >&2; exit 1; }
    echo "$name $((collected / rounds))" >>"$counts"
done

if [[ -n ${WRITE:-} ]]; then
    cp "$counts" "$baseline"
    cat "$baseline"
    exit
fi

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
    }' "$baseline" "$counts"
