#!/bin/sh
# Measures the provider of tests/authors/acme in each language, and prints the table of docs/languages.md.
set -eu
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
tests/authors/build.sh
exec cargo run --quiet --release --manifest-path tests/bench-translation/Cargo.toml --bin languages -- \
    "Rust=$target/authors/acme-rust/provider-acme.wasm" \
    "JavaScript=$target/authors/acme-js/provider-acme.wasm" \
    "Python=$target/authors/acme-python/provider-acme.wasm" \
    "JavaScript as a script=$target/plugins/script.wasm+tests/authors/acme/js/src/plugin.js"
