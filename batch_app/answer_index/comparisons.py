"""Two to four batches side by side, joined by custom_id in SQL. The first is the baseline."""

import re
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import orjson
from pysqlite3 import dbapi2

from batch_app.answer_index.answer_query import is_number, literal
from batch_app.answer_index.answer_table import Bin, spread
from batch_app.answer_index.index import Field, fields_of
from batch_app.answer_index.joined_indexes import IN_ORDER, in_all_batches, joined, rows_of, schemas_of
from batch_app.errors import BadQueryError

Only = Literal["all", "different", "same", "unmatched", "flipped"]
_MOST_VALUES: Final = 12
_SIDE: Final = ("line", "status", "error_code", "finish_reason", "output_tokens", "seconds", "text")
_TELLING: Final = re.compile(
    "verdict|decision|recommendation|label|category|class|result|status|sentiment|answer|grade|pass(ed)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Summary:
    """Of the baseline and one other batch. `same` and `different` count requests that both answered."""

    both: int
    only_baseline: int
    only_other: int
    same: int
    baseline_tokens: float | None
    other_tokens: float | None


@dataclass(frozen=True, slots=True)
class FieldChange:
    """How one field of the answers differs: means and spread of a number, agreement of a word."""

    both: int
    equal: int
    baseline_mean: float | None = None
    other_mean: float | None = None
    bins: list[Bin] = field(default_factory=list)
    agreement: list[tuple[Any, Any, int]] = field(default_factory=list)


class Comparison:
    """Indexes attached as `Indexes.reading` does it. Raises BadQueryError for a field that no answer has."""

    def __init__(self, connection: dbapi2.Connection, batches: int) -> None:
        self._run = connection.execute
        self._schemas = schemas_of(batches)
        self._fields = [{one.path: one for one in fields_of(connection, schema)} for schema in self._schemas]

    def fields(self) -> list[Field]:
        """Those that every batch has, the most frequent first."""
        first, *others = self._fields
        return [one for path, one in first.items() if all(path in fields for fields in others)]

    def likely_field(self) -> str | None:
        """The one that a person most likely looks at first: a verdict, else a number, else the most frequent."""
        fields = self.fields()
        telling = [one for one in fields if _TELLING.fullmatch(one.path)]
        likely = telling or [one for one in fields if one.is_number] or fields
        return likely[0].path if likely else None

    def summary(self, other: int) -> Summary:
        row = self._run(
            "SELECT count(*) FILTER (WHERE a.line IS NOT NULL AND b.line IS NOT NULL), "
            "count(*) FILTER (WHERE b.line IS NULL), count(*) FILTER (WHERE a.line IS NULL), "
            "count(*) FILTER (WHERE a.text = b.text), "
            "avg(a.output_tokens) FILTER (WHERE b.line IS NOT NULL), "
            "avg(b.output_tokens) FILTER (WHERE a.line IS NOT NULL) "
            f"FROM main.answers a FULL JOIN {self._schemas[other]}.answers b USING (custom_id)"
        ).fetchone()
        return Summary(*row)

    def change(self, path: str, other: int, *, bins: int) -> FieldChange:
        """Of the requests whose answers both have the field; of a number, those where it is one in both."""
        of_numbers = all(self._field(path, side).is_number for side in (0, other))
        wanted = [is_number(side) if of_numbers else f"{side} IS NOT NULL" for side in ("one", "two")]
        one, two = self._value(path, 0, "a"), self._value(path, other, "b")
        pairs = self._run(
            f"WITH pairs AS MATERIALIZED (SELECT {one} AS one, {two} AS two FROM main.answers a "
            f"JOIN {self._schemas[other]}.answers b USING (custom_id)) "  # so that the JSON is looked into once
            f"SELECT one, two, count(*) FROM pairs WHERE {' AND '.join(wanted)} "
            "GROUP BY 1, 2 ORDER BY 3 DESC"
        ).fetchall()
        both = sum(count for _, _, count in pairs)
        equal = sum(count for one, two, count in pairs if one == two)
        if not of_numbers:
            return FieldChange(both, equal, agreement=[tuple(pair) for pair in pairs[: _MOST_VALUES**2]])
        if not pairs:
            return FieldChange(both, equal)
        first, second = (sum(pair[side] * pair[2] for pair in pairs) / both for side in (0, 1))
        return FieldChange(
            both, equal, first, second, spread([(two - one, count) for one, two, count in pairs], bins)
        )

    def count(self, only: Only, path: str | None = None) -> int:
        return int(
            self._run(f"SELECT count(*) {joined(self._schemas)} WHERE {self._only(only, path)}").fetchone()[0]
        )

    def rows(
        self, only: Only, *, path: str | None, by_change: bool, descending: bool, offset: int, limit: int
    ) -> tuple[list[tuple[str, list[dict[str, Any] | None]]], int]:
        """A page of (custom_id, its answer in each batch or None), in the order of the baseline or by how `path`
        changed; and how many rows there are in all."""
        if by_change and path is None:
            raise BadQueryError("to sort by change, name the field that changes")
        number = range(len(self._schemas))
        change = self._moved(path) if path and by_change else "0"
        in_order = f"change {'DESC' if descending else 'ASC'} NULLS LAST, {IN_ORDER}"
        # Of the other rows nothing but what decides is looked up. To count those of a kind is to look at all answers
        # again: their number comes with the page.
        total = "0" if only == "all" else "count(*) OVER ()"
        page = (
            f"SELECT k.custom_id, k.side, k.line, {change} AS change, {total} AS total "
            f"{joined(self._schemas, () if only == 'all' and not by_change else None)} "
            f"WHERE {self._only(only, path)} ORDER BY {in_order} LIMIT ? OFFSET ?"
        )
        shown = [
            f"a{n}.{name}"
            if name
            else f"a{n}.json -> {literal(self._field(path, n).place)}"
            if path
            else "NULL"
            for n in number
            for name in (*_SIDE, "")
        ]
        query = f"SELECT k.custom_id, k.total, {', '.join(shown)} {rows_of(page, self._schemas)} ORDER BY {in_order}"
        found, width = self._run(query, (limit, offset)).fetchall(), len(_SIDE) + 1
        rows = [
            (row[0], [_answer(row[2 + n * width : 2 + (n + 1) * width]) for n in number]) for row in found
        ]
        return rows, (found[0][1] if found else 0) or self.count(only, path)

    def _moved(self, path: str) -> str:
        """By how much the number of the second batch is above the baseline's; nothing where one is no number."""
        one, two = self._value(path, 0, "a0"), self._value(path, 1, "a1")
        return f"iif({is_number(one)} AND {is_number(two)}, {two} - {one}, NULL)"

    def _only(self, only: Only, path: str | None) -> str:
        others = range(1, len(self._schemas))
        matched = in_all_batches(len(self._schemas))
        match only:
            case "all":
                return "1"
            case "unmatched":
                return f"NOT ({matched})"
            case "same":
                return f"{matched} AND " + " AND ".join(f"a{n}.text = a0.text" for n in others)
            case "different":
                return f"{matched} AND (" + " OR ".join(f"a{n}.text <> a0.text" for n in others) + ")"
        if path is None:
            raise BadQueryError("to see what flipped, name the field")
        values = [self._value(path, n, f"a{n}") for n in range(len(self._schemas))]
        return "(" + " OR ".join(f"{value} <> {values[0]}" for value in values[1:]) + ")"

    def _field(self, path: str, side: int) -> Field:
        if path not in self._fields[side]:
            raise BadQueryError(f"no answer of batch {side + 1} has a field {path[:80]!r}")
        return self._fields[side][path]

    def _value(self, path: str, side: int, alias: str) -> str:
        return f"({alias}.json ->> {literal(self._field(path, side).place)})"


def _answer(part: tuple[Any, ...]) -> dict[str, Any] | None:
    *facts, value = part
    if facts[0] is None:
        return None
    return {
        **dict(zip(_SIDE, facts, strict=True)),
        "value": orjson.loads(value) if value is not None else None,
    }
