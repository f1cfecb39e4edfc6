"""Several batches as one table, joined by custom_id: every column of each of them filters and sorts the rows of all."""

import csv
import io
import json
from itertools import chain
from typing import Any

import pytest

from tests.api.errors import error_of
from tests.api.served import Api
from tests.lines import chat_line

FIRST: dict[str, Any] = {
    "anna": {"score": 7, "verdict": "hire", "status": "old"},
    "ben": {"score": 3, "verdict": "no"},
    "carla": {"score": 9, "verdict": "hire"},
    "dirk": "no JSON, größer",
    "alone": {"score": 5, "verdict": "=1+1"},
    "gone": "[[fail 400]]",
}
SECOND: dict[str, Any] = {
    "carla": {"score": 2, "reasons": ["late"]},
    "anna": {"score": 8, "reasons": ["kind", "solid"]},
    "ben": {"score": 3, "reasons": []},
    "gone": {"score": 4},
    "new": {"score": 10},
}
THIRD: dict[str, Any] = {"anna": {"score": 1}, "third": {"score": 6}}
EVERYBODY = ["anna", "ben", "carla", "dirk", "alone", "gone", "new"]


def batch(api: Api, said: dict[str, Any], **fields: str) -> str:
    lines = [chat_line(name, one if isinstance(one, str) else json.dumps(one)) for name, one in said.items()]
    return api.finished(lines, **fields)


@pytest.fixture
def ids(api: Api) -> list[str]:
    return [batch(api, FIRST), batch(api, SECOND)]


def table(api: Api, ids: list[str], **params: Any) -> dict[str, Any]:
    answer = api.get("/v1/compare/answers", params={"batch": ids, **params})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def names(api: Api, ids: list[str], **params: Any) -> list[str]:
    return [row["custom_id"] for row in table(api, ids, **params)["data"]]


def test_every_custom_id_is_one_row_with_the_answers_of_each_batch(api: Api, ids: list[str]) -> None:
    page = table(api, ids, columns=["1.score", "2.score", "2.reasons[0]"])
    assert (page["total"], page["indexed"], page["complete"], page["found"]) == (7, 7, True, None)
    rows = {row["custom_id"]: row["answers"] for row in page["data"]}
    assert list(rows) == EVERYBODY
    first, second = rows["anna"]
    assert (first["line"], first["values"]) == (1, {"score": 7})
    assert (second["line"], second["values"]) == (2, {"score": 8, "reasons[0]": "kind"})
    assert (first["custom_id"], first["is_cut"]) == ("anna", False)
    assert rows["alone"][1] is None
    assert rows["new"][0] is None
    assert [one["status"] for one in rows["gone"]] == ["failed", "completed"]


SORTED: list[tuple[str, list[str]]] = [
    ("line", EVERYBODY),
    ("-line", EVERYBODY[::-1]),
    ("custom_id", sorted(EVERYBODY)),
    ("1.score", ["ben", "alone", "anna", "carla", "dirk", "gone", "new"]),
    ("2.score", ["carla", "ben", "gone", "anna", "new", "dirk", "alone"]),
    ("-2.score", ["new", "anna", "gone", "ben", "carla", "dirk", "alone"]),
    ("2.line", ["carla", "anna", "ben", "gone", "new", "dirk", "alone"]),
    ("1.$.status", ["anna", "ben", "carla", "dirk", "alone", "gone", "new"]),
]


def test_rows_are_sorted_by_a_column_of_any_batch_and_nothing_comes_last(api: Api, ids: list[str]) -> None:
    for sort, wanted in SORTED:
        assert names(api, ids, sort=sort) == wanted, sort
        pages = [names(api, ids, sort=sort, offset=n, limit=3) for n in (0, 3, 6)]
        assert list(chain.from_iterable(pages)) == wanted, sort
        places = [table(api, ids, sort=sort, limit=1, find=name)["found"] for name in wanted]
        assert places == list(range(7)), sort


