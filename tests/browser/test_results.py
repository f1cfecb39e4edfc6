"""The page that looks back: the list of batches, one batch and its requests, one request in its drawer."""

import csv
import json
import re
from collections.abc import Callable
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import let_them_come, start_with_second_attempts_far_off
from tests.browser.hostile import HOSTILE
from tests.lines import chat_line, jsonl
from tests.processes.system import System
from tests.waiting import wait_until

pytestmark = pytest.mark.browser
Open = Callable[[str], Page]


@pytest.fixture(scope="module")
def first(shared: System) -> str:
    """A batch of 120 requests; the last two fail."""
    lines = [chat_line(f"c-{i:03d}", f"answer {i}") for i in range(118)]
    lines += [chat_line(f"bad-{i}", "[[fail 400]]") for i in range(2)]
    batch_id = shared.submit(jsonl(lines), metadata=json.dumps({"name": "First"}))
    shared.wait_for_end(batch_id)
    return batch_id


_MARKDOWN = """# Verdict

**advance**, see [the portfolio](https://example.org/cv) and [this](javascript:alert(1)).

| skill | years |
| --- | --- |
| Rust | 2 |

![a picture](https://example.org/spy.png) <img src=https://example.org/x.png onerror=alert(1)>

<b onclick=alert(1)>raw</b> <style>body { display: none }</style> <form action=https://example.org><input></form>

"""


@pytest.fixture(scope="module")
def rich(shared: System) -> str:
    """Line 1 is hostile Markdown, 2 JSON inside a conversation, 3 refused; then 60 answers of 1 to 60 tokens."""
    talk = chat_line(
        "json", '{"score": 7, "reasons": [{"text": "<b>deep</b>"}], "none": null}', max_tokens=99
    )
    talk["body"]["messages"].insert(0, {"role": "system", "content": "You are careful."})
    lines = [
        chat_line("markdown", _MARKDOWN + "\n\n".join(HOSTILE)),
        talk,
        chat_line("refused", "[[fail 422]]"),
        *(chat_line(f"long-{i:02d}", " ".join(["word"] * i)) for i in range(1, 61)),
    ]
    batch_id = shared.submit(jsonl(lines), metadata=json.dumps({"name": "Rich", "rubric": "v4"}), priority=7)
    shared.wait_for_end(batch_id)
    return batch_id


def test_requests_are_paged_filtered_and_searched(shared: System, open_page: Open, first: str) -> None:
    page = open_page(f"/index.html?batch={first}")
    rows = page.locator("#requests tbody tr")
    expect(rows).to_have_count(50)
    expect(page.locator("#error-groups")).to_contain_text("first on line 119")
    page.get_by_role("button", name="Next").click()
    expect(rows.first).to_contain_text("c-050")
    expect(page.locator("#range")).to_contain_text("100 of 120")
    page.get_by_role("button", name="Previous").click()
    expect(rows.first).to_contain_text("c-000")
    page.get_by_label("custom_id begins with").fill("c-11")
    expect(rows).to_have_count(8)
    expect(page.locator("#requests-count")).to_have_text("8 requests match")
    page.reload()
    expect(rows).to_have_count(8)
    page.get_by_label("custom_id begins with").fill("")
    page.locator("#request-status").select_option("failed")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("bad-0")
    page.get_by_label("custom_id begins with").fill("nobody")
    expect(page.get_by_role("heading", name="No request matches")).to_be_visible()
    page.get_by_role("button", name="Clear all").click()
    expect(page.locator("#requests-count")).to_have_text("120 requests")


