"""Rows of an index as a table: filtered, sorted, paged; and what the values of one column are. SQL does all of it."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from pysqlite3 import dbapi2

from batch_app.errors import BadQueryError
from batch_app.reading.index import Field, fields_of

_TOP_VALUES: Final = 12
_ROW: Final = (
    "line", "custom_id", "status", "status_code", "error_code", "finish_reason", "attempts", "input_tokens",
    "output_tokens", "seconds",
)  # fmt: skip
BUILT_IN: Final = {**{name: name for name in _ROW}, "answer": "text"}
_NUMBERS: Final = frozenset({"line", "status_code", "attempts", "input_tokens", "output_tokens", "seconds"})
_COMPARISONS: Final = {"eq": "=", "ne": "IS NOT", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_TRUTHS: Final = {"true": 1, "false": 0}
OPERATORS: Final = (*_COMPARISONS, "contains", "empty", "present")


@dataclass(frozen=True, slots=True)
class Condition:
    """`column operator value`, as in `score ge 7`. `empty` and `present` need no value."""

    column: str
    operator: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """Which rows are wanted, and in which order. Everything None or empty: all of them, in the order of the file."""

    text: str | None = None
    custom_id_prefix: str | None = None
    status: str | None = None
    error_code: str | None = None
    conditions: Sequence[Condition] = ()
    sort: str = "line"
    descending: bool = False


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
    """One batch's index as a table. Raises BadQueryError for a column or a value that makes no sense."""

    def __init__(self, connection: dbapi2.Connection) -> None:
        self._connection = connection
        self.fields = {one.path: one for one in fields_of(connection)}

    def count(self, question: Question | None = None) -> int:
        where, values = self._where(question or Question())
        [(count,)] = self._connection.execute(
            f"SELECT count(*) FROM answers WHERE {where}", values
        ).fetchall()
        return int(count)

    def rows(
        self, question: Question, *, columns: Sequence[str] = (), offset: int = 0, limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """Each with the ledger's facts, the answer's `text` and the `values` of `columns` by their paths."""
        where, values = self._where(question)
        order = f"{self.sql(question.sort)} {'DESC' if question.descending else 'ASC'} NULLS LAST, line"
        picked = [f"json -> {literal(self._field(path).place)}" for path in columns]
        shown = f"SELECT {', '.join([*_ROW, 'text', *picked])} FROM answers"
        if limit is None:
            query = f"{shown} WHERE {where} ORDER BY {order}"
        else:  # only the rows of this page are sorted with all that they show
            page = f"SELECT line FROM answers WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?"
            query = f"{shown} WHERE line IN ({page}) ORDER BY {order}"
            values = [*values, limit, offset]
        for row in self._connection.execute(query, values):
            facts = dict(zip((*_ROW, "text"), row, strict=False))
            picked_values = (
                orjson.loads(value) if value is not None else None for value in row[len(facts) :]
            )
            yield {**facts, "values": dict(zip(columns, picked_values, strict=True))}

    def distribution(self, column: str, question: Question, *, bins: int) -> Distribution:
        where, values = self._where(question)
        of_rows = (
            f"FROM (SELECT {self.sql(column)} AS value FROM answers WHERE {where}) WHERE value IS NOT NULL"
        )
        run = self._connection.execute
        present, distinct, mean, low, high = run(
            "SELECT count(*), count(DISTINCT value), avg(value) FILTER (WHERE typeof(value) IN ('integer', 'real')), "
            "min(value) FILTER (WHERE typeof(value) IN ('integer', 'real')), "
            f"max(value) FILTER (WHERE typeof(value) IN ('integer', 'real')) {of_rows}",
            values,
        ).fetchone()
        top = run(
            f"SELECT value, count(*) {of_rows} GROUP BY value ORDER BY 2 DESC, 1 LIMIT {_TOP_VALUES}", values
        ).fetchall()
        found = Distribution(present, distinct, [(value, count) for value, count in top], mean)
        if low is None:
            return found
        numbers = f"{of_rows} AND typeof(value) IN ('integer', 'real')"
        spread = histogram(self._connection, "value", numbers, values, low=low, high=high, bins=bins)
        return Distribution(present, distinct, found.top, mean, spread)

    def sql(self, column: str) -> str:
        """The column as an SQL expression. `$.status` is the field of that name, `status` the ledger's."""
        if column in BUILT_IN:
            return BUILT_IN[column]
        return f"(json ->> {literal(self._field(column.removeprefix('$.')).place)})"

    def is_number(self, column: str) -> bool:
        return column in _NUMBERS if column in BUILT_IN else self._field(column.removeprefix("$.")).is_number

    def _field(self, path: str) -> Field:
        if path not in self.fields:
            raise BadQueryError(f"there is no column {path[:80]!r}; GET …/fields lists those of the answers")
        return self.fields[path]

    def _where(self, question: Question) -> tuple[str, list[Any]]:
        found: list[str] = ["1"]
        values: list[Any] = []
        if question.text:
            part, value = _containing("text", question.text)
            found.append(part)
            values.append(value)
        if question.custom_id_prefix:
            found.append("substr(custom_id, 1, ?) = ?")
            values += [len(question.custom_id_prefix), question.custom_id_prefix]
        for name, wanted in (("status", question.status), ("error_code", question.error_code)):
            if wanted is not None:
                found.append(f"{name} = ?")
                values.append(wanted)
        for condition in question.conditions:
            part, more = self._condition(condition)
            found.append(part)
            values += more
        return " AND ".join(found), values

    def _condition(self, condition: Condition) -> tuple[str, list[Any]]:
        column = self.sql(condition.column)
        match condition.operator:
            case "empty":
                return f"({column} IS NULL OR {column} = '')", []
            case "present":
                return f"({column} IS NOT NULL AND {column} <> '')", []
            case "contains":
                part, value = _containing(column, condition.value)
                return part, [value]
            case "eq" | "ne" if not self.is_number(condition.column):
                wanted = _as_said(condition)
                among = f"coalesce({column} IN ({', '.join('?' * len(wanted))}), 0)"
                return among if condition.operator == "eq" else f"NOT {among}", wanted
            case operator if operator in _COMPARISONS:
                return f"{column} {_COMPARISONS[operator]} ?", [self._value(condition)]
        raise BadQueryError(f"there is no operator {condition.operator[:20]!r}: use {', '.join(OPERATORS)}")

    def _value(self, condition: Condition) -> str | float:
        """SQLite keeps numbers apart from words, and all numbers before all words."""
        if not self.is_number(condition.column):
            return condition.value
        try:
            return float(condition.value)
        except ValueError:
            raise BadQueryError(f"{condition.column} is a number; {condition.value[:40]!r} is not") from None


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
    """Bins of equal width for the SQL expression `value` over `source`, a FROM clause whose values are bound."""
    width = (high - low) / bins or 1
    query = f"SELECT min({bins - 1}, CAST(({value} - ?) / ? AS INTEGER)), count(*) {source} GROUP BY 1"
    counts = dict(connection.execute(query, (low, width, *values)).fetchall())
    last = bins if high > low else 1
    return [Bin(low + n * width, low + (n + 1) * width, counts.get(n, 0)) for n in range(last)]


def _as_said(condition: Condition) -> list[str | float]:
    """What a word can stand for in JSON: itself, a number, true or false, which SQLite has as 1 and 0."""
    found: list[str | float] = [condition.value]
    if condition.column in BUILT_IN:
        return found
    if condition.value in _TRUTHS:
        return [*found, _TRUTHS[condition.value]]
    with suppress(ValueError):
        found.append(float(condition.value))
    return found


def _containing(column: str, part: str) -> tuple[str, str]:
    """A condition and its value. SQLite knows the case of ASCII letters alone."""
    if part.isascii():
        escaped = part.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return f"{column} LIKE ? ESCAPE '\\'", f"%{escaped}%"
    return f"contains({column}, ?)", part.lower()


def literal(place: str) -> str:
    """A JSON path as SQL has it. Paths come from answers: their quotes must not end the text."""
    return "'" + place.replace("'", "''") + "'"
