"""The API in this process, as the tests of its contract have it."""

from tests.api.conftest import api, empty_database, serve, time_for_all

__all__ = ["api", "empty_database", "serve", "time_for_all"]
