"""SECURITY.md promises nothing without a test, and forgets none of the tests of this folder."""

import re

from batch_app.settings import PROJECT_DIR, Settings

TEXT = (PROJECT_DIR / "SECURITY.md").read_text()
NAMED = set(re.findall(r"tests/\w+/\w+\.py", TEXT))


def test_every_promise_names_tests_that_are_there() -> None:
    promises = TEXT.partition("## What is promised")[2].partition("\n\nWhy")[0].strip().splitlines()[2:]
    assert len(promises) > 10
    assert [line for line in promises if not re.search(r"tests/\w+/\w+\.py", line)] == []
    assert [name for name in sorted(NAMED) if not (PROJECT_DIR / name).is_file()] == []


def test_every_attack_that_is_tried_is_told() -> None:
    tried = {f"tests/security/{path.name}" for path in (PROJECT_DIR / "tests" / "security").glob("test_*.py")}
    assert tried - NAMED == {"tests/security/test_security_md.py"}


def test_every_setting_that_is_named_exists() -> None:
    named = set(re.findall(r"BATCH_([A-Z_]+)", TEXT))
    assert named <= {name.upper() for name in Settings.model_fields}
