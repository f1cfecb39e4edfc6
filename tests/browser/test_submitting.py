"""A person hands in a file, sees what is wrong with it, and gets its answers."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, Route, expect

from tests.lines import chat_line, chat_lines, jsonl
from tests.processes.system import System

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
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
    expect(page.locator("#recent")).to_contain_text("Spring intake", timeout=30_000)
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
    route.fulfill(response=answer, json=health)


def test_a_double_click_submits_once(shared: System, open_page: Open, tmp_path: Path) -> None:
    before = _count(shared)
    page = open_page("/submit_batch.html")
    page.set_input_files("#file", _file(tmp_path, jsonl(chat_lines(5))))
    expect(page.locator("#check-state")).to_have_text("ready")
    page.locator("#send").dblclick()
    expect(page.get_by_role("heading", name="5 requests queued")).to_be_visible()
    assert _count(shared) == before + 1


def test_trying_again_after_a_lost_answer_counts_once(
    shared: System, open_page: Open, tmp_path: Path
) -> None:
    before = _count(shared)
    page = open_page("/submit_batch.html")
    page.watch.allow("ERR_FAILED")  # type: ignore[attr-defined]
    content = jsonl(chat_lines(5))
    lost: list[str] = []

    def lose_the_first_answer(route: Route) -> None:
        """The API gets the form, the page never hears of it. A route cannot forward a file, so we send it."""
        if route.request.method != "POST" or lost:
            route.continue_()
            return
        key = {"idempotency-key": route.request.headers["idempotency-key"]}
        answer = requests.post(
            f"{shared.url}/v1/batches",
            files={"file": ("candidates.jsonl", content)},
            data={"model": "smollm2"},
            headers=key,
            timeout=30,
        )
        lost.append(answer.json()["batch_id"])
        route.abort()

    page.route("**/v1/batches", lose_the_first_answer)
    page.set_input_files("#file", _file(tmp_path, content))
    expect(page.locator("#check-state")).to_have_text("ready")
    page.select_option("#model", "")
    page.locator("#other-model").fill("smollm2")
    page.get_by_role("button", name="Submit batch").click()
    expect(page.locator("#notices")).to_contain_text("submit again and it counts once")
    page.get_by_role("button", name="Submit batch").click()
    expect(page.locator("#receipt-id")).to_have_text(lost[0])
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


def test_an_upload_can_be_cancelled(shared: System, open_page: Open, tmp_path: Path) -> None:
    before = _count(shared)
    page = open_page("/submit_batch.html")
    page.watch.allow("ERR_")  # type: ignore[attr-defined]
    held: list[Route] = []
    page.route(
        "**/v1/batches",
        lambda route: held.append(route) if route.request.method == "POST" else route.continue_(),
    )
    page.set_input_files("#file", _file(tmp_path, jsonl(chat_lines(5))))
    expect(page.locator("#check-state")).to_have_text("ready")
    page.get_by_role("button", name="Submit batch").click()
    expect(page.locator("#sending")).to_be_visible()
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


def test_the_model_of_the_lines_is_suggested_and_another_can_be_named(
    shared: System, open_page: Open, tmp_path: Path
) -> None:
    page = open_page("/submit_batch.html")
    page.set_input_files("#file", _file(tmp_path, jsonl([chat_line("a", model="smollm2")])))
    expect(page.locator("#model")).to_have_value("HuggingFaceTB/SmolLM2-135M-Instruct")
    page.select_option("#model", "")
    page.get_by_role("button", name="Submit batch").click()
    expect(page.locator("#notices")).to_contain_text("Choose a model")
    page.locator("#other-model").fill("somebody/another-model")
    page.get_by_role("button", name="Submit batch").click()
    expect(page.locator("#receipt-model")).to_have_text("somebody/another-model")
