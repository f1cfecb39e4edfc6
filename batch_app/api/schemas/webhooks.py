"""What goes over the wire about webhooks."""

from typing import Literal

from pydantic import Field

from batch_app.api.schemas.batches import WireObject
from batch_app.states import DeliveryStatus


class EventObject(WireObject):
    """What a webhook tells: the batch, and the state it ended in."""

    id: str
    type: str
    created_at: int
    batch_id: str


class DeliveryObject(WireObject):
    """An event on its way to one receiver; `failed` means given up."""

    id: int
    object: Literal["webhook_delivery"] = "webhook_delivery"
    event: EventObject
    url: str = Field(description="without its query")
    status: DeliveryStatus
    attempts: int
    next_attempt_at: float | None
    last_attempt_at: float | None
    status_code: int | None = Field(description="of the last answer")
    error: str | None = Field(description="why the last attempt failed")


class DeliveryList(WireObject):
    """`after` of the next page is the last delivery's `id`."""

    object: Literal["list"] = "list"
    data: list[DeliveryObject]
    has_more: bool
