"""What vLLM is started with, from an entry of the models file."""

from pathlib import Path
from typing import Any

import pytest

from batch_app.errors import ConfigurationError
from batch_app.inference.engine import ModelLoadError
from batch_app.inference.vllm_arguments import command_line, environment, is_local, missing, require_folder
from batch_app.input.body_rules import MAX_SEQUENCES
from batch_app.models import ModelSpec, load_models
from batch_app.settings import Settings
from batch_app.worker import require_engine

KNOWN = {"max_model_len", "enforce_eager", "limit_mm_per_prompt", "middle", "trust_remote_code", "model"}


def _line(*, cpu_memory_bytes: int | None = None, **engine: Any) -> list[str]:
    spec = ModelSpec(name="small", source="/models/small", engine=engine)
    return command_line(spec, known=KNOWN, cpu_memory_bytes=cpu_memory_bytes)


def test_values_are_written_as_the_command_line_wants_them() -> None:
    line = _line(
        max_model_len=2048, enforce_eager=False, limit_mm_per_prompt={"image": 0}, middle=[1, {"a": "b"}]
    )
    assert "--max-model-len=2048" in line
    assert "--no-enforce-eager" in line
    assert '--limit-mm-per-prompt={"image": 0}' in line
    start = line.index("--middle")
    assert line[start : start + 3] == ["--middle", "1", '{"a": "b"}']


def test_the_entry_says_which_model_is_served_under_which_name() -> None:
    line = _line()
    assert "--model=/models/small" in line
    assert "--served-model-name=small" in line


@pytest.mark.parametrize(
    "name",
    [
        "trust_remote_code", "model", "trust_request_chat_template", "trust_request_mm_kwargs",
        "allowed_local_media_path", "allowed_media_domains", "enable_mm_embeds", "enable_prompt_embeds",
    ],
)  # fmt: skip
def test_arguments_that_are_not_the_entrys_to_give_are_refused(name: str) -> None:
    with pytest.raises(ModelLoadError, match=f"{name} is refused"):
        _line(**{name: True})


def test_remote_code_may_be_forbidden_explicitly() -> None:
    assert "--no-trust-remote-code" in _line(trust_remote_code=False)


def test_an_unknown_argument_is_named() -> None:
    with pytest.raises(ModelLoadError, match="max_modl_len"):
        _line(max_modl_len=1)


def test_the_engine_fetches_nothing_and_compiles_no_schema_as_a_whole_unless_told_to() -> None:
    line = _line()
    assert line[line.index("--allowed-media-domains") + 1] == "nowhere.invalid"
    assert '--structured-outputs-config={"backend": "guidance"}' in line
    assert environment({})["VLLM_ENFORCE_STRICT_TOOL_CALLING"] == "0"  # what it cannot read, it would refuse
    assert environment({})["VLLM_MEDIA_URL_ALLOW_REDIRECTS"] == "0"
    assert environment({})["VLLM_MAX_N_SEQUENCES"] == str(MAX_SEQUENCES)


def test_on_a_cpu_a_quarter_of_the_free_memory_is_for_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE", raising=False)
    line = _line(cpu_memory_bytes=4_000_000_000)
    assert "--kv-cache-memory-bytes=1000000000" in line
    assert "--enforce-eager" in line
    assert not any("kv-cache" in word or "eager" in word for word in _line(cpu_memory_bytes=None))


def test_on_a_gpu_nothing_that_makes_it_fast_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA graphs and the prefix cache are vLLM's own defaults there, and so are its offline limits of a step."""
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE", raising=False)
    gpu = " ".join(_line(cpu_memory_bytes=None))
    for word in ("enforce-eager", "prefix-caching", "max-num-seqs", "max-num-batched-tokens", "compilation"):
        assert word not in gpu


def test_on_a_cpu_every_core_computes() -> None:
    assert environment({})["VLLM_CPU_NUM_OF_RESERVED_CPU"] == "0"


def test_what_the_operator_has_set_in_the_environment_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "2")
    assert not any("kv-cache" in word for word in _line(cpu_memory_bytes=4_000_000_000))
    variables = environment({"VLLM_LOGGING_LEVEL": "DEBUG", "VLLM_CPU_OMP_THREADS_BIND": "0-3"})
    assert "VLLM_LOGGING_LEVEL" not in variables
    assert "VLLM_CPU_NUM_OF_RESERVED_CPU" not in variables
    assert variables["VLLM_NO_USAGE_STATS"] == "1"


def test_a_folder_that_holds_no_model_is_refused(tmp_path: Path) -> None:
    spec = ModelSpec(name="small", source=str(tmp_path))
    assert is_local(spec)
    assert not is_local(ModelSpec(name="google/gemma-3-4b-it", source="google/gemma-3-4b-it"))
    with pytest.raises(ModelLoadError, match=r"holds no config\.json"):
        require_folder(spec)
    (tmp_path / "config.json").touch()
    require_folder(spec)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("SmolLM2-135M-Instruct", "`make setup` makes it"),
        ("all-MiniLM-L6-v2", "`make embeddings` makes it"),
        ("my-model", "put the model there"),
    ],
)
def test_a_model_that_is_not_there_comes_with_what_to_do(tmp_path: Path, name: str, remedy: str) -> None:
    assert missing(tmp_path / name) == f"folder {tmp_path / name} does not exist; {remedy}"
    settings = Settings(models_file=_models_file(tmp_path, name))
    with pytest.raises(ConfigurationError, match=f"model mine: .*{remedy}.*models.toml"):
        require_engine(settings, load_models(settings.models_file, allow_unlisted=False))


def _models_file(folder: Path, name: str) -> Path:
    path = folder / "models.toml"
    path.write_text(f'[[models]]\nname = "mine"\npath = "{name}"\n')
    return path
