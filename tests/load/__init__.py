"""Many clients for a long time: what must not fail, grow or wait. `python -m tests.load --help`."""
