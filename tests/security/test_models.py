"""What a client can make the worker load by naming it."""

from pathlib import Path

import pytest

from batch_app.models import Models, ModelSpec
from tests.api.errors import bad_lines, error_of
from tests.api.served import Api
from tests.lines import chat_line

ELSEWHERE = [
    "/etc", "/home/someone/private-model", "./model", "../model", "..", ".", "models/../../x", "a/../b", "~/model",
    "a/b/c", "s3://bucket/model", "gs://bucket/model", "http://127.0.0.1/model", "https://evil.example/x.gguf",
    "file:///etc", "C:/models", "\\\\host\\share", "a b", "-x", "--model", "a/.hidden", ".hidden/a", "a//b", "a/",
    "\N{CYRILLIC SMALL LETTER A}/b", "a/b?x=1", "a/b#x", "a@b/c", "a/b:c:d", "$HOME", "a;b", "%2e%2e/x",
]  # fmt: skip
HUB_IDS = ["gpt2", "google/gemma-3-4b-it", "Qwen/Qwen2.5-0.5B-Instruct", "unsloth/x-GGUF:Q4_K_M", "_a/b_c.d"]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_is_no_hub_id_is_no_model_unless_the_operator_lists_it(name: str) -> None:
    assert Models([], allow_unlisted=True).resolve(name) is None
    listed = ModelSpec(name=name, source=str(Path("models").absolute()))
    assert Models([listed], allow_unlisted=True).resolve(name) is listed


@pytest.mark.parametrize("name", HUB_IDS)
def test_a_hub_id_is_a_model_unless_the_operator_forbids_it(name: str) -> None:
    assert Models([], allow_unlisted=True).resolve(name) == ModelSpec(name=name, source=name)
    assert Models([], allow_unlisted=False).resolve(name) is None


def test_a_folder_is_refused_by_the_form_and_in_the_lines(api: Api) -> None:
    """And nothing tells whether it is there."""
    for folder in ("/etc", "/no/such/folder"):
        message = error_of(api.submit(1, model=folder), 404, "model_not_found")["message"]
        assert (
            message.replace(folder, "X")
            == "The model 'X' does not exist here; GET /v1/models lists those that do."
        )
        lines = [chat_line("a", model=folder)]
        assert bad_lines(api.submit(lines, model="")) == [(1, "body.model", "model_not_found")]
    assert api.has_stored_nothing()
