"""What the documents for operators name exists: targets, settings, sections, files."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch_app.api.errors import _CODES
from batch_app.input.request_lines import answer_line
from batch_app.settings import PREFIX, PROJECT_DIR, Settings

DOCUMENTS = [PROJECT_DIR / "README.md", PROJECT_DIR / "docs" / "operations.md"]
API = PROJECT_DIR / "docs" / "api.md"
MAKES_AN_ERROR = {"ApiError", "retry_later", "error_body", "LineError"}
MAKEFILE = (PROJECT_DIR / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_that_is_named_exists(document: Path) -> None:
    blocks = re.findall(r"`make ([^`]+)`|^make (.+)$", document.read_text(), re.MULTILINE)
    words = [word for block in blocks for word in re.split(r"\s#|&&|2>", "".join(block))[0].split()]
    named = {word for word in words if re.fullmatch(r"[a-z-]+", word)} - {"make"}
    assert len(named) > 3
    assert named <= TARGETS


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_setting_that_is_named_exists(document: Path) -> None:
    named = set(re.findall(rf"\b{PREFIX}[A-Z_]+\b", document.read_text()))
    assert named <= {PREFIX + name.upper() for name in Settings.model_fields}


def test_a_recipe_that_changes_the_models_file_says_to_restart() -> None:
    """It is read once, by each process at its start."""
    for document, end in ((DOCUMENTS[0], "\n"), (DOCUMENTS[1], "\n### ")):
        _, recipes = document.read_text().split("## When something is wrong")
        named = [recipe for recipe in recipes.split("\n## ")[0].split(end) if "`models.toml`" in recipe]
        assert named
        assert all("restart the worker" in recipe for recipe in named)


def test_services_are_asked_of_the_manager_that_has_them_by_default() -> None:
    asked = re.findall(r"systemctl\s+(\S+)", "".join(path.read_text() for path in DOCUMENTS))
    assert len(asked) >= 5
    assert set(asked) == {"--user"}


def test_a_recipe_that_starts_everything_has_stopped_everything_in_a_terminal_or_as_services() -> None:
    head, *recipes = re.split(r"^##+ ", DOCUMENTS[1].read_text(), flags=re.MULTILINE)
    for verb in ("stop", "start"):
        [row] = re.findall(rf"^\| {verb} everything \|.*$", head, re.MULTILINE)
        assert f"`systemctl --user {verb} batch-api batch-worker batch-web`" in row
    starting = [recipe for recipe in recipes if "start everything" in in_one_line(recipe)]
    assert len(starting) >= 4
    assert all("stop everything" in in_one_line(recipe) for recipe in starting)
    # Pages that are still up keep their port; and what a terminal runs ends with it.
    assert [recipe for recipe in recipes if re.search(r"\bmake (\w+ )*start`", in_one_line(recipe))] == []


def in_one_line(text: str) -> str:
    return " ".join(text.lower().split())


def error_codes() -> Iterator[str]:
    """Every code that stands in a call which makes an error of the API, and those of the framework's own errors."""
    yield from _CODES.values()
    for path in (PROJECT_DIR / "batch_app" / "api").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in MAKES_AN_ERROR:
                for argument in node.args[1:2]:
                    if isinstance(argument, ast.Constant):
                        yield str(argument.value)


def test_every_error_code_of_the_api_is_documented() -> None:
    assert len(set(error_codes())) > 25
    assert set(error_codes()) <= set(re.findall(r"`([a-z_]+)`", API.read_text()))


def test_every_section_that_a_program_points_to_exists() -> None:
    sections = set(re.findall(r"^#+ (.+)$", DOCUMENTS[1].read_text(), re.MULTILINE))
    pointers = [
        name
        for path in [
            *(PROJECT_DIR / "scripts" / "doctor").glob("*.py"),
            *(PROJECT_DIR / "batch_app").rglob("*.py"),
        ]
        for name in re.findall(r"'([A-Z][^'\n]+)' in docs/operations\.md", path.read_text())
    ]
    assert len(pointers) >= 3
    assert set(pointers) <= sections


def test_every_public_target_is_in_the_help() -> None:
    helped = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
    assert TARGETS - helped <= {"ready", "dev", "browser"}


def test_answers_around_a_zeroed_block_are_rescued(tmp_path: Path) -> None:
    answer = {"batch_id": "batch_1", "custom_id": "c", "request_id": "r", "status": 200, "body": "x" * 9000}
    before, lost, after = (answer_line(line=line, **answer) for line in (1, 2, 3))
    files, work = (tmp_path / "data.damaged" / name for name in ("files", "work"))
    files.mkdir(parents=True)
    work.mkdir()
    (files / "file-1.jsonl").write_bytes(before + b"\0" * 4096 + lost[4096:] + after)

    recipe = DOCUMENTS[1].read_text().split("### The database is damaged")[1]
    [command] = re.findall(r"`(grep [^`]+)`", recipe)
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)  # as a person would type it

    assert (tmp_path / "rescued.jsonl").read_bytes() == before + after
