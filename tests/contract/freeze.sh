#!/bin/sh
# Publishes the contract: copies every package under `wit/` to tests/contract/frozen/<its version>/ and keeps a plugin that
# was built against it, both for ever: tests/contract/freeze.sh [gateway]
#
# A version that has been published is not written over; before the first release, --again does it all the same.
set -eu
cd "$(dirname "$0")/../.."
again=no
[ "${1:-}" = --again ] && { again=yes; shift; }
plugway=${1:-${CARGO_TARGET_DIR:-target}/release/plugway}

for wit in wit/*/*.wit; do
    version=$(sed -n 's/^package [a-z:-]*@\(.*\);$/\1/p' "$wit")
    frozen=tests/contract/frozen/$version/$(basename "$wit")
    if [ -e "$frozen" ] && [ "$again" = no ]; then
        cmp -s "$wit" "$frozen" || echo "$frozen is published and stays as it is; it differs from $wit" >&2
        continue
    fi
    mkdir -p "$(dirname "$frozen")"
    cp "$wit" "$frozen"
    echo "$frozen"
done

version=$(sed -n 's/^package plugway:provider@\(.*\);$/\1/p' wit/provider/provider.wit)
kept=tests/contract/plugins/provider-echo-$version.wasm
if [ -e "$kept" ] && [ "$again" = no ]; then
    exit 0
fi
built=$(mktemp -d)
trap 'rm -r "$built"' EXIT
"$plugway" plugin build plugins/provider-echo --out "$built"
mkdir -p "$(dirname "$kept")"
cp "$built/provider-echo.wasm" "$kept"
echo "$kept"
