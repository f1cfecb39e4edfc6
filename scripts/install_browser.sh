#!/bin/sh
# The Chromium that the browser tests drive: the system's, or Debian's package, or else Playwright's own download.
set -eu
cd "$(dirname "$0")/.."
log=venv/browser.log

for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then exit 0; fi
done
echo "installing Chromium for the browser tests"
if sh scripts/apt_install.sh chromium fonts-dejavu-core fonts-liberation >"$log" 2>&1; then exit 0; fi
if venv/bin/playwright install chromium >>"$log" 2>&1; then exit 0; fi

tail -n 5 "$log" >&2
echo "no Chromium, and none could be installed ($log): the browser tests cannot run" >&2
[ "${CI:-}" != true ]
