"""The models file: who is served under which names, and how a mistake in it is told."""

from pathlib import Path

import pytest

from batch_app.errors import ConfigurationError
from batch_app.models import Models, ModelSpec, load_models
from batch_app.settings import PROJECT_DIR
from scripts.sample_candidates import DEFAULT_MODEL

TWO_MODELS = """
[[models]]
name = "org/large"
aliases = ["gpt-4", "large"]
[models.engine]
max_model_len = 8192

[[models]]
name = "small"
path = "folder/small"
"""


def load(tmp_path: Path, text: str | bytes, *, allow_unlisted: bool = False) -> Models:
    path = tmp_path / "models.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_models(path, allow_unlisted=allow_unlisted)


def test_a_model_is_found_by_its_name_and_by_every_alias(tmp_path: Path) -> None:
    models = load(tmp_path, TWO_MODELS)
    large = ModelSpec("org/large", "org/large", ("gpt-4", "large"), {"max_model_len": 8192})
    assert [models.resolve(name) for name in ("org/large", "gpt-4", "large")] == [large] * 3


def test_a_path_is_relative_to_the_models_file(tmp_path: Path) -> None:
    small = load(tmp_path, TWO_MODELS).resolve("small")
    assert small is not None
    assert small.source == str(tmp_path / "folder" / "small")


def test_an_unlisted_name_is_a_hub_id_unless_that_is_forbidden(tmp_path: Path) -> None:
    assert load(tmp_path, TWO_MODELS).resolve("someone/else") is None
    allowed = load(tmp_path, TWO_MODELS, allow_unlisted=True)
    assert allowed.resolve("someone/else") == ModelSpec("someone/else", "someone/else")
    assert load(tmp_path, "").specs == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[models]", "not valid"),
        ("[[models]]", "name"),
        ('[[models]]\nname = ""', "name"),
        ('[[models]]\nname = "a"\nnmae = "b"', "nmae"),
        ('[[models]]\nname = "a"\naliases = "b"', "aliases"),
        ('[[model]]\nname = "a"', "model"),
        ('[[models]]\nname = "a"\n[[models]]\nname = "b"\naliases = ["a"]', "a more than once"),
        (b"\xff\xfe", "models.toml"),
    ],
)
def test_a_mistake_in_the_file_is_one_error_that_names_it(
    tmp_path: Path, text: str | bytes, told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        load(tmp_path, text)


def test_a_file_that_cannot_be_read_is_one_error_that_names_it(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.toml", tmp_path):
        with pytest.raises(ConfigurationError, match=path.name):
            load_models(path, allow_unlisted=True)


def test_the_models_file_that_comes_with_the_project_is_valid() -> None:
    assert load_models(PROJECT_DIR / "models.toml", allow_unlisted=False).specs


def test_the_model_of_the_demo_leaves_a_desktop_its_part_of_the_card() -> None:
    """vLLM refuses to start where less than this share of the whole card is free, and its own default is 0.92."""
    spec = load_models(PROJECT_DIR / "models.toml", allow_unlisted=False).resolve(DEFAULT_MODEL)
    assert spec is not None
    assert spec.engine["gpu_memory_utilization"] <= 0.5
