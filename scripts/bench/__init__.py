"""Measures speed on the machine at hand: `make bench`, or `python -m scripts.bench --help`.

Each stage in `stages/` says in its docstring how it measures and yields figures for the rows of the table; nothing is
asserted. Ratios come from runs in turn on the same machine in one go, with the same model and engine arguments.
"""
