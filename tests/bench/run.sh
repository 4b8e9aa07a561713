#!/bin/sh
# Builds the benchmarks and runs all of them, or those that are named: tests/bench/run.sh [NAME…] [--rounds N] …
set -eu
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
exec cargo run --quiet --release --manifest-path tests/bench/Cargo.toml -- \
    --plugway "$target/release/plugway" --plugins "$target/plugins" "$@"
