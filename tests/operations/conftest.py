"""An API and a worker in this process, on real files: what is looked after for months."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch_app.settings import Settings
from tests.api.conftest import time_for_all
from tests.api.served import Api, default_app

__all__ = ["api", "time_for_all"]


@pytest.fixture
def api(settings: Settings, migrated: Path) -> Iterator[Api]:
    """An API with an empty database and no worker."""
    settings.data_dir.mkdir()
    shutil.copy(migrated, settings.database_path)
    api = Api(settings, default_app())
    yield api
    api.close()
