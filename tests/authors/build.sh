#!/bin/sh
# Builds the plugins of tests/authors, each in its language, with the tools that their authors use:
# tests/authors/build.sh [where they go], target/authors by default. What has not changed is not built again.
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
out=${1:-$target/authors}
tools=$target/author-tools
plugway=$target/release/plugway
templates=$root/host/templates

# The stamp of what something is made of: changed $name if it is not what it was.
changed() {
    name=$1
    shift
    new=$(find "$@" -type f ! -path '*/target/*' ! -path '*/__pycache__/*' ! -path '*/.plugway/*' -exec sha256sum {} + |
        sort | sha256sum)
    [ "$new" != "$(cat "$out/$name.stamp" 2>/dev/null || true)" ]
}

mkdir -p "$out" "$tools"
js=$templates/js/project python=$templates/python/project
if changed tools "$js/package-lock.json" "$python/requirements.txt" typescript/package.json; then
    { command -v node && command -v npm; } >/dev/null || "$root/tests/install.sh" nodejs npm
    sed 's/{{name}}/tools/' "$js/package-lock.json" >"$tools/package-lock.json"
    sed 's/{{name}}/tools/; s/{{kinds}}/[]/; s/{{settings}}/{}/' "$js/package.json" >"$tools/package.json"
    # Not `npm ci`, which fails where a registry lacks the optional binding of some other platform.
    (cd "$tools" && npm install --silent --no-audit --no-fund)
    typescript=$(sed -n 's/.*"typescript": "\(.*\)".*/\1/p' typescript/package.json)
    (cd "$tools" && npm install --silent --no-audit --no-fund --no-save "typescript@$typescript")
    python3 -c 'import ensurepip, venv' 2>/dev/null || "$root/tests/install.sh" python3-venv
    python3 -m venv "$tools/.venv"
    "$tools/.venv/bin/pip" install --quiet --disable-pip-version-check -r "$python/requirements.txt"
    echo "$new" >"$out/tools.stamp"
fi
export PATH="$tools/node_modules/.bin:$tools/.venv/bin:$PATH"

# build <name> <folder>: from a copy, so that nothing is left in the repository.
build() {
    name=$1 folder=$2
    if changed "$name" "$folder" "$root/wit" "$templates"; then
        copy=$target/authors-build/$name
        rm -rf "$copy"
        mkdir -p "$copy"
        cp -R "$folder/." "$copy/"
        # What `plugway plugin new` puts into each project.
        [ ! -f "$copy/package.json" ] || cp "$js/plugway.js" "$js/plugway.d.ts" "$copy/"
        [ ! -f "$copy/pyproject.toml" ] || cp "$python/plugway.py" "$copy/"
        "$plugway" plugin build "$copy" --out "$out/$name"
        echo "$new" >"$out/$name.stamp"
    fi
}

build acme-js acme/js
build acme-python acme/python
build unruly unruly
build typescript typescript

# new <language> <kind> <its own test>: a new project builds and passes its own test at once.
new() {
    language=$1 kind=$2
    shift 2
    if changed "new-$language-$kind" "$root/wit" "$root/plugin-sdk" "$templates"; then
        project=$target/authors-build/new-$language-$kind
        rm -rf "$project"
        "$plugway" plugin new "x-$kind" --kind "$kind" --lang "$language" --into "$project" >"$tools/said"
        (cd "$project" && "$@") >"$tools/said" 2>&1 || { cat "$tools/said" >&2 && exit 1; }
        "$plugway" plugin build "$project" --out "$out/new-$language-$kind"
        echo "$new" >"$out/new-$language-$kind.stamp"
    fi
}

# One target folder for all projects in Rust, which would each build the SDK otherwise.
export CARGO_TARGET_DIR="$target/new-projects"
for kind in provider format headers policy; do
    new rust $kind cargo test --quiet
    new js $kind node --test
    new python $kind python3 -m unittest
done
export CARGO_TARGET_DIR="$target"

# A member of the repository's workspace, which Cargo knows best how to keep up to date.
"$plugway" plugin build acme/rust --out "$out/acme-rust"
"$plugway" plugin build ../outsider/provider-verso --out "$out/verso"
