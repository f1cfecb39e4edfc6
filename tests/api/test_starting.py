"""Starting the API: what cannot be meant is refused in one line that names it; nothing is made or changed."""

import sqlite3
import sys
from pathlib import Path

import pytest

from batch_app import api_server
from batch_app.settings import Settings


@pytest.fixture(autouse=True)
def command_line(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m batch_app.api_server` on the test's data folder; a server that would start fails the test."""
    monkeypatch.setattr(sys, "argv", ["api_server"])
    monkeypatch.setenv("BATCH_DATA_DIR", str(settings.data_dir))
    monkeypatch.setattr(api_server, "require_free_port", lambda _host, _port: None)
    monkeypatch.setattr(api_server.uvicorn, "run", lambda *_args, **_kwargs: pytest.fail("it started"))


def refused_start(capsys: pytest.CaptureFixture[str]) -> str:
    """What it says when it does not start: one line."""
    assert api_server.main() == 1
    said = capsys.readouterr()
    assert said.out == ""
    [line] = said.err.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("BATCH_API_PROT", "4080", ["BATCH_API_PROT", "--check"]),
        ("BATCH_API_PORT", "many", ["BATCH_API_PORT", "many"]),
        ("BATCH_MAX_ACTIVE_BATCHES", "0", ["BATCH_MAX_ACTIVE_BATCHES"]),
        ("BATCH_API_HOST", "0.0.0.0", ["BATCH_API_HOST", "BATCH_API_KEY", "BATCH_ALLOW_OPEN_NETWORK"]),
        ("BATCH_API_KEY", "", ["BATCH_API_KEY"]),
        ("BATCH_MODELS_FILE", "nowhere.toml", ["nowhere.toml", "BATCH_MODELS_FILE"]),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    words: list[str],
) -> None:
    monkeypatch.setenv(name, value)
    line = refused_start(capsys)
    assert [word for word in words if word not in line] == []
    assert not settings.data_dir.exists()


def test_an_older_database_is_left_alone_until_it_is_migrated(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.data_dir.mkdir()
    older = "CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version VALUES ('0001')"
    in_database(settings.database_path, older)

    assert "migrate" in refused_start(capsys)

    assert in_database(settings.database_path) == ["alembic_version"]


def in_database(path: Path, script: str = "") -> list[str]:
    """Run a script; the names of all tables after it."""
    database = sqlite3.connect(path)
    database.executescript(script)
    names = [row[0] for row in database.execute("SELECT name FROM sqlite_master")]
    database.close()
    return names


def test_a_check_shows_the_settings_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["api_server", "--check"])
    monkeypatch.setenv("BATCH_API_KEY", "hunter2")
    monkeypatch.setenv("BATCH_API_PORT", "4081")

    assert api_server.main() == 0

    shown = capsys.readouterr().out
    assert "hunter2" not in shown
    assert "4081" in shown
    assert all(f"BATCH_{name.upper()}" in shown for name in Settings.model_fields)
