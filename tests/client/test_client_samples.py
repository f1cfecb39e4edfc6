"""Promises of the sample: deterministic, valid, and about nobody."""

import subprocess
import sys
from itertools import islice
from pathlib import Path

import orjson

from batch_app.input.request_lines import ParsedRequest, check_line
from scripts import sample_candidates


def test_every_sample_line_is_a_good_request_with_its_own_custom_id() -> None:
    checked = [
        check_line(row.encode(), number, model_given=False)
        for number, row in enumerate(sample_candidates.requests(300), start=1)
    ]
    assert [line.custom_id for line in checked if isinstance(line, ParsedRequest)] == [
        f"candidate-{n}" for n in range(1, 301)
    ]


def test_a_longer_sample_begins_with_the_shorter_one() -> None:
    assert list(islice(sample_candidates.requests(500), 20)) == list(sample_candidates.requests(20))


def test_the_sample_asks_for_little_and_always_the_same_answer() -> None:
    body = orjson.loads(next(sample_candidates.requests(1)))["body"]
    assert body["temperature"] == 0
    assert body["max_tokens"] <= 60
    assert body["model"] == "HuggingFaceTB/SmolLM2-135M-Instruct"


def test_it_runs_as_a_script_and_may_be_cut_short() -> None:
    script = Path(sample_candidates.__file__)
    command = f"{sys.executable} {script} --count 5000 --model m | head -2"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert [orjson.loads(row)["body"]["model"] for row in done.stdout.splitlines()] == ["m", "m"]
