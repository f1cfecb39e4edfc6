#!/bin/sh
# Stands in for Python when an engine's processes are started: runs it as the leader of a session of its own.
exec setsid "$INFERENCE_PYTHON" "$@"
