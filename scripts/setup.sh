#!/bin/sh
# Finds a Python that vLLM runs on and hands over to setup.py. PYTHON=python3.12 names one yourself.
set -eu
cd "$(dirname "$0")/.."

suits() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null
}

# An existing venv keeps its Python, whatever comes first on the PATH today.
for python in ${PYTHON:-venv/bin/python python3 python3.13 python3.12 python3.11 python3.14}; do
    if suits "$python"; then
        exec "$python" -m scripts.setup "$@"
    fi
done

named=${PYTHON:-python3}
found=$("$named" --version 2>/dev/null) || found="no $named that runs"
echo "set-up: vLLM needs Python 3.11 to 3.14, found: $found. Name another with PYTHON=python3.12 make setup" >&2
exit 1
