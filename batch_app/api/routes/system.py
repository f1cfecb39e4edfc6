"""Health, readiness, models, chart samples and metrics."""

import time
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse, Response

from batch_app.api import metrics
from batch_app.api.context import Ctx
from batch_app.api.health import health
from batch_app.api.openapi import NEEDS_NO_KEY, failures
from batch_app.api.schemas import batches
from batch_app.api.schemas.health import Health, Liveness, Readiness
from batch_app.operations.migrate import Schema, schema_of
from batch_app.store import workers

router = APIRouter(tags=["system"])


@router.head("/health", include_in_schema=False)
@router.get("/health")
def get_health(context: Ctx) -> Health:
    """Database, GPU, worker, queue and disk, with what to do about each problem."""
    return health(context)


@router.head("/livez", include_in_schema=False)
@router.get("/livez", openapi_extra=NEEDS_NO_KEY)
def get_livez() -> Liveness:
    """The process answers. Needs no key."""
    return Liveness()


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", responses={503: {"model": Readiness, "description": "Not ready."}})
def get_readyz(context: Ctx, response: Response) -> Readiness:
    """Whether batches can be accepted and worked on: 200, or 503 with what is missing."""
    worker = workers.latest_worker(context.database)
    checks = {
        "schema": schema_of(context.database) is Schema.CURRENT,
        "worker": workers.heartbeat_status(worker, context.settings, now=time.time()) == "fresh",
    }
    if all(checks.values()):
        return Readiness(status="ready", checks=checks)
    response.status_code = 503
    return Readiness(status="not ready", checks=checks)


@router.get("/v1/models")
def list_models(context: Ctx) -> batches.ModelList:
    """The models of the models file, and which of them is loaded."""
    worker = workers.heard_worker(context.database, context.settings, now=time.time())
    loaded = worker.model if worker else None
    data = [
        batches.ModelObject(id=spec.name, created=0, aliases=list(spec.aliases), loaded=spec.name == loaded)
        for spec in context.models.specs
    ]
    return batches.ModelList(data=data)


@router.get("/v1/samples", responses=failures(400))
def list_samples(
    context: Ctx,
    hours: Annotated[float, Query(gt=0, le=168, description="how far back")] = 1,
    step: Annotated[
        int | None, Query(ge=10, le=86_400, description="the mean of so many seconds instead of each reading")
    ] = None,
) -> batches.SampleList:
    """One reading every ten seconds, for charts; kept for seven days."""
    since = time.time() - hours * 3600
    found = workers.list_samples(context.database, since=since, step_seconds=step)
    return batches.SampleList(data=found)


@router.get("/metrics", response_class=PlainTextResponse)
def get_metrics(context: Ctx) -> Response:
    """Prometheus metrics. No ids among the labels."""
    return Response(metrics.render(context), media_type="text/plain; version=0.0.4")
