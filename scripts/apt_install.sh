#!/bin/sh
# Installs Debian or Ubuntu packages, as root or with sudo where that needs no password; says how where it cannot.
set -eu

if [ "$(id -u)" = 0 ]; then
    as_root=
elif sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    echo "cannot install system packages without root; run: sudo apt-get install $*" >&2
    exit 1
fi
if ! command -v apt-get >/dev/null; then
    echo "this system has no apt-get; install its packages for: $*" >&2
    exit 1
fi

export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
$as_root apt-get install -qq --yes --no-install-recommends "$@"
