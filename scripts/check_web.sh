#!/bin/sh
# Checks the front end: format and lint with Biome, types in JSDoc with tsc, unit tests with Node's own runner.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/venv/bin:$PATH" # where set-up puts Node when the system's is missing or too old

(cd web && node_modules/.bin/biome ci --error-on-warnings .)
for config in web/tsconfig.json web/jsconfig.json; do
    if [ -f "$config" ]; then
        web/node_modules/.bin/tsc --noEmit --project "$config"
    fi
done
tests=$(find web tests -name node_modules -prune -o \( -name '*.test.js' -o -name '*.test.mjs' \) -print)
if [ -n "$tests" ]; then
    # shellcheck disable=SC2086  # one argument per file; no name has a space
    node --test --test-reporter=spec $tests
fi
