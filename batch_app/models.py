"""The models file: which models are served, under which names, with which engine arguments.

A TOML file read by the API (is this model known?) and the worker (how is it loaded?). Imports no engine.
"""

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from batch_app.errors import ConfigurationError

# As the hub has them, with vLLM's choice of a quantization. What looks otherwise is a folder of this machine, or an
# address: vLLM would load those too, and clients are not to choose any.
_HUB_ID = re.compile(r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)?(:[\w.-]+)?", re.ASCII)


@dataclass(frozen=True)
class ModelSpec:
    """One served model. `source` is a folder on this machine or a hub id; `engine` holds vLLM engine arguments."""

    name: str
    source: str
    aliases: tuple[str, ...] = ()
    engine: dict[str, Any] = field(default_factory=dict)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(min_length=1)
    path: str | None = None
    aliases: list[str] = []
    engine: dict[str, Any] = {}


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    models: list[_Entry] = []


class Models:
    """The served models by name and alias. Unlisted names are hub ids, unless the operator forbids them."""

    def __init__(self, specs: list[ModelSpec], *, allow_unlisted: bool) -> None:
        self.specs = specs
        self._allow_unlisted = allow_unlisted
        self._by_name = {word: spec for spec in specs for word in (spec.name, *spec.aliases)}

    def resolve(self, name: str) -> ModelSpec | None:
        """The model meant by a name, alias or hub id; None when it may not be served here."""
        if name in self._by_name:
            return self._by_name[name]
        if self._allow_unlisted and _HUB_ID.fullmatch(name) and ".." not in name:
            return ModelSpec(name=name, source=name)
        return None


def load_models(path: Path, *, allow_unlisted: bool) -> Models:
    """Read the models file; a `path` in it is relative to the file's own folder. Raises ConfigurationError."""
    try:
        entries = _File.model_validate(tomllib.loads(path.read_text())).models
    except FileNotFoundError:
        raise ConfigurationError(
            f"models file {path} does not exist; set BATCH_MODELS_FILE to one that does"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise ConfigurationError(f"models file {path} is not valid: {error}") from None
    except OSError as error:
        raise ConfigurationError(f"models file {path} cannot be read: {error.strerror}") from None
    words = [word for entry in entries for word in (entry.name, *entry.aliases)]
    if twice := sorted({word for word in words if words.count(word) > 1}):
        raise ConfigurationError(f"models file {path} names {', '.join(twice)} more than once")
    specs = [
        ModelSpec(
            name=entry.name,
            source=str((path.parent / entry.path).resolve()) if entry.path else entry.name,
            aliases=tuple(entry.aliases),
            engine=entry.engine,
        )
        for entry in entries
    ]
    return Models(specs, allow_unlisted=allow_unlisted)
