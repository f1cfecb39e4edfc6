"""What can go wrong, named by cause. Knows nothing about HTTP; each process translates at its own edge."""


class BatchAppError(Exception):
    """The message is one line for a person: what is wrong, where, and what to do."""


class ConfigurationError(BatchAppError):
    """A setting or the models file cannot be used."""


class SchemaError(BatchAppError):
    """The database has no schema yet, or another one than this code knows."""
