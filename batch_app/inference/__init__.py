"""The model side: an engine protocol and its two engines. Knows nothing about batches or the database."""
