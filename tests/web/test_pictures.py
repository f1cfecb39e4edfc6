"""README.md shows the pages as they are: pictures that are there, in both themes, and light."""

import re

from batch_app.settings import PROJECT_DIR


def test_the_pictures_of_the_readme_are_there_and_small() -> None:
    shown = set(re.findall(r'"(docs/images/[^"]+)"', (PROJECT_DIR / "README.md").read_text()))
    there = {str(path.relative_to(PROJECT_DIR)) for path in (PROJECT_DIR / "docs" / "images").iterdir()}
    assert shown == there
    assert {name.replace("-light", "-dark") for name in shown if "-light" in name} == {
        name for name in shown if "-dark" in name
    }
    assert all((PROJECT_DIR / name).stat().st_size < 150_000 for name in shown)
