"""Several batches in one table, joined by custom_id: each a group of columns, to sort and filter by any of them."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.hostile import HOSTILE
from tests.lines import chat_line, jsonl
from tests.processes.system import System

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
Open = Callable[[str], Page]
NOBODY = "batch_" + "0" * 24


def _batch(system: System, name: str, said: dict[str, Any]) -> str:
    lines = [chat_line(custom_id, json.dumps(answer)) for custom_id, answer in said.items()]
    found = system.submit(jsonl(lines), metadata=json.dumps({"name": name}))
    system.wait_for_end(found)
    return found


@pytest.fixture(scope="module")
def ids(shared: System) -> list[str]:
    """Control, trial (the first sixty of control's are missing, sixty are new), one of others, one by an enemy."""
    said = {n: {"score": n * 37 % 101, "verdict": ("hold", "hire")[n % 2]} for n in range(260)}
    control = {f"c-{n:03d}": said[n] for n in range(200)}
    trial = {f"c-{n:03d}": {"score": said[n]["score"] // 2, "why": f"because {n}"} for n in range(60, 260)}
    strange = {f"x-{n}": {"score": n} for n in range(5)}
    hostile = {f"c-{n:03d}": {text[:40]: text} for n, text in enumerate(HOSTILE)}
    return [
        _batch(shared, "Control", control), _batch(shared, "Trial", trial), _batch(shared, "Strange", strange),
        _batch(shared, HOSTILE[0], hostile),
    ]  # fmt: skip


def _address(ids: list[str], more: str = "") -> str:
    return "/table_view.html?" + "&".join(f"batch={one}" for one in ids) + more


def _open(open_page: Open, ids: list[str], more: str = "") -> Page:
    page = open_page(_address(ids, more))
    expect(page.locator("#rows a").first).to_be_visible()
    return page


def _groups(page: Page) -> list[tuple[str, int]]:
    heads = page.locator("#groups th").evaluate_all("(all) => all.map((one) => [one.innerText, one.colSpan])")
    return [(text, span) for text, span in heads]


def _cells(page: Page, row: int = 0) -> list[str]:
    found: list[str] = page.locator("#rows tr").nth(row).locator("th, td").all_inner_texts()
    return found


def test_a_batch_is_added_beside_another_and_taken_away_again(
    shared: System, open_page: Open, ids: list[str]
) -> None:
    page = _open(open_page, ids[:1], "&column=score&sort=-score")
    assert page.locator("#groups").is_hidden()
    page.get_by_role("button", name="Add a batch").click()
    page.get_by_role("combobox", name="Batch B").select_option(ids[1])
    expect(page.locator("#count")).to_have_text("260 rows")
    expect(page.locator("#matched")).to_have_text("140 in both")
    assert [(name.splitlines()[:2], span) for name, span in _groups(page)] == [
        (["A", "Control"], 1), (["B", "Trial"], 1),
    ]  # fmt: skip
    assert page.locator("#head .word").all_inner_texts() == ["custom_id", "score", "score"]
    told = [_cells(page, row)[1:] for row in (0, 1)]
    assert told == [["100", ""], ["100", "50"]], "the order and the columns went along"
    address = page.url
    page.reload()
    expect(page.locator("#matched")).to_have_text("140 in both")
    assert page.url == address
    page.get_by_role("button", name="Remove batch A").click()
    expect(page.locator("#count")).to_have_text("200 answers")
    expect(page.locator("#groups")).to_be_hidden()
    page.go_back()
    expect(page.locator("#count")).to_have_text("260 rows")
    page.go_back()
    expect(page.locator("#count")).to_have_text("200 answers")
    assert page.locator("#head .word").all_inner_texts() == ["custom_id", "score"]


def test_rows_are_sorted_and_filtered_by_columns_of_any_batch_and_the_file_has_them(
    shared: System, open_page: Open, ids: list[str]
) -> None:
    page = _open(open_page, ids[:2])
    head = page.locator("#head th").filter(has_text="score").nth(1)
    sort = head.get_by_role("button", name="score", exact=True)
    sort.click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    sort.click()
    expect(page.locator("#rows tr").first).to_contain_text("50")
    page.get_by_role("button", name="Column verdict of A").click()
    page.get_by_role("dialog", name="Column verdict of A").get_by_role("button", name="hire").click()
    expect(page.get_by_role("button", name="Remove the filter: verdict of A is hire")).to_be_visible()
    page.get_by_role("combobox", name="In", exact=True).select_option("both")
    wanted = [n for n in range(60, 200) if n % 2]
    expect(page.locator("#count")).to_have_text(f"{len(wanted)} of 260 rows")
    wanted.sort(key=lambda n: (-(n * 37 % 101 // 2), n))
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    rows = list(csv.DictReader(download.value.path().read_text().splitlines()))
    assert [row["custom_id"] for row in rows] == [f"c-{n:03d}" for n in wanted]
    assert {row["Control: verdict"] for row in rows} == {"hire"}
    assert rows[0]["Trial: score"] == str(wanted[0] * 37 % 101 // 2)
    page.get_by_label("What to go to").select_option("custom_id")
    page.get_by_label("Go to", exact=True).fill(f"c-{wanted[40]:03d}")
    page.keyboard.press("Enter")
    expect(page.locator("#rows .found")).to_have_attribute("aria-rowindex", str(40 + 3))


def test_columns_are_picked_for_one_batch_or_for_all_and_stay_in_their_group(
    shared: System, open_page: Open, ids: list[str]
) -> None:
    page = _open(open_page, ids[:2], "&column=1.score&column=2.score")
    page.get_by_role("button", name="Columns").click()
    chooser = page.get_by_role("dialog", name="Columns")
    chooser.get_by_role("button", name="Seconds").click()
    chooser.get_by_role("checkbox", name="why of B").check()
    chooser.get_by_role("checkbox", name="score of A").uncheck()
    page.keyboard.press("Escape")
    assert [span for _, span in _groups(page)] == [1, 3]
    heads = page.locator("#head .word")
    assert heads.all_inner_texts() == ["custom_id", "Seconds", "score", "Seconds", "why"]
    page.get_by_role("button", name="Column why of B").click()
    page.get_by_role("dialog", name="Column why of B").get_by_role("button", name="Left").click()
    assert heads.all_inner_texts() == ["custom_id", "Seconds", "score", "why", "Seconds"]
    page.get_by_role("button", name="Column score of B").click()
    page.get_by_role("dialog", name="Column score of B").get_by_role("button", name="Left").click()
    assert heads.all_inner_texts() == ["custom_id", "Seconds", "score", "why", "Seconds"], "not among A's"
    edge = page.get_by_role("separator", name="Width of why of B")
    before = int(edge.get_attribute("aria-valuenow") or 0)
    edge.focus()
    page.keyboard.press("ArrowRight")
    expect(edge).to_have_attribute("aria-valuenow", str(before + 16))


def test_a_cell_leads_to_the_answer_of_its_batch(shared: System, open_page: Open, ids: list[str]) -> None:
    page = _open(open_page, ids[:2], "&column=1.score&column=2.score&sort=2.line")
    expect(page.locator("#rows tr").first).to_contain_text("c-060")
    page.locator("#rows tr").first.locator("td").nth(1).click()
    expect(page).to_have_url(re.compile(f"index.html.batch={ids[1]}&line=1$"))
    page.go_back()
    page.locator("#rows tr").first.locator("td").nth(0).click()
    expect(page).to_have_url(re.compile(f"index.html.batch={ids[0]}&line=61$"))


def test_batches_that_do_not_fit_together_are_said_to(
    shared: System, open_page: Open, ids: list[str]
) -> None:
    page = _open(open_page, [ids[0], ids[2]])
    expect(page.locator("#notices")).to_contain_text("No custom_id is in all of these batches")
    expect(page.locator("#matched")).to_have_text("0 in both")
    page.watch.allow("status of 404")  # type: ignore[attr-defined]
    page.goto(_address([ids[0], NOBODY]))
    expect(page.locator("#notices")).to_contain_text(f"No batch found with id '{NOBODY}'")
    page.get_by_role("button", name="Remove batch B").click()
    expect(page.locator("#count")).to_have_text("200 answers")
    expect(page.locator("#notices > .bad")).to_be_hidden()


def test_four_batches_fit_a_narrow_screen_and_an_enemys_words_stay_text(
    shared: System, open_page: Open, ids: list[str]
) -> None:
    page = _open(open_page, ids)
    expect(page.locator("#groups")).to_contain_text(HOSTILE[0])
    expect(page.get_by_role("button", name="Add a batch")).to_be_hidden()
    assert page.evaluate("document.querySelectorAll('*').length") <= 1500
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("main :is(img, iframe, script, object, [onerror], [onload])").count() == 0
    assert page.locator("[style]").count() == 0


@pytest.fixture(params=["light", "dark"])
def bare_page(request: pytest.FixtureRequest, browser: Browser, shared: System) -> Iterator[Page]:
    """axe itself writes markup, which the pages' policy forbids."""
    context = browser.new_context(
        base_url=shared.web_url, color_scheme=request.param, bypass_csp=True, reduced_motion="reduce"
    )
    yield context.new_page()
    context.close()


def test_groups_their_columns_and_what_is_wrong_are_accessible(bare_page: Page, ids: list[str]) -> None:
    for state, batches in (
        ("groups", ids[:3]),
        ("columns", ids[:2]),
        ("strange", ids[::2]),
        ("lost", [ids[0], NOBODY]),
    ):
        bare_page.goto(_address(batches, "&where=1.score:ge:0" if state == "groups" else ""))
        bare_page.wait_for_load_state("networkidle")
        if state == "columns":
            bare_page.get_by_role("button", name="Columns").click()
            expect(bare_page.get_by_role("checkbox", name="why of B")).to_be_visible()
        found = Axe().run(bare_page)
        assert found.violations_count == 0, f"{state}: {found.generate_report()}"