FILTERED: list[tuple[dict[str, Any], list[str]]] = [
    ({"where": "1.score:ge:7"}, ["anna", "carla"]),
    ({"where": "2.score:ge:7"}, ["anna", "new"]),
    ({"where": ["1.score:ge:7", "2.score:lt:7"]}, ["carla"]),
    ({"where": "1.verdict:eq:hire", "sort": "-2.score"}, ["anna", "carla"]),
    ({"where": "1.verdict:ne:hire"}, ["ben", "dirk", "alone", "gone", "new"]),
    ({"where": "2.score:empty"}, ["dirk", "alone"]),
    ({"where": "2.reasons[0]:contains:KI"}, ["anna"]),
    ({"where": "1.answer:contains:json"}, ["dirk"]),
    ({"where": "1.status:eq:failed"}, ["gone"]),
    ({"where": "2.status:eq:failed"}, []),
    ({"where": "1.$.status:eq:old"}, ["anna"]),
    ({"where": "custom_id:contains:A"}, ["anna", "carla", "alone"]),
    ({"custom_id": "a"}, ["anna", "alone"]),
    ({"text": "GRÖßER"}, ["dirk"]),
    ({"text": '"score": 8'}, ["anna"]),
    ({"status": "failed"}, ["gone"]),
    ({"code": ""}, []),
    ({"having": "matched"}, ["anna", "ben", "carla", "gone"]),
    ({"having": "unmatched"}, ["dirk", "alone", "new"]),
    ({"having": "1"}, ["dirk", "alone"]),
    ({"having": "2"}, ["new"]),
    ({"having": "matched", "where": "2.score:ge:4", "sort": "1.score"}, ["anna", "gone"]),
]


def test_rows_are_filtered_by_columns_of_any_batch_and_by_who_has_them(api: Api, ids: list[str]) -> None:
    for params, wanted in FILTERED:
        assert names(api, ids, **params) == wanted, params
        assert table(api, ids, limit=1, **params)["total"] == len(wanted), params


def test_four_batches_stand_side_by_side(api: Api, ids: list[str]) -> None:
    four = [*ids, batch(api, THIRD), batch(api, {"zoe": {"score": 0}})]
    assert names(api, four) == [*EVERYBODY, "third", "zoe"]
    assert names(api, four[:3], having="matched") == ["anna"]
    assert names(api, four, having="3") == ["third"]
    assert names(api, four, having="matched") == [], "no custom_id is in all of them"
    assert names(api, four, sort="4.score", limit=2) == ["zoe", "anna"]
    [row] = table(api, four, where="3.score:eq:6", columns="3.score")["data"]
    assert [one and one["values"] for one in row["answers"]] == [None, None, {"score": 6}, None]


def test_a_batch_without_answers_leaves_its_columns_empty(api: Api, ids: list[str]) -> None:
    waiting = api.accepted(2)
    page = table(api, [ids[0], waiting])
    assert page["total"] == 6
    assert [row["answers"][1] for row in page["data"]] == [None] * 6
    assert table(api, [waiting, ids[0]], sort="2.score", limit=1)["data"][0]["custom_id"] == "ben"


def test_a_row_is_found_by_how_its_custom_id_begins_among_those_that_match(api: Api, ids: list[str]) -> None:
    assert table(api, ids, find="a", limit=1)["found"] == 0
    assert table(api, ids, find="a", limit=1, sort="1.score")["found"] == 1
    assert table(api, ids, find="carla", limit=1, where="2.score:le:3")["found"] == 1
    assert table(api, ids, find="nobody")["found"] is None
    one = f"/v1/batches/{ids[0]}/answers"
    assert api.get(one, params={"find": "carla", "sort": "-score"}).json()["found"] == 0
    assert api.get(one, params={"find": "gone", "where": "score:empty"}).json()["found"] == 1
    assert api.get(one).json()["found"] is None


SENSELESS: list[dict[str, Any]] = [
    {"sort": "score"}, {"sort": "3.score"}, {"sort": "0.score"}, {"sort": "2.verdict"}, {"sort": "2."},
    {"sort": "nothing"}, {"columns": "score"}, {"columns": "2.verdict"}, {"columns": "line"},
    {"columns": "custom_id"}, {"where": "score:ge:1"}, {"where": "2.verdict:eq:hire"}, {"where": "1.score:ge:x"},
    {"where": "1.score"}, {"where": "1.score:like:1"}, {"having": "3"}, {"having": "some"}, {"offset": -1},
    {"limit": 501}, {"find": "x" * 513}, {"sort": "1.score; DROP TABLE answers"}, {"sort": "1.' OR 1 --"},
    {"status": "lost"},
]  # fmt: skip


