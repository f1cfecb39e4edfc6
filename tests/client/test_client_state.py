"""Promises of the state file: whole or not there, one writer, and a key that names the same requests
everywhere.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.client import state as states
from scripts.client.errors import ClientError
from scripts.client.state import Part, State, Summary


def a_state(**changes: object) -> State:
    part = Part(
        number=1, first_line=1, requests=3, offset=0, length=99, key="k", batch_ids=["batch_a", "batch_b"]
    )
    fields = {
        "input": "/somewhere/ünïcode.jsonl",
        "sha256": "00",
        "bytes": 99,
        "url": "http://localhost:4080",
        "model": "m",
        "priority": None,
        "name": "n",
        "metadata": {"team": "hiring"},
        "parts": [part],
        "created_at": 1.5,
        "summary": Summary(3, 2, 1, 10, 20, 5.5, "r", "e"),
    }
    return State(**{**fields, **changes})  # type: ignore[arg-type]


def test_what_was_saved_is_what_is_loaded(tmp_path: Path) -> None:
    for state in (a_state(), a_state(summary=None, priority=3)):
        states.save(state, tmp_path / "s.json")
        assert states.load(tmp_path / "s.json") == state
    assert [path.name for path in tmp_path.iterdir()] == ["s.json"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", json.dumps({"version": 99}), json.dumps({"version": 1})]
)
def test_a_file_that_is_no_state_file_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "s.json"
    path.write_text(content)
    with pytest.raises(ClientError) as caught:
        states.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_key_of_a_part_depends_on_what_is_asked_and_on_nothing_else() -> None:
    asked = {"digest": "d", "offset": 0, "length": 9, "model": "m", "handling": {}, "salt": ""}

    def key(**changes: object) -> str:
        return states.part_key(**{**asked, **changes})  # type: ignore[arg-type]

    others = [
        key(digest="e"),
        key(offset=1),
        key(length=8),
        key(model="n"),
        key(salt="again"),
        key(handling={"order": "submission"}),
    ]
    assert key() == key()
    assert len({key(), *others}) == 7


def test_two_clients_cannot_work_in_one_folder(tmp_path: Path) -> None:
    program = f"""
from pathlib import Path
from scripts.client import state
with state.locked(Path({str(tmp_path)!r})):
    print("locked", flush=True)
    input()
"""
    arguments = [sys.executable, "-c", program]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(ClientError, match="another client is at work"), states.locked(tmp_path):
            pass
        other.kill()
    with states.locked(tmp_path):
        pass
