"""What the documents for operators name exists: targets, settings, sections, files."""

import re
from pathlib import Path

import pytest

from batch_app.settings import PREFIX, PROJECT_DIR, Settings

DOCUMENTS = [PROJECT_DIR / "README.md", PROJECT_DIR / "docs" / "operations.md"]
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
