"""Batches side by side, joined by custom_id."""

import json
from itertools import chain
from typing import Any

import pytest

from tests.api.errors import error_of
from tests.api.served import Api
from tests.lines import chat_line

BASELINE = {"a": (5, "hire"), "b": (3, "no"), "c": (8, "hire"), "d": (1, "no"), "only-first": (2, "no")}
OTHER = {"a": (5, "hire"), "b": (7, "hire"), "c": (6, "hire"), "d": (1, "maybe"), "only-second": (9, "hire")}
THIRD = {"a": (4, "no"), "b": (3, "no")}


def batch(api: Api, candidates: dict[str, tuple[int, str]]) -> str:
    said = {name: json.dumps({"score": score, "verdict": word}) for name, (score, word) in candidates.items()}
    return api.finished([chat_line(name, text) for name, text in said.items()])


@pytest.fixture
def ids(api: Api) -> list[str]:
    return [batch(api, candidates) for candidates in (BASELINE, OTHER, THIRD)]


def compared(api: Api, ids: list[str], **params: Any) -> dict[str, Any]:
    answer = api.get("/v1/compare", params={"batch": ids, **params})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def rows(api: Api, ids: list[str], **params: Any) -> list[str]:
    answer = api.get("/v1/compare/rows", params={"batch": ids, **params})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    if "offset" not in params and "limit" not in params:
        assert found["total"] == len(found["data"])
    return [row["custom_id"] for row in found["data"]]


def test_a_summary_says_what_matches_and_what_is_the_same(api: Api, ids: list[str]) -> None:
    found = compared(api, ids[:2])
    [side] = found["sides"]
    assert {name: side[name] for name in ("both", "only_baseline", "only_other", "same", "different")} == {
        "both": 4, "only_baseline": 1, "only_other": 1, "same": 1, "different": 3,
    }  # fmt: skip
    assert side["batch_id"] == ids[1]
    assert (found["indexed"], found["complete"]) == (6, True)
    assert [(one["path"], one["is_number"]) for one in found["fields"]] == [
        ("score", True),
        ("verdict", False),
    ]


def test_the_field_looked_at_first_is_a_verdict_else_a_number_else_the_most_frequent(api: Api) -> None:
    for texts, likely in (
        (['{"why": "x", "score": 1, "Verdict": "yes"}'], "Verdict"),
        (['{"why": "x", "score": 1}'], "score"),
        (['{"why": "x", "how": "y"}', '{"how": "y"}'], "how"),
        (["no JSON"], None),
    ):
        lines = [chat_line(str(number), text) for number, text in enumerate(texts)]
        ids = [api.finished(lines) for _ in range(2)]
        found = compared(api, ids, likely=True)
        assert (found["likely_field"], found["field"]) == (likely, likely)
        assert len(found["changes"]) == (1 if likely else 0)
        assert compared(api, ids)["field"] is None


def test_how_one_field_changed_is_told_without_the_rest(api: Api, ids: list[str]) -> None:
    for field in ("score", "verdict"):
        answer = api.get("/v1/compare/changes", params={"batch": ids, "field": field, "bins": 7})
        assert answer.json() == {
            "object": "comparison.changes",
            "field": field,
            "changes": compared(api, ids, field=field, bins=7)["changes"],
        }
    wrong = api.get("/v1/compare/changes", params={"batch": ids, "field": "nothing"})
    assert error_of(wrong, 400)["message"] == "no answer of batch 1 has a field 'nothing'"


def test_a_field_that_not_all_have_gives_way_to_the_likely_one_when_asked(api: Api, ids: list[str]) -> None:
    assert compared(api, ids[:2], field="nothing", likely=True) == compared(api, ids[:2], field="verdict")
    assert compared(api, ids[:2], field="score", likely=True)["field"] == "score"
    error_of(api.get("/v1/compare", params={"batch": ids[:2], "field": "nothing"}), 400)


def test_the_first_requests_tell_what_was_set_up_differently(api: Api, ids: list[str]) -> None:
    first, second = compared(api, ids[:2], setup=True)["first_requests"]
    assert first == api.get(f"/v1/batches/{ids[0]}/answers/1").json()["request"]
    assert second["custom_id"] == "a"
    assert compared(api, ids[:2])["first_requests"] is None


def test_a_number_has_means_and_a_histogram_of_its_changes(api: Api, ids: list[str]) -> None:
    [change] = compared(api, ids[:2], field="score", bins=3)["changes"]
    assert (change["both"], change["equal"]) == (4, 2)
    assert (change["baseline_mean"], change["other_mean"]) == (17 / 4, 19 / 4)
    assert [one["count"] for one in change["bins"]] == [1, 2, 1]
    assert (change["bins"][0]["start"], change["bins"][-1]["end"]) == (-2, 4)
    assert change["agreement"] == []


