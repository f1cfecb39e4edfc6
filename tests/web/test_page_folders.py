"""The folders of the pages' JavaScript: a page imports its own files and the shared ones, and nothing imports in a circle."""

import re
from graphlib import TopologicalSorter
from pathlib import Path

from batch_app.settings import PROJECT_DIR

SCRIPTS = PROJECT_DIR / "web" / "static" / "js"
SHARED = "shared"
# Static and lazy imports; those inside comments are types only.
IMPORT = re.compile(r"""(?:from|import|import\(|URL\()\s*["'](\.[^"']+\.js)["']""")
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def imports() -> dict[Path, set[Path]]:
    found = {}
    for script in SCRIPTS.rglob("*.js"):
        code = COMMENT.sub("", script.read_text())
        targets = {(script.parent / name).resolve() for name in IMPORT.findall(code)}
        found[script] = {target for target in targets if "vendor" not in target.parts}
    return found


def test_a_page_imports_its_own_files_and_the_shared_ones() -> None:
    edges = [(script, target) for script, targets in imports().items() for target in targets]
    assert len(edges) > 150
    crossing = [
        f"{script.relative_to(SCRIPTS)} -> {target.relative_to(SCRIPTS)}"
        for script, target in edges
        if target.parent.name not in {script.parent.name, SHARED}
    ]
    assert crossing == []


def test_every_import_leads_to_a_file() -> None:
    assert [target for targets in imports().values() for target in targets if not target.is_file()] == []


def test_nothing_imports_itself_through_others() -> None:
    TopologicalSorter(imports()).prepare()  # raises CycleError