def test_what_makes_no_sense_is_refused(api: Api, ids: list[str]) -> None:
    for params in SENSELESS:
        for path in ("answers", "export"):
            if path == "answers" or not {"offset", "limit", "find"} & set(params):
                asked = {"batch": ids, **params}
                error_of(api.get(f"/v1/compare/{path}", params=asked), 400, "invalid_value")


def test_two_to_four_different_batches_that_exist_are_joined(api: Api, ids: list[str]) -> None:
    one, two = ids
    refused = [[], [one], [one, one], [one, two, one], [one, two, *(f"batch_{n:024d}" for n in range(3))]]
    missing = [[one, "batch_" + "0" * 24], ["../../etc", one]]
    for path in ("answers", "distribution", "export"):
        for batches, status in [*((some, 400) for some in refused), *((some, 404) for some in missing)]:
            params = {"batch": batches, "column": "1.score"}
            error_of(api.get(f"/v1/compare/{path}", params=params), status)


def test_the_values_of_a_column_are_counted_over_the_joined_rows(api: Api, ids: list[str]) -> None:
    def counted(**params: Any) -> dict[str, Any]:
        answer = api.get("/v1/compare/distribution", params={"batch": ids, **params})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    words = counted(column="1.verdict", where="2.score:ge:3")
    assert words["top"] == [{"value": "hire", "count": 1}, {"value": "no", "count": 1}]
    numbers = counted(column="2.score", having="matched", bins=2)
    assert (numbers["present"], numbers["mean"]) == (4, 17 / 4)
    assert [(one["start"], one["end"], one["count"]) for one in numbers["bins"]] == [(2, 5, 3), (5, 8, 1)]
    error_of(api.get("/v1/compare/distribution", params={"batch": ids, "column": "score"}), 400)
    error_of(api.get("/v1/compare/distribution", params={"batch": ids}), 400)


def test_a_csv_says_of_each_column_whose_it_is_and_runs_nothing(api: Api) -> None:
    named = [
        batch(api, FIRST, metadata=json.dumps({"name": "=Control"})),
        batch(api, SECOND, metadata=json.dumps({"name": "Trial"})),
    ]
    params = {"batch": named, "columns": ["2.score", "1.verdict", "1.score", "1.score"], "sort": "-1.score"}
    answer = api.get("/v1/compare/export", params=params)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert (
        answer.headers["content-disposition"] == f'attachment; filename="{named[0]}_{named[1]}_answers.csv"'
    )
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["custom_id"] for row in rows] == ["carla", "anna", "alone", "ben", "dirk", "gone", "new"]
    assert [(row["'=Control: score"], row["Trial: score"]) for row in rows[:3]] == [
        ("9", "2"), ("7", "8"), ("5", ""),
    ]  # fmt: skip
    alone, new = rows[2], rows[6]
    assert alone["'=Control: verdict"] == "'=1+1"
    assert {value for name, value in alone.items() if name.startswith("Trial")} == {""}
    assert (new["'=Control: status"], new["Trial: status"]) == ("", "completed")


def test_batches_of_one_name_are_told_apart_by_their_ids(api: Api) -> None:
    same = [batch(api, said, metadata=json.dumps({"name": "Twin"})) for said in (FIRST, SECOND)]
    answer = api.get("/v1/compare/export", params={"batch": same})
    head = next(csv.reader(io.StringIO(answer.text)))
    assert [name for name in head if name.endswith(": text")] == [f"{one}: text" for one in same]


def test_json_lines_have_whole_answers_under_the_ids_of_their_batches(api: Api, ids: list[str]) -> None:
    long = batch(api, {"anna": "word " * 1000})
    params = {"batch": [ids[0], long], "format": "jsonl", "having": "matched", "columns": "1.score"}
    [line] = api.get("/v1/compare/export", params=params).text.splitlines()
    found = json.loads(line)
    assert found["custom_id"] == "anna"
    assert found["answers"][ids[0]]["values"] == {"score": 7}
    assert len(found["answers"][long]["text"]) > 4000


def test_the_joined_table_of_running_batches_grows(api: Api, ids: list[str]) -> None:
    running = api.accepted(4)
    assert table(api, [ids[1], running])["total"] == 5
    api.work(answers=2)
    assert table(api, [ids[1], running])["total"] == 7
    api.work()
    assert table(api, [ids[1], running])["total"] == 9
