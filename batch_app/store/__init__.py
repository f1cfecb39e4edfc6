"""Every SQL statement of the project. A verb is one change of fact, in one transaction, with its guard inside."""
