"""Tells the operator's receivers that a batch has ended: OpenAI's events, signed as Standard Webhooks has it.

Events wait in the database's outbox. Each receiver has a task of its own, so one that is slow or dead delays neither
the others nor any batch. A receiver may get an event twice, under the same webhook-id, when this process dies between
the answer and its note.
"""

import asyncio
import json
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import httpx
from sqlalchemy.exc import SQLAlchemyError
from standardwebhooks.webhooks import Webhook

from batch_app.database import Database
from batch_app.settings import Settings, shown_url
from batch_app.states import DeliveryStatus
from batch_app.store import webhooks
from batch_app.store.webhooks import Delivery

log = logging.getLogger(__name__)

# Seconds between the attempts, as the Standard Webhooks specification suggests: over three days in all.
RETRY_AFTER = (5, 300, 1800, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
_JITTER = 0.1
_TIMEOUT_SECONDS = 15.0
_POLL_SECONDS = 1.0
_AT_ONCE = 20
_GONE = 410
_SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said: a status code, or why there is none."""

    status_code: int | None
    error: str | None

    @property
    def is_accepted(self) -> bool:
        return self.error is None


class WebhookSender:
    """Sends what is in the outbox, until cancelled."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._urls = settings.webhook_receivers
        self._signers = [Webhook(secret) for secret in settings.webhook_secrets]

    async def run_forever(self) -> None:
        """Until cancelled."""
        async with httpx.AsyncClient(
            timeout=_TIMEOUT_SECONDS, follow_redirects=False, trust_env=False
        ) as client:
            receivers = [_again_and_again(partial(self.send_due, client, url)) for url in self._urls]
            await asyncio.gather(_again_and_again(self.address), *receivers)

    async def address(self, *, now: float) -> None:
        """Every event that ended a batch gets its receivers; those that are receivers no more get nothing."""
        await asyncio.to_thread(webhooks.abandon_removed_receivers, self._database, urls=self._urls)
        await asyncio.to_thread(webhooks.create_deliveries, self._database, urls=self._urls, now=now)

    async def send_due(self, client: httpx.AsyncClient, url: str, *, now: float) -> None:
        """One attempt at each delivery to this receiver that is due; an attempt's moment is that of its end, for what
        came before it may have taken minutes."""
        began = time.monotonic()
        due = await asyncio.to_thread(
            webhooks.due_deliveries, self._database, url=url, now=now, limit=_AT_ONCE
        )
        for delivery in due:
            answer = await self._send(client, delivery)
            ended = now + time.monotonic() - began
            await asyncio.to_thread(self._record, delivery, answer, now=ended)

    async def _send(self, client: httpx.AsyncClient, delivery: Delivery) -> Answer:
        body = json.dumps(payload(delivery))
        signed_at = datetime.now(UTC)
        signatures = [signer.sign(delivery.event_id, signed_at, body) for signer in self._signers]
        headers = {
            "content-type": "application/json",
            "user-agent": "batch-webhooks/1",
            "webhook-id": delivery.event_id,
            "webhook-timestamp": str(int(signed_at.timestamp())),
            "webhook-signature": " ".join(signatures),
        }
        try:
            # The answer's body is of no interest, however long it is.
            async with (
                asyncio.timeout(_TIMEOUT_SECONDS),
                client.stream("POST", delivery.url, content=body, headers=headers) as response,
            ):
                accepted = response.is_success
                return Answer(response.status_code, None if accepted else f"HTTP {response.status_code}")
        except (httpx.TimeoutException, TimeoutError):
            return Answer(None, f"no answer within {_TIMEOUT_SECONDS:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return Answer(None, (str(error) or type(error).__name__)[:_SHOWN_CHARACTERS])

    def _record(self, delivery: Delivery, answer: Answer, *, now: float) -> None:
        ids = {"event_id": delivery.event_id, "batch_id": delivery.batch_id, "url": shown_url(delivery.url)}
        next_attempt_at = None if answer.is_accepted else next_attempt(delivery.attempts, answer, now=now)
        if answer.is_accepted:
            status = DeliveryStatus.DELIVERED
            log.info("webhook_delivered", extra=ids)
        elif next_attempt_at is not None:
            status = DeliveryStatus.PENDING
            wait = {"retry_in_seconds": round(next_attempt_at - now)}
            log.warning("webhook_not_delivered", extra={**ids, "reason": answer.error, **wait})
        else:
            status = DeliveryStatus.FAILED
            log.error("webhook_given_up", extra={**ids, "reason": answer.error})
        webhooks.record_attempt(
            self._database,
            delivery_id=delivery.id,
            status=status,
            status_code=answer.status_code,
            error=answer.error,
            next_attempt_at=next_attempt_at,
            now=now,
        )


async def _again_and_again(work: Callable[..., Awaitable[None]]) -> None:
    """Trouble is for the next round: a full disk or a bug of ours ends no sending."""
    while True:
        try:
            await work(now=time.time())
        except SQLAlchemyError as error:
            log.warning("webhooks_wait_for_the_database", extra={"reason": str(error)})
        except Exception:
            log.exception("webhooks_failed")
        await asyncio.sleep(_POLL_SECONDS)


def payload(delivery: Delivery) -> dict[str, object]:
    """OpenAI's event object."""
    return {
        "id": delivery.event_id,
        "object": "event",
        "created_at": int(delivery.event_created_at),
        "type": delivery.event_type,
        "data": {"id": delivery.batch_id},
    }


def next_attempt(failed_before: int, answer: Answer, *, now: float) -> float | None:
    """When to try again; None when the receiver said 410, or has failed often enough."""
    if answer.status_code == _GONE or failed_before >= len(RETRY_AFTER):
        return None
    return now + RETRY_AFTER[failed_before] * random.uniform(1, 1 + _JITTER)  # noqa: S311  # spreads load
