"""Many answers as a table: filtered, sorted, paged, counted and exported by the server."""

import csv
import io
import json
from itertools import chain
from typing import Any

import pytest

from batch_app.answer_index import index
from tests.api.errors import error_of
from tests.api.served import Api
from tests.lines import chat_line

CANDIDATES: list[tuple[str, Any]] = [
    ("anna", {"score": 7, "verdict": "hire", "reasons": ["solid", "kind"], "sure": True}),
    ("ben", {"score": 3.5, "verdict": "no hire", "reasons": [], "sure": False}),
    ("carla", '```json\n{"score": 10, "verdict": "hire"}\n```'),
    ("dirk", "no JSON at all, größer"),
    ("evil", {"score": 1, "verdict": "=1+1", "it's": "o'clock"}),
    ("gone", "[[fail 400]]"),
]
LINES = [chat_line(name, said if isinstance(said, str) else json.dumps(said)) for name, said in CANDIDATES]


@pytest.fixture
def batch_id(api: Api) -> str:
    return api.finished(LINES)


def table(api: Api, batch_id: str, **params: Any) -> dict[str, Any]:
    answer = api.get(f"/v1/batches/{batch_id}/answers", params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def names(api: Api, batch_id: str, **params: Any) -> list[str]:
    return [row["custom_id"] for row in table(api, batch_id, **params)["data"]]


def test_every_answered_line_is_a_row_with_its_words_and_facts(api: Api, batch_id: str) -> None:
    page = table(api, batch_id, columns=["score", "reasons[0]", "sure"])
    assert (page["total"], page["indexed"], page["complete"]) == (6, 6, True)
    rows = {row["custom_id"]: row for row in page["data"]}
    assert list(rows) == [name for name, _said in CANDIDATES]
    assert rows["anna"]["values"] == {"score": 7, "reasons[0]": "solid", "sure": True}
    assert rows["dirk"]["values"] == {"score": None, "reasons[0]": None, "sure": None}
    assert rows["dirk"]["text"] == "no JSON at all, größer"
    assert (rows["gone"]["status"], rows["gone"]["status_code"]) == ("failed", 400)
    assert rows["anna"]["output_tokens"] > 0
    assert rows["anna"]["seconds"] >= 0


@pytest.mark.parametrize(
    ("sort", "first"),
    [
        ("score", ["evil", "ben", "anna", "carla", "dirk", "gone"]),
        ("-score", ["carla", "anna", "ben", "evil", "dirk", "gone"]),
        ("-custom_id", ["gone", "evil", "dirk"]),
        ("-line", ["gone", "evil", "dirk"]),
        ("verdict", ["evil", "anna", "carla", "ben"]),
        ("it's", ["evil"]),
    ],
)
def test_rows_are_sorted_by_any_column_and_nothing_comes_last(
    api: Api, batch_id: str, sort: str, first: list[str]
) -> None:
    assert names(api, batch_id, sort=sort)[: len(first)] == first


@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        ({"where": "score:ge:7"}, ["anna", "carla"]),
        ({"where": ["score:ge:7", "score:lt:10"]}, ["anna"]),
        ({"where": "verdict:eq:hire"}, ["anna", "carla"]),
        ({"where": "verdict:ne:hire"}, ["ben", "dirk", "evil", "gone"]),
        ({"where": "sure:eq:true"}, ["anna"]),
        ({"where": "sure:eq:false"}, ["ben"]),
        ({"where": "score:empty"}, ["dirk", "gone"]),
        ({"where": "score:present"}, ["anna", "ben", "carla", "evil"]),
        ({"where": "verdict:contains:HIRE"}, ["anna", "ben", "carla"]),
        ({"where": "it's:contains:clock"}, ["evil"]),
        ({"where": "answer:contains:100%"}, []),
        ({"where": "status_code:eq:400"}, ["gone"]),
        ({"text": "GRÖSSER"}, []),
        ({"text": "GRÖßER"}, ["dirk"]),
        ({"text": "no json"}, ["dirk"]),
        ({"custom_id": "c"}, ["carla"]),
        ({"status": "failed"}, ["gone"]),
        ({"text": "hire", "where": "score:lt:5"}, ["ben"]),
    ],
    ids=str,
)
def test_rows_are_filtered_by_any_column(
    api: Api, batch_id: str, params: dict[str, Any], wanted: list[str]
) -> None:
    assert names(api, batch_id, **params) == wanted
    assert table(api, batch_id, limit=1, **params)["total"] == len(wanted)


