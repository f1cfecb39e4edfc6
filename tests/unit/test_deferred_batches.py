"""When a batch that cannot be taken up is tried again."""

from batch_app.processing.deferred_batches import RETRY_SECONDS, DeferredBatches

WHY = "Permission denied: output-000001-0.jsonl"


def test_a_batch_is_put_off_for_a_while_and_then_tried_again() -> None:
    put_off = DeferredBatches()
    put_off.note("batch_1", WHY, 100)
    assert put_off.holds("batch_1", 100 + RETRY_SECONDS - 1)
    assert not put_off.holds("batch_1", 100 + RETRY_SECONDS)
    assert not put_off.holds("batch_2", 100)


def test_why_is_told_until_it_was_taken_up_or_has_ended() -> None:
    put_off = DeferredBatches()
    assert put_off.trouble is None
    for batch_id in ("batch_1", "batch_2"):
        put_off.note(batch_id, WHY, 100)
    assert (put_off.trouble or "").startswith(f"Batch batch_1 cannot be taken up: {WHY}. It is tried again ")
    put_off.forget("batch_1")
    assert "batch_2" in (put_off.trouble or "")
    put_off.keep_only({"batch_1"})
    assert put_off.trouble is None
