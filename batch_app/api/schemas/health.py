"""What GET /health and the probes answer. Times are whole Unix seconds; a nullable key is always present."""

from typing import Literal

from pydantic import BaseModel, Field

from batch_app.store.workers import HeartbeatStatus

GpuWord = Literal["healthy", "not present", "too hot", "memory full"]


class DatabaseHealth(BaseModel):
    status: Literal["ok"]
    schema_revision: str | None = Field(alias="schema", description="the newest migration in it")
    size_bytes: int
    wal_bytes: int


class GpuHealth(BaseModel):
    """A reading is null without a GPU, and where the driver does not tell."""

    available: bool
    status: GpuWord
    name: str | None
    memory_used_bytes: int | None
    memory_total_bytes: int | None
    own_memory_bytes: int | None = Field(description="held by our own worker")
    temperature_c: float | None
    utilization_percent: float | None
    power_w: float | None
    processes: int | None
    memory_percent: float | None
    max_memory_percent: float
    max_temperature_c: float


class WorkerHealth(BaseModel):
    """The worker that lives, or the one that lived last; what one that stopped or is lost last did is not told."""

    status: str = Field(description="idle, loading, processing …; late or lost by its heartbeat; none")
    heartbeat: HeartbeatStatus
    heartbeat_age_seconds: float | None
    id: str | None
    pid: int | None
    host: str | None
    engine: str | None
    model: str | None
    batch_id: str | None
    batch_ids: list[str]
    requests_in_flight: int
    tokens_per_second: float
    cached_prompt_share: float | None = Field(description="0 to 1")
    engine_restarts: int
    memory_bytes: int | None = Field(description="resident, its engine included")
    trouble: str | None = Field(description="what keeps it from its work")
    started_at: int | None


class QueueHealth(BaseModel):
    accepting: bool
    reason: str | None = Field(description="why no batch is accepted now")
    active_batches: int
    max_active_batches: int
    queued_requests: int
    max_queued_requests: int
    oldest_waiting_seconds: float | None
    max_requests_per_batch: int
    max_file_bytes: int
    max_line_bytes: int
    allow_grammars: bool


class LastDay(BaseModel):
    answers: int
    failed: int
    dead_letters: int


class DiskHealth(BaseModel):
    path: str
    free_bytes: int
    total_bytes: int
    free_percent: float


class Health(BaseModel):
    """`problems` is empty when `status` is ok; each says what to do."""

    status: Literal["ok", "degraded"]
    problems: list[str]
    version: str
    time: int
    database: DatabaseHealth
    gpu: GpuHealth
    worker: WorkerHealth
    queue: QueueHealth
    last_24_hours: LastDay
    disk: DiskHealth


class Liveness(BaseModel):
    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    status: Literal["ready", "not ready"]
    checks: dict[str, bool] = Field(description="what must be true: `schema`, `worker`")
