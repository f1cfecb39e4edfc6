"""Looks at everything that can keep the system from working, and says what to do. `make doctor`."""
