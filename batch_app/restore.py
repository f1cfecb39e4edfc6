"""Runs the restore command: `python -m batch_app.restore FOLDER`; see operations/restore.py."""

import sys

from batch_app.operations.restore import main

if __name__ == "__main__":
    sys.exit(main())
