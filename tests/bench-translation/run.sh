#!/bin/sh
# Measures translations in wasm beside the same code native: tests/bench-translation/run.sh [--seconds N] [--only TEXT] …
set -eu
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
exec cargo run --quiet --release --manifest-path tests/bench-translation/Cargo.toml --bin plugway-bench-translation -- \
    --plugin "$target/plugins/format-anthropic.wasm" "$@"
