"""A person hands in a file, sees what is wrong with it, and gets its answers."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Error, Page, Route, expect

from tests.browser.conftest import ASKED_ONCE
from tests.browser.hostile import HOSTILE
from tests.lines import chat_line, chat_lines, jsonl
from tests.processes.system import System

pytestmark = pytest.mark.browser
Open = Callable[[str], Page]


def _file(folder: Path, content: bytes, name: str = "candidates.jsonl") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def _count(system: System) -> int:
    return int(system.get("/v1/batches")["counts"]["all"])


def test_a_file_is_chosen_submitted_watched_and_its_results_downloaded(
    shared: System, open_page: Open, tmp_path: Path
) -> None:
    page = open_page("/submit_batch.html")
    page.set_input_files("#file", _file(tmp_path, jsonl(chat_lines(300))))
    expect(page.locator("#check-state")).to_have_text("ready")
    expect(page.locator("#found-facts")).to_contain_text("300 requests")
    expect(page.locator("#preview li").first).to_contain_text("Evaluate candidate 0")
    page.select_option("#model", "HuggingFaceTB/SmolLM2-135M-Instruct")
    page.locator("#name").fill("Spring intake")
    page.get_by_role("button", name="Submit batch").click()
    expect(page.get_by_role("heading", name="300 requests queued")).to_be_focused()

    page.get_by_role("link", name="Watch it on the dashboard").click()
    expect(page.locator("#recent")).to_contain_text("Spring intake")
    page.get_by_role("tab", name="Completed").click()
    expect(page).to_have_url(f"{shared.web_url}/dashboard.html?tab=completed")
    with page.expect_download() as download:
        page.locator("#table").get_by_role("link", name="Download Results of Spring intake").click()
    rows = [json.loads(line) for line in download.value.path().read_text().splitlines()]
    assert {row["custom_id"] for row in rows} == {f"candidate-{i}" for i in range(300)}
    assert download.value.suggested_filename.endswith("_output.jsonl")


def test_a_dropped_file_is_checked_and_a_near_miss_too(shared: System, open_page: Open) -> None:
    page = open_page("/submit_batch.html")
    data = page.evaluate_handle(
        """(text) => {
          const data = new DataTransfer();
          data.items.add(new File([text], "dropped.jsonl"));
          return data;
        }""",
        jsonl(chat_lines(2)).decode(),
    )
    page.dispatch_event("main", "drop", {"dataTransfer": data})
    expect(page.locator("#file-name")).to_have_text("dropped.jsonl")
    expect(page.locator("#check-state")).to_have_text("ready")


def test_problems_are_listed_at_their_lines_and_nothing_is_sent(
    shared: System, open_page: Open, tmp_path: Path
) -> None:
    good = chat_line("a")
    content = jsonl(
        [good, b"{broken", chat_line("b", "Hi", stream=True), good, {**good, "custom_id": "c", "url": "/x"}]
    )
    before = _count(shared)
    page = open_page("/submit_batch.html")
    page.set_input_files("#file", _file(tmp_path, content))
    expect(page.locator("#check-state")).to_have_text("4 problems")
    shown = page.locator("#problems li")
    expect(shown).to_have_count(4)
    assert [text.split("\n")[0] for text in shown.locator(".at").all_inner_texts()] == ["2", "3", "4", "5"]
    expect(shown.nth(0)).to_contain_text("{broken")
    expect(shown.nth(2)).to_contain_text("already used on line 1")
    page.get_by_role("button", name="Submit batch").click()
    expect(page.locator("#notices")).to_contain_text("The file has problems")
    assert _count(shared) == before


def test_what_only_the_server_sees_is_shown_at_its_line(
    system: System, open_page: Open, tmp_path: Path
) -> None:
    system.settings["MAX_LINE_BYTES"] = "300"
    system.start_all()
    page = open_page("/submit_batch.html")
    page.watch.allow("status of 400")  # type: ignore[attr-defined]
    page.route("**/health", _with_the_default_line_limit)
    page.reload()
    page.set_input_files("#file", _file(tmp_path, jsonl([chat_line("fine"), chat_line("long", "x" * 300)])))
    expect(page.locator("#check-state")).to_have_text("ready")
    page.get_by_role("button", name="Submit batch").click()
    expect(page.locator("#check-state")).to_have_text("1 problem")
    expect(page.locator("#problems li .at")).to_have_text("2")
    expect(page.locator("#problems li")).to_contain_text("longer than 300 bytes")
    expect(page.locator("#problems li pre")).to_contain_text("xxxx")


def _with_the_default_line_limit(route: Route) -> None:
    """So that the page lets pass what the server will refuse."""
    answer = route.fetch()
    health = answer.json()
    health["queue"].pop("max_line_bytes", None)
    with suppress(Error):  # the page reads anew instead
        route.fulfill(response=answer, json=health)


def test_a_double_click_submits_once(shared: System, open_page: Open, tmp_path: Path) -> None:
    before = _count(shared)
    page = open_page("/submit_batch.html")
    page.set_input_files("#file", _file(tmp_path, jsonl(chat_lines(5))))
    expect(page.locator("#check-state")).to_have_text("ready")
    page.locator("#send").dblclick()
    expect(page.get_by_role("heading", name="5 requests queued")).to_be_visible()
    assert _count(shared) == before + 1


# What a page sends of nine lines: how many, with which fields, and what it says when the answer is lost.
SENT: dict[str, tuple[int, dict[str, str], str]] = {
    "Submit batch": (9, {}, "submit again and it counts once"),
    "Try the first 5": (
        5,
        {"priority": "50", "metadata": json.dumps({"name": "trial of candidates.jsonl"})},
        "try again and it counts once",
    ),
}


@pytest.mark.parametrize("button", SENT)
def test_trying_again_after_a_lost_answer_counts_once(
    shared: System, open_page: Open, tmp_path: Path, button: str
) -> None:
    count, fields, said = SENT[button]
    before = _count(shared)
    page = open_page("/submit_batch.html")
    page.watch.allow("ERR_FAILED")  # type: ignore[attr-defined]
    lost: list[str] = []

    def lose_the_first_answer(route: Route) -> None:
        """The API gets the form, the page never hears of it. A route cannot forward a file, so we send it."""
        if route.request.method != "POST" or lost:
            route.continue_()
            return
        key = {"idempotency-key": route.request.headers["idempotency-key"]}
        answer = requests.post(
            f"{shared.url}/v1/batches",
            files={"file": ("candidates.jsonl", jsonl(chat_lines(9)[:count]))},
            data={"model": "smollm2", **fields},
            headers=key,
            timeout=30,
        )
        lost.append(answer.json()["batch_id"])
        route.abort()

    page.route("**/v1/batches", lose_the_first_answer)
    page.set_input_files("#file", _file(tmp_path, jsonl(chat_lines(9))))
    expect(page.locator("#check-state")).to_have_text("ready")
    page.select_option("#model", "")
    page.locator("#other-model").fill("smollm2")
    page.get_by_role("button", name=button).click()
    expect(page.locator("#notices")).to_contain_text(said)
    page.get_by_role("button", name=button).click()
    way = page.locator("#receipt-results, #trial-link").locator("visible=true")
    expect(way).to_have_attribute("href", f"index.html?batch={lost[0]}")
    assert _count(shared) == before + 1


def test_a_list_of_models_that_comes_late_overrules_no_choice(
    shared: System, open_page: Open, tmp_path: Path
) -> None:
    page = open_page("/submit_batch.html")
    held: list[Route] = []
    page.route("**/v1/models", lambda route: held.append(route))  # noqa: PLW0108  # playwright asks the function for its parameters
    with page.expect_request("**/v1/models"):
        page.reload()
    page.set_input_files("#file", _file(tmp_path, jsonl(chat_lines(5))))
    expect(page.locator("#check-state")).to_have_text("ready")
    page.select_option("#model", "")
    page.locator("#other-model").fill("smollm2")
    with page.expect_response("**/v1/models"):
        held[-1].continue_()  # the one before can be that of the page before
    expect(page.locator("#model option")).not_to_have_count(1)
    expect(page.locator("#other-model")).to_be_visible()
    page.get_by_role("button", name="Submit batch").click()
    expect(page.locator("#receipt-model")).to_have_text("smollm2")


@pytest.mark.parametrize("button", SENT)
def test_an_upload_can_be_cancelled(shared: System, open_page: Open, tmp_path: Path, button: str) -> None:
    before = _count(shared)
    page = open_page("/submit_batch.html")
    page.watch.allow("ERR_")  # type: ignore[attr-defined]
    held: list[Route] = []
    page.route(
        "**/v1/batches",
        lambda route: held.append(route) if route.request.method == "POST" else route.continue_(),
    )
    page.set_input_files("#file", _file(tmp_path, jsonl(chat_lines(9))))
    expect(page.locator("#check-state")).to_have_text("ready")
    page.get_by_role("button", name=button).click()
    expect(page.locator("#sending")).to_be_visible()
    expect(page.locator("#sending-text")).not_to_contain_text("of 1 B")
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator("#notices")).to_contain_text("Cancelled.")
    expect(page.locator("#send")).to_be_enabled()
    held[0].abort()
    assert _count(shared) == before


def test_limits_are_named_before_anything_is_sent(system: System, open_page: Open, tmp_path: Path) -> None:
    system.settings |= {"MAX_REQUESTS_PER_BATCH": "3"}
    system.start_all()
    page = open_page("/submit_batch.html")
    expect(page.locator("#limits")).to_contain_text("At most 3 lines")
    page.set_input_files("#file", _file(tmp_path, jsonl(chat_lines(4))))
    expect(page.locator("#problems-text")).to_contain_text("The file has 4 requests; at most 3 are allowed")
    page.set_input_files("#file", _file(tmp_path, b"\n\n", "blank.jsonl"))
    expect(page.locator("#problems-text")).to_contain_text("There is no request in this file")


def test_a_queue_that_was_full_when_the_page_was_opened_is_not_said_to_be_full_now(
    shared: System, open_page: Open, tmp_path: Path
) -> None:
    room: list[int] = [2]

    def with_room(route: Route) -> None:
        answer = route.fetch()
        health = answer.json()
        health["queue"]["queued_requests"] = health["queue"]["max_queued_requests"] - room[0]
        with suppress(Error):  # the page reads anew instead
            route.fulfill(response=answer, json=health)

    page = open_page("/submit_batch.html")
    page.route("**/health", with_room)
    page.add_init_script(ASKED_ONCE)  # what is read then is read for the file
    page.reload()
    warning = page.get_by_text("The queue has room for 2 requests now; this file has 3.")
    page.set_input_files("#file", _file(tmp_path, jsonl(chat_lines(3))))
    expect(warning).to_be_visible()
    room[0] = 1000
    page.set_input_files("#file", _file(tmp_path, jsonl(chat_lines(3))))
    expect(page.locator("#check-state")).to_have_text("ready")
    expect(warning).to_be_hidden()


def test_that_no_worker_runs_is_said_for_as_long_as_none_does(
    system: System, open_page: Open, tmp_path: Path
) -> None:
    system.start_api()
    system.start_web()
    earlier = system.submit(jsonl(chat_lines(3)))
    page = open_page("/submit_batch.html")
    warning = page.get_by_text("No worker is running: the batch will wait")
    expect(warning).to_be_visible()
    page.set_input_files("#file", _file(tmp_path, jsonl(chat_lines(3))))
    expect(page.locator("#check-state")).to_have_text("ready")
    expect(warning).to_be_visible()
    starts = page.locator("#estimate-facts")
    expect(starts).to_contain_text("startswhen a worker runs, after 1 batch")
    page.goto(f"/submit_batch.html?clone={earlier}")
    expect(page.locator("#notices")).to_contain_text("Nothing is sent yet")
    expect(warning).to_be_visible()
    system.start_worker()
    system.wait_for_worker()
    _look_again(page)
    expect(warning).to_be_hidden()
    expect(starts).not_to_contain_text("when a worker runs")
    expect(page.locator("#notices")).to_contain_text("Nothing is sent yet")


def test_the_model_that_is_loaded_is_marked_for_as_long_as_it_is(shared: System, open_page: Open) -> None:
    small, large = "HuggingFaceTB/SmolLM2-135M-Instruct", "google/gemma-3-4b-it"
    loaded: list[str | None] = [small]

    def with_a_model(route: Route) -> None:
        answer = route.fetch()
        health = answer.json()
        health["worker"]["model"] = loaded[0]
        with suppress(Error):  # the page reads anew instead
            route.fulfill(response=answer, json=health)

    page = open_page("/submit_batch.html")
    page.route("**/health", with_a_model)
    page.reload()
    marked = page.locator("#model option", has_text="(loaded)")
    expect(marked).to_have_text(f"{small} (loaded)")
    page.select_option("#model", small)
    loaded[0] = large
    _look_again(page)
    expect(marked).to_have_text(f"{large} (loaded)")
    expect(page.locator("#model")).to_have_value(small)
    loaded[0] = None
    _look_again(page)
    expect(marked).to_have_count(0)


def test_a_page_opened_before_the_api_is_ready_once_it_answers(shared: System, open_page: Open) -> None:
    page = open_page("/submit_batch.html")
    page.watch.allow("ERR_FAILED")  # type: ignore[attr-defined]
    page.route(_API, lambda route: route.abort())
    page.reload()
    notice = page.get_by_text("does not answer. Start it with make api.")
    expect(notice).to_be_visible()
    page.unroute(_API)
    _look_again(page)
    expect(notice).to_be_hidden()
    expect(page.locator("#model option")).not_to_have_count(1)


_API = re.compile(r"/(health|v1/)")


def _look_again(page: Page) -> None:
    """As somebody does who comes back to the tab: what it shows of the machine is read anew."""
    page.evaluate("void document.dispatchEvent(new Event('visibilitychange'))")


def test_the_model_of_the_lines_is_suggested_and_another_can_be_named(
    shared: System, open_page: Open, tmp_path: Path
) -> None:
    page = open_page("/submit_batch.html")
    page.set_input_files("#file", _file(tmp_path, jsonl([chat_line("a", model="smollm2")])))
    expect(page.locator("#check-state")).to_have_text("ready")
    expect(page.locator("#model")).to_have_value("HuggingFaceTB/SmolLM2-135M-Instruct")
    page.select_option("#model", "")
    page.get_by_role("button", name="Submit batch").click()
    expect(page.locator("#notices")).to_contain_text("Choose a model")
    page.locator("#other-model").fill("somebody/another-model")
    expect(page.get_by_text("Choose a model.")).to_be_hidden()
    page.get_by_role("button", name="Submit batch").click()
    expect(page.locator("#receipt-model")).to_have_text("somebody/another-model")


def test_what_a_batch_takes_is_estimated_before_it_is_sent(
    shared: System, open_page: Open, tmp_path: Path
) -> None:
    done = shared.submit(jsonl(chat_lines(40)), metadata=json.dumps({"name": "Before"}))
    shared.wait_for_end(done)
    page = open_page("/submit_batch.html")
    page.set_input_files("#file", _file(tmp_path, jsonl(chat_lines(300))))
    page.select_option("#model", "HuggingFaceTB/SmolLM2-135M-Instruct")
    facts = page.locator("#estimate-facts")
    expect(facts).to_contain_text("requests300")
    expect(facts).to_contain_text(re.compile(r"tokens inabout 3\.\d k|tokens inabout \d,\d00"))
    expect(facts).to_contain_text("tokens outabout 900")
    expect(facts).to_contain_text(re.compile("starts(at once|after 1 batch)"))
    expect(page.locator("#estimate-how")).to_contain_text(re.compile("Time at .* tokens/s"))
    page.select_option("#model", "")
    page.locator("#other-model").fill("never/seen")
    expect(facts).to_contain_text("runs fornot known")


def test_the_first_lines_are_tried_and_their_answers_shown(
    shared: System, open_page: Open, tmp_path: Path
) -> None:
    page = open_page("/submit_batch.html")
    lines = [*chat_lines(4), chat_line("refused", "[[fail 400]] <b>x</b>"), *chat_lines(9)[5:]]
    page.set_input_files("#file", _file(tmp_path, jsonl(lines)))
    page.get_by_role("button", name="Try the first 5").click()
    expect(page.get_by_role("heading", name="Trial run")).to_be_focused()
    expect(page.locator("#trial-state")).to_have_text("completed")
    answers = page.locator("#trial-answers li")
    expect(answers).to_have_count(5)
    expect(answers.first).to_contain_text("Evaluate candidate 0")
    expect(answers.last).to_contain_text("The text asked for a 400.")
    page.get_by_role("link", name="Its page").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("trial of candidates.jsonl")
    page.go_back()
    page.set_input_files("#file", _file(tmp_path, jsonl(chat_lines(5))))  # the same file, changed
    expect(page.locator("#found-facts")).to_contain_text("5 requests")
    expect(page.get_by_role("button", name="Try the first 5")).to_be_hidden()


def test_a_batch_is_cloned_with_its_file_model_priority_and_metadata(shared: System, open_page: Open) -> None:
    metadata = {"name": HOSTILE[0], "rubric": HOSTILE[2]}
    batch_id = shared.submit(
        jsonl(chat_lines(6)), model="somebody/other", metadata=json.dumps(metadata), priority=7
    )
    page = open_page(f"/index.html?batch={batch_id}")
    page.get_by_role("link", name="Clone").click()
    expect(page.locator("#notices")).to_contain_text("Nothing is sent yet")
    expect(page.locator("#check-state")).to_have_text("ready")
    expect(page.locator("#found-facts")).to_contain_text("6 requests")
    expect(page.locator("#other-model")).to_have_value("somebody/other")
    expect(page.locator("#priority")).to_have_value("7")
    page.get_by_role("button", name="Submit batch").click()
    expect(page.locator("#receipt")).to_be_visible()
    copy = shared.batch(page.locator("#receipt-id").inner_text())
    assert copy["metadata"] == metadata
    assert copy["priority"] == 7
    assert copy["total_requests"] == 6
    assert copy["input_file_id"] != shared.batch(batch_id)["input_file_id"]


def test_options_are_sent_shown_as_code_and_cloned(shared: System, open_page: Open, tmp_path: Path) -> None:
    page = open_page("/submit_batch.html")
    page.set_input_files("#file", _file(tmp_path, jsonl(chat_lines(3))))
    expect(page.get_by_label("Compute equal requests once")).to_be_hidden()
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Compute equal requests once").check()
    page.get_by_label("Take answers from earlier batches").check()
    page.get_by_label("Order of the lines").select_option("As in the file")
    expect(page.locator("#code-text")).to_contain_text("-F deduplicate=true")
    expect(page.locator("#check-state")).to_have_text("ready")
    for _ in range(2):
        page.get_by_role("button", name="Submit batch").click()
        expect(page.locator("#receipt")).to_be_visible()
        batch_id = page.locator("#receipt-id").inner_text()
        batch = shared.batch(batch_id)
        assert (batch["order"], batch["deduplicate"], batch["use_cache"]) == ("submission", True, True)
        page.goto(f"/submit_batch.html?clone={batch_id}")
        expect(page.locator("#notices")).to_contain_text("Nothing is sent yet")
        expect(page.get_by_label("Compute equal requests once")).to_be_checked()
    page.goto("/submit_batch.html")
    page.set_input_files("#file", _file(tmp_path, jsonl(chat_lines(3))))
    expect(page.locator("#check-state")).to_have_text("ready")
    page.get_by_role("button", name="Submit batch").click()
    expect(page.locator("#receipt")).to_be_visible()
    batch = shared.batch(page.locator("#receipt-id").inner_text())
    assert (batch["order"], batch["deduplicate"], batch["use_cache"]) == ("auto", False, False)


def test_a_batch_that_is_gone_cannot_be_cloned(shared: System, open_page: Open) -> None:
    page = open_page("/submit_batch.html?clone=batch_000000000000000000000000")
    page.watch.allow("status of 404")  # type: ignore[attr-defined]
    expect(page.locator("#notices")).to_contain_text("cannot be cloned: No batch found")


def test_metadata_is_kept_and_the_code_says_the_same(shared: System, open_page: Open, tmp_path: Path) -> None:
    page = open_page("/submit_batch.html")
    page.set_input_files("#file", _file(tmp_path, jsonl(chat_lines(2)), "it's.jsonl"))
    expect(page.locator("#check-state")).to_have_text("ready")
    for key, value in (("rubric", "v4"), ("gone", "x"), ("", "nothing")):
        page.get_by_role("button", name="Add a key and value").click()
        expect(page.get_by_label("Key", exact=True).last).to_be_focused()
        page.keyboard.type(key)
        page.get_by_label("Value", exact=True).last.fill(value)
    page.get_by_role("button", name="Remove this pair").nth(1).click()
    code = page.locator("#code-text")
    expect(code).to_contain_text(r"""-F 'file=@"it'\''s.jsonl"'""")
    expect(code).to_contain_text('{"rubric":"v4"}')
    page.get_by_role("button", name="OpenAI client").click()
    expect(code).to_contain_text('endpoint="/v1/chat/completions"')
    expect(code).to_contain_text(f'base_url="{shared.url}/v1"')
    page.get_by_role("button", name="Python requests").click()
    program = code.inner_text()
    page.get_by_role("button", name="Submit batch").click()
    expect(page.locator("#receipt")).to_be_visible()
    assert shared.batch(page.locator("#receipt-id").inner_text())["metadata"] == {"rubric": "v4"}
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert shared.batch(ran.stdout.strip())["metadata"] == {"rubric": "v4"}


def test_a_full_form_is_accessible_and_narrow(browser: Browser, shared: System, tmp_path: Path) -> None:
    file = _file(tmp_path, jsonl(chat_lines(9)))
    for scheme in ("light", "dark"):
        context = browser.new_context(
            base_url=shared.web_url,
            color_scheme=scheme,  # type: ignore[arg-type]
            bypass_csp=True,
            reduced_motion="reduce",
            viewport={"width": 320, "height": 700},
        )
        page = context.new_page()
        page.goto("/submit_batch.html")
        page.set_input_files("#file", file)
        expect(page.locator("#check-state")).to_have_text("ready")
        page.get_by_role("button", name="Add a key and value").click()
        page.get_by_text("Options", exact=True).click()
        page.get_by_role("button", name="Try the first 5").click()
        expect(page.locator("#trial-answers li")).to_have_count(5)
        found = Axe().run(page)
        assert found.violations_count == 0, f"{scheme}: {found.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        context.close()