def test_a_row_opens_by_a_click_and_by_its_address(shared: System, open_page: Open, rich: str) -> None:
    page = open_page(f"/index.html?batch={rich}")
    page.get_by_role("link", name="json", exact=True).click()
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_role("heading", name="json")).to_be_focused()
    expect(page).to_have_url(re.compile(r"line=2$"))
    prompt = drawer.get_by_role("region", name="Prompt")
    expect(prompt.locator(".role")).to_have_text(["system", "user"])
    expect(prompt).to_contain_text("You are careful.")
    expect(drawer).to_contain_text("max_tokens")
    page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)
    expect(page.get_by_role("link", name="json", exact=True)).to_be_focused()
    expect(page).not_to_have_url(re.compile("line="))
    page.go_back()
    page.goto(f"/index.html?batch={rich}&line=3")
    expect(drawer).to_contain_text("The text asked for a 422.")
    drawer.get_by_text("Response JSON").click()
    expect(drawer.get_by_label("Response JSON", exact=True)).to_contain_text('"status_code": 422')
    page.get_by_role("button", name="Close").click()
    expect(drawer).to_have_count(0)


def test_keys_step_through_the_rows_as_they_are_shown(shared: System, open_page: Open, rich: str) -> None:
    page = open_page(f"/index.html?batch={rich}&custom_id=long&sort=-output_tokens&line=63")
    heading = page.get_by_role("dialog").get_by_role("heading", level=2)
    expect(heading).to_have_text("long-60")
    expect(page.get_by_role("dialog")).to_contain_text("1 of 60 in this list")
    expect(page.get_by_role("button", name="Previous row")).to_be_disabled()
    page.keyboard.press("j")
    expect(heading).to_have_text("long-59")
    page.keyboard.press("ArrowLeft")
    expect(heading).to_have_text("long-60")
    page.goto(f"/index.html?batch={rich}&custom_id=long&sort=-output_tokens&line=14")
    expect(heading).to_have_text("long-11")
    expect(page.get_by_role("dialog")).to_contain_text("50 of 60 in this list")
    page.get_by_role("button", name="Next row").click()
    expect(heading).to_have_text("long-10")
    expect(page.get_by_role("dialog")).to_contain_text("51 of 60 in this list")
    page.keyboard.press("k")
    expect(heading).to_have_text("long-11")
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="long-11")).to_be_focused()


def test_an_answer_is_text_a_tree_or_markdown_and_never_runs(
    shared: System, open_page: Open, rich: str
) -> None:
    page = open_page(f"/index.html?batch={rich}&line=2")
    answer = page.get_by_role("region", name="Answer", exact=True)
    expect(answer).to_contain_text('{"score": 7')
    answer.get_by_role("button", name="JSON").click()
    expect(answer.locator(".tree")).to_contain_text("score: 7")
    expect(answer.locator(".tree")).not_to_contain_text("deep")
    answer.locator("summary", has_text="0").click()
    expect(answer.locator(".tree")).to_contain_text("<b>deep</b>")
    page.keyboard.press("k")
    expect(page.get_by_role("dialog").get_by_role("heading", level=2)).to_have_text("markdown")
    expect(answer).to_contain_text("**advance**")
    answer.get_by_role("button", name="Markdown").click()
    shown = answer.locator(".markdown")
    expect(shown.get_by_role("heading", name="Verdict")).to_be_visible()
    expect(shown.get_by_role("cell", name="Rust")).to_be_visible()
    link = shown.get_by_role("link", name="the portfolio")
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    assert shown.get_by_role("link").count() == 1
    assert (
        shown.locator("img, script, iframe, svg, style, form, input, [onclick], [onerror], [style]").count()
        == 0
    )
    expect(shown).to_contain_text("<img src=x onerror=alert(1)>")
    page.wait_for_timeout(300)  # what would run or be fetched has had its time; the watch tells


def test_without_the_libraries_markdown_is_not_offered(shared: System, open_page: Open, rich: str) -> None:
    page = open_page("/index.html")
    page.watch.allow("status of 404")  # type: ignore[attr-defined]
    page.route("**/vendor/**", _nothing_there)
    with page.expect_response("**/purify.es.mjs"):
        page.goto(f"/index.html?batch={rich}&line=1")
    expect(page.get_by_role("region", name="Answer", exact=True)).to_contain_text("**advance**")
    expect(page.get_by_role("button", name="Markdown")).to_have_count(0)


def _nothing_there(route: Route) -> None:
    route.fulfill(status=404)


