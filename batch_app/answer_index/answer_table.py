"""Answers as a table: filtered, sorted, paged; and what the values of one column are. SQL does all of it."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import orjson
from pysqlite3 import dbapi2

from batch_app.answer_index.answer_query import FACTS, AnswerQuery, QueryBuilder, is_number, literal
from batch_app.answer_index.joined_indexes import rows_of

_TOP_VALUES: Final = 12
_SHOWN: Final = (*FACTS, "text")
_ROWS_AT_ONCE: Final = 500
_NAMED: Final = "SELECT value AS custom_id, key AS place FROM json_each(?)"


@dataclass(frozen=True, slots=True)
class Bin:
    """Values from `start` to below `end`; the last bin has its end too."""

    start: float
    end: float
    count: int


@dataclass(frozen=True, slots=True)
class Distribution:
    """What a column's values are: the most frequent ones, and the spread of those that are numbers."""

    present: int
    distinct: int
    top: list[tuple[Any, int]]
    mean: float | None = None
    bins: list[Bin] = field(default_factory=list)


class Table:
    """Of one batch, or of several joined by custom_id. Raises BadQueryError for what makes no sense."""

    def __init__(self, connection: dbapi2.Connection, batches: int = 1) -> None:
        self._connection, self._run = connection, connection.execute
        self._asker = QueryBuilder(connection, batches)

    def count(self, question: AnswerQuery | None = None) -> int:
        asked = question or AnswerQuery()
        where, values = self._asker.where(asked)
        query = f"SELECT count(*) {self._asker.source(asked)} WHERE {where}"
        return int(self._run(query, values).fetchone()[0])

    def counts(self, question: AnswerQuery) -> tuple[int, int]:
        """The rows that it asks for, and all."""
        asked = self.count(question)
        return asked, self.count() if question.narrows else asked

    def rows(
        self, question: AnswerQuery, *, columns: Sequence[str] = (), offset: int = 0, limit: int | None = None
    ) -> Iterator[tuple[str, list[dict[str, Any] | None]]]:
        """(custom_id, its answer in each batch or None). An answer has the ledger's facts, its `text`, and the `values`
        of those `columns` that are of its batch, by their paths. Without a limit all of them, a part at a time."""
        paths = self.paths(columns)
        shown = ", ".join(word for side, ours in enumerate(paths) for word in self._shown(side, ours))
        query = f"SELECT k.custom_id, {shown} {rows_of(_NAMED, self._asker.schemas)} ORDER BY k.place"
        names = self._names(question, offset, limit)
        # What is shown is looked up by name: to sort whole rows, SQLite would hold them all.
        while part := list(islice(names, _ROWS_AT_ONCE)):
            for custom_id, *found in self._run(query, (orjson.dumps(part).decode(),)):
                cells = iter(found)
                yield custom_id, [_answer(custom_id, ours, cells) for ours in paths]

    def _names(self, question: AnswerQuery, offset: int, limit: int | None) -> Iterator[str]:
        """The custom_ids that the question asks for, in its order."""
        where, values = self._asker.where(question)
        sorted_by = ", ".join(f"{term} {direction}" for term, direction in self._asker.order(question))
        query = (
            f"SELECT {self._asker.custom_id} {self._asker.source(question)} WHERE {where} "
            f"ORDER BY {sorted_by} LIMIT ? OFFSET ?"
        )
        found = self._run(query, (*values, -1 if limit is None else limit, offset))
        return (custom_id for (custom_id,) in found)

    def place_of(self, prefix: str, question: AnswerQuery) -> int | None:
        """Where among the rows, counted from 0, the first one is whose custom_id begins like this."""
        where, values = self._asker.where(question)
        sorted_by = ", ".join(f"{term} {direction}" for term, direction in self._asker.order(question))
        found = self._run(
            f"SELECT place FROM (SELECT {self._asker.custom_id}, row_number() OVER (ORDER BY {sorted_by}) - 1 AS place "
            f"{self._asker.source(question)} WHERE {where}) WHERE substr(custom_id, 1, ?) = ? "
            "ORDER BY place LIMIT 1",
            (*values, len(prefix), prefix),
        ).fetchone()
        return None if found is None else int(found[0])

    def distribution(self, column: str, question: AnswerQuery, *, bins: int) -> Distribution:
        where, values = self._asker.where(question)
        of_rows = (
            f"FROM (SELECT {self._asker.sql(column)} AS value {self._asker.source(question, column)} "
            f"WHERE {where}) WHERE value IS NOT NULL"
        )
        of_numbers = f"FILTER (WHERE {is_number('value')})"
        present, distinct, mean, low, high = self._run(
            f"SELECT count(*), count(DISTINCT value), avg(value) {of_numbers}, min(value) {of_numbers}, "
            f"max(value) {of_numbers} {of_rows}",
            values,
        ).fetchone()
        top = self._run(
            f"SELECT value, count(*) {of_rows} GROUP BY value ORDER BY 2 DESC, 1 LIMIT {_TOP_VALUES}", values
        ).fetchall()
        found = Distribution(present, distinct, [(value, count) for value, count in top], mean)
        if low is None:
            return found
        numbers = f"{of_rows} AND {is_number('value')}"
        spread = histogram(self._connection, "value", numbers, values, low=low, high=high, bins=bins)
        return Distribution(present, distinct, found.top, mean, spread)

    def paths(self, columns: Iterable[str]) -> list[list[str]]:
        """The JSON paths among the columns of each batch."""
        found = [self._asker.side_of(column) for column in columns]
        return [
            [path for side, path in found if side == number] for number in range(len(self._asker.schemas))
        ]

    def _shown(self, side: int, paths: Sequence[str]) -> list[str]:
        picked = (f"a{side}.json -> {literal(self._asker.field(side, path).place)}" for path in paths)
        return [*(f"a{side}.{name}" for name in _SHOWN), *picked]