def test_a_number_that_is_an_object_in_one_answer_is_compared_where_it_is_a_number(api: Api) -> None:
    said = [
        ['{"score": 7}', '{"score": {"of": 10}}', '{"score": 1}'],
        ['{"score": 9}', '{"score": 8}', '{"score": ["a"]}'],
    ]
    ids = [api.finished([chat_line(f"c-{n}", text) for n, text in enumerate(texts)]) for texts in said]
    for path, params in (("compare", {"likely": True}), ("compare/changes", {"field": "score"})):
        answer = api.get(f"/v1/{path}", params={"batch": ids, **params})
        assert answer.status_code == 200, answer.text
        [change] = answer.json()["changes"]
        assert (change["both"], change["baseline_mean"], change["other_mean"]) == (1, 7, 9)
        assert sum(one["count"] for one in change["bins"]) == 1
    for sort in ("change", "-change"):
        assert rows(api, ids, field="score", sort=sort) == ["c-0", "c-1", "c-2"]
    assert rows(api, ids, field="score", only="flipped") == ["c-0", "c-1", "c-2"]


def test_a_null_is_no_answer_that_is_not_a_number(api: Api) -> None:
    texts = ['{"score": 7}', '{"score": null}']
    ids = [api.finished([chat_line(f"c-{n}", text) for n, text in enumerate(texts)]) for _ in range(2)]
    [change] = compared(api, ids, field="score")["changes"]
    assert (change["both"], change["baseline_mean"]) == (1, 7)


def test_numbers_too_far_apart_to_subtract_are_no_error(api: Api) -> None:
    least, most = (batch(api, {"a": (score, "no"), "b": (-score, "no")}) for score in (-(10**308), 10**308))
    for call, params in (
        ("compare", {"batch": [least, most], "field": "score"}),
        ("compare/changes", {"batch": [least, most], "field": "score"}),
        ("compare/rows", {"batch": [least, most], "field": "score", "sort": "change"}),
        (f"batches/{most}/distribution", {"column": "score"}),
    ):
        assert api.get(f"/v1/{call}", params=params).status_code == 200, call


def test_a_word_has_a_table_of_agreement(api: Api, ids: list[str]) -> None:
    [change] = compared(api, ids[:2], field="verdict")["changes"]
    agreement = {(one["baseline"], one["other"]): one["count"] for one in change["agreement"]}
    assert agreement == {("hire", "hire"): 2, ("no", "hire"): 1, ("no", "maybe"): 1}
    assert (change["both"], change["equal"], change["bins"]) == (4, 2, [])


@pytest.mark.parametrize(
    ("only", "wanted"),
    [
        ("all", ["a", "b", "c", "d", "only-first", "only-second"]),
        ("same", ["a"]),
        ("different", ["b", "c", "d"]),
        ("unmatched", ["only-first", "only-second"]),
        ("flipped", ["b", "d"]),
    ],
)
def test_rows_are_those_that_were_asked_for(api: Api, ids: list[str], only: str, wanted: list[str]) -> None:
    assert rows(api, ids[:2], only=only, field="verdict") == wanted
    pages = [rows(api, ids[:2], only=only, field="verdict", offset=n, limit=2) for n in (0, 2, 4)]
    assert list(chain.from_iterable(pages)) == wanted


def test_rows_are_sorted_by_how_the_field_changed(api: Api, ids: list[str]) -> None:
    assert rows(api, ids[:2], field="score", sort="-change")[:4] == ["b", "a", "d", "c"]
    assert rows(api, ids[:2], field="score", sort="change")[:4] == ["c", "a", "d", "b"]


def test_three_batches_stand_side_by_side(api: Api, ids: list[str]) -> None:
    found = compared(api, ids, field="score")
    assert [(side["batch_id"], side["both"]) for side in found["sides"]] == [(ids[1], 4), (ids[2], 2)]
    assert [change["other_mean"] for change in found["changes"]] == [19 / 4, 3.5]
    assert rows(api, ids, only="different") == ["a", "b"]
    assert rows(api, ids, only="unmatched") == ["c", "d", "only-first", "only-second"]
    page = api.get("/v1/compare/rows", params={"batch": ids, "field": "score"}).json()["data"]
    last = next(row for row in page if row["custom_id"] == "only-second")["answers"]
    assert [answer and answer["value"] for answer in last] == [None, 9, None]
    assert json.loads(last[1]["text"])["verdict"] == "hire"


@pytest.mark.parametrize(
    ("count", "params"),
    [
        (1, {}),
        (2, {"field": "nothing"}),
        (2, {"only": "flipped"}),
        (2, {"sort": "change"}),
        (2, {"only": "none"}),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(api: Api, ids: list[str], count: int, params: dict[str, Any]) -> None:
    error_of(api.get("/v1/compare/rows", params={"batch": ids[:count], **params}), 400, "invalid_value")


def test_a_batch_is_not_compared_with_itself_nor_with_an_unknown_one(api: Api, ids: list[str]) -> None:
    error_of(api.get("/v1/compare", params={"batch": ids[:1] * 2}), 400)
    error_of(api.get("/v1/compare", params={"batch": [ids[0], "batch_" + "0" * 24]}), 404)
    error_of(api.get("/v1/compare", params={"batch": [*ids, *ids]}), 400)
