"""Commands that an operator runs: backup, restore, migrate, and the copies and sweeps they share."""
