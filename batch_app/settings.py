"""Every knob in one frozen object, read once from the environment, then from an optional `.env`.

Names start with BATCH_. An unknown BATCH_ name or a malformed value refuses to start, with the name in the message.
"""

import base64
import os
import re
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from batch_app.errors import ConfigurationError

PROJECT_DIR = Path(__file__).resolve().parent.parent
PREFIX = "BATCH_"
_ENV_FILE = f"{PREFIX}ENV_FILE"
_EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104  # addresses to recognise, not to bind
_COMPLETION_WINDOW = re.compile(r"([1-9]\d{0,5})([hd])", re.ASCII)
_UNIT_SECONDS = {"h": 3600.0, "d": 86400.0}
_MAKE_ONE = "make one: echo whsec_$(head -c 32 /dev/urandom | base64)"
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Settings(BaseSettings):
    """Defaults suit one machine with one 16 GB GPU; a relative path is relative to the current folder."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    env_file: Path = Field(
        Path(".env"), description="file of what the environment does not set; /dev/null for none"
    )
    data_dir: Path = Field(Path("data"), description="folder of the database and all files")
    api_host: str = Field("127.0.0.1", description="address the API listens on")
    api_port: int = Field(4080, ge=1, le=65535, description="port of the API")
    web_host: str = Field("127.0.0.1", description="address the pages are served on")
    web_port: int = Field(8001, ge=1, le=65535, description="port of the pages")
    api_key: SecretStr | None = Field(None, min_length=1, description="bearer key every API call must carry")
    allowed_hosts: str = Field("", description="further host names clients may use, separated by commas")
    allow_open_network: bool = Field(False, description="listen beyond loopback without an API key")

    webhook_urls: str = Field("", description="who is told of ended batches, separated by commas")
    webhook_secret: SecretStr | None = Field(
        None,
        description="signs webhooks: whsec_ and 24 to 64 random bytes in base64; a second one for a change",
    )

    engine: Literal["vllm", "echo"] = Field("vllm", description="echo answers at once, without a model")
    echo_latency_ms: int = Field(0, ge=0, description="milliseconds the echo engine takes per answer")
    echo_journal: Path | None = Field(
        None, description="file where the echo engine notes each request it answers"
    )
    models_file: Path = Field(PROJECT_DIR / "models.toml", description="served models and engine arguments")
    allow_unlisted_models: bool = Field(
        True, description="take a model that is not in the models file as a hub id"
    )
    allow_grammars: bool = Field(
        False,
        description="take requests with free grammars, which can keep an engine busy; trust their senders",
    )
    window: int = Field(0, ge=0, description="requests in flight at once; 0 lets the engine say")
    window_bytes: int = Field(64 * 1024 * 1024, ge=1, description="bytes of lines in flight at once")
    model_turn_seconds: float = Field(900, gt=0, description="longest a loaded model keeps others waiting")

    expire_batches: bool = Field(True, description="0 lets no batch expire, whatever its completion window")
    completion_windows: str = Field("24h", description="completion windows clients may ask for, as 24h or 7d")
    chunk_size: int = Field(5000, ge=1, description="lines a worker takes from the ledger at a time")
    max_requests_per_batch: int = Field(50_000, ge=1, description="lines in one batch")
    max_active_batches: int = Field(5, ge=1, description="batches queued or running at once")
    max_queued_requests: int = Field(100_000, ge=1, description="unanswered lines over all active batches")
    max_file_bytes: int = Field(200 * 1024 * 1024, ge=1, description="bytes in one uploaded file")
    max_line_bytes: int = Field(4 * 1024 * 1024, ge=1, description="bytes in one line")

    keep_ended_batches_days: float = Field(
        0, ge=0, description="after which ended batches and unused files are deleted; 0 keeps them for ever"
    )

    answer_cache_bytes: int = Field(
        1024**3, ge=0, description="size of the answers kept for batches with use_cache"
    )

    heartbeat_seconds: float = Field(10, gt=0, description="between two heartbeats of a worker")
    late_seconds: float = Field(30, gt=0, description="heartbeat age from which a worker is called late")
    lost_seconds: float = Field(
        60, gt=0, description="heartbeat age from which a worker's claims are released"
    )
    max_attempts: int = Field(3, ge=1, description="attempts at a request that ends in a server error")
    retry_backoff_seconds: float = Field(2, ge=0, description="before the second attempt; doubles with each")
    max_engine_deaths: int = Field(2, ge=1, description="engine deaths after which a request runs alone")
    engine_stall_seconds: float = Field(
        100,
        gt=0,
        description="without any sign of work before the engine is replaced; 6 times that if it computes",
    )
    max_memory_percent: float = Field(
        90,
        ge=0,
        le=100,
        description="of the machine's or container's, held by the worker, before its engine is replaced; 0: never",
    )
    grace_seconds: float = Field(30, ge=0, description="for lines in flight after SIGTERM")

    log_format: Literal["text", "json"] = Field("text", description="json writes one object per line")
    gpu_max_memory_percent: float = Field(95, gt=0, le=100, description="above it batches are refused")
    gpu_max_temperature_c: float = Field(
        85, gt=0, description="above it batches are refused and feeding pauses"
    )
    require_gpu: bool = Field(False, description="refuse batches when there is no GPU")

    @model_validator(mode="after")
    def _closed_network_or_key(self) -> Self:
        if self.api_host not in _LOOPBACK and self.api_key is None and not self.allow_open_network:
            raise ValueError(
                f"BATCH_API_HOST={self.api_host} is open to the network: set BATCH_API_KEY, "
                "or BATCH_ALLOW_OPEN_NETWORK=1 if you mean it"
            )
        return self

    @model_validator(mode="after")
    def _lost_after_several_heartbeats(self) -> Self:
        if not self.heartbeat_seconds < self.late_seconds < self.lost_seconds:
            raise ValueError(
                "BATCH_HEARTBEAT_SECONDS must be less than BATCH_LATE_SECONDS, and that less than "
                f"BATCH_LOST_SECONDS; they are {self.heartbeat_seconds:g}, {self.late_seconds:g} and "
                f"{self.lost_seconds:g}"
            )
        return self

    @field_validator("completion_windows")
    @classmethod
    def _windows_can_be_asked_for(cls, given: str) -> str:
        _windows_in(given)
        return given

    @model_validator(mode="after")
    def _webhooks_can_be_signed(self) -> Self:
        for number, url in enumerate(self.webhook_receivers, 1):
            if not _is_webhook_url(url):
                raise ValueError(
                    f"number {number} of BATCH_WEBHOOK_URLS is not as it must be: http(s)://host/path, "
                    "without a user or password"
                )
        if self.webhook_receivers and not self.webhook_secrets:
            raise ValueError(f"BATCH_WEBHOOK_URLS needs a BATCH_WEBHOOK_SECRET; {_MAKE_ONE}")
        for secret in self.webhook_secrets:
            if not _is_webhook_secret(secret):
                raise ValueError(
                    f"BATCH_WEBHOOK_SECRET must be whsec_ and 24 to 64 bytes in base64; {_MAKE_ONE}"
                )
        return self

    @property
    def window_seconds(self) -> dict[str, float]:
        """How long each allowed completion window lasts, in the order they were given."""
        return _windows_in(self.completion_windows)

    @property
    def webhook_receivers(self) -> list[str]:
        return list(dict.fromkeys(url.strip() for url in self.webhook_urls.split(",") if url.strip()))

    @property
    def webhook_secrets(self) -> list[str]:
        """Every webhook is signed with each of them, so that a receiver can change from one to the next."""
        given = self.webhook_secret.get_secret_value() if self.webhook_secret else ""
        return [secret.strip() for secret in given.split(",") if secret.strip()]

    @property
    def database_path(self) -> Path:
        return self.data_dir / "batch.db"

    @property
    def files_dir(self) -> Path:
        """Finished files: uploads and published results."""
        return self.data_dir / "files"

    @property
    def work_dir(self) -> Path:
        """Answer logs of unfinished batches, a folder each."""
        return self.data_dir / "work"

    @property
    def index_dir(self) -> Path:
        """What makes answers searchable, a file for each batch; may be deleted at any time."""
        return self.data_dir / "index"

    @property
    def cache_path(self) -> Path:
        """Answers that batches of the past got; may be deleted at any time."""
        return self.data_dir / "cache" / "answers.db"

    @property
    def temp_dir(self) -> Path:
        """Uploads and files being written; nothing in it survives a restart."""
        return self.data_dir / "tmp"

    @property
    def api_url(self) -> str:
        host = "127.0.0.1" if self.api_host in _EVERYWHERE else self.api_host
        return f"http://{host}:{self.api_port}"


def _windows_in(given: str) -> dict[str, float]:
    """Seconds by window. Raises ValueError."""
    seconds = {}
    for word in map(str.strip, given.split(",")):
        match = _COMPLETION_WINDOW.fullmatch(word)
        if match is None:
            raise ValueError(f"{word!r} is no completion window; they are as 24h or 7d, separated by commas")
        seconds[word] = int(match[1]) * _UNIT_SECONDS[match[2]]
    return seconds


def _is_webhook_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _port = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc


def _is_webhook_secret(secret: str) -> bool:
    """As the Standard Webhooks specification has it."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        return False
    return secret.startswith("whsec_") and 24 <= len(key) <= 64