def test_a_counted_value_and_a_bar_filter(shared: System, open_page: Open, rich: str) -> None:
    page = open_page(f"/index.html?batch={rich}")
    rows = page.locator("#requests tbody tr")
    failed = page.get_by_role("list", name="Status").get_by_role("button", name="failed")
    expect(failed).to_contain_text("1")
    failed.click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("BadRequestError The text asked for a 422.")
    expect(page.get_by_role("list", name="Error code").get_by_role("button")).to_have_count(1)
    failed.click()
    expect(page.locator("#requests-count")).to_have_text("63 requests")
    bars = page.get_by_role("group", name="Output tokens").get_by_role("button")
    expect(bars).not_to_have_count(1)
    first = bars.first
    label = first.get_attribute("aria-label") or ""
    first.click()
    expect(first).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#requests-count")).to_have_text(f"{label.rsplit(': ')[1]} requests match")
    expect(page).to_have_url(re.compile("where=output_tokens%3Age%3A0&where=output_tokens%3Ale%3A"))
    first.press("ArrowRight")
    expect(bars.nth(1)).to_be_focused()
    page.get_by_role("button", name="tokens out").filter(has_text="≥").click()
    expect(page.locator("#requests-count")).to_have_text("63 requests")


def test_a_filter_taken_back_before_its_counts_came(shared: System, open_page: Open, rich: str) -> None:
    page = open_page(f"/index.html?batch={rich}")
    failed = page.get_by_role("list", name="Status").get_by_role("button", name="failed")
    expect(failed).to_contain_text("1")
    page.route("**/distributions?**", _no_answer_yet)
    failed.click()
    expect(page.locator("#requests tbody tr")).to_have_count(1)
    failed.click()
    expect(page.locator("#requests-count")).to_have_text("63 requests")


def _no_answer_yet(_route: Route) -> None:
    pass


def test_answers_are_searched_sorted_and_exported_as_filtered(
    shared: System, open_page: Open, rich: str
) -> None:
    page = open_page(f"/index.html?batch={rich}")
    expect(page.locator("#requests-count")).to_have_text("63 requests")
    page.keyboard.press("/")
    expect(page.get_by_label("Answer contains")).to_be_focused()
    page.keyboard.type("WORD word word")
    rows = page.locator("#requests tbody tr")
    expect(page.locator("#requests-count")).to_have_text("58 requests match")
    expect(rows.first.locator("mark")).to_have_text("word word word")
    page.get_by_role("button", name="Tokens out").click()
    expect(rows.first).to_contain_text("long-60")
    expect(page.get_by_role("columnheader", name="Tokens out")).to_have_attribute("aria-sort", "descending")
    page.get_by_role("button", name="Tokens out").click()
    expect(rows.first).to_contain_text("long-03")
    expect(page.locator("#exports")).to_contain_text("Export these 58")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    csv_rows = list(csv.DictReader(download.value.path().read_text().splitlines()))
    assert [row["custom_id"] for row in csv_rows] == [f"long-{i:02d}" for i in range(3, 61)]
    with page.expect_download() as download:
        page.get_by_role("link", name="JSONL").click()
    assert len(download.value.path().read_text().splitlines()) == 58


def test_a_request_of_an_unfinished_batch_is_shown_and_what_is_not_is_said(
    system: System, open_page: Open
) -> None:
    system.settings |= {"ECHO_LATENCY_MS": "3600000", "GRACE_SECONDS": "0"}
    system.start_all()
    batch_id = system.submit(jsonl([chat_line("slow")]))
    page = open_page(f"/index.html?batch={batch_id}&line=1")
    expect(page.get_by_role("dialog")).to_contain_text("Running now")
    page.keyboard.press("Escape")
    expect(page.locator("#requests tbody .state")).to_have_text("running")
    expect(page.locator("#facets")).to_be_hidden()
    page.get_by_role("button", name="Took").click()
    expect(page.locator("#rows-note")).to_contain_text("1 request without an answer cannot be sorted")


