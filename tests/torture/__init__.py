"""The long run of crashes: `make torture`, or `python -m tests.torture --help`."""
