"""Settings come from the environment, and a mistake in them is told by name instead of ignored."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from batch_app.errors import ConfigurationError
from batch_app.settings import PREFIX, Settings, describe, lend_to_environment, load_settings


def test_the_defaults_are_those_the_design_names() -> None:
    settings = load_settings()
    assert (settings.api_host, settings.api_port, settings.web_port) == ("127.0.0.1", 4080, 8001)
    assert (settings.chunk_size, settings.max_requests_per_batch) == (5_000, 50_000)
    assert (settings.max_active_batches, settings.max_queued_requests) == (5, 100_000)
    assert (settings.gpu_max_memory_percent, settings.gpu_max_temperature_c) == (95, 85)
    assert settings.engine == "vllm"


def test_a_variable_changes_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_API_PORT", "5000")
    monkeypatch.setenv("BATCH_REQUIRE_GPU", "1")
    settings = load_settings()
    assert (settings.api_port, settings.require_gpu) == (5000, True)


@pytest.mark.parametrize("name", ["BATCH_API_PROT", "BATCH_", "BATCH_data_dir"])
def test_an_unknown_name_refuses_to_start_and_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigurationError, match=f"unknown setting {name}"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BATCH_API_PORT", "http"),
        ("BATCH_API_PORT", "0"),
        ("BATCH_API_PORT", "65536"),
        ("BATCH_CHUNK_SIZE", "0"),
        ("BATCH_ENGINE", "tpu"),
        ("BATCH_REQUIRE_GPU", "perhaps"),
        ("BATCH_HEARTBEAT_SECONDS", "-1"),
        ("BATCH_HEARTBEAT_SECONDS", ""),
        ("BATCH_API_KEY", ""),
        *(("BATCH_COMPLETION_WINDOWS", value) for value in ("90m", "24H", "1w", "0h", "", "24h,", "24h;7d")),
    ],
)
def test_a_malformed_value_refuses_to_start_and_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=f"{name}={value!r}"):
        load_settings()


def test_every_mistake_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_API_PORT", "http")
    monkeypatch.setenv("BATCH_ENGINE", "tpu")
    with pytest.raises(ConfigurationError, match=r"BATCH_API_PORT.*; BATCH_ENGINE"):
        load_settings()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "example.com"])
def test_an_open_network_needs_a_key_or_somebody_who_means_it(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("BATCH_API_HOST", host)
    with pytest.raises(ConfigurationError, match="set BATCH_API_KEY"):
        load_settings()
    monkeypatch.setenv("BATCH_API_KEY", "secret")
    assert load_settings().api_host == host
    monkeypatch.delenv("BATCH_API_KEY")
    monkeypatch.setenv("BATCH_ALLOW_OPEN_NETWORK", "1")
    assert load_settings().api_host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_needs_no_key(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("BATCH_API_HOST", host)
    assert load_settings().api_key is None


def test_the_description_lists_every_setting_with_its_meaning_and_masks_the_key() -> None:
    rows = describe(Settings(api_key="very-secret")).splitlines()
    assert [row.split()[0] for row in rows] == [PREFIX + name.upper() for name in Settings.model_fields]
    assert all(field.description for field in Settings.model_fields.values())
    assert not any("very-secret" in row for row in rows)


def test_settings_cannot_change_while_the_process_runs() -> None:
    with pytest.raises(ValidationError):
        Settings().api_port = 1  # type: ignore[misc]


def test_everything_that_is_kept_lies_in_the_data_folder(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    for path in (settings.database_path, settings.files_dir, settings.work_dir, settings.temp_dir):
        assert path.parent == tmp_path


def test_the_pages_can_reach_an_api_that_listens_everywhere() -> None:
    assert (
        Settings(api_host="0.0.0.0", api_port=1234, allow_open_network=True).api_url
        == "http://127.0.0.1:1234"
    )


@pytest.fixture
def dot_env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The optional `.env` in the current folder, still to be written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BATCH_ENV_FILE")
    return tmp_path / ".env"


def test_a_dot_env_sets_what_the_environment_does_not(dot_env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dot_env.write_text("BATCH_API_PORT=5000\nBATCH_WEB_PORT=5001\n")
    monkeypatch.setenv("BATCH_WEB_PORT", "6001")
    settings = load_settings()
    assert (settings.api_port, settings.web_port) == (5000, 6001)


def test_an_unknown_name_in_a_dot_env_refuses_to_start_and_is_named(dot_env: Path) -> None:
    dot_env.write_text("BATCH_API_PROT=5000\n")
    with pytest.raises(ConfigurationError, match="BATCH_API_PROT"):
        load_settings()


def test_what_a_dot_env_holds_for_other_programs_is_theirs(dot_env: Path) -> None:
    dot_env.write_text("HF_TOKEN=hf_secret\nCUDA_VISIBLE_DEVICES=0\n")
    assert load_settings().api_port == 4080
    assert os.environ.get("HF_TOKEN") != "hf_secret"


def test_the_worker_lends_that_to_its_engine_and_the_environment_wins(
    dot_env: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dot_env.write_text("BATCH_API_PORT=5000\nHF_TOKEN=it's a#b\nHF_HOME=/of the file\n")
    monkeypatch.setenv("HF_HOME", "/of the environment")
    monkeypatch.setenv("HF_TOKEN", "")  # so that it is gone again after the test
    monkeypatch.delenv("HF_TOKEN")
    lend_to_environment(load_settings())
    assert (os.environ["HF_HOME"], os.environ["HF_TOKEN"]) == ("/of the environment", "it's a#b")
    assert "BATCH_API_PORT" not in os.environ


def test_another_file_can_stand_for_the_dot_env(dot_env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dot_env.write_text("BATCH_API_PORT=5000\n")
    (dot_env.parent / "second.env").write_text("BATCH_WEB_PORT=6001\n")
    monkeypatch.setenv("BATCH_ENV_FILE", "second.env")
    settings = load_settings()
    assert (settings.env_file, settings.api_port, settings.web_port) == (Path("second.env"), 4080, 6001)


@pytest.mark.parametrize("given", ["missing.env", "", "."])
def test_a_file_that_was_asked_for_and_is_not_there_refuses_to_start(
    dot_env: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("BATCH_ENV_FILE", given)
    with pytest.raises(ConfigurationError, match=f"BATCH_ENV_FILE={given!r}"):
        load_settings()


def test_a_file_cannot_name_another(dot_env: Path) -> None:
    dot_env.write_text("BATCH_ENV_FILE=second.env\n")
    with pytest.raises(ConfigurationError, match="set BATCH_ENV_FILE in the environment"):
        load_settings()