def test_fields_named_like_columns_and_of_mixed_kinds_can_be_asked_for(api: Api) -> None:
    said = [
        {"status": "open", "grade": 7},
        {"status": "completed", "grade": "7"},
        {"status": "x", "grade": "A"},
    ]
    batch_id = api.finished([chat_line(f"c-{n}", json.dumps(one)) for n, one in enumerate(said)])
    assert names(api, batch_id, where="$.status:eq:open") == ["c-0"]
    assert names(api, batch_id, sort="$.status") == ["c-1", "c-0", "c-2"]
    assert names(api, batch_id, where="status:eq:completed") == ["c-0", "c-1", "c-2"]
    assert names(api, batch_id, where="grade:eq:7") == ["c-0", "c-1"]
    assert names(api, batch_id, where="grade:ne:7") == ["c-2"]


@pytest.mark.parametrize("neither", [None, "N/A", {"of": 10}], ids=str)
def test_numbers_are_compared_with_numbers_though_one_answer_has_none(api: Api, neither: Any) -> None:
    said = [{"score": 9}, {"score": 3}, {"score": neither}]
    batch_id = api.finished([chat_line(f"c-{n}", json.dumps(one)) for n, one in enumerate(said)])
    for where, wanted in (
        ("score:ge:7", ["c-0"]),
        ("score:gt:3", ["c-0"]),
        ("score:lt:7", ["c-1"]),
        ("score:le:9", ["c-0", "c-1"]),
        ("score:eq:3", ["c-1"]),
    ):
        assert names(api, batch_id, where=where) == wanted, where
    [field] = [
        one for one in api.get(f"/v1/batches/{batch_id}/fields").json()["data"] if one["path"] == "score"
    ]
    assert field["is_number"] is (neither != "N/A")


def test_words_are_compared_with_words(api: Api) -> None:
    said = [
        {"on": "2025-10-29", "grade": "B"},
        {"on": "2024-01-31", "grade": "A"},
        {"grade": 1},
        {"on": None},
    ]
    batch_id = api.finished([chat_line(f"c-{n}", json.dumps(one)) for n, one in enumerate(said)])
    assert names(api, batch_id, where="on:ge:2025") == ["c-0"]
    assert names(api, batch_id, where="on:lt:2025") == ["c-1"]
    assert names(api, batch_id, where="grade:lt:B") == ["c-1"]


@pytest.mark.parametrize("nested", ["object", "list"])
def test_json_that_is_nested_too_deeply_counts_as_words(api: Api, nested: str) -> None:
    opened, closed = ('{"a":', "}") if nested == "object" else ("[", "]")
    lines = [
        chat_line("deep", opened * 300 + "1" + closed * 300),
        chat_line("less deep", opened * 253 + "1" + closed * 253),
        chat_line("nested", opened * 200 + "1" + closed * 200),
        chat_line("good", '{"a": 7}'),
    ]
    ids = [api.finished(lines) for _ in range(2)]
    rows = table(api, ids[0], columns="a")["data"]
    assert [row["custom_id"] for row in rows] == ["deep", "less deep", "nested", "good"]
    assert [row["values"]["a"] for row in rows if row["custom_id"] != "nested"] == [None, None, 7]
    assert (rows[2]["values"]["a"] is None) is (nested == "list")
    export = api.get(f"/v1/batches/{ids[0]}/export", params={"columns": "a", "format": "jsonl"})
    assert len(export.content.splitlines()) == 4
    for call in ("compare", "compare/changes", "compare/rows"):
        answer = api.get(f"/v1/{call}", params={"batch": ids, "field": "a"})
        assert answer.status_code == 200, answer.text


def test_a_condition_may_be_long_but_not_longer_than_a_pattern(api: Api, batch_id: str) -> None:
    assert names(api, batch_id, where=f"answer:contains:{'%' * 9_900}") == []
    answer = api.get(f"/v1/batches/{batch_id}/answers", params={"where": f"answer:contains:{'x' * 50_001}"})
    assert error_of(answer, 400, "invalid_value")["param"] == "where.0"


def test_pages_add_up(api: Api, batch_id: str) -> None:
    pages = [names(api, batch_id, sort="score", offset=n, limit=2) for n in (0, 2, 4, 6)]
    assert list(chain.from_iterable(pages)) == names(api, batch_id, sort="score")


@pytest.mark.parametrize(
    "params",
    [
        {"sort": "nothing"}, {"columns": "nothing"}, {"where": "nothing:eq:1"}, {"where": "score:eq:x"},
        {"where": "score"}, {"where": "score:like:1"}, {"offset": -1}, {"limit": 501},
        {"sort": "1; DROP TABLE answers"}, {"sort": "' OR 1 --"},
    ],
    ids=str,
)  # fmt: skip
def test_what_makes_no_sense_is_refused(api: Api, batch_id: str, params: dict[str, Any]) -> None:
    error_of(api.get(f"/v1/batches/{batch_id}/answers", params=params), 400, "invalid_value")