def test_counts_of_a_batch_that_is_watched_to_its_end_are_those_of_all_answers(
    system: System, open_page: Open
) -> None:
    start_with_second_attempts_far_off(system)
    texts = [f"{'[[flaky 1]] ' if i >= 20 else ''}answer {i}" for i in range(30)]
    batch_id = system.submit(jsonl([chat_line(f"c-{i:02d}", text) for i, text in enumerate(texts)]))
    wait_until(lambda: system.answered(batch_id) == 20, what="two thirds of the batch")
    system.stop(system.processes[1])
    page = open_page(f"/index.html?batch={batch_id}&status=completed")
    counted = page.get_by_role("list", name="Status").get_by_role("button", name="completed")
    expect(counted).to_contain_text("20")
    let_them_come(system)
    expect(page.locator("#batch-state")).to_have_text("completed")
    expect(page.locator("#requests-count")).to_have_text("30 requests match")
    expect(counted).to_contain_text("30")


def test_whoever_reads_a_later_page_when_the_batch_ends_stays_at_its_rows(
    system: System, open_page: Open
) -> None:
    system.start_api()
    system.start_web()
    lines = [chat_line(f"{'abc'[i % 3]}-{i:03d}") for i in range(180)]
    batch_id = system.submit(jsonl(lines))
    page = open_page(f"/index.html?batch={batch_id}")
    rows = page.locator("#requests tbody tr")
    shown = page.locator("#range")
    for first in (51, 101):
        page.get_by_role("button", name="Next").click()
        expect(shown).to_contain_text(f"lines {first}")
    copied = page.url
    system.start_worker()
    system.wait_for_end(batch_id)
    expect(shown).to_contain_text("150 of 180")
    expect(rows.first).to_contain_text("b-100")
    assert "offset=100" in page.url
    page.goto(copied)
    expect(shown).to_contain_text("150 of 180")
    expect(rows.first).to_contain_text("b-100")
    page.goto(f"/index.html?batch={batch_id}&custom_id=a&after=148")  # the 50th of these is on line 148
    expect(shown).to_contain_text("60 of 60")
    expect(rows.first).to_contain_text("a-150")


def test_a_batch_and_its_drawer_are_accessible(browser: Browser, shared: System, rich: str) -> None:
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        context = browser.new_context(
            base_url=shared.web_url, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce"
        )
        page = context.new_page()
        for line, shape in ((1, "Markdown"), (2, "JSON"), (3, None)):
            page.goto(f"/index.html?batch={rich}&line={line}&where=output_tokens:ge:0&text=e")
            expect(page.get_by_role("dialog").get_by_role("region", name="Prompt")).to_be_visible()
            if shape:
                page.get_by_role("button", name=shape).click()
            found = Axe().run(page)
            assert found.violations_count == 0, f"{scheme} {line}: {found.generate_report()}"
        context.close()


def test_a_drawer_fits_a_narrow_screen(shared: System, open_page: Open, rich: str) -> None:
    page = open_page(f"/index.html?batch={rich}&line=1")
    page.set_viewport_size({"width": 320, "height": 640})
    body = page.locator(".drawer-body")
    expect(body).to_contain_text("**advance**")
    assert body.evaluate("(node) => node.scrollWidth <= node.clientWidth && node.clientWidth <= innerWidth")


def test_the_list_leads_to_a_batch(shared: System, open_page: Open, first: str) -> None:
    page = open_page("/index.html")
    page.get_by_role("link", name="First", exact=True).click()
    expect(page.get_by_role("heading", level=1, name="First")).to_be_visible()
    expect(page.locator("#details")).to_contain_text("118 of 120")
    expect(page.get_by_role("link", name="As a table")).to_have_attribute("href", re.compile(first))


def test_an_unknown_batch_is_said_to_be_unknown(shared: System, open_page: Open) -> None:
    page = open_page("/index.html?batch=batch_000000000000000000000000")
    page.watch.allow("status of 404")  # type: ignore[attr-defined]
    expect(page.locator("#notices")).to_contain_text("No batch found")
    expect(page.locator("#announce")).to_contain_text("No batch found")
