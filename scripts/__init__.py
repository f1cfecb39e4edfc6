"""Programs around the system: the client, the demo, sample data. Each runs as `venv/bin/python
scripts/NAME.py`.
"""
