"""Webhooks: what a receiver is sent, how often, and what can be seen of it."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from openai import OpenAI

from batch_app.api import webhook_sender
from batch_app.api.webhook_sender import RETRY_AFTER, WebhookSender
from batch_app.errors import ConfigurationError
from batch_app.settings import Settings, load_settings
from tests.api.served import Api
from tests.receiver import SECRET, Receiver, receiving

Serve = Callable[..., Api]


class Clock:
    """One API with webhooks, whose sender is asked at moments of the test's choosing."""

    def __init__(self, serve: Serve, *receivers: Receiver, secret: str = SECRET) -> None:
        urls = [receiver.url for receiver in receivers]
        self.api = serve(webhook_urls=", ".join(urls), webhook_secret=secret)
        self._sender = WebhookSender(self.api.database, self.api.settings)
        self._urls = urls
        self.now = time.time()

    def send(self, *, after: float = 0) -> None:
        """What the sender does in one round, so many seconds later."""
        self.now += after

        async def once() -> None:
            await self._sender.address(now=self.now)
            async with httpx.AsyncClient(trust_env=False) as client:
                for url in self._urls:
                    await self._sender.send_due(client, url, now=self.now)

        asyncio.run(once())

    def deliveries(self, **params: Any) -> list[dict[str, Any]]:
        answer = self.api.get("/v1/webhook_deliveries", params=params)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["data"])


def test_openais_client_reads_and_verifies_the_event(serve: Serve) -> None:
    with receiving() as receiver:
        clock = Clock(serve, receiver)
        batch_id = clock.api.finished()
        clock.send()
    [(headers, body)] = receiver.calls
    assert headers["content-type"] == "application/json"
    client = OpenAI(api_key="none", webhook_secret=SECRET, _strict_response_validation=True)
    event = client.webhooks.unwrap(body, headers)
    assert event.type == "batch.completed"
    assert (event.object, event.data.id) == ("event", batch_id)
    assert event.id == headers["webhook-id"]
    assert event.created_at == clock.api.batch(batch_id)["completed_at"]
    with pytest.raises(Exception, match="signature"):
        client.webhooks.unwrap(body.replace(batch_id, "batch_" + "0" * 24), headers)


def test_each_kind_of_end_has_its_event(serve: Serve) -> None:
    with receiving() as receiver:
        clock = Clock(serve, receiver, secret=SECRET)
        completed = clock.api.finished()
        cancelled = clock.api.accepted()
        clock.api.post(f"/v1/batches/{cancelled}/cancel")
        clock.api.work()
        expired = clock.api.accepted(completion_window="24h")
        clock.api.work(after_seconds=25 * 3600)
        answer = clock.api.post(
            "/v1/batches",
            json={
                "input_file_id": "file-none",
                "endpoint": "/v1/chat/completions",
                "completion_window": "24h",
            },
        )
        clock.send()
    told = {json.loads(body)["data"]["id"]: json.loads(body)["type"] for _headers, body in receiver.calls}
    assert told == {
        completed: "batch.completed",
        cancelled: "batch.cancelled",
        expired: "batch.expired",
        answer.json()["id"]: "batch.failed",
    }


def test_a_failure_is_tried_again_under_the_same_id_with_growing_pauses(serve: Serve) -> None:
    with receiving(500, 302, 429) as receiver:
        clock = Clock(serve, receiver)
        clock.api.finished()
        clock.send()
        [pending] = clock.deliveries()
        assert (pending["status"], pending["status_code"], pending["error"]) == ("pending", 500, "HTTP 500")
        clock.send(after=RETRY_AFTER[0] - 1)
        assert len(receiver.calls) == 1
        for pause in RETRY_AFTER[:3]:
            clock.send(after=pause * 1.2)
        assert len(receiver.calls) == 4
        assert len(set(receiver.event_ids())) == 1
        clock.send(after=10 * RETRY_AFTER[3])
        assert len(receiver.calls) == 4
    [delivered] = clock.deliveries()
    assert (delivered["status"], delivered["attempts"], delivered["error"]) == ("delivered", 4, None)


def test_a_receiver_that_keeps_failing_is_given_up_after_three_days(serve: Serve) -> None:
    with receiving(*[500] * 50) as receiver:
        clock = Clock(serve, receiver)
        clock.api.finished()
        clock.send()
        for pause in (*RETRY_AFTER, *RETRY_AFTER):
            clock.send(after=pause * 1.2)
        assert len(receiver.calls) == 1 + len(RETRY_AFTER)
        assert len(set(receiver.event_ids())) == 1
    assert sum(RETRY_AFTER) > 3 * 24 * 3600
    [delivery] = clock.deliveries(status="failed")
    assert (delivery["attempts"], delivery["next_attempt_at"]) == (1 + len(RETRY_AFTER), None)


