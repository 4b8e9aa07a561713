#!/bin/sh
# Builds the components that the system tests need: tests/guests/build.sh [where they go], target/guests by default.
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
out=${1:-$target/guests}

# `tomorrow` is built from a copy of the contract with a version that nobody has published.
rm -rf tomorrow/wit
mkdir -p tomorrow/wit/deps "$out"
for kind in plugin provider; do
    mkdir "tomorrow/wit/deps/$kind"
    sed 's/plugway:provider@0\.1\.0/plugway:provider@0.9.0/' "$root/wit/$kind/$kind.wit" >"tomorrow/wit/deps/$kind/$kind.wit"
done
mv tomorrow/wit/deps/provider/provider.wit tomorrow/wit/provider.wit
rmdir tomorrow/wit/deps/provider

CARGO_TARGET_DIR="$target/guests-build" cargo build --quiet --release --target wasm32-wasip2
for component in "$target"/guests-build/wasm32-wasip2/release/*.wasm; do
    cp "$component" "$out/"
done
