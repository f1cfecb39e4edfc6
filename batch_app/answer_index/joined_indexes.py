"""Indexes attached as `Indexes.reading` does it, joined by custom_id: every one that any batch has is there, once.

SQL only. In a FROM clause made here `k` has the custom_id, the first batch that has it (`side`, counted from 0) and its
line there; `a0`, `a1` … have the batches' rows, or NULLs where one has none.
"""

from collections.abc import Collection, Sequence
from typing import Final

MOST_BATCHES: Final = 4
IN_ORDER: Final = "k.side, k.line"


def schemas_of(batches: int) -> list[str]:
    """How the indexes of so many batches are called in SQL."""
    return ["main", *(f"b{number}" for number in range(1, batches))]


def joined(schemas: Sequence[str], sides: Collection[int] | None = None) -> str:
    """A FROM clause. `sides`: those whose rows are asked for (None: all); each costs a look-up per custom_id."""
    wanted = range(len(schemas)) if sides is None else sorted(sides)
    return f"FROM ({_keys(schemas)}) k {_rows(schemas, wanted)}"


def rows_of(page: str, schemas: Sequence[str]) -> str:
    """A FROM clause of all that the batches have for the custom_ids that the query `page` selects."""
    return f"FROM ({page}) k {_rows(schemas, range(len(schemas)))}"


def in_all_batches(batches: int) -> str:
    """A condition: every batch has the custom_id."""
    return " AND ".join(f"a{number}.line IS NOT NULL" for number in range(batches))


def _keys(schemas: Sequence[str]) -> str:
    keys = [f"SELECT custom_id, 0 AS side, line FROM {schemas[0]}.answers"]
    for number, schema in enumerate(schemas[1:], 1):
        seen = " ".join(
            f"AND NOT EXISTS (SELECT 1 FROM {earlier}.answers e WHERE e.custom_id = o.custom_id)"
            for earlier in schemas[:number]
        )
        keys.append(f"SELECT custom_id, {number}, line FROM {schema}.answers o WHERE 1 {seen}")
    return " UNION ALL ".join(keys)


def _rows(schemas: Sequence[str], sides: Collection[int]) -> str:
    return " ".join(
        f"LEFT JOIN {schemas[side]}.answers a{side} ON a{side}.custom_id = k.custom_id" for side in sides
    )