def test_a_receiver_that_says_gone_is_asked_once(serve: Serve) -> None:
    with receiving(410) as receiver:
        clock = Clock(serve, receiver)
        clock.api.finished()
        clock.send()
        clock.send(after=10**6)
        assert len(receiver.calls) == 1
    assert clock.deliveries()[0]["status"] == "failed"


def test_a_receiver_that_is_not_there_is_tried_again(serve: Serve) -> None:
    with receiving() as receiver:
        pass
    clock = Clock(serve, receiver)
    clock.api.finished()
    clock.send()
    [delivery] = clock.deliveries()
    assert (delivery["status"], delivery["status_code"], delivery["attempts"]) == ("pending", None, 1)
    assert delivery["error"]


def test_a_receiver_that_never_answers_costs_its_time_and_no_more(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_sender, "_TIMEOUT_SECONDS", 0.3)
    with receiving(0) as receiver:
        clock = Clock(serve, receiver)
        clock.api.finished()
        clock.send()
    assert clock.deliveries()[0]["error"] == "no answer within 0.3 s"


def test_an_attempt_has_its_own_moment_and_the_pause_is_counted_from_it(serve: Serve) -> None:
    with receiving(500, 500) as receiver:
        receiver.seconds = 0.5
        clock = Clock(serve, receiver)
        for _ in range(2):
            clock.api.finished()
        clock.send()
    second, first = clock.deliveries()
    assert clock.now + 0.5 <= first["last_attempt_at"] <= second["last_attempt_at"] - 0.5
    for delivery in (first, second):
        pause = delivery["next_attempt_at"] - delivery["last_attempt_at"]
        assert RETRY_AFTER[0] <= pause <= RETRY_AFTER[0] * 1.2


def test_while_a_secret_changes_both_signatures_are_sent(serve: Serve) -> None:
    new = "whsec_" + "bmV3LXNlY3JldC1vZi0zMi1ieXRlcy1mb3ItdGVzdHM="
    with receiving() as receiver:
        clock = Clock(serve, receiver, secret=f"{new},{SECRET}")
        clock.api.finished()
        clock.send()
    [(headers, body)] = receiver.calls
    for secret in (SECRET, new):
        OpenAI(api_key="none").webhooks.verify_signature(body, headers, secret=secret)


def test_deliveries_can_be_listed_by_batch_and_page_and_hide_the_query_of_their_url(serve: Serve) -> None:
    with receiving() as receiver, receiving() as other:
        clock = Clock(serve, receiver, other)
        ended = [clock.api.finished(1) for _ in range(2)]
        clock.send()
        [first] = clock.deliveries(limit=1)
        older = clock.deliveries(after=first["id"])
        assert [one["event"]["batch_id"] for one in (first, *older)] == [
            ended[1],
            ended[1],
            ended[0],
            ended[0],
        ]
        assert {one["event"]["batch_id"] for one in clock.deliveries(batch_id=ended[0])} == {ended[0]}
        assert "token=secret" not in clock.api.get("/v1/webhook_deliveries").text
        assert first["url"] == other.url.replace("token=secret", "…")
        metrics = clock.api.get("/metrics").text
    assert 'batch_webhook_deliveries{status="delivered"} 4.0' in metrics


@pytest.mark.parametrize(
    ("urls", "secret", "complaint"),
    [
        ("http://a.example/hook", "", "needs a BATCH_WEBHOOK_SECRET"),
        ("ftp://a.example/hook", SECRET, "number 1 of BATCH_WEBHOOK_URLS"),
        ("http://a.example,/hook", SECRET, "number 2 of BATCH_WEBHOOK_URLS"),
        ("http://user:word@a.example", SECRET, "without a user or password"),
        ("http://a.example:port", SECRET, "number 1 of BATCH_WEBHOOK_URLS"),
        ("", "secret", "BATCH_WEBHOOK_SECRET must be whsec_"),
        ("", "whsec_c2hvcnQ=", "24 to 64 bytes"),
    ],
)
def test_what_cannot_work_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, urls: str, secret: str, complaint: str
) -> None:
    monkeypatch.setenv("BATCH_WEBHOOK_URLS", urls)
    monkeypatch.setenv("BATCH_WEBHOOK_SECRET", secret)
    with pytest.raises(ConfigurationError, match=complaint) as refused:
        load_settings()
    assert "word" not in str(refused.value).replace("password", "")


def test_without_receivers_nothing_is_kept_for_them(settings: Settings, serve: Serve) -> None:
    assert settings.webhook_receivers == []
    clock = Clock(serve)
    clock.api.finished()
    clock.send()
    assert clock.deliveries() == []
