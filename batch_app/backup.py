"""Runs the backup command: `python -m batch_app.backup`; see operations/backup.py."""

import sys

from batch_app.operations.backup import main

if __name__ == "__main__":
    sys.exit(main())
