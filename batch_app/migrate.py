"""Runs the migration command: `python -m batch_app.migrate`; see operations/migrate.py."""

import sys

from batch_app.operations.migrate import main

if __name__ == "__main__":
    sys.exit(main())
