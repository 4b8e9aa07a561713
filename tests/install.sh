#!/bin/sh
# Installs packages of the system: tests/install.sh nginx-light wrk
set -eu
if ! command -v apt-get >/dev/null; then
    echo "please install, in your system's way: $*" >&2
    exit 1
fi
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update -qq
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$@"
