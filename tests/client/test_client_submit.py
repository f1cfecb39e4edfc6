"""Promises of `batch.py submit` on the real system: an input of any size goes out in parts and comes home
whole.
"""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from scripts.client.submission import KEY_IN_METADATA
from tests.client.command_line import Client
from tests.client.full_disk import full_disk
from tests.client.inputs import (
    assert_every_answer_is_home,
    custom_ids,
    results_folder,
    state_of,
    write_input,
)
from tests.waiting import wait_until

pytestmark = pytest.mark.process

MODEL = "echo-model"


def submit(client: Client, source: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return client.run("submit", source, "--model", MODEL, "--interval", "0.1", *options)


def batches_of(client: Client, source: Path) -> list[dict[str, object]]:
    """Every batch on the server that holds requests of this input, oldest first."""
    keys = {part["key"] for part in state_of(source)["parts"]}
    bodies = [
        body for body in client.api.batch_bodies() if (body["metadata"] or {}).get(KEY_IN_METADATA) in keys
    ]
    return bodies[::-1]


def test_an_input_beyond_every_limit_goes_out_in_parts_and_comes_home_whole(
    client: Client, tmp_path: Path
) -> None:
    source = write_input(tmp_path / "in.jsonl", 330)
    done = submit(client, source, "--name", "spring", "--priority", "3", "--metadata", "team=hiring")
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr
    assert done.stdout.startswith("330 requests: 330 answered, 0 failed\n")
    assert_every_answer_is_home(source, 330)
    bodies = batches_of(client, source)
    assert [body["total_requests"] for body in bodies] == [50] * 6 + [30]
    assert [body["filename"] for body in bodies][::6] == ["in.1-of-7.jsonl", "in.7-of-7.jsonl"]
    for number, body in enumerate(bodies, start=1):
        assert body["priority"] == 3
        metadata = body["metadata"]
        assert isinstance(metadata, dict)
        assert (metadata["name"], metadata["team"]) == (f"spring {number}/7", "hiring")


def test_how_lines_are_computed_is_asked_for_and_makes_another_batch(client: Client, tmp_path: Path) -> None:
    source = write_input(tmp_path / "in.jsonl", 20)
    options = ("--deduplicate", "--use-cache", "--order", "submission")
    keys = set()
    for asked in ((), options):
        out = tmp_path / f"out-{len(asked)}"
        assert submit(client, source, "--out", str(out), *asked).returncode == 0
        [part] = json.loads((out / "in.jsonl.batches.json").read_text())["parts"]
        body = client.api.batch_body(part["batch_ids"][-1])
        ways = ("submission", True, True) if asked else ("auto", False, False)
        assert (body["order"], body["deduplicate"], body["use_cache"]) == ways
        keys.add(part["key"])
    assert len(keys) == 2
    assert submit(client, source, "--out", str(out)).returncode == 0  # goes on as it was begun
    refused = submit(client, source, "--out", str(out), "--deduplicate")
    assert (refused.returncode, "other options" in refused.stderr) == (1, True)


def test_submitting_again_only_repeats_the_summary(client: Client, tmp_path: Path) -> None:
    source = write_input(tmp_path / "in.jsonl", 60)
    first = submit(client, source)
    again = submit(client, source, "--json")
    assert first.returncode == again.returncode == 0
    assert json.loads(again.stdout)["answered"] == 60
    assert len(batches_of(client, source)) == 2


def test_the_same_input_from_another_folder_is_not_computed_twice_unless_asked(
    client: Client, tmp_path: Path
) -> None:
    source = write_input(tmp_path / "in.jsonl", 20)
    ids = [
        json.loads(submit(client, source, "--json", "--out", str(tmp_path / out), *options).stdout)[
            "batch_ids"
        ]
        for out, options in (("a", []), ("b", []), ("c", ["--fresh"]))
    ]
    assert ids[0] == ids[1] != ids[2]


def test_failed_requests_go_to_the_errors_file_and_show_in_the_exit_code(
    client: Client, tmp_path: Path
) -> None:
    source = write_input(tmp_path / "in.jsonl", 70, texts={7: "[[fail 400]]", 55: "[[fail 400]]"})
    done = submit(client, source)
    assert done.returncode == 3, done.stderr
    assert "70 requests: 68 answered, 2 failed" in done.stdout
    assert custom_ids(results_folder(source) / "errors.jsonl") == ["candidate-7", "candidate-55"]
    assert len(custom_ids(results_folder(source) / "results.jsonl")) == 68


def test_what_a_retry_answers_joins_the_results(own_client: Client, tmp_path: Path) -> None:
    client = own_client
    client.system.start_api()
    client.system.settings["MAX_ATTEMPTS"] = "1"
    worker = client.system.start_worker()
    source = write_input(tmp_path / "in.jsonl", 120, texts={7: "[[flaky 2]]", 55: "[[flaky 2]]"})
    assert submit(client, source).returncode == 3
    client.system.stop(worker)
    client.system.settings["MAX_ATTEMPTS"] = "5"
    client.system.start_worker()
    done = client.run("retry", results_folder(source) / "in.jsonl.batches.json", "--interval", "0.1")
    assert done.returncode == 0, done.stderr
    assert_every_answer_is_home(source, 120)
    again = client.run("retry", results_folder(source) / "in.jsonl.batches.json")
    assert (again.returncode, "nothing to retry" in again.stderr) == (1, True)


def test_bad_lines_are_listed_and_nothing_is_sent(client: Client, tmp_path: Path) -> None:
    source = write_input(tmp_path / "in.jsonl", 60)
    source.write_text(source.read_text() + "not json\n" + source.read_text().splitlines()[0])
    before = len(list(client.api.batch_bodies()))
    done = submit(client, source)
    assert done.returncode == 4
    assert "line 61: This line is not parseable" in done.stderr
    assert "line 62: 'custom_id' 'candidate-1' was already used on line 1" in done.stderr
    assert len(list(client.api.batch_bodies())) == before
    assert not results_folder(source).exists()


def test_a_line_that_the_server_would_refuse_in_a_later_part_is_found_before_the_first_is_sent(
    own_client: Client, tmp_path: Path
) -> None:
    own_client.system.settings["MAX_LINE_BYTES"] = "1000"
    own_client.system.start_api()
    done = submit(own_client, write_input(tmp_path / "in.jsonl", 60, texts={55: "x" * 1000}))
    assert done.returncode == 4
    assert "line 55: The line is longer than 1000 bytes" in done.stderr
    assert list(own_client.api.batch_bodies()) == []


def test_grammars_are_sent_to_a_server_that_takes_them(own_client: Client, tmp_path: Path) -> None:
    source = write_input(tmp_path / "in.jsonl", 1)
    row = json.loads(source.read_text())
    row["body"]["structured_outputs"] = {"grammar": "root ::= 'yes'"}
    source.write_text(json.dumps(row))
    api = own_client.system.start_api()
    assert submit(own_client, source, "--no-wait").returncode == 4
    own_client.system.stop(api)
    own_client.system.settings["ALLOW_GRAMMARS"] = "1"
    own_client.system.start_api()
    assert submit(own_client, source, "--no-wait").returncode == 0


def test_a_changed_input_is_refused_with_what_to_do(client: Client, tmp_path: Path) -> None:
    source = write_input(tmp_path / "in.jsonl", 20)
    assert submit(client, source).returncode == 0
    write_input(source, 21)
    done = submit(client, source)
    assert done.returncode == 1
    assert "put that input back" in done.stderr
    assert "--out" in done.stderr
    assert len(batches_of(client, source)) == 1


def test_a_folder_that_moved_with_its_input_is_still_known(client: Client, tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    source = write_input(before / "in.jsonl", 20)
    assert submit(client, source, "--no-wait").returncode == 0
    before.rename(after)
    assert submit(client, after / "in.jsonl").returncode == 0
    assert len(batches_of(client, after / "in.jsonl")) == 1


def test_other_options_for_a_begun_submission_are_refused(client: Client, tmp_path: Path) -> None:
    source = write_input(tmp_path / "in.jsonl", 20)
    assert submit(client, source).returncode == 0
    done = submit(client, source, "--priority", "7")
    assert (done.returncode, "other options" in done.stderr) == (1, True)


def test_without_waiting_it_ends_when_all_is_accepted_and_can_be_taken_up_later(
    client: Client, tmp_path: Path
) -> None:
    source = write_input(tmp_path / "in.jsonl", 130)
    sent = submit(client, source, "--no-wait")
    assert (sent.returncode, len(sent.stdout.split())) == (0, 3), sent.stderr
    state = results_folder(source) / "in.jsonl.batches.json"
    watched = client.run("watch", state, "--interval", "0.1")
    assert watched.returncode == 0, watched.stderr
    assert watched.stdout.count("completed") == 3
    assert submit(client, source).returncode == 0
    assert_every_answer_is_home(source, 130)


def test_ctrl_c_leaves_a_submission_that_goes_on(own_client: Client, tmp_path: Path) -> None:
    client = own_client
    client.system.start_api()
    source = write_input(tmp_path / "in.jsonl", 130)
    process = client.start("submit", source, "--model", MODEL, "--interval", "0.1")
    wait_until(lambda: len(list(client.api.batch_bodies())) == 2, what="two parts to be sent")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "The same command goes on from here" in err
    assert "Traceback" not in err
    client.system.start_worker()
    assert submit(client, source).returncode == 0
    assert len(batches_of(client, source)) == 3
    assert_every_answer_is_home(source, 130)


def test_a_server_that_dies_and_comes_back_is_waited_for(own_client: Client, tmp_path: Path) -> None:
    client = own_client
    api = client.system.start_api()
    source = write_input(tmp_path / "in.jsonl", 130)
    process = client.start("submit", source, "--model", MODEL, "--interval", "0.1")
    wait_until(lambda: len(list(client.api.batch_bodies())) == 2, what="two parts to be sent")
    client.system.kill(api)
    client.system.start_worker()
    client.system.start_api()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert len(batches_of(client, source)) == 3
    assert_every_answer_is_home(source, 130)


def test_a_server_whose_disk_is_full_is_waited_for_and_what_is_finished_is_fetched_meanwhile(
    client: Client, tmp_path: Path
) -> None:
    source = write_input(tmp_path / "in.jsonl", 70)
    with full_disk(client.system.url, room_for=1) as disk:
        options = ("--model", MODEL, "--url", disk.url, "--interval", "0.1", "--patience", "0.2")
        process = client.start("submit", source, *options)

        def was_refused_for_longer_than_its_patience() -> bool:
            return disk.refused >= 5 and state_of(source)["parts"][0]["fetched"]

        wait_until(
            lambda: process.poll() is not None or was_refused_for_longer_than_its_patience(),
            what="the finished part to be fetched",
        )
        assert process.poll() is None, process.communicate()
        disk.room_for = 2
        _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert len(batches_of(client, source)) == 2
    assert_every_answer_is_home(source, 70)


def test_nothing_is_uploaded_that_has_no_room_on_the_servers_disk(client: Client, tmp_path: Path) -> None:
    source = write_input(tmp_path / "in.jsonl", 20)
    with full_disk(client.system.url, free_bytes=source.stat().st_size - 1) as disk:
        process = client.start("submit", source, "--model", MODEL, "--url", disk.url, "--interval", "0.1")
        wait_until(
            lambda: process.poll() is not None or disk.asked_for_health >= 5, what="it to look for room again"
        )
        assert (process.poll(), disk.refused) == (None, 0)
        disk.room_for, disk.free_bytes = 1, source.stat().st_size
        _, err = process.communicate(timeout=120)
    assert (process.returncode, disk.refused) == (0, 0), err
    assert "the server's disk is full" in err
    assert_every_answer_is_home(source, 20)


def test_nothing_answering_is_said_in_one_line(tmp_path: Path, own_client: Client) -> None:
    source = write_input(tmp_path / "in.jsonl", 3)
    done = submit(own_client, source)
    assert done.returncode == 1
    assert done.stderr == f"error: nothing answers on {own_client.system.url}; start it with `make start`\n"


def test_a_batch_the_server_forgot_is_named(client: Client, tmp_path: Path) -> None:
    source = write_input(tmp_path / "in.jsonl", 3)
    assert submit(client, source, "--no-wait").returncode == 0
    state = results_folder(source) / "in.jsonl.batches.json"
    batch_id = state_of(source)["parts"][0]["batch_ids"][0]
    state.write_text(state.read_text().replace(batch_id, "batch_" + "0" * 24))
    done = submit(client, source)
    assert done.returncode == 1
    assert "does not know batch_000000000000000000000000" in done.stderr
