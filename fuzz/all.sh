#!/usr/bin/env bash
# Every parser in turn for SECONDS_EACH seconds (60), with JOBS at a time (1): a line for each with its inputs, and what stopped it.
# Needs what README.md says; PARSERS names some of them.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
each=${SECONDS_EACH:-60}
python3 seeds.py
cargo +nightly fuzz build --sanitizer none parsers || exit 1
target=${CARGO_TARGET_DIR:-target}
host=$(rustc -vV | sed -n 's/^host: //p')
program=$(realpath "$target/$host/release/parsers")
parsers=${PARSERS:-$(ls seeds)}
logs=$(mktemp -d)

one() {
    mkdir -p "corpus/$1" "artifacts/$1"
    FUZZ_PARSER=$1 "$program" "corpus/$1" "seeds/$1" -timeout=10 -rss_limit_mb=2048 -max_total_time="$each" \
        -artifact_prefix="artifacts/$1/" -print_final_stats=1 -verbosity=1 > "$logs/$1" 2>&1
    code=$?
    inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$logs/$1")
    memory=$(sed -n 's/^stat::peak_rss_mb: *//p' "$logs/$1")
    cover=$(grep -o 'cov: [0-9]*' "$logs/$1" | tail -1)
    if [[ $code == 0 ]]; then
        end=ok
    else
        end="STOPPED: $(grep -m1 -E 'panicked|ERROR|SUMMARY' "$logs/$1")"
    fi
    printf '%-12s %9s inputs  %5s MiB  %-10s  %s\n' "$1" "${inputs:-?}" "${memory:-?}" "${cover:-cov: ?}" "$end"
    return "$code"
}
export -f one
export program logs each
printf '%s\n' $parsers | xargs -P "${JOBS:-1}" -I{} bash -c 'one {}'
failed=$?
echo "$(printf '%s\n' $parsers | wc -l) parsers, $each seconds each; logs in $logs"
exit "$failed"
