"""Durable files: written once, synced before anything refers to them, and the answer logs of unfinished batches."""