def test_the_fields_of_the_answers_are_listed_the_most_frequent_first(api: Api, batch_id: str) -> None:
    found = api.get(f"/v1/batches/{batch_id}/fields").json()
    fields = {one["path"]: (one["answers"], one["is_number"]) for one in found["data"]}
    assert list(fields)[:2] == ["score", "verdict"]
    assert (fields["score"], fields["verdict"]) == ((4, True), (4, False))
    assert fields["reasons[0]"] == (1, False)
    assert fields["it's"] == (1, False)


def test_a_column_of_numbers_has_a_histogram(api: Api, batch_id: str) -> None:
    path = f"/v1/batches/{batch_id}/distribution"
    found = api.get(path, params={"column": "score", "bins": 3}).json()
    assert (found["present"], found["distinct"], found["mean"]) == (4, 4, pytest.approx(21.5 / 4))
    assert [(one["start"], one["end"], one["count"]) for one in found["bins"]] == [
        (1, 4, 2),
        (4, 7, 0),
        (7, 10, 2),
    ]
    of_hires = api.get(path, params={"column": "score", "where": "verdict:eq:hire", "bins": 3}).json()
    assert sum(one["count"] for one in of_hires["bins"]) == 2


def test_a_column_of_words_has_its_most_frequent_values(api: Api, batch_id: str) -> None:
    found = api.get(f"/v1/batches/{batch_id}/distribution", params={"column": "verdict"}).json()
    assert found["top"][0] == {"value": "hire", "count": 2}
    assert (found["present"], found["distinct"], found["bins"]) == (4, 3, [])


def test_of_several_columns_each_is_counted_without_the_filters_on_itself(api: Api, batch_id: str) -> None:
    path = f"/v1/batches/{batch_id}"
    asked = {"where": ["verdict:eq:hire", "score:ge:8"], "status": "completed", "bins": 3}
    columns = ["status", "verdict", "score"]
    found = api.get(f"{path}/distributions", params={**asked, "column": columns}).json()
    assert [one["column"] for one in found["data"]] == columns
    others = (
        {"where": ["verdict:eq:hire", "score:ge:8"]},
        {"where": ["score:ge:8"], "status": "completed"},
        {"where": ["verdict:eq:hire"], "status": "completed"},
    )
    for one, other in zip(found["data"], others, strict=True):
        params = {**other, "column": one["column"], "bins": 3}
        assert one == api.get(f"{path}/distribution", params=params).json()
    assert found["data"][2]["present"] == 2
    error_of(api.get(f"{path}/distributions", params={"column": ["score", "nothing"]}), 400)
    error_of(api.get(f"{path}/distributions"), 400)


def test_a_csv_has_exactly_the_rows_that_match_and_runs_nothing(api: Api, batch_id: str) -> None:
    params = {"where": "score:lt:8", "columns": ["score", "verdict", "reasons[0]"], "sort": "-score"}
    answer = api.get(f"/v1/batches/{batch_id}/export", params=params)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert f"{batch_id}_answers.csv" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["custom_id"], row["score"]) for row in rows] == [
        ("anna", "7"),
        ("ben", "3.5"),
        ("evil", "1"),
    ]
    assert rows[2]["verdict"] == "'=1+1"
    assert rows[0]["reasons[0]"] == "solid"


def test_json_lines_have_whole_texts(api: Api) -> None:
    batch_id = api.finished([chat_line("long", "word " * 1000)])
    [row] = table(api, batch_id)["data"]
    assert (row["is_cut"], len(row["text"])) == (True, 600)
    answer = api.get(f"/v1/batches/{batch_id}/export", params={"format": "jsonl"})
    assert len(json.loads(answer.text)["text"]) > 4000
    error_of(api.get(f"/v1/batches/{batch_id}/export", params={"sort": "nothing"}), 400)


def test_one_answer_comes_with_its_prompt_and_its_neighbours(api: Api, batch_id: str) -> None:
    found = api.get(f"/v1/batches/{batch_id}/answers/2").json()
    assert (found["custom_id"], found["previous"], found["next"]) == ("ben", 1, 3)
    assert found["request"]["body"]["messages"][0]["content"] == LINES[1]["body"]["messages"][0]["content"]
    assert found["response"]["custom_id"] == "ben"
    assert json.loads(found["text"])["score"] == 3.5
    error_of(api.get(f"/v1/batches/{batch_id}/answers/7"), 404)
    error_of(api.get(f"/v1/batches/{batch_id}/answers/0"), 400)