def _answer(custom_id: str, paths: Sequence[str], cells: Iterator[Any]) -> dict[str, Any] | None:
    """Takes from `cells` what `_shown` has put there."""
    facts = dict(zip(_SHOWN, islice(cells, len(_SHOWN)), strict=True))
    values = dict(zip(paths, islice(cells, len(paths)), strict=True))
    if facts["line"] is None:
        return None
    read = {path: orjson.loads(value) if value is not None else None for path, value in values.items()}
    return {"custom_id": custom_id, **facts, "values": read}


def histogram(
    connection: dbapi2.Connection,
    value: str,
    source: str,
    values: Sequence[Any],
    *,
    low: float,
    high: float,
    bins: int,
) -> list[Bin]:
    """Bins of equal width for the SQL expression `value` over `source`, a FROM clause whose values are bound; none
    where the values lie further apart than a number can say."""
    if not math.isfinite(high - low):
        return []
    width = (high - low) / bins or 1
    query = f"SELECT min({bins - 1}, CAST(({value} - ?) / ? AS INTEGER)), count(*) {source} GROUP BY 1"
    counts = dict(connection.execute(query, (low, width, *values)).fetchall())
    return _bins(counts, low, high, bins)


def spread(counted: Sequence[tuple[float, int]], bins: int) -> list[Bin]:
    """The same of values that are here, at least one, each with how often it occurs."""
    low, high = min(value for value, _ in counted), max(value for value, _ in counted)
    if not math.isfinite(high - low):
        return []
    width = (high - low) / bins or 1
    counts: Counter[int] = Counter()
    for value, count in counted:
        counts[min(bins - 1, int((value - low) / width))] += count
    return _bins(counts, low, high, bins)


def _bins(counts: Mapping[int, int], low: float, high: float, bins: int) -> list[Bin]:
    width = (high - low) / bins or 1
    last = bins if high > low else 1
    return [Bin(low + n * width, low + (n + 1) * width, counts.get(n, 0)) for n in range(last)]