def load_settings() -> Settings:
    """Read the environment and the file. Raises ConfigurationError naming each unknown or malformed BATCH_ variable."""
    env_file = _env_file()
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    in_file = {name.upper() for name in dotenv_values(env_file)}
    if _ENV_FILE in in_file:
        raise ConfigurationError(f"{env_file} cannot name another file: set {_ENV_FILE} in the environment")
    given = {*os.environ, *in_file}
    if unknown := sorted(name for name in given if name.startswith(PREFIX) and name not in known):
        raise ConfigurationError(f"unknown setting {', '.join(unknown)}; `--check` lists the names there are")
    try:
        return Settings(_env_file=env_file)
    except ValidationError as error:
        raise ConfigurationError("; ".join(_explain(dict(item)) for item in error.errors())) from None


def _env_file() -> Path:
    """One that was asked for must be there."""
    given = os.environ.get(_ENV_FILE)
    path = Path(".env" if given is None else given)
    if given is not None and (path.is_dir() or not path.exists()):
        raise ConfigurationError(f"{_ENV_FILE}={given!r}: there is no such file")
    return path


def lend_to_environment(settings: Settings) -> None:
    """Give this process, and those it starts, what the file holds for others (HF_TOKEN, VLLM_…) and the environment
    does not."""
    for name, value in dotenv_values(settings.env_file).items():
        if value is not None and not name.upper().startswith(PREFIX):
            os.environ.setdefault(name, value)


def describe(settings: Settings) -> str:
    """One line per setting: name, effective value, meaning. Secrets are masked."""
    shown = {"webhook_urls": ", ".join(map(shown_url, settings.webhook_receivers))}
    rows = [
        (PREFIX + name.upper(), shown.get(name, str(getattr(settings, name))), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(f"{name:<32} {value:<28} {meaning}" for name, value, meaning in rows)


def shown_url(url: str) -> str:
    """Without its query, which may hold the receiver's secret."""
    head, mark, _query = url.partition("?")
    return f"{head}?…" if mark else head


def _explain(item: dict[str, object]) -> str:
    message = str(item["msg"]).removeprefix("Value error, ")
    location = item["loc"]
    if not isinstance(location, tuple) or not location:
        return message
    name = str(location[0]).upper()
    return f"{name if name.startswith(PREFIX) else PREFIX + name}={item['input']!r}: {message}"
