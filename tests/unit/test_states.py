"""The states and their moves, and that everybody who names them means the same ones."""

import re
from collections.abc import Mapping

import pytest

from batch_app.settings import PROJECT_DIR
from batch_app.states import (
    ACTIVE_BATCH_STATES,
    BATCH_MOVES,
    FINAL_BATCH_STATES,
    FINAL_REQUEST_STATES,
    OPEN_BATCH_STATES,
    REQUEST_MOVES,
    BatchStatus,
    RequestStatus,
    wire_status,
)
from batch_app.store.tables import batches

OPENAI_STATES = {
    "validating",
    "failed",
    "in_progress",
    "finalizing",
    "completed",
    "expired",
    "cancelling",
    "cancelled",
}
ARROW = re.compile(r"^\s*(\S+) --> (\w+)(?:: (.+))?$", re.MULTILINE)


def drawings() -> list[list[tuple[str, str, str]]]:
    """The arrows (from, to, cause) of each drawing in docs/states.md."""
    text = (PROJECT_DIR / "docs" / "states.md").read_text()
    return [ARROW.findall(block) for block in re.findall(r"```mermaid\n(.*?)```", text, re.DOTALL)]


def arrows(
    moves: Mapping[BatchStatus, frozenset[BatchStatus]] | Mapping[RequestStatus, frozenset[RequestStatus]],
) -> set[tuple[str, str]]:
    return {(str(start), str(end)) for start, ends in moves.items() for end in ends}


def test_the_drawings_show_exactly_the_moves_there_are() -> None:
    of_batches, of_requests = drawings()
    drawn = {(start, end) for start, end, _cause in of_batches if start != "[*]"}
    assert drawn == arrows(BATCH_MOVES)
    drawn = {(start, end) for start, end, _cause in of_requests if start != "[*]"}
    assert drawn == arrows(REQUEST_MOVES)


def test_every_arrow_of_a_drawing_names_its_cause() -> None:
    assert all(cause for drawing in drawings() for _start, _end, cause in drawing)


def test_every_state_is_either_open_or_final() -> None:
    assert {"completed", "failed", "expired", "cancelled"} == FINAL_BATCH_STATES == FINAL_REQUEST_STATES
    assert set(BatchStatus) == OPEN_BATCH_STATES | FINAL_BATCH_STATES
    assert {BatchStatus.CANCELLING} == OPEN_BATCH_STATES - ACTIVE_BATCH_STATES


@pytest.mark.parametrize("moves", [BATCH_MOVES, REQUEST_MOVES])
def test_every_open_state_leads_to_an_end(moves: Mapping[str, frozenset[str]]) -> None:
    for state in moves:
        reached = {state}
        while new := {end for start in reached for end in moves[start]} - reached:
            reached |= new
        assert any(not moves[end] for end in reached)


def test_every_state_but_the_first_has_its_moment_in_the_table() -> None:
    assert {f"{state}_at" for state in BatchStatus if state is not BatchStatus.QUEUED} <= set(
        batches.c.keys()
    )


def test_an_openai_client_sees_exactly_the_states_it_knows() -> None:
    assert {wire_status(state, "openai") for state in BatchStatus} == OPENAI_STATES


def test_the_sender_of_a_form_reads_pending_for_a_queued_batch_and_openais_words_after_that() -> None:
    assert wire_status(BatchStatus.QUEUED, "simple") == "pending"
    assert {wire_status(state, "simple") for state in BatchStatus} == OPENAI_STATES - {"validating"} | {
        "pending"
    }
