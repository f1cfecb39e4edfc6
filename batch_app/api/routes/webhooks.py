"""/v1/webhook_deliveries: which receiver was told what."""

from typing import Annotated

from fastapi import APIRouter, Query

from batch_app.api.context import Ctx
from batch_app.api.openapi import failures
from batch_app.api.schemas.webhooks import DeliveryList, DeliveryObject, EventObject
from batch_app.settings import shown_url
from batch_app.states import DeliveryStatus
from batch_app.store import webhooks
from batch_app.store.webhooks import Delivery

router = APIRouter(prefix="/v1/webhook_deliveries", tags=["webhooks"])


@router.get("", responses=failures(400))
def list_deliveries(
    context: Ctx,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[int | None, Query(ge=0, le=2**62, description="the last delivery already seen")] = None,
    batch_id: Annotated[str | None, Query(description="only of this batch")] = None,
    status: DeliveryStatus | None = None,
) -> DeliveryList:
    """The webhooks of ended batches, newest first, with what each receiver answered."""
    found = webhooks.list_deliveries(
        context.database, limit=limit + 1, after=after, batch_id=batch_id, status=status
    )
    return DeliveryList(data=[_view(delivery) for delivery in found[:limit]], has_more=len(found) > limit)


def _view(delivery: Delivery) -> DeliveryObject:
    return DeliveryObject(
        id=delivery.id,
        event=EventObject(
            id=delivery.event_id,
            type=delivery.event_type,
            created_at=int(delivery.event_created_at),
            batch_id=delivery.batch_id,
        ),
        url=shown_url(delivery.url),
        status=delivery.status,
        attempts=delivery.attempts,
        next_attempt_at=delivery.next_attempt_at,
        last_attempt_at=delivery.last_attempt_at,
        status_code=delivery.status_code,
        error=delivery.error,
    )
