"""What every route works with, made once per API process."""

from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request
from prometheus_client import CollectorRegistry

from batch_app.answer_index.index import Indexes
from batch_app.api.submission import Submissions
from batch_app.database import Database
from batch_app.models import Models
from batch_app.settings import Settings


@dataclass(frozen=True)
class Context:
    settings: Settings
    database: Database
    models: Models
    submissions: Submissions
    indexes: Indexes
    http_metrics: CollectorRegistry = field(default_factory=CollectorRegistry)


def _context(request: Request) -> Context:
    return cast(Context, request.app.state.context)


Ctx = Annotated[Context, Depends(_context)]