def test_a_request_that_is_nested_too_deeply_beside_its_body_is_not_shown(api: Api) -> None:
    deep = json.loads('{"a":' * 300 + "1" + "}" * 300)
    ids = [api.finished([{**chat_line("a"), "comment": deep}]) for _ in range(2)]
    found = api.get(f"/v1/batches/{ids[0]}/answers/1").json()
    assert (found["custom_id"], found["request"], found["text"]) == ("a", None, "Evaluate this candidate")
    answer = api.get("/v1/compare", params={"batch": ids, "setup": True})
    assert answer.json()["first_requests"] == [None, None]


def test_a_line_without_an_answer_yet_shows_its_prompt(api: Api) -> None:
    batch_id = api.accepted(2)
    found = api.get(f"/v1/batches/{batch_id}/answers/1").json()
    assert (found["status"], found["response"], found["text"], found["previous"]) == (
        "pending",
        None,
        None,
        None,
    )
    assert found["request"]["custom_id"] == "candidate-0"


def test_the_table_of_a_running_batch_grows(api: Api) -> None:
    batch_id = api.accepted(9)
    for answered in (2, 4, 6):
        api.work(answers=2)
        assert table(api, batch_id)["total"] == answered
    api.work()
    assert names(api, batch_id) == [f"candidate-{n}" for n in range(9)]


def test_an_index_that_is_damaged_or_lost_is_made_again(api: Api, batch_id: str) -> None:
    before = names(api, batch_id)
    [path] = (api.settings.data_dir / "index").glob("*.db")
    path.write_bytes(b"not a database" * 1000)
    assert names(api, batch_id) == before
    path.unlink()
    assert names(api, batch_id) == before


@pytest.mark.parametrize("answered", [3, len(LINES)])
@pytest.mark.parametrize("page", range(1, 8))
def test_an_index_with_one_bad_page_is_made_again(api: Api, page: int, answered: int) -> None:
    batch_id = api.accepted(LINES)
    api.work(answers=answered)
    names(api, batch_id)
    [path] = (api.settings.data_dir / "index").glob("*.db")
    with path.open("r+b") as broken:
        broken.seek((page - 1) * 4096)
        broken.write(b"\xff" * 4096)
    api.work()
    calls = ["answers?sort=-score", "fields", "distribution?column=verdict", "answers"]
    answers = [api.get(f"/v1/batches/{batch_id}/{call}") for call in calls]
    refused = [answer for answer in answers if answer.status_code != 200]
    for refusal in refused:  # met while something was read: the next call makes it again
        error_of(refusal, 503, "not_indexed_yet")
    assert len(refused) <= 1
    assert names(api, batch_id) == [name for name, _said in CANDIDATES]


def test_with_its_answers_the_index_goes_too(api: Api, batch_id: str) -> None:
    names(api, batch_id)
    assert api.delete(f"/v1/files/{api.batch(batch_id)['output_file_id']}").status_code == 200
    assert list((api.settings.data_dir / "index").glob("*.db")) == []
    page = table(api, batch_id)
    assert [row["text"] for row in page["data"] if row["status"] == "completed"] == [""] * 5
    assert api.get(f"/v1/batches/{batch_id}/answers/1").json()["response"] is None


@pytest.mark.parametrize("gone", ["input", "output", "error"])
def test_what_is_in_a_file_whose_bytes_are_gone_is_null_and_the_rest_is_told(
    api: Api, batch_id: str, gone: str
) -> None:
    other = api.finished(LINES)
    message = api.get(f"/v1/batches/{batch_id}/errors").json()["data"][0]["sample"]["message"]
    (api.settings.files_dir / f"{api.batch(batch_id)[f'{gone}_file_id']}.jsonl").unlink()

    good, bad = (api.get(f"/v1/batches/{batch_id}/answers/{line}").json() for line in (1, 6))
    assert [row["request"] is None for row in (good, bad)] == [gone == "input"] * 2
    assert (good["response"] is None, bad["response"] is None) == (gone == "output", gone == "error")
    rows = {row["custom_id"]: row["text"] for row in table(api, batch_id)["data"]}
    assert (rows["dirk"] == "", rows["gone"] == "") == (gone == "output", gone == "error")
    for text, of in (("größer", "output"), (message, "error")):
        found = api.get(f"/v1/batches/{batch_id}/requests", params={"text": text}).json()["data"]
        assert bool(found) is (gone != of)
    compared = api.get("/v1/compare", params={"batch": [batch_id, other], "setup": True})
    assert [first is None for first in compared.json()["first_requests"]] == [gone == "input", False]


def test_answers_with_names_of_their_own_each_do_not_make_a_column_each(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "MAX_FIELDS", 10)
    batch_id = api.finished([chat_line(f"c-{n}", json.dumps({f"key-{n}": 1, "score": n})) for n in range(30)])
    fields = api.get(f"/v1/batches/{batch_id}/fields").json()["data"]
    assert len(fields) == 10
    assert fields[0] == {"path": "score", "answers": 30, "is_number": True}
