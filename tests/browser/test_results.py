"""The pages that look back: one batch and its requests, its answers as a table, two batches side by side."""

import csv
import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.lines import chat_line, jsonl
from tests.processes.system import System

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]
Open = Callable[[str], Page]


def _answer(number: int, verdict: str) -> str:
    return json.dumps({"score": number % 10, "verdict": verdict, "note": "=1+1" if number == 3 else "fine"})


@pytest.fixture(scope="module")
def ids(shared: System) -> tuple[str, str]:
    """Two batches of 120 and 100 requests; every third verdict differs, and two requests of the first fail."""
    first = [chat_line(f"c-{i:03d}", _answer(i, "advance")) for i in range(118)]
    first += [chat_line(f"bad-{i}", "[[fail 400]]") for i in range(2)]
    second = [chat_line(f"c-{i:03d}", _answer(i, "reject" if i % 3 == 0 else "advance")) for i in range(100)]
    found = [
        shared.submit(jsonl(lines), metadata=json.dumps({"name": name}))
        for name, lines in (("First", first), ("Second", second))
    ]
    for batch_id in found:
        shared.wait_for_end(batch_id)
    return found[0], found[1]


def test_requests_are_paged_filtered_and_searched(
    shared: System, open_page: Open, ids: tuple[str, str]
) -> None:
    page = open_page(f"/index.html?batch={ids[0]}")
    rows = page.locator("#requests tbody tr")
    expect(rows).to_have_count(50)
    expect(page.locator("#error-groups")).to_contain_text("first on line 119")
    page.get_by_role("button", name="Next").click()
    expect(rows.first).to_contain_text("c-050")
    page.get_by_label("custom_id begins with").fill("c-11")
    expect(rows).to_have_count(8)
    expect(page.locator("#requests-count")).to_have_text("8 requests match")
    page.reload()
    expect(rows).to_have_count(8)
    page.get_by_label("custom_id begins with").fill("")
    page.get_by_label("Status").select_option("failed")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("bad-0")
    page.get_by_label("custom_id begins with").fill("nobody")
    expect(page.get_by_role("heading", name="No request matches")).to_be_visible()


def test_the_list_leads_to_a_batch(shared: System, open_page: Open, ids: tuple[str, str]) -> None:
    page = open_page("/index.html")
    page.get_by_role("link", name="First", exact=True).click()
    expect(page.get_by_role("heading", level=1, name="First")).to_be_visible()
    expect(page.locator("#details")).to_contain_text("118 of 120")
    page.get_by_role("link", name="As a table").click()
    expect(page.locator("#count")).to_have_text("118 answers")


def test_an_unknown_batch_is_said_to_be_unknown(shared: System, open_page: Open) -> None:
    page = open_page("/index.html?batch=batch_000000000000000000000000")
    page.watch.allow("status of 404")  # type: ignore[attr-defined]
    expect(page.locator("#notices")).to_contain_text("No batch found")


def test_fields_of_the_answers_are_columns_to_sort_hide_and_export(
    shared: System, open_page: Open, ids: tuple[str, str]
) -> None:
    page = open_page(f"/table_view.html?batch={ids[0]}")
    heads = page.locator("#head th")
    expect(heads).to_contain_text(["custom_id", "score", "verdict", "note", "Answer", "Tokens out", "Finish"])
    page.get_by_role("button", name="score").click()
    page.get_by_role("button", name="score").click()
    expect(heads.nth(1)).to_have_attribute("aria-sort", "descending")
    expect(page.locator("#rows tr").first).to_contain_text("c-009")
    page.get_by_label("Contains").fill("c-003")
    expect(page.locator("#rows tr")).to_have_count(1)
    page.get_by_text("Columns", exact=True).click()
    page.get_by_label("verdict").uncheck()
    expect(heads).to_have_count(6)
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV of these rows").click()
    rows = list(csv.DictReader(download.value.path().read_text("utf-8-sig").splitlines()))
    assert [(row["custom_id"], row["note"]) for row in rows] == [("c-003", "'=1+1")]
    assert "verdict" not in rows[0]


def test_two_batches_are_joined_and_their_differences_marked(
    shared: System, open_page: Open, ids: tuple[str, str]
) -> None:
    page = open_page(f"/compare_results.html?a={ids[0]}&b={ids[1]}")
    expect(page.locator("#matched")).to_have_text("100")
    expect(page.locator("#only-a")).to_have_text("18")
    expect(page.get_by_role("tab", name="Different")).to_contain_text("34")
    row = page.locator("#rows tr").first
    expect(row.locator("del")).to_have_text("advance")
    expect(row.locator("ins")).to_have_text("reject")
    page.get_by_role("tab", name="Only in one").click()
    expect(page.locator("#rows tr").first).to_contain_text("no answer")
    page.get_by_role("button", name="Swap the two").click()
    expect(page.locator("#only-b")).to_have_text("18")
