"""A protected API: the page asks for the key, keeps it for the tab, and downloads with it."""

import json
from collections.abc import Callable

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.lines import chat_lines, jsonl
from tests.processes.system import System
from tests.waiting import wait_until

pytestmark = pytest.mark.browser
KEY = {"authorization": "Bearer right-key"}


@pytest.fixture
def locked(system: System) -> System:
    system.settings |= {"API_KEY": "right-key"}
    system.start_api()
    system.start_worker()
    system.start_web()
    files = {"file": ("in.jsonl", jsonl(chat_lines(3)))}
    form = {"model": "smollm2", "metadata": json.dumps({"name": "Locked"})}
    url = f"{system.url}/v1/batches"
    requests.post(url, files=files, data=form, headers=KEY, timeout=30).raise_for_status()
    wait_until(
        lambda: requests.get(url, headers=KEY, timeout=30).json()["data"][0]["status"] == "completed",
        what="the batch",
    )
    return system


def test_the_key_is_asked_for_once_and_opens_everything(
    locked: System, open_page: Callable[[str], Page]
) -> None:
    page = open_page("/dashboard.html?tab=completed")
    page.watch.allow("status of 401")  # type: ignore[attr-defined]
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Key").fill("wrong-key")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("did not accept this key")
    dialog.get_by_role("textbox", name="Key").fill("right-key")
    dialog.get_by_role("button", name="Use this key").click()
    expect(page.locator("#table tbody tr")).to_contain_text("Locked")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download Results of Locked").click()
    assert len(download.value.path().read_text().splitlines()) == 3
    page.goto("/submit_batch.html")
    page.get_by_role("button", name="Use this example").click()
    expect(page.locator("#check-state")).to_have_text("ready")
    page.get_by_role("button", name="Submit batch").click()
    expect(page.get_by_role("heading", name="3 requests queued")).to_be_visible()


def test_who_has_no_key_can_enter_it_later(locked: System, open_page: Callable[[str], Page]) -> None:
    page = open_page("/dashboard.html?tab=completed")
    page.watch.allow("status of 401")  # type: ignore[attr-defined]
    page.get_by_role("button", name="Not now").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Enter key").click()
    page.get_by_role("textbox", name="Key").fill("right-key")
    page.keyboard.press("Enter")
    expect(page.locator("#table tbody tr")).to_contain_text("Locked")


@pytest.mark.parametrize(
    ("view", "shown"),
    [
        ("/table_view.html?batch={id}", "#rows tr"),
        ("/compare_results.html", "#batch-0 option[value^=batch_]"),
    ],
)
def test_who_declined_is_asked_again_by_another_try(
    locked: System, open_page: Callable[[str], Page], view: str, shown: str
) -> None:
    found = requests.get(f"{locked.url}/v1/batches", headers=KEY, timeout=30).json()["data"][0]["id"]
    page = open_page(view.format(id=found))
    page.watch.allow("status of 401")  # type: ignore[attr-defined]
    page.get_by_role("button", name="Not now").click()
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("textbox", name="Key").fill("right-key")
    page.keyboard.press("Enter")
    expect(page.locator(shown).first).to_be_attached()
    expect(page.locator("#notices > .bad:visible")).to_have_count(0)
