"""The order of work: what begins alike stays together, what takes long goes first, and nothing else moves."""

import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from batch_app.input.line_order import assign_ranks, sketch

TEMPLATE = "You judge candidates. " * 20
PREFIXES = [f"Document {i}. " + f"{i} facts " * 100 for i in range(40)]


def body(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


def order(bodies: Sequence[dict[str, Any]]) -> list[int]:
    """The plan as places in the list, from 0."""
    return [line - 1 for line in assign_ranks(sketch(line, one) for line, one in enumerate(bodies, 1))]


def swaps(groups: Sequence[object]) -> int:
    return sum(one != following for one, following in pairwise(groups))


def test_lines_that_begin_alike_follow_each_other() -> None:
    mixed = [f"{prefix} Question {i}?" for i in range(5) for prefix in PREFIXES]
    random.Random(1).shuffle(mixed)
    planned = [mixed[at].split(" Question")[0] for at in order([body(text) for text in mixed])]
    assert swaps(planned) == len(PREFIXES) - 1


def test_a_group_inside_a_group_stays_together_too() -> None:
    texts = [f"{outer} {inner} {i}" for i in range(3) for outer in PREFIXES[:3] for inner in PREFIXES[3:6]]
    planned = [texts[at].rsplit(" ", 1)[0] for at in order([body(text) for text in texts])]
    assert swaps(planned) == 8
    assert swaps([text[:20] for text in planned]) == 2


def test_lines_that_may_take_long_go_first() -> None:
    bodies = [body(f"{i} {TEMPLATE}", max_tokens=384 if i % 12 == 5 else 16) for i in range(96)]
    planned = [bodies[at]["max_tokens"] for at in order(bodies)]
    assert planned == sorted(planned, reverse=True)


def test_a_line_without_a_limit_may_take_longest() -> None:
    assert order([body("a", max_tokens=9), body("b"), body("c", max_completion_tokens=99)]) == [1, 2, 0]


def test_groups_stay_together_and_the_one_with_the_longest_answer_goes_first() -> None:
    bodies = [body(f"{prefix} {i}", max_tokens=16) for i in range(5) for prefix in PREFIXES]
    bodies[33]["max_tokens"] = 400
    planned = order(bodies)
    assert planned[:5] == [33, 73, 113, 153, 193]
    assert swaps([at % 40 for at in planned]) == 39


def test_a_uniform_batch_keeps_its_order() -> None:
    for limit in ({}, {"max_tokens": 64}):
        bodies = [body(f"{TEMPLATE} Candidate {random.Random(i).random()}", **limit) for i in range(500)]
        assert order(bodies) == list(range(500))


def test_identical_lines_keep_their_order() -> None:
    assert order([body("same"), body("other"), body("same"), body("same")]) == [0, 2, 3, 1]


def test_a_line_that_ends_where_others_go_on_stands_with_them() -> None:
    texts = [TEMPLATE * n for n in (1, 3, 2)]
    bodies = [{"prompt": text} for text in (texts[0], "x", texts[1], "y", texts[2])]
    assert sorted(order(bodies)[:3]) == [0, 2, 4]


def test_every_endpoint_s_prompt_counts() -> None:
    for name in ("prompt", "input", "query", "text_1", "instructions", "tools"):
        mixed = [{name: f"{PREFIXES[i % 2]} {i}"} for i in range(6)]
        assert order(mixed) == [0, 2, 4, 1, 3, 5], name


def test_of_a_prompt_little_is_kept() -> None:
    text = "x" * 100_000
    assert len(sketch(1, body(text)).prefix) < len(text) / 30


def test_deep_nesting_takes_no_long() -> None:
    """A conversation told again from its beginning on each line, as long as a file may be."""
    text = "".join(random.Random(3).choices("abc ", k=128 * 400))
    texts = [text[: 128 * n] for n in range(1, 400)]
    assert len(order([{"prompt": text} for text in texts])) == 399


BODIES = st.lists(
    st.builds(
        lambda parts, limit: {"prompt": "".join(part * 130 for part in parts), "max_tokens": limit},
        st.lists(st.sampled_from("abc"), max_size=4),
        st.sampled_from([None, 1, 50, "x", True]),
    ),
    max_size=40,
)


@given(BODIES)
def test_every_line_is_planned_once_and_the_same_batch_always_alike(bodies: list[dict[str, Any]]) -> None:
    assert sorted(order(bodies)) == list(range(len(bodies)))
    assert order(bodies) == order(bodies)


@given(BODIES)
def test_lines_between_two_of_a_group_are_of_the_group(bodies: list[dict[str, Any]]) -> None:
    planned = [sketch(at, bodies[at]).prefix for at in order(bodies)]
    for depth in range(4, 20, 4):
        heads = [prefix[:depth] for prefix in planned if len(prefix) >= depth]
        assert swaps(heads) == len(set(heads)) - bool(heads)
