"""Clients with something to talk to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.command_line import Client
from tests.processes.forked import Nursery


@pytest.fixture(scope="package")
def client(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Shared, with a running system: tests tell their batches apart by their inputs, and leave none open."""
    client = Client(tmp_path_factory.mktemp("client"), nursery)
    try:
        client.system.start_api()
        client.system.start_worker()
        client.system.wait_for_worker()
        yield client
    finally:
        client.system.stop_all()


@pytest.fixture
def own_client(nursery: Nursery, tmp_path: Path) -> Iterator[Client]:
    """For a test that stops and starts processes; nothing runs yet."""
    client = Client(tmp_path / "own", nursery)
    try:
        yield client
    finally:
        client.system.stop_all()
