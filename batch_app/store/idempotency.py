"""Idempotency-Keys: the same request sent twice makes one thing, and the second sender gets the first one's."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, or_, select, update

from batch_app.errors import IdempotencyKeyReusedError

IDEMPOTENCY_SECONDS = 24 * 3600


def row_with_key(
    connection: Connection,
    table: Table,
    *,
    key: str | None,
    digest: str | None,
    now: float,
    gone: ColumnElement[bool] | None = None,
) -> Row[Any] | None:
    """Inside a write transaction: what was made under this key in the last 24 hours and is not `gone`.

    Raises IdempotencyKeyReusedError when that was another request.
    """
    if key is None:
        return None
    old = table.c.created_at < now - IDEMPOTENCY_SECONDS
    forgotten = old if gone is None else or_(old, gone)
    connection.execute(
        update(table).where(table.c.idempotency_key == key, forgotten).values(idempotency_key=None)
    )
    row = connection.execute(select(table).where(table.c.idempotency_key == key)).one_or_none()
    if row is not None and row.request_digest != digest:
        raise IdempotencyKeyReusedError(
            f"Idempotency-Key {key!r} was used for another request ({row.id}); take a new key for a new request."
        )
    return row
