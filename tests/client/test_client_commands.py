"""Promises of the other commands: what they print can be used, and their exit codes tell how it went."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from batch_app.settings import PROJECT_DIR
from tests.client.command_line import Client
from tests.client.inputs import custom_ids, write_input

pytestmark = pytest.mark.process


def submit_only(client: Client, source: Path) -> str:
    done = client.run("submit", source, "--model", "m", "--no-wait", "--interval", "0.1")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def partly_failed(client: Client, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("input")
    batch_id = submit_only(client, write_input(folder / "in.jsonl", 10, texts={3: "[[fail 400]]"}))
    assert client.run("watch", batch_id, "--interval", "0.1").returncode == 3
    return batch_id


def test_download_brings_answers_and_failures(client: Client, partly_failed: str, tmp_path: Path) -> None:
    results, errors = tmp_path / "results.jsonl", tmp_path / "errors.jsonl"
    done = client.run("download", partly_failed, "-o", results, "--errors", errors)
    assert done.returncode == 3
    assert sorted(custom_ids(results) + custom_ids(errors)) == sorted(f"candidate-{n}" for n in range(1, 11))
    assert custom_ids(errors) == ["candidate-3"]


def test_download_of_an_unfinished_batch_brings_what_is_there(own_client: Client, tmp_path: Path) -> None:
    own_client.system.start_api()
    batch_id = submit_only(own_client, write_input(tmp_path / "in.jsonl", 10))
    done = own_client.run("download", batch_id, "-o", tmp_path / "results.jsonl")
    assert (done.returncode, (tmp_path / "results.jsonl").read_bytes()) == (3, b"")
    assert "so far" in done.stdout
    cancelled = own_client.run("cancel", batch_id, "--json")
    assert json.loads(cancelled.stdout)[0]["status"] in {"cancelling", "cancelled"}


def test_retry_makes_a_new_batch_of_the_failed_lines(client: Client, partly_failed: str) -> None:
    batch_id = json.loads(client.run("retry", partly_failed, "--json").stdout)["batch_id"]
    assert client.run("watch", batch_id, "--interval", "0.1", "--quiet").returncode == 3
    retried = client.api.batch(batch_id)
    assert (retried.parent_batch_id, retried.total) == (partly_failed, 1)


def test_a_retry_that_is_sent_again_is_the_same_batch_and_says_how_to_go_on(
    client: Client, partly_failed: str
) -> None:
    first, again = (client.run("retry", partly_failed) for _ in range(2))
    assert (first.returncode, again.returncode, again.stdout) == (0, 0, first.stdout)
    assert again.stderr.endswith(f"scripts/batch.py retry {first.stdout}")
    following = client.run("watch", first.stdout.strip(), "--interval", "0.1")
    assert following.returncode == 3
    assert client.run("retry", first.stdout.strip()).stdout != first.stdout


def test_list_shows_every_batch(client: Client, partly_failed: str) -> None:
    done = client.run("list", "--limit", "1000")
    header, *rows = done.stdout.splitlines()
    assert header.split()[:4] == ["BATCH", "STATUS", "ANSWERED", "FAILED"]
    (row,) = (row for row in rows if row.startswith(partly_failed))
    assert row.split()[1:4] == ["completed", "9/10", "1"]
    bodies = json.loads(client.run("list", "--status", "completed", "--json", "--limit", "3").stdout)
    assert {body["status"] for body in bodies} == {"completed"}


def test_health_is_a_table_whose_exit_code_tells(client: Client, own_client: Client) -> None:
    done = client.run("health")
    assert done.returncode == 0, done.stdout
    rows = {row.split()[0] for row in done.stdout.splitlines()}
    assert {"system", "database", "gpu", "worker", "queue", "accepting", "disk"} <= rows
    own_client.system.start_api()
    done = own_client.run("health")
    assert done.returncode == 1
    assert "make worker" in done.stdout


def test_the_key_comes_from_the_option_or_the_environment(own_client: Client) -> None:
    own_client.system.settings["API_KEY"] = "open sesame"
    own_client.system.start_api()
    refused = own_client.run("list")
    assert (refused.returncode, "BATCHES_API_KEY" in refused.stderr) == (1, True)
    assert own_client.run("list", "--api-key", "open sesame").returncode == 0
    assert own_client.run("list", BATCHES_API_KEY="open sesame").returncode == 0
    assert own_client.run("list", BATCH_API_KEY="open sesame").returncode == 0


def test_the_owners_example_works_as_it_stands(client: Client, tmp_path: Path) -> None:
    example = (PROJECT_DIR / "scripts" / "integration_example.py").read_text()
    for theirs, ours in (("http://localhost:4080", client.system.url), ("time.sleep(10)", "time.sleep(0.1)")):
        assert theirs in example
        example = example.replace(theirs, ours)
    source = write_input(tmp_path / "candidates.jsonl", 20)
    subprocess.run([sys.executable, "-c", example], cwd=tmp_path, check=True, timeout=60)
    assert sorted(custom_ids(tmp_path / "results.jsonl")) == sorted(custom_ids(source))


def test_output_may_be_cut_short(client: Client, partly_failed: str) -> None:
    with client.start("list", "--json", "--limit", "1000") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["list", "--url", "nonsense"], 1, "is not an address"),
        (["list", "--url", "http://127.0.0.1:9"], 1, "nothing answers on http://127.0.0.1:9"),
        (["watch", "batch_" + "0" * 24], 1, "No batch found"),
        (["watch", "../../etc/passwd"], 1, "is not an id"),
        (["cancel", "missing.json"], 1, "is not a state file"),
        (["submit", "missing.jsonl", "--model", "m"], 1, "is not a file"),
        (["submit", "missing.jsonl"], 2, "--model"),
        (["list", "--limit", "none"], 2, "not a number from 1 up"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_without_a_traceback(
    client: Client, arguments: list[str], code: int, said: str
) -> None:
    done = client.run(*arguments)
    assert done.returncode == code
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
